//! The dashboard of a Cassandra cluster: its ring, what clients get, and each part of a node that can be in the way.

use crate::grafana::{DC, Dashboard, Draw, Panel, Row, YES};

pub(crate) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "cassandra",
        title: "Cassandra cluster",
        description: "A Cassandra cluster: the ring, requests of clients, reads, writes, compactions, thread pools, messages between nodes, repairs, the JVM.",
        base_metric: "cassandra_up",
        variables: &[DC],
        rows: vec![
            glance(),
            ring(),
            requests(),
            worst_nodes(),
            reads(),
            writes(),
            compactions(),
            thread_pools(),
            messages(),
            repair(),
            jvm(),
            exporter(),
        ],
    }
}

fn glance() -> Row {
    Row {
        title: "Glance",
        panels: vec![
            Panel::stat("Nodes answer", "none", "Nodes that answer their exporter, and those that have one.")
                .floor(1.0)
                .leads_to("overview")
                .query("sum by (cluster) (cassandra_up{SELECT})", "answer")
                .query("count by (cluster) (cassandra_up{SELECT})", "all"),
            Panel::stat("Not normal", "none", "Members of the ring that some node sees as down, joining, leaving or moving.")
                .thresholds(1.0, 2.0)
                .leads_to("overview")
                .query("max by (cluster) (sum by (cluster, instance) (cassandra_endpoints{state!=\"UN\",SELECT}))", "{{cluster}}"),
            Panel::stat("Versions of the schema", "none", "Different versions of the schema among members. More than one for minutes: nodes disagree on what tables there are.")
                .red_from(2.0)
                .leads_to("cassandra-tables")
                .query("max by (cluster) (cassandra_schema_versions{SELECT})", "{{cluster}}"),
            Panel::stat("Requests", "reqps", "Requests of clients a second, by what they did.")
                .neutral()
                .leads_to("overview")
                .query("sum by (cluster) (rate(cassandra_client_request_latency_seconds_count{operation=~\"read|range_slice|cas_read\",SELECT}[$__rate_interval]))", "reads")
                .query("sum by (cluster) (rate(cassandra_client_request_latency_seconds_count{operation=~\"write|cas_write\",SELECT}[$__rate_interval]))", "writes"),
            Panel::stat("Slowest reads", "s", "p99 of reads of the worst node.")
                .thresholds(0.05, 0.5)
                .leads_to("cassandra-tables")
                .query("max by (cluster) (cassandra_client_request_latency_seconds{quantile=\"0.99\",operation=\"read\",SELECT})", "{{cluster}}"),
            Panel::stat("Refused", "ops", "Requests a second that timed out, failed, or for which too few replicas were up.")
                .thresholds(0.01, 1.0)
                .leads_to("overview")
                .query("sum by (cluster) (rate(cassandra_client_request_timeouts_total{SELECT}[$__rate_interval]) + rate(cassandra_client_request_unavailables_total{SELECT}[$__rate_interval]) + rate(cassandra_client_request_failures_total{SELECT}[$__rate_interval]))", "{{cluster}}"),
        ],
    }
}

fn ring() -> Row {
    Row {
        title: "Ring",
        panels: vec![
            Panel::table("Ring", "Every member as each node sees it; the instance is the node that tells. Nodes that differ are cut off from each other.")
                .leads_to("node")
                .size(24, 9)
                .column("", "none", "min by (cluster, instance, endpoint, datacenter, rack, state, release_version) (cassandra_endpoint_info{datacenter=~\"$dc\",SELECT})")
                .column("Up", "bool_yes_no", "min by (cluster, instance, endpoint) (cassandra_endpoint_up{SELECT})")
                .column("Owns", "percentunit", "max by (cluster, instance, endpoint) (cassandra_endpoint_owns_ratio{SELECT})")
                .column("Data", "bytes", "max by (cluster, instance, endpoint) (cassandra_endpoint_load_bytes{SELECT})")
                .column("Tokens", "none", "max by (cluster, instance, endpoint) (cassandra_endpoint_tokens{SELECT})"),
            Panel::timeline("Members up", YES, "Whether nodes see each member as alive: of several views the worst counts.")
                .query("min by (cluster, endpoint) (cassandra_endpoint_up{SELECT})", "{{endpoint}}"),
            Panel::timeline("Nodes take clients", YES, "Whether each node answers clients at its native transport.")
                .query("min by (cluster, instance) (cassandra_native_transport_running{SELECT})", "{{instance}}"),
        ],
    }
}

