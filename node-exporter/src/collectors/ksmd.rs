//! `node_ksmd_*`: memory pages merged, from `/sys/kernel/mm/ksm` (kernel, `admin-guide/mm/ksm.rst`).

use daemon::CollectError;
use exposition::{Desc, Family};

use super::{Entry, counter, gauge, no_flags};
use crate::host::Host;

pub(super) const ENTRY: Entry = Entry {
    name: "ksmd",
    default: false,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    descs: &[
        FILES[0].1, FILES[1].1, FILES[2].1, FILES[3].1, FILES[4].1, FILES[5].1, FILES[6].1,
        FILES[7].1, FILES[8].1,
    ],
};

/// The files, and by what their number is divided.
const FILES: [(&str, Desc, f64); 9] = [
    (
        "full_scans",
        counter("node_ksmd_full_scans_total", "ksmd 'full_scans' file."),
        1.0,
    ),
    (
        "merge_across_nodes",
        gauge(
            "node_ksmd_merge_across_nodes",
            "ksmd 'merge_across_nodes' file.",
        ),
        1.0,
    ),
    (
        "pages_shared",
        gauge("node_ksmd_pages_shared", "ksmd 'pages_shared' file."),
        1.0,
    ),
    (
        "pages_sharing",
        gauge("node_ksmd_pages_sharing", "ksmd 'pages_sharing' file."),
        1.0,
    ),
    (
        "pages_to_scan",
        gauge("node_ksmd_pages_to_scan", "ksmd 'pages_to_scan' file."),
        1.0,
    ),
    (
        "pages_unshared",
        gauge("node_ksmd_pages_unshared", "ksmd 'pages_unshared' file."),
        1.0,
    ),
    (
        "pages_volatile",
        gauge("node_ksmd_pages_volatile", "ksmd 'pages_volatile' file."),
        1.0,
    ),
    ("run", gauge("node_ksmd_run", "ksmd 'run' file."), 1.0),
    (
        "sleep_millisecs",
        gauge("node_ksmd_sleep_seconds", "ksmd 'sleep_millisecs' file."),
        1000.0,
    ),
];

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    let folder = host.sys("kernel/mm/ksm");
    for (file, desc, divisor) in &FILES {
        let value = host.count(&folder.join(file))?;
        out.push(Family::single(desc, value / divisor));
    }
    Ok(())
}
