//! `node_schedstat_*`, from `/proc/schedstat` (kernel, `scheduler/sched-stats.rst`: of a CPU's nine fields the last three).

use daemon::CollectError;
use exposition::{Desc, Family};

use super::{Entry, counter, no_flags};
use crate::host::{Host, float, parse_error};

pub(super) const ENTRY: Entry = Entry {
    name: "schedstat",
    default: true,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    descs: &[RUNNING, WAITING, TIMESLICES],
};

const RUNNING: Desc = counter(
    "node_schedstat_running_seconds_total",
    "Number of seconds CPU spent running a process.",
)
.labels(&["cpu"]);
const WAITING: Desc = counter(
    "node_schedstat_waiting_seconds_total",
    "Number of seconds spent by processing waiting for this CPU.",
)
.labels(&["cpu"]);
const TIMESLICES: Desc = counter(
    "node_schedstat_timeslices_total",
    "Number of timeslices executed by CPU.",
)
.labels(&["cpu"]);

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    let path = host.proc("schedstat");
    let text = host.read(&path)?;
    let mut families = [&RUNNING, &WAITING, &TIMESLICES].map(Family::of);
    for line in text.lines().filter(|it| it.starts_with("cpu")) {
        let (cpu, values) = parse(line).ok_or_else(|| parse_error(&path, line))?;
        for (family, value) in families.iter_mut().zip(values) {
            family.push(&[cpu], value);
        }
    }
    out.extend(families);
    Ok(())
}

/// A CPU, its time running and waiting in seconds, and its time slices.
fn parse(line: &str) -> Option<(&str, [f64; 3])> {
    let mut fields = line.split_ascii_whitespace();
    let cpu = fields.next()?.strip_prefix("cpu")?;
    let mut fields = fields.skip(6).map(|it| it.parse().ok().map(float));
    let mut next = || fields.next()?;
    let nanoseconds = 1e9;
    Some((cpu, [next()? / nanoseconds, next()? / nanoseconds, next()?]))
}
