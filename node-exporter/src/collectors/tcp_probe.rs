//! `node_tcp_probe_*`: whether a connection to the targets that `--collector.tcp_probe.target` names can be made. The monitor tells
//! with it a host that is gone from an agent that is.

use std::time::{Duration, Instant};

use clap::{Arg, ArgAction};
use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family};
use tokio::{net::TcpStream, runtime::Handle, task::JoinSet, time::timeout};

use super::{Entry, gauge};
use crate::flags::{FlagError, duration, value};

pub(super) const ENTRY: Entry = Entry {
    name: "tcp_probe",
    default: false,
    flags: |command| {
        let command = command.arg(
            Arg::new(TARGET)
                .long(TARGET)
                .help("host:port to connect to; may be given several times")
                .action(ArgAction::Append),
        );
        value(
            command,
            TIMEOUT,
            false,
            "How long to wait for a connection (default: 2s)",
        )
    },
    make: |setup| {
        let targets = setup.matches.get_many::<String>(TARGET).unwrap_or_default();
        let mut targets: Vec<_> = targets.cloned().collect();
        targets.sort();
        targets.dedup();
        if let Some(wrong) = targets.iter().find(|it| !is_target(it)) {
            return Err(FlagError::Choice {
                flag: TARGET.to_owned(),
                value: wrong.clone(),
                choices: "host:port, such as 10.0.0.1:22 or [::1]:22".to_owned(),
            });
        }
        Ok(Box::new(Probe {
            targets,
            timeout: duration(setup.matches, TIMEOUT, Duration::from_secs(2))?,
        }))
    },
    descs: &[SUCCESS, DURATION],
};

const TARGET: &str = "collector.tcp_probe.target";
const TIMEOUT: &str = "collector.tcp_probe.timeout";
const SUCCESS: Desc = gauge(
    "node_tcp_probe_success",
    "Whether a TCP connection to the target could be made.",
)
.labels(&["target"]);
const DURATION: Desc = gauge(
    "node_tcp_probe_duration_seconds",
    "How long it took to connect, or to fail.",
)
.labels(&["target"]);

/// Before the deadline of the scrape, so that what is there by then is shown.
const MARGIN: Duration = Duration::from_millis(300);

struct Probe {
    targets: Vec<String>,
    timeout: Duration,
}

impl Collector for Probe {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, scrape: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let patience = self.timeout.min(scrape.remaining(MARGIN));
        let [mut success, mut duration] = [&SUCCESS, &DURATION].map(Family::of);
        let probes = async {
            let mut probes = JoinSet::new();
            for target in self.targets.clone() {
                probes.spawn(async move {
                    let begin = Instant::now();
                    let connected = timeout(patience, TcpStream::connect(&target)).await;
                    (target, matches!(connected, Ok(Ok(_))), begin.elapsed())
                });
            }
            probes.join_all().await
        };
        for (target, connected, took) in Handle::current().block_on(probes) {
            success.push(&[&target], f64::from(u8::from(connected)));
            duration.push(&[&target], took.as_secs_f64());
        }
        out.extend([success, duration]);
        Ok(())
    }
}

fn is_target(text: &str) -> bool {
    text.rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|it| it > 0))
}

#[cfg(test)]
mod tests {
    use super::is_target;

    #[test]
    fn targets() {
        for (text, expect) in [
            ("10.0.0.1:22", true),
            ("[::1]:22", true),
            ("host:0", false),
            ("host", false),
            (":22", false),
            ("host:ssh", false),
        ] {
            assert_eq!(is_target(text), expect, "{text}");
        }
    }
}
