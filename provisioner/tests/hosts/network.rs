//! The whole network, from one config.json: a real Terraform makes the machines, in a cloud that is a stand-in's file, and they are hosts of our
//! own at the addresses that it gives. Prometheus, alert-router, Cassandra, Traefik and podman are real; the ledger is a stand-in.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use parts::cassandra::NEWEST;
use serde_json::{Value, json};
use testkit::{Disk, Program, eventually};

use crate::{
    containers::Image,
    operate::told,
    operator::{Operator, receivers},
    ring::{archives, prepare},
    see::{interrupt, text_with},
    stand_in,
};

/// Everything on nine machines, on a few processors.
const PATIENCE: Duration = Duration::from_secs(540);
/// Machines by the names that Terraform gives them, after the prefix and the environment, and hosts.
const MACHINES: [(&str, &str); 9] = [
    ("bastion-1", "bastion"),
    ("cassandra-1", "n1"),
    ("cassandra-2", "n2"),
    ("cassandra-3", "n3"),
    ("scalardl-1", "n4"),
    ("scalardl-2", "n5"),
    ("scalardl-3", "n6"),
    ("traefik-1", "n7"),
    ("monitor-1", "n8"),
];

/// The network, and the operator who makes it.
struct Site {
    operator: Operator,
    configuration: PathBuf,
    /// Of Cassandra and Java.
    archives: [PathBuf; 2],
    /// The monitor's, which stays when the machine goes.
    disk: Disk,
    /// How often something was opened.
    opened: AtomicUsize,
}

impl Site {
    fn start() -> Option<Self> {
        // The operator knows their roles from Terraform alone.
        let operator = Operator::start(&["host"; 8])?;
        let archives = archives(&operator.path("tmp"))?;
        let disk = Disk::new(&operator.path("tmp"), 512 << 20)?;
        let site = Self {
            operator,
            configuration: stand_in::configuration(),
            archives,
            disk,
            opened: AtomicUsize::new(0),
        };
        for host in ["n1", "n2", "n3"] {
            prepare(&site.operator, host);
        }
        fs::remove_file(site.path("env/hosts.yml")).unwrap();
        let address = |(name, host): (&str, &str)| {
            let private = match host {
                "bastion" => "10.91.0.10".to_owned(),
                host => host.replace('n', "10.91.0.2"),
            };
            let mut place = json!({"private_ip": private});
            if host == "bastion" {
                place["public_ip"] = json!("10.90.0.10");
            }
            (format!("sdl-test-{name}"), place)
        };
        let places: serde_json::Map<_, _> = MACHINES.map(address).into_iter().collect();
        fs::write(site.path("places.json"), Value::Object(places).to_string()).unwrap();
        site.configure();
        site.operator.receive("n8");
        Some(site)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.operator.path(name)
    }