fn latency(title: &'static str, operation: &str, description: &'static str) -> Panel {
    let mut panel = Panel::lines(title, "s", description);
    for (quantile, legend) in [
        ("0.5", "{{instance}} p50"),
        ("0.95", "{{instance}} p95"),
        ("0.99", "{{instance}} p99"),
    ] {
        let expr = format!(
            "cassandra_client_request_latency_seconds{{quantile=\"{quantile}\",operation=\"{operation}\",SELECT}}"
        );
        panel = panel.query(&expr, legend);
    }
    panel
}

fn by_operation(title: &'static str, metric: &str, description: &'static str) -> Panel {
    Panel::lines(title, "ops", description).query(
        &format!(
            "sum by (cluster, instance, operation) (rate({metric}{{SELECT}}[$__rate_interval]))"
        ),
        "{{instance}} {{operation}}",
    )
}

fn requests() -> Row {
    Row {
        title: "Requests of clients",
        panels: vec![
            by_operation("Requests", "cassandra_client_request_latency_seconds_count", "Requests a second that each node coordinated, by operation."),
            latency("Reads", "read", "How long reads take, as clients see it. Above 50 ms: disks, tombstones, or garbage collection."),
            latency("Writes", "write", "How long writes take, as clients see it. They are quick as long as the commit log's disk is."),
            by_operation("Timeouts", "cassandra_client_request_timeouts_total", "Requests for which too few replicas answered in time."),
            by_operation("Unavailable", "cassandra_client_request_unavailables_total", "Requests for which too few replicas were up. More than none: the consistency that clients ask for cannot be had."),
            by_operation("Failures", "cassandra_client_request_failures_total", "Requests that a replica refused: too many tombstones, or an error of its own."),
            latency("Lightweight transactions", "cas_write", "How long conditional writes take, which ledgers are made of."),
            Panel::lines("Contended rounds", "none", "Tries that conditional requests needed (p99). Many: clients fight for the same partition.")
                .query("max by (cluster, instance, operation) (cassandra_client_request_contended_rounds{quantile=\"0.99\",SELECT})", "{{instance}} {{operation}}"),
            Panel::lines("Clients", "none", "Connections of clients to each node.")
                .query("cassandra_client_connections{SELECT}", "{{instance}}"),
        ],
    }
}

fn top(title: &'static str, unit: &'static str, expr: &str, description: &'static str) -> Panel {
    Panel::bars(title, unit, description)
        .leads_to("node")
        .query(
            &format!("sort_desc(topk by (cluster) (10, {expr}))"),
            "{{instance}}",
        )
}

fn worst_nodes() -> Row {
    Row {
        title: "Nodes, the worst first",
        panels: vec![
            top("Slowest reads", "s", "cassandra_client_request_latency_seconds{quantile=\"0.99\",operation=\"read\",SELECT}", "p99 of reads, by coordinating node."),
            top("Slowest writes", "s", "cassandra_client_request_latency_seconds{quantile=\"0.99\",operation=\"write\",SELECT}", "p99 of writes, by coordinating node."),
            top("Most data", "bytes", "cassandra_storage_load_bytes{SELECT}", "Data on disk. Nodes should have about as much as each other."),
            top("Most compactions waiting", "none", "cassandra_compaction_pending_tasks{SELECT}", "Compactions that wait. A node far above the others is too slow, or has just joined."),
            top("Fullest heap", "percentunit", "cassandra_jvm_memory_used_bytes{area=\"heap\",SELECT} / cassandra_jvm_memory_max_bytes{area=\"heap\",SELECT}", "Part of the JVM's heap that is used.").max(1.0),
            top("Most time in garbage collection", "percentunit", "sum by (cluster, instance) (rate(cassandra_jvm_gc_collection_seconds_sum{SELECT}[$__rate_interval]))", "Part of the time in which the JVM collected garbage.").max(1.0),
        ],
    }
}

