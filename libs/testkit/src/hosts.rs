//! Real machines to install on: each a systemd and an sshd in namespaces of its own, by `scripts/hosts.sh`. Needs root.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::{Disk, Program};

/// A bastion, and some hosts that are reached through it alone. They end, without a trace, when it is dropped.
#[derive(Debug)]
pub struct Hosts {
    folder: PathBuf,
    tag: String,
    binds: String,
}

impl Hosts {
    /// Starts a bastion and hosts `n1`, `n2`, … in a folder for their disks and keys. None without the rights to do so.
    ///
    /// # Panics
    /// When they do not come up.
    #[must_use]
    pub fn start(folder: &Path, count: usize) -> Option<Self> {
        Self::start_with(folder, count, &[])
    }

    /// The same, with folders of this machine that all hosts see read-only, and where they do.
    ///
    /// # Panics
    /// When they do not come up.
    #[must_use]
    pub fn start_with(folder: &Path, count: usize, binds: &[(&Path, &str)]) -> Option<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let binds = binds
            .iter()
            .map(|(from, to)| format!("{}={to}", from.display()));
        let binds: Vec<_> = binds.collect();
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let hosts = Self {
            folder: folder.to_owned(),
            tag: format!("sdl{}-{next}", std::process::id()),
            binds: binds.join(":"),
        };
        hosts.run(&["up", &count.to_string()]);
        Some(hosts)
    }

    /// The operator's private key, which all hosts let in as the user `admin`.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.folder.join("key")
    }

    /// The hosts' keys, as ssh knows hosts.
    #[must_use]
    pub fn known_hosts(&self) -> PathBuf {
        self.folder.join("known_hosts")
    }

    /// The network that the operator sits in, for a thread to go there.
    #[must_use]
    pub fn namespace(&self) -> PathBuf {
        PathBuf::from(format!("/run/netns/{}-operator", self.tag))
    }

    /// A program that runs where the operator sits: from there the bastion alone is reached.
    #[must_use]
    pub fn operator(&self, program: &Path) -> Program {
        Program::at("ip").args([
            "netns".as_ref(),
            "exec".as_ref(),
            format!("{}-operator", self.tag).as_ref(),
            program.as_os_str(),
        ])
    }

    /// What a command of a shell gives that runs in a host, as root and without ssh; and whether it succeeded.
    #[must_use]
    pub fn shell(&self, host: &str, command: &str) -> (bool, String) {
        let output = self.output(&["in", host, "sh", "-c", command]);
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&text).into_owned(),
        )
    }

    /// The same, with a file as standard input.
    ///
    /// # Panics
    /// When it does not succeed.
    #[must_use]
    pub fn feed(&self, host: &str, command: &str, file: &Path) -> String {
        let input = std::fs::File::open(file).expect("the file can be read");
        let output = self.run_with(&["in", host, "sh", "-c", command], input.into());
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{host}: {command}: {text}");
        text
    }

    /// Cuts a host's power.
    pub fn kill(&self, host: &str) {
        self.run(&["kill", host]);
    }

    /// Starts it again.
    pub fn boot(&self, host: &str) {
        self.run(&["boot", host]);
    }

    /// Puts another machine in its place: nothing of what it had is there, and its key is another one.
    pub fn renew(&self, host: &str) {
        self.run(&["renew", host]);
    }

    /// Plugs a disk into a host, by a serial. What udev would do with its links there, a service of the host does.
    ///
    /// # Panics
    /// When it cannot be plugged in.
    pub fn plug(&self, host: &str, disk: &Disk, serial: &str) {
        let (device, number) = (disk.device(), disk.number());
        let command = format!(
            "mkdir -p /dev/disk/by-id /dev/disk/by-uuid; mknod {device} b 7 {number}; ln -s {device} /dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{serial}\n\
             systemd-run -q --unit=links-{serial} sh -c 'while :; do id=$(blkid -p -s UUID -o value {device}); [ -z \"$id\" ] || ln -sfn {device} /dev/disk/by-uuid/$id; sleep 0.1; done'"
        );
        let (is_fine, said) = self.shell(host, &command);
        assert!(is_fine, "{host}: {said}");
    }

    fn run(&self, arguments: &[&str]) {
        let output = self.output(arguments);
        assert!(
            output.status.success(),
            "hosts.sh {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn output(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, Stdio::null())
    }

    fn run_with(&self, arguments: &[&str], input: Stdio) -> Output {
        self.command(arguments)
            .stdin(input)
            .output()
            .expect("bash can be started")
    }

    #[expect(clippy::disallowed_methods, reason = "tests start programs")]
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(crate::root().join("scripts/hosts.sh"));
        command
            .args(arguments)
            .env("HOSTS", &self.folder)
            .env("HOSTS_TAG", &self.tag)
            .env("HOSTS_BIND", &self.binds);
        command
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        // A test that fails already says why, and a panic here would end all the others with it.
        drop(self.command(&["down"]).stdin(Stdio::null()).output());
    }
}
