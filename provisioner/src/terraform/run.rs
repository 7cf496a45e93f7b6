//! Running Terraform so that its state stays whole: it writes into files, which never close before it ends, stands in a process group of its
//! own, so that Ctrl-C reaches it by us alone, and once; and it is never killed.

use std::{
    fs::File,
    io::Read as _,
    os::unix::process::CommandExt as _,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};

use super::{
    program::Program,
    said::{Said, parse},
};
use crate::{
    exec,
    interrupt::{Interrupt, Interrupted},
};

/// How often it is looked what it has written.
const GLANCE: Duration = Duration::from_millis(50);
/// What is kept of what it writes, where all of it is needed.
const MAX_OUTPUT: usize = 64 << 20;
/// What is kept of its errors in plain text.
const MAX_ERRORS: u64 = 64 << 10;

/// Terraform in a folder.
#[derive(Debug)]
pub(super) struct Runner<'a> {
    pub(super) program: &'a Program,
    pub(super) folder: &'a Path,
    /// Environment variables that hold secrets of ours: it does not get them.
    pub(super) withheld: Vec<String>,
    pub(super) interrupt: &'a Interrupt,
}

/// How it ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) code: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Runner<'_> {
    /// Runs a short command, which must go well within some time, and gives what it wrote.
    pub(super) async fn asks(
        &self,
        arguments: &[&str],
        patience: Duration,
    ) -> anyhow::Result<String> {
        let ended = self.tries(arguments, patience).await?;
        if ended.code == 0 {
            return Ok(ended.stdout);
        }
        let name = arguments.first().copied().unwrap_or_default();
        bail!(
            "{} {name}: {}",
            self.program.name,
            super::said::plain(&ended.stderr, &ended.stdout)
        );
    }

    /// The same, however it ends.
    pub(super) async fn tries(
        &self,
        arguments: &[&str],
        patience: Duration,
    ) -> anyhow::Result<Ended> {
        self.run(arguments, Some(patience), &mut |_| {}).await
    }

    /// Runs a command whose lines are JSON, and tells them as they come. Without patience it lasts as long as it takes.
    pub(super) async fn tells(
        &self,
        arguments: &[&str],
        tell: &mut (dyn FnMut(Said) + Send),
    ) -> anyhow::Result<Ended> {
        self.run(arguments, None, &mut |line| tell(parse(line)))
            .await
    }

    async fn run(
        &self,
        arguments: &[&str],
        patience: Option<Duration>,
        line: &mut (dyn FnMut(&str) + Send),
    ) -> anyhow::Result<Ended> {
        if self.interrupt.came() {
            bail!(Interrupted("Terraform was not started".to_owned()));
        }
        let name = arguments.first().copied().unwrap_or_default();
        let (stdout, mut out) = pair()?;
        let (stderr, err) = pair()?;
        let mut command = exec::command(&self.program.path);
        command
            .args(arguments)
            .current_dir(self.folder)
            .env("TF_IN_AUTOMATION", "1")
            .env("TF_INPUT", "0")
            .env("CHECKPOINT_DISABLE", "1")
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .process_group(0);
        for name in &self.withheld {
            command.env_remove(name);
        }
        let mut command = tokio::process::Command::from(command);
        let child = command.kill_on_drop(false).spawn();
        let program = self.program.path.display();
        let mut child = child.with_context(|| format!("cannot start {program}"))?;
        let begin = Instant::now();
        let mut lines = Lines::default();
        let mut asked = None;
        let status = loop {
            lines.more(&mut out, line)?;
            let is_late = patience.is_some_and(|it| begin.elapsed() > it);
            if asked.is_none() && (is_late || self.interrupt.came()) {
                asked = Some(is_late);
                stop(child.id());
            }
            tokio::select! {
                status = child.wait() => break status.context("cannot wait for Terraform")?,
                () = tokio::time::sleep(GLANCE) => {}
            }
        };
        lines.more(&mut out, line)?;
        lines.end(line);
        let typed = &self.program.name;
        let mut said = Vec::new();
        err.take(MAX_ERRORS).read_to_end(&mut said)?;
        match asked {
            Some(true) => bail!("{typed} {name}: it took longer than it should, and was stopped"),
            Some(false) if !status.success() => bail!(Interrupted(format!(
                "`{typed} {name}` has ended what it had begun; its state is whole, and the same command goes on from there"
            ))),
            _ => {}
        }
        Ok(Ended {
            code: status.code().unwrap_or(1),
            stdout: lines.all,
            stderr: String::from_utf8_lossy(&said).into_owned(),
        })
    }
}

/// A file that nobody else sees, to write into and to read from.
fn pair() -> anyhow::Result<(File, File)> {
    let file = tempfile::NamedTempFile::new();
    let file = file.context("cannot make a file for what Terraform writes")?;
    let read = file.reopen().context("cannot read what Terraform writes")?;
    Ok((file.into_file(), read))
}

/// Asks it to end: it brings to an end what it does to the cloud, writes its state and lets go of the lock.
fn stop(process: Option<u32>) {
    let process = process.and_then(|it| it.try_into().ok());
    if let Some(process) = process.and_then(rustix::process::Pid::from_raw) {
        // It may have ended at this moment.
        rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap_or(());
    }
}

/// What came, line by line.
#[derive(Debug, Default)]
struct Lines {
    rest: Vec<u8>,
    all: String,
}

impl Lines {
    fn more(&mut self, from: &mut File, tell: &mut (dyn FnMut(&str) + Send)) -> anyhow::Result<()> {
        let mut chunk = vec![0; 64 << 10];
        loop {
            let read = from
                .read(&mut chunk)
                .context("cannot read what Terraform writes")?;
            if read == 0 {
                return Ok(());
            }
            for byte in chunk.get(..read).unwrap_or_default() {
                if *byte == b'\n' {
                    self.end(tell);
                } else if self.rest.len() < MAX_OUTPUT {
                    self.rest.push(*byte);
                }
            }
        }
    }

    fn end(&mut self, tell: &mut (dyn FnMut(&str) + Send)) {
        let line = String::from_utf8_lossy(&self.rest).into_owned();
        self.rest.clear();
        if line.is_empty() {
            return;
        }
        tell(&line);
        if self.all.len() + line.len() < MAX_OUTPUT {
            self.all += &line;
            self.all.push('\n');
        }
    }
}
