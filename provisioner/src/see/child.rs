//! The system's ssh as a child: with the environment's configuration, which goes with it, and ended when somebody interrupts us.

use std::{
    ffi::OsStr,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, ChildStdout, Command},
};

use crate::{
    exec,
    network::{Network, Node},
    remote::Remotes,
};

/// For its end, once it was asked to.
const END: Duration = Duration::from_secs(3);
/// What is kept of what it says of errors: the end.
const MAX_SAID: usize = 16 << 10;
/// What ssh ends with when it has no connection, or has lost it.
pub(super) const NO_CONNECTION: i32 = 255;

/// One that runs.
pub(super) struct Ssh {
    child: Child,
    /// Holds its configuration.
    _remotes: Remotes,
}

/// Whom its input and output belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Streams {
    /// To the person before the terminal: signals of the terminal reach it, too.
    Terminal,
    /// To us.
    Pipes,
}

impl Ssh {
    /// Starts it, to be called within a runtime of one thread: it ends with the thread that has started it.
    pub(super) fn start(
        network: &Network,
        node: &Node,
        options: &[&str],
        words: &[impl AsRef<OsStr>],
        streams: Streams,
    ) -> anyhow::Result<Self> {
        let remotes = Remotes::alone(network)?;
        let mut command = exec::command("ssh");
        command
            .arg("-F")
            .arg(remotes.config())
            // What hangs is told within seconds.
            .args(["-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=5"])
            .args(options)
            .args(["--", &node.name])
            .args(words);
        if streams == Streams::Pipes {
            // A group of its own: Ctrl-C is for us, who then end it.
            command
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .process_group(0);
        }
        exec::die_with_parent(&mut command);
        let child = Command::from(command).kill_on_drop(true).spawn();
        Ok(Self {
            child: child.context("cannot start ssh; is OpenSSH installed?")?,
            _remotes: remotes,
        })
    }

    /// What it writes.
    pub(super) fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// The end of what it says of errors, read to its end.
    pub(super) fn stderr(&mut self) -> impl Future<Output = String> + Send + 'static {
        let stderr = self.child.stderr.take();
        async move {
            let Some(stderr) = stderr else {
                return String::new();
            };
            tail(stderr).await
        }
    }

    pub(super) async fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        self.child.wait().await.context("cannot wait for ssh")
    }

    /// Ends it, and waits for that. Its own children end with it when it may end them itself.
    pub(super) async fn end(mut self) {
        let process = self.child.id().and_then(|it| it.try_into().ok());
        let process = process.and_then(rustix::process::Pid::from_raw);
        if let Some(process) = process {
            // It may have ended at this moment.
            rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap_or(());
        }
        if tokio::time::timeout(END, self.child.wait()).await.is_err() {
            drop(self.child.kill().await);
        }
    }
}

async fn tail(mut stream: impl AsyncRead + Unpin) -> String {
    let mut said = Vec::new();
    let mut chunk = vec![0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut chunk).await {
        said.extend_from_slice(chunk.get(..read).unwrap_or_default());
        let more = said.len().saturating_sub(MAX_SAID);
        said.drain(..more);
    }
    String::from_utf8_lossy(&said).into_owned()
}

/// What a shell would make of an end.
pub(super) fn code(status: ExitStatus) -> u8 {
    let code = status.code();
    let code = code.or_else(|| status.signal().map(|it| 128 + it));
    code.and_then(|it| it.try_into().ok()).unwrap_or(1)
}

/// A node by its name.
pub(super) fn node<'a>(network: &'a Network, name: &str) -> anyhow::Result<&'a Node> {
    let node = network.nodes.iter().find(|it| it.name == name);
    let Some(node) = node else {
        let all: Vec<_> = network.nodes.iter().map(|it| it.name.as_str()).collect();
        bail!(
            "{name} is none of this environment's nodes, which are {}",
            all.join(", ")
        );
    };
    Ok(node)
}

/// A runtime for one child of [`Ssh`].
pub(super) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.context("cannot start")
}
