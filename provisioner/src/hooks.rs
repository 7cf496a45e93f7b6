//! Programs of the user's own that run before and after something is changed: `hooks/before` and `hooks/after` in the environment's folder.

use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail};

/// Longer ones are ended.
const PATIENCE: Duration = Duration::from_secs(600);

/// The hooks of an environment for one run of a command.
#[derive(Debug)]
pub(crate) struct Hooks {
    folder: PathBuf,
    command: &'static str,
    nodes: String,
}

impl Hooks {
    pub(crate) fn new<'a>(
        folder: &Path,
        command: &'static str,
        nodes: impl Iterator<Item = &'a str>,
    ) -> Self {
        let nodes: Vec<_> = nodes.collect();
        Self {
            folder: folder.to_owned(),
            command,
            nodes: nodes.join(" "),
        }
    }

    /// When it fails nothing may be changed.
    pub(crate) async fn before(&self) -> anyhow::Result<()> {
        self.run("before", "").await.context("nothing was changed")
    }

    /// Runs whatever came of the change.
    pub(crate) async fn after(&self, is_done: bool) -> anyhow::Result<()> {
        let result = if is_done { "done" } else { "stopped" };
        self.run("after", result).await
    }

    /// Both, and what is between them.
    pub(crate) async fn around<T>(
        &self,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        self.before().await?;
        let result = work.await;
        let after = self.after(result.is_ok()).await;
        result.and_then(|it| after.map(|()| it))
    }

    async fn run(&self, name: &str, result: &str) -> anyhow::Result<()> {
        let path = self.folder.join("hooks").join(name);
        // A relative path without a slash would be looked for among the system's programs.
        let path = match path.canonicalize() {
            Ok(path) => path,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        let shown = path.display();
        let mut command = tokio::process::Command::from(crate::exec::command(&path));
        let child = command
            .arg(self.command)
            .env("PROVISIONER_COMMAND", self.command)
            .env("PROVISIONER_FOLDER", &self.folder)
            .env("PROVISIONER_NODES", &self.nodes)
            .env("PROVISIONER_RESULT", result)
            .stdin(Stdio::null())
            // Standard output is the command's own.
            .stdout(io::stderr())
            .kill_on_drop(true)
            .spawn();
        let mut child = child
            .with_context(|| format!("cannot start {shown}; is it a program (chmod +x, #!)?"))?;
        match tokio::time::timeout(PATIENCE, child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => bail!("{shown} failed: {status}"),
            Ok(Err(error)) => Err(error).with_context(|| format!("cannot wait for {shown}")),
            Err(_elapsed) => bail!("{shown} was ended after {} s", PATIENCE.as_secs()),
        }
    }
}
