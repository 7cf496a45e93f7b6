//! `node_btrfs_*`, from `/sys/fs/btrfs/<uuid>`, and of mounted ones what only ioctl(2) tells: errors by device.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
};

use daemon::CollectError;
use exposition::{Desc, Family, Labels};

use super::{Entry, Named, counter, gauge, labels, no_flags};
use crate::{
    host::{Host, HostError, float, parse_error},
    netlink::{text, u64_at},
};

pub(super) const ENTRY: Entry = Entry {
    name: "btrfs",
    default: true,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    descs: &[
        INFO,
        RESERVE,
        COMMITS,
        LAST,
        MAX,
        SUM,
        RESERVED,
        USED,
        SIZE,
        RATIO,
        DEVICE_SIZE,
        UNUSED,
        ERRORS,
    ],
};

const INFO: Desc = gauge("node_btrfs_info", "Filesystem information").labels(&["uuid", "label"]);
const RESERVE: Desc = gauge(
    "node_btrfs_global_rsv_size_bytes",
    "Size of global reserve.",
)
.labels(&["uuid"]);
const COMMITS: Desc = counter(
    "node_btrfs_commits_total",
    "The total number of commits that have occurred.",
)
.labels(&["uuid"]);
const LAST: Desc = gauge(
    "node_btrfs_last_commit_seconds",
    "Duration of the most recent commit, in seconds.",
)
.labels(&["uuid"]);
const MAX: Desc = gauge(
    "node_btrfs_max_commit_seconds",
    "Duration of the slowest commit, in seconds.",
)
.labels(&["uuid"]);
const SUM: Desc = counter(
    "node_btrfs_commit_seconds_total",
    "Sum of the duration of all commits, in seconds.",
)
.labels(&["uuid"]);
const RESERVED: Desc = gauge(
    "node_btrfs_reserved_bytes",
    "Amount of space reserved for a data type",
)
.labels(&["uuid", "block_group_type"]);
const USED: Desc = gauge(
    "node_btrfs_used_bytes",
    "Amount of used space by a layout/data type",
)
.labels(&["uuid", "block_group_type", "mode"]);
const SIZE: Desc = gauge(
    "node_btrfs_size_bytes",
    "Amount of space allocated for a layout/data type",
)
.labels(&["uuid", "block_group_type", "mode"]);
const RATIO: Desc = gauge(
    "node_btrfs_allocation_ratio",
    "Data allocation ratio for a layout/data type",
)
.labels(&["uuid", "block_group_type", "mode"]);
/// Without the last label when only sysfs knows the device.
const DEVICE_SIZE: Desc = gauge(
    "node_btrfs_device_size_bytes",
    "Size of a device that is part of the filesystem.",
)
.labels(&["uuid", "device", "btrfs_dev_uuid"]);
const UNUSED: Desc = gauge(
    "node_btrfs_device_unused_bytes",
    "Unused bytes unused on a device that is part of the filesystem.",
)
.labels(&["uuid", "device", "btrfs_dev_uuid"]);
const ERRORS: Desc = counter(
    "node_btrfs_device_errors_total",
    "Errors reported for the device",
)
.labels(&["uuid", "type", "device", "btrfs_dev_uuid"]);

/// The kinds of errors in the kernel's order (`btrfs_dev_stat_values`).
const ERROR_KINDS: [&str; 5] = ["write", "read", "flush", "corruption", "generation"];
const SECTOR: f64 = 512.0;

/// A device of a mounted file system.
struct Device {
    name: String,
    uuid: String,
    used: u64,
    total: u64,
    errors: [u64; ERROR_KINDS.len()],
}

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    let folder = host.sys("fs/btrfs");
    let names = match host.names(&folder) {
        Ok(names) => names,
        // No such file system is mounted: nothing to say, and no failure.
        Err(error) if error.is_missing() => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut named = Named::default();
    let mounted = mounted(host);
    for name in names.iter().filter(|it| it.contains('-')) {
        file_system(host, &folder.join(name), name, &mounted, &mut named)?;
    }
    out.extend(named.families());
    Ok(())
}

fn push(named: &mut Named, desc: &Desc, values: &[&str], value: f64) {
    let labels = labels(desc.labels.iter().copied().zip(values.iter().copied()));
    push_labels(named, desc, labels, value);
}

fn push_labels(named: &mut Named, desc: &Desc, labels: Labels, value: f64) {
    named.push(desc.name, desc.kind, || desc.help.to_owned(), labels, value);
}

