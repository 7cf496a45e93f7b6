//! Where an operator sits: an environment's folder, and machines in namespaces that only its bastion leads to.

use std::{
    collections::BTreeSet,
    fs,
    os::{fd::AsFd as _, unix::fs::PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::{Value, json};
use testkit::{Ended, Hosts, Program, Running, binary, skip};

/// What is looked at before and after: all files but those that the system itself writes.
pub(crate) const FILES: &str = "find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/log \
    -o -path /var/lib/systemd -o -path /var/lib/private -o -path /var/lib/sudo -o -path /var/cache \\) -prune -o -print | grep -v 'sudo_as_admin_successful$\\|^/etc/\\(passwd\\|group\\|shadow\\|gshadow\\|subuid\\|subgid\\)-\\?$' | sort";

/// Keys of config.json that have people told by [`INBOX`].
pub(crate) fn receivers() -> Value {
    json!({
        "slack_webhook_url": "http://127.0.0.1:8025/slack",
        "smtp_smarthost": "127.0.0.1:8026",
        "smtp_from": "alerts@example.com",
        "alert_email": "team@example.com",
        "smtp_require_tls": false,
    })
}

/// Starts what stands for Slack and the mail server on a monitor.
pub(crate) const INBOX: &str = "systemd-run -q --unit=inbox /usr/local/bin/inbox local serve-inbox --http=8025 --smtp=8026 --file=/srv/inbox.jsonl";

/// An installation on many machines takes a while on a few processors.
const PATIENCE: Duration = Duration::from_secs(300);

/// An operator's folder, and the machines that are reached from where the operator sits.
pub(crate) struct Operator {
    pub(crate) hosts: Hosts,
    folder: tempfile::TempDir,
}

impl Operator {
    /// A bastion and hosts `n1`, `n2`, … of these roles. None where that cannot be.
    pub(crate) fn start(roles: &[&str]) -> Option<Self> {
        Self::start_with(roles, &[])
    }

    /// The same, with folders of this machine that the hosts see.
    pub(crate) fn start_with(roles: &[&str], binds: &[(&Path, &str)]) -> Option<Self> {
        for program in ["node-exporter", "provisioner"] {
            assert!(binary(program).is_file());
        }
        let folder = tempfile::Builder::new().prefix("hosts").tempdir().unwrap();
        let machines = folder.path().join("machines");
        fs::create_dir(&machines).unwrap();
        let Some(hosts) = Hosts::start_with(&machines, roles.len(), binds) else {
            skip("needs root, for machines in namespaces");
            return None;
        };
        let operator = Self { hosts, folder };
        for name in ["env", "tmp"] {
            fs::create_dir(operator.path(name)).unwrap();
        }
        operator.configure(&json!({}));
        let mut list = "defaults: {user: admin, bastion: bastion}\nhosts:\n  - {name: bastion, address: 10.90.0.10, private_address: 10.91.0.10, role: bastion}\n".to_owned();
        for (at, role) in roles.iter().enumerate() {
            let (number, address) = (at + 1, 21 + at);
            list += &format!(
                "  - {{name: n{number}, address: 10.91.0.{address}, role: {role}, zone: z{number}, instance_id: i-{number:08}}}\n"
            );
        }
        fs::write(operator.path("env/hosts.yml"), list).unwrap();
        // What was there before us.
        for (at, role) in roles.iter().enumerate() {
            if ["cassandra", "traefik"].contains(role) {
                operator.shell(
                    &format!("n{}", at + 1),
                    &format!("useradd --system --user-group {role}"),
                );
            }
        }
        Some(operator)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes config.json, with more keys.
    pub(crate) fn configure(&self, more: &Value) {
        let mut config = json!({
            "target": "hosts",
            "name": "Test",
            "prefix": "test",
            "environment": "test",
            "no_notifications": true,
            "leave_out": ["alert-router", "grafana", "prometheus"],
            "private_key_file": self.hosts.key(),
            "known_hosts_file": self.hosts.known_hosts(),
        });
        let entries = more.as_object().unwrap().clone();
        config.as_object_mut().unwrap().extend(entries);
        let path = self.path("env/config.json");
        fs::write(&path, config.to_string()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Gives `monitor` a Slack and a mail server of its own, and all of them programs that tell those of alerts; with more keys of config.json.
    pub(crate) fn watch(&self, monitor: &str, more: &Value) {
        let prometheus = parts::find("prometheus").unwrap().path;
        let mut config = receivers();
        let keys = config.as_object_mut().unwrap();
        keys.insert("no_notifications".to_owned(), json!(false));
        keys.insert("leave_out".to_owned(), json!(["grafana"]));
        keys.extend(more.as_object().unwrap().clone());
        let artifacts = keys.entry("artifacts").or_insert_with(|| json!({}));
        artifacts["prometheus"] = json!({"path": prometheus});
        self.configure(&config);
        self.receive(monitor);
    }

    /// Starts what stands for Slack and the mail server on a monitor that has nothing yet.
    pub(crate) fn receive(&self, monitor: &str) {
        let receive = "cp /proc/self/fd/0 /usr/local/bin/inbox && chmod +x /usr/local/bin/inbox";
        let own = binary("provisioner");
        assert_eq!(self.hosts.feed(monitor, receive, &own), "");
        self.shell(monitor, INBOX);
    }

    /// An answer's status and text, as a client of the operator's machine gets them that trusts the environment's authority.
    pub(crate) fn asks(
        &self,
        request: impl FnOnce(&client::Client) -> client::RequestBuilder + Send,
        password: &str,
    ) -> (u16, String) {
        let namespace = fs::File::open(self.hosts.namespace()).unwrap();
        let mut settings = client::Settings::new("test", Duration::from_secs(30));
        let ca = fs::read_to_string(self.path("env/pki/ca.crt")).unwrap();
        settings.tls.ca = Some(ca);
        std::thread::scope(|scope| {
            // What a thread moves to, its sockets are made in.
            let asked = scope.spawn(|| {
                let network = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(namespace.as_fd(), network).unwrap();
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                runtime.unwrap().block_on(async {
                    let client = client::client(&settings).unwrap();
                    let asked = request(&client).basic_auth("operator", Some(password));
                    let answer = asked.send().await.unwrap();
                    (answer.status().as_u16(), answer.text().await.unwrap())
                })
            });
            asked.join().unwrap()
        })
    }

    pub(crate) fn program(&self, arguments: &[&str]) -> Program {
        self.by(&binary("provisioner"))
            .args(["-e".as_ref(), self.path("env").as_os_str()])
            .args(arguments)
            .patience(PATIENCE)
    }

    /// Any program, where the operator sits. What it leaves of temporary files is in a folder of this operator's.
    pub(crate) fn by(&self, program: &Path) -> Program {
        self.hosts.operator(program).env("TMPDIR", self.path("tmp"))
    }

    /// Starts it; what it says goes to a file, of which the name is given. Its temporary files have a folder of their own, `name.t`.
    pub(crate) fn begin(&self, arguments: &[&str], name: &str) -> (Running, PathBuf) {
        let (file, temporary) = (self.path(name), self.path(&format!("{name}.t")));
        fs::create_dir(&temporary).unwrap();
        let running = self
            .by("sh".as_ref())
            .env("TMPDIR", &temporary)
            .args(["-c", "file=$0; exec \"$@\" >\"$file\""])
            .args([&file, &binary("provisioner")])
            .args(["-e".as_ref(), self.path("env").as_os_str()])
            .args(arguments)
            .start();
        (running, file)
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.program(arguments).run()
    }

    /// Runs it, and fails with what it said when it does not end so.
    #[track_caller]
    pub(crate) fn ends(&self, arguments: &[&str], code: i32) -> String {
        let ended = self.run(arguments);
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{arguments:?}: {said}");
        said
    }

    #[track_caller]
    pub(crate) fn shell(&self, host: &str, command: &str) -> String {
        let (is_fine, said) = self.hosts.shell(host, command);
        assert!(is_fine, "{host}: {command}: {said}");
        said
    }

    pub(crate) fn files(&self, host: &str) -> BTreeSet<String> {
        self.shell(host, FILES).lines().map(str::to_owned).collect()
    }

    /// The version that a host runs.
    pub(crate) fn version(&self, host: &str) -> String {
        self.shell(host, "readlink /opt/scalar-dl-monitoring/node-exporter")
    }
}
