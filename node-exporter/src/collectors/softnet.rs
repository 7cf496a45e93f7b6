//! `node_softnet_*`, from `/proc/net/softnet_stat`: one line of base-16 columns per CPU (kernel, `softnet_seq_show`).

use daemon::CollectError;
use exposition::{Desc, Family};

use super::{Entry, counter, gauge, no_flags};
use crate::host::{Host, parse_error};

pub(super) const ENTRY: Entry = Entry {
    name: "softnet",
    default: true,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    descs: &[
        COLUMNS[0].1,
        COLUMNS[1].1,
        COLUMNS[2].1,
        COLUMNS[3].1,
        COLUMNS[4].1,
        COLUMNS[5].1,
        COLUMNS[6].1,
    ],
};

/// What is shown of a column; those that an older kernel does not have are 0.
const COLUMNS: [(usize, Desc); 7] = [
    (
        0,
        counter(
            "node_softnet_processed_total",
            "Number of processed packets",
        )
        .labels(&["cpu"]),
    ),
    (
        1,
        counter("node_softnet_dropped_total", "Number of dropped packets").labels(&["cpu"]),
    ),
    (
        2,
        counter(
            "node_softnet_times_squeezed_total",
            "Number of times processing packets ran out of quota",
        )
        .labels(&["cpu"]),
    ),
    (
        8,
        counter(
            "node_softnet_cpu_collision_total",
            "Number of collision occur while obtaining device lock while transmitting",
        )
        .labels(&["cpu"]),
    ),
    (
        9,
        counter(
            "node_softnet_received_rps_total",
            "Number of times cpu woken up received_rps",
        )
        .labels(&["cpu"]),
    ),
    (
        10,
        counter(
            "node_softnet_flow_limit_count_total",
            "Number of times flow limit has been reached",
        )
        .labels(&["cpu"]),
    ),
    (
        11,
        gauge("node_softnet_backlog_len", "Softnet backlog status").labels(&["cpu"]),
    ),
];
const MIN_COLUMNS: usize = 9;
/// The CPU's number, since Linux 5.14; before it, lines are counted, and those of CPUs that are off line are not there.
const CPU: usize = 12;

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    let path = host.proc("net/softnet_stat");
    let text = host.read(&path)?;
    let mut families: Vec<_> = COLUMNS.iter().map(|(_, desc)| Family::of(desc)).collect();
    for (index, line) in text.lines().enumerate() {
        let columns: Option<Vec<u32>> = line
            .split_ascii_whitespace()
            .map(|it| u32::from_str_radix(it, 16).ok())
            .collect();
        let columns = columns
            .filter(|it| it.len() >= MIN_COLUMNS)
            .ok_or_else(|| parse_error(&path, line))?;
        let numbered = columns.len() > CPU;
        let cpu = match columns.get(CPU) {
            Some(cpu) => cpu.to_string(),
            None => index.to_string(),
        };
        for (family, (at, _)) in families.iter_mut().zip(&COLUMNS) {
            // The backlog's length came together with the CPU's number.
            let there = *at < 11 || numbered;
            let value = columns.get(*at).copied().filter(|_| there);
            family.push(&[&cpu], f64::from(value.unwrap_or_default()));
        }
    }
    out.extend(families);
    Ok(())
}