fn file_system(
    host: &Host,
    path: &Path,
    name: &str,
    mounted: &BTreeMap<String, Vec<Device>>,
    named: &mut Named,
) -> Result<(), HostError> {
    let uuid = host
        .maybe(&path.join("metadata_uuid"))?
        .filter(|it| !it.is_empty());
    let uuid = uuid.as_deref().unwrap_or(name);
    let label = host.maybe(&path.join("label"))?.unwrap_or_default();
    push(named, &INFO, &[uuid, &label], 1.0);
    push(
        named,
        &RESERVE,
        &[uuid],
        number(host, &path.join("allocation/global_rsv_size"))?,
    );
    let commits = commits(host, &path.join("commit_stats"))?;
    for (desc, value) in [&COMMITS, &LAST, &MAX, &SUM].into_iter().zip(commits) {
        push(named, desc, &[uuid], value);
    }
    let devices = optional(host.names(&path.join("devices")))?;
    for group in ["data", "metadata", "system"] {
        let path = path.join("allocation").join(group);
        push(
            named,
            &RESERVED,
            &[uuid, group],
            number(host, &path.join("bytes_reserved"))?,
        );
        for layout in optional(host.devices(&path))? {
            let path = path.join(&layout);
            let labels = [uuid, group, layout.as_str()];
            push(
                named,
                &USED,
                &labels,
                number(host, &path.join("used_bytes"))?,
            );
            push(
                named,
                &SIZE,
                &labels,
                number(host, &path.join("total_bytes"))?,
            );
            push(named, &RATIO, &labels, ratio(&layout, devices.len()));
        }
    }
    let Some(known) = mounted.get(&uuid.replace('-', "")) else {
        for device in devices {
            let size = number(host, &path.join("devices").join(&device).join("size"))?;
            let labels = labels([("uuid", uuid), ("device", device.as_str())]);
            push_labels(named, &DEVICE_SIZE, labels, size * SECTOR);
        }
        return Ok(());
    };
    for device in known {
        let labels = [uuid, &device.name, &device.uuid];
        push(named, &DEVICE_SIZE, &labels, float(device.total));
        push(
            named,
            &UNUSED,
            &labels,
            float(device.total.wrapping_sub(device.used)),
        );
        for (kind, count) in ERROR_KINDS.into_iter().zip(device.errors) {
            push(
                named,
                &ERRORS,
                &[uuid, kind, &device.name, &device.uuid],
                float(count),
            );
        }
    }
    Ok(())
}

fn optional(names: Result<Vec<String>, HostError>) -> Result<Vec<String>, HostError> {
    match names {
        Err(error) if error.is_missing() => Ok(Vec::new()),
        names => names,
    }
}

/// A number that an older kernel may not have, and then is 0.
fn number(host: &Host, path: &Path) -> Result<f64, HostError> {
    match host.text(path) {
        Ok(text) => Ok(text.parse().map_or(0.0, float)),
        Err(error) if error.is_missing() => Ok(0.0),
        Err(error) => Err(error),
    }
}

/// How many commits there were, and the seconds of the last, of the longest, and of all.
fn commits(host: &Host, path: &Path) -> Result<[f64; 4], HostError> {
    let text = match host.text(path) {
        Ok(text) => text,
        Err(error) if error.is_missing() => String::new(),
        Err(error) => return Err(error),
    };
    let mut found = [0.0; 4];
    for line in text.lines() {
        let (name, value) = line
            .split_once(' ')
            .ok_or_else(|| parse_error(path, line))?;
        let value = value
            .trim()
            .parse()
            .map_err(|_error| parse_error(path, line))?;
        let value = float(value);
        let [count, last, max, sum] = &mut found;
        match name {
            "commits" => *count = value,
            "last_commit_ms" => *last = value / 1000.0,
            "max_commit_ms" => *max = value / 1000.0,
            "total_commit_ms" => *sum = value / 1000.0,
            _ => {}
        }
    }
    Ok(found)
}

/// The bytes on disk of a byte of data.
fn ratio(layout: &str, devices: usize) -> f64 {
    let devices = u32::try_from(devices).map_or(0.0, f64::from);
    match layout {
        "single" | "raid0" => 1.0,
        "dup" | "raid1" | "raid10" => 2.0,
        "raid1c3" => 3.0,
        "raid1c4" => 4.0,
        "raid5" => devices / (devices - 1.0),
        "raid6" => devices / (devices - 2.0),
        _ => 0.0,
    }
}

