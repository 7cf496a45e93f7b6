//! `node_lnstat_*`: caches of the network's layers, from `/proc/net/stat` (lnstat(8)).

use daemon::CollectError;
use exposition::{Family, Kind};

use super::{Entry, Named, labels, no_flags};
use crate::host::{Host, float, parse_error};

pub(super) const ENTRY: Entry = Entry {
    name: "lnstat",
    default: false,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    // The names are the kernel's.
    descs: &[],
};

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    let folder = host.proc("net/stat");
    let files = match host.names(&folder) {
        Ok(files) => files,
        Err(error) if error.is_missing() => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut named = Named::default();
    for file in files {
        let path = folder.join(&file);
        let text = host.read(&path)?;
        let mut lines = text.lines();
        let names: Vec<_> = lines
            .next()
            .unwrap_or_default()
            .split_ascii_whitespace()
            .collect();
        // One line per CPU.
        for (cpu, line) in lines.enumerate() {
            let cpu = cpu.to_string();
            for (at, count) in line.split_ascii_whitespace().enumerate() {
                let name = names.get(at).ok_or_else(|| parse_error(&path, line))?;
                let count =
                    u64::from_str_radix(count, 16).map_err(|_error| parse_error(&path, line))?;
                named.push(
                    &format!("node_lnstat_{name}_total"),
                    Kind::Counter,
                    || "linux network cache stats".to_owned(),
                    labels([("subsystem", file.as_str()), ("cpu", cpu.as_str())]),
                    float(count),
                );
            }
        }
    }
    out.extend(named.families());
    Ok(())
}