fn reads() -> Row {
    Row {
        title: "Read path",
        panels: vec![
            Panel::lines("Local reads", "s", "How long reads of a node's own data take (p99), without the network and other replicas.")
                .query("cassandra_node_operation_latency_seconds{quantile=\"0.99\",operation=\"read\",SELECT}", "{{instance}} read")
                .query("cassandra_node_operation_latency_seconds{quantile=\"0.99\",operation=\"range_read\",SELECT}", "{{instance}} range"),
            Panel::lines("SSTables per read", "none", "Files that a read has to look into (p99). More than ten: compaction is behind, or does not suit the table.")
                .query("cassandra_node_sstables_per_read{quantile=\"0.99\",SELECT}", "{{instance}}"),
            Panel::lines("Tombstones per read", "none", "Deleted rows that a read has to pass (p99). Thousands: reads will be refused.")
                .query("cassandra_node_tombstones_scanned{quantile=\"0.99\",SELECT}", "{{instance}}"),
            Panel::lines("Caches hit", "percentunit", "Part of the looks into each cache that found something.")
                .max(1.0)
                .query("rate(cassandra_cache_hits_total{SELECT}[$__rate_interval]) / (rate(cassandra_cache_requests_total{SELECT}[$__rate_interval]) > 0)", "{{instance}} {{cache}}")
                .rare("nobody looks into a cache"),
            Panel::lines("Caches' size", "bytes", "What each cache holds.")
                .query("cassandra_cache_size_bytes{SELECT}", "{{instance}} {{cache}}"),
            Panel::lines("Bloom filters wrong", "percentunit", "Part of the looks at files that were in vain, as a Bloom filter was wrong.")
                .max(1.0)
                .query("cassandra_node_bloom_filter_false_ratio{SELECT}", "{{instance}}"),
            Panel::lines("Repaired on the way", "ops", "Reads that found replicas to differ and mended them. Many: nodes were down, and nobody has run a repair.")
                .query("sum by (cluster, instance, mode) (rate(cassandra_read_repair_repaired_total{SELECT}[$__rate_interval]))", "{{instance}} {{mode}}"),
            Panel::lines("Speculative retries", "ops", "Reads that were sent to one more replica, as the first was slow.")
                .query("rate(cassandra_node_speculative_retries_total{SELECT}[$__rate_interval])", "{{instance}}"),
            Panel::lines("Refused for tombstones", "ops", "Reads that were warned of, or refused, for the tombstones that they had to pass.")
                .query("rate(cassandra_node_tombstone_warnings_total{SELECT}[$__rate_interval])", "{{instance}} warned")
                .query("rate(cassandra_node_tombstone_failures_total{SELECT}[$__rate_interval])", "{{instance}} refused"),
        ],
    }
}

