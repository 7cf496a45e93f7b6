//! What there is once for a node, or a few times: pools, caches, logs, messages.

use exposition::Kind;

use super::{
    Group, MICROS, MILLIS, NANOS, Name, Row, Source, count, count_now, snake, spread, timer, value,
    value_total,
};
use crate::object_name::{ObjectName, endpoint};

fn none(name: &ObjectName) -> Option<Vec<(&'static str, String)>> {
    (name.keys().count() == 2).then(Vec::new)
}

/// Of peers: `127.0.0.12`, `127.0.0.12_7000`, `/127.0.0.12:7000`.
fn peer(name: &ObjectName) -> Option<Vec<(&'static str, String)>> {
    Some(vec![("peer", endpoint(name.get("scope")?))])
}

pub(super) const BATCH: Group = Group {
    bean: "Batch",
    prefix: "cassandra_batch_",
    labels: none,
    names: &[],
    rows: &[
        spread(
            "PartitionsPerCounterBatch",
            "partitions_per_counter_batch",
            "Partitions of a batch of counters.",
        ),
        spread(
            "PartitionsPerLoggedBatch",
            "partitions_per_logged_batch",
            "Partitions of a logged batch.",
        ),
        spread(
            "PartitionsPerUnloggedBatch",
            "partitions_per_unlogged_batch",
            "Partitions of an unlogged batch.",
        ),
        spread(
            "ColumnsPerCounterBatch",
            "columns_per_counter_batch",
            "Columns of a batch of counters.",
        ),
        spread(
            "ColumnsPerLoggedBatch",
            "columns_per_logged_batch",
            "Columns of a logged batch.",
        ),
        spread(
            "ColumnsPerUnloggedBatch",
            "columns_per_unlogged_batch",
            "Columns of an unlogged batch.",
        ),
    ],
};

fn buffer_pool(name: &ObjectName) -> Option<Vec<(&'static str, String)>> {
    // 3.11 has one, without a name.
    Some(vec![(
        "pool",
        snake(name.get("scope").unwrap_or("chunk-cache")),
    )])
}

pub(super) const BUFFER_POOL: Group = Group {
    bean: "BufferPool",
    prefix: "cassandra_buffer_pool_",
    labels: buffer_pool,
    names: &["pool"],
    rows: &[
        value(
            "Capacity",
            "capacity_bytes",
            "Memory that the pool may take.",
        ),
        value("Size", "size_bytes", "Memory that the pool has taken."),
        value(
            "UsedSize",
            "used_bytes",
            "Memory of the pool that is in use.",
        ),
        value(
            "OverflowSize",
            "overflow_bytes",
            "Memory beside the pool, as it is full.",
        ),
        count("Hits", "hits_total", "Buffers that the pool gave."),
        count(
            "Misses",
            "misses_total",
            "Buffers that the pool could not give, allocated beside it.",
        ),
    ],
};

/// `KeyCache` is `key`.
fn cache(name: &ObjectName) -> Option<Vec<(&'static str, String)>> {
    let scope = name.get("scope")?;
    let scope = scope.strip_suffix("Cache").unwrap_or(scope);
    Some(vec![("cache", snake(scope))])
}

pub(super) const CACHE: Group = Group {
    bean: "Cache",
    prefix: "cassandra_cache_",
    labels: cache,
    names: &["cache"],
    rows: &[
        value("Capacity", "capacity_bytes", "What the cache may hold."),
        value("Size", "size_bytes", "What the cache holds."),
        value("Entries", "entries", "Entries of the cache."),
        count("Hits", "hits_total", "Requests that the cache answered."),
        count(
            "Misses",
            "misses_total",
            "Requests that the cache could not answer.",
        ),
        count("Requests", "requests_total", "Requests to the cache."),
        timer(
            "MissLatency",
            "miss_latency_seconds",
            "Time to load what the cache has not.",
        ),
    ],
};

