//! The folder of the local network: what runs, where its files are, who supervises it.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

/// The folder.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(super) folder: PathBuf,
    /// Whether it is not the one that is taken when none is named.
    pub(super) named: bool,
}

/// What is to run.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Network {
    pub(super) programs: Vec<ProgramSpec>,
    /// Where notifications go, for people.
    pub(super) notifications: Vec<String>,
}

/// A program that is to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ProgramSpec {
    pub(super) name: String,
    pub(super) port: u16,
    /// The others that it listens on.
    #[serde(default)]
    pub(super) further_ports: BTreeMap<String, u16>,
    /// Program and arguments.
    pub(super) command: Vec<String>,
    pub(super) url: String,
    pub(super) health: Health,
    /// Of the files that it reads when it starts; another number means that it must start anew.
    pub(super) files: u64,
}

/// What says that a program is well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Health {
    /// An answer with status 200 at this path.
    Path(String),
    /// An answer in Cassandra's protocol at its port.
    Cql { cql: String },
}

impl ProgramSpec {
    /// All of its ports by name.
    pub(super) fn all_ports(&self) -> impl Iterator<Item = (&str, u16)> {
        let further = self.further_ports.iter();
        let further = further.map(|(name, port)| (name.as_str(), *port));
        std::iter::once((self.name.as_str(), self.port)).chain(further)
    }
}

/// A process, told from a later one with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Process {
    pub(super) pid: u32,
    /// In ticks since the machine started (proc(5), field 22 of stat).
    pub(super) started: u64,
}

impl Process {
    /// The process of this number, as it is.
    pub(super) fn find(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in brackets may hold anything, brackets too.
        let (_, rest) = stat.rsplit_once(')')?;
        let mut fields = rest.split_ascii_whitespace();
        // A zombie has ended; its parent has only not asked yet.
        if fields.next()? == "Z" {
            return None;
        }
        let started = fields.nth(18)?.parse().ok()?;
        Some(Self { pid, started })
    }

    /// Whether it is still there.
    pub(super) fn lives(self) -> bool {
        Self::find(self.pid) == Some(self)
    }

    /// Sends it a signal; nothing happens when it has ended.
    pub(super) fn signal(self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.pid)
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid.filter(|_| self.lives()) {
            // Fails when it has just ended.
            rustix::process::kill_process(pid, signal).unwrap_or(());
        }
    }
}

impl State {
    /// The folder that is named, else the user's.
    pub(crate) fn at(named: Option<PathBuf>) -> anyhow::Result<Self> {
        if let Some(folder) = named {
            let folder = std::path::absolute(folder)
                .context("cannot make the state folder's path absolute")?;
            return Ok(Self {
                folder,
                named: true,
            });
        }
        Self::of_user()
    }

    /// The folder that is taken when none is named.
    fn of_user() -> anyhow::Result<Self> {
        let set = |name: &str| {
            std::env::var_os(name)
                .filter(|it| !it.is_empty())
                .map(PathBuf::from)
        };
        let base = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|it| it.join(".local/state")));
        let base =
            base.context("neither HOME nor XDG_STATE_HOME is set; name a folder with --state-dir")?;
        Ok(Self {
            folder: base.join("scalar-dl-local"),
            named: false,
        })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.path("control.sock")
    }

    pub(super) fn logs(&self) -> PathBuf {
        self.path("logs")
    }

    pub(super) fn log(&self, program: &str) -> PathBuf {
        self.logs().join(format!("{program}.log"))
    }

    /// Makes the folder, for this user only, and proves that it can be written to and has room.
    pub(super) fn prepare(&self) -> anyhow::Result<()> {
        const ROOM: usize = 1 << 20;
        // A Unix socket's path has at most 107 bytes (unix(7)).
        if self.socket().as_os_str().len() > 107 {
            bail!(
                "the path {} is too long for a socket; name a shorter folder with --state-dir",
                self.folder.display()
            );
        }
        let advice = || {
            format!(
                "cannot use the state folder {}; free space, or name another with --state-dir",
                self.folder.display()
            )
        };
        fs::create_dir_all(self.logs()).with_context(advice)?;
        fs::set_permissions(&self.folder, fs::Permissions::from_mode(0o700))
            .with_context(advice)?;
        let probe = self.path(".probe");
        let written = fs::File::create(&probe).and_then(|mut file| {
            file.write_all(&vec![0; ROOM])?;
            file.sync_all()
        });
        // Half a probe must not stay either.
        drop(fs::remove_file(&probe));
        written.with_context(advice)
    }

    /// Writes a file for this user only, whole or not at all.
    pub(super) fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.path(name);
        let fresh = self.path(&format!("{name}.new"));
        let written = (|| -> io::Result<()> {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&fresh)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&fresh, &path)
        })();
        if written.is_err() {
            drop(fs::remove_file(&fresh));
        }
        written.with_context(|| format!("cannot write {}", path.display()))
    }

    pub(super) fn network(&self) -> anyhow::Result<Option<Network>> {
        self.read_json("network.json")
    }

    pub(super) fn set_network(&self, network: &Network) -> anyhow::Result<()> {
        self.write("network.json", &serde_json::to_string_pretty(network)?)
    }

    /// The processes that were started last, the supervisor first.
    pub(super) fn processes(&self) -> Vec<Process> {
        self.read_json("processes.json")
            .ok()
            .flatten()
            .unwrap_or_default()
    }

    pub(super) fn set_processes(&self, processes: &[Process]) -> anyhow::Result<()> {
        self.write("processes.json", &serde_json::to_string(processes)?)
    }

    /// The address of a program of the network; None when there is no network.
    pub(crate) fn url(&self, program: &str) -> anyhow::Result<Option<String>> {
        let network = self.network()?;
        let programs = network.map(|it| it.programs).unwrap_or_default();
        Ok(programs
            .into_iter()
            .find(|it| it.name == program)
            .map(|it| it.url))
    }

    fn read_json<T: for<'de> Deserialize<'de>>(&self, name: &str) -> anyhow::Result<Option<T>> {
        let path = self.path(name);
        match fs::read_to_string(&path) {
            Ok(text) => {
                let value = serde_json::from_str(&text);
                value
                    .map(Some)
                    .with_context(|| format!("{} is damaged; remove it", path.display()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }
}

/// The last lines of a file.
pub(super) fn tail(path: &Path, lines: usize) -> Vec<String> {
    use io::{Read as _, Seek as _};
    const MOST: u64 = 256 * 1024;
    let read = || -> io::Result<Vec<u8>> {
        let mut file = fs::File::open(path)?;
        let size = file.metadata()?.len();
        file.seek(io::SeekFrom::Start(size.saturating_sub(MOST)))?;
        let mut bytes = Vec::new();
        file.take(MOST).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    all.iter()
        .skip(all.len().saturating_sub(lines))
        .map(|it| (*it).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Process, State};

    #[test]
    fn processes_are_told_apart() {
        let this = Process::find(std::process::id()).unwrap();
        assert!(this.lives());
        let later = Process {
            started: this.started + 1,
            ..this
        };
        assert!(!later.lives());
        assert_eq!(Process::find(u32::MAX), None);
    }

    #[test]
    fn files_are_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let state = State::at(Some(folder.path().join("s"))).unwrap();
        state.prepare().unwrap();
        state.write("a/b.yml", "x").unwrap();
        let mode = std::fs::metadata(state.path("a/b.yml"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!state.path(".probe").exists());
        assert_eq!(state.network().unwrap(), None);
        state.write("network.json", "{").unwrap();
        assert!(
            state
                .network()
                .unwrap_err()
                .to_string()
                .contains("is damaged")
        );
    }
}
