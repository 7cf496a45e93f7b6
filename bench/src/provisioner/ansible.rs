//! ansible-core with the playbook of `bench/ansible`, as one runs it who knows its settings.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    environment::Environment,
    machines::{Cost, Machines, command, output},
};

/// The playbook and its settings.
const FOLDER: &str = "bench/ansible";
/// What Ansible does when nobody sets anything, where `ansible.cfg` does.
const DEFAULTS: [(&str, &str); 4] = [
    ("ANSIBLE_FORKS", "5"),
    ("ANSIBLE_GATHERING", "implicit"),
    ("ANSIBLE_PIPELINING", "False"),
    ("ANSIBLE_PYTHON_INTERPRETER", "auto"),
];

pub(super) struct Ansible {
    python: PathBuf,
    modules: PathBuf,
    /// A tar of Python's own modules, for hosts.
    library: PathBuf,
    /// For files that it reads and keeps.
    folder: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settings {
    /// Of `ansible.cfg`.
    Best,
    Defaults,
}

impl Ansible {
    /// Fetches what is missing.
    pub(super) fn fetch(folder: PathBuf) -> io::Result<Self> {
        fs::create_dir(&folder)?;
        let modules = parts::ansible().map_err(io::Error::other)?;
        let python = parts::fetch("python3.11").map_err(io::Error::other)?;
        let root = python.root.unwrap_or_default();
        let (library, below) = (folder.join("library.tar"), "usr/lib/python3.11");
        // As Debian's packages do when they are installed.
        let mut compile = command(&python.path);
        compile.args(["-m", "compileall", "-q", "-s"]);
        compile.args([&root, &root.join(below)]);
        output(compile)?;
        let mut tar = command("tar");
        tar.arg("-C").arg(&root).arg("-cf").arg(&library).arg(below);
        output(tar)?;
        Ok(Self {
            python: python.path,
            modules,
            library,
            folder,
        })
    }

    /// Makes hosts ready for it, and tells it about them. How ssh reaches them is what the provisioner says, over one connection to the bastion.
    pub(super) fn meet(
        &self,
        machines: &Machines,
        environment: &Environment,
        port: u16,
    ) -> io::Result<()> {
        machines.unpack(&self.library)?;
        let mut inventory = "all:\n  hosts:\n".to_owned();
        for (name, _, private) in machines.addresses() {
            inventory.push_str(&format!("    {name}: {{private_address: {private}}}\n"));
        }
        fs::write(self.path("inventory.yml"), inventory)?;
        let known = environment.ssh_config(machines, port)?;
        let text = format!(
            "Host bastion\n  ControlMaster auto\n  ControlPath {}\n  ControlPersist 60\n{known}\n\
             Host *\n  BatchMode yes\n  IdentitiesOnly yes\n  StrictHostKeyChecking yes\n  UserKnownHostsFile {}\n",
            self.path("way").display(),
            machines.known_hosts().display()
        );
        fs::write(self.path("ssh_config"), text)
    }

    /// Runs the playbook: how many hosts it has changed, and what that took. Its connections to hosts are made within the time; the one
    /// to the bastion is there.
    pub(super) fn run(
        &self,
        machines: &Machines,
        environment: &Environment,
        settings: Settings,
        port: u16,
    ) -> io::Result<(usize, Cost)> {
        let ssh_config = self.path("ssh_config").display().to_string();
        let way = ["-F", &ssh_config, "bastion", "true"].map(str::to_owned);
        machines.run(Path::new("ssh"), &way, &[])?;
        let sockets = tempfile::Builder::new()
            .prefix("c")
            .tempdir_in(&self.folder)?;
        let mut variables = vec![
            ("ANSIBLE_CONFIG", format!("{FOLDER}/ansible.cfg")),
            ("ANSIBLE_HOME", self.path("home").display().to_string()),
            (
                "ANSIBLE_SSH_ARGS",
                format!("-F {ssh_config} -o ControlMaster=auto -o ControlPersist=60s"),
            ),
            (
                "ANSIBLE_SSH_CONTROL_PATH_DIR",
                sockets.path().display().to_string(),
            ),
            ("LC_ALL", "C.UTF-8".to_owned()),
            ("PYTHONPATH", self.modules.display().to_string()),
        ];
        if settings == Settings::Defaults {
            variables.extend(DEFAULTS.map(|(name, value)| (name, value.to_owned())));
        }
        let playbook = self.modules.join("bin/ansible-playbook");
        let mut arguments = vec![
            playbook.display().to_string(),
            format!("--inventory={}", self.path("inventory.yml").display()),
        ];
        let known = environment.variables(port)?;
        arguments.extend(known.map(|it| format!("--extra-vars={it}")));
        arguments.push(format!("{FOLDER}/site.yml"));
        let ran = machines.run(&self.python, &arguments, &variables);
        for socket in fs::read_dir(sockets.path())?.flatten() {
            let mut exit = command("ssh");
            exit.arg("-S").arg(socket.path());
            exit.args(["-O", "exit", "-F", &ssh_config, "bastion"]);
            // Such a connection ends by itself when this fails.
            drop(output(exit));
        }
        let (said, cost) = ran?;
        Ok((changed(&said), cost))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// How many hosts were changed, by Ansible's last words.
fn changed(said: &str) -> usize {
    let recap = said.split("PLAY RECAP").nth(1).unwrap_or_default();
    let lines = recap.lines().filter(|it| it.contains(" changed="));
    lines.filter(|it| !it.contains(" changed=0 ")).count()
}

#[cfg(test)]
mod tests {
    use super::changed;

    #[test]
    fn recaps() {
        let said = "ok: [a]\n\nPLAY RECAP ***\na   : ok=10   changed=9    unreachable=0    failed=0\nb   : ok=10   changed=0    unreachable=0    failed=0\n";
        assert_eq!(changed(said), 1);
        assert_eq!(changed(""), 0);
    }
}