fn writes() -> Row {
    Row {
        title: "Write path",
        panels: vec![
            Panel::lines("Local writes", "s", "How long writes to a node's own data take (p99).")
                .query("cassandra_node_operation_latency_seconds{quantile=\"0.99\",operation=\"write\",SELECT}", "{{instance}}"),
            Panel::lines("Commit log", "bytes", "Size of the commit log. At its limit tables are flushed, wanted or not.")
                .query("cassandra_commit_log_size_bytes{SELECT}", "{{instance}}"),
            Panel::lines("Waits for the commit log", "s", "How long writes wait for the commit log's disk, and for a new segment (p99).")
                .query("cassandra_commit_log_waiting_on_commit_seconds{quantile=\"0.99\",SELECT}", "{{instance}} commit")
                .query("cassandra_commit_log_waiting_on_segment_allocation_seconds{quantile=\"0.99\",SELECT}", "{{instance}} segment"),
            Panel::lines("Memtables", "bytes", "Data that is not in files yet, in the heap and beside it.")
                .query("cassandra_node_all_memtables_on_heap_data_size_bytes{SELECT}", "{{instance}} in the heap")
                .query("cassandra_node_all_memtables_off_heap_data_size_bytes{SELECT}", "{{instance}} beside it"),
            Panel::lines("Flushes", "ops", "Memtables that were written to files a second.")
                .query("rate(cassandra_node_memtable_switches_total{SELECT}[$__rate_interval])", "{{instance}}"),
            Panel::lines("Flushes that wait", "none", "Memtables that wait to be written. Growth: the disk is too slow for the writes.")
                .query("cassandra_node_pending_flushes{SELECT}", "{{instance}}"),
        ],
    }
}

fn compactions() -> Row {
    Row {
        title: "Compactions",
        panels: vec![
            Panel::lines("Waiting", "none", "Compactions that wait. Growth over hours: the node does not keep up.")
                .query("cassandra_compaction_pending_tasks{SELECT}", "{{instance}}"),
            Panel::lines("Throughput", "Bps", "Bytes that compactions wrote a second.")
                .query("rate(cassandra_compaction_compacted_bytes_total{SELECT}[$__rate_interval])", "{{instance}}"),
            Panel::lines("Completed", "ops", "Compactions that ended a second, and those that were aborted.")
                .query("rate(cassandra_compaction_compactions_completed_total{SELECT}[$__rate_interval])", "{{instance}} completed")
                .query("rate(cassandra_compaction_compactions_aborted_total{SELECT}[$__rate_interval])", "{{instance}} aborted"),
            Panel::table("Running", "Compactions, validations, cleanups and the like that run, and how far they are.")
                .size(16, 8)
                .column("Running", "none", "sum by (cluster, instance, keyspace, table, type) (cassandra_running_compactions{SELECT})")
                .column("Read", "bytes", "sum by (cluster, instance, keyspace, table, type) (cassandra_running_compactions_completed_bytes{SELECT})")
                .column("Of", "bytes", "sum by (cluster, instance, keyspace, table, type) (cassandra_running_compactions_size_bytes{SELECT})")
                .rare("nothing is compacted"),
            Panel::lines("Data on disk", "bytes", "Data of each node. Compactions need as much again for a while.")
                .query("cassandra_storage_load_bytes{SELECT}", "{{instance}}"),
        ],
    }
}

fn thread_pools() -> Row {
    Row {
        title: "Thread pools",
        panels: vec![
            Panel::lines("Running", "none", "Tasks that run, by pool. A pool at its number of threads is what everything waits for.")
                .query("sum by (cluster, instance, pool) (cassandra_thread_pool_active_tasks{SELECT}) > 0", "{{instance}} {{pool}}")
                .rare("no task runs at the moment of the scrape"),
            Panel::lines("Waiting", "none", "Tasks that wait, by pool. More than none for long: the pool is too small, or its disk too slow.")
                .query("topk by (cluster, instance) (10, sum by (cluster, instance, pool) (cassandra_thread_pool_pending_tasks{SELECT}))", "{{instance}} {{pool}}"),
            Panel::lines("Blocked", "ops", "Tasks a second that found no room to wait. More than none: the node is overloaded.")
                .query("topk by (cluster, instance) (10, sum by (cluster, instance, pool) (rate(cassandra_thread_pool_blocked_tasks_total{SELECT}[$__rate_interval])))", "{{instance}} {{pool}}"),
            Panel::lines("Completed", "ops", "Tasks that ended a second, by pool.")
                .size(12, 8)
                .query("topk by (cluster, instance) (10, sum by (cluster, instance, pool) (rate(cassandra_thread_pool_completed_tasks_total{SELECT}[$__rate_interval])))", "{{instance}} {{pool}}"),
            Panel::lines("Longest wait", "s", "How long the oldest task has waited, by pool.")
                .size(12, 8)
                .query("topk by (cluster, instance) (10, max by (cluster, instance, pool) (cassandra_thread_pool_oldest_task_queue_seconds{SELECT}))", "{{instance}} {{pool}}")
                .without("cassandra_thread_pool_oldest_task_queue_seconds", "Cassandra 5.0 and later"),
        ],
    }
}

