//! One at a time changes an environment, and who does is written there; what was done stands in its journal.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Longer than it takes to look who has the lock.
const GLANCE: Duration = Duration::from_millis(50);
/// What is read of a journal: its end.
const MAX_JOURNAL: u64 = 4 << 20;

/// Held while an environment is changed. The kernel lets go of it when the process ends, however that happens.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes it, or says who has it.
    pub(crate) fn take(folder: &Path, what: &str) -> anyhow::Result<Self> {
        let path = folder.join("lock");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path);
        let mut file = file.with_context(|| format!("cannot open {}", path.display()))?;
        // Who looks whether it is held has it for a moment.
        let taken = file.try_lock().or_else(|_| {
            std::thread::sleep(GLANCE);
            file.try_lock()
        });
        match taken {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).unwrap_or_default();
                bail!(
                    "{} is being changed by {}: wait until that has ended",
                    folder.display(),
                    holder.trim()
                );
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        file.set_len(0)?;
        file.rewind()?;
        let id = std::process::id();
        writeln!(
            file,
            "{} (process {id}, `{what}`, since {})",
            who(),
            Timestamp::now()
        )?;
        Ok(Self { _file: file })
    }

    /// Who holds it, if anybody does.
    pub(crate) fn holder(folder: &Path) -> Option<String> {
        let mut file = File::open(folder.join("lock")).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => {}
            Ok(()) | Err(TryLockError::Error(_)) => return None,
        }
        let mut holder = String::new();
        file.read_to_string(&mut holder).unwrap_or_default();
        Some(holder.trim().to_owned())
    }
}

/// A line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) time: Timestamp,
    pub(crate) who: String,
    pub(crate) command: String,
    pub(crate) node: Option<String>,
    pub(crate) result: String,
}

/// The journal of an environment: a line of JSON for each thing that was done. Nothing in it is secret.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    what: String,
}

impl Journal {
    /// For one run of a command.
    pub(crate) fn new(folder: &Path, what: &str) -> Self {
        Self {
            path: folder.join("journal.log"),
            what: what.to_owned(),
        }
    }

    /// What stands at the end of an environment's, oldest first. Lines of other shapes are passed over.
    pub(crate) fn entries(folder: &Path) -> anyhow::Result<Vec<Entry>> {
        let path = folder.join("journal.log");
        let read = || {
            let mut file = File::open(&path)?;
            let size = file.metadata()?.len();
            file.seek(SeekFrom::Start(size.saturating_sub(MAX_JOURNAL)))?;
            let mut bytes = Vec::new();
            file.take(MAX_JOURNAL).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = match read() {
            Err(error) if io::Error::kind(&error) == io::ErrorKind::NotFound => Vec::new(),
            other => other.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let text = String::from_utf8_lossy(&bytes);
        let lines = text.lines().map(serde_json::from_str);
        Ok(lines.filter_map(Result::ok).collect())
    }

    /// Appends a line: a node (or none), what was done, and how it went.
    pub(crate) fn note(&self, node: Option<&str>, result: &str) -> anyhow::Result<()> {
        let line = json!({
            "time": Timestamp::now().to_string(),
            "who": who(),
            "command": self.what,
            "node": node,
            "result": result,
        });
        let append = || {
            let file = OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o600)
                .open(&self.path);
            // One write, so that lines of two never mix.
            file?.write_all(format!("{line}\n").as_bytes())
        };
        append().with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// `user@host`.
pub(crate) fn who() -> String {
    let user = ["USER", "LOGNAME"]
        .iter()
        .find_map(|it| std::env::var(it).ok());
    format!("{}@{}", user.as_deref().unwrap_or("unknown"), host())
}

/// What this machine is called.
pub(crate) fn host() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    host.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Journal, Lock};

    #[test]
    fn one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::take(folder.path(), "install").unwrap();
        let error = Lock::take(folder.path(), "install")
            .unwrap_err()
            .to_string();
        assert!(error.contains("is being changed by "), "{error}");
        assert!(error.contains("`install`, since 2"), "{error}");
        let holder = Lock::holder(folder.path()).unwrap();
        assert!(holder.contains("`install`, since 2"), "{holder}");
        drop(lock);
        assert_eq!(Lock::holder(folder.path()), None);
        Lock::take(folder.path(), "uninstall").unwrap();
    }

    #[test]
    fn lines() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path(), "install");
        journal.note(None, "begin").unwrap();
        journal.note(Some("n1"), "a \"b\"").unwrap();
        let text = std::fs::read_to_string(folder.path().join("journal.log")).unwrap();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|it| serde_json::from_str(it).unwrap())
            .collect();
        assert_eq!(lines[1]["node"], "n1");
        assert_eq!(lines[1]["result"], "a \"b\"");
        assert_eq!(lines[0]["command"], "install");
        let entries = Journal::entries(folder.path()).unwrap();
        assert_eq!(entries[1].node.as_deref(), Some("n1"));
        assert_eq!(entries.len(), 2);
        let none = folder.path().join("none");
        assert_eq!(Journal::entries(&none).unwrap(), []);
    }
}
