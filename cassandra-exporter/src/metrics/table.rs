//! Metrics of tables. Most are there three times: of each table, of each keyspace, and of the node as a whole, for which Cassandra adds
//! them up (or takes the largest, or the mean of a ratio) itself.

use super::{MICROS, NANOS, PERCENT, Profile, Row, Source, number, number_total, spread, timer};
use crate::metrics::Name;
use exposition::Kind;

/// Of what a row is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Node,
    Keyspace,
    Table,
}

impl Scope {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 3] = [Self::Node, Self::Keyspace, Self::Table];

    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::Node => "cassandra_node_",
            Self::Keyspace => "cassandra_keyspace_",
            Self::Table => "cassandra_table_",
        }
    }

    #[cfg(test)]
    pub(crate) const fn labels(self) -> &'static [&'static str] {
        match self {
            Self::Node => &[],
            Self::Keyspace => &["keyspace"],
            Self::Table => &["keyspace", "table"],
        }
    }

    /// From which profile on a row is read in this scope.
    pub(crate) const fn profile(self, row: &Row) -> Profile {
        match (self, row.profile) {
            (Self::Node, Profile::Minimal) => Profile::Minimal,
            (Self::Node | Self::Keyspace, _) => Profile::Standard,
            (Self::Table, Profile::Minimal) => Profile::Standard,
            (Self::Table, _) => Profile::Full,
        }
    }
}

const OPERATION: &str =
    "Latency of local operations on the node's own data, by Cassandra's own clock.";
const COORDINATOR: &str = "Latency of requests that this node coordinates, by operation.";

const fn operation(name: &'static str, total: &'static str, operation: &'static str) -> Row {
    timer(name, "operation_latency_seconds", OPERATION)
        .total(total)
        .of("operation", operation)
        .full()
}

const fn coordinator(name: &'static str, operation: &'static str) -> Row {
    timer(name, "coordinator_latency_seconds", COORDINATOR)
        .of("operation", operation)
        .full()
}

const fn buckets(name: &'static str, metric: &'static str, help: &'static str) -> Row {
    Row::new(
        Name::Is(name),
        Source::Buckets,
        Kind::Histogram,
        metric,
        help,
    )
    .full()
}

