//! `node_dmmultipath_*`: devices with several paths, from `/sys/block/dm-*` (kernel, `sysfs-block-dm`).

use daemon::CollectError;
use exposition::{Desc, Family};

use super::{Entry, gauge, no_flags};
use crate::host::Host;

pub(super) const ENTRY: Entry = Entry {
    name: "dmmultipath",
    default: true,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    descs: &[INFO, ACTIVE, SIZE, PATHS, PATHS_ACTIVE, PATHS_FAILED, STATE],
};

const INFO: Desc = gauge(
    "node_dmmultipath_device_info",
    "Non-numeric information about a DM-multipath device.",
)
.labels(&["device", "sysfs_name", "uuid"]);
const ACTIVE: Desc = gauge(
    "node_dmmultipath_device_active",
    "Whether the multipath device-mapper device is active (1) or suspended (0).",
)
.labels(&["device", "sysfs_name"]);
const SIZE: Desc = gauge(
    "node_dmmultipath_device_size_bytes",
    "Size of the multipath device in bytes, read from /sys/block/<dm>/size.",
)
.labels(&["device", "sysfs_name"]);
const PATHS: Desc = gauge(
    "node_dmmultipath_device_paths",
    "Number of paths for a multipath device.",
)
.labels(&["device", "sysfs_name"]);
const PATHS_ACTIVE: Desc = gauge(
    "node_dmmultipath_device_paths_active",
    "Number of paths in active state (SCSI running or NVMe live) for a multipath device.",
)
.labels(&["device", "sysfs_name"]);
const PATHS_FAILED: Desc = gauge(
    "node_dmmultipath_device_paths_failed",
    "Number of paths not in active state for a multipath device.",
)
.labels(&["device", "sysfs_name"]);
const STATE: Desc = gauge(
    "node_dmmultipath_path_state",
    "Reports the underlying device state for a multipath path, as read from /sys/block/<dev>/device/state.",
)
.labels(&["device", "path", "state"]);

/// Sizes in sysfs are in sectors of so many bytes, whatever the device's own are.
const SECTOR: f64 = 512.0;

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    let folder = host.sys("block");
    let [
        mut info,
        mut active,
        mut size,
        mut all,
        mut good,
        mut failed,
        mut states,
    ] = [
        &INFO,
        &ACTIVE,
        &SIZE,
        &PATHS,
        &PATHS_ACTIVE,
        &PATHS_FAILED,
        &STATE,
    ]
    .map(Family::of);
    for sysfs_name in host.names(&folder)? {
        if !sysfs_name.starts_with("dm-") {
            continue;
        }
        let path = folder.join(&sysfs_name);
        let Some(uuid) = host.maybe(&path.join("dm/uuid"))? else {
            continue;
        };
        if !uuid.starts_with("mpath-") {
            continue;
        }
        let name = host.text(&path.join("dm/name"))?;
        let suspended = host.text(&path.join("dm/suspended"))? == "1";
        let labels = [name.as_str(), &sysfs_name];
        info.push(&[&name, &sysfs_name, &uuid], 1.0);
        active.push(&labels, f64::from(u8::from(!suspended)));
        size.push(&labels, host.count(&path.join("size"))? * SECTOR);
        let slaves = match host.names(&path.join("slaves")) {
            Ok(slaves) => slaves,
            Err(error) if error.is_missing() => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let (mut up, mut down) = (0_u32, 0_u32);
        for slave in slaves {
            let state = host.text(&folder.join(&slave).join("device/state"))?;
            let counted = if matches!(state.as_str(), "running" | "live") {
                &mut up
            } else {
                &mut down
            };
            *counted += 1;
            states.push(&[&name, &slave, &state], 1.0);
        }
        all.push(&labels, f64::from(up + down));
        good.push(&labels, f64::from(up));
        failed.push(&labels, f64::from(down));
    }
    out.extend([info, active, size, all, good, failed, states]);
    Ok(())
}