    fn configure(&self) {
        let (ledger, loader) = (self.path("ledger.tar"), self.path("loader.tar"));
        Image::new(&["load-schema"]).save(&loader);
        let [cassandra, java] = &self.archives;
        Image::new(&["serve-ledger", "--address=0.0.0.0", "--decommissioning=1"]).save(&ledger);
        let mut config = json!({
            "name": "Test",
            "prefix": "sdl",
            "environment": "test",
            "aws_key_name": "key",
            "private_key_file": self.operator.hosts.key(),
            "allowed_cidrs": ["203.0.113.0/24"],
            "traefik_instance_count": 1,
            "monitor_instance_count": 1,
            "cassandra_heap_mb": 192,
            "cassandra_ebs_volume_size": "0",
            "scalar_image_archive": ledger,
            "scalar_schema_image_archive": loader,
            "tag": "1",
            "docker_user": "user",
            "docker_password": "a-password-0123456789",
            "leave_out": ["grafana"],
            "artifacts": {
                "cassandra": {"path": cassandra, "version": NEWEST},
                "java": {"path": java, "version": "17"},
                "jolokia": {"path": parts::cassandra::Agent::Jolokia26.jar().unwrap()},
                "prometheus": {"path": parts::find("prometheus").unwrap().path},
                "traefik": {"path": parts::traefik("3.7.15").unwrap(), "version": "3.7.15"},
            },
        });
        let told = receivers().as_object().unwrap().clone();
        config.as_object_mut().unwrap().extend(told);
        let path = self.path("env/config.json");
        fs::write(&path, config.to_string()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn program(&self, words: &[&str]) -> Program {
        self.operator
            .program(words)
            .env("PROVISIONER_TERRAFORM", parts::terraform().unwrap())
            .env("TF_CLI_CONFIG_FILE", &self.configuration)
            .env("STAND_IN_CLOUD", self.path("cloud.json"))
            .env("STAND_IN_ADDRESSES", self.path("places.json"))
            .patience(PATIENCE)
    }

    #[track_caller]
    fn ends(&self, words: &[&str], code: i32) -> String {
        let ended = self.program(words).run();
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{words:?}: {said}");
        said
    }

    /// The instance id of a machine.
    fn instance(&self, name: &str) -> String {
        let inventory = fs::read_to_string(self.path("env/inventory.json")).unwrap();
        let inventory: Value = serde_json::from_str(&inventory).unwrap();
        let mut hosts = inventory["hosts"].as_array().unwrap().iter();
        let found = hosts.find(|it| it["name"] == name).unwrap();
        found["instance_id"].as_str().unwrap().to_owned()
    }

    /// Its name among the hosts.
    fn host(name: &str) -> &'static str {
        MACHINES.iter().find(|it| it.0 == name).unwrap().1
    }

    /// The cloud as it is at the moment.
    fn cloud(&self) -> Value {
        let text = fs::read(self.path("cloud.json")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// What somebody does to machines in AWS' console.
    fn by_hand(&self, change: impl FnOnce(&mut Value)) {
        let mut cloud = self.cloud();
        change(&mut cloud["resources"]["aws_instance"]);
        fs::write(self.path("cloud.json"), cloud.to_string()).unwrap();
    }

    /// Terminates a machine: nothing answers at its address until another one has it.
    fn terminate(&self, name: &str) {
        let id = self.instance(name);
        self.by_hand(|it| drop(it.as_object_mut().unwrap().remove(&id).unwrap()));
        self.operator.hosts.kill(Self::host(name));
    }

    fn switch_off(&self, name: &str) {
        let id = self.instance(name);
        self.by_hand(|it| it[&id]["instance_state"] = json!("stopped"));
        self.operator.hosts.kill(Self::host(name));
    }

    /// Runs a command, and does to hosts what the cloud does when its machines are so.
    fn meanwhile<T>(
        &self,
        are_so: impl Fn(&Value) -> bool + Sync,
        then: impl FnOnce() + Send,
        command: impl FnOnce() -> T,
    ) -> T {
        /// Says that the command has ended, also when it has failed.
        struct End<'a>(&'a AtomicBool);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let has_ended = AtomicBool::new(false);
        thread::scope(|scope| {
            let cloud = scope.spawn(|| {
                let are = eventually("the cloud", PATIENCE, || {
                    let are_so = are_so(&self.cloud()["resources"]);
                    (are_so || has_ended.load(Ordering::Relaxed)).then_some(are_so)
                });
                assert!(are, "the command did nothing to the cloud's machines");
                then();
            });
            let end = End(&has_ended);
            let result = command();
            drop(end);
            cloud.join().unwrap();
            result
        })
    }

    /// A machine goes, and another one comes in its place, by a command.
    fn replaced<T>(
        &self,
        name: &str,
        then: impl FnOnce() + Send,
        command: impl FnOnce() -> T,
    ) -> T {
        let before = self.instance(name);
        let result = self.meanwhile(
            |it| it["aws_instance"].is_object() && it["aws_instance"][&before].is_null(),
            || {
                self.operator.hosts.renew(Self::host(name));
                then();
            },
            command,
        );
        assert_ne!(self.instance(name), before);
        result
    }

    /// Plugs the monitor's disk into it.
    fn plug(&self) {
        let volumes = self.cloud()["resources"]["aws_ebs_volume"].clone();
        let volumes = volumes.as_object().unwrap();
        let [id] = volumes.keys().collect::<Vec<_>>()[..] else {
            panic!("{volumes:?}");
        };
        let serial = id.replace('-', "");
        self.operator.hosts.plug("n8", &self.disk, &serial);
    }

    /// The message about a machine that people get by Slack and by mail, with the command that recovers it.
    fn told(&self, alert: &str, name: &str, id: &str) -> String {
        let command = format!("provisioner -e test recover {name}");
        told(&self.operator, "n8", &[alert, name, id, &command])
    }

    fn told_of_end(&self, alert: &str, name: &str) {
        told(&self.operator, "n8", &["resolved", alert, name]);
    }

    /// What programs of the monitor answer to somebody who opens them.
    fn asks(
        &self,
        program: &str,
        requests: &[&(dyn Fn(&client::Client) -> client::RequestBuilder + Sync)],
    ) -> Vec<Value> {
        let opened = format!("opened-{}", self.opened.fetch_add(1, Ordering::Relaxed));
        let password = fs::read_to_string(self.path("env/secrets/operator")).unwrap();
        let (open, said) = self.operator.begin(&["open", program], &opened);
        text_with(&said, "Ctrl-C closes it");
        let answers = requests.iter().map(|request| {
            let (status, text) = self.operator.asks(*request, password.trim());
            assert_eq!(status, 200, "{text}");
            serde_json::from_str(&text).unwrap()
        });
        let answers = answers.collect();
        assert_eq!(interrupt(open), Some(0));
        answers
    }

    /// As it is pasted from a message, beside the environment's folder, by somebody who says yes.
    fn pastes(&self, message: &str, command: &str) -> String {
        assert!(
            message.contains(&format!("provisioner -e test {command}")),
            "{message}"
        );
        let words: Vec<_> = command.split(' ').chain(["--yes"]).collect();
        self.ends(&words, 0)
    }
}

/// What a folder holds that is not to be there.
fn holds(folder: &Path, secret: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holds(&path, secret));
        } else if let Ok(bytes) = fs::read(&path)
            && bytes
                .windows(secret.len())
                .any(|it| it == secret.as_bytes())
        {
            found.push(path);
        }
    }
    found
}

