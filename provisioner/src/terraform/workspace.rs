//! An environment's folder as Terraform works in it: initialized, planned, applied; and the machines that came of it.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::{
    files::{self, Became},
    plan::Plan,
    program::Program,
    run::{Ended, Runner},
    said::{Problem, Said, together},
    target::node_of,
    variables,
};
use crate::{
    config::{self, Config, Target},
    interrupt::Interrupt,
    machines,
    network::Node,
    progress::Progress,
};

/// Where the plan is, as in the operational guide.
pub(super) const PLAN: &str = "plan.out";
/// Where it is while it is applied.
const TAKEN: &str = ".terraform/plan.out";
/// For what looks at the state alone.
pub(super) const SHORT: Duration = Duration::from_secs(300);
/// For the provider to be fetched.
const FETCH: Duration = Duration::from_secs(1800);

/// What is to be planned, besides what config.json says.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// Addresses of resources that are made anew.
    pub(crate) replaces: Vec<String>,
    pub(crate) is_destruction: bool,
    /// Nobody is asked about what but heals: starts machines that were stopped, or makes again those that are gone.
    pub(crate) heals: bool,
}

/// One that Terraform can work in.
pub(crate) struct Workspace<'a> {
    folder: &'a Path,
    config: &'a Config,
    runner: Runner<'a>,
    progress: &'a Progress,
}

impl<'a> Workspace<'a> {
    /// Writes the modules where they are missing or older, and says of each that somebody has changed.
    pub(super) fn open(
        folder: &'a Path,
        config: &'a Config,
        program: &'a Program,
        interrupt: &'a Interrupt,
        progress: &'a Progress,
        force: bool,
    ) -> anyhow::Result<Self> {
        if config.target() != Target::Aws {
            bail!(
                "the target of this environment is hosts: its machines are there, and Terraform makes none"
            );
        }
        let became = files::write(folder, force)?;
        tell(&became, progress);
        let path = folder.join(config::FILE);
        let text = fs::read_to_string(&path);
        let text = text.with_context(|| format!("cannot read {}", path.display()))?;
        let withheld = variables::withheld(&text);
        let runner = Runner {
            program,
            folder,
            withheld,
            interrupt,
        };
        let workspace = Self {
            folder,
            config,
            runner,
            progress,
        };
        Ok(workspace)
    }

    /// Fetches the provider, and sets the backend up.
    pub(super) async fn init(&self, more: &[&str]) -> anyhow::Result<()> {
        let step = self.progress.node("terraform");
        step.at("init");
        let arguments = [&["init", "-input=false", "-no-color"][..], more].concat();
        self.runner.asks(&arguments, FETCH).await?;
        Ok(())
    }

    /// The same, unless it was done, by the same program: Terraform and OpenTofu have the provider from registries of their own.
    pub(super) async fn ready(&self) -> anyhow::Result<()> {
        let provider = format!("provider \"{}/", self.runner.program.registry);
        let locked = files::read(&self.folder.join(".terraform.lock.hcl"))?;
        let is_done = self.folder.join(".terraform/modules/modules.json").exists()
            && locked.is_some_and(|it| it.contains(&provider));
        if is_done {
            Ok(())
        } else {
            self.init(&[]).await
        }
    }

    /// Plans, and leaves `plan.out` when something is to be done.
    pub(super) async fn plan(&self, wanted: &Wanted) -> anyhow::Result<Plan> {
        let file = variables::file(self.config)?;
        let file = format!("-var-file={}", file.path().display());
        let out = format!("-out={PLAN}");
        let mut arguments = vec![
            "plan",
            "-json",
            "-input=false",
            "-detailed-exitcode",
            &out,
            &file,
        ];
        if wanted.is_destruction {
            arguments.push("-destroy");
        }
        let replaces: Vec<_> = wanted
            .replaces
            .iter()
            .map(|it| format!("-replace={it}"))
            .collect();
        arguments.extend(replaces.iter().map(String::as_str));
        let code = self.tells("plan", &arguments).await;
        match code {
            Ok(2) => self.saved().await?.context("Terraform has left no plan"),
            other => {
                self.drop_plan()?;
                other?;
                Ok(Plan {
                    changes: Vec::new(),
                })
            }
        }
    }

