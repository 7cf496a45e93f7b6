//! `node_sockstat_*`, from `/proc/net/sockstat` and `/proc/net/sockstat6`.

use daemon::CollectError;
use exposition::{Desc, Family, Kind, Labels};

use super::{Entry, Named, gauge, no_flags};
use crate::host::{Host, parse_error, signed};

pub(super) const ENTRY: Entry = Entry {
    name: "sockstat",
    default: true,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    // The others' names are the kernel's.
    descs: &[USED],
};

const USED: Desc = gauge(
    "node_sockstat_sockets_used",
    "Number of IPv4 sockets in use.",
);
const STATES: [&str; 6] = ["inuse", "orphan", "tw", "alloc", "mem", "memory"];

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    let mut named = Named::default();
    for file in ["net/sockstat", "net/sockstat6"] {
        let path = host.proc(file);
        let text = match host.read(&path) {
            Ok(text) => text,
            Err(error) if error.is_missing() => continue,
            Err(error) => return Err(error.into()),
        };
        for line in text.lines() {
            let (protocol, pairs) = parse(line).ok_or_else(|| parse_error(&path, line))?;
            let get = |state| pairs.iter().find(|(key, _)| *key == state).map(|it| it.1);
            if protocol == "sockets" {
                if file == "net/sockstat" {
                    let used = get("used").unwrap_or_default();
                    out.push(Family::single(&USED, signed(used)));
                }
                continue;
            }
            let mut push = |state: &str, value: f64| {
                let name = format!("node_sockstat_{protocol}_{state}");
                let help = || format!("Number of {protocol} sockets in state {state}.");
                named.push(&name, Kind::Gauge, help, Labels::EMPTY, value);
            };
            for state in STATES {
                // There is always a number of sockets in use.
                let value = get(state).or((state == "inuse").then_some(0));
                if let Some(value) = value {
                    push(state, signed(value));
                }
            }
            if let Some(pages) = get("mem") {
                push("mem_bytes", signed(pages) * page_size());
            }
        }
    }
    out.extend(named.families());
    Ok(())
}

/// The bytes of a page of memory.
fn page_size() -> f64 {
    u32::try_from(rustix::param::page_size()).map_or(4096.0, f64::from)
}

/// `TCP: inuse 5 orphan 0 …`
fn parse(line: &str) -> Option<(&str, Vec<(&str, i64)>)> {
    let mut fields = line.split(' ');
    let protocol = fields.next()?;
    let protocol = protocol.strip_suffix(':').unwrap_or(protocol);
    let mut pairs = Vec::new();
    while let Some(key) = fields.next() {
        pairs.push((key, fields.next()?.parse().ok()?));
    }
    (!pairs.is_empty()).then_some((protocol, pairs))
}