pub(super) const CIDR_AUTHORIZER: Group = Group {
    bean: "CIDRAuthorizer",
    prefix: "cassandra_cidr_authorizer_",
    labels: none,
    names: &[],
    rows: &[
        timer(
            "CIDRChecksLatency",
            "checks_latency_seconds",
            "Time of a check whether an address may connect.",
        ),
        timer(
            "LookupCIDRGroupsForIPLatency",
            "lookup_latency_seconds",
            "Time to find the groups of an address.",
        ),
        timer(
            "CIDRGroupsMappingCacheReloadLatency",
            "mapping_reload_latency_seconds",
            "Time to load the groups of addresses.",
        ),
        count(
            "CIDRGroupsMappingCacheReloadCount",
            "mapping_reloads_total",
            "How often the groups of addresses were loaded.",
        ),
        Row::new(
            Name::Starts("CIDRAccessesAccepted-", "group"),
            Source::Count,
            Kind::Counter,
            "accepted_total",
            "Connections that were accepted, by the group of their address.",
        ),
        Row::new(
            Name::Starts("CIDRAccessesRejected-", "group"),
            Source::Count,
            Kind::Counter,
            "rejected_total",
            "Connections that were refused, by the group of their address.",
        ),
    ],
};

pub(super) const CLIENT: Group = Group {
    bean: "Client",
    prefix: "cassandra_client_",
    labels: none,
    names: &[],
    rows: &[
        // 3.11 and later begin it with a small letter; later ones have both.
        value(
            "connectedNativeClients",
            "connections",
            "Connections of clients.",
        )
        .minimal(),
        value(
            "connectedThriftClients",
            "thrift_connections",
            "Connections of Thrift clients.",
        ),
        Row::new(
            Name::Is("connectedNativeClientsByUser"),
            Source::Map("user"),
            Kind::Gauge,
            "connections_by_user",
            "Connections of clients, by user.",
        ),
        value(
            "PausedConnections",
            "paused_connections",
            "Connections that are not read from, as too much is under way.",
        ),
        count(
            "ConnectionPaused",
            "connections_paused_total",
            "How often that began.",
        ),
        value(
            "RequestsSize",
            "requests_size_bytes",
            "Size of the requests that are under way.",
        ),
        spread(
            "RequestsSizeByIpDistribution",
            "requests_size_by_address_bytes",
            "The same by address of clients.",
        ),
        count(
            "AuthSuccess",
            "authentications_succeeded_total",
            "Clients that have proved who they are.",
        ),
        count(
            "AuthFailure",
            "authentications_failed_total",
            "Clients that could not prove who they are.",
        ),
        count(
            "ProtocolException",
            "protocol_exceptions_total",
            "Requests that break the protocol.",
        ),
        count(
            "UnknownException",
            "unknown_exceptions_total",
            "Errors of connections that nobody expected.",
        ),
        count(
            "RequestDispatched",
            "requests_dispatched_total",
            "Requests that were taken.",
        ),
        count(
            "RequestDiscarded",
            "requests_discarded_total",
            "Requests that were refused as too much was under way.",
        ),
        count(
            "TimedOutBeforeProcessing",
            "timed_out_before_processing_total",
            "Requests that were too old when their turn came.",
        ),
        timer(
            "Queued",
            "queued_seconds",
            "Wait of requests for their turn.",
        ),
    ],
};

pub(super) const COMMIT_LOG: Group = Group {
    bean: "CommitLog",
    prefix: "cassandra_commit_log_",
    labels: none,
    names: &[],
    rows: &[
        value_total(
            "CompletedTasks",
            "completed_tasks_total",
            "Writes to the commit log.",
        )
        .minimal(),
        value(
            "PendingTasks",
            "pending_tasks",
            "Writes that wait to be synced.",
        )
        .minimal(),
        value(
            "TotalCommitLogSize",
            "size_bytes",
            "Disk that the segments take.",
        )
        .minimal(),
        timer(
            "WaitingOnCommit",
            "waiting_on_commit_seconds",
            "Wait for a sync of the commit log.",
        ),
        timer(
            "WaitingOnSegmentAllocation",
            "waiting_on_segment_allocation_seconds",
            "Wait for a new segment.",
        ),
        timer(
            "WaitingOnFlush",
            "waiting_on_flush_seconds",
            "Wait for a flush of the commit log.",
        ),
        count(
            "OverSizedMutations",
            "oversized_mutations_total",
            "Writes that were refused as they are larger than a segment allows.",
        ),
    ],
};

