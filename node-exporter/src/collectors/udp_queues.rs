//! `node_udp_queues`, from `/proc/net/udp` and `/proc/net/udp6`.

use daemon::CollectError;
use exposition::{Desc, Family};

use super::{Entry, gauge, no_flags};
use crate::host::{Host, float, parse_error};

pub(super) const ENTRY: Entry = Entry {
    name: "udp_queues",
    default: true,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    descs: &[QUEUES],
};

const QUEUES: Desc = gauge(
    "node_udp_queues",
    "Number of allocated memory in the kernel for UDP datagrams in bytes.",
)
.labels(&["queue", "ip"]);

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    let mut family = Family::of(&QUEUES);
    for (file, version) in [("net/udp", "v4"), ("net/udp6", "v6")] {
        let path = host.proc(file);
        let text = match host.read(&path) {
            Ok(text) => text,
            Err(error) if error.is_missing() => continue,
            Err(error) => return Err(error.into()),
        };
        let (mut sending, mut received) = (0_u64, 0_u64);
        // One line of headings.
        for line in text.lines().skip(1) {
            let (tx, rx) = parse(line).ok_or_else(|| parse_error(&path, line))?;
            sending = sending.saturating_add(tx);
            received = received.saturating_add(rx);
        }
        family.push(&["tx", version], float(sending));
        family.push(&["rx", version], float(received));
    }
    if family.metrics.is_empty() {
        return Err(CollectError::NoData);
    }
    out.push(family);
    Ok(())
}

/// The bytes to send and to receive of a socket: the fifth column, `tx:rx` in base 16.
fn parse(line: &str) -> Option<(u64, u64)> {
    let (tx, rx) = line.split_ascii_whitespace().nth(4)?.split_once(':')?;
    let hex = |it| u64::from_str_radix(it, 16).ok();
    Some((hex(tx)?, hex(rx)?))
}