fn messages() -> Row {
    Row {
        title: "Dropped messages and hints",
        panels: vec![
            Panel::lines("Dropped", "ops", "Messages that were too old when their turn came, by type. More than none: nodes are overloaded, and data differs until a repair.")
                .query("topk by (cluster, instance) (10, sum by (cluster, instance, message_type) (rate(cassandra_dropped_messages_total{SELECT}[$__rate_interval])))", "{{instance}} {{message_type}}"),
            Panel::lines("Hints written", "ops", "Writes that were noted down for a member that is down.")
                .query("rate(cassandra_storage_hints_total{SELECT}[$__rate_interval])", "{{instance}}"),
            Panel::lines("Hints delivered", "ops", "What became of hints once the member was up again.")
                .query("rate(cassandra_hints_succeeded_total{SELECT}[$__rate_interval])", "{{instance}} delivered")
                .query("rate(cassandra_hints_failed_total{SELECT}[$__rate_interval])", "{{instance}} failed")
                .query("rate(cassandra_hints_timed_out_total{SELECT}[$__rate_interval])", "{{instance}} timed out")
                .without("cassandra_hints_succeeded_total", "nodes that have had hints to deliver since their start"),
            Panel::lines("Between nodes", "Bps", "Bytes a second that nodes sent each other, by peer.")
                .size(12, 8)
                .query("sum by (cluster, instance, peer) (rate(cassandra_connection_sent_bytes_total{SELECT}[$__rate_interval]))", "{{instance}} to {{peer}}")
                .without("cassandra_connection_sent_bytes_total", "rings of more than one node"),
            Panel::lines("Failure detector", "none", "How much each node suspects each other one; above 8 it is taken for down.")
                .size(12, 8)
                .thresholds(5.0, 8.0)
                .query("max by (cluster, instance, endpoint) (cassandra_endpoint_phi{SELECT})", "{{instance}} of {{endpoint}}")
                .without("cassandra_endpoint_phi", "rings of more than one node"),
        ],
    }
}

fn repair() -> Row {
    Row {
        title: "Repair and streaming",
        panels: vec![
            Panel::lines("Repairs", "ops", "Jobs of repairs that were begun and ended. Each table should be repaired once a week.")
                .query("rate(cassandra_node_repair_jobs_started_total{SELECT}[$__rate_interval])", "{{instance}} begun")
                .query("rate(cassandra_node_repair_jobs_completed_total{SELECT}[$__rate_interval])", "{{instance}} ended"),
            Panel::lines("Errors of repairs", "none", "Repairs that failed since the node was started.")
                .query("cassandra_storage_repair_exceptions_total{SELECT}", "{{instance}}"),
            Panel::lines("Streams", "none", "Sessions in which data goes from node to node: repairs, joins, replacements.")
                .query("sum by (cluster, instance, description) (cassandra_streams{SELECT})", "{{instance}} {{description}}")
                .rare("nothing is streamed"),
            Panel::lines("Bytes of streams", "Bps", "Bytes a second that came and went by streams.")
                .size(12, 8)
                .query("rate(cassandra_streaming_all_incoming_bytes_total{SELECT}[$__rate_interval])", "{{instance}} came")
                .query("rate(cassandra_streaming_all_outgoing_bytes_total{SELECT}[$__rate_interval])", "{{instance}} went")
                .without("cassandra_streaming_all_incoming_bytes_total", "nodes that have streamed since their start"),
            Panel::lines("Exceptions", "none", "Errors that Cassandra had no answer to, since the node was started. Its log says what they were.")
                .size(12, 8)
                .query("cassandra_storage_exceptions_total{SELECT}", "{{instance}}"),
        ],
    }
}