pub(super) const COMPACTION: Group = Group {
    bean: "Compaction",
    prefix: "cassandra_compaction_",
    labels: none,
    names: &[],
    rows: &[
        value(
            "PendingTasks",
            "pending_tasks",
            "Compactions that wait, estimated.",
        )
        .minimal(),
        value_total(
            "CompletedTasks",
            "completed_tasks_total",
            "Tasks of the compaction executor that ended.",
        )
        .minimal(),
        count(
            "TotalCompactionsCompleted",
            "compactions_completed_total",
            "Compactions that ended.",
        )
        .minimal(),
        count(
            "BytesCompacted",
            "compacted_bytes_total",
            "What compactions read, before compression.",
        )
        .minimal(),
        count(
            "CompressedBytesCompacted",
            "compressed_compacted_bytes_total",
            "What compactions read, on disk.",
        ),
        count(
            "CompactionsReduced",
            "compactions_reduced_total",
            "Compactions that left SSTables out, as the disk had too little room.",
        ),
        count(
            "SSTablesDroppedFromCompaction",
            "sstables_left_out_total",
            "SSTables left out for that.",
        ),
        count(
            "CompactionsAborted",
            "compactions_aborted_total",
            "Compactions that were not begun, as the disk had too little room.",
        ),
        timer(
            "IndexSummaryRedistributionTime",
            "index_summary_redistribution_seconds",
            "Time to share memory among summaries of indexes.",
        ),
    ],
};

pub(super) const CONNECTION: Group = Group {
    bean: "Connection",
    prefix: "cassandra_connection_",
    labels: peer,
    names: &["peer"],
    // Gossip is the name that 3.11 has for urgent messages; later versions have both for the same.
    rows: &[
        value(
            "LargeMessagePendingTasks",
            "pending_messages",
            "Messages that wait to be sent to a peer.",
        )
        .of("size", "large"),
        value(
            "SmallMessagePendingTasks",
            "pending_messages",
            "Messages that wait to be sent to a peer.",
        )
        .of("size", "small"),
        value(
            "GossipMessagePendingTasks",
            "pending_messages",
            "Messages that wait to be sent to a peer.",
        )
        .of("size", "urgent"),
        value(
            "UrgentMessagePendingTasks",
            "pending_messages",
            "Messages that wait to be sent to a peer.",
        )
        .of("size", "urgent"),
        value(
            "LargeMessagePendingBytes",
            "pending_bytes",
            "Size of the messages that wait to be sent to a peer.",
        )
        .of("size", "large"),
        value(
            "SmallMessagePendingBytes",
            "pending_bytes",
            "Size of the messages that wait to be sent to a peer.",
        )
        .of("size", "small"),
        value(
            "UrgentMessagePendingBytes",
            "pending_bytes",
            "Size of the messages that wait to be sent to a peer.",
        )
        .of("size", "urgent"),
        value_total(
            "LargeMessageCompletedTasks",
            "sent_messages_total",
            "Messages that were sent to a peer.",
        )
        .of("size", "large"),
        value_total(
            "SmallMessageCompletedTasks",
            "sent_messages_total",
            "Messages that were sent to a peer.",
        )
        .of("size", "small"),
        value_total(
            "GossipMessageCompletedTasks",
            "sent_messages_total",
            "Messages that were sent to a peer.",
        )
        .of("size", "urgent"),
        value_total(
            "UrgentMessageCompletedTasks",
            "sent_messages_total",
            "Messages that were sent to a peer.",
        )
        .of("size", "urgent"),
        value_total(
            "LargeMessageCompletedBytes",
            "sent_bytes_total",
            "Size of the messages that were sent to a peer.",
        )
        .of("size", "large"),
        value_total(
            "SmallMessageCompletedBytes",
            "sent_bytes_total",
            "Size of the messages that were sent to a peer.",
        )
        .of("size", "small"),
        value_total(
            "UrgentMessageCompletedBytes",
            "sent_bytes_total",
            "Size of the messages that were sent to a peer.",
        )
        .of("size", "urgent"),
        value_total(
            "LargeMessageDroppedTasks",
            "dropped_messages_total",
            "Messages to a peer that were dropped.",
        )
        .of("size", "large"),
        value_total(
            "SmallMessageDroppedTasks",
            "dropped_messages_total",
            "Messages to a peer that were dropped.",
        )
        .of("size", "small"),
        value_total(
            "GossipMessageDroppedTasks",
            "dropped_messages_total",
            "Messages to a peer that were dropped.",
        )
        .of("size", "urgent"),
        value_total(
            "UrgentMessageDroppedTasks",
            "dropped_messages_total",
            "Messages to a peer that were dropped.",
        )
        .of("size", "urgent"),
        count(
            "Timeouts",
            "timeouts_total",
            "Messages to a peer that got no answer in time.",
        ),
    ],
};

