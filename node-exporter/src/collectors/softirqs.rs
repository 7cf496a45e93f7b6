//! `node_softirqs_functions_total`, from `/proc/softirqs`.

use daemon::CollectError;
use exposition::{Desc, Family};

use super::{Entry, counter, no_flags};
use crate::host::{Host, parse_error, unsigned};

pub(super) const ENTRY: Entry = Entry {
    name: "softirqs",
    default: false,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    descs: &[TOTAL],
};

const TOTAL: Desc =
    counter("node_softirqs_functions_total", "Softirq counts per CPU.").labels(&["cpu", "type"]);
/// The kernel's (`softirq_to_name`).
const KINDS: [&str; 10] = [
    "HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU",
];

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    let path = host.proc("softirqs");
    let text = host.read(&path)?;
    if text.is_empty() {
        return Err(parse_error(&path, "it is empty").into());
    }
    let mut family = Family::of(&TOTAL);
    // One line of headings.
    for line in text.lines().skip(1) {
        let Some((kind, counts)) = line.split_once(':') else {
            continue;
        };
        let kind = kind.trim();
        if !KINDS.contains(&kind) {
            continue;
        }
        for (cpu, count) in counts.split_ascii_whitespace().enumerate() {
            let count = unsigned(count).ok_or_else(|| parse_error(&path, line))?;
            family.push(&[&cpu.to_string(), kind], count);
        }
    }
    out.push(family);
    Ok(())
}
