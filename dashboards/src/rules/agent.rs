//! Agents, their certificates, and everything else that Prometheus scrapes.

use super::{Alert, Group};

pub(super) const GROUP: Group = Group {
    name: "agent",
    recordings: &[],
    alerts: &[
        Alert {
            name: "AgentDown",
            // A host that is gone as a whole is HostDown's, the ledger LedgerDown's, Traefik TraefikDown's.
            expr: "up{job!~\"scalardl|traefik-requests\",program!=\"\"} == 0 unless on (cluster, instance) scalar_dl:host_down",
            severity: "critical",
            summary: "{{ $labels.program }} on {{ $labels.instance }} does not answer",
            description: "Prometheus has not been able to scrape the job {{ $labels.job }} of {{ $labels.instance }}. What it tells is missing; the host answers otherwise.",
            dashboard: "node",
            variables: &["instance"],
            repair: Some("start {{ $labels.program }}"),
        },
        Alert {
            name: "TargetDown",
            // Those of scrape_folder, which we know nothing of.
            expr: "up{program=\"\"} == 0 unless on (cluster, instance) scalar_dl:host_down",
            severity: "warning",
            summary: "{{ $labels.job }} on {{ $labels.instance }} does not answer",
            description: "Prometheus has not been able to scrape a target of your own job {{ $labels.job }} for {for}.",
            dashboard: "monitoring",
            variables: &[],
            repair: None,
        },
        Alert {
            name: "AgentRestarts",
            expr: "changes(process_start_time_seconds{program!=\"\"}[15m]) > THRESHOLD",
            severity: "warning",
            summary: "{{ $labels.program }} on {{ $labels.instance }} starts again and again",
            description: "It has been started {{ $value }} times within 15 minutes.",
            dashboard: "monitoring",
            variables: &["instance"],
            repair: None,
        },
        Alert {
            name: "CollectorFails",
            // As node_exporter does, node-exporter calls it no success when a host has nothing of what a collector is about (NVMe, ZFS, NFS).
            // So one has to have worked within the hour; that it is being told of already keeps it told of for as long as it lasts.
            expr: "(node_scrape_collector_success == 0 and on (cluster, instance, collector) (max_over_time(node_scrape_collector_success[1h]) == 1 or ALERTS{alertname=\"CollectorFails\"})) or cassandra_scrape_collector_success == 0 or traefik_scrape_collector_success == 0",
            severity: "warning",
            summary: "The collector {{ $labels.collector }} of {{ $labels.program }} on {{ $labels.instance }} fails",
            description: "For {for} its metrics have been missing, and with them the alerts that are made of them.",
            dashboard: "monitoring",
            variables: &["instance"],
            repair: None,
        },
        Alert {
            name: "ScrapeSlow",
            expr: "scrape_duration_seconds{job!=\"cassandra\"} > THRESHOLD or scrape_duration_seconds{job=\"cassandra\"} > 2 * THRESHOLD",
            severity: "warning",
            summary: "A scrape of {{ $labels.job }} on {{ $labels.instance }} takes {{ $value | humanizeDuration }}",
            description: "A little longer, and Prometheus gives up and has nothing of it.",
            dashboard: "monitoring",
            variables: &["instance"],
            repair: None,
        },
        Alert {
            name: "CertificateEndsSoon",
            // Made anew by each run when a third of its 180 days is left: half of that has gone by without one.
            expr: "scalar_dl_certificate_not_after_timestamp_seconds - time() < THRESHOLD * 86400",
            severity: "warning",
            summary: "The certificate of {{ $labels.instance }} ends in {{ $value | humanizeDuration }}",
            description: "When it has ended, Prometheus does not get an answer from any agent of {{ $labels.instance }}. The next installation makes a new one.",
            dashboard: "node",
            variables: &["instance"],
            repair: Some("install {{ $labels.instance }}"),
        },
    ],
};
