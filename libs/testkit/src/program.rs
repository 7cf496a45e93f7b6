//! Programs of this workspace, built once and started on ports that the kernel chooses.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

/// How long a program may take to listen, or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// The path of a program of this workspace, built with the profile of the tests.
///
/// # Panics
/// When it does not build.
#[must_use]
pub fn binary(package: &str) -> PathBuf {
    static BUILT: OnceLock<Mutex<BTreeMap<String, PathBuf>>> = OnceLock::new();
    let built = BUILT.get_or_init(Mutex::default);
    let mut built = built.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(path) = built.get(package) {
        return path.clone();
    }
    let mut cargo = command(env!("CARGO"));
    // What cargo tells a test about its own package. Build scripts of dependencies look at it, ring's for one, and with another value
    // they and all that needs them would be built anew.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(name.as_ref());
        }
    }
    let output = cargo
        .args([
            "build",
            "--quiet",
            "--message-format=json",
            "--package",
            package,
            "--bin",
            package,
        ])
        .current_dir(crate::root())
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo can be started");
    assert!(output.status.success(), "{package} does not build");
    let messages = String::from_utf8_lossy(&output.stdout);
    let path = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find(|message| message["target"]["name"] == package && message["executable"].is_string())
        .and_then(|message| message["executable"].as_str().map(PathBuf::from))
        .unwrap_or_else(|| panic!("cargo names no executable of {package}"));
    built.insert(package.to_owned(), path.clone());
    path
}

/// A program to be started.
#[derive(Debug)]
pub struct Program {
    command: Command,
    patience: Duration,
}

/// A program that ended.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// What it wrote.
    pub stdout: String,
    /// What it wrote.
    pub stderr: String,
}

/// A started program; killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    lines: Lines,
}

/// What a program wrote to standard error, line by line.
#[derive(Debug, Clone, Default)]
struct Lines(Arc<(Mutex<Vec<String>>, Condvar)>);

impl Program {
    /// A program of this workspace.
    #[must_use]
    pub fn new(package: &str) -> Self {
        Self::at(binary(package))
    }

    /// Any program.
    #[must_use]
    pub fn at(path: impl AsRef<OsStr>) -> Self {
        Self {
            command: command(path),
            patience: PATIENCE,
        }
    }

    /// How long it may take to its end when it is run.
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Adds `--flag=path`.
    #[must_use]
    pub fn arg_path(mut self, flag: &str, path: &std::path::Path) -> Self {
        self.command.arg(format!("{flag}={}", path.display()));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it cannot be started, or does not end in time: a minute, or its patience.
    #[must_use]
    pub fn run(mut self) -> Ended {
        let mut child = self
            .command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        let read = |stream: Option<Box<dyn Read + Send>>| {
            std::thread::spawn(move || {
                let mut text = Vec::new();
                if let Some(mut stream) = stream {
                    stream.read_to_end(&mut text).expect("a pipe can be read");
                }
                String::from_utf8_lossy(&text).into_owned()
            })
        };
        let stdout = read(child.stdout.take().map(|it| Box::new(it) as _));
        let stderr = read(child.stderr.take().map(|it| Box::new(it) as _));
        let status = wait(&mut child, self.patience);
        if status.is_none() {
            child.kill().expect("a child can be killed");
            child.wait().expect("a killed child ends");
        }
        let ended = (stdout.join(), stderr.join());
        let (Ok(stdout), Ok(stderr)) = ended else {
            panic!("a reader of the program's output panicked");
        };
        let status = status.unwrap_or_else(|| panic!("it did not end: {stdout}\n{stderr}"));
        Ended {
            status,
            stdout,
            stderr,
        }
    }

    /// Runs it to its end while something is dropped, where a panic would end all other tests, too.
    pub fn clean_up(mut self) {
        let command = self.command.stdin(Stdio::null()).stdout(Stdio::null());
        if let Ok(mut child) = command.stderr(Stdio::null()).spawn()
            && wait(&mut child, self.patience).is_none()
        {
            drop(child.kill());
        }
    }

    /// Starts it and goes on.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(mut self) -> Running {
        let mut child = self
            .command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        let lines = Lines::default();
        let stderr = child.stderr.take().expect("standard error is a pipe");
        let writer = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                writer.push(line);
            }
            writer.push("(end of output)".to_owned());
        });
        Running { child, lines }
    }
}

impl Running {
    /// The address of its `n`th listener, counted from 0, once it says so in its log.
    ///
    /// # Panics
    /// When it does not within a minute.
    #[must_use]
    pub fn nth_address(&self, n: usize) -> SocketAddr {
        let line = self.lines.nth(n, |line| line.contains("Listening on"));
        let line = line.unwrap_or_else(|| panic!("it does not listen:\n{}", self.log()));
        let address = line.split("address=").nth(1).unwrap_or_default();
        let address = address.split_whitespace().next().unwrap_or_default();
        address
            .parse()
            .unwrap_or_else(|_| panic!("no address in {line:?}"))
    }

    /// The address of its first listener.
    ///
    /// # Panics
    /// When it does not listen within a minute.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.nth_address(0)
    }

    /// Waits for a line of its log that contains `text` and gives it.
    ///
    /// # Panics
    /// When none comes within a minute.
    pub fn line(&self, text: &str) -> String {
        let line = self.lines.nth(0, |line| line.contains(text));
        line.unwrap_or_else(|| panic!("no line with {text:?}:\n{}", self.log()))
    }

    /// What it wrote to standard error until now.
    #[must_use]
    pub fn log(&self) -> String {
        self.lines.all().join("\n")
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When the process is gone.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.child.id()).ok();
        let pid = pid.and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(pid.expect("a process has an id"), signal)
            .expect("the process can be signalled");
    }

    /// Sends SIGTERM and waits for its end.
    ///
    /// # Panics
    /// When it does not end within a minute.
    pub fn terminate(mut self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        wait(&mut self.child, PATIENCE)
            .unwrap_or_else(|| panic!("it does not end:\n{}", self.log()))
    }

    /// Waits for its end by itself.
    ///
    /// # Panics
    /// When it does not end within a minute.
    pub fn ended(mut self) -> ExitStatus {
        wait(&mut self.child, PATIENCE)
            .unwrap_or_else(|| panic!("it does not end:\n{}", self.log()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails when it has ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Lines {
    fn push(&self, line: String) {
        let (lines, changed) = &*self.0;
        lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
        changed.notify_all();
    }

    fn all(&self) -> Vec<String> {
        self.0
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn nth(&self, n: usize, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let (lines, changed) = &*self.0;
        let end = Instant::now() + PATIENCE;
        let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(line) = lines.iter().filter(|it| wanted(it)).nth(n) {
                return Some(line.clone());
            }
            let left = end.checked_duration_since(Instant::now())?;
            if lines.last().is_some_and(|it| it == "(end of output)") {
                return None;
            }
            let waited = changed.wait_timeout(lines, left);
            lines = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests start the programs that they test"
)]
fn command(path: impl AsRef<OsStr>) -> Command {
    Command::new(path)
}

/// None when it does not end in time.
fn wait(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    crate::wait::until(patience, || {
        child.try_wait().expect("a child can be waited for")
    })
}