pub(super) const CQL: Group = Group {
    bean: "CQL",
    prefix: "cassandra_cql_",
    labels: none,
    names: &[],
    rows: &[
        value(
            "PreparedStatementsCount",
            "prepared_statements",
            "Statements that are kept prepared.",
        ),
        count(
            "PreparedStatementsEvicted",
            "prepared_statements_evicted_total",
            "Prepared statements that had to make room.",
        ),
        count(
            "PreparedStatementsExecuted",
            "statements_executed_total",
            "Statements that were executed.",
        )
        .of("kind", "prepared"),
        count(
            "RegularStatementsExecuted",
            "statements_executed_total",
            "Statements that were executed.",
        )
        .of("kind", "regular"),
        count(
            "UseStatementsExecuted",
            "statements_executed_total",
            "Statements that were executed.",
        )
        .of("kind", "use"),
    ],
};

pub(super) const DENYLIST: Group = Group {
    bean: "PartitionDenylist",
    prefix: "cassandra_denylist_",
    labels: none,
    names: &[],
    rows: &[
        count(
            "ReadsDenied",
            "denied_total",
            "Requests of partitions on the list.",
        )
        .of("operation", "read"),
        count(
            "WritesDenied",
            "denied_total",
            "Requests of partitions on the list.",
        )
        .of("operation", "write"),
        count(
            "RangeReadsDenied",
            "denied_total",
            "Requests of partitions on the list.",
        )
        .of("operation", "range_read"),
    ],
};

fn message(name: &ObjectName) -> Option<Vec<(&'static str, String)>> {
    Some(vec![("message_type", name.get("scope")?.to_owned())])
}

pub(super) const DROPPED_MESSAGE: Group = Group {
    bean: "DroppedMessage",
    prefix: "cassandra_dropped_messages_",
    labels: message,
    names: &["message_type"],
    rows: &[
        count(
            "Dropped",
            "total",
            "Messages that were dropped, as their time had run out before their turn.",
        )
        .minimal(),
        timer(
            "InternalDroppedLatency",
            "internal_latency_seconds",
            "How long dropped messages of this node had waited.",
        )
        .full(),
        timer(
            "CrossNodeDroppedLatency",
            "cross_node_latency_seconds",
            "How long dropped messages of other nodes had waited.",
        )
        .full(),
    ],
};

/// Names end in an address.
const fn by_peer(start: &'static str, metric: &'static str, help: &'static str) -> Row {
    Row::new(
        Name::Starts(start, "peer"),
        Source::Count,
        Kind::Counter,
        metric,
        help,
    )
}

pub(super) const HINTED_HANDOFF: Group = Group {
    bean: "HintedHandOffManager",
    prefix: "cassandra_hinted_handoff_",
    labels: none,
    names: &[],
    rows: &[
        by_peer(
            "Hints_created-",
            "hints_created_total",
            "Hints that were written for a peer.",
        ),
        by_peer(
            "Hints_not_stored-",
            "hints_not_stored_total",
            "Hints that were not written, as the peer is down for too long.",
        ),
    ],
};

pub(super) const HINTS: Group = Group {
    bean: "HintsService",
    prefix: "cassandra_hints_",
    labels: none,
    names: &[],
    rows: &[
        count(
            "HintsSucceeded",
            "succeeded_total",
            "Hints that were delivered.",
        ),
        count(
            "HintsFailed",
            "failed_total",
            "Hints that could not be delivered.",
        ),
        count(
            "HintsTimedOut",
            "timed_out_total",
            "Hints whose delivery timed out.",
        ),
        count(
            "Hints_for_unowned_ranges",
            "unowned_ranges_total",
            "Hints for ranges that the peer does not own.",
        ),
        Row::new(
            Name::Starts("Hint_delays-", "peer"),
            Source::Distribution,
            Kind::Summary,
            "delay_seconds",
            "Time from a hint's making to its delivery.",
        )
        .unit(MILLIS),
        spread("Hint_delays", "delays_seconds", "The same of all peers.").unit(MILLIS),
    ],
};

