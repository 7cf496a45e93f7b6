//! A node that runs: waiting until it serves, pausing, asking, and ending it.

use std::{
    fs,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    net::SocketAddr,
    os::unix::{fs::OpenOptionsExt as _, process::CommandExt as _},
    path::PathBuf,
    process::{Child, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{CassandraError, Cql, CqlError, Node, Rows, disk, is_3, jars, java};
use crate::{command, debian};

/// For the end after SIGTERM: it writes what it has in memory.
const GRACE: Duration = Duration::from_secs(30);
/// What is looked at of a log.
const MOST_LOG: u64 = 4 << 20;
/// For a schema to change, on a machine that does other things too.
const CQL_PATIENCE: Duration = Duration::from_secs(60);

/// A node that was started; killed when dropped.
#[derive(Debug)]
pub struct Running {
    node: Node,
    child: Child,
    log: PathBuf,
}

impl Node {
    /// Writes its files and starts it, in a process group of its own: what is typed at a terminal does not end it.
    ///
    /// # Errors
    /// When something of it cannot be fetched, its folder cannot be written to, or Java cannot be started.
    pub fn start(self) -> Result<Running, CassandraError> {
        let words = self.command()?;
        for folder in ["conf", "data", "log"] {
            let folder = self.folder.join(folder);
            fs::create_dir_all(&folder).map_err(disk(&folder))?;
        }
        for (path, text) in self.files() {
            let path = self.folder.join(path);
            let written = fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&path)
                .and_then(|mut file| file.write_all(text.as_bytes()));
            written.map_err(disk(&path))?;
        }
        let log = self.folder.join("log/output.log");
        let output = fs::File::create(&log).map_err(disk(&log))?;
        let errors = output.try_clone().map_err(disk(&log))?;
        let (program, arguments) = words.split_first().expect("a command begins with Java");
        let child = command(program)
            .args(arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .map_err(|source| CassandraError::Start {
                program: program.clone(),
                source,
            })?;
        Ok(Running {
            node: self,
            child,
            log,
        })
    }
}

impl Running {
    /// Waits until it serves clients, and says how long that took.
    ///
    /// # Errors
    /// When it ends, or has not begun to serve in time.
    pub fn wait_ready(&mut self, patience: Duration) -> Result<Duration, CassandraError> {
        let begin = Instant::now();
        // The last of its steps, in all versions: clients are served by then.
        let sign = "Startup complete";
        loop {
            let ended = self.child.try_wait().map_err(disk(&self.log))?;
            if self.log().contains(sign) {
                return Ok(begin.elapsed());
            }
            let (name, log) = (self.node.name.clone(), || self.last_lines(20));
            if let Some(status) = ended {
                let (status, log) = (status.to_string(), log());
                return Err(CassandraError::Ended { name, status, log });
            }
            if begin.elapsed() > patience {
                let log = log();
                return Err(CassandraError::Late {
                    name,
                    patience,
                    log,
                });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it was to be.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Where Jolokia answers; empty for a node without.
    #[must_use]
    pub fn jolokia_url(&self) -> String {
        self.node.jolokia_url().unwrap_or_default()
    }

    /// Where Jolokia listens.
    #[must_use]
    pub fn jolokia_address(&self) -> SocketAddr {
        (self.node.address, self.node.ports.jolokia).into()
    }

    /// What it wrote, or the last megabytes of that.
    #[must_use]
    pub fn log(&self) -> String {
        let read = || -> io::Result<Vec<u8>> {
            let mut file = fs::File::open(&self.log)?;
            let size = file.metadata()?.len();
            file.seek(SeekFrom::Start(size.saturating_sub(MOST_LOG)))?;
            let mut bytes = Vec::new();
            file.take(MOST_LOG).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
    }

    fn last_lines(&self, lines: usize) -> String {
        let log = self.log();
        let all: Vec<_> = log.lines().collect();
        let start = all.len().saturating_sub(lines);
        all.get(start..).unwrap_or_default().join("\n")
    }

    /// Stops the whole process where it is: it takes connections and answers nothing.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // Fails when it has just ended; its number stays its own until it is waited for.
            kill_process(pid, signal).unwrap_or(());
        }
    }

    /// What nodetool says. To 3.11 speaks that of 4.0, which knows many of its commands (`flush`), but not `status` and `info`.
    ///
    /// # Errors
    /// When it fails.
    pub fn nodetool(&self, arguments: &[&str]) -> Result<String, CassandraError> {
        // Its own ends on Java 9 and later, before it has asked anything.
        let version = if is_3(&self.node.version) {
            "4.0.19"
        } else {
            &self.node.version
        };
        let lib = jars(version)?;
        let folder = &self.node.folder;
        let mut nodetool = command(java()?);
        let property = |name: &str, path: PathBuf| format!("-D{name}={}", path.display());
        nodetool
            .arg(format!("@{}", self.node.conf("modules.options").display()))
            .args(["-Xmx64m", "-XX:TieredStopAtLevel=1"])
            // The node's names are of a form that Java's later updates refuse otherwise.
            .arg("-Dcom.sun.jndi.rmiURLParsing=legacy")
            // It notes in the home folder what it was asked.
            .arg(property("user.home", folder.clone()))
            .arg(property(
                "logback.configurationFile",
                self.node.conf("logback-tools.xml"),
            ))
            .args(["-classpath", &format!("{}/*", lib.display())])
            .arg("org.apache.cassandra.tools.NodeTool")
            .args(["-h", "127.0.0.1", "-p", &self.node.ports.jmx.to_string()])
            .args(arguments);
        debian::output(nodetool).map_err(|reason| CassandraError::Nodetool {
            arguments: arguments.join(" "),
            reason,
        })
    }

    /// Runs statements of CQL, one after the other over one connection, and gives the rows of each.
    ///
    /// # Errors
    /// When it cannot be reached, or refuses one; those before are done.
    pub fn cql(&self, statements: &[impl AsRef<str>]) -> Result<Vec<Rows>, CqlError> {
        let mut cql = Cql::connect(self.node.cql_address(), CQL_PATIENCE)?;
        statements.iter().map(|it| cql.query(it.as_ref())).collect()
    }

    /// Ends it gracefully; killed when it takes too long.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn stop(mut self) -> Result<ExitStatus, CassandraError> {
        self.signal(Signal::TERM);
        // One that is paused does not see it otherwise.
        self.resume();
        let end = Instant::now() + GRACE;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().map_err(disk(&self.log))? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.signal(Signal::KILL);
        self.child.wait().map_err(disk(&self.log))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails when it has ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
