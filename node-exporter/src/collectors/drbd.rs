//! `node_drbd_*`: replicated block devices, from `/proc/drbd` (DRBD 8).

use daemon::CollectError;
use exposition::{Desc, Family};

use super::{Entry, counter, gauge, no_flags};
use crate::host::{Host, parse_error};

pub(super) const ENTRY: Entry = Entry {
    name: "drbd",
    default: false,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    descs: &[
        NUMBERS[0].1,
        NUMBERS[1].1,
        NUMBERS[2].1,
        NUMBERS[3].1,
        NUMBERS[4].1,
        NUMBERS[5].1,
        NUMBERS[6].1,
        NUMBERS[7].1,
        NUMBERS[8].1,
        NUMBERS[9].1,
        NUMBERS[10].1,
        NUMBERS[11].1,
        PAIRS[0].1,
        PAIRS[1].1,
        CONNECTED,
    ],
};

macro_rules! number {
    ($kind:ident, $key:literal, $name:literal, $help:literal, $unit:literal) => {
        (
            $key,
            $kind(concat!("node_drbd_", $name), $help).labels(&["device"]),
            $unit,
        )
    };
}

/// Keys, and the bytes of one.
const NUMBERS: [(&str, Desc, f64); 12] = [
    number!(
        counter,
        "ns",
        "network_sent_bytes_total",
        "Total number of bytes sent via the network.",
        1024.0
    ),
    number!(
        counter,
        "nr",
        "network_received_bytes_total",
        "Total number of bytes received via the network.",
        1.0
    ),
    number!(
        counter,
        "dw",
        "disk_written_bytes_total",
        "Net data written on local hard disk; in bytes.",
        1024.0
    ),
    number!(
        counter,
        "dr",
        "disk_read_bytes_total",
        "Net data read from local hard disk; in bytes.",
        1024.0
    ),
    number!(
        counter,
        "al",
        "activitylog_writes_total",
        "Number of updates of the activity log area of the meta data.",
        1.0
    ),
    number!(
        counter,
        "bm",
        "bitmap_writes_total",
        "Number of updates of the bitmap area of the meta data.",
        1.0
    ),
    number!(
        gauge,
        "lo",
        "local_pending",
        "Number of open requests to the local I/O sub-system.",
        1.0
    ),
    number!(
        gauge,
        "pe",
        "remote_pending",
        "Number of requests sent to the peer, but that have not yet been answered by the latter.",
        1.0
    ),
    number!(
        gauge,
        "ua",
        "remote_unacknowledged",
        "Number of requests received by the peer via the network connection, but that have not yet been answered.",
        1.0
    ),
    number!(
        gauge,
        "ap",
        "application_pending",
        "Number of block I/O requests forwarded to DRBD, but not yet answered by DRBD.",
        1.0
    ),
    number!(
        gauge,
        "ep",
        "epochs",
        "Number of Epochs currently on the fly.",
        1.0
    ),
    number!(
        gauge,
        "oos",
        "out_of_sync_bytes",
        "Amount of data known to be out of sync; in bytes.",
        1024.0
    ),
];
/// Keys of a state here and at the peer, and the state that is good.
const PAIRS: [(&str, Desc, &str); 2] = [
    (
        "ro",
        gauge(
            "node_drbd_node_role_is_primary",
            "Whether the role of the node is in the primary state.",
        )
        .labels(&["device", "node"]),
        "Primary",
    ),
    (
        "ds",
        gauge(
            "node_drbd_disk_state_is_up_to_date",
            "Whether the disk of the node is up to date.",
        )
        .labels(&["device", "node"]),
        "UpToDate",
    ),
];
const CONNECTED: Desc = gauge(
    "node_drbd_connected",
    "Whether DRBD is connected to the peer.",
)
.labels(&["device"]);

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    let path = host.proc("drbd");
    let text = host.read(&path)?;
    let mut numbers: Vec<_> = NUMBERS.iter().map(|it| Family::of(&it.1)).collect();
    let mut pairs: Vec<_> = PAIRS.iter().map(|it| Family::of(&it.1)).collect();
    let mut connected = Family::of(&CONNECTED);
    let mut device = "unknown".to_owned();
    for word in text.split_ascii_whitespace() {
        let Some((key, value)) = word.split_once(':') else {
            continue;
        };
        if value.contains(':') {
            continue;
        }
        if value.is_empty() {
            if let Ok(number) = key.parse::<u64>() {
                device = format!("drbd{number}");
            }
            continue;
        }
        let error = || parse_error(&path, word);
        if let Some((family, (_, _, unit))) =
            numbers.iter_mut().zip(&NUMBERS).find(|(_, it)| it.0 == key)
        {
            let value: f64 = value.parse().map_err(|_error| error())?;
            family.push(&[&device], value * unit);
        } else if let Some((family, (_, _, good))) =
            pairs.iter_mut().zip(&PAIRS).find(|(_, it)| it.0 == key)
        {
            let (local, remote) = value.split_once('/').ok_or_else(error)?;
            for (node, state) in [("local", local), ("remote", remote)] {
                family.push(&[&device, node], f64::from(u8::from(state == *good)));
            }
        } else if key == "cs" {
            connected.push(&[&device], f64::from(u8::from(value == "Connected")));
        }
    }
    out.extend(numbers);
    out.extend(pairs);
    out.push(connected);
    Ok(())
}
