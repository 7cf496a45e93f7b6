//! `node_processes_*`: how many processes and threads there are, in what state (proc_pid_stat(5)).

use std::{collections::BTreeMap, path::Path};

use daemon::CollectError;
use exposition::{Desc, Family};

use super::{Entry, gauge, no_flags};
use crate::host::{Host, HostError, float, parse_error};

pub(super) const ENTRY: Entry = Entry {
    name: "processes",
    default: false,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    descs: &[
        THREADS,
        MAX_THREADS,
        STATE,
        THREADS_STATE,
        PIDS,
        MAX_PROCESSES,
    ],
};

const THREADS: Desc = gauge("node_processes_threads", "Allocated threads in system");
const MAX_THREADS: Desc = gauge(
    "node_processes_max_threads",
    "Limit of threads in the system",
);
const STATE: Desc =
    gauge("node_processes_state", "Number of processes in each state.").labels(&["state"]);
const THREADS_STATE: Desc = gauge(
    "node_processes_threads_state",
    "Number of threads in each state.",
)
.labels(&["thread_state"]);
const PIDS: Desc = gauge("node_processes_pids", "Number of PIDs");
const MAX_PROCESSES: Desc = gauge("node_processes_max_processes", "Number of max PIDs limit");

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    let (mut pids, mut threads) = (0_u64, 0_u64);
    let (mut states, mut thread_states) = (BTreeMap::new(), BTreeMap::new());
    let count = |states: &mut BTreeMap<String, u64>, state: &str| {
        *states.entry(state.to_owned()).or_default() += 1;
    };
    for (pid, path) in host.numbered(&host.proc(""), "") {
        let Some((state, its)) = stat(host, &path)? else {
            continue;
        };
        pids += 1;
        threads += its;
        count(&mut states, &state);
        for (thread, path) in host.numbered(&path.join("task"), "") {
            if thread == pid {
                count(&mut thread_states, &state);
            } else if let Some((state, _)) = stat(host, &path)? {
                count(&mut thread_states, &state);
            }
        }
    }
    out.push(Family::single(&THREADS, float(threads)));
    let limit = |file| host.count(&host.proc("sys/kernel").join(file));
    out.push(Family::single(&MAX_THREADS, limit("threads-max")?));
    for (desc, states) in [(&STATE, states), (&THREADS_STATE, thread_states)] {
        let mut family = Family::of(desc);
        for (state, count) in states {
            family.push(&[&state], float(count));
        }
        out.push(family);
    }
    out.push(Family::single(&MAX_PROCESSES, limit("pid_max")?));
    out.push(Family::single(&PIDS, float(pids)));
    Ok(())
}

/// A process' state and number of threads; None when it has ended meanwhile.
fn stat(host: &Host, path: &Path) -> Result<Option<(String, u64)>, HostError> {
    let path = path.join("stat");
    match host.read_once(&path) {
        Ok(text) => match parse(&text) {
            Some(parsed) => Ok(Some(parsed)),
            None => Err(parse_error(&path, text)),
        },
        Err(error) if error.is_missing() || error.is(rustix::io::Errno::SRCH) => Ok(None),
        Err(error) => Err(error),
    }
}

/// `1 (name, with anything in it) S 0 1 …`: the third field, and the twentieth.
fn parse(stat: &str) -> Option<(String, u64)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    Some((state.to_owned(), fields.nth(16)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn stats() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19";
        assert_eq!(parse(stat), Some(("S".to_owned(), 17)));
        for bad in ["", "7 (a", "7 (a) S 1"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