#[test]
fn from_one_config_and_healed() {
    let Some(site) = Site::start() else {
        return;
    };
    let operator = &site.operator;
    site.ends(&["init"], 0);
    let is_attached = |it: &Value| {
        let attached = it["aws_volume_attachment"].as_object();
        attached.is_some_and(|it| !it.is_empty())
    };
    let said = site.meanwhile(
        is_attached,
        || site.plug(),
        || site.ends(&["apply", "--yes"], 0),
    );
    assert!(said.contains("9 of 9 nodes changed"), "{said}");
    let said = site.ends(&["apply", "--yes"], 0);
    assert!(said.contains("no resource differs"), "{said}");
    assert!(said.contains("9 nodes looked at, 0 differ"), "{said}");
    site.ends(&["plan"], 0);
    site.ends(&["verify"], 0);

    // The entry point and a ledger are stopped, and a machine is switched off in the same minute.
    operator.shell("n7", "systemctl stop traefik");
    operator.shell("n4", "systemctl stop scalardl");
    site.switch_off("scalardl-3");
    let message = site.told("TraefikDown", "traefik-1", &site.instance("traefik-1"));
    let said = site.pastes(&message, "recover traefik-1");
    assert!(
        said.contains("traefik-1: its services were started again"),
        "{said}"
    );
    let message = site.told("LedgerDown", "scalardl-1", &site.instance("scalardl-1"));
    let said = site.pastes(&message, "recover scalardl-1");
    assert!(
        said.contains("scalardl-1: its services were started again"),
        "{said}"
    );
    let id = site.instance("scalardl-3");
    let message = site.told("HostDown", "scalardl-3", &id);
    let said = site.meanwhile(
        |it| it["aws_instance"][&id]["instance_state"] == "running",
        || operator.hosts.boot("n6"),
        || site.pastes(&message, "recover scalardl-3"),
    );
    for expect in [
        "start scalardl-3: it is stopped",
        "scalardl-3: plan and apply brought it back",
    ] {
        assert!(said.contains(expect), "{said}");
    }
    assert_eq!(site.instance("scalardl-3"), id);
    // Before anything is done to them again, which would keep their ends quiet.
    site.told_of_end("TraefikDown", "traefik-1");
    site.told_of_end("LedgerDown", "scalardl-1");
    site.told_of_end("HostDown", "scalardl-3");

    // The entry point is replaced as the guide does it.
    let said = site.ends(
        &["taint", "-module=service.traefik", "aws_instance.instance"],
        0,
    );
    let address = "module.service.module.traefik.aws_instance.instance[0]";
    assert!(said.contains(address), "{said}");
    let said = site.replaced("traefik-1", || {}, || site.ends(&["apply", "--yes"], 0));
    assert!(said.contains("(traefik-1): it is tainted"), "{said}");

    // By its number, and with what it could tell kept.
    let replace = ["replace", "scalar", "3", "--yes"];
    let said = site.replaced("scalardl-3", || {}, || site.ends(&replace, 0));
    assert!(said.contains("scalardl-3: replaced, and healthy"), "{said}");

    monitor_replaced(&site);

    // A machine is terminated: another one has its place, with another key. The new monitor tells of it.
    let before = site.instance("scalardl-2");
    site.terminate("scalardl-2");
    let message = site.told("HostDown", "scalardl-2", &before);
    let said = site.meanwhile(
        |it| {
            let all = it["aws_instance"].as_object();
            all.is_some_and(|it| it.len() == MACHINES.len())
        },
        || operator.hosts.renew("n5"),
        || site.pastes(&message, "recover scalardl-2"),
    );
    assert!(
        said.contains("scalardl-2: plan and apply brought it back"),
        "{said}"
    );
    assert_ne!(site.instance("scalardl-2"), before);
    site.told_of_end("HostDown", "scalardl-2");
    site.ends(&["verify", "--no-alert"], 0);

    // A node of Cassandra is not replaced by the way.
    let said = site.ends(&["replace", "cassandra-1", "--yes"], 1);
    assert!(said.contains("this would take what is stateful"), "{said}");
    let said = site.ends(&["destroy", "--yes"], 1);
    assert!(said.contains("--keep-data"), "{said}");

    let secrets = ["a-password-0123456789"];
    for secret in secrets {
        let found = holds(&site.path("env"), secret);
        assert_eq!(found, [site.path("env/config.json")]);
    }
}

