//! Interrupts, context switches, forks, boot time and processes, from `/proc/stat` (proc(5)).

use std::sync::Arc;

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family, Kind};

use super::Entry;
use crate::{
    flags::{switch, switched},
    host::{Host, parse_error},
};

pub(super) const ENTRY: Entry = Entry {
    name: "stat",
    default: true,
    flags: |command| switch(command, SOFTIRQ, "Show softirqs by vector too"),
    make: |setup| {
        Ok(Box::new(Stat {
            host: Arc::clone(&setup.host),
            softirq: switched(setup.matches, SOFTIRQ).unwrap_or(false),
        }))
    },
    descs: &DESCS,
};

const SOFTIRQ: &str = "collector.stat.softirq";

const INTERRUPTS: Desc = Desc::new(
    "node_intr_total",
    Kind::Counter,
    "Total number of interrupts serviced.",
);
const SWITCHES: Desc = Desc::new(
    "node_context_switches_total",
    Kind::Counter,
    "Total number of context switches.",
);
const FORKS: Desc = Desc::new("node_forks_total", Kind::Counter, "Total number of forks.");
const BOOT: Desc = Desc::new(
    "node_boot_time_seconds",
    Kind::Gauge,
    "Node boot time, in unixtime.",
);
const RUNNING: Desc = Desc::new(
    "node_procs_running",
    Kind::Gauge,
    "Number of processes in runnable state.",
);
const BLOCKED: Desc = Desc::new(
    "node_procs_blocked",
    Kind::Gauge,
    "Number of processes blocked waiting for I/O to complete.",
);
const SOFTIRQS: Desc = Desc::new(
    "node_softirqs_total",
    Kind::Counter,
    "Number of softirq calls.",
)
.labels(&["vector"]);
const DESCS: [Desc; 7] = [
    INTERRUPTS, SWITCHES, FORKS, BOOT, RUNNING, BLOCKED, SOFTIRQS,
];

/// The order of `/proc/stat` (kernel, `softirq_to_name`).
const VECTORS: [&str; 10] = [
    "hi",
    "timer",
    "net_tx",
    "net_rx",
    "block",
    "block_iopoll",
    "tasklet",
    "sched",
    "hrtimer",
    "rcu",
];

struct Stat {
    host: Arc<Host>,
    softirq: bool,
}

impl Collector for Stat {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let path = self.host.proc("stat");
        let text = self.host.read(&path)?;
        let mut found = 0;
        for line in text.lines() {
            let mut fields = line.split_ascii_whitespace();
            let desc = match fields.next() {
                Some("intr") => INTERRUPTS,
                Some("ctxt") => SWITCHES,
                Some("processes") => FORKS,
                Some("btime") => BOOT,
                Some("procs_running") => RUNNING,
                Some("procs_blocked") => BLOCKED,
                Some("softirq") if self.softirq => {
                    let mut family = Family::of(&SOFTIRQS);
                    // The first number is the sum.
                    for (vector, count) in VECTORS.into_iter().zip(fields.skip(1)) {
                        let count = count.parse().map_err(|_error| parse_error(&path, line))?;
                        family.push(&[vector], count);
                    }
                    out.push(family);
                    continue;
                }
                _ => continue,
            };
            let value = fields.next().and_then(|it| it.parse().ok());
            let value = value.ok_or_else(|| parse_error(&path, line))?;
            out.push(Family::single(&desc, value));
            found += 1;
        }
        if found == 0 {
            return Err(parse_error(&path, "it has none of the known lines").into());
        }
        Ok(())
    }
}
