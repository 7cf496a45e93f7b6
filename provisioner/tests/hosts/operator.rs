//! Where an operator sits: an environment's folder, and machines in namespaces that only its bastion leads to.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use serde_json::{Value, json};
use testkit::{Ended, Hosts, Program, binary, skip};

/// What is looked at before and after: all files but those that the system itself writes.
pub(crate) const FILES: &str = "find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/log \
    -o -path /var/lib/systemd -o -path /var/lib/private -o -path /var/lib/sudo -o -path /var/cache \\) -prune -o -print | grep -v 'sudo_as_admin_successful$\\|^/etc/\\(passwd\\|group\\|shadow\\|gshadow\\|subuid\\|subgid\\)-\\?$' | sort";

/// An operator's folder, and the machines that are reached from where the operator sits.
pub(crate) struct Operator {
    pub(crate) hosts: Hosts,
    folder: tempfile::TempDir,
}

impl Operator {
    /// A bastion and hosts `n1`, `n2`, … of these roles. None where that cannot be.
    pub(crate) fn start(roles: &[&str]) -> Option<Self> {
        for program in ["node-exporter", "provisioner"] {
            assert!(binary(program).is_file());
        }
        let folder = tempfile::Builder::new().prefix("hosts").tempdir().unwrap();
        let machines = folder.path().join("machines");
        fs::create_dir(&machines).unwrap();
        let Some(hosts) = Hosts::start(&machines, roles.len()) else {
            skip("needs root, for machines in namespaces");
            return None;
        };
        let operator = Self { hosts, folder };
        fs::create_dir(operator.path("env")).unwrap();
        operator.configure(&json!({}));
        let mut list = "defaults: {user: admin, bastion: bastion}\nhosts:\n  - {name: bastion, address: 10.90.0.10, private_address: 10.91.0.10, role: bastion}\n".to_owned();
        for (at, role) in roles.iter().enumerate() {
            let (number, address) = (at + 1, 21 + at);
            list += &format!(
                "  - {{name: n{number}, address: 10.91.0.{address}, role: {role}, zone: z{number}}}\n"
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

    pub(crate) fn program(&self, arguments: &[&str]) -> Program {
        self.hosts
            .operator(&binary("provisioner"))
            .args(["-e".as_ref(), self.path("env").as_os_str()])
            .args(arguments)
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
