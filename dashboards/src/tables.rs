//! The dashboard of Cassandra's tables: which of them is slow, large or full of tombstones, and then all of it.

use crate::grafana::{DC, Dashboard, Panel, Row, Variable};

pub(crate) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "cassandra-tables",
        title: "Cassandra tables",
        description: "Cassandra's tables: the slowest, the largest, those with most tombstones; then each by itself.",
        base_metric: "cassandra_up",
        variables: &[
            DC,
            Variable {
                name: "keyspace",
                title: "Keyspace",
                metric: "cassandra_table_live_sstables",
                label: "keyspace",
            },
            Variable {
                name: "table",
                title: "Table",
                metric: "cassandra_table_live_sstables",
                label: "table",
            },
        ],
        rows: vec![
            glance(),
            worst(),
            operations(),
            reads(),
            size(),
            compaction(),
            full(),
        ],
    }
}

/// Stands for what the variables choose.
fn chosen(expr: &str) -> String {
    expr.replace("TABLES", "keyspace=~\"$keyspace\",table=~\"$table\",SELECT")
        .replace("KEYSPACES", "keyspace=~\"$keyspace\",SELECT")
}

/// What is told of keyspaces alone.
fn of_keyspace(
    title: &'static str,
    unit: &'static str,
    expr: &str,
    description: &'static str,
) -> Panel {
    Panel::lines(title, unit, description).query(&chosen(expr), "{{instance}} {{keyspace}}")
}

fn lines(title: &'static str, unit: &'static str, expr: &str, description: &'static str) -> Panel {
    Panel::lines(title, unit, description)
        .query(&chosen(expr), "{{instance}} {{keyspace}}.{{table}}")
}

fn glance() -> Row {
    let worst = |title, unit, description, expr: &str| {
        Panel::stat(title, unit, description)
            .leads_to("cassandra")
            .query(
                &chosen(&format!("topk by (cluster) (1, {expr})")),
                "{{instance}} {{keyspace}}.{{table}}",
            )
    };
    Row {
        title: "Glance",
        panels: vec![
            worst("Slowest reads", "s", "The table with the slowest local reads (p99).", "cassandra_table_operation_latency_seconds{quantile=\"0.99\",operation=\"read\",TABLES}").thresholds(0.05, 0.5),
            worst("Slowest writes", "s", "The table with the slowest local writes (p99).", "cassandra_table_operation_latency_seconds{quantile=\"0.99\",operation=\"write\",TABLES}").thresholds(0.05, 0.5),
            worst("Largest partition", "bytes", "The table with the largest partition. Above 100 MB reads of it are slow, and compactions take much memory.", "cassandra_table_max_partition_size_bytes{TABLES}").thresholds(1e8, 1e9),
            worst("Most tombstones", "none", "The table whose reads pass the most deleted rows (p99).", "cassandra_table_tombstones_scanned{quantile=\"0.99\",TABLES}").thresholds(1e3, 1e5),
            worst("Most SSTables per read", "none", "The table whose reads look into the most files (p99).", "cassandra_table_sstables_per_read{quantile=\"0.99\",TABLES}").thresholds(10.0, 50.0),
            worst("Most compactions waiting", "none", "The table with the most compactions that wait.", "cassandra_table_pending_compactions{TABLES}").thresholds(20.0, 100.0),
        ],
    }
}

