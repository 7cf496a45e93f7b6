//! A bastion and hosts behind it, by `scripts/hosts.sh`.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

/// The most seconds for one command.
const LIMIT: &str = "900";

/// Everything that was installed, with modes, owners and contents.
const LOOK: &str = "cd / && set opt etc/scalar-dl-monitoring etc/systemd/system/node-exporter.service \
    etc/systemd/system/multi-user.target.wants/node-exporter.service var/lib/scalar-dl-monitoring && \
    find \"$@\" -type d -printf '%p %M %u %g\\n' -o -type l -printf '%p -> %l\\n' -o -type f -printf '%p %M %u %g\\n' && \
    find \"$@\" -type f -exec sha256sum {} + && getent passwd node-exporter | cut -d : -f 5-";
/// What the provisioner alone leaves, to know what it has done.
const OWN: [&str; 5] = [
    "/.complete",
    "var/lib/scalar-dl-monitoring/apply.log",
    "var/lib/scalar-dl-monitoring/lock",
    "var/lib/scalar-dl-monitoring/manifest",
    "var/lib/scalar-dl-monitoring/previous",
];

/// They end, without a trace, when this is dropped.
pub(super) struct Machines {
    folder: PathBuf,
    /// The start of the names of their namespaces.
    tag: String,
    /// Names, addresses where the operator or the bastion reaches them, and addresses where they reach each other.
    addresses: Vec<(String, String, String)>,
}

/// What a command took, where the operator sits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    /// Seconds.
    pub(super) wall: f64,
    /// Processor seconds, but for those of connections that stay open.
    pub(super) cpu: f64,
    /// Sent and received.
    pub(super) bytes: f64,
}

impl Machines {
    /// Starts a bastion and so many hosts.
    pub(super) fn start(folder: PathBuf, hosts: usize) -> io::Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Err(io::Error::other(
                "this is measured on machines in namespaces, which need root",
            ));
        }
        fs::create_dir_all(&folder)?;
        let note = folder.join("tag");
        if let Ok(tag) = fs::read_to_string(&note) {
            // A run that was broken off has left them.
            drop(Self::of(folder.clone(), tag, 0));
        }
        let tag = format!("bench{}", std::process::id());
        fs::write(note, &tag)?;
        let machines = Self::of(folder, tag, hosts);
        machines.script(&["up", &hosts.to_string()], Stdio::null())?;
        Ok(machines)
    }

    fn of(folder: PathBuf, tag: String, hosts: usize) -> Self {
        let bastion = ["bastion", "10.90.0.10", "10.91.0.10"].map(str::to_owned);
        let host = |at: usize| [format!("n{at}"), private(at), private(at)];
        let addresses = std::iter::once(bastion).chain((1..=hosts).map(host));
        let addresses = addresses.map(|[name, address, private]| (name, address, private));
        Self {
            folder,
            tag,
            addresses: addresses.collect(),
        }
    }

    /// Name, address, and address among each other.
    pub(super) fn addresses(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        let all = self.addresses.iter();
        all.map(|(name, address, private)| (name.as_str(), address.as_str(), private.as_str()))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.addresses().map(|it| it.0)
    }

    /// The operator's, for ssh.
    pub(super) fn key(&self) -> PathBuf {
        self.folder.join("key")
    }

    pub(super) fn known_hosts(&self) -> PathBuf {
        self.folder.join("known_hosts")
    }

    /// What a command of a shell says that runs in a host, as root.
    pub(super) fn shell(&self, host: &str, command: &str) -> io::Result<String> {
        self.script(&["in", host, "sh", "-c", command], Stdio::null())
    }

    /// Unpacks a tar on every host.
    pub(super) fn unpack(&self, tar: &Path) -> io::Result<()> {
        for name in self.names() {
            let input = File::open(tar)?.into();
            self.script(&["in", name, "tar", "-xC", "/"], input)?;
        }
        Ok(())
    }

    /// What was installed, on all of them.
    pub(super) fn found(&self) -> io::Result<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        for name in self.names() {
            let said = self.shell(name, LOOK)?;
            let lines = said
                .lines()
                .filter(|it| !OWN.iter().any(|own| it.contains(own)));
            found.extend(lines.map(|it| format!("{name}: {it}")));
        }
        Ok(found)
    }

    /// Runs a program where the operator sits, from where the bastion alone is reached: what it said, and what it took.
    pub(super) fn run(
        &self,
        program: &Path,
        arguments: &[String],
        environment: &[(&str, String)],
    ) -> io::Result<(String, Cost)> {
        let mut command = self.command();
        command
            .args(["at", "timeout", LIMIT])
            .arg(program)
            .args(arguments)
            .envs(environment.iter().map(|(name, value)| (name, value)));
        let (bytes, cpu) = (self.bytes()?, cpu_of_children()?);
        let begin = Instant::now();
        let said = output(command)?;
        let cost = Cost {
            wall: begin.elapsed().as_secs_f64(),
            cpu: cpu_of_children()? - cpu,
            bytes: self.bytes()? - bytes,
        };
        Ok((said, cost))
    }

    /// Bytes that the operator has sent and received.
    fn bytes(&self) -> io::Result<f64> {
        let said = self.script(&["at", "cat", "/proc/net/dev"], Stdio::null())?;
        let mut lines = said.lines();
        let numbers = lines.find_map(|it| it.trim().strip_prefix("public:"));
        let numbers = numbers.unwrap_or_default().split_ascii_whitespace();
        let numbers: Vec<f64> = numbers.filter_map(|it| it.parse().ok()).collect();
        match (numbers.first(), numbers.get(8)) {
            (Some(received), Some(sent)) => Ok(received + sent),
            _ => Err(io::Error::other("the operator has no interface public")),
        }
    }

    fn script(&self, arguments: &[&str], input: Stdio) -> io::Result<String> {
        let mut command = self.command();
        command.args(arguments).stdin(input);
        output(command)
    }

    fn command(&self) -> Command {
        let mut command = command("scripts/hosts.sh");
        command
            .env("HOSTS", &self.folder)
            .env("HOSTS_TAG", &self.tag)
            .stdin(Stdio::null());
        command
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        // What was measured stays good.
        drop(self.script(&["down"], Stdio::null()));
    }
}

/// As `scripts/hosts.sh` gives them.
fn private(host: usize) -> String {
    format!("10.91.0.{}", 20 + host)
}

#[expect(
    clippy::disallowed_methods,
    reason = "what is measured must be started"
)]
pub(super) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    Command::new(program)
}

/// Runs it to its end and gives its standard output.
pub(super) fn output(mut command: Command) -> io::Result<String> {
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(said);
    }
    let program = command.get_program().display();
    let (status, errors) = (output.status, String::from_utf8_lossy(&output.stderr));
    Err(io::Error::other(format!(
        "{program} ended with {status}: {said}{errors}"
    )))
}

/// Processor seconds of processes that were started from here and have ended.
fn cpu_of_children() -> io::Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name before may hold anything.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let fields = fields.split_ascii_whitespace().skip(13).take(2);
    let ticks: u32 = fields.filter_map(|it| it.parse::<u32>().ok()).sum();
    Ok(f64::from(ticks) / 100.0)
}
