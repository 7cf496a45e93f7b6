//! What is read of Cassandra's metrics and what becomes of it: tables of rows, by the `type` of their beans in the domain
//! `org.apache.cassandra.metrics`. Names and meanings are those of Cassandra's own documentation of metrics (3.11, 4.0, 4.1, 5.0).
//!
//! No attribute is read that a row does not name: `RecentValues` starts anew for everybody when anybody reads it. Mean values over the
//! whole life and rates that Cassandra has smoothed are left out: Prometheus makes them of counters.

mod client_request;
mod node;
mod table;

use exposition::Kind;

pub(crate) use self::table::{Scope, TABLE};
use crate::object_name::ObjectName;

/// How much is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Profile {
    /// The node as a whole: requests, thread pools, compactions, storage, ring, JVM
    Minimal,
    /// And everything of keyspaces and of the node, and 15 core metrics of each table
    Standard,
    /// And every metric of each table, requests by consistency level, and waits by kind of message
    Full,
}

/// Which attributes a row reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// `Value` of a gauge.
    Value,
    /// `Count` of a counter or a meter.
    Count,
    /// One of the two: which one depends on Cassandra's version, and is found out.
    Number,
    /// `Count` and percentiles.
    Distribution,
    /// `Value` of a gauge that is the counts of an `EstimatedHistogram`.
    Buckets,
    /// `Value` of a gauge that is a map of numbers, by the label that its keys become.
    Map(&'static str),
}

/// Which names of beans a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    /// One.
    Is(&'static str),
    /// Those that begin so; the rest is the value of a label.
    Starts(&'static str, &'static str),
    /// Those that end so; the rest is the value of a label.
    Ends(&'static str, &'static str),
}

/// A metric of Cassandra and what becomes of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) name: Name,
    pub(crate) source: Source,
    /// Behind the prefix of its group.
    pub(crate) metric: &'static str,
    pub(crate) kind: Kind,
    pub(crate) help: &'static str,
    /// What one of Cassandra's units is in ours.
    pub(crate) unit: f64,
    /// A label that tells it from other rows of the same metric.
    pub(crate) fixed: Option<(&'static str, &'static str)>,
    /// The counter with the sum of a distribution, in the same unit.
    pub(crate) total: Option<&'static str>,
    pub(crate) profile: Profile,
    /// It costs a look at the disk: read only when names are looked for anew.
    pub(crate) is_slow: bool,
    /// Cassandra's word for "there is none".
    pub(crate) none: Option<f64>,
}

impl Row {
    const fn new(
        name: Name,
        source: Source,
        kind: Kind,
        metric: &'static str,
        help: &'static str,
    ) -> Self {
        Self {
            name,
            source,
            metric,
            kind,
            help,
            unit: 1.0,
            fixed: None,
            total: None,
            profile: Profile::Standard,
            is_slow: false,
            none: None,
        }
    }

    const fn unit(mut self, unit: f64) -> Self {
        self.unit = unit;
        self
    }

    const fn of(mut self, label: &'static str, value: &'static str) -> Self {
        self.fixed = Some((label, value));
        self
    }

    const fn total(mut self, name: &'static str) -> Self {
        self.total = Some(name);
        self
    }

    const fn minimal(mut self) -> Self {
        self.profile = Profile::Minimal;
        self
    }

    const fn full(mut self) -> Self {
        self.profile = Profile::Full;
        self
    }

    const fn slow(mut self) -> Self {
        self.is_slow = true;
        self
    }

    const fn none(mut self, value: f64) -> Self {
        self.none = Some(value);
        self
    }

    /// What the name of a bean makes of the row: the value of a label, or nothing; None when it is about others.
    pub(crate) fn matches<'a>(&self, name: &'a str) -> Option<Option<(&'static str, &'a str)>> {
        match self.name {
            Name::Is(its) => (its == name).then_some(None),
            Name::Starts(start, label) => name.strip_prefix(start).map(|it| Some((label, it))),
            Name::Ends(end, label) => name.strip_suffix(end).map(|it| Some((label, it))),
        }
    }
}

/// Microseconds in seconds.
const MICROS: f64 = 1e-6;
/// Milliseconds in seconds.
const MILLIS: f64 = 1e-3;
/// Nanoseconds in seconds.
const NANOS: f64 = 1e-9;
/// Percents as a ratio.
const PERCENT: f64 = 1e-2;

