//! `node_bcache_*`, from `/sys/fs/bcache/<uuid>` (kernel, `admin-guide/bcache.rst`).

use std::{path::Path, sync::Arc};

use daemon::{CollectError, Collector, Scrape};
use exposition::{Family, Kind, Labels};

use super::{Entry, Named, labels};
use crate::{
    flags::{switch, switched},
    host::{Host, HostError, parse_error},
};

pub(super) const ENTRY: Entry = Entry {
    name: "bcache",
    default: true,
    flags: |command| switch(command, PRIORITY, "Expose expensive priority stats"),
    make: |setup| {
        Ok(Box::new(Bcache {
            host: Arc::clone(&setup.host),
            priority: switched(setup.matches, PRIORITY).unwrap_or(false),
        }))
    },
    // What there is depends on the caches.
    descs: &[],
};

const PRIORITY: &str = "collector.bcache.priorityStats";

/// A file, the end of the metric's name, its kind and its help text.
type Stat = (&'static str, &'static str, Kind, &'static str);

const CACHE_SET: [Stat; 9] = [
    (
        "average_key_size",
        "average_key_size_sectors",
        Kind::Gauge,
        "Average data per key in the btree (sectors).",
    ),
    (
        "btree_cache_size",
        "btree_cache_size_bytes",
        Kind::Gauge,
        "Amount of memory currently used by the btree cache.",
    ),
    (
        "cache_available_percent",
        "cache_available_percent",
        Kind::Gauge,
        "Percentage of cache device without dirty data, usable for writeback (may contain clean cached data).",
    ),
    ("congested", "congested", Kind::Gauge, "Congestion."),
    (
        "root_usage_percent",
        "root_usage_percent",
        Kind::Gauge,
        "Percentage of the root btree node in use (tree depth increases if too high).",
    ),
    (
        "tree_depth",
        "tree_depth",
        Kind::Gauge,
        "Depth of the btree.",
    ),
    (
        "internal/active_journal_entries",
        "active_journal_entries",
        Kind::Gauge,
        "Number of journal entries that are newer than the index.",
    ),
    (
        "internal/btree_nodes",
        "btree_nodes",
        Kind::Gauge,
        "Total nodes in the btree.",
    ),
    (
        "internal/cache_read_races",
        "cache_read_races_total",
        Kind::Counter,
        "Counts instances where while data was being read from the cache, the bucket was reused and invalidated - i.e. where the pointer was stale after the read completed.",
    ),
];
const BTREE_READ: Stat = (
    "internal/btree_read_average_duration_us",
    "btree_read_average_duration_seconds",
    Kind::Gauge,
    "Average btree read duration.",
);
const TOTALS: [Stat; 6] = [
    (
        "stats_total/bypassed",
        "bypassed_bytes_total",
        Kind::Counter,
        "Amount of IO (both reads and writes) that has bypassed the cache.",
    ),
    (
        "stats_total/cache_hits",
        "cache_hits_total",
        Kind::Counter,
        "Hits counted per individual IO as bcache sees them.",
    ),
    (
        "stats_total/cache_misses",
        "cache_misses_total",
        Kind::Counter,
        "Misses counted per individual IO as bcache sees them.",
    ),
    (
        "stats_total/cache_bypass_hits",
        "cache_bypass_hits_total",
        Kind::Counter,
        "Hits for IO intended to skip the cache.",
    ),
    (
        "stats_total/cache_bypass_misses",
        "cache_bypass_misses_total",
        Kind::Counter,
        "Misses for IO intended to skip the cache.",
    ),
    (
        "stats_total/cache_miss_collisions",
        "cache_miss_collisions_total",
        Kind::Counter,
        "Instances where data insertion from cache miss raced with write (data already present).",
    ),
];
const READAHEADS: Stat = (
    "stats_total/cache_readaheads",
    "cache_readaheads_total",
    Kind::Counter,
    "Count of times readahead occurred.",
);
const DIRTY: Stat = (
    "dirty_data",
    "dirty_data_bytes",
    Kind::Gauge,
    "Amount of dirty data for this backing device in the cache.",
);
/// Lines of `writeback_rate_debug`.
const WRITEBACK: [Stat; 5] = [
    (
        "target",
        "dirty_target_bytes",
        Kind::Gauge,
        "Current dirty data target threshold for this backing device in bytes.",
    ),
    (
        "rate",
        "writeback_rate",
        Kind::Gauge,
        "Current writeback rate for this backing device in bytes.",
    ),
    (
        "proportional",
        "writeback_rate_proportional_term",
        Kind::Gauge,
        "Current result of proportional controller, part of writeback rate",
    ),
    (
        "integral",
        "writeback_rate_integral_term",
        Kind::Gauge,
        "Current result of integral controller, part of writeback rate",
    ),
    (
        "change",
        "writeback_change",
        Kind::Gauge,
        "Last writeback rate change step for this backing device.",
    ),
];
const CACHE: [Stat; 3] = [
    (
        "io_errors",
        "io_errors",
        Kind::Gauge,
        "Number of errors that have occurred, decayed by io_error_halflife.",
    ),
    (
        "metadata_written",
        "metadata_written_bytes_total",
        Kind::Counter,
        "Sum of all non data writes (btree writes and all other metadata).",
    ),
    (
        "written",
        "written_bytes_total",
        Kind::Counter,
        "Sum of all data that has been written to the cache.",
    ),
];
/// Lines of `priority_stats`, in percent.
const PRIORITIES: [Stat; 2] = [
    (
        "Unused",
        "priority_stats_unused_percent",
        Kind::Gauge,
        "The percentage of the cache that doesn't contain any data.",
    ),
    (
        "Metadata",
        "priority_stats_metadata_percent",
        Kind::Gauge,
        "Bcache's metadata overhead.",
    ),
];

struct Bcache {
    host: Arc<Host>,
    priority: bool,
}

impl Collector for Bcache {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let folder = self.host.sys("fs/bcache");
        let sets = match self.host.names(&folder) {
            Ok(names) => names,
            // No cache is there: nothing to say, and no failure.
            Err(error) if error.is_missing() => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let mut named = Named::default();
        // Beside the sets, which are called by their UUID, are files to register devices.
        for uuid in sets.iter().filter(|it| it.contains('-')) {
            self.set(&folder.join(uuid), uuid, &mut named)?;
        }
        out.extend(named.families());
        Ok(())
    }
}

impl Bcache {
    fn set(&self, path: &Path, uuid: &str, named: &mut Named) -> Result<(), HostError> {
        let set = labels([("uuid", uuid)]);
        for stat in &CACHE_SET {
            push(named, stat, set.clone(), self.value(&path.join(stat.0))?);
        }
        let duration = self.value(&path.join(BTREE_READ.0))? * 1e-9;
        push(named, &BTREE_READ, set, duration);
        for (number, path) in self.host.numbered(path, "bdev") {
            let device = format!("bdev{number}");
            let labels = labels([("uuid", uuid), ("backing_device", device.as_str())]);
            push(
                named,
                &DIRTY,
                labels.clone(),
                self.value(&path.join(DIRTY.0))?,
            );
            for stat in &TOTALS {
                push(named, stat, labels.clone(), self.value(&path.join(stat.0))?);
            }
            let readaheads = self.value(&path.join(READAHEADS.0))?;
            if readaheads > 0.0 {
                push(named, &READAHEADS, labels.clone(), readaheads);
            }
            let path = path.join("writeback_rate_debug");
            let text = self.host.read(&path)?;
            for stat in &WRITEBACK {
                let value = line(&text, stat.0).map_or(Some(0.0), bytes);
                let value = value.ok_or_else(|| parse_error(&path, stat.0))?;
                push(named, stat, labels.clone(), value);
            }
        }
        for (number, path) in self.host.numbered(path, "cache") {
            let device = format!("cache{number}");
            let labels = labels([("uuid", uuid), ("cache_device", device.as_str())]);
            for stat in &CACHE {
                push(named, stat, labels.clone(), self.value(&path.join(stat.0))?);
            }
            if self.priority {
                let path = path.join("priority_stats");
                let text = self.host.read(&path)?;
                for stat in &PRIORITIES {
                    let value = line(&text, stat.0)
                        .map_or(Some(0.0), |it| it.trim_end_matches('%').parse().ok());
                    let value = value.ok_or_else(|| parse_error(&path, stat.0))?;
                    push(named, stat, labels.clone(), value);
                }
            }
        }
        Ok(())
    }

    /// A file's value; 0 for one that this kernel does not have.
    fn value(&self, path: &Path) -> Result<f64, HostError> {
        match self.host.text(path) {
            Ok(text) => bytes(&text).ok_or_else(|| parse_error(path, text)),
            Err(error) if error.is_missing() => Ok(0.0),
            Err(error) => Err(error),
        }
    }
}

fn push(named: &mut Named, (_, name, kind, help): &Stat, labels: Labels, value: f64) {
    let name = format!("node_bcache_{name}");
    named.push(&name, *kind, || (*help).to_owned(), labels, value);
}

/// The last word of the line that starts with `key:`.
fn line<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let rest = text
        .lines()
        .find_map(|it| it.strip_prefix(key)?.strip_prefix(':'))?;
    rest.split_ascii_whitespace().last()
}