pub(super) const INBOUND_CONNECTION: Group = Group {
    bean: "InboundConnection",
    prefix: "cassandra_inbound_connection_",
    labels: peer,
    names: &["peer"],
    rows: &[
        value(
            "ScheduledBytes",
            "scheduled_bytes",
            "Size of messages of a peer that wait for their turn.",
        ),
        value(
            "ScheduledCount",
            "scheduled_messages",
            "Messages of a peer that wait for their turn.",
        ),
        value_total(
            "ReceivedBytes",
            "received_bytes_total",
            "Size of the messages that came from a peer.",
        ),
        value_total(
            "ReceivedCount",
            "received_messages_total",
            "Messages that came from a peer.",
        ),
        value_total(
            "ProcessedBytes",
            "processed_bytes_total",
            "Size of the messages of a peer that were processed.",
        ),
        value_total(
            "ProcessedCount",
            "processed_messages_total",
            "Messages of a peer that were processed.",
        ),
        value_total(
            "ExpiredBytes",
            "expired_bytes_total",
            "Size of the messages of a peer whose time had run out.",
        ),
        value_total(
            "ExpiredCount",
            "expired_messages_total",
            "Messages of a peer whose time had run out.",
        ),
        value_total(
            "ErrorBytes",
            "error_bytes_total",
            "Size of the messages of a peer that could not be read.",
        ),
        value_total(
            "ErrorCount",
            "error_messages_total",
            "Messages of a peer that could not be read.",
        ),
        value_total(
            "CorruptFramesRecovered",
            "corrupt_frames_recovered_total",
            "Damaged frames of a peer that could be passed over.",
        ),
        value_total(
            "CorruptFramesUnrecovered",
            "corrupt_frames_unrecovered_total",
            "Damaged frames of a peer that ended a connection.",
        ),
        value_total(
            "ThrottledNanos",
            "throttled_seconds_total",
            "Time for which a peer was not read from.",
        )
        .unit(NANOS),
        value_total(
            "ThrottledCount",
            "throttled_total",
            "How often a peer was not read from.",
        ),
    ],
};

fn index(name: &ObjectName) -> Option<Vec<(&'static str, String)>> {
    (name.get("scope") == Some("RowIndexEntry")).then(Vec::new)
}

pub(super) const INDEX: Group = Group {
    bean: "Index",
    prefix: "cassandra_index_",
    labels: index,
    names: &[],
    rows: &[
        spread(
            "IndexedEntrySize",
            "entry_size_bytes",
            "Size of the index of a partition.",
        ),
        spread(
            "IndexInfoCount",
            "entry_rows",
            "Blocks in the index of a partition.",
        ),
        spread(
            "IndexInfoGets",
            "entry_gets",
            "Blocks of the index that a read asks for.",
        ),
        spread(
            "IndexInfoReads",
            "entry_reads",
            "Blocks of the index that a read reads.",
        ),
    ],
};

pub(super) const MEMTABLE_POOL: Group = Group {
    bean: "MemtablePool",
    prefix: "cassandra_memtable_pool_",
    labels: none,
    names: &[],
    rows: &[
        timer(
            "BlockedOnAllocation",
            "blocked_on_allocation_seconds",
            "Wait of writes for memory of memtables.",
        ),
        value(
            "PendingFlushTasks",
            "pending_flush_tasks",
            "Flushes that wait.",
        ),
    ],
};

pub(super) const MESSAGING: Group = Group {
    bean: "Messaging",
    prefix: "cassandra_messaging_",
    labels: none,
    names: &[],
    rows: &[
        timer(
            "CrossNodeLatency",
            "cross_node_latency_seconds",
            "Time of messages on their way between nodes, by both clocks.",
        ),
        Row::new(
            Name::Ends("-WaitLatency", "message_type"),
            Source::Distribution,
            Kind::Summary,
            "wait_latency_seconds",
            "Time of messages before their turn on this node.",
        )
        .unit(MICROS)
        .full(),
        Row::new(
            Name::Ends("-Latency", "datacenter"),
            Source::Distribution,
            Kind::Summary,
            "datacenter_latency_seconds",
            "Time of messages from the nodes of a datacenter.",
        )
        .unit(MICROS),
    ],
};

