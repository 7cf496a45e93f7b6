//! `node_nfs_*`: this machine as a client of NFS, from `/proc/net/rpc/nfs` (kernel, `net/sunrpc/stats.c`).

use daemon::CollectError;
use exposition::{Desc, Family};

use super::{Entry, counter, no_flags};
use crate::host::{Host, float, parse_error};

pub(super) const ENTRY: Entry = Entry {
    name: "nfs",
    default: true,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    descs: &[
        PACKETS,
        CONNECTIONS,
        RPCS,
        RETRANSMISSIONS,
        REFRESHES,
        REQUESTS,
    ],
};

const PACKETS: Desc = counter(
    "node_nfs_packets_total",
    "Total NFSd network packets (sent+received) by protocol type.",
)
.labels(&["protocol"]);
const CONNECTIONS: Desc = counter(
    "node_nfs_connections_total",
    "Total number of NFSd TCP connections.",
);
const RPCS: Desc = counter("node_nfs_rpcs_total", "Total number of RPCs performed.");
const RETRANSMISSIONS: Desc = counter(
    "node_nfs_rpc_retransmissions_total",
    "Number of RPC transmissions performed.",
);
const REFRESHES: Desc = counter(
    "node_nfs_rpc_authentication_refreshes_total",
    "Number of RPC authentication refreshes performed.",
);
const REQUESTS: Desc = counter(
    "node_nfs_requests_total",
    "Number of NFS procedures invoked.",
)
.labels(&["proto", "method"]);

/// The procedures of version 2 in their order (RFC 1094).
pub(super) const V2: [&str; 18] = [
    "Null", "GetAttr", "SetAttr", "Root", "Lookup", "ReadLink", "Read", "WrCache", "Write",
    "Create", "Remove", "Rename", "Link", "SymLink", "MkDir", "RmDir", "ReadDir", "FsStat",
];
/// The procedures of version 3 in their order (RFC 1813).
pub(super) const V3: [&str; 22] = [
    "Null",
    "GetAttr",
    "SetAttr",
    "Lookup",
    "Access",
    "ReadLink",
    "Read",
    "Write",
    "Create",
    "MkDir",
    "SymLink",
    "MkNod",
    "Remove",
    "RmDir",
    "Rename",
    "Link",
    "ReadDir",
    "ReadDirPlus",
    "FsStat",
    "FsInfo",
    "PathConf",
    "Commit",
];
/// The client's procedures of version 4 in the kernel's order (`nfs4_procedures`).
const V4: [&str; 59] = [
    "Null",
    "Read",
    "Write",
    "Commit",
    "Open",
    "OpenConfirm",
    "OpenNoattr",
    "OpenDowngrade",
    "Close",
    "Setattr",
    "FsInfo",
    "Renew",
    "SetClientID",
    "SetClientIDConfirm",
    "Lock",
    "Lockt",
    "Locku",
    "Access",
    "Getattr",
    "Lookup",
    "LookupRoot",
    "Remove",
    "Rename",
    "Link",
    "Symlink",
    "Create",
    "Pathconf",
    "StatFs",
    "ReadLink",
    "ReadDir",
    "ServerCaps",
    "DelegReturn",
    "GetACL",
    "SetACL",
    "FsLocations",
    "ReleaseLockowner",
    "Secinfo",
    "FsidPresent",
    "ExchangeID",
    "CreateSession",
    "DestroySession",
    "Sequence",
    "GetLeaseTime",
    "ReclaimComplete",
    "GetDeviceInfo",
    "LayoutGet",
    "LayoutCommit",
    "LayoutReturn",
    "SecinfoNoName",
    "TestStateID",
    "FreeStateID",
    "GetDeviceList",
    "BindConnToSession",
    "DestroyClientID",
    "Seek",
    "Allocate",
    "DeAllocate",
    "LayoutStats",
    "Clone",
];

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    let path = host.proc("net/rpc/nfs");
    let text = host.read(&path)?;
    let mut net = [0; 4];
    let mut rpc = [0; 3];
    let (mut v2, mut v3, mut v4) = ([0; V2.len()], [0; V3.len()], [0; V4.len()]);
    for line in text.lines() {
        let read = Line::of(line).and_then(|it| match it.label {
            "net" => it.exactly(&mut net),
            "rpc" => it.exactly(&mut rpc),
            "proc2" => it.counted(&mut v2, V2.len()),
            "proc3" => it.counted(&mut v3, V3.len()),
            // Older kernels know fewer.
            "proc4" => it.counted(&mut v4, 0),
            _ => None,
        });
        read.ok_or_else(|| parse_error(&path, line))?;
    }
    let [_, udp, tcp, connections] = net;
    let mut packets = Family::of(&PACKETS);
    packets.push(&["udp"], float(udp));
    packets.push(&["tcp"], float(tcp));
    out.push(packets);
    out.push(Family::single(&CONNECTIONS, float(connections)));
    for (desc, value) in [&RPCS, &RETRANSMISSIONS, &REFRESHES].into_iter().zip(rpc) {
        out.push(Family::single(desc, float(value)));
    }
    let mut requests = Family::of(&REQUESTS);
    requested(&mut requests, "2", &V2, &v2);
    requested(&mut requests, "3", &V3, &v3);
    requested(&mut requests, "4", &V4, &v4);
    out.push(requests);
    Ok(())
}

/// Adds the counts of a version's procedures.
pub(super) fn requested(family: &mut Family, version: &str, names: &[&str], counts: &[u64]) {
    for (name, count) in names.iter().zip(counts) {
        family.push(&[version, name], float(*count));
    }
}

/// A line of these files: a label and numbers.
pub(super) struct Line<'a> {
    pub(super) label: &'a str,
    numbers: Vec<u64>,
}

impl<'a> Line<'a> {
    /// Takes a line apart; None when it has no number, or something else.
    pub(super) fn of(line: &'a str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let label = fields.next()?;
        let numbers = if label == "th" {
            // Behind these is a histogram of a kernel long gone.
            fields
                .take(2)
                .map(|it| it.parse().ok())
                .collect::<Option<Vec<_>>>()?
        } else {
            fields
                .map(|it| it.parse().ok())
                .collect::<Option<Vec<_>>>()?
        };
        (!numbers.is_empty()).then_some(Self { label, numbers })
    }

    /// As many numbers as there is room for.
    pub(super) fn exactly(&self, room: &mut [u64]) -> Option<()> {
        (self.numbers.len() == room.len()).then(|| room.copy_from_slice(&self.numbers))
    }

    /// Numbers that the first number says how many there are, of which at least `min`; what is beyond the room is of a
    /// newer kernel.
    pub(super) fn counted(&self, room: &mut [u64], min: usize) -> Option<()> {
        let (count, numbers) = self.numbers.split_first()?;
        if u64::try_from(numbers.len()) != Ok(*count) || numbers.len() < min {
            return None;
        }
        for (room, number) in room.iter_mut().zip(numbers) {
            *room = *number;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::Line;

    #[test]
    fn lines() {
        for (line, expect) in [
            ("proc2 2 5 6", Some([5, 6])),
            ("proc2 3 5 6 7", Some([5, 6])),
            ("proc2 1 5", None),
            ("proc2 9 5 6", None),
            ("proc2", None),
            ("proc2 2 5 x", None),
            ("", None),
        ] {
            let mut room = [0; 2];
            let found = Line::of(line).and_then(|it| it.counted(&mut room, 2));
            assert_eq!(found.map(|()| room), expect, "{line}");
        }
    }
}