const fn value(name: &'static str, metric: &'static str, help: &'static str) -> Row {
    Row::new(Name::Is(name), Source::Value, Kind::Gauge, metric, help)
}

/// A gauge that only goes up.
const fn value_total(name: &'static str, metric: &'static str, help: &'static str) -> Row {
    Row::new(Name::Is(name), Source::Value, Kind::Counter, metric, help)
}

const fn count(name: &'static str, metric: &'static str, help: &'static str) -> Row {
    Row::new(Name::Is(name), Source::Count, Kind::Counter, metric, help)
}

/// A counter that goes down, too.
const fn count_now(name: &'static str, metric: &'static str, help: &'static str) -> Row {
    Row::new(Name::Is(name), Source::Count, Kind::Gauge, metric, help)
}

/// A number, whatever Cassandra's version keeps it in.
const fn number(name: &'static str, metric: &'static str, help: &'static str) -> Row {
    Row::new(Name::Is(name), Source::Number, Kind::Gauge, metric, help)
}

const fn number_total(name: &'static str, metric: &'static str, help: &'static str) -> Row {
    Row::new(Name::Is(name), Source::Number, Kind::Counter, metric, help)
}

/// A timer: Cassandra's are in microseconds.
const fn timer(name: &'static str, metric: &'static str, help: &'static str) -> Row {
    spread(name, metric, help).unit(MICROS)
}

/// A histogram, of which quantiles can be read.
const fn spread(name: &'static str, metric: &'static str, help: &'static str) -> Row {
    Row::new(
        Name::Is(name),
        Source::Distribution,
        Kind::Summary,
        metric,
        help,
    )
}

/// Beans of one `type`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group {
    pub(crate) bean: &'static str,
    pub(crate) prefix: &'static str,
    /// What the other keys of the beans' names become; None for beans that are passed over.
    pub(crate) labels: fn(&ObjectName) -> Option<Vec<(&'static str, String)>>,
    /// The names of those labels.
    #[cfg_attr(not(test), expect(dead_code, reason = "the catalogue's"))]
    pub(crate) names: &'static [&'static str],
    pub(crate) rows: &'static [Row],
}

/// Every group but those of tables, sorted by prefix.
pub(crate) const GROUPS: &[Group] = &[
    node::BATCH,
    node::BUFFER_POOL,
    node::CACHE,
    node::CIDR_AUTHORIZER,
    node::CLIENT,
    client_request::CLIENT_REQUEST,
    client_request::BY_CONSISTENCY,
    node::COMMIT_LOG,
    node::COMPACTION,
    node::CONNECTION,
    node::CQL,
    node::DENYLIST,
    node::DROPPED_MESSAGE,
    node::HINTED_HANDOFF,
    node::HINTS,
    node::INBOUND_CONNECTION,
    node::INDEX,
    node::MEMTABLE_POOL,
    node::MESSAGING,
    node::PAXOS,
    node::READ_REPAIR,
    node::REPAIR,
    node::STORAGE,
    node::STORAGE_PROXY,
    node::STREAMING,
    node::STREAMING_ALL,
    node::THREAD_POOL,
];

/// `RangeSlice` to `range_slice`, `CASRead` to `cas_read`.
fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    let letters: Vec<char> = name.chars().collect();
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|it| letters.get(it));
        let next = letters.get(at + 1);
        let starts = letter.is_ascii_uppercase()
            && before.is_some_and(|it| {
                it.is_ascii_lowercase()
                    || it.is_ascii_uppercase() && next.is_some_and(char::is_ascii_lowercase)
            });
        if starts {
            out.push('_');
        }
        out.push(match letter {
            '-' => '_',
            other => other.to_ascii_lowercase(),
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{GROUPS, snake};

    #[test]
    fn snakes() {
        for (name, expect) in [
            ("RangeSlice", "range_slice"),
            ("CASRead", "cas_read"),
            ("ViewWrite", "view_write"),
            ("Read", "read"),
            ("chunk-cache", "chunk_cache"),
        ] {
            assert_eq!(snake(name), expect);
        }
    }

    #[test]
    fn groups_are_sorted() {
        let prefixes: Vec<_> = GROUPS.iter().map(|it| it.prefix).collect();
        assert!(prefixes.is_sorted(), "{prefixes:?}");
    }
}
