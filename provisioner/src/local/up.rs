//! `local up`: check everything, write everything, start everything, wait until all of it is healthy. Or none of it.

use std::{
    fs,
    path::Path,
    process::{ExitCode, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};

use super::{
    Extra,
    control::{self, Answer, Request},
    down,
    files::{self, Plan},
    network::Ports,
    report,
    state::{Health, Network, ProgramSpec, State, tail},
};
use crate::{config::Config, exec, output};

/// For all programs to become healthy.
const HEALTHY: Duration = Duration::from_secs(60);
/// Cassandra alone needs ten seconds, and half a minute on a machine that does other things too.
const HEALTHY_CASSANDRA: Duration = Duration::from_secs(180);
/// A program that ended by itself this often while it should have become healthy will not.
const HOPELESS: u32 = 4;

/// Starts the local network, or changes what runs.
pub(super) fn up(
    state: &State,
    config: Option<&Path>,
    with: &[Extra],
    ports: &[String],
) -> anyhow::Result<ExitCode> {
    let config = config.map_or_else(|| Ok(Config::default()), Config::load)?;
    let running = control::ask(state, &Request::Status)?;
    let before = state.network()?;
    let current = if running.is_some() {
        before.as_ref()
    } else {
        None
    };
    // A port that was chosen once stays, so that links in messages stay right.
    let ports = Ports::read(ports, with, before.as_ref())?;
    let plan = files::plan(state, &config, with, &ports)?;
    check_ports(&ports, &plan.network, current)?;
    state.prepare()?;
    if running.is_none() {
        let left = down::sweep(state)?;
        if left > 0 {
            output::say(format!(
                "ended {left} processes that a killed supervisor had left behind"
            ));
        }
    }
    if current == Some(&plan.network) && stopped(running.as_ref()).is_empty() {
        output::say("The local network runs already; nothing has changed.");
    } else {
        for (name, text) in &plan.files {
            state.write(name, text)?;
        }
        files::check(state)?;
        let had_network = before.is_some();
        state.set_network(&plan.network)?;
        match (&running, current) {
            (Some(running), Some(current)) => {
                say_changes(current, &plan.network, running);
                control::ask_running(
                    state,
                    &Request::Change {
                        network: plan.network.clone(),
                    },
                )?;
            }
            _ => start_supervisor(state)?,
        }
        let healthy = wait_until_healthy(state, &plan.network);
        if let Err(error) = healthy {
            if running.is_none() {
                down::down(state, false)?;
                if !had_network {
                    drop(fs::remove_file(state.path("network.json")));
                }
            }
            return Err(error);
        }
    }
    finish(state, &plan)
}

/// The ports of programs that do not run yet, or that move.
fn check_ports(ports: &Ports, wanted: &Network, current: Option<&Network>) -> anyhow::Result<()> {
    let current = current.map_or(&[][..], |it| &it.programs);
    let held: Vec<_> = current.iter().flat_map(ProgramSpec::all_ports).collect();
    let wanted = wanted.programs.iter().flat_map(ProgramSpec::all_ports);
    let names: Vec<_> = wanted
        .filter(|it| !held.contains(it))
        .map(|it| it.0)
        .collect();
    ports.check_free(&names)
}

fn stopped(answer: Option<&Answer>) -> Vec<&str> {
    let programs = answer.map(|it| it.programs.as_slice()).unwrap_or_default();
    programs
        .iter()
        .filter(|it| it.state == "stopped")
        .map(|it| it.name.as_str())
        .collect()
}

fn say_changes(current: &Network, wanted: &Network, running: &Answer) {
    for program in &wanted.programs {
        let name = &program.name;
        match current.programs.iter().find(|it| it.name == *name) {
            None => output::say(format!("{name}: started")),
            Some(its) if its != program => output::say(format!(
                "{name}: started anew, its configuration has changed"
            )),
            Some(_) if stopped(Some(running)).contains(&name.as_str()) => {
                output::say(format!("{name}: started again"));
            }
            Some(_) => {}
        }
    }
    for program in &current.programs {
        if !wanted.programs.iter().any(|it| it.name == program.name) {
            output::say(format!(
                "{}: stopped, it is not wanted any more",
                program.name
            ));
        }
    }
}

fn start_supervisor(state: &State) -> anyhow::Result<()> {
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(state.log("supervisor"))
        .context("cannot write the supervisor's log")?;
    let own = crate::own_path()?;
    let mut supervisor = exec::command(&own)
        .args(["local", "supervise", "--state-dir"])
        .arg(&state.folder)
        .current_dir(&state.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .with_context(|| format!("cannot start {}", own.display()))?;
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        if control::ask(state, &Request::Status)?.is_some() {
            return Ok(());
        }
        let ended = supervisor
            .try_wait()
            .context("cannot look after the supervisor")?;
        if ended.is_some() || Instant::now() > end {
            bail!(
                "the supervisor does not start:\n{}",
                tail(&state.log("supervisor"), 10).join("\n")
            );
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn wait_until_healthy(state: &State, network: &Network) -> anyhow::Result<()> {
    let mut programs = network.programs.iter();
    let slow = programs.any(|it| matches!(it.health, Health::Cql { .. }));
    let end = Instant::now() + if slow { HEALTHY_CASSANDRA } else { HEALTHY };
    loop {
        let answer = control::ask_running(state, &Request::Status)?;
        let ill: Vec<_> = answer.programs.iter().filter(|it| !it.healthy).collect();
        let Some(first) = ill.first() else {
            return Ok(());
        };
        let hopeless = ill.iter().find(|it| it.restarts >= HOPELESS);
        if hopeless.is_some() || Instant::now() > end {
            let program = hopeless.unwrap_or(first);
            let end = if program.last_end.is_empty() {
                String::new()
            } else {
                format!(" (it ended with {})", program.last_end)
            };
            let log = tail(&state.log(&program.name), 10).join("\n  ");
            bail!(
                "{} does not become healthy{end}; the end of its log:\n  {log}",
                program.name
            );
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn finish(state: &State, plan: &Plan) -> anyhow::Result<ExitCode> {
    report::table(state)?;
    let own = crate::own_path()?;
    let own = exec::shell_word(&own.display().to_string());
    let place = if state.named {
        format!(
            " --state-dir {}",
            exec::shell_word(&state.folder.display().to_string())
        )
    } else {
        String::new()
    };
    let inbox = state.url("inbox")?.unwrap_or_default();
    output::say("");
    if let Some(hint) = &plan.hint {
        output::say(hint);
        output::say("");
    }
    output::say("Next, see an alert from its start to its end:");
    output::say(format!(
        "  {own} local stop{place} node-exporter    # within two minutes Slack and mail say so:"
    ));
    output::say(format!(
        "  {own} local inbox{place}                 # or in a browser: {inbox}"
    ));
    output::say(format!(
        "  {own} local start{place} node-exporter   # and the end of it"
    ));
    Ok(ExitCode::SUCCESS)
}
