//! Where secrets of config.json could end up, by either way: the guide's commands of Terraform, and the provisioner's. Everything that is written
//! is unpacked and searched, and so are processes while they run.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use serde_json::{Map, Value, json};
use testkit::{Program, eventually, root};

use crate::{LEDGER, environment::Environment};

/// What every secret here begins with.
const MARK: &str = "hunted-";
const PATIENCE: Duration = Duration::from_secs(60);

/// Keys of config.json that are secrets, by the provisioner's table.
fn secrets() -> Vec<String> {
    let table = root().join("provisioner/src/config/keys.rs");
    let table = fs::read_to_string(table).unwrap();
    let (_, table) = table.split_once("const KEYS").unwrap();
    let keys = table
        .split("key(")
        .filter(|it| it.contains("Holds::Secret"));
    let keys: Vec<_> = keys
        .map(|it| it.split('"').nth(1).unwrap().to_owned())
        .collect();
    assert!(keys.iter().any(|it| it == "docker_password"), "{keys:?}");
    keys
}

/// Of each secret key, a value.
fn values() -> Vec<(String, String)> {
    let value = |key: &str| match key.ends_with("url") {
        true => format!("https://hooks.example/{MARK}{key}"),
        false => format!("{MARK}{key}"),
    };
    let keys = secrets().into_iter();
    keys.map(|it| (it.clone(), value(&it))).collect()
}

/// They stand in config.json itself.
fn written() -> Map<String, Value> {
    let values = values().into_iter();
    let mut all: Map<_, _> = values.map(|(key, value)| (key, json!(value))).collect();
    let inner = json!([{"url": "https://store.example/write", "username": "u", "password": format!("{MARK}inner")}]);
    all.insert("remote_write".to_owned(), inner);
    // What is no secret and belongs to one.
    for key in ["cassandra_user", "smtp_auth_username"] {
        all.insert(key.to_owned(), json!("user"));
    }
    all
}

#[track_caller]
fn is_free(what: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    assert!(!text.contains(MARK), "{what} has a secret: {text}");
}

/// Searches all files below a folder, but config.json; gives the names of those that have what is no secret.
fn search(folder: &Path) -> BTreeSet<String> {
    let mut places = BTreeSet::new();
    let mut look = |path: &Path, bytes: &[u8]| {
        is_free(&path.display().to_string(), bytes);
        if String::from_utf8_lossy(bytes).contains("Deployment Name") {
            places.insert(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    };
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_symlink() || path.ends_with("config.json") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            // Terraform speaks with its provider by a socket, and what is for a moment may be gone.
            if !path.is_file() {
                continue;
            }
            let bytes = match fs::read(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other.unwrap(),
            };
            look(&path, &bytes);
            if path.ends_with("plan.out") {
                for file in unzip(&bytes) {
                    look(&path, &file);
                }
            }
        }
    }
    places
}

/// Where the state and a plan are, and the stand-in's cloud.
const EXPECTED: [&str; 4] = [
    "cloud.json",
    "plan.out",
    "terraform.tfstate",
    "terraform.tfstate.backup",
];

/// After the guide's commands, no secret of config.json stands anywhere but there.
#[test]
fn by_hand() {
    let environment = Environment::new(&written().into());
    environment.plan_and_apply();
    // With one more change there are a backup of the state and a plan beside it.
    environment.does(&["taint", LEDGER]);
    environment.plan(&[]);
    assert_eq!(
        search(environment.path()),
        EXPECTED.map(str::to_owned).into()
    );
}

/// An operator with secrets in variables and in config.json, and a folder for temporary files.
struct Operator {
    environment: Environment,
    variables: Vec<(String, String)>,
    temporary: PathBuf,
    _folder: tempfile::TempDir,
}

impl Operator {
    fn new() -> Self {
        let mut config = written();
        let mut variables = Vec::new();
        // Every second one by reference.
        for (key, value) in values().into_iter().step_by(2) {
            let name = format!("OF_{}", key.to_uppercase());
            config.insert(key, json!(format!("${{env:{name}}}")));
            variables.push((name, value));
        }
        let environment = Environment::new(&config.into());
        let path = environment.path().join("config.json");
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        Self {
            environment,
            variables,
            temporary: folder.path().to_owned(),
            _folder: folder,
        }
    }

    /// Terraform tells all that it does, too, into a file.
    fn command(&self, arguments: &[&str]) -> Program {
        let log = self.environment.path().join("trace.log");
        let mut program = self
            .environment
            .command(arguments)
            .env("TMPDIR", &self.temporary)
            .env("TF_LOG", "trace")
            .env("TF_LOG_PATH", log);
        for (name, value) in &self.variables {
            program = program.env(name, value);
        }
        program
    }

