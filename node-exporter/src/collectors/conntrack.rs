//! `node_nf_conntrack_*`: netfilter's table of connections.

use daemon::CollectError;
use exposition::{Desc, Family};

use super::{Entry, gauge, no_flags};
use crate::host::{Host, float, parse_error};

pub(super) const ENTRY: Entry = Entry {
    name: "conntrack",
    default: true,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    descs: &[
        ENTRIES, LIMIT, STATS[0].1, STATS[1].1, STATS[2].1, STATS[3].1, STATS[4].1, STATS[5].1,
        STATS[6].1, STATS[7].1,
    ],
};

const ENTRIES: Desc = gauge(
    "node_nf_conntrack_entries",
    "Number of currently allocated flow entries for connection tracking.",
);
const LIMIT: Desc = gauge(
    "node_nf_conntrack_entries_limit",
    "Maximum size of connection tracking table.",
);
/// The columns of `/proc/net/stat/nf_conntrack`; the last is there since Linux 3.
const STATS: [(usize, Desc); 8] = [
    (
        2,
        gauge(
            "node_nf_conntrack_stat_found",
            "Number of searched entries which were successful.",
        ),
    ),
    (
        4,
        gauge(
            "node_nf_conntrack_stat_invalid",
            "Number of packets seen which can not be tracked.",
        ),
    ),
    (
        5,
        gauge(
            "node_nf_conntrack_stat_ignore",
            "Number of packets seen which are already connected to a conntrack entry.",
        ),
    ),
    (
        8,
        gauge(
            "node_nf_conntrack_stat_insert",
            "Number of entries inserted into the list.",
        ),
    ),
    (
        9,
        gauge(
            "node_nf_conntrack_stat_insert_failed",
            "Number of entries for which list insertion was attempted but failed.",
        ),
    ),
    (
        10,
        gauge(
            "node_nf_conntrack_stat_drop",
            "Number of packets dropped due to conntrack failure.",
        ),
    ),
    (
        11,
        gauge(
            "node_nf_conntrack_stat_early_drop",
            "Number of dropped conntrack entries to make room for new ones, if maximum table size was reached.",
        ),
    ),
    (
        16,
        gauge(
            "node_nf_conntrack_stat_search_restart",
            "Number of conntrack table lookups which had to be restarted due to hashtable resizes.",
        ),
    ),
];

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    for (desc, file) in [
        (&ENTRIES, "nf_conntrack_count"),
        (&LIMIT, "nf_conntrack_max"),
    ] {
        let value = host.count(&host.proc("sys/net/netfilter").join(file))?;
        out.push(Family::single(desc, value));
    }
    let path = host.proc("net/stat/nf_conntrack");
    let text = host.read(&path)?;
    let mut sums = [0_u64; 17];
    // A line of headings, then one for every CPU.
    for line in text.lines().skip(1) {
        let fields: Option<Vec<u64>> = line
            .split_ascii_whitespace()
            .map(|it| u64::from_str_radix(it, 16).ok())
            .collect();
        let fields = fields
            .filter(|it| (16..=17).contains(&it.len()))
            .ok_or_else(|| parse_error(&path, line))?;
        for (sum, field) in sums.iter_mut().zip(fields) {
            *sum = sum.wrapping_add(field);
        }
    }
    out.extend(
        STATS.iter().map(|(at, desc)| {
            Family::single(desc, float(sums.get(*at).copied().unwrap_or_default()))
        }),
    );
    Ok(())
}
