//! `node_filefd_*`, from `/proc/sys/fs/file-nr` (kernel, `sysctl/fs.rst`: allocated, unused, maximum).

use daemon::CollectError;
use exposition::{Desc, Family};

use super::{Entry, gauge, no_flags};
use crate::host::{Host, parse_error};

pub(super) const ENTRY: Entry = Entry {
    name: "filefd",
    default: true,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    descs: &[ALLOCATED, MAXIMUM],
};

const ALLOCATED: Desc = gauge(
    "node_filefd_allocated",
    "File descriptor statistics: allocated.",
);
const MAXIMUM: Desc = gauge(
    "node_filefd_maximum",
    "File descriptor statistics: maximum.",
);

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    let path = host.proc("sys/fs/file-nr");
    let text = host.text(&path)?;
    let mut fields = text.split('\t');
    // The maximum is 2^63 - 1 on large machines: a float, not a count.
    let mut next = |at| fields.nth(at)?.parse::<f64>().ok();
    let (Some(allocated), Some(maximum)) = (next(0), next(1)) else {
        return Err(parse_error(&path, text).into());
    };
    out.push(Family::single(&ALLOCATED, allocated));
    out.push(Family::single(&MAXIMUM, maximum));
    Ok(())
}