/// What the monitor knew is on its disk, and the next machine has it.
fn monitor_replaced(site: &Site) {
    let operator = &site.operator;
    let mounted = operator.shell("n8", "grep ' /var/lib/monitor ' /proc/mounts");
    assert!(mounted.starts_with(site.disk.device()), "{mounted}");
    let alerts = "https://127.0.0.1:9093/api/v2";
    let now = jiff::Timestamp::now();
    let silence = json!({
        "matchers": [{"name": "alertname", "value": "Nothing", "isRegex": false}],
        "startsAt": now.to_string(),
        "endsAt": (now + jiff::SignedDuration::from_hours(2)).to_string(),
        "createdBy": "operator",
        "comment": "from before",
    });
    let told = format!("{alerts}/history?kind=notification&alertname=LedgerDown");
    let silences = format!("{alerts}/silences");
    let before = site.asks(
        "alerts",
        &[&|it| it.post(&silences).json(&silence), &|it| it.get(&told)],
    );
    let is_up = format!(
        "https://127.0.0.1:9090/api/v1/query?time={}&query=up%7Binstance%3D%22cassandra-1%22,job%3D%22node%22%7D",
        now.as_second()
    );
    let was_up = site.asks("prometheus", &[&|it| it.get(&is_up)]);
    assert_eq!(
        was_up[0]["data"]["result"][0]["value"][1], "1",
        "{was_up:?}"
    );

    let come = || {
        // Somebody else has the number that was Prometheus'.
        operator.shell("n8", "useradd --system --user-group somebody");
        site.plug();
        operator.receive("n8");
    };
    let replace = ["replace", "monitor", "1", "--yes"];
    let said = site.replaced("monitor-1", come, || site.ends(&replace, 0));
    assert!(said.contains("monitor-1: replaced, and healthy"), "{said}");

    let after = site.asks("alerts", &[&|it| it.get(&silences), &|it| it.get(&told)]);
    let id = &before[0]["silenceID"];
    let kept = after[0]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["id"] == *id);
    assert_eq!(kept.unwrap()["status"]["state"], "active", "{after:?}");
    let (was_told, is_told) = (&before[1].as_array().unwrap(), after[1].as_array().unwrap());
    assert!(!was_told.is_empty());
    assert!(
        was_told.iter().all(|it| is_told.contains(it)),
        "{is_told:?}"
    );
    assert_eq!(site.asks("prometheus", &[&|it| it.get(&is_up)]), was_up);
}
