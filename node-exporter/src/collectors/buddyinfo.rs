//! `node_buddyinfo_blocks`: free blocks of memory by size, from `/proc/buddyinfo`.

use daemon::CollectError;
use exposition::{Desc, Family};

use super::{Entry, gauge, no_flags};
use crate::host::{Host, parse_error};

pub(super) const ENTRY: Entry = Entry {
    name: "buddyinfo",
    default: false,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    descs: &[BLOCKS],
};

const BLOCKS: Desc = gauge(
    "node_buddyinfo_blocks",
    "Count of free blocks according to size.",
)
.labels(&["node", "zone", "size"]);

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    let path = host.proc("buddyinfo");
    let text = host.read(&path)?;
    let mut family = Family::of(&BLOCKS);
    for line in text.lines() {
        // `Node 0, zone   Normal  4381  1093 …`
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let ["Node", node, "zone", zone, counts @ ..] = fields.as_slice() else {
            return Err(parse_error(&path, line).into());
        };
        let node = node.trim_end_matches(',');
        for (size, count) in counts.iter().enumerate() {
            let count = count.parse().map_err(|_error| parse_error(&path, line))?;
            family.push(&[node, zone, &size.to_string()], count);
        }
    }
    out.push(family);
    Ok(())
}