fn jvm() -> Row {
    Row {
        title: "JVM",
        panels: vec![
            Panel::lines("Heap", "bytes", "What the heap holds, and how large it may become. A saw whose teeth rise is a leak.")
                .query("cassandra_jvm_memory_used_bytes{area=\"heap\",SELECT}", "{{instance}} used")
                .query("cassandra_jvm_memory_max_bytes{area=\"heap\",SELECT}", "{{instance}} limit"),
            Panel::lines("Beside the heap", "bytes", "Memory of the JVM itself, and of buffers.")
                .query("cassandra_jvm_memory_used_bytes{area=\"nonheap\",SELECT}", "{{instance}} JVM")
                .query("sum by (cluster, instance) (cassandra_jvm_buffer_pool_used_bytes{SELECT})", "{{instance}} buffers"),
            Panel::lines("Garbage collection", "percentunit", "Part of the time that collections took, by collector. Above 10 %: requests wait for it.")
                .max(1.0)
                .query("rate(cassandra_jvm_gc_collection_seconds_sum{SELECT}[$__rate_interval])", "{{instance}} {{gc}}"),
            Panel::lines("Collections", "ops", "Collections a second, by collector.")
                .query("rate(cassandra_jvm_gc_collection_seconds_count{SELECT}[$__rate_interval])", "{{instance}} {{gc}}"),
            Panel::lines("CPU", "none", "Processors that Cassandra used.")
                .query("rate(cassandra_jvm_cpu_seconds_total{SELECT}[$__rate_interval])", "{{instance}}"),
            Panel::lines("Threads and files", "none", "Threads that there are, and files that are open.")
                .query("cassandra_jvm_threads{SELECT}", "{{instance}} threads")
                .query("cassandra_jvm_open_file_descriptors{SELECT}", "{{instance}} files"),
            Panel::lines("Uptime", "s", "Time since the JVM was started.")
                .size(24, 6)
                .query("cassandra_jvm_uptime_seconds{SELECT}", "{{instance}}"),
        ],
    }
}

fn exporter() -> Row {
    Row {
        title: "Exporter",
        panels: vec![
            Panel::timeline("Node answers", YES, "Whether each node answered its exporter through Jolokia.")
                .query("min by (cluster, instance) (cassandra_up{SELECT})", "{{instance}}"),
            Panel::timeline("Whole answers", YES, "Whether everything that was to be read came before the deadline.")
                .query("min by (cluster, instance) (cassandra_scrape_complete{SELECT})", "{{instance}}"),
            Panel::lines("Why not", "none", "1 for the reason for which the last answer is not whole.")
                .max(1.0)
                .query("max by (cluster, instance, reason) (cassandra_scrape_failure{SELECT})", "{{instance}} {{reason}}"),
            Panel::lines("Duration", "s", "How long the exporter takes, and how long Prometheus waits.")
                .query("max by (cluster, instance, collector) (cassandra_scrape_collector_duration_seconds{SELECT})", "{{instance}} {{collector}}")
                .query("scrape_duration_seconds{SELECT}", "{{instance}} {{job}}"),
            Panel::lines("Tables", "none", "Tables whose metrics are read, and those that are left out.")
                .query("max by (cluster, instance, state) (cassandra_scrape_tables{SELECT})", "{{instance}} {{state}}"),
            Panel::lines("Memory", "bytes", "Memory of the exporter.")
                .size(12, 7)
                .draw(Draw::Lines)
                .query("process_resident_memory_bytes{SELECT}", "{{instance}} {{job}}"),
            Panel::lines("CPU", "percentunit", "Processor time of the exporter.")
                .size(12, 7)
                .query("rate(process_cpu_seconds_total{SELECT}[$__rate_interval])", "{{instance}} {{job}}"),
        ],
    }
}