/// `1.5k` or `-20.0M/sec` in whole bytes (kernel, `bch_hprint`: behind the point are tenths of 1,024, not of 1,000).
fn bytes(text: &str) -> Option<f64> {
    const UNITS: &str = "kMGTPEZY";
    let text = text.strip_suffix("/sec").unwrap_or(text);
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (-1.0, text),
        None => (1.0, text),
    };
    let Some(power) = text.chars().last().and_then(|it| UNITS.find(it)) else {
        return Some(sign * text.parse::<f64>().ok()?.trunc());
    };
    let number = text.get(..text.len() - 1)?;
    let (whole, tenths) = number.split_once('.').unwrap_or((number, "0"));
    let value = whole.parse::<f64>().ok()? + tenths.parse::<f64>().ok()? / 10.24;
    Some(sign * (value * 1024_f64.powi(i32::try_from(power).ok()? + 1)).trunc())
}

#[cfg(test)]
mod tests {
    use super::{bytes, line};

    #[test]
    fn sizes() {
        for (text, expect) in [
            ("0", Some(0.0)),
            ("544", Some(544.0)),
            ("1.1M/sec", Some(1_150_976.0)),
            ("-1k", Some(-1024.0)),
            ("x", None),
            ("k", None),
            ("", None),
        ] {
            assert_eq!(bytes(text), expect, "{text}");
        }
    }

    #[test]
    fn lines() {
        let text = "rate:\t\t1.1M/sec\ntarget:\t\t20.4G\n";
        assert_eq!(line(text, "target"), Some("20.4G"));
        assert_eq!(line(text, "change"), None);
    }
}