/// The devices of what is mounted, by the file system's UUID without its hyphens.
fn mounted(host: &Host) -> BTreeMap<String, Vec<Device>> {
    let mut found = BTreeMap::new();
    let mounts = host
        .read(&host.proc("1/mountinfo"))
        .or_else(|_error| host.read(&host.proc("self/mountinfo")));
    for line in mounts.unwrap_or_default().lines() {
        let Some((before, after)) = line.split_once(" - ") else {
            continue;
        };
        if after.split(' ').next() != Some("btrfs") {
            continue;
        }
        let point = before.split(' ').nth(4).unwrap_or_default();
        // Who may not ask sees what sysfs has.
        if let Ok((uuid, devices)) = devices(&host.rooted(&crate::host::unescaped(point))) {
            found.entry(uuid).or_insert(devices);
        }
    }
    found
}

/// `BTRFS_IOC_FS_INFO`, `_DEV_INFO` and `_GET_DEV_STATS` (`linux/btrfs.h`), and the bytes of their structures.
const FS_INFO: (libc::c_ulong, usize) = (0x8400_941f, 1024);
const DEV_INFO: (libc::c_ulong, usize) = (0xd000_941e, 4096);
const DEV_STATS: (libc::c_ulong, usize) = (0xc408_9434, 1032);
/// Numbers of devices are handed out one after the other; a host has not added so many.
const MAX_DEVICE: u64 = 65_536;

fn devices(point: &Path) -> io::Result<(String, Vec<Device>)> {
    let file = File::open(point)?;
    let mut info = vec![0; FS_INFO.1];
    ask(&file, FS_INFO.0, &mut info)?;
    let last = u64_at(&info, 0).unwrap_or_default().min(MAX_DEVICE);
    let count = u64_at(&info, 8).unwrap_or_default();
    let uuid = hex(info.get(16..32));
    let mut found = Vec::new();
    for number in 0..=last {
        if u64::try_from(found.len()).is_ok_and(|it| it >= count) {
            break;
        }
        let mut device = vec![0; DEV_INFO.1];
        put(&mut device, number);
        match ask(&file, DEV_INFO.0, &mut device) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => continue,
            Err(error) => return Err(error),
        }
        let mut stats = vec![0; DEV_STATS.1];
        put(&mut stats, number);
        if let Some(room) = stats.get_mut(8..16) {
            room.copy_from_slice(&5_u64.to_ne_bytes());
        }
        ask(&file, DEV_STATS.0, &mut stats)?;
        let path = PathBuf::from(text(device.get(3072..).unwrap_or_default()));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let value = |bytes: &[u8], at| u64_at(bytes, at).unwrap_or_default();
        found.push(Device {
            name: name.into_owned(),
            uuid: hex(device.get(8..24)),
            used: value(&device, 24),
            total: value(&device, 32),
            errors: [24, 32, 40, 48, 56].map(|at| value(&stats, at)),
        });
    }
    Ok((uuid, found))
}

fn put(bytes: &mut [u8], number: u64) {
    if let Some(room) = bytes.get_mut(..8) {
        room.copy_from_slice(&number.to_ne_bytes());
    }
}

fn hex(bytes: Option<&[u8]>) -> String {
    bytes
        .unwrap_or_default()
        .iter()
        .map(|it| format!("{it:02x}"))
        .collect()
}

#[expect(unsafe_code, reason = "no library that we use has these ioctls")]
fn ask(file: &File, question: libc::c_ulong, bytes: &mut [u8]) -> io::Result<()> {
    // SAFETY: `bytes` are as many as the question's structure has, which is what the kernel writes, and live through the call.
    let answer = unsafe { libc::ioctl(file.as_raw_fd(), question, bytes.as_mut_ptr()) };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{hex, ratio};

    #[test]
    fn ratios() {
        for (layout, devices, expect) in [
            ("single", 1, 1.0),
            ("raid1c3", 3, 3.0),
            ("raid5", 3, 1.5),
            ("raid6", 4, 2.0),
            ("new", 4, 0.0),
        ] {
            assert!(
                (ratio(layout, devices) - expect).abs() < f64::EPSILON,
                "{layout}"
            );
        }
        assert_eq!(hex(Some(&[0, 255])), "00ff");
    }
}