pub(super) const PAXOS: Group = Group {
    bean: "Paxos",
    prefix: "cassandra_paxos_",
    labels: none,
    names: &[],
    rows: &[count(
        "LinearizabilityViolations",
        "linearizability_violations_total",
        "Paxos rounds that broke what they promise.",
    )],
};

pub(super) const READ_REPAIR: Group = Group {
    bean: "ReadRepair",
    prefix: "cassandra_read_repair_",
    labels: none,
    names: &[],
    rows: &[
        count(
            "Attempted",
            "attempted_total",
            "Reads whose replicas differed, to be repaired.",
        ),
        count(
            "ReconcileRead",
            "reconcile_reads_total",
            "Full reads to find what differs.",
        ),
        count(
            "RepairedBlocking",
            "repaired_total",
            "Repairs, by whether the client waited.",
        )
        .of("mode", "blocking"),
        count(
            "RepairedBackground",
            "repaired_total",
            "Repairs, by whether the client waited.",
        )
        .of("mode", "background"),
        count(
            "RepairTimedOut",
            "timed_out_total",
            "Repairs that timed out.",
        ),
        count(
            "SpeculatedRead",
            "speculated_total",
            "Repairs for which one more replica was asked.",
        )
        .of("operation", "read"),
        count(
            "SpeculatedWrite",
            "speculated_total",
            "Repairs for which one more replica was asked.",
        )
        .of("operation", "write"),
    ],
};

pub(super) const REPAIR: Group = Group {
    bean: "Repair",
    prefix: "cassandra_repair_",
    labels: none,
    names: &[],
    rows: &[
        count(
            "PreviewFailures",
            "preview_failures_total",
            "Previews of repairs that found repaired data to differ.",
        ),
        spread("Retries", "retries", "Tries that messages of repairs took."),
        count(
            "RetryTimeout",
            "retry_timeouts_total",
            "Messages of repairs that timed out after all their tries.",
        ),
        count(
            "RetryFailure",
            "retry_failures_total",
            "Messages of repairs that failed after all their tries.",
        ),
        Row::new(
            Name::Starts("Retries-", "message_type"),
            Source::Distribution,
            Kind::Summary,
            "retries_by_message",
            "Tries that messages of repairs took, by message.",
        )
        .full(),
        Row::new(
            Name::Starts("RetryTimeout-", "message_type"),
            Source::Count,
            Kind::Counter,
            "retry_timeouts_by_message_total",
            "Messages of repairs that timed out after all their tries, by message.",
        )
        .full(),
        Row::new(
            Name::Starts("RetryFailure-", "message_type"),
            Source::Count,
            Kind::Counter,
            "retry_failures_by_message_total",
            "Messages of repairs that failed after all their tries, by message.",
        )
        .full(),
    ],
};

pub(super) const STORAGE: Group = Group {
    bean: "Storage",
    prefix: "cassandra_storage_",
    labels: none,
    names: &[],
    rows: &[
        count_now("Load", "load_bytes", "Data on disk.").minimal(),
        count_now(
            "UncompressedLoad",
            "uncompressed_load_bytes",
            "The same before compression.",
        ),
        value(
            "UnreplicatedLoad",
            "unreplicated_load_bytes",
            "Data on disk, divided by the replication factor.",
        ),
        value(
            "UnreplicatedUncompressedLoad",
            "unreplicated_uncompressed_load_bytes",
            "The same before compression.",
        ),
        count(
            "Exceptions",
            "exceptions_total",
            "Errors that nobody caught: see system.log.",
        )
        .minimal(),
        count(
            "RepairExceptions",
            "repair_exceptions_total",
            "Errors of repairs.",
        ),
        count(
            "TotalHints",
            "hints_total",
            "Hints that were written since the start.",
        )
        .minimal(),
        count_now(
            "TotalHintsInProgress",
            "hints_in_progress",
            "Hints that are being written.",
        )
        .minimal(),
        count(
            "TotalOpsForInvalidToken",
            "invalid_token_operations_total",
            "Operations on tokens that are not this node's.",
        ),
        count(
            "StartupOpsForInvalidToken",
            "startup_invalid_token_operations_total",
            "The same while the node starts.",
        ),
    ],
};

