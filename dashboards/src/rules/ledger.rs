//! Scalar DL's ledgers. The names of their metrics are those that Scalar's own charts and dashboards ask for; they were never seen on a
//! licensed ledger by us.

use super::{Alert, Group};

pub(super) const GROUP: Group = Group {
    name: "ledger",
    recordings: &[],
    alerts: &[
        Alert {
            name: "LedgerDown",
            expr: "up{job=\"scalardl\"} == 0 unless on (cluster, instance) scalar_dl:host_down",
            severity: "critical",
            summary: "The ledger on {{ $labels.instance }} does not answer",
            description: "Prometheus has not been able to scrape the ledger's own metrics on {{ $labels.instance }}, which answers otherwise.",
            dashboard: "ledger",
            variables: &["instance"],
            repair: Some("recover {{ $labels.instance }}"),
        },
        Alert {
            name: "LedgersDown",
            expr: "scalar_dl:expected_hosts{role=\"scalardl\"} unless on (cluster) up{job=\"scalardl\"} == 1",
            severity: "critical",
            summary: "None of the {{ $value }} ledgers of {{ $labels.cluster }} answers",
            description: "Nobody can use Scalar DL. When Cassandra has no quorum, begin there.",
            dashboard: "ledger",
            variables: &[],
            repair: Some("install scalardl"),
        },
        Alert {
            name: "LedgerFlaps",
            // Between two ends it answers, so that nothing else may last long enough to be told.
            expr: "increase(node_systemd_service_restart_total{name=\"scalardl.service\"}[30m]) >= THRESHOLD",
            severity: "warning",
            summary: "The ledger on {{ $labels.instance }} ends again and again",
            description: "systemd has started the ledger on {{ $labels.instance }} again three times or more within half an hour, for it had ended by itself.",
            dashboard: "ledger",
            variables: &["instance"],
            repair: None,
        },
        Alert {
            name: "LedgerFailures",
            expr: "rate(scalardl_stats_ledger_total_failure[5m]) / (rate(scalardl_stats_ledger_total_success[5m]) + rate(scalardl_stats_ledger_total_failure[5m]) > 0) > THRESHOLD",
            severity: "warning",
            summary: "{{ $value | humanizePercentage }} of the requests to the ledger on {{ $labels.instance }} fail",
            description: "For {for}. Its log says why: contracts that refuse, records that others write at the same time, or Cassandra.",
            dashboard: "ledger",
            variables: &["instance"],
            repair: None,
        },
        Alert {
            name: "LedgerLatencyHigh",
            expr: "scalardl_stats_ledger_execute_contract_request{quantile=\"0.99\"} > THRESHOLD",
            severity: "warning",
            summary: "One contract of a hundred on {{ $labels.instance }} takes {{ $value | humanizeDuration }} or more",
            description: "For {for}. Most of it is Cassandra's time.",
            dashboard: "ledger",
            variables: &["instance"],
            repair: None,
        },
        Alert {
            name: "LedgerValidationFailed",
            expr: "increase(scalardl_stats_ledger_validate_ledger_request_failure[10m]) > 0",
            severity: "critical",
            summary: "A validation of the ledger on {{ $labels.instance }} has failed",
            description: "What is stored may not be what was written. Find out which asset, and keep everything as it is until you know why.",
            dashboard: "ledger",
            variables: &["instance"],
            repair: None,
        },
    ],
};
