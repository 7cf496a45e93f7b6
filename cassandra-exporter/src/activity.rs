//! What the node is busy with: compactions and streams that run, and compactions that wait.

use std::collections::BTreeMap;

use exposition::{Desc, Family, Kind};

use crate::jolokia::{request::Bulk, response::Tree};

const RUNNING: Desc = Desc::new(
    "cassandra_running_compactions",
    Kind::Gauge,
    "Compactions, validations and the like that run, by their type.",
)
.labels(&["keyspace", "table", "type"]);
const COMPLETED: Desc = Desc::new(
    "cassandra_running_compactions_completed_bytes",
    Kind::Gauge,
    "What those that run have read.",
)
.labels(&["keyspace", "table", "type"]);
const TOTAL: Desc = Desc::new(
    "cassandra_running_compactions_size_bytes",
    Kind::Gauge,
    "What those that run have to read.",
)
.labels(&["keyspace", "table", "type"]);
const PENDING: Desc = Desc::new(
    "cassandra_compaction_pending_tasks_by_table",
    Kind::Gauge,
    "Compactions that wait, by table; of tables that have some.",
)
.labels(&["keyspace", "table"]);
const STREAMS: Desc = Desc::new(
    "cassandra_streams",
    Kind::Gauge,
    "Streams that run, by what for.",
)
.labels(&["description"]);
const STREAMED: Desc = Desc::new(
    "cassandra_streams_transferred_bytes",
    Kind::Gauge,
    "What the streams that run have transferred.",
)
.labels(&["description", "direction"]);
const STREAM_SIZE: Desc = Desc::new(
    "cassandra_streams_size_bytes",
    Kind::Gauge,
    "What the streams that run have to transfer.",
)
.labels(&["description", "direction"]);

#[cfg(test)]
pub(crate) const DESCS: &[Desc] = &[
    RUNNING,
    COMPLETED,
    TOTAL,
    PENDING,
    STREAMS,
    STREAMED,
    STREAM_SIZE,
];

/// Different ones that are shown.
const MAX_SHOWN: usize = 500;

/// Number of requests that [`ask`] makes.
pub(crate) const ASKED: usize = 3;

pub(crate) fn ask(bulk: &mut Bulk) {
    bulk.read(
        "org.apache.cassandra.db:type=CompactionManager",
        &["Compactions"],
    );
    bulk.read(
        "org.apache.cassandra.net:type=StreamManager",
        &["CurrentStreams"],
    );
    bulk.read(
        "org.apache.cassandra.metrics:type=Compaction,name=PendingTasksByTableName",
        &["Value"],
    );
}

/// Families of what was answered to [`ask`].
pub(crate) fn families(answers: &[Tree], out: &mut Vec<Family>) {
    let [compactions, streams, pending] = answers else {
        return;
    };
    self::compactions(compactions, out);
    self::streams(streams, out);
    let mut family = Family::of(&PENDING);
    let tables = pending.entries().iter().flat_map(|(keyspace, tables)| {
        let tables = tables.entries().iter();
        tables.map(move |(table, count)| (keyspace, table, count))
    });
    for (keyspace, table, count) in tables.take(MAX_SHOWN) {
        if let Some(count) = count.number() {
            family.push(&[keyspace, table], count);
        }
    }
    out.push(family);
}

fn compactions(all: &Tree, out: &mut Vec<Family>) {
    let mut sums: BTreeMap<[String; 3], [f64; 3]> = BTreeMap::new();
    for one in all.list() {
        let text = |key: &str| one.get(key).text().unwrap_or_default().to_owned();
        let kind = text("taskType").to_lowercase().replace(' ', "_");
        let key = [text("keyspace"), text("columnfamily"), kind];
        if sums.len() >= MAX_SHOWN && !sums.contains_key(&key) {
            continue;
        }
        let [count, completed, total] = sums.entry(key).or_default();
        *count += 1.0;
        // Some count keys or ranges.
        if text("unit") == "bytes" {
            *completed += one.get("completed").number().unwrap_or(0.0);
            *total += one.get("total").number().unwrap_or(0.0);
        }
    }
    let [mut running, mut completed, mut total] = [&RUNNING, &COMPLETED, &TOTAL].map(Family::of);
    for (key, sums) in &sums {
        let labels = key.each_ref().map(String::as_str);
        let [count, done, size] = *sums;
        running.push(&labels, count);
        completed.push(&labels, done);
        total.push(&labels, size);
    }
    out.extend([running, completed, total]);
}

fn streams(all: &Tree, out: &mut Vec<Family>) {
    let mut sums: BTreeMap<String, [f64; 5]> = BTreeMap::new();
    for one in all.list() {
        let description = one.get("description").text().unwrap_or_default().to_owned();
        if sums.len() >= MAX_SHOWN && !sums.contains_key(&description) {
            continue;
        }
        let sums = sums.entry(description).or_default();
        let keys = [
            "currentRxBytes",
            "totalRxBytes",
            "currentTxBytes",
            "totalTxBytes",
        ];
        let values = keys.map(|it| one.get(it).number().unwrap_or(0.0));
        let values = std::iter::once(1.0).chain(values);
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += value;
        }
    }
    let [mut streams, mut transferred, mut size] =
        [&STREAMS, &STREAMED, &STREAM_SIZE].map(Family::of);
    for (description, sums) in &sums {
        let [count, received, to_receive, sent, to_send] = *sums;
        streams.push(&[description], count);
        transferred.push(&[description, "in"], received);
        transferred.push(&[description, "out"], sent);
        size.push(&[description, "in"], to_receive);
        size.push(&[description, "out"], to_send);
    }
    out.extend([streams, transferred, size]);
}