    /// The plan that was made before, if there is one.
    pub(super) async fn saved(&self) -> anyhow::Result<Option<Plan>> {
        if !self.folder.join(PLAN).exists() {
            return Ok(None);
        }
        let shown = self
            .runner
            .asks(&["show", "-json", "-no-color", PLAN], SHORT)
            .await?;
        let plan =
            Plan::parse(&shown).context("cannot read what `terraform show` says of the plan")?;
        Ok(Some(plan))
    }

    /// Does what `plan.out` says, and keeps what machines there are afterwards, however it went.
    pub(super) async fn apply(&self) -> anyhow::Result<Vec<Node>> {
        // Applied or not, it is of no more use, as the state is another one then: also when we are killed meanwhile.
        let (plan, taken) = (self.folder.join(PLAN), self.folder.join(TAKEN));
        fs::rename(&plan, &taken).with_context(|| format!("cannot move {}", plan.display()))?;
        let done = self
            .tells("apply", &["apply", "-json", "-input=false", TAKEN])
            .await;
        remove(&taken)?;
        match done {
            Ok(_) => self.refresh().await,
            Err(error) => {
                // What was made before it failed is known, too. An interruption forbids to ask.
                drop(self.refresh().await);
                Err(error)
            }
        }
    }

    /// Asks the state for the machines, and keeps them.
    pub(super) async fn refresh(&self) -> anyhow::Result<Vec<Node>> {
        let outputs = self.outputs().await?;
        machines::keep(
            self.folder,
            outputs.get("inventory").and_then(|it| it.get("value")),
        )
    }

    /// All outputs.
    pub(super) async fn outputs(&self) -> anyhow::Result<Value> {
        let said = self
            .runner
            .asks(&["output", "-json", "-no-color"], SHORT)
            .await?;
        serde_json::from_str(&said).context("cannot read what `terraform output` says")
    }

    /// Runs one of Terraform's short commands.
    pub(super) async fn asks(&self, arguments: &[&str]) -> anyhow::Result<String> {
        self.runner.asks(arguments, SHORT).await
    }

    /// Runs one of Terraform's short commands, however it ends.
    pub(super) async fn tries(&self, arguments: &[&str]) -> anyhow::Result<Ended> {
        self.runner.tries(arguments, SHORT).await
    }

    pub(super) fn drop_plan(&self) -> anyhow::Result<()> {
        remove(&self.folder.join(PLAN))
    }

    /// Runs a command that tells of its steps; gives its exit code when that is no failure.
    async fn tells(&self, name: &'static str, arguments: &[&str]) -> anyhow::Result<i32> {
        let step = self.progress.node("terraform");
        step.at(name);
        let mut problems: Vec<Problem> = Vec::new();
        let progress = self.progress;
        let mut tell = |said: Said| match said {
            Said::Begun(address, action) => step.at(format!("{} {address}", word(&action))),
            Said::Done(address, action, seconds) => {
                let node = node_of(&address).map_or_else(String::new, |it| format!(" ({it})"));
                progress.say(format!("{} {address}{node}, {seconds} s", word(&action)));
            }
            Said::Problem(it) if it.is_error => problems.push(it),
            Said::Problem(it) => progress.say(format!("warning: {}", it.text)),
            Said::Other => {}
        };
        let ended = self.runner.tells(arguments, &mut tell).await?;
        match ended.code {
            0 | 2 => Ok(ended.code),
            _ => bail!(
                "{} {name}: {}",
                self.runner.program.name,
                together(&problems, &ended.stderr, "")
            ),
        }
    }
}

/// Removes a file that may not be there.
fn remove(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Terraform's word for what it does to a resource.
fn word(action: &str) -> &str {
    match action {
        "create" => "make",
        "delete" => "destroy",
        "update" => "change",
        other => other,
    }
}

fn tell(became: &BTreeMap<String, Became>, progress: &Progress) {
    let of = |what: &Became| {
        let all = became.iter().filter(|it| it.1 == what);
        all.map(|it| it.0.as_str()).collect::<Vec<_>>()
    };
    let written = of(&Became::Written).len() + of(&Became::Removed).len();
    if written > 0 {
        progress.say(format!("{written} files of Terraform written"));
    }
    let kept = of(&Became::Kept);
    if !kept.is_empty() {
        progress.say(format!(
            "kept as you have changed them: {}",
            kept.join(", ")
        ));
    }
}
