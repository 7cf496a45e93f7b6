//! `node_mountstats_nfs_*`: this machine's mounts of NFS, from `/proc/self/mountstats` (kernel, `net/sunrpc/stats.c` and `xprtsock.c`).

use std::collections::BTreeSet;

use daemon::CollectError;
use exposition::{Desc, Family};

use super::{Entry, counter, gauge, no_flags};
use crate::host::{Host, float, parse_error};

pub(super) const ENTRY: Entry = Entry {
    name: "mountstats",
    default: false,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    descs: &DESCS,
};

const LABELS: &[&str] = &["export", "protocol", "mountaddr"];
const TRANSPORT_LABELS: &[&str] = &["export", "protocol", "mountaddr", "transport"];
const OPERATION_LABELS: &[&str] = &["export", "protocol", "mountaddr", "operation"];

const INFO: Desc = gauge(
    "node_mountstats_nfs_mountpoint_info",
    "Info metric for an NFS mountpoint.",
)
.labels(&["export", "protocol", "mountaddr", "mountpoint"]);
const AGE: Desc = counter(
    "node_mountstats_nfs_age_seconds_total",
    "The age of the NFS mount in seconds.",
)
.labels(LABELS);

macro_rules! nfs {
    ($at:literal, $kind:ident, $name:literal, $help:literal, $labels:ident) => {
        (
            $at,
            $kind(concat!("node_mountstats_nfs_", $name), $help).labels($labels),
        )
    };
}

