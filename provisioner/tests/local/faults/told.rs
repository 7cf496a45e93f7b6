//! What exporters would tell of faults that nobody can have here: a file says it, through a real node-exporter's textfile collector.

use jiff::{SignedDuration, Timestamp};

/// An alert, and what a file tells before it, during it, and after it. One that heals only when minutes have gone by has nothing after.
pub(super) struct Told {
    pub(super) alert: &'static str,
    /// A word that its message has.
    pub(super) on: &'static str,
    pub(super) before: &'static str,
    pub(super) during: &'static str,
    pub(super) after: Option<&'static str>,
}

/// What is so at once, and not so at once.
const fn gauge(alert: &'static str, before: &'static str, during: &'static str) -> Told {
    Told {
        alert,
        on: "host-3",
        before,
        during,
        after: Some(before),
    }
}

/// What has been counted stays so for as long as the rule looks back.
const fn count(alert: &'static str, before: &'static str, during: &'static str) -> Told {
    Told {
        alert,
        on: "host-3",
        before,
        during,
        after: None,
    }
}

/// Sorted by alert. `{soon}` is in five days, `{late}` in a year.
pub(super) const TOLD: &[Told] = &[
    count(
        "AlertRouterLimited",
        "alert_router_limited_total{what=\"alerts\"} 0",
        "alert_router_limited_total{what=\"alerts\"} 7",
    ),
    gauge(
        "AlertRouterNotificationsWait",
        "alert_router_notifications_waiting 0",
        "alert_router_notifications_waiting 50",
    ),
    count(
        "AlertRouterRecipientRefused",
        "alert_router_recipients_refused_total 0",
        "alert_router_recipients_refused_total 1",
    ),
    gauge(
        "AlertRouterStorageFails",
        "alert_router_storage_healthy 1",
        "alert_router_storage_healthy 0",
    ),
    count(
        "AlertRouterTemplateFails",
        "alert_router_template_failures_total 0",
        "alert_router_template_failures_total 1",
    ),
    Told {
        after: Some(
            "cassandra_client_request_contended_rounds_count{operation=\"cas_write\"} 50\ncassandra_client_request_latency_seconds_count{operation=\"cas_write\"} 1000000",
        ),
        ..gauge(
            "CassandraContention",
            "cassandra_client_request_contended_rounds_count{operation=\"cas_write\"} 0\ncassandra_client_request_latency_seconds_count{operation=\"cas_write\"} 0",
            "cassandra_client_request_contended_rounds_count{operation=\"cas_write\"} 50\ncassandra_client_request_latency_seconds_count{operation=\"cas_write\"} 100",
        )
    },
    gauge(
        "CassandraDiskHalfFull",
        "node_filesystem_avail_bytes{device=\"/dev/nvme1n1\",fstype=\"xfs\",mountpoint=\"/var/lib/cassandra\"} 90\nnode_filesystem_size_bytes{device=\"/dev/nvme1n1\",fstype=\"xfs\",mountpoint=\"/var/lib/cassandra\"} 100\nnode_filesystem_readonly{device=\"/dev/nvme1n1\",fstype=\"xfs\",mountpoint=\"/var/lib/cassandra\"} 0",
        "node_filesystem_avail_bytes{device=\"/dev/nvme1n1\",fstype=\"xfs\",mountpoint=\"/var/lib/cassandra\"} 40\nnode_filesystem_size_bytes{device=\"/dev/nvme1n1\",fstype=\"xfs\",mountpoint=\"/var/lib/cassandra\"} 100\nnode_filesystem_readonly{device=\"/dev/nvme1n1\",fstype=\"xfs\",mountpoint=\"/var/lib/cassandra\"} 0",
    ),
    count(
        "CassandraDroppedMessages",
        "cassandra_dropped_messages_total{message_type=\"MUTATION_REQ\"} 0",
        "cassandra_dropped_messages_total{message_type=\"MUTATION_REQ\"} 9",
    ),
    count(
        "CassandraGcTime",
        "cassandra_jvm_gc_collection_seconds_sum{gc=\"G1 Old Generation\"} 0",
        "cassandra_jvm_gc_collection_seconds_sum{gc=\"G1 Old Generation\"} 200",
    ),
    gauge(
        "CassandraHeapHigh",
        "cassandra_jvm_memory_used_bytes{area=\"heap\"} 10\ncassandra_jvm_memory_max_bytes{area=\"heap\"} 1000",
        "cassandra_jvm_memory_used_bytes{area=\"heap\"} 10\ncassandra_jvm_memory_max_bytes{area=\"heap\"} 11",
    ),
    count(
        "CassandraHintsGrow",
        "cassandra_storage_hints_total 0",
        "cassandra_storage_hints_total 9",
    ),
    gauge(
        "CassandraLatencyHigh",
        "cassandra_client_request_latency_seconds{operation=\"read\",quantile=\"0.99\"} 0.01",
        "cassandra_client_request_latency_seconds{operation=\"read\",quantile=\"0.99\"} 2",
    ),
    gauge(
        "CassandraNotNormal",
        "cassandra_operation_mode{mode=\"JOINING\"} 0",
        "cassandra_operation_mode{mode=\"JOINING\"} 1",
    ),
    gauge(
        "CassandraPendingCompactions",
        "cassandra_compaction_pending_tasks 0",
        "cassandra_compaction_pending_tasks 500",
    ),
    gauge(
        "CassandraSchemaDisagreement",
        "cassandra_schema_versions 1",
        "cassandra_schema_versions 2",
    ),
    gauge(
        "CassandraSnapshotsLarge",
        "cassandra_node_snapshots_size_bytes 0\ncassandra_node_live_disk_space_used_bytes 3e9",
        "cassandra_node_snapshots_size_bytes 2e9\ncassandra_node_live_disk_space_used_bytes 3e9",
    ),
    count(
        "CassandraStorageExceptions",
        "cassandra_storage_exceptions_total 0",
        "cassandra_storage_exceptions_total 1",
    ),
    gauge(
        "CassandraThreadPoolBlocked",
        "cassandra_thread_pool_blocked_tasks{pool=\"MutationStage\"} 0",
        "cassandra_thread_pool_blocked_tasks{pool=\"MutationStage\"} 3",
    ),
    Told {
        after: Some(
            "cassandra_client_request_timeouts_total{operation=\"read\"} 50\ncassandra_client_request_latency_seconds_count{operation=\"read\"} 1000000",
        ),
        ..gauge(
            "CassandraTimeouts",
            "cassandra_client_request_timeouts_total{operation=\"read\"} 0\ncassandra_client_request_latency_seconds_count{operation=\"read\"} 0",
            "cassandra_client_request_timeouts_total{operation=\"read\"} 50\ncassandra_client_request_latency_seconds_count{operation=\"read\"} 100",
        )
    },
    gauge(
        "CassandraTombstones",
        "cassandra_table_tombstones_scanned{keyspace=\"scalar\",table=\"asset\",quantile=\"0.99\"} 1",
        "cassandra_table_tombstones_scanned{keyspace=\"scalar\",table=\"asset\",quantile=\"0.99\"} 5000",
    ),
    count(
        "CassandraUnavailables",
        "cassandra_client_request_unavailables_total{operation=\"write\"} 0",
        "cassandra_client_request_unavailables_total{operation=\"write\"} 3",
    ),
    gauge(
        "CertificateEndsSoon",
        "scalar_dl_certificate_not_after_timestamp_seconds {late}",
        "scalar_dl_certificate_not_after_timestamp_seconds {soon}",
    ),
    gauge(
        "CollectorFails",
        "traefik_scrape_collector_success{collector=\"config-watch\"} 1",
        "traefik_scrape_collector_success{collector=\"config-watch\"} 0",
    ),
    gauge(
        "HostClockWrong",
        "node_timex_offset_seconds 0",
        "node_timex_offset_seconds 1",
    ),
    gauge(
        "HostMemoryLow",
        "node_memory_MemAvailable_bytes 90\nnode_memory_MemTotal_bytes 100",
        "node_memory_MemAvailable_bytes 1\nnode_memory_MemTotal_bytes 100",
    ),
    count(
        "HostOomKill",
        "node_vmstat_oom_kill 0",
        "node_vmstat_oom_kill 1",
    ),
    gauge(
        "HostRebooted",
        "node_time_seconds 100000\nnode_boot_time_seconds 0",
        "node_time_seconds 100000\nnode_boot_time_seconds 99900",
    ),
    Told {
        after: Some(
            "scalardl_stats_ledger_total_failure 50\nscalardl_stats_ledger_total_success 1000000",
        ),
        ..gauge(
            "LedgerFailures",
            "scalardl_stats_ledger_total_failure 0\nscalardl_stats_ledger_total_success 0",
            "scalardl_stats_ledger_total_failure 50\nscalardl_stats_ledger_total_success 50",
        )
    },
    count(
        "LedgerFlaps",
        "node_systemd_service_restart_total{name=\"scalardl.service\"} 0",
        "node_systemd_service_restart_total{name=\"scalardl.service\"} 90",
    ),
    gauge(
        "LedgerLatencyHigh",
        "scalardl_stats_ledger_execute_contract_request{quantile=\"0.99\"} 0.1",
        "scalardl_stats_ledger_execute_contract_request{quantile=\"0.99\"} 5",
    ),
    count(
        "LedgerValidationFailed",
        "scalardl_stats_ledger_validate_ledger_request_failure 0",
        "scalardl_stats_ledger_validate_ledger_request_failure 1",
    ),
    Told {
        after: Some("prometheus_tsdb_head_samples_appended_total 10"),
        ..gauge(
            "PrometheusNotIngesting",
            "prometheus_build_info 1",
            "prometheus_tsdb_head_samples_appended_total 5",
        )
    },
    Told {
        after: Some(
            "prometheus_remote_storage_highest_timestamp_in_seconds 1000\nprometheus_remote_storage_queue_highest_sent_timestamp_seconds{remote_name=\"far\",url=\"http://far\"} 1000",
        ),
        ..gauge(
            "PrometheusRemoteWriteBehind",
            "prometheus_remote_storage_highest_timestamp_in_seconds 0\nprometheus_remote_storage_queue_highest_sent_timestamp_seconds{remote_name=\"far\",url=\"http://far\"} 0",
            "prometheus_remote_storage_highest_timestamp_in_seconds 1000\nprometheus_remote_storage_queue_highest_sent_timestamp_seconds{remote_name=\"far\",url=\"http://far\"} 100",
        )
    },
    count(
        "PrometheusRuleFails",
        "prometheus_rule_evaluation_failures_total{rule_group=\"mine\"} 0",
        "prometheus_rule_evaluation_failures_total{rule_group=\"mine\"} 1",
    ),
    count(
        "PrometheusStorageFails",
        "prometheus_tsdb_compactions_failed_total 0",
        "prometheus_tsdb_compactions_failed_total 1",
    ),
    gauge(
        "PrometheusWithoutAlertRouter",
        "prometheus_notifications_alertmanagers_discovered 1",
        "prometheus_notifications_alertmanagers_discovered 0",
    ),
    gauge(
        "SystemdServiceFailed",
        "node_systemd_unit_state{name=\"demo.service\",state=\"failed\",type=\"simple\"} 0",
        "node_systemd_unit_state{name=\"demo.service\",state=\"failed\",type=\"simple\"} 1",
    ),
    Told {
        on: "told@file",
        after: Some(
            "traefik_service_requests_total{service=\"told@file\",code=\"500\"} 50\ntraefik_service_requests_total{service=\"told@file\",code=\"200\"} 1000000",
        ),
        ..gauge(
            "TraefikErrorRateHigh",
            "traefik_service_requests_total{service=\"told@file\",code=\"500\"} 0\ntraefik_service_requests_total{service=\"told@file\",code=\"200\"} 0",
            "traefik_service_requests_total{service=\"told@file\",code=\"500\"} 50\ntraefik_service_requests_total{service=\"told@file\",code=\"200\"} 50",
        )
    },
    Told {
        on: "middlewares",
        ..gauge(
            "TraefikInstancesDiffer",
            "traefik_api_configuration_hash{kind=\"middleware\",protocol=\"udp\",of=\"1\"} 1\ntraefik_api_configuration_hash{kind=\"middleware\",protocol=\"udp\",of=\"2\"} 1",
            "traefik_api_configuration_hash{kind=\"middleware\",protocol=\"udp\",of=\"1\"} 1\ntraefik_api_configuration_hash{kind=\"middleware\",protocol=\"udp\",of=\"2\"} 2",
        )
    },
    Told {
        on: "told@file",
        after: Some(
            "traefik_service_request_duration_seconds_bucket{service=\"told@file\",le=\"0.1\"} 1000000\ntraefik_service_request_duration_seconds_bucket{service=\"told@file\",le=\"5\"} 1000100\ntraefik_service_request_duration_seconds_bucket{service=\"told@file\",le=\"+Inf\"} 1000100",
        ),
        ..gauge(
            "TraefikLatencyHigh",
            "traefik_service_request_duration_seconds_bucket{service=\"told@file\",le=\"0.1\"} 0\ntraefik_service_request_duration_seconds_bucket{service=\"told@file\",le=\"5\"} 0\ntraefik_service_request_duration_seconds_bucket{service=\"told@file\",le=\"+Inf\"} 0",
            "traefik_service_request_duration_seconds_bucket{service=\"told@file\",le=\"0.1\"} 0\ntraefik_service_request_duration_seconds_bucket{service=\"told@file\",le=\"5\"} 100\ntraefik_service_request_duration_seconds_bucket{service=\"told@file\",le=\"+Inf\"} 100",
        )
    },
];

/// The file.
pub(super) fn page(text: &str) -> String {
    let at = |days: i64| (Timestamp::now() + SignedDuration::from_hours(24 * days)).as_second();
    let text = text.replace("{soon}", &at(5).to_string());
    format!("{}\n", text.replace("{late}", &at(365).to_string()))
}
