//! `node_md_*`: software RAID, from `/proc/mdstat` and `/sys/block/md*/md` (kernel, `admin-guide/md.rst`).

use std::collections::BTreeSet;

use daemon::CollectError;
use exposition::{Desc, Family};

use super::{Entry, gauge, no_flags};
use crate::host::{Host, HostError, float, parse_error};

pub(super) const ENTRY: Entry = Entry {
    name: "mdadm",
    default: true,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    descs: &[STATE, DISKS, REQUIRED, BLOCKS, SYNCED, RAID_DISKS, DEGRADED],
};

const STATE: Desc =
    gauge("node_md_state", "Indicates the state of md-device.").labels(&["device", "state"]);
const DISKS: Desc = gauge(
    "node_md_disks",
    "Number of active/failed/spare disks of device.",
)
.labels(&["device", "state"]);
const REQUIRED: Desc =
    gauge("node_md_disks_required", "Total number of disks of device.").labels(&["device"]);
const BLOCKS: Desc =
    gauge("node_md_blocks", "Total number of blocks on device.").labels(&["device"]);
const SYNCED: Desc = gauge(
    "node_md_blocks_synced",
    "Number of blocks synced on device.",
)
.labels(&["device"]);
const RAID_DISKS: Desc =
    gauge("node_md_raid_disks", "Number of raid disks on device.").labels(&["device"]);
const DEGRADED: Desc =
    gauge("node_md_degraded", "Number of degraded disks on device.").labels(&["device"]);

/// What is shown of an array's activity, and what it is called here.
const STATES: [(&str, &str); 5] = [
    ("active", "active"),
    ("inactive", "inactive"),
    ("recovering", "recovering"),
    ("resync", "resyncing"),
    ("check", "checking"),
];

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    let path = host.proc("mdstat");
    let text = host.read(&path)?;
    let arrays = parse(&text).map_err(|line| parse_error(&path, line))?;
    let [mut states, mut disks, mut required, mut blocks, mut synced] =
        [&STATE, &DISKS, &REQUIRED, &BLOCKS, &SYNCED].map(Family::of);
    for array in arrays {
        for (state, activity) in STATES {
            let is = array.activity == activity;
            states.push(&[array.name, state], f64::from(u8::from(is)));
        }
        let counts = [
            ("active", array.active),
            ("failed", array.failed),
            ("spare", array.spare),
        ];
        for (state, count) in counts {
            disks.push(&[array.name, state], float(count));
        }
        required.push(&[array.name], float(array.required));
        blocks.push(&[array.name], float(array.blocks));
        synced.push(&[array.name], float(array.synced));
    }
    out.extend([states, disks, required, blocks, synced]);
    raids(host, out)?;
    Ok(())
}

/// What sysfs says of the arrays.
fn raids(host: &Host, out: &mut Vec<Family>) -> Result<(), HostError> {
    let folder = host.sys("block");
    let [mut disks, mut degraded] = [&RAID_DISKS, &DEGRADED].map(Family::of);
    let names = match host.names(&folder) {
        Ok(names) => names,
        Err(error) if error.is_missing() => Vec::new(),
        Err(error) => return Err(error),
    };
    for device in names.iter().filter(|it| it.starts_with("md")) {
        let path = folder.join(device).join("md");
        let Some(level) = host.maybe(&path.join("level"))? else {
            continue;
        };
        // A container of arrays has no disks of its own.
        if !matches!(level.as_str(), "" | "container" | "imsm" | "ddf") {
            // `4 (3)` while it is reshaped: the new number, and the old.
            let text = host.text(&path.join("raid_disks"))?;
            let count = text.split(' ').next().and_then(|it| it.parse().ok());
            if let Some(count) = count {
                disks.push(&[device], float(count));
            }
        }
        let redundant = matches!(
            level.as_str(),
            "raid1" | "raid4" | "raid5" | "raid6" | "raid10"
        );
        let count = if redundant {
            host.count(&path.join("degraded"))?
        } else {
            0.0
        };
        degraded.push(&[device], count);
    }
    out.extend([disks, degraded]);
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
struct Array<'a> {
    name: &'a str,
    activity: &'a str,
    active: u64,
    required: u64,
    failed: u64,
    spare: u64,
    blocks: u64,
    synced: u64,
}