fn worst() -> Row {
    let top = |title, unit, description, expr: &str| {
        Panel::bars(title, unit, description)
            .size(8, 9)
            .leads_to("cassandra")
            .query(
                &chosen(&format!("sort_desc(topk by (cluster) (10, {expr}))")),
                "{{keyspace}}.{{table}}",
            )
    };
    let by = "by (cluster, keyspace, table)";
    Row {
        title: "Tables, the worst first",
        panels: vec![
            top(
                "Slowest reads",
                "s",
                "p99 of local reads, of the worst node.",
                &format!(
                    "max {by} (cassandra_table_operation_latency_seconds{{quantile=\"0.99\",operation=\"read\",TABLES}})"
                ),
            ),
            top(
                "Slowest writes",
                "s",
                "p99 of local writes, of the worst node.",
                &format!(
                    "max {by} (cassandra_table_operation_latency_seconds{{quantile=\"0.99\",operation=\"write\",TABLES}})"
                ),
            ),
            top(
                "Most data",
                "bytes",
                "Live data on disk, of all nodes.",
                &format!("sum {by} (cassandra_table_live_disk_space_used_bytes{{TABLES}})"),
            ),
            top(
                "Most tombstones",
                "none",
                "Deleted rows that a read passes (p99), of the worst node.",
                &format!(
                    "max {by} (cassandra_table_tombstones_scanned{{quantile=\"0.99\",TABLES}})"
                ),
            ),
            top(
                "Largest partitions",
                "bytes",
                "The largest partition of each table.",
                &format!("max {by} (cassandra_table_max_partition_size_bytes{{TABLES}})"),
            ),
            top(
                "Most SSTables per read",
                "none",
                "Files that a read looks into (p99), of the worst node.",
                &format!(
                    "max {by} (cassandra_table_sstables_per_read{{quantile=\"0.99\",TABLES}})"
                ),
            ),
        ],
    }
}

fn operations() -> Row {
    let by_operation = |title, unit, description, expr: &str| {
        Panel::lines(title, unit, description).size(12, 8).query(
            &chosen(expr),
            "{{instance}} {{keyspace}}.{{table}} {{operation}}",
        )
    };
    Row {
        title: "Operations",
        panels: vec![
            by_operation("Operations", "ops", "Local operations a second, by table; only those that there are.", "rate(cassandra_table_operation_latency_seconds_count{TABLES}[$__rate_interval]) > 0")
                .rare("nobody uses the tables"),
            by_operation("p99 of operations", "s", "How long the slowest hundredth of local operations takes at least.", "cassandra_table_operation_latency_seconds{quantile=\"0.99\",operation=~\"read|write|range_read\",TABLES}"),
        ],
    }
}

fn reads() -> Row {
    Row {
        title: "Reads",
        panels: vec![
            lines(
                "SSTables per read",
                "none",
                "cassandra_table_sstables_per_read{quantile=\"0.99\",TABLES}",
                "Files that a read looks into (p99). More than ten: compaction is behind, or does not suit the table.",
            ),
            lines(
                "Tombstones per read",
                "none",
                "cassandra_table_tombstones_scanned{quantile=\"0.99\",TABLES}",
                "Deleted rows that a read passes (p99). Thousands: rows are deleted where they are read again.",
            ),
            lines(
                "Rows per read",
                "none",
                "cassandra_table_live_rows_scanned{quantile=\"0.99\",TABLES}",
                "Rows that a read finds (p99).",
            ),
            lines(
                "Bloom filters wrong",
                "percentunit",
                "cassandra_table_bloom_filter_false_ratio{TABLES}",
                "Part of the looks at files that were in vain.",
            )
            .max(1.0),
            of_keyspace(
                "Key cache hit",
                "percentunit",
                "cassandra_keyspace_key_cache_hit_ratio{KEYSPACES}",
                "Part of the looks into the key cache that found something, by keyspace.",
            )
            .max(1.0),
            of_keyspace(
                "Speculative retries",
                "ops",
                "rate(cassandra_keyspace_speculative_retries_total{KEYSPACES}[$__rate_interval])",
                "Reads that were sent to one more replica, as the first was slow, by keyspace.",
            ),
        ],
    }
}

