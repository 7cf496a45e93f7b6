//! The folder of an environment. What Ansible installs comes from there, too: programs, certificates, keys, passwords and their hashes.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::machines::{Cost, Machines, command, output};

const UNIT: &str = "/etc/systemd/system/node-exporter.service";
/// Where hosts are told when their certificate ends.
const CERTIFICATE_ENDS: &str = "/var/lib/scalar-dl-monitoring/textfile/certificate.prom";

pub(super) struct Environment {
    folder: PathBuf,
    /// The folder of our programs.
    programs: PathBuf,
}

impl Environment {
    pub(super) fn make(folder: PathBuf, programs: &Path) -> io::Result<Self> {
        fs::create_dir(&folder)?;
        fs::create_dir(folder.join("certificate-ends"))?;
        let programs = programs.to_owned();
        Ok(Self { folder, programs })
    }

    /// Runs `provisioner install`: how many hosts it has changed, and what that took.
    pub(super) fn install(&self, machines: &Machines, port: u16) -> io::Result<(usize, Cost)> {
        self.write(machines, port)?;
        let folder = self.folder.display().to_string();
        let arguments = ["-e".to_owned(), folder, "install".to_owned()];
        let (said, cost) = machines.run(&self.programs.join("provisioner"), &arguments, &[])?;
        let last = said.lines().last().unwrap_or_default();
        let changed = match last.split_once(" nodes changed") {
            Some((numbers, _)) => numbers.split(' ').next().and_then(|it| it.parse().ok()),
            None if last.contains(" 0 differ") => Some(0),
            None => None,
        };
        let changed = changed.ok_or_else(|| io::Error::other(said))?;
        Ok((changed, cost))
    }

    /// Keeps for Ansible what is ours alone: our unit, as a template, and when certificates end.
    pub(super) fn keep(&self, machines: &Machines, port: u16) -> io::Result<()> {
        for (name, _, private) in machines.addresses() {
            let ends = machines.shell(name, &format!("cat {CERTIFICATE_ENDS}"))?;
            fs::write(self.folder.join("certificate-ends").join(name), ends)?;
            let unit = machines.shell(name, &format!("cat {UNIT}"))?;
            let template = unit.replace(
                &format!("{private}:{port}"),
                "{{ private_address }}:{{ node_exporter_port }}",
            );
            fs::write(self.folder.join("node-exporter.service.j2"), template)?;
        }
        Ok(())
    }

    /// How ssh reaches the machines.
    pub(super) fn ssh_config(&self, machines: &Machines, port: u16) -> io::Result<String> {
        self.write(machines, port)?;
        let mut inventory = command(self.programs.join("provisioner"));
        inventory
            .arg("-e")
            .arg(&self.folder)
            .args(["inventory", "--format", "ssh-config"]);
        output(inventory)
    }

    /// What a playbook has to know.
    pub(super) fn variables(&self, port: u16) -> io::Result<[String; 4]> {
        let program = self.programs.join("node-exporter");
        let mut hash = command("sha256sum");
        hash.arg(&program);
        let hash = output(hash)?;
        let hash: String = hash.chars().take(12).collect();
        Ok([
            format!("environment_folder={}", self.folder.display()),
            format!("node_exporter_port={port}"),
            format!("node_exporter_program={}", program.display()),
            format!(
                "node_exporter_release=node-exporter-{}-{hash}",
                env!("CARGO_PKG_VERSION")
            ),
        ])
    }

    fn write(&self, machines: &Machines, port: u16) -> io::Result<()> {
        let config = format!(
            r#"{{"target": "hosts", "name": "Bench", "prefix": "bench", "environment": "bench", "no_notifications": true,
"leave_out": ["alert-router", "grafana", "prometheus"], "ports": {{"node-exporter": {port}}},
"private_key_file": {:?}, "known_hosts_file": {:?}}}"#,
            machines.key(),
            machines.known_hosts()
        );
        let path = self.folder.join("config.json");
        fs::write(&path, config)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        let mut hosts = "defaults: {user: admin, bastion: bastion}\nhosts:\n".to_owned();
        for (name, address, private) in machines.addresses() {
            let role = if name == "bastion" { name } else { "host" };
            hosts.push_str(&format!(
                "  - {{name: {name}, address: {address}, private_address: {private}, role: {role}}}\n"
            ));
        }
        fs::write(self.folder.join("hosts.yml"), hosts)
    }
}
