//! `node_nfsd_*`: this machine as a server of NFS, from `/proc/net/rpc/nfsd` (kernel, `fs/nfsd/stats.c`).

use daemon::CollectError;
use exposition::{Desc, Family};

use super::{
    Entry, counter, gauge,
    nfs::{Line, V2, V3, requested},
    no_flags,
};
use crate::host::{Host, float, parse_error};

pub(super) const ENTRY: Entry = Entry {
    name: "nfsd",
    default: true,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    descs: &[
        HITS,
        MISSES,
        NOCACHE,
        STALE,
        READ,
        WRITTEN,
        THREADS,
        CACHE,
        NOT_FOUND,
        PACKETS,
        CONNECTIONS,
        ERRORS,
        RPCS,
        REQUESTS,
    ],
};

const HITS: Desc = counter(
    "node_nfsd_reply_cache_hits_total",
    "Total number of NFSd Reply Cache hits (client lost server response).",
);
const MISSES: Desc = counter(
    "node_nfsd_reply_cache_misses_total",
    "Total number of NFSd Reply Cache an operation that requires caching (idempotent).",
);
const NOCACHE: Desc = counter(
    "node_nfsd_reply_cache_nocache_total",
    "Total number of NFSd Reply Cache non-idempotent operations (rename/delete/…).",
);
const STALE: Desc = counter(
    "node_nfsd_file_handles_stale_total",
    "Total number of NFSd stale file handles",
);
const READ: Desc = counter("node_nfsd_disk_bytes_read_total", "Total NFSd bytes read.");
const WRITTEN: Desc = counter(
    "node_nfsd_disk_bytes_written_total",
    "Total NFSd bytes written.",
);
const THREADS: Desc = gauge(
    "node_nfsd_server_threads",
    "Total number of NFSd kernel threads that are running.",
);
const CACHE: Desc = gauge(
    "node_nfsd_read_ahead_cache_size_blocks",
    "How large the read ahead cache is in blocks.",
);
const NOT_FOUND: Desc = counter(
    "node_nfsd_read_ahead_cache_not_found_total",
    "Total number of NFSd read ahead cache not found.",
);
const PACKETS: Desc = counter(
    "node_nfsd_packets_total",
    "Total NFSd network packets (sent+received) by protocol type.",
)
.labels(&["proto"]);
const CONNECTIONS: Desc = counter(
    "node_nfsd_connections_total",
    "Total number of NFSd TCP connections.",
);
const ERRORS: Desc = counter(
    "node_nfsd_rpc_errors_total",
    "Total number of NFSd RPC errors by error type.",
)
.labels(&["error"]);
const RPCS: Desc = counter("node_nfsd_server_rpcs_total", "Total number of NFSd RPCs.");
const REQUESTS: Desc = counter(
    "node_nfsd_requests_total",
    "Total number NFSd Requests by method and protocol.",
)
.labels(&["proto", "method"]);

/// The server's operations of version 4 in their order (RFC 7530).
const V4: [&str; 40] = [
    "Op0Unused",
    "Op1Unused",
    "Op2Future",
    "Access",
    "Close",
    "Commit",
    "Create",
    "DelegPurge",
    "DelegReturn",
    "GetAttr",
    "GetFH",
    "Link",
    "Lock",
    "Lockt",
    "Locku",
    "Lookup",
    "LookupRoot",
    "Nverify",
    "Open",
    "OpenAttr",
    "OpenConfirm",
    "OpenDgrd",
    "PutFH",
    "PutPubFH",
    "PutRootFH",
    "Read",
    "ReadDir",
    "ReadLink",
    "Remove",
    "Rename",
    "Renew",
    "RestoreFH",
    "SaveFH",
    "SecInfo",
    "SetAttr",
    "SetClientID",
    "SetClientIDConfirm",
    "Verify",
    "Write",
    "RelLockOwner",
];
/// How many of them there are at least.
const V4_MIN: usize = 39;
/// Procedures that do nothing, and operations that are none or only set the current file.
const UNSHOWN: [&str; 6] = [
    "Null",
    "Op0Unused",
    "Op1Unused",
    "Op2Future",
    "PutPubFH",
    "PutRootFH",
];

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    let path = host.proc("net/rpc/nfsd");
    let text = host.read(&path)?;
    let (mut rc, mut fh, mut io, mut th, mut ra) = ([0; 3], [0; 5], [0; 2], [0; 2], [0; 12]);
    let (mut net, mut rpc, mut compound, mut delegated) = ([0; 4], [0; 5], [0; 2], [0; 1]);
    let (mut v2, mut v3, mut v4) = ([0; V2.len()], [0; V3.len()], [0; V4.len()]);
    for line in text.lines() {
        let read = Line::of(line).and_then(|it| match it.label {
            "rc" => it.exactly(&mut rc),
            "fh" => it.exactly(&mut fh),
            "io" => it.exactly(&mut io),
            "th" => it.exactly(&mut th),
            "ra" => it.exactly(&mut ra),
            "net" => it.exactly(&mut net),
            "rpc" => it.exactly(&mut rpc),
            "proc2" => it.counted(&mut v2, V2.len()),
            "proc3" => it.counted(&mut v3, V3.len()),
            "proc4" => it.counted(&mut compound, 2),
            "proc4ops" => it.counted(&mut v4, V4_MIN),
            "wdeleg_getattr" => it.exactly(&mut delegated),
            _ => None,
        });
        read.ok_or_else(|| parse_error(&path, line))?;
    }
    let singles = [
        (&HITS, rc[0]),
        (&MISSES, rc[1]),
        (&NOCACHE, rc[2]),
        (&STALE, fh[0]),
        (&READ, io[0]),
        (&WRITTEN, io[1]),
        (&THREADS, th[0]),
        (&CACHE, ra[0]),
        (&NOT_FOUND, ra[11]),
        (&CONNECTIONS, net[3]),
        (&RPCS, rpc[0]),
    ];
    out.extend(singles.map(|(desc, value)| Family::single(desc, float(value))));
    let mut packets = Family::of(&PACKETS);
    packets.push(&["udp"], float(net[1]));
    packets.push(&["tcp"], float(net[2]));
    let mut errors = Family::of(&ERRORS);
    errors.push(&["fmt"], float(rpc[2]));
    errors.push(&["auth"], float(rpc[3]));
    errors.push(&["cInt"], float(rpc[4]));
    let mut requests = Family::of(&REQUESTS);
    requested(&mut requests, "2", &V2, &v2);
    requested(&mut requests, "3", &V3, &v3);
    requested(&mut requests, "4", &V4, &v4);
    requests.metrics.retain(|it| {
        it.labels
            .get("method")
            .is_none_or(|it| !UNSHOWN.contains(&it))
    });
    requests.push(&["4", "WdelegGetattr"], float(delegated[0]));
    out.extend([packets, errors, requests]);
    Ok(())
}
