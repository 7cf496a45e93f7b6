//! `node_memory_*`: every field of `/proc/meminfo` (proc(5)), in bytes where the kernel says kB.

use std::sync::Arc;

use daemon::{CollectError, Collector, Scrape};
use exposition::{Family, Kind, Labels};

use super::{Entry, no_flags};
use crate::host::{Host, parse_error};

pub(super) const ENTRY: Entry = Entry {
    name: "meminfo",
    default: true,
    flags: no_flags,
    make: |setup| Ok(Box::new(Meminfo(Arc::clone(&setup.host)))),
    // The names are the kernel's.
    descs: &[],
};

struct Meminfo(Arc<Host>);

impl Collector for Meminfo {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let path = self.0.proc("meminfo");
        let text = self.0.read(&path)?;
        for line in text.lines() {
            let (name, value) = parse(line).ok_or_else(|| parse_error(&path, line))?;
            let help = format!("Memory information field {name}.");
            let family = Family::new(format!("node_memory_{name}"), Kind::Gauge, help);
            let mut family = family.map_err(|error| parse_error(&path, error.to_string()))?;
            family.push_labels(Labels::EMPTY, value);
            out.push(family);
        }
        Ok(())
    }
}

/// `Active(anon):  12 kB` to `Active_anon_bytes` and 12288.
fn parse(line: &str) -> Option<(String, f64)> {
    let (name, rest) = line.split_once(':')?;
    let mut fields = rest.split_ascii_whitespace();
    let value: f64 = fields.next()?.parse().ok()?;
    let mut name = name.replace('(', "_").replace(')', "");
    match fields.next() {
        None => Some((name, value)),
        Some("kB") => {
            name.push_str("_bytes");
            Some((name, value * 1024.0))
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn lines() {
        for (line, expect) in [
            (
                "MemTotal:       24629136 kB",
                Some(("MemTotal_bytes", 25_220_235_264.0)),
            ),
            (
                "Active(anon):     194264 kB",
                Some(("Active_anon_bytes", 198_926_336.0)),
            ),
            ("HugePages_Total:       0", Some(("HugePages_Total", 0.0))),
            ("MemTotal: many kB", None),
            ("MemTotal: 1 MB", None),
            ("MemTotal:", None),
            ("MemTotal 1 kB", None),
        ] {
            let expect = expect.map(|(name, value): (&str, _)| (name.to_owned(), value));
            assert_eq!(parse(line), expect, "{line}");
        }
    }
}
