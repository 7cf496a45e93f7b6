//! An environment that Terraform works in, with a cloud of its own in a file.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Map, Value, json};
use tempfile::TempDir;
use testkit::{Ended, Program, binary, root};

use crate::stand_in::configuration;

/// What no process of Terraform's is to see.
pub(crate) const PASSWORD: &str = "hunter-of-the-environment";

/// A planned change: the resource's address, what is done to it, and the arguments that make it a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) address: String,
    pub(crate) actions: Vec<String>,
    pub(crate) replaced_for: String,
}

impl Change {
    /// Whether the resource that is there goes.
    pub(crate) fn deletes(&self) -> bool {
        self.actions.iter().any(|it| it == "delete")
    }

    pub(crate) fn text(&self) -> String {
        format!("{} {}", self.address, self.actions.join("+"))
    }
}

pub(crate) struct Environment {
    folder: TempDir,
    /// Terraform, or OpenTofu.
    pub(crate) terraform: PathBuf,
    configuration: PathBuf,
}

/// A configuration as the guide's example has it, and more.
pub(crate) fn config(more: &Value) -> Value {
    let mut config = json!({
        "name": "Deployment Name",
        "prefix": "sdl",
        "environment": "sandbox",
        "tag": "3.10.0",
        "aws_key_name": "key",
        "docker_user": "user",
        "docker_password": "${env:STAND_IN_PASSWORD}",
        "no_notifications": true,
        "private_key_file": "~/.ssh/private.pem",
        "allowed_cidrs": ["203.0.113.0/24"],
    });
    let all = config.as_object_mut().unwrap();
    all.extend(more.as_object().cloned().unwrap_or_default());
    config
}

impl Environment {
    /// A new one, after `terraform init`.
    #[track_caller]
    pub(crate) fn new(more: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(&root().join("provisioner/terraform"), folder.path());
        let new = Self {
            folder,
            terraform: parts::terraform().unwrap(),
            configuration: configuration(),
        };
        new.configure(more);
        new.does(&["init"]);
        new
    }

    /// One whose machines are there: the guide's example, applied once for all tests.
    #[track_caller]
    pub(crate) fn applied() -> Self {
        static FIRST: Mutex<Option<Environment>> = Mutex::new(None);
        let mut first = FIRST.lock().unwrap_or_else(PoisonError::into_inner);
        let first = first.get_or_insert_with(|| {
            let new = Self::new(&json!({}));
            new.plan_and_apply();
            new
        });
        first.again()
    }