/// Fields of the line `bytes:`.
const BYTES: [(usize, Desc); 8] = [
    nfs!(
        0,
        counter,
        "read_bytes_total",
        "Number of bytes read using the read() syscall.",
        LABELS
    ),
    nfs!(
        1,
        counter,
        "write_bytes_total",
        "Number of bytes written using the write() syscall.",
        LABELS
    ),
    nfs!(
        2,
        counter,
        "direct_read_bytes_total",
        "Number of bytes read using the read() syscall in O_DIRECT mode.",
        LABELS
    ),
    nfs!(
        3,
        counter,
        "direct_write_bytes_total",
        "Number of bytes written using the write() syscall in O_DIRECT mode.",
        LABELS
    ),
    nfs!(
        4,
        counter,
        "total_read_bytes_total",
        "Number of bytes read from the NFS server, in total.",
        LABELS
    ),
    nfs!(
        5,
        counter,
        "total_write_bytes_total",
        "Number of bytes written to the NFS server, in total.",
        LABELS
    ),
    nfs!(
        6,
        counter,
        "read_pages_total",
        "Number of pages read directly via mmap()'d files.",
        LABELS
    ),
    nfs!(
        7,
        counter,
        "write_pages_total",
        "Number of pages written directly via mmap()'d files.",
        LABELS
    ),
];
/// Fields of the line `events:`.
const EVENTS: [(usize, Desc); 26] = [
    nfs!(
        0,
        counter,
        "event_inode_revalidate_total",
        "Number of times cached inode attributes are re-validated from the server.",
        LABELS
    ),
    nfs!(
        1,
        counter,
        "event_dnode_revalidate_total",
        "Number of times cached dentry nodes are re-validated from the server.",
        LABELS
    ),
    nfs!(
        2,
        counter,
        "event_data_invalidate_total",
        "Number of times an inode cache is cleared.",
        LABELS
    ),
    nfs!(
        3,
        counter,
        "event_attribute_invalidate_total",
        "Number of times cached inode attributes are invalidated.",
        LABELS
    ),
    nfs!(
        4,
        counter,
        "event_vfs_open_total",
        "Number of times cached inode attributes are invalidated.",
        LABELS
    ),
    nfs!(
        5,
        counter,
        "event_vfs_lookup_total",
        "Number of times a directory lookup has occurred.",
        LABELS
    ),
    nfs!(
        6,
        counter,
        "event_vfs_access_total",
        "Number of times permissions have been checked.",
        LABELS
    ),
    nfs!(
        7,
        counter,
        "event_vfs_update_page_total",
        "Number of updates (and potential writes) to pages.",
        LABELS
    ),
    nfs!(
        8,
        counter,
        "event_vfs_read_page_total",
        "Number of pages read directly via mmap()'d files.",
        LABELS
    ),
    nfs!(
        9,
        counter,
        "event_vfs_read_pages_total",
        "Number of times a group of pages have been read.",
        LABELS
    ),
    nfs!(
        10,
        counter,
        "event_vfs_write_page_total",
        "Number of pages written directly via mmap()'d files.",
        LABELS
    ),
    nfs!(
        11,
        counter,
        "event_vfs_write_pages_total",
        "Number of times a group of pages have been written.",
        LABELS
    ),
    nfs!(
        12,
        counter,
        "event_vfs_getdents_total",
        "Number of times directory entries have been read with getdents().",
        LABELS
    ),
    nfs!(
        13,
        counter,
        "event_vfs_setattr_total",
        "Number of times directory entries have been read with getdents().",
        LABELS
    ),
    nfs!(
        14,
        counter,
        "event_vfs_flush_total",
        "Number of pending writes that have been forcefully flushed to the server.",
        LABELS
    ),
    nfs!(
        15,
        counter,
        "event_vfs_fsync_total",
        "Number of times fsync() has been called on directories and files.",
        LABELS
    ),
    nfs!(
        16,
        counter,
        "event_vfs_lock_total",
        "Number of times locking has been attempted on a file.",
        LABELS
    ),
    nfs!(
        17,
        counter,
        "event_vfs_file_release_total",
        "Number of times files have been closed and released.",
        LABELS
    ),
    nfs!(
        19,
        counter,
        "event_truncation_total",
        "Number of times files have been truncated.",
        LABELS
    ),
    nfs!(
        20,
        counter,
        "event_write_extension_total",
        "Number of times a file has been grown due to writes beyond its existing end.",
        LABELS
    ),
    nfs!(
        21,
        counter,
        "event_silly_rename_total",
        "Number of times a file was removed while still open by another process.",
        LABELS
    ),
    nfs!(
        22,
        counter,
        "event_short_read_total",
        "Number of times the NFS server gave less data than expected while reading.",
        LABELS
    ),
    nfs!(
        23,
        counter,
        "event_short_write_total",
        "Number of times the NFS server wrote less data than expected while writing.",
        LABELS
    ),
    nfs!(
        24,
        counter,
        "event_jukebox_delay_total",
        "Number of times the NFS server indicated EJUKEBOX; retrieving data from offline storage.",
        LABELS
    ),
    nfs!(
        25,
        counter,
        "event_pnfs_read_total",
        "Number of NFS v4.1+ pNFS reads.",
        LABELS
    ),
    nfs!(
        26,
        counter,
        "event_pnfs_write_total",
        "Number of NFS v4.1+ pNFS writes.",
        LABELS
    ),
];
/// Fields of a line `xprt:` behind the protocol, as it is for TCP.
const TRANSPORTS: [(usize, Desc); 10] = [
    nfs!(
        1,
        counter,
        "transport_bind_total",
        "Number of times the client has had to establish a connection from scratch to the NFS server.",
        TRANSPORT_LABELS
    ),
    nfs!(
        2,
        counter,
        "transport_connect_total",
        "Number of times the client has made a TCP connection to the NFS server.",
        TRANSPORT_LABELS
    ),
    nfs!(
        4,
        gauge,
        "transport_idle_time_seconds",
        "Duration since the NFS mount last saw any RPC traffic, in seconds.",
        TRANSPORT_LABELS
    ),
    nfs!(
        5,
        counter,
        "transport_sends_total",
        "Number of RPC requests for this mount sent to the NFS server.",
        TRANSPORT_LABELS
    ),
    nfs!(
        6,
        counter,
        "transport_receives_total",
        "Number of RPC responses for this mount received from the NFS server.",
        TRANSPORT_LABELS
    ),
    nfs!(
        7,
        counter,
        "transport_bad_transaction_ids_total",
        "Number of times the NFS server sent a response with a transaction ID unknown to this client.",
        TRANSPORT_LABELS
    ),
    nfs!(
        9,
        counter,
        "transport_backlog_queue_total",
        "Total number of items added to the RPC backlog queue.",
        TRANSPORT_LABELS
    ),
    nfs!(
        10,
        gauge,
        "transport_maximum_rpc_slots",
        "Maximum number of simultaneously active RPC requests ever used.",
        TRANSPORT_LABELS
    ),
    nfs!(
        11,
        counter,
        "transport_sending_queue_total",
        "Total number of items added to the RPC transmission sending queue.",
        TRANSPORT_LABELS
    ),
    nfs!(
        12,
        counter,
        "transport_pending_queue_total",
        "Total number of items added to the RPC transmission pending queue.",
        TRANSPORT_LABELS
    ),
];
/// Fields of an operation's line; times are in milliseconds.
const OPERATIONS: [(usize, Desc); 8] = [
    nfs!(
        0,
        counter,
        "operations_requests_total",
        "Number of requests performed for a given operation.",
        OPERATION_LABELS
    ),
    nfs!(
        1,
        counter,
        "operations_transmissions_total",
        "Number of times an actual RPC request has been transmitted for a given operation.",
        OPERATION_LABELS
    ),
    nfs!(
        2,
        counter,
        "operations_major_timeouts_total",
        "Number of times a request has had a major timeout for a given operation.",
        OPERATION_LABELS
    ),
    nfs!(
        3,
        counter,
        "operations_sent_bytes_total",
        "Number of bytes sent for a given operation, including RPC headers and payload.",
        OPERATION_LABELS
    ),
    nfs!(
        4,
        counter,
        "operations_received_bytes_total",
        "Number of bytes received for a given operation, including RPC headers and payload.",
        OPERATION_LABELS
    ),
    nfs!(
        5,
        counter,
        "operations_queue_time_seconds_total",
        "Duration all requests spent queued for transmission for a given operation before they were sent, in seconds.",
        OPERATION_LABELS
    ),
    nfs!(
        6,
        counter,
        "operations_response_time_seconds_total",
        "Duration all requests took to get a reply back after a request for a given operation was transmitted, in seconds.",
        OPERATION_LABELS
    ),
    nfs!(
        7,
        counter,
        "operations_request_time_seconds_total",
        "Duration all requests took from when a request was enqueued to when it was completely handled for a given operation, in seconds.",
        OPERATION_LABELS
    ),
];
/// Which of an operation's fields are times.
const TIMES: std::ops::RangeInclusive<usize> = 5..=7;
/// The seconds for which a transport has been idle.
const IDLE: usize = 4;
/// The kernel's sums of times may fall below zero and then are close to 2^64; of these a float holds the rest.
const EXACT: u64 = 1 << 53;

