//! `local status`, `inbox` and `logs`: how it is, what came, what was written.

use std::{
    fs,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, bail};
use serde_json::json;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use super::{
    control::{self, ProgramStatus, Request},
    state::{State, tail},
};
use crate::{
    inbox::{Channel, Message},
    output::{self, duration, printable},
};

/// What the machine says of a process.
struct Facts {
    cpu_percent: f32,
    memory_bytes: u64,
    uptime_seconds: u64,
}

/// `local status`.
pub(super) fn status(state: &State, as_json: bool) -> anyhow::Result<ExitCode> {
    if !as_json {
        table(state)?;
        return Ok(ExitCode::SUCCESS);
    }
    let programs = control::ask_running(state, &Request::Status)?.programs;
    let facts = facts(&programs);
    let shown: Vec<_> = programs
        .iter()
        .zip(&facts)
        .map(|(program, facts)| {
            json!({
                "name": program.name,
                "pid": program.pid,
                "url": program.url,
                "healthy": program.healthy,
                "restarts": program.restarts,
                "state": program.state,
                "last_end": program.last_end,
                "cpu_percent": facts.as_ref().map(|it| it.cpu_percent),
                "memory_bytes": facts.as_ref().map(|it| it.memory_bytes),
                "uptime_seconds": facts.as_ref().map(|it| it.uptime_seconds),
            })
        })
        .collect();
    output::say(serde_json::to_string_pretty(&shown)?);
    Ok(ExitCode::SUCCESS)
}

/// The table of what runs where.
pub(super) fn table(state: &State) -> anyhow::Result<()> {
    let programs = control::ask_running(state, &Request::Status)?.programs;
    let mut rows = vec![
        [
            "PROGRAM", "STATE", "PID", "UP", "CPU", "MEMORY", "RESTARTS", "WHERE",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for (program, facts) in programs.iter().zip(facts(&programs)) {
        let health = match (program.state.as_str(), program.healthy) {
            ("running", true) => "healthy".to_owned(),
            ("running", false) => "not healthy".to_owned(),
            ("waiting", _) => format!("crashed ({})", program.last_end),
            (other, _) => other.to_owned(),
        };
        let fact = |show: fn(&Facts) -> String| facts.as_ref().map_or_else(String::new, show);
        rows.push(vec![
            program.name.clone(),
            health,
            program.pid.map_or_else(String::new, |it| it.to_string()),
            fact(|it| duration(it.uptime_seconds)),
            fact(|it| format!("{:.1} %", it.cpu_percent)),
            fact(|it| format!("{} MiB", it.memory_bytes >> 20)),
            program.restarts.to_string(),
            program.url.clone(),
        ]);
    }
    output::table(&rows);
    if let Some(network) = state.network()? {
        output::say(format!(
            "\nNotifications go to {}.",
            network.notifications.join("; ")
        ));
    }
    output::say(format!(
        "Host: {}. State and logs: {}",
        host(),
        state.folder.display()
    ));
    Ok(())
}

/// None for what does not run, and where the machine does not tell.
fn facts(programs: &[ProgramStatus]) -> Vec<Option<Facts>> {
    let nothing = || programs.iter().map(|_| None).collect();
    let pids: Vec<_> = programs
        .iter()
        .filter_map(|it| it.pid)
        .map(Pid::from_u32)
        .collect();
    let Ok(mut system) = System::new() else {
        return nothing();
    };
    let what = ProcessRefreshKind::nothing().with_cpu().with_memory();
    // Processor time is a difference between two looks.
    for look in 0..2 {
        if look > 0 {
            std::thread::sleep(sysinfo::MINIMUM_CPU_UPDATE_INTERVAL);
        }
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&pids), true, what);
    }
    programs
        .iter()
        .map(|program| {
            let process = system.process(Pid::from_u32(program.pid?))?;
            Some(Facts {
                cpu_percent: process.cpu_usage(),
                memory_bytes: process.memory(),
                uptime_seconds: process.run_time(),
            })
        })
        .collect()
}

fn host() -> String {
    let Ok(mut system) = System::new() else {
        return super::network::host_name();
    };
    system.refresh_memory();
    let load = System::load_average().map_or(0.0, |it| it.one);
    format!(
        "{}, up {}, load {load:.2}, {} of {} MiB of memory free",
        super::network::host_name(),
        duration(System::uptime().unwrap_or(0)),
        system.available_memory() >> 20,
        system.total_memory() >> 20
    )
}

/// `local inbox`: oldest first, as in a conversation. What is kept is shown when nothing runs, too.
pub(super) fn inbox(state: &State, as_json: bool) -> anyhow::Result<ExitCode> {
    let path = state.path("inbox.jsonl");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!(
                "nothing was ever received here; start the local network with `provisioner local up`"
            )
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let messages: Vec<Message> = text
        .lines()
        .filter_map(|it| serde_json::from_str(it).ok())
        .collect();
    if as_json {
        output::say(serde_json::to_string_pretty(&messages)?);
        return Ok(ExitCode::SUCCESS);
    }
    for message in &messages {
        let channel = match message.channel {
            Channel::Slack => "Slack",
            Channel::Email => "Mail",
        };
        let time = message
            .time
            .get(..19)
            .unwrap_or(&message.time)
            .replace('T', " ");
        output::say(format!(
            "── {channel} · {time} UTC ─────────────────────────────"
        ));
        output::say(printable(&message.text));
        output::say("");
    }
    if messages.is_empty() {
        output::say("nothing has arrived yet");
    }
    Ok(ExitCode::SUCCESS)
}

/// `local logs`.
pub(super) fn logs(
    state: &State,
    program: Option<&str>,
    lines: usize,
    follow: bool,
) -> anyhow::Result<ExitCode> {
    let folder = state.logs();
    let entries = fs::read_dir(&folder).with_context(|| {
        format!(
            "there are no logs in {}; start the local network with `provisioner local up`",
            folder.display()
        )
    })?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|it| {
            it.file_name()
                .to_str()?
                .strip_suffix(".log")
                .map(str::to_owned)
        })
        .collect();
    names.sort();
    if let Some(program) = program {
        if !names.iter().any(|it| it == program) {
            bail!(
                "there is no log of {program:?}; there are {}",
                names.join(", ")
            );
        }
        names = vec![program.to_owned()];
    }
    let one = names.len() == 1;
    let width = names.iter().map(String::len).max().unwrap_or(0);
    for name in &names {
        for line in tail(&state.log(name), lines) {
            output::say(if one {
                line
            } else {
                format!("{name:<width$} {line}")
            });
        }
    }
    if follow {
        follow_files(state, &names)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Until somebody interrupts, or the reader goes away.
fn follow_files(state: &State, names: &[String]) -> anyhow::Result<()> {
    let size = |name: &String| fs::metadata(state.log(name)).map_or(0, |it| it.len());
    let mut seen: Vec<u64> = names.iter().map(size).collect();
    loop {
        for (name, seen) in names.iter().zip(&mut seen) {
            let now = size(name);
            // Begun anew.
            if now < *seen {
                *seen = 0;
            }
            if now > *seen {
                let mut file = fs::File::open(state.log(name))?;
                file.seek(SeekFrom::Start(*seen))?;
                let mut bytes = Vec::new();
                file.take(now - *seen).read_to_end(&mut bytes)?;
                *seen = now;
                if io::stdout()
                    .write_all(&bytes)
                    .and_then(|()| io::stdout().flush())
                    .is_err()
                {
                    return Ok(());
                }
            }
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}
