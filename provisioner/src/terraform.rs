//! Machines in AWS: the commands that have Terraform make, change and destroy them, guarded against the loss of data, and `apply`, which then
//! installs on them.

mod backend;
mod destroy;
mod files;
mod plan;
mod program;
mod run;
mod s3;
mod said;
mod scale;
mod target;
mod unlock;
mod variables;
mod workspace;

use std::{io::IsTerminal as _, path::Path, process::ExitCode, time::Duration};

use anyhow::bail;
use serde_json::{Value, json};

pub(crate) use self::{
    backend::{StateCommand, state},
    destroy::{DestroyFlags, destroy},
    files::ignore,
    scale::{ScaleFlags, scale},
    target::{Target, resolve},
    workspace::Wanted,
};
use self::{plan::Plan, program::Program, workspace::Workspace};
use crate::{
    config::Config,
    install::{self, runtime},
    interrupt::Interrupt,
    lock::{Journal, Lock},
    machines,
    network::Network,
    output,
    progress::Progress,
    see::command,
};

/// `provisioner init`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct InitFlags {
    /// Take our newer files where yours were changed; yours stay beside as .orig
    #[arg(long)]
    force: bool,
    /// Newer providers within what the modules allow
    #[arg(long)]
    upgrade: bool,
    /// What is going on goes to standard error
    #[arg(long)]
    json: bool,
}

/// `provisioner plan`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct PlanFlags {
    #[command(flatten)]
    pub(crate) consent: Consent,
    /// Machines that are made anew: nodes, or the guide's names such as scalar.0
    #[arg(long, value_name = "MACHINE")]
    pub(crate) replace: Vec<String>,
    /// Look at no node
    #[arg(long)]
    pub(crate) no_install: bool,
}

/// `provisioner apply`.
#[derive(Debug, clap::Args)]
pub(crate) struct ApplyFlags {
    #[command(flatten)]
    pub(crate) consent: Consent,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    /// Leave the nodes alone afterwards
    #[arg(long)]
    pub(crate) no_install: bool,
    /// How long machines that are new or were started may take to let us in
    #[arg(long, value_name = "SECONDS", default_value_t = install::START.as_secs(), value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) timeout: u64,
}

impl Default for ApplyFlags {
    fn default() -> Self {
        Self {
            consent: Consent::default(),
            yes: false,
            no_install: false,
            timeout: install::START.as_secs(),
        }
    }
}

/// `provisioner output`.
#[derive(Debug, clap::Args)]
pub(crate) struct OutputFlags {
    /// One of them; all without
    name: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// `provisioner taint` and `provisioner untaint`.
#[derive(Debug, clap::Args)]
pub(crate) struct TaintFlags {
    /// The machine: scalardl-1, scalar.0, service.traefik, -module=scalar aws_instance.scalar.0, or Terraform's address
    #[arg(required = true, allow_hyphen_values = true, trailing_var_arg = true)]
    machine: Vec<String>,
}

/// What may be lost, and how it is told.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Consent {
    /// Let this stateful machine or resource be replaced or destroyed; data volumes never
    #[arg(long, value_name = "NODE")]
    allow_stateful: Vec<String>,
    /// The report as JSON; what is going on goes to standard error
    #[arg(long)]
    json: bool,
}

/// Writes the modules, fetches the provider and sets the backend up.
pub(crate) fn init(folder: &Path, flags: &InitFlags) -> anyhow::Result<ExitCode> {
    let config = Config::load_environment(folder)?;
    let _lock = Lock::take(folder, "init")?;
    let progress = Progress::new(flags.json);
    let session = Session::new(&progress)?;
    session.runtime.block_on(async {
        let interrupt = session.listen()?;
        let program = &session.program;
        let workspace =
            Workspace::open(folder, &config, program, &interrupt, &progress, flags.force)?;
        let upgrade: &[&str] = if flags.upgrade { &["-upgrade"] } else { &[] };
        workspace.init(upgrade).await?;
        Journal::new(folder, "init").note(None, "done")?;
        progress.say("initialized; `provisioner plan` says what would be made");
        Ok(ExitCode::SUCCESS)
    })
}

