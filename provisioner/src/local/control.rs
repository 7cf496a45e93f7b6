//! Speaking to the supervisor: one request and one answer of JSON over a socket in the state folder.

use std::{
    io::{BufRead, BufReader, Read as _, Write},
    os::unix::net::UnixStream,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use super::state::{Network, State};
use crate::output;

/// For an answer; stopping Prometheus may take some seconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// An answer is smaller.
const MAX_ANSWER: u64 = 1 << 20;

/// What is asked of the supervisor.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "lowercase")]
pub(super) enum Request {
    Status,
    Stop {
        program: String,
    },
    Start {
        program: String,
    },
    /// Run this in place of what runs: what is the same goes on.
    Change {
        network: Network,
    },
    Down,
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Answer {
    /// Empty when all is well.
    pub(super) error: String,
    pub(super) programs: Vec<ProgramStatus>,
}

/// How a program is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ProgramStatus {
    pub(super) name: String,
    /// None while it does not run.
    pub(super) pid: Option<u32>,
    pub(super) url: String,
    pub(super) healthy: bool,
    /// How often it ended by itself and was started again.
    pub(super) restarts: u32,
    /// `running`, `stopped`, or `waiting` for the next try.
    pub(super) state: String,
    /// Why it ended last; empty when it never did.
    pub(super) last_end: String,
}

/// Asks; None when no supervisor is there.
pub(super) fn ask(state: &State, request: &Request) -> anyhow::Result<Option<Answer>> {
    let Ok(mut stream) = UnixStream::connect(state.socket()) else {
        return Ok(None);
    };
    let asked = (|| -> anyhow::Result<Answer> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all((serde_json::to_string(request)? + "\n").as_bytes())?;
        let mut line = String::new();
        BufReader::new(stream.take(MAX_ANSWER)).read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    })();
    let answer =
        asked.context("the supervisor does not answer; see `provisioner local logs supervisor`")?;
    if !answer.error.is_empty() {
        bail!("{}", answer.error);
    }
    Ok(Some(answer))
}

/// Asks a network that must be there.
pub(super) fn ask_running(state: &State, request: &Request) -> anyhow::Result<Answer> {
    ask(state, request)?.context("no local network runs; start it with `provisioner local up`")
}

/// `local stop`.
pub(super) fn stop(state: &State, program: &str) -> anyhow::Result<ExitCode> {
    ask_running(
        state,
        &Request::Stop {
            program: program.to_owned(),
        },
    )?;
    output::say(format!(
        "{program} is stopped until `provisioner local start {program}`"
    ));
    Ok(ExitCode::SUCCESS)
}

/// `local start`: returns when the program is healthy.
pub(super) fn start(state: &State, program: &str) -> anyhow::Result<ExitCode> {
    // It may be Cassandra.
    const HEALTHY: Duration = Duration::from_secs(120);
    ask_running(
        state,
        &Request::Start {
            program: program.to_owned(),
        },
    )?;
    let end = Instant::now() + HEALTHY;
    loop {
        let answer = ask_running(state, &Request::Status)?;
        if answer
            .programs
            .iter()
            .any(|it| it.name == program && it.healthy)
        {
            output::say(format!("{program} runs and is healthy"));
            return Ok(ExitCode::SUCCESS);
        }
        if Instant::now() > end {
            bail!(
                "{program} was started but is not healthy; see `provisioner local logs {program}`"
            );
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