const TABLES: [&[(usize, Desc)]; 4] = [&BYTES, &EVENTS, &TRANSPORTS, &OPERATIONS];
const COUNT: usize = 2 + BYTES.len() + EVENTS.len() + TRANSPORTS.len() + OPERATIONS.len();
const DESCS: [Desc; COUNT] = {
    let mut descs = [INFO; COUNT];
    descs[1] = AGE;
    let (mut at, mut table) = (2, 0);
    while table < TABLES.len() {
        let mut row = 0;
        while row < TABLES[table].len() {
            descs[at] = TABLES[table][row].1;
            (at, row) = (at + 1, row + 1);
        }
        table += 1;
    }
    descs
};

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    let path = host.proc("self/mountstats");
    let text = host.read_once(&path)?;
    let mounts = parse(&text).map_err(|line| parse_error(&path, line))?;
    let addresses = host.read_once(&host.proc("self/mountinfo"))?;
    let addresses: Vec<_> = addresses.lines().map(address).collect();

    let [mut info, mut age] = [&INFO, &AGE].map(Family::of);
    let mut tables = TABLES.map(|it| {
        it.iter()
            .map(|(_, desc)| Family::of(desc))
            .collect::<Vec<_>>()
    });
    let (mut shown_mounts, mut shown) = (BTreeSet::new(), BTreeSet::new());
    for mount in &mounts {
        // Both files list the same mounts in the same order.
        let address = addresses.get(mount.index).copied().unwrap_or_default();
        for (protocol, _) in &mount.transports {
            let labels = [mount.device, protocol, address];
            if shown_mounts.insert((labels, mount.point)) {
                info.push(&[mount.device, protocol, address, mount.point], 1.0);
            }
            // Mounts of one export share their counters.
            if !shown.insert(labels) {
                break;
            }
            age.push(&labels, mount.age);
            let [bytes, events, transports, operations] = &mut tables;
            push(bytes, &BYTES, &labels, &mount.bytes);
            push(events, &EVENTS, &labels, &mount.events);
            for (index, (_, numbers)) in mount.transports.iter().enumerate() {
                let index = index.to_string();
                push(
                    transports,
                    &TRANSPORTS,
                    &[labels[0], labels[1], labels[2], &index],
                    numbers,
                );
            }
            for (operation, numbers) in &mount.operations {
                push(
                    operations,
                    &OPERATIONS,
                    &[labels[0], labels[1], labels[2], operation],
                    numbers,
                );
            }
        }
    }
    out.extend([info, age]);
    out.extend(tables.into_iter().flatten());
    Ok(())
}

fn push(families: &mut [Family], table: &[(usize, Desc)], labels: &[&str], numbers: &[u64]) {
    for (family, (at, desc)) in families.iter_mut().zip(table) {
        let value = numbers.get(*at).copied().unwrap_or_default();
        let value = if desc.labels == OPERATION_LABELS && TIMES.contains(at) {
            float(value % EXACT) / 1000.0
        } else if desc.labels == TRANSPORT_LABELS && *at == IDLE {
            float(value % EXACT)
        } else {
            float(value)
        };
        family.push(labels, value);
    }
}