/// Says what would be done, to the cloud and on nodes; 2 when there is something.
pub(crate) fn plan(folder: &Path, flags: &PlanFlags) -> anyhow::Result<ExitCode> {
    let network = Network::load(folder)?;
    let lock = Lock::take(folder, "plan")?;
    let progress = Progress::new(flags.consent.json);
    let wanted = Wanted {
        replaces: addresses(&network, &flags.replace)?,
        ..Wanted::default()
    };
    let session = Session::new(&progress)?;
    let plan = session.runtime.block_on(async {
        let interrupt = session.listen()?;
        let workspace = session.workspace(&network, &interrupt).await?;
        let plan = workspace.plan(&wanted).await?;
        workspace.refresh().await?;
        show(&plan, &progress);
        if let Err(error) = guard(&plan, &flags.consent, &session.program.name) {
            // It is not to be applied by hand either.
            workspace.drop_plan()?;
            return Err(error);
        }
        Ok(plan)
    })?;
    drop(lock);
    drop(session);
    let network = Network::load(folder)?;
    let has_nodes = !flags.no_install && !network.nodes.is_empty();
    let nodes = if has_nodes {
        install::differences(&network)?
    } else {
        Vec::new()
    };
    let differing = nodes
        .iter()
        .any(|it| it.1.as_ref().is_ok_and(|it| !it.is_empty()));
    if flags.consent.json {
        let node = |(name, found): &(String, Result<Vec<String>, String>)| match found {
            Ok(changes) => json!({"node": name, "changes": changes}),
            Err(problem) => json!({"node": name, "problem": problem}),
        };
        let nodes: Vec<_> = nodes.iter().map(node).collect();
        let report = json!({"changes": plan.json(), "nodes": nodes});
        output::say(serde_json::to_string_pretty(&report)?);
    } else {
        for (name, found) in &nodes {
            match found {
                Ok(changes) => changes
                    .iter()
                    .for_each(|it| output::say(format!("{name}: {it}"))),
                Err(problem) => output::warn(problem),
            }
        }
    }
    if !plan.changes.is_empty() {
        progress.say(format!("`{} apply` does this", command(folder)));
    }
    let is_todo = !plan.changes.is_empty() || differing;
    Ok(ExitCode::from(if is_todo { 2 } else { 0 }))
}

/// Makes it so: what was planned, or what is planned now; and installs on the nodes.
pub(crate) fn apply(folder: &Path, flags: &ApplyFlags) -> anyhow::Result<ExitCode> {
    let network = Network::load(folder)?;
    let _lock = Lock::take(folder, "apply")?;
    let made = make(&network, None, &flags.consent, flags.yes)?;
    if flags.no_install {
        return say_machines(&Network::load(folder)?, flags.consent.json);
    }
    let patience = Duration::from_secs(flags.timeout);
    after(folder, made, patience, &flags.consent)
}

/// Plans (or takes the plan that lies there, when nothing is wanted), guards, shows, asks and applies; then the machines are known anew. Gives
/// whether there was something to do. Whoever calls this holds the environment's lock.
pub(crate) fn make(
    network: &Network,
    wanted: Option<&Wanted>,
    consent: &Consent,
    yes: bool,
) -> anyhow::Result<bool> {
    let folder = &network.folder;
    let progress = Progress::new(consent.json);
    let session = Session::new(&progress)?;
    session.runtime.block_on(async {
        let interrupt = session.listen()?;
        let workspace = session.workspace(network, &interrupt).await?;
        let saved = match wanted {
            None => workspace.saved().await?,
            Some(_) => None,
        };
        let was_planned = saved.is_some();
        let plan = match saved {
            Some(plan) => plan,
            None => workspace.plan(wanted.unwrap_or(&Wanted::default())).await?,
        };
        show(&plan, &progress);
        guard(&plan, consent, &session.program.name)
            .inspect_err(|_| drop(workspace.drop_plan()))?;
        let journal = Journal::new(folder, "apply");
        if !folder.join(workspace::PLAN).exists() {
            workspace.refresh().await?;
            return Ok(false);
        }
        let heals = wanted.is_some_and(|it| it.heals) && plan.heals(&network.nodes);
        if !was_planned && !yes && !heals {
            ask(&format!("apply this ({})?", plan.sums()))?;
        }
        journal.note(None, &format!("begin: {}", plan.sums()))?;
        let done = workspace.apply().await;
        journal.note(None, if done.is_ok() { "applied" } else { "stopped" })?;
        done?;
        Ok(true)
    })
}

/// Installs on machines. They are waited for when Terraform has changed something, as it starts those that were stopped, too, and as long as
/// there are some that nobody was on yet.
pub(crate) fn after(
    folder: &Path,
    made: bool,
    patience: Duration,
    consent: &Consent,
) -> anyhow::Result<ExitCode> {
    let network = Network::load(folder)?;
    if network.nodes.is_empty() {
        return say_machines(&network, consent.json);
    }
    if made || machines::has_unmet(&network)? {
        install::come_up(&network, patience, consent.json)?;
    }
    install::installed(&network, &[], consent.json)
}

