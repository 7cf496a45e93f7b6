//! `node_memory_numa_*`, from `/sys/devices/system/node/node*` (kernel, `numastat.rst`).

use daemon::CollectError;
use exposition::{Family, Kind};

use super::{Entry, Named, labels, no_flags};
use crate::host::{Host, parse_error};

pub(super) const ENTRY: Entry = Entry {
    name: "meminfo_numa",
    default: false,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    // The names are the kernel's.
    descs: &[],
};

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    let mut named = Named::default();
    for (node, path) in host.numbered(&host.sys("devices/system/node"), "node") {
        let node = node.to_string();
        let mut push = |name: &str, kind, value| {
            let help = || format!("Memory information field {name}.");
            let labels = labels([("node", node.as_str())]);
            named.push(
                &format!("node_memory_numa_{name}"),
                kind,
                help,
                labels,
                value,
            );
        };
        let file = path.join("meminfo");
        for line in host.read(&file)?.lines().filter(|it| !it.trim().is_empty()) {
            let (name, value) = parse(line).ok_or_else(|| parse_error(&file, line))?;
            push(&name, Kind::Gauge, value);
        }
        let file = path.join("numastat");
        for line in host.read(&file)?.lines().filter(|it| !it.trim().is_empty()) {
            let (name, value) = line
                .trim()
                .split_once(' ')
                .ok_or_else(|| parse_error(&file, line))?;
            let value = value
                .trim()
                .parse()
                .map_err(|_error| parse_error(&file, line))?;
            push(&format!("{name}_total"), Kind::Counter, value);
        }
    }
    out.extend(named.families());
    Ok(())
}

/// `Node 0 Active(anon):     5 kB`
fn parse(line: &str) -> Option<(String, f64)> {
    let mut fields = line.split_ascii_whitespace().skip(2);
    let name = fields.next()?.strip_suffix(':')?;
    let value: f64 = fields.next()?.parse().ok()?;
    let unit = match fields.next() {
        None => 1.0,
        Some("kB") => 1024.0,
        Some(_) => return None,
    };
    Some((name.replace('(', "_").replace(')', ""), value * unit))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn lines() {
        for (line, expect) in [
            (
                "Node 0 Active(anon):  5 kB",
                Some(("Active_anon".to_owned(), 5120.0)),
            ),
            (
                "Node 1 HugePages_Total:     2",
                Some(("HugePages_Total".to_owned(), 2.0)),
            ),
            ("Node 0 X: 1 MB", None),
            ("Node 0 X", None),
        ] {
            assert_eq!(parse(line), expect, "{line}");
        }
    }
}