/// Those that are `minimal` are the core: read of every table in the standard profile, and of the node in every one.
pub(crate) const TABLE: &[Row] = &[
    // Reads and writes.
    operation("ReadLatency", "ReadTotalLatency", "read").minimal(),
    operation("WriteLatency", "WriteTotalLatency", "write").minimal(),
    operation("RangeLatency", "RangeTotalLatency", "range_read").minimal(),
    operation("CasPrepareLatency", "CasPrepareTotalLatency", "cas_prepare"),
    operation("CasProposeLatency", "CasProposeTotalLatency", "cas_propose"),
    operation("CasCommitLatency", "CasCommitTotalLatency", "cas_commit"),
    operation(
        "IdealCLWriteLatency",
        "IdealCLWriteTotalLatency",
        "ideal_cl_write",
    ),
    coordinator("CoordinatorReadLatency", "read"),
    coordinator("CoordinatorScanLatency", "range_read"),
    coordinator("CoordinatorWriteLatency", "write"),
    spread(
        "SSTablesPerReadHistogram",
        "sstables_per_read",
        "SSTables that a read of one partition looks into.",
    )
    .minimal(),
    spread(
        "SSTablesPerRangeReadHistogram",
        "sstables_per_range_read",
        "SSTables that a read of a range looks into.",
    )
    .full(),
    spread(
        "TombstoneScannedHistogram",
        "tombstones_scanned",
        "Tombstones that a read meets.",
    )
    .minimal(),
    spread(
        "LiveScannedHistogram",
        "live_rows_scanned",
        "Live rows that a read meets.",
    )
    .minimal(),
    spread(
        "ColUpdateTimeDeltaHistogram",
        "column_update_time_delta_seconds",
        "How far apart the times of updates of one column are.",
    )
    .unit(MICROS)
    .full(),
    number_total(
        "TombstoneWarnings",
        "tombstone_warnings_total",
        "Reads that met more tombstones than tombstone_warn_threshold.",
    )
    .full(),
    number_total(
        "TombstoneFailures",
        "tombstone_failures_total",
        "Reads that met more tombstones than tombstone_failure_threshold, and failed.",
    )
    .full(),
    number_total(
        "DroppedMutations",
        "dropped_mutations_total",
        "Mutations that were dropped.",
    )
    .full(),
    number_total(
        "SpeculativeRetries",
        "speculative_retries_total",
        "Reads that were sent to one more replica, as the first was slow.",
    )
    .full(),
    number_total(
        "SpeculativeFailedRetries",
        "speculative_failed_retries_total",
        "Such further reads that timed out, too.",
    )
    .full(),
    number_total(
        "SpeculativeInsufficientReplicas",
        "speculative_insufficient_replicas_total",
        "Such further reads for which there was no replica.",
    )
    .full(),
    number(
        "SpeculativeSampleLatencyNanos",
        "speculative_sample_latency_seconds",
        "After how long a read is sent to one more replica.",
    )
    .unit(NANOS)
    .full(),
    number_total(
        "AdditionalWrites",
        "additional_writes_total",
        "Writes that were sent to one more replica, as the first was slow.",
    )
    .full(),
    number(
        "AdditionalWriteLatencyNanos",
        "additional_write_latency_seconds",
        "After how long a write is sent to one more replica.",
    )
    .unit(NANOS)
    .full(),
    number_total(
        "WriteFailedIdealCL",
        "write_failed_ideal_consistency_total",
        "Writes that did not reach ideal_consistency_level.",
    )
    .full(),
    number_total(
        "ReadRepairRequests",
        "read_repair_requests_total",
        "Requests of read repair.",
    )
    .full(),
    number_total(
        "ShortReadProtectionRequests",
        "short_read_protection_requests_total",
        "Further reads, as replicas had too few live rows.",
    )
    .full(),
    number_total(
        "ReplicaFilteringProtectionRequests",
        "replica_filtering_protection_requests_total",
        "Further reads to complete rows that replicas had filtered.",
    )
    .full(),
    spread(
        "ReplicaFilteringProtectionRowsCachedPerQuery",
        "replica_filtering_protection_rows_cached_per_query",
        "Rows kept in memory for that.",
    )
    .full(),
    number_total(
        "ReadOutOfRangeToken",
        "read_out_of_range_token_total",
        "Reads of tokens that are not this node's.",
    )
    .full(),
    number_total(
        "WriteOutOfRangeToken",
        "write_out_of_range_token_total",
        "Writes of tokens that are not this node's.",
    )
    .full(),
    number_total(
        "PaxosOutOfRangeToken",
        "paxos_out_of_range_token_total",
        "Paxos requests of tokens that are not this node's.",
    )
    .full(),
    timer(
        "ViewLockAcquireTime",
        "view_lock_acquire_seconds",
        "Wait for the lock of a partition for the update of a view.",
    )
    .full(),
    timer(
        "ViewReadTime",
        "view_read_seconds",
        "Local read for the update of a view.",
    )
    .full(),
    // Sizes of reads and the guards on them.
    spread(
        "CoordinatorReadSize",
        "coordinator_read_size_bytes",
        "Size of what a coordinated read gives.",
    )
    .full(),
    number_total(
        "CoordinatorReadSizeWarnings",
        "coordinator_read_size_warnings_total",
        "Coordinated reads over the limit of a warning.",
    )
    .full(),
    number_total(
        "CoordinatorReadSizeAborts",
        "coordinator_read_size_aborts_total",
        "Coordinated reads over the limit, aborted.",
    )
    .full(),
    spread(
        "LocalReadSize",
        "local_read_size_bytes",
        "Size of what a local read gives.",
    )
    .full(),
    number_total(
        "LocalReadSizeWarnings",
        "local_read_size_warnings_total",
        "Local reads over the limit of a warning.",
    )
    .full(),
    number_total(
        "LocalReadSizeAborts",
        "local_read_size_aborts_total",
        "Local reads over the limit, aborted.",
    )
    .full(),
    spread(
        "RowIndexSize",
        "row_index_size_bytes",
        "Size of the row index that a read loads.",
    )
    .full(),
    number_total(
        "RowIndexSizeWarnings",
        "row_index_size_warnings_total",
        "Reads whose row index is over the limit of a warning.",
    )
    .full(),
    number_total(
        "RowIndexSizeAborts",
        "row_index_size_aborts_total",
        "Reads whose row index is over the limit, aborted.",
    )
    .full(),
    number_total(
        "ClientTombstoneWarnings",
        "client_tombstone_warnings_total",
        "Coordinated reads with more tombstones than a warning allows.",
    )
    .full(),
    number_total(
        "ClientTombstoneAborts",
        "client_tombstone_aborts_total",
        "Coordinated reads with too many tombstones, aborted.",
    )
    .full(),
    number_total(
        "TooManySSTableIndexesReadWarnings",
        "too_many_sstable_indexes_read_warnings_total",
        "Reads of more SSTable indexes than a warning allows.",
    )
    .full(),
    number_total(
        "TooManySSTableIndexesReadAborts",
        "too_many_sstable_indexes_read_aborts_total",
        "Reads of too many SSTable indexes, aborted.",
    )
    .full(),
    // SSTables and the disk.
    number(
        "LiveSSTableCount",
        "live_sstables",
        "SSTables that are in use.",
    )
    .minimal(),
    number(
        "OldVersionSSTableCount",
        "old_version_sstables",
        "SSTables of an older version, to be upgraded.",
    )
    .full(),
    number(
        "UnleveledSSTables",
        "unleveled_sstables",
        "SSTables that no level has taken yet.",
    )
    .full(),
    number(
        "MaxSSTableDuration",
        "max_sstable_duration_seconds",
        "The longest time between the oldest and the newest data of an SSTable.",
    )
    .unit(super::MILLIS)
    .full(),
    number(
        "MaxSSTableSize",
        "max_sstable_size_bytes",
        "Size of the largest SSTable.",
    )
    .full(),
    number(
        "LiveDiskSpaceUsed",
        "live_disk_space_used_bytes",
        "Disk that SSTables in use take.",
    )
    .minimal(),
    number(
        "TotalDiskSpaceUsed",
        "total_disk_space_used_bytes",
        "Disk that SSTables take, those included that wait to be removed.",
    )
    .minimal(),
    number(
        "UncompressedLiveDiskSpaceUsed",
        "uncompressed_live_disk_space_used_bytes",
        "Size of SSTables in use before compression.",
    )
    .full(),
    number(
        "UnreplicatedLiveDiskSpaceUsed",
        "unreplicated_live_disk_space_used_bytes",
        "Disk that SSTables in use take, divided by the replication factor.",
    )
    .full(),
    number(
        "UnreplicatedUncompressedLiveDiskSpaceUsed",
        "unreplicated_uncompressed_live_disk_space_used_bytes",
        "The same before compression.",
    )
    .full(),
    number(
        "SnapshotsSize",
        "snapshots_size_bytes",
        "Disk that snapshots alone hold; read when names are looked for anew.",
    )
    .full()
    .slow(),
    number(
        "CompressionRatio",
        "compression_ratio",
        "Size after compression by size before it.",
    )
    .none(-1.0)
    .full(),
    number(
        "CompressionMetadataOffHeapMemoryUsed",
        "compression_metadata_off_heap_memory_used_bytes",
        "Memory outside the heap for what compression must know.",
    )
    .full(),
    number(
        "IndexSummaryOffHeapMemoryUsed",
        "index_summary_off_heap_memory_used_bytes",
        "Memory outside the heap for summaries of indexes.",
    )
    .full(),
    // Partitions.
    number(
        "MinPartitionSize",
        "min_partition_size_bytes",
        "Size of the smallest compacted partition.",
    )
    .full(),
    number(
        "MeanPartitionSize",
        "mean_partition_size_bytes",
        "Mean size of compacted partitions.",
    )
    .full(),
    number(
        "MaxPartitionSize",
        "max_partition_size_bytes",
        "Size of the largest compacted partition.",
    )
    .minimal(),
    number(
        "EstimatedPartitionCount",
        "estimated_partitions",
        "About how many partitions there are.",
    )
    .none(-1.0)
    .full(),
    buckets(
        "EstimatedPartitionSizeHistogram",
        "estimated_partition_size_bytes",
        "Partitions by size, as SSTables' statistics have them.",
    ),
    buckets(
        "EstimatedColumnCountHistogram",
        "estimated_cells_per_partition",
        "Partitions by their number of cells, as SSTables' statistics have them.",
    ),
    // Bloom filters and caches.
    number_total(
        "BloomFilterFalsePositives",
        "bloom_filter_false_positives_total",
        "Reads that a Bloom filter sent to an SSTable in vain, of the SSTables in use.",
    )
    .full(),
    number(
        "BloomFilterFalseRatio",
        "bloom_filter_false_ratio",
        "Part of such reads of all that passed a Bloom filter.",
    )
    .minimal(),
    number(
        "RecentBloomFilterFalsePositives",
        "recent_bloom_filter_false_positives",
        "The same since the last look; other readers start it anew.",
    )
    .full(),
    number(
        "RecentBloomFilterFalseRatio",
        "recent_bloom_filter_false_ratio",
        "The same part since the last look; other readers start it anew.",
    )
    .full(),
    number(
        "BloomFilterDiskSpaceUsed",
        "bloom_filter_disk_space_used_bytes",
        "Disk that Bloom filters take.",
    )
    .full(),
    number(
        "BloomFilterOffHeapMemoryUsed",
        "bloom_filter_off_heap_memory_used_bytes",
        "Memory outside the heap for Bloom filters.",
    )
    .full(),
    number(
        "KeyCacheHitRate",
        "key_cache_hit_ratio",
        "Part of reads that find their key in the key cache.",
    )
    .full(),
    number_total(
        "RowCacheHit",
        "row_cache_hits_total",
        "Reads that the row cache answered.",
    )
    .full(),
    number_total(
        "RowCacheHitOutOfRange",
        "row_cache_out_of_range_hits_total",
        "Reads whose partition the row cache has, but not those rows.",
    )
    .full(),
    number_total(
        "RowCacheMiss",
        "row_cache_misses_total",
        "Reads whose partition the row cache has not.",
    )
    .full(),
    // Memtables.
    number(
        "MemtableLiveDataSize",
        "memtable_live_data_size_bytes",
        "Live data in the memtable, without what holding it costs.",
    )
    .minimal(),
    number(
        "MemtableColumnsCount",
        "memtable_columns",
        "Cells in the memtable.",
    )
    .full(),
    number_total(
        "MemtableSwitchCount",
        "memtable_switches_total",
        "How often the memtable was switched for a flush.",
    )
    .full(),
    number(
        "MemtableOnHeapSize",
        "memtable_on_heap_size_bytes",
        "Heap that the memtable takes.",
    )
    .full(),
    number(
        "MemtableOffHeapSize",
        "memtable_off_heap_size_bytes",
        "Memory outside the heap that the memtable takes.",
    )
    .full(),
    number(
        "MemtableOnHeapDataSize",
        "memtable_on_heap_data_size_bytes",
        "Heap that data in the memtable takes.",
    )
    .full(),
    number(
        "MemtableOffHeapDataSize",
        "memtable_off_heap_data_size_bytes",
        "Memory outside the heap that data in the memtable takes.",
    )
    .full(),
    number(
        "AllMemtablesHeapSize",
        "all_memtables_on_heap_size_bytes",
        "The same, indexes' memtables and those being flushed included.",
    )
    .full(),
    number(
        "AllMemtablesOffHeapSize",
        "all_memtables_off_heap_size_bytes",
        "The same outside the heap, indexes' memtables and those being flushed included.",
    )
    .full(),
    number(
        "AllMemtablesLiveDataSize",
        "all_memtables_live_data_size_bytes",
        "Live data, indexes' memtables and those being flushed included.",
    )
    .full(),
    number(
        "AllMemtablesOnHeapDataSize",
        "all_memtables_on_heap_data_size_bytes",
        "Heap for data, indexes' memtables and those being flushed included.",
    )
    .full(),
    number(
        "AllMemtablesOffHeapDataSize",
        "all_memtables_off_heap_data_size_bytes",
        "Memory outside the heap for data, indexes' memtables and those being flushed included.",
    )
    .full(),
    spread(
        "WaitingOnFreeMemtableSpace",
        "waiting_on_free_memtable_space_seconds",
        "Wait of writes for room in memtables.",
    )
    .unit(NANOS)
    .full(),
    // Flushes and compactions.
    number("PendingFlushes", "pending_flushes", "Flushes that wait.").minimal(),
    number_total("BytesFlushed", "flushed_bytes_total", "What was flushed.").full(),
    number(
        "PendingCompactions",
        "pending_compactions",
        "Compactions that wait, estimated.",
    )
    .minimal(),
    number_total(
        "CompactionBytesWritten",
        "compaction_written_bytes_total",
        "What compactions wrote.",
    )
    .full(),
    // Repair.
    number(
        "PercentRepaired",
        "repaired_ratio",
        "Part of the data on disk that is repaired.",
    )
    .unit(PERCENT)
    .minimal(),
    number(
        "BytesRepaired",
        "repaired_bytes",
        "Data on disk that is repaired.",
    )
    .full(),
    number(
        "BytesUnrepaired",
        "unrepaired_bytes",
        "Data on disk that is not repaired.",
    )
    .full(),
    number(
        "BytesPendingRepair",
        "pending_repair_bytes",
        "Data on disk that is being repaired.",
    )
    .full(),
    number_total(
        "RepairJobsStarted",
        "repair_jobs_started_total",
        "Repairs that this node started as their coordinator.",
    )
    .full(),
    number_total(
        "RepairJobsCompleted",
        "repair_jobs_completed_total",
        "Such repairs that ended.",
    )
    .full(),
    timer("RepairTime", "repair_seconds", "Time of a whole repair.").full(),
    timer(
        "RepairPrepareTime",
        "repair_prepare_seconds",
        "Time to prepare a repair.",
    )
    .full(),
    timer(
        "RepairSyncTime",
        "repair_sync_seconds",
        "Time to stream what a repair found.",
    )
    .full(),
    timer(
        "AnticompactionTime",
        "anticompaction_seconds",
        "Time of an anticompaction before a repair.",
    )
    .full(),
    timer(
        "ValidationTime",
        "validation_seconds",
        "Time of a validation in a repair.",
    )
    .full(),
    spread(
        "BytesValidated",
        "validated_bytes",
        "What a validation read.",
    )
    .full(),
    spread(
        "PartitionsValidated",
        "validated_partitions",
        "Partitions that a validation read.",
    )
    .full(),
    number_total(
        "BytesAnticompacted",
        "anticompacted_bytes_total",
        "SSTables that an anticompaction wrote anew.",
    )
    .full(),
    number_total(
        "BytesMutatedAnticompaction",
        "anticompaction_mutated_bytes_total",
        "SSTables that an anticompaction took whole.",
    )
    .full(),
    number(
        "MutatedAnticompactionGauge",
        "anticompaction_mutated_ratio",
        "Part of anticompacted data that was taken whole.",
    )
    .full(),
    number_total(
        "BytesPreviewed",
        "previewed_bytes_total",
        "What previews of repairs read.",
    )
    .full(),
    number_total(
        "BytesPreviewedDesynchronized",
        "previewed_desynchronized_bytes_total",
        "What previews of repairs found to differ.",
    )
    .full(),
    number_total(
        "TokenRangesPreviewedDesynchronized",
        "previewed_desynchronized_token_ranges_total",
        "Ranges that previews of repairs found to differ.",
    )
    .full(),
    number_total(
        "RepairedDataInconsistenciesConfirmed",
        "repaired_data_inconsistencies_confirmed_total",
        "Reads that found repaired data to differ between replicas.",
    )
    .full(),
    number_total(
        "RepairedDataInconsistenciesUnconfirmed",
        "repaired_data_inconsistencies_unconfirmed_total",
        "Such reads while repairs ran, so that it may be nothing.",
    )
    .full(),
    spread(
        "RepairedDataTrackingOverreadRows",
        "repaired_data_tracking_overread_rows",
        "Rows read only to compare repaired data.",
    )
    .full(),
    timer(
        "RepairedDataTrackingOverreadTime",
        "repaired_data_tracking_overread_seconds",
        "Time to read them.",
    )
    .full(),
];