fn size() -> Row {
    Row {
        title: "Size",
        panels: vec![
            lines(
                "Live data",
                "bytes",
                "cassandra_table_live_disk_space_used_bytes{TABLES}",
                "Data on disk that reads may still find.",
            ),
            lines(
                "All data",
                "bytes",
                "cassandra_table_total_disk_space_used_bytes{TABLES}",
                "Data on disk with what compactions will remove.",
            ),
            lines(
                "Largest partition",
                "bytes",
                "cassandra_table_max_partition_size_bytes{TABLES}",
                "Size of the largest partition.",
            ),
            lines(
                "Memtables",
                "bytes",
                "cassandra_table_memtable_live_data_size_bytes{TABLES}",
                "Data that is not in files yet.",
            ),
            lines(
                "SSTables",
                "none",
                "cassandra_table_live_sstables{TABLES}",
                "Files of each table that are read. Growth: compaction is behind.",
            ),
            lines(
                "Repaired",
                "percentunit",
                "cassandra_table_repaired_ratio{TABLES}",
                "Part of the data that incremental repairs have marked. Full repairs mark nothing.",
            )
            .max(1.0),
        ],
    }
}

fn compaction() -> Row {
    Row {
        title: "Compactions and flushes",
        panels: vec![
            lines(
                "Compactions that wait",
                "none",
                "cassandra_table_pending_compactions{TABLES}",
                "Compactions that wait, by table.",
            )
            .size(12, 8),
            lines(
                "Flushes that wait",
                "none",
                "cassandra_table_pending_flushes{TABLES}",
                "Memtables that wait to be written.",
            )
            .size(12, 8),
        ],
    }
}

const NO_FILES: &str = "nothing is in files yet, or the exporter runs without --profile=full";

/// What the exporter tells of single tables only when it is asked for everything.
fn full() -> Row {
    const WHO: &str = "nodes whose cassandra-exporter runs with --profile=full";
    let all = |title, unit, expr: &str, description| {
        lines(title, unit, expr, description).without("cassandra_table_estimated_partitions", WHO)
    };
    Row {
        title: "With all metrics of tables",
        panels: vec![
            all("p99 at the coordinator", "s", "cassandra_table_coordinator_latency_seconds{quantile=\"0.99\",TABLES}", "How long the slowest hundredth of requests takes at least, with the network and all replicas that are needed."),
            all("Partitions", "none", "cassandra_table_estimated_partitions{TABLES}", "About how many partitions there are."),
            Panel::lines("Partitions by size", "bytes", "Size that half, and all but one in a hundred of the partitions are below.")
                .query(&chosen("histogram_quantile(0.5, sum by (cluster, keyspace, table, le) (cassandra_table_estimated_partition_size_bytes_bucket{TABLES}))"), "{{keyspace}}.{{table}} p50")
                .query(&chosen("histogram_quantile(0.99, sum by (cluster, keyspace, table, le) (cassandra_table_estimated_partition_size_bytes_bucket{TABLES}))"), "{{keyspace}}.{{table}} p99")
                .rare(NO_FILES),
            all("Snapshots", "bytes", "cassandra_table_snapshots_size_bytes{TABLES}", "What snapshots hold. Those that nobody needs fill the disk."),
            lines("Compression", "percentunit", "cassandra_table_compression_ratio{TABLES}", "Size on disk as a part of the size of the data.").rare(NO_FILES),
            all("Speculative retries", "ops", "rate(cassandra_table_speculative_retries_total{TABLES}[$__rate_interval])", "Reads that were sent to one more replica, as the first was slow, by table."),
            all("Written by compactions", "Bps", "rate(cassandra_table_compaction_written_bytes_total{TABLES}[$__rate_interval])", "Bytes that compactions wrote a second."),
            all("Flushed", "Bps", "rate(cassandra_table_flushed_bytes_total{TABLES}[$__rate_interval])", "Bytes that flushes of memtables wrote a second."),
            all("Refused for tombstones", "ops", "rate(cassandra_table_tombstone_failures_total{TABLES}[$__rate_interval])", "Reads that were refused for the tombstones that they had to pass: rows are deleted where they are read again."),
        ],
    }
}