/// Says how many there are.
fn say_machines(network: &Network, is_json: bool) -> anyhow::Result<ExitCode> {
    let count = network.nodes.len();
    if is_json {
        output::say(json!({"machines": count}).to_string());
    } else {
        output::say(format!("{count} machines"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Terraform's outputs; the machines among them are kept.
pub(crate) fn outputs(folder: &Path, flags: &OutputFlags) -> anyhow::Result<ExitCode> {
    let network = Network::load(folder)?;
    let _lock = Lock::take(folder, "output")?;
    let progress = Progress::new(true);
    let session = Session::new(&progress)?;
    let outputs = session.runtime.block_on(async {
        let interrupt = session.listen()?;
        let workspace = session.workspace(&network, &interrupt).await?;
        workspace.refresh().await?;
        workspace.outputs().await
    })?;
    let value = |it: &Value| it.get("value").cloned().unwrap_or_default();
    let shown = match &flags.name {
        Some(name) => match outputs.get(name) {
            Some(found) => value(found),
            None => bail!("there is no output {name}; `apply` makes inventory, volumes and entry"),
        },
        None => {
            let all = outputs.as_object().into_iter().flatten();
            all.map(|(name, it)| (name.clone(), value(it))).collect()
        }
    };
    match shown {
        Value::String(text) if !flags.json => output::say(text),
        other => output::say(serde_json::to_string_pretty(&other)?),
    }
    Ok(ExitCode::SUCCESS)
}

/// Flags a machine to be made anew, or takes the flag away, and says its address.
pub(crate) fn taint(
    folder: &Path,
    flags: &TaintFlags,
    word: &'static str,
) -> anyhow::Result<ExitCode> {
    let network = Network::load(folder)?;
    let Target { address, node } = resolve(&flags.machine.join(" "), &network)?;
    let _lock = Lock::take(folder, word)?;
    let progress = Progress::new(false);
    let session = Session::new(&progress)?;
    session.runtime.block_on(async {
        let interrupt = session.listen()?;
        let workspace = session.workspace(&network, &interrupt).await?;
        workspace.asks(&[word, "-no-color", &address]).await?;
        // A plan that was made before knows nothing of it.
        workspace.drop_plan()?;
        Journal::new(folder, word).note(Some(&node), &address)
    })?;
    output::say(format!("{word}ed {address} ({node})"));
    Ok(ExitCode::SUCCESS)
}

/// What commands that run Terraform have in common.
struct Session<'a> {
    progress: &'a Progress,
    program: Program,
    runtime: tokio::runtime::Runtime,
}

impl<'a> Session<'a> {
    fn new(progress: &'a Progress) -> anyhow::Result<Self> {
        let program = Program::find()?;
        Ok(Self {
            progress,
            program,
            runtime: runtime()?,
        })
    }

    /// The environment's folder, with the modules written and initialized.
    async fn workspace<'b>(
        &'b self,
        network: &'b Network,
        interrupt: &'b Interrupt,
    ) -> anyhow::Result<Workspace<'b>> {
        let workspace = Workspace::open(
            &network.folder,
            &network.config,
            &self.program,
            interrupt,
            self.progress,
            false,
        )?;
        workspace.ready().await?;
        Ok(workspace)
    }

    /// Within the runtime.
    fn listen(&self) -> anyhow::Result<Interrupt> {
        let progress = self.progress.clone();
        Interrupt::listen(move || {
            progress.say(
                "Terraform brings to an end what it has begun; once more leaves it alone with that",
            );
        })
    }
}

/// Addresses of machines that are named.
fn addresses(network: &Network, machines: &[String]) -> anyhow::Result<Vec<String>> {
    let addresses = machines.iter().map(|it| Ok(resolve(it, network)?.address));
    addresses.collect()
}

fn show(plan: &Plan, progress: &Progress) {
    for line in plan.lines() {
        progress.say(line);
    }
    progress.say(plan.sums());
}

/// Why nothing was done: what was wanted would lose something, or a person has not said yes.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NothingDone(String);

/// Refuses to lose what is stateful.
fn guard(plan: &Plan, consent: &Consent, terraform: &str) -> anyhow::Result<()> {
    let losses = plan.losses(&consent.allow_stateful, terraform);
    if !losses.is_empty() {
        bail!(NothingDone(format!(
            "this would take what is stateful, so nothing was done:\n  {}",
            losses.join("\n  ")
        )));
    }
    Ok(())
}

/// Asks a person for a yes.
pub(crate) fn ask(question: &str) -> anyhow::Result<()> {
    if !std::io::stdin().is_terminal() {
        bail!(NothingDone(
            "nobody can be asked here, so nothing was done: say --yes".to_owned()
        ));
    }
    output::note(format!("{question} Only `yes` does it:"));
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if answer.trim() != "yes" {
        bail!(NothingDone("nothing was done".to_owned()));
    }
    Ok(())
}