    #[track_caller]
    fn does(&self, code: i32, arguments: &[&str]) -> String {
        let ended = self.command(arguments).run();
        let said = ended.stdout + &ended.stderr;
        is_free(&format!("what {arguments:?} says"), said.as_bytes());
        assert_eq!(ended.status.code(), Some(code), "{arguments:?}: {said}");
        said
    }

    /// Does it while the cloud is held, so that there is time to look at files and processes.
    fn does_slowly(&self, code: i32, arguments: &[&str], is_there: impl Fn() -> bool) {
        let held = self.environment.hold_cloud();
        thread::scope(|scope| {
            let running = scope.spawn(|| self.does(code, arguments));
            eventually("Terraform is at work", PATIENCE, || {
                assert!(!running.is_finished(), "it ended before");
                (is_there() && self.processes() > 0).then_some(())
            });
            search(&self.temporary);
            drop(held);
            running.join().unwrap();
        });
    }

    /// Searches the words of all processes, and the variables of those of Terraform that work here; gives how many those are.
    fn processes(&self) -> usize {
        let mut seen = 0;
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let read = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
            let words = read("cmdline");
            is_free("a process list", &words);
            let name = read("comm");
            let cwd = fs::read_link(entry.path().join("cwd"));
            let is_its = cwd.is_ok_and(|it| it == self.environment.path());
            if is_its && (name.starts_with(b"terraform") || name.starts_with(b"tofu")) {
                is_free(&String::from_utf8_lossy(&name), &read("environ"));
                seen += 1;
            }
        }
        seen
    }

    /// What Terraform is given of config.json.
    fn given(&self) -> Option<PathBuf> {
        let all = fs::read_dir(&self.temporary).unwrap().flatten();
        let mut all = all.map(|it| it.path());
        all.find(|it| it.to_string_lossy().ends_with(".tfvars.json"))
    }
}

/// Nor after, or while, the provisioner does the same.
#[test]
fn by_the_provisioner() {
    let operator = Operator::new();
    let environment = &operator.environment;
    operator.does(0, &["init"]);
    operator.does(2, &["plan", "--no-install", "--json"]);
    operator.does_slowly(0, &["apply", "--no-install"], || true);
    operator.does(0, &["taint", "scalar.0"]);
    operator.does_slowly(2, &["plan", "--no-install"], || {
        operator.given().is_some_and(|it| {
            let text = fs::read_to_string(&it).unwrap_or_default();
            let mode = fs::metadata(&it).map(|it| it.permissions().mode() & 0o777);
            text.contains("Deployment Name") && mode.is_ok_and(|it| it == 0o600)
        })
    });
    for (code, arguments) in [
        (0, &["output"][..]),
        (0, &["inventory"]),
        (0, &["diagram"]),
        (0, &["cost"]),
        (0, &["state", "unlock"]),
        (1, &["destroy", "--yes"]),
    ] {
        operator.does(code, arguments);
    }
    // An error of Terraform's shows the line where it is.
    let wrong = environment.path().join("wrong.tf");
    fs::write(
        &wrong,
        "output \"own\" {\n  value = var.docker_password\n}\n",
    )
    .unwrap();
    operator.does(1, &["plan", "--no-install"]);
    fs::remove_file(wrong).unwrap();
    operator.does(2, &["plan", "--no-install"]);

    let places = search(environment.path());
    assert_eq!(places, EXPECTED.map(str::to_owned).into());
    let trace = fs::metadata(environment.path().join("trace.log")).unwrap();
    assert!(trace.len() > 1 << 20, "Terraform told little");
    // Nothing of it is left of what was for a moment.
    assert_eq!(operator.given(), None);
    search(&operator.temporary);
}

/// The files of an archive, by its table of contents.
fn unzip(archive: &[u8]) -> Vec<Vec<u8>> {
    let number = |at: usize, length: usize| {
        let bytes = archive[at..at + length].iter().rev();
        bytes.fold(0_usize, |all, it| all << 8 | usize::from(*it))
    };
    let starts = archive.windows(4).enumerate();
    let files: Vec<_> = starts
        .filter(|(_, it)| it == b"PK\x01\x02")
        .map(|(at, _)| {
            let (method, length, local) =
                (number(at + 10, 2), number(at + 20, 4), number(at + 42, 4));
            let start = local + 30 + number(local + 26, 2) + number(local + 28, 2);
            let packed = &archive[start..start + length];
            if method == 0 {
                return packed.to_vec();
            }
            let mut file = Vec::new();
            let mut unpack = flate2::read::DeflateDecoder::new(packed);
            unpack.read_to_end(&mut file).unwrap();
            file
        })
        .collect();
    // The plan, the state before and after, the configuration.
    assert!(files.len() >= 4, "{}", files.len());
    files
}