    /// The same environment in another folder, with the same cloud at this moment.
    pub(crate) fn again(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(self.path(), folder.path());
        Self {
            folder,
            terraform: self.terraform.clone(),
            configuration: self.configuration.clone(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes its config.json.
    pub(crate) fn configure(&self, more: &Value) {
        let text = config(more).to_string();
        fs::write(self.path().join("config.json"), text).unwrap();
    }

    pub(crate) fn terraform(&self, arguments: &[&str]) -> Ended {
        Program::at(&self.terraform)
            .args([format!("-chdir={}", self.path().display())])
            .args(arguments)
            .env("TF_CLI_CONFIG_FILE", &self.configuration)
            .env("TF_IN_AUTOMATION", "1")
            .env("STAND_IN_CLOUD", self.cloud_file())
            .patience(Duration::from_secs(240))
            .run()
    }

    /// A command of Terraform's as the provisioner says that it is to be typed.
    pub(crate) fn typed(&self, command: &str) -> String {
        format!("`{} {command}", self.terraform.display())
    }

    /// The provisioner, on this environment; a cloud of machines that nobody can reach.
    pub(crate) fn command(&self, arguments: &[&str]) -> Program {
        let program = Program::new("provisioner");
        self.prepared(
            program
                .args(["-e".as_ref(), self.path().as_os_str()])
                .args(arguments),
        )
    }

    /// The same in a shell.
    pub(crate) fn piped(&self, command: &str) -> Ended {
        let script = format!("\"$0\" -e \"$1\" {command}");
        let own = binary("provisioner");
        let shell = Program::at("sh").args(["-c", &script]);
        self.prepared(shell.args([own.as_path(), self.path()]))
            .run()
    }

    /// A program with what it needs for Terraform to find the stand-in and this cloud.
    pub(crate) fn prepared(&self, program: Program) -> Program {
        program
            .env("PROVISIONER_TERRAFORM", &self.terraform)
            .env("TF_CLI_CONFIG_FILE", &self.configuration)
            .env("STAND_IN_CLOUD", self.cloud_file())
            .env("STAND_IN_PASSWORD", PASSWORD)
            .patience(Duration::from_secs(240))
    }

    /// The provisioner's exit code, and what it wrote: both of it.
    pub(crate) fn provisioner(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let ended = self.command(arguments).run();
        (ended.status.code(), ended.stdout + &ended.stderr)
    }

    /// What must end with a code.
    #[track_caller]
    pub(crate) fn provisions(&self, code: i32, arguments: &[&str]) -> String {
        let (found, said) = self.provisioner(arguments);
        assert_eq!(found, Some(code), "{arguments:?}: {said}");
        said
    }

    /// What must go well.
    #[track_caller]
    pub(crate) fn does(&self, arguments: &[&str]) -> String {
        let ended = self.terraform(arguments);
        assert!(ended.status.success(), "{arguments:?}: {}", ended.stderr);
        ended.stdout
    }

    /// The guide's plan, with more arguments.
    pub(crate) fn try_plan(&self, more: &[&str]) -> Ended {
        let plan = ["plan", "-no-color", "--var-file", "config.json", "-out"];
        self.terraform(&[&plan[..], &["plan.out", "-detailed-exitcode"][..], more].concat())
    }

    /// What it would change.
    #[track_caller]
    pub(crate) fn plan(&self, more: &[&str]) -> Vec<Change> {
        let ended = self.try_plan(more);
        let code = ended.status.code();
        assert!(matches!(code, Some(0 | 2)), "{}", ended.stderr);
        let changes = self.changes();
        assert_eq!(code == Some(0), changes.is_empty(), "{changes:?}");
        changes
    }

    /// What the last plan would change.
    pub(crate) fn changes(&self) -> Vec<Change> {
        let shown = self.does(&["show", "-json", "plan.out"]);
        let shown: Value = serde_json::from_str(&shown).unwrap();
        let changes = shown["resource_changes"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        changes
            .filter(|it| it["mode"] == "managed" && it["change"]["actions"] != json!(["no-op"]))
            .map(|it| Change {
                address: text(&it["address"]),
                actions: it["change"]["actions"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(text)
                    .collect(),
                replaced_for: it["change"]["replace_paths"].to_string(),
            })
            .collect()
    }

    #[track_caller]
    pub(crate) fn apply(&self) {
        self.does(&["apply", "-no-color", "plan.out"]);
    }

    #[track_caller]
    pub(crate) fn plan_and_apply(&self) -> Vec<Change> {
        let changes = self.plan(&[]);
        self.apply();
        changes
    }

    pub(crate) fn output(&self, name: &str) -> Value {
        serde_json::from_str(&self.does(&["output", "-json", name])).unwrap()
    }

    /// Lets the cloud do nothing for as long as the answer is kept.
    pub(crate) fn hold_cloud(&self) -> fs::File {
        let file = fs::File::create(self.path().join("cloud.json.lock")).unwrap();
        file.lock().unwrap();
        file
    }

    fn cloud_file(&self) -> PathBuf {
        self.path().join("cloud.json")
    }

    pub(crate) fn cloud(&self) -> Value {
        serde_json::from_slice(&fs::read(self.cloud_file()).unwrap()).unwrap()
    }

    /// Does to the cloud what somebody does in AWS' console.
    pub(crate) fn change_cloud(&self, change: impl FnOnce(&mut Value)) {
        let mut cloud = self.cloud();
        change(&mut cloud);
        fs::write(self.cloud_file(), cloud.to_string()).unwrap();
    }

    /// The cloud's resources of a type, by id.
    pub(crate) fn resources(&self, kind: &str) -> Map<String, Value> {
        let found = self.cloud()["resources"][kind].clone();
        found.as_object().cloned().unwrap_or_default()
    }

    /// The id of the machine of a name.
    pub(crate) fn instance(&self, name: &str) -> String {
        let inventory = self.output("inventory");
        let mut hosts = inventory["hosts"].as_array().unwrap().iter();
        let found = hosts.find(|it| it["name"] == name).unwrap();
        found["instance_id"].as_str().unwrap().to_owned()
    }
}

/// Copies a folder with its links.
fn copy(from: &Path, to: &Path) {
    let ended = Program::at("cp")
        .args(["-a".as_ref(), from.join(".").as_os_str(), to.as_os_str()])
        .run();
    assert!(ended.status.success(), "{}", ended.stderr);
}
