//! Between Terraform's end and the first change on a machine: who makes a network is interrupted, or machines do not come up. A real Terraform makes
//! them in a cloud that is a stand-in's file, and they are hosts of our own at the addresses that it gives.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::ExitStatusExt as _},
    path::PathBuf,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::{Value, json};
use testkit::Program;

use crate::{operator::Operator, stand_in};

/// Machines by the names that Terraform gives them, and where they are.
const PLACES: [(&str, &str); 3] = [
    ("sdl-test-bastion-1", "10.91.0.10"),
    ("sdl-test-cassandra-1", "10.91.0.21"),
    ("sdl-test-scalardl-1", "10.91.0.22"),
];
/// What a machine gets that does not come up, and what is said then, on a busy one.
const PATIENCE: &str = "--timeout=3";
const ENDS: Duration = Duration::from_secs(90);

/// A network that Terraform has made nothing of yet: a bastion, and behind it one machine each that is watched.
struct Site {
    operator: Operator,
    configuration: PathBuf,
}

impl Site {
    fn start() -> Option<Self> {
        let operator = Operator::start(&["cassandra", "scalardl"])?;
        fs::remove_file(operator.path("env/hosts.yml")).unwrap();
        let place = |(name, address): (&str, &str)| {
            let mut place = json!({"private_ip": address});
            if name.contains("bastion") {
                place["public_ip"] = json!("10.90.0.10");
            }
            (name.to_owned(), place)
        };
        let places: serde_json::Map<_, _> = PLACES.map(place).into_iter().collect();
        fs::write(
            operator.path("places.json"),
            Value::Object(places).to_string(),
        )
        .unwrap();
        let config = json!({
            "name": "Test",
            "prefix": "sdl",
            "environment": "test",
            "aws_key_name": "key",
            "private_key_file": operator.hosts.key(),
            "allowed_cidrs": ["203.0.113.0/24"],
            "cassandra_instance_count": 1,
            "scalar_autoscaling_group_desire": 1,
            "tag": "1",
            "docker_user": "user",
            "docker_password": "a-password-0123456789",
            "services": [],
            "leave_out": ["alert-router", "grafana", "prometheus", "traefik"],
            "no_notifications": true,
            "artifacts": {"jolokia": {"path": parts::cassandra::Agent::Jolokia26.jar().unwrap()}},
        });
        let path = operator.path("env/config.json");
        fs::write(&path, config.to_string()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        Some(Self {
            operator,
            configuration: stand_in::configuration(),
        })
    }

    fn program(&self, words: &[&str]) -> Program {
        self.operator
            .program(words)
            .env("PROVISIONER_TERRAFORM", parts::terraform().unwrap())
            .env("TF_CLI_CONFIG_FILE", &self.configuration)
            .env("STAND_IN_CLOUD", self.operator.path("cloud.json"))
            .env("STAND_IN_ADDRESSES", self.operator.path("places.json"))
    }

    #[track_caller]
    fn ends(&self, words: &[&str], code: i32) -> String {
        let ended = self.program(words).run();
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{words:?}: {said}");
        said
    }

    /// What there is in the cloud.
    fn instances(&self) -> Vec<String> {
        let cloud = fs::read(self.operator.path("cloud.json")).unwrap();
        let cloud: Value = serde_json::from_slice(&cloud).unwrap();
        let instances = cloud["resources"]["aws_instance"].as_object().unwrap();
        instances.keys().cloned().collect()
    }

    fn is_installed(&self, host: &str) -> bool {
        let look = "test -e /opt/scalar-dl-monitoring/node-exporter";
        self.operator.hosts.shell(host, look).0
    }
}

#[test]
fn interrupted_and_late() {
    let Some(site) = Site::start() else {
        return;
    };
    site.ends(&["init"], 0);
    site.operator.hosts.kill("n2");

    // Terraform is done; one machine is not there yet. Somebody presses Ctrl-C.
    let words = ["apply", "--yes", "--json"];
    let running = site.program(&words).start();
    running.line("waiting for 3 machines to let us in");
    running.signal(Signal::INT);
    running.line("nothing was installed; `apply` goes on from there");
    assert_eq!(running.ended().code(), Some(130));
    let made = site.instances();
    assert_eq!(made.len(), 3);

    // Machines are there, and nobody was on that one: it is waited for again. This time, nobody can clean up.
    let running = site.program(&words).start();
    running.line("waiting for ");
    running.signal(Signal::KILL);
    assert_eq!(running.ended().signal(), Some(9));
    assert!(!site.is_installed("bastion") && !site.is_installed("n1"));

    // It never comes: that is said in time, with all that helps, and nothing is half done.
    let begin = Instant::now();
    let said = site.ends(&["apply", "--yes", PATIENCE], 1);
    assert!(begin.elapsed() < ENDS, "{:?}", begin.elapsed());
    let inventory = fs::read(site.operator.path("env/inventory.json")).unwrap();
    let inventory: Value = serde_json::from_slice(&inventory).unwrap();
    let mut hosts = inventory["hosts"].as_array().unwrap().iter();
    let late = hosts.find(|it| it["name"] == "scalardl-1").unwrap();
    let id = late["instance_id"].as_str().unwrap();
    for expect in [
        "1 machine did not let us in within 3 s, so nothing was installed",
        &format!("scalardl-1 (10.91.0.22, {id}): it cannot be reached"),
        &format!("aws ec2 get-console-output --latest --output text --instance-id {id}"),
        "these do: bastion-1, cassandra-1; ",
        "env apply` goes on from there",
    ] {
        assert!(said.contains(expect), "{expect}: {said}");
    }
    assert!(!site.is_installed("bastion") && !site.is_installed("n1"));
    let journal = fs::read_to_string(site.operator.path("env/journal.log")).unwrap();
    let line = "\"node\":\"scalardl-1\",\"result\":\"does not let us in\"";
    assert!(journal.contains(line), "{journal}");

    // It is there at last: the same machines, all of them complete.
    site.operator.hosts.boot("n2");
    let said = site.ends(&["apply", "--yes"], 0);
    assert!(said.contains("no resource differs"), "{said}");
    assert!(said.contains("3 of 3 nodes changed"), "{said}");
    assert_eq!(site.instances(), made);
    let said = site.ends(&["apply", "--yes"], 0);
    assert!(said.contains("3 nodes looked at, 0 differ"), "{said}");
    for host in ["bastion", "n1", "n2"] {
        assert!(site.is_installed(host), "{host}");
    }

    // A machine was stopped: the command of a message starts it, though nobody can be asked.
    let stopped = |state: &str| {
        let path = site.operator.path("cloud.json");
        let mut cloud: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let its = &mut cloud["resources"]["aws_instance"][id]["instance_state"];
        let before = its.as_str().unwrap_or_default().to_owned();
        if !state.is_empty() {
            *its = json!(state);
            fs::write(path, cloud.to_string()).unwrap();
        }
        before
    };
    stopped("stopped");
    site.operator.hosts.kill("n2");
    let said = std::thread::scope(|scope| {
        let run = scope.spawn(|| site.ends(&["recover", "scalardl-1"], 0));
        testkit::eventually("Terraform has started it", ENDS, || {
            (stopped("") == "running").then_some(())
        });
        site.operator.hosts.boot("n2");
        run.join().unwrap()
    });
    assert!(said.contains("start scalardl-1: it is stopped"), "{said}");
    assert!(
        said.contains("scalardl-1: plan and apply brought it back"),
        "{said}"
    );
    // To replace one is somebody's decision.
    let said = site.ends(&["replace", "scalardl-1"], 1);
    assert!(said.contains("nobody can be asked here"), "{said}");
    assert_eq!(site.instances(), made);
}

#[test]
fn without_a_way() {
    let Some(site) = Site::start() else {
        return;
    };
    site.operator.hosts.kill("bastion");
    let said = site.ends(&["apply", "--yes", PATIENCE], 1);
    for expect in [
        "bastion-1 (10.90.0.10, i-",
        "these are behind it: cassandra-1, scalardl-1",
    ] {
        assert!(said.contains(expect), "{expect}: {said}");
    }
    site.operator.hosts.boot("bastion");
    site.ends(&["apply", "--yes"], 0);
}
