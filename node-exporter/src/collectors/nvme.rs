//! `node_nvme_*`, from `/sys/class/nvme`.

use std::path::Path;

use daemon::CollectError;
use exposition::{Desc, Family};

use super::{Entry, gauge, no_flags};
use crate::host::{Host, HostError, float};

pub(super) const ENTRY: Entry = Entry {
    name: "nvme",
    default: true,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    descs: &[INFO, NAMESPACE, CAPACITY, SIZE, USED, BLOCK],
};

const INFO: Desc = gauge(
    "node_nvme_info",
    "Non-numeric data from /sys/class/nvme/<device>, value is always 1.",
)
.labels(&[
    "device",
    "firmware_revision",
    "model",
    "serial",
    "state",
    "cntlid",
]);
const NAMESPACE: Desc = gauge(
    "node_nvme_namespace_info",
    "Information about NVMe namespaces. Value is always 1",
)
.labels(&["device", "nsid", "ana_state"]);
const CAPACITY: Desc = gauge(
    "node_nvme_namespace_capacity_bytes",
    "Capacity of the NVMe namespace in bytes. Computed as namespace_size * namespace_logical_block_size",
)
.labels(&["device", "nsid"]);
const SIZE: Desc = gauge(
    "node_nvme_namespace_size_bytes",
    "Size of the NVMe namespace in bytes. Available in /sys/class/nvme/<device>/<namespace>/size",
)
.labels(&["device", "nsid"]);
const USED: Desc = gauge(
    "node_nvme_namespace_used_bytes",
    "Used space of the NVMe namespace in bytes. Available in /sys/class/nvme/<device>/<namespace>/nuse",
)
.labels(&["device", "nsid"]);
const BLOCK: Desc = gauge(
    "node_nvme_namespace_logical_block_size_bytes",
    "Logical block size of the NVMe namespace in bytes. Usually 4Kb. Available in /sys/class/nvme/<device>/<namespace>/queue/logical_block_size",
)
.labels(&["device", "nsid"]);

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    let folder = host.sys("class/nvme");
    let [
        mut info,
        mut namespaces,
        mut capacity,
        mut size,
        mut used,
        mut block,
    ] = [&INFO, &NAMESPACE, &CAPACITY, &SIZE, &USED, &BLOCK].map(Family::of);
    for device in host.names(&folder)? {
        let path = folder.join(&device);
        let text = |file| host.text(&path.join(file));
        info.push(
            &[
                &device,
                &text("firmware_rev")?,
                &text("model")?,
                &text("serial")?,
                &text("state")?,
                &text("cntlid")?,
            ],
            1.0,
        );
        for name in host.names(&path)? {
            let Some(id) = namespace_id(&name) else {
                continue;
            };
            let path = path.join(&name);
            let (ana, numbers) = namespace(host, &path)?;
            let [blocks_used, blocks, bytes] = numbers;
            namespaces.push(&[&device, id, &ana], 1.0);
            let labels = [device.as_str(), id];
            capacity.push(&labels, float(blocks.wrapping_mul(bytes)));
            size.push(&labels, float(blocks.wrapping_mul(bytes)));
            used.push(&labels, float(blocks_used.wrapping_mul(bytes)));
            block.push(&labels, float(bytes));
        }
    }
    out.extend([info, namespaces, capacity, size, used, block]);
    Ok(())
}

/// `1` of `nvme0n1`; None when it is no namespace. With several paths to one subsystem it is called `nvme0c1n1`.
fn namespace_id(name: &str) -> Option<&str> {
    let rest = name
        .strip_prefix("nvme")?
        .trim_start_matches(|it: char| it.is_ascii_digit());
    let id = rest.strip_prefix('n')?;
    let end = id.find(|it: char| !it.is_ascii_digit()).unwrap_or(id.len());
    id.get(..end).filter(|it| !it.is_empty())
}

/// The state of asymmetric access, the blocks used and in all, and the bytes of a block; a number that is none is 0.
fn namespace(host: &Host, path: &Path) -> Result<(String, [u64; 3]), HostError> {
    let number = |file| Ok::<_, HostError>(host.text(&path.join(file))?.parse().unwrap_or(0));
    let numbers = [
        number("nuse")?,
        number("size")?,
        number("queue/logical_block_size")?,
    ];
    let ana = host.text(&path.join("ana_state"));
    Ok((ana.unwrap_or_else(|_error| "unknown".to_owned()), numbers))
}

#[cfg(test)]
mod tests {
    use super::namespace_id;

    #[test]
    fn namespaces() {
        for (name, expect) in [
            ("nvme0n1", Some("1")),
            ("nvme12n34", Some("34")),
            ("nvme0c0n1", None),
            ("nvme0", None),
            ("nvme0n", None),
            ("subsystem", None),
        ] {
            assert_eq!(namespace_id(name), expect, "{name}");
        }
    }
}
