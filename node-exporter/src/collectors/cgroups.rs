//! `node_cgroups_*`: controllers of control groups, from `/proc/cgroups` (cgroups(7)).

use daemon::CollectError;
use exposition::{Desc, Family};

use super::{Entry, gauge, no_flags};
use crate::host::{Host, parse_error, unsigned};

pub(super) const ENTRY: Entry = Entry {
    name: "cgroups",
    default: false,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    descs: &[CGROUPS, ENABLED],
};

const CGROUPS: Desc = gauge(
    "node_cgroups_cgroups",
    "Current cgroup number of the subsystem.",
)
.labels(&["subsys_name"]);
const ENABLED: Desc = gauge(
    "node_cgroups_enabled",
    "Current cgroup number of the subsystem.",
)
.labels(&["subsys_name"]);

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    let path = host.proc("cgroups");
    let text = host.read(&path)?;
    let [mut cgroups, mut enabled] = [&CGROUPS, &ENABLED].map(Family::of);
    for line in text.lines().filter(|it| !it.starts_with('#')) {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let parsed = match fields.as_slice() {
            [name, _hierarchy, count, on, ..] => {
                unsigned(count).and_then(|count| Some((name, count, unsigned(on)?)))
            }
            _ => None,
        };
        let (name, count, on) = parsed.ok_or_else(|| parse_error(&path, line))?;
        cgroups.push(&[name], count);
        enabled.push(&[name], on);
    }
    out.extend([cgroups, enabled]);
    Ok(())
}
