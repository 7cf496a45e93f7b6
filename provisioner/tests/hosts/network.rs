//! The whole network, from one config.json: a real Terraform makes the machines, in a cloud that is a stand-in's file, and they are hosts of our
//! own at the addresses that it gives. Prometheus, alert-router, Cassandra, Traefik and podman are real; the ledger is a stand-in.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use parts::cassandra::NEWEST;
use serde_json::{Value, json};
use testkit::{Program, binary};

use crate::{
    containers::Image,
    operate::told,
    operator::{INBOX, Operator},
    ring::{archives, prepare},
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
}

impl Site {
    fn start() -> Option<Self> {
        // The operator knows their roles from Terraform alone.
        let operator = Operator::start(&["host"; 8])?;
        let archives = archives(&operator.path("tmp"))?;
        let site = Self {
            operator,
            configuration: stand_in::configuration(),
            archives,
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
        site.receive();
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
        let config = json!({
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
            "slack_webhook_url": "http://127.0.0.1:8025/slack",
            "smtp_smarthost": "127.0.0.1:8026",
            "smtp_from": "alerts@example.com",
            "alert_email": "team@example.com",
            "smtp_require_tls": false,
            "artifacts": {
                "cassandra": {"path": cassandra, "version": NEWEST},
                "java": {"path": java, "version": "17"},
                "jolokia": {"path": parts::cassandra::Agent::Jolokia26.jar().unwrap()},
                "prometheus": {"path": parts::find("prometheus").unwrap().path},
                "traefik": {"path": parts::traefik("3.7.15").unwrap(), "version": "3.7.15"},
            },
        });
        let path = self.path("env/config.json");
        fs::write(&path, config.to_string()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// What stands for Slack and the mail server, on the monitor.
    fn receive(&self) {
        let receive = "cp /proc/self/fd/0 /usr/local/bin/inbox && chmod +x /usr/local/bin/inbox";
        let hosts = &self.operator.hosts;
        assert_eq!(hosts.feed("n8", receive, &binary("provisioner")), "");
        self.operator.shell("n8", INBOX);
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

    /// Terminates a machine as somebody does in AWS' console, while another one comes in its place.
    fn terminate(&self, name: &str) {
        let id = self.instance(name);
        let path = self.path("cloud.json");
        let mut cloud: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let instances = cloud["resources"]["aws_instance"].as_object_mut().unwrap();
        assert!(instances.remove(&id).is_some(), "{id}");
        fs::write(path, cloud.to_string()).unwrap();
        self.renew(name);
    }

    fn renew(&self, name: &str) {
        let (_, host) = MACHINES.iter().find(|it| it.0 == name).unwrap();
        self.operator.hosts.renew(host);
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
    let said = site.ends(&["apply", "--yes"], 0);
    assert!(said.contains("9 of 9 nodes changed"), "{said}");
    let said = site.ends(&["apply", "--yes"], 0);
    assert!(said.contains("no resource differs"), "{said}");
    assert!(said.contains("9 nodes looked at, 0 differ"), "{said}");
    site.ends(&["plan"], 0);
    site.ends(&["verify"], 0);

    // A ledger is stopped.
    operator.shell("n4", "systemctl stop scalardl");
    let id = site.instance("scalardl-1");
    let message = told(operator, "n8", &["LedgerDown", "scalardl-1", &id]);
    let said = site.pastes(&message, "recover scalardl-1");
    assert!(
        said.contains("scalardl-1: its services were started again"),
        "{said}"
    );
    told(operator, "n8", &["resolved", "LedgerDown", "scalardl-1"]);

    // A machine is terminated: another one has its place, with another key.
    let before = site.instance("scalardl-2");
    site.terminate("scalardl-2");
    let message = told(operator, "n8", &["HostDown", "scalardl-2", &before]);
    let said = site.pastes(&message, "recover scalardl-2");
    assert!(
        said.contains("scalardl-2: plan and apply brought it back"),
        "{said}"
    );
    assert_ne!(site.instance("scalardl-2"), before);
    told(operator, "n8", &["resolved", "HostDown", "scalardl-2"]);

    // The entry point is replaced as the guide does it.
    let before = site.instance("traefik-1");
    let said = site.ends(
        &["taint", "-module=service.traefik", "aws_instance.instance"],
        0,
    );
    let address = "module.service.module.traefik.aws_instance.instance[0]";
    assert!(said.contains(address), "{said}");
    site.renew("traefik-1");
    let said = site.ends(&["apply", "--yes"], 0);
    assert!(said.contains("(traefik-1): it is tainted"), "{said}");
    assert_ne!(site.instance("traefik-1"), before);
    site.ends(&["verify", "--no-alert"], 0);

    // By its number, and with what it could tell kept.
    site.renew("scalardl-3");
    let said = site.ends(&["replace", "scalar", "3", "--yes"], 0);
    assert!(said.contains("scalardl-3: replaced, and healthy"), "{said}");

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