/// The arrays; the line that is wrong.
fn parse(text: &str) -> Result<Vec<Array<'_>>, &str> {
    let mut arrays = Vec::new();
    let mut lines = text.lines().peekable();
    let mut seen = BTreeSet::new();
    while let Some(line) = lines.next() {
        if line.trim().is_empty() || line.starts_with([' ', '\t']) {
            continue;
        }
        if line.starts_with("Personalities") || line.starts_with("unused") {
            continue;
        }
        // `md0 : active raid1 sda1[0] sdb1[1](F)`
        let mut fields = line.split_ascii_whitespace();
        let (Some(name), Some(":"), Some(activity)) = (fields.next(), fields.next(), fields.next())
        else {
            return Err(line);
        };
        // `      1024 blocks super 1.2 [2/2] [UU]`
        let status = lines.next().ok_or(line)?;
        let blocks = status
            .split_ascii_whitespace()
            .next()
            .and_then(|it| it.parse().ok());
        let blocks = blocks.ok_or(status)?;
        let count = |mark| u64::try_from(line.matches(mark).count()).unwrap_or_default();
        let (required, active) = if line.contains("raid0") || line.contains("linear") {
            (count("["), count("["))
        } else if line.contains("inactive") {
            (0, 0)
        } else {
            disks(status).ok_or(status)?
        };
        let mut array = Array {
            name,
            activity,
            active,
            required,
            failed: count("(F)"),
            spare: count("(S)"),
            blocks,
            synced: blocks,
        };
        while let Some(detail) =
            lines.next_if(|it| it.starts_with([' ', '\t']) && !it.trim().is_empty())
        {
            let activities = [
                ("recovery", "recovering"),
                ("reshape", "reshaping"),
                ("check", "checking"),
                ("resync", "resyncing"),
            ];
            let Some((_, activity)) = activities.iter().find(|(word, _)| detail.contains(word))
            else {
                continue;
            };
            array.activity = activity;
            array.synced = if detail.contains("PENDING") || detail.contains("DELAYED") {
                0
            } else {
                progress(detail).ok_or(detail)?
            };
        }
        if seen.insert(name) {
            arrays.push(array);
        }
    }
    Ok(arrays)
}

/// `[3/2] [UU_]`: disks required, and active.
fn disks(status: &str) -> Option<(u64, u64)> {
    let (before, marks) = status.rsplit_once("] [")?;
    marks
        .strip_suffix(']')
        .filter(|it| it.bytes().all(|it| matches!(it, b'U' | b'_')))?;
    let (required, active) = before.rsplit_once('[')?.1.split_once('/')?;
    Some((required.parse().ok()?, active.parse().ok()?))
}

/// `[==>..]  recovery = 16.7% (12/72) finish=…`: blocks done.
fn progress(detail: &str) -> Option<u64> {
    let (done, all) = detail
        .rsplit_once('(')?
        .1
        .split_once(')')?
        .0
        .split_once('/')?;
    all.parse::<u64>().ok()?;
    done.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn arrays() {
        let text = "Personalities : [raid1]\n\
            md0 : active raid1 sdb1[1](F) sda1[0] sdc1[2](S)\n\
            \x20     1024 blocks super 1.2 [2/1] [U_]\n\
            \x20     [==>..]  recovery = 16.7% (12/1024) finish=1.0min speed=1K/sec\n\
            \n\
            md1 : inactive sdd1[0](S)\n\
            \x20     512 blocks super 1.2\n\
            \n\
            unused devices: <none>\n";
        let found = parse(text).unwrap();
        let [first, second] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!(
            (
                first.name,
                first.activity,
                first.active,
                first.required,
                first.failed,
                first.spare,
                first.blocks,
                first.synced
            ),
            ("md0", "recovering", 1, 2, 1, 1, 1024, 12)
        );
        assert_eq!(
            (
                second.name,
                second.activity,
                second.required,
                second.spare,
                second.synced
            ),
            ("md1", "inactive", 0, 1, 512)
        );
        for bad in [
            "md0",
            "md0 : active",
            "md0 : active raid1 sda[0]\n  x blocks",
            "md0 : active raid1 sda[0]\n 12 blocks",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