fn whole(name: &ObjectName) -> Option<Vec<(&'static str, String)>> {
    name.get("name").map(|_| Vec::new())
}

pub(super) const STORAGE_PROXY: Group = Group {
    bean: "StorageProxy",
    prefix: "cassandra_storage_proxy_",
    labels: whole,
    names: &[],
    rows: &[
        count(
            "ReadRejected",
            "rejected_total",
            "Requests of partitions on the list of those that are denied.",
        )
        .of("operation", "read"),
        count(
            "WriteRejected",
            "rejected_total",
            "Requests of partitions on the list of those that are denied.",
        )
        .of("operation", "write"),
        count(
            "RangeReadRejected",
            "rejected_total",
            "Requests of partitions on the list of those that are denied.",
        )
        .of("operation", "range_read"),
    ],
};

pub(super) const STREAMING_ALL: Group = Group {
    bean: "Streaming",
    prefix: "cassandra_streaming_",
    labels: none,
    names: &[],
    rows: &[
        count_now(
            "ActiveOutboundStreams",
            "active_outbound_streams",
            "Streams to peers that run.",
        ),
        count(
            "TotalIncomingBytes",
            "all_incoming_bytes_total",
            "What was streamed from all peers, those that have left included.",
        ),
        count(
            "TotalOutgoingBytes",
            "all_outgoing_bytes_total",
            "What was streamed to all peers, those that have left included.",
        ),
        count(
            "TotalOutgoingRepairBytes",
            "all_outgoing_repair_bytes_total",
            "What was streamed to all peers for repairs.",
        ),
        count(
            "TotalOutgoingRepairSSTables",
            "all_outgoing_repair_sstables_total",
            "SSTables that were streamed to all peers for repairs.",
        ),
    ],
};

pub(super) const STREAMING: Group = Group {
    bean: "Streaming",
    prefix: "cassandra_streaming_",
    labels: peer,
    names: &["peer"],
    rows: &[
        count(
            "IncomingBytes",
            "incoming_bytes_total",
            "What was streamed from a peer.",
        ),
        count(
            "OutgoingBytes",
            "outgoing_bytes_total",
            "What was streamed to a peer.",
        ),
        count(
            "OutgoingRepairBytes",
            "outgoing_repair_bytes_total",
            "What was streamed to a peer for repairs.",
        ),
        count(
            "OutgoingRepairSSTables",
            "outgoing_repair_sstables_total",
            "SSTables that were streamed to a peer for repairs.",
        ),
        timer(
            "IncomingProcessTime",
            "incoming_process_seconds",
            "Time to take an SSTable in.",
        ),
    ],
};

fn pool(name: &ObjectName) -> Option<Vec<(&'static str, String)>> {
    Some(vec![
        ("path", name.get("path")?.to_owned()),
        ("pool", name.get("scope")?.to_owned()),
    ])
}

pub(super) const THREAD_POOL: Group = Group {
    bean: "ThreadPools",
    prefix: "cassandra_thread_pool_",
    labels: pool,
    names: &["path", "pool"],
    rows: &[
        value("ActiveTasks", "active_tasks", "Tasks that run.").minimal(),
        value("PendingTasks", "pending_tasks", "Tasks that wait.").minimal(),
        value_total(
            "CompletedTasks",
            "completed_tasks_total",
            "Tasks that ended.",
        )
        .minimal(),
        count_now(
            "CurrentlyBlockedTasks",
            "blocked_tasks",
            "Tasks that wait for room in the queue.",
        )
        .minimal(),
        count(
            "TotalBlockedTasks",
            "blocked_tasks_total",
            "Tasks that had to wait for room in the queue.",
        )
        .minimal(),
        value("MaxPoolSize", "max_threads", "Threads that there may be."),
        value("MaxTasksQueued", "max_queued_tasks", "Tasks that may wait."),
        value(
            "OldestTaskQueueTime",
            "oldest_task_queue_seconds",
            "How long the oldest task waits.",
        )
        .unit(NANOS),
    ],
};