/// A mount of NFS.
#[derive(Default)]
struct Mount<'a> {
    /// Its place among all mounts.
    index: usize,
    device: &'a str,
    point: &'a str,
    age: f64,
    bytes: Vec<u64>,
    events: Vec<u64>,
    transports: Vec<(&'a str, Vec<u64>)>,
    operations: Vec<(&'a str, Vec<u64>)>,
}

/// The mounts of NFS; the line that is wrong.
fn parse(text: &str) -> Result<Vec<Mount<'_>>, &str> {
    let mut mounts: Vec<Mount<'_>> = Vec::new();
    let (mut index, mut inside, mut operations) = (0, false, false);
    for line in text.lines() {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        if let [
            "device",
            device,
            "mounted",
            "on",
            point,
            "with",
            "fstype",
            kind,
            rest @ ..,
        ] = fields.as_slice()
        {
            inside = !rest.is_empty();
            operations = false;
            if inside {
                if !matches!(*kind, "nfs" | "nfs4") {
                    return Err(line);
                }
                mounts.push(Mount {
                    index,
                    device,
                    point,
                    ..Mount::default()
                });
            }
            index += 1;
            continue;
        }
        let Some(mount) = mounts.last_mut().filter(|_| inside) else {
            continue;
        };
        let numbers = |fields: &[&str]| {
            fields
                .iter()
                .map(|it| it.parse().ok())
                .collect::<Option<Vec<u64>>>()
                .ok_or(line)
        };
        match fields.as_slice() {
            [] => (inside, operations) = (!operations, operations),
            [name, rest @ ..] if operations => {
                let numbers = numbers(rest)?;
                if numbers.len() < 8 {
                    return Err(line);
                }
                mount.operations.push((name.trim_end_matches(':'), numbers));
            }
            ["age:", age, ..] => mount.age = age.parse().map_err(|_error| line)?,
            ["bytes:", rest @ ..] => mount.bytes = numbers(rest)?,
            ["events:", rest @ ..] => mount.events = numbers(rest)?,
            ["xprt:", protocol, rest @ ..] => {
                let mut numbers = numbers(rest)?;
                match (*protocol, numbers.len()) {
                    ("tcp", 10 | 13) => {}
                    // Without connections there are no numbers of them.
                    ("udp", 7 | 10) => drop(numbers.splice(2..2, [0; 3])),
                    ("rdma", 20..=28) => drop(numbers.splice(10..10, [0; 3])),
                    _ => return Err(line),
                }
                mount.transports.push((protocol, numbers));
            }
            ["per-op", ..] => operations = true,
            _ => {}
        }
    }
    Ok(mounts)
}

/// The server's address among a mount's options, the last field of its line.
fn address(line: &str) -> &str {
    let options = line.rsplit(' ').next().unwrap_or_default();
    options
        .split(',')
        .find_map(|it| it.strip_prefix("addr="))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{address, parse};

    #[test]
    fn mounts() {
        let text = "device rootfs mounted on / with fstype rootfs\n\
            device s:/x mounted on /mnt with fstype nfs4 statvers=1.1\n\
            \topts:\trw,vers=4.0\n\tage:\t12\n\tbytes:\t1 2 3 4 5 6 7 8\n\
            \txprt:\tudp 832 0 1 2 3 4 5\n\tper-op statistics\n\t        NULL: 1 2 3 4 5 6 7 8\n\n";
        let found = parse(text).unwrap();
        assert_eq!(found.len(), 1);
        let mount = &found[0];
        assert_eq!(
            (mount.index, mount.device, mount.point),
            (1, "s:/x", "/mnt")
        );
        assert_eq!(
            mount.transports,
            [("udp", vec![832, 0, 0, 0, 0, 1, 2, 3, 4, 5])]
        );
        assert_eq!(mount.operations, [("NULL", vec![1, 2, 3, 4, 5, 6, 7, 8])]);
        for bad in ["age: x", "bytes: a", "xprt: tcp 1", "xprt: sctp 1 2"] {
            let text = format!("device s:/x mounted on /mnt with fstype nfs statvers=1.0\n{bad}\n");
            assert_eq!(parse(&text).err(), Some(bad));
        }
        assert!(parse("device a mounted on /b with fstype ext4 statvers=1.0\n").is_err());
    }

    #[test]
    fn addresses() {
        assert_eq!(
            address("1 2 0:3 / /mnt rw - nfs4 s:/x rw,addr=10.0.0.1,local_lock=none"),
            "10.0.0.1"
        );
        assert_eq!(address(""), "");
    }
}
