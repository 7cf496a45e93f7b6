//! The dashboard of the whole network: is anything broken, where, and since when. From here people go on to the others.

use crate::{
    alerts,
    grafana::{Dashboard, Draw, Panel, Row, UP},
};

pub(crate) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "overview",
        title: "Network overview",
        description: "The whole network: what is broken, where, and since when; traffic, Cassandra, hosts, agents.",
        base_metric: "up",
        variables: &[],
        rows: vec![
            glance(),
            alerts_now(),
            traffic(),
            cassandra(),
            hosts(),
            agents(),
        ],
    }
}

/// Requests of clients by Traefik's access log, its own pages left out.
pub(crate) const REQUESTS: &str =
    "sum by (cluster) (rate(traefik_access_log_requests_total{SELECT}[$__rate_interval]))";
pub(crate) const ERRORS: &str = "sum by (cluster) (rate(traefik_access_log_requests_total{code=\"5xx\",SELECT}[$__rate_interval])) / (sum by (cluster) (rate(traefik_access_log_requests_total{SELECT}[$__rate_interval])) > 0)";
pub(crate) const SLOWEST: &str = "histogram_quantile(0.99, sum by (cluster, le) (rate(traefik_access_log_request_duration_seconds_bucket{SELECT}[$__rate_interval])))";
pub(crate) const NO_TRAFFIC: &str = "nobody sends requests";

fn glance() -> Row {
    Row {
        title: "Glance",
        panels: vec![
            Panel::stat("Hosts up", "none", "Hosts with at least one agent that answers.")
                .floor(1.0)
                .leads_to("nodes")
                .query("sum by (cluster) (max by (cluster, instance) (up{SELECT}))", "{{cluster}}"),
            Panel::stat("Hosts down", "none", "Hosts of which no agent answers, and those that the network's hosts file names and that send nothing at all.")
                .red_from(1.0)
                .leads_to("nodes")
                .query("sum by (cluster) (1 - (max by (cluster, instance) (up{SELECT}) or 0 * max by (cluster, instance) (scalar_dl:expected_host{cluster=~\"$cluster\",instance=~\"$instance\"})))", "{{cluster}}"),
            Panel::stat("Critical alerts", "none", "Alerts that fire and that somebody must see to now. Which they are is in the row below.")
                .red_from(1.0)
                .leads_to("alerts")
                .query(&alerts::firing_of("critical"), "{{cluster}}"),
            Panel::stat("Warnings", "none", "Alerts that fire and that can wait until the morning.")
                .orange_from(1.0)
                .leads_to("alerts")
                .query(&alerts::firing_of("warning"), "{{cluster}}"),
            Panel::stat("Agents down", "none", "Programs that Prometheus asks and that do not answer: exporters, alert-router, ledgers, Prometheus itself.")
                .red_from(1.0)
                .leads_to("monitoring")
                .query("sum by (cluster) (1 - up{SELECT})", "{{cluster}}"),
            Panel::stat("Ledgers up", "none", "Scalar DL servers that answer. None: no client is served.")
                .floor(1.0)
                .leads_to("ledger")
                .query("sum by (cluster) (up{job=\"scalardl\",SELECT})", "{{cluster}}"),
            Panel::stat("Cassandra up", "none", "Members of the ring that are up and normal (UN), and all members, as the node sees it that sees most.")
                .floor(1.0)
                .leads_to("cassandra")
                .query("max by (cluster) (cassandra_endpoints{state=\"UN\",SELECT})", "up and normal")
                .query("max by (cluster) (sum by (cluster, instance) (cassandra_endpoints{SELECT}))", "members"),
            Panel::stat("Cassandra not normal", "none", "Members of the ring that some node sees as down, joining, leaving or moving.")
                .thresholds(1.0, 2.0)
                .leads_to("cassandra")
                .query("max by (cluster) (sum by (cluster, instance) (cassandra_endpoints{state!=\"UN\",SELECT}))", "{{cluster}}"),
            Panel::stat("Requests", "reqps", "Requests of clients a second, through Traefik. A sudden end is an outage that nothing here may see.")
                .neutral()
                .leads_to("traefik")
                .query(REQUESTS, "{{cluster}}"),
            Panel::stat("Errors", "percentunit", "Part of the requests that ended with 5xx: the network's fault, not the client's.")
                .thresholds(0.01, 0.05)
                .max(1.0)
                .leads_to("traefik")
                .query(ERRORS, "{{cluster}}")
                .rare(NO_TRAFFIC),
            Panel::stat("Slowest 1 %", "s", "How long the slowest hundredth of the requests takes at least (p99).")
                .thresholds(0.5, 2.0)
                .leads_to("traefik")
                .query(SLOWEST, "{{cluster}}"),
            Panel::stat("Fullest file system", "percentunit", "Part of its space that is used, of the fullest file system of all hosts. Cassandra needs room to compact.")
                .draw(Draw::Gauge)
                .thresholds(0.85, 0.95)
                .max(1.0)
                .leads_to("nodes")
                .query("max by (cluster) (1 - node_filesystem_avail_bytes{fstype!~\"tmpfs|ramfs|squashfs|overlay\",SELECT} / (node_filesystem_size_bytes{fstype!~\"tmpfs|ramfs|squashfs|overlay\",SELECT} > 0))", "{{cluster}}"),
        ],
    }
}

fn alerts_now() -> Row {
    Row {
        title: "Alerts now",
        panels: vec![alerts::table().size(14, 9), alerts::timeline().size(10, 9)],
    }
}

fn traffic() -> Row {
    Row {
        title: "Traffic",
        panels: vec![
            Panel::lines("Requests by service", "reqps", "Requests of clients a second, by the service that answered; without one they got 404 from Traefik.")
                .query("sum by (cluster, service) (rate(traefik_access_log_requests_total{SELECT}[$__rate_interval]))", "{{service}}"),
            Panel::lines("Errors by service", "percentunit", "Part of each service's requests that ended with 5xx.")
                .max(1.0)
                .thresholds(0.01, 0.05)
                .query("sum by (cluster, service) (rate(traefik_access_log_requests_total{code=\"5xx\",SELECT}[$__rate_interval])) / (sum by (cluster, service) (rate(traefik_access_log_requests_total{SELECT}[$__rate_interval])) > 0)", "{{service}}")
                .rare(NO_TRAFFIC),
            Panel::lines("Durations", "s", "How long requests take: half of them, all but five, and all but one in a hundred.")
                .query("histogram_quantile(0.5, sum by (cluster, le) (rate(traefik_access_log_request_duration_seconds_bucket{SELECT}[$__rate_interval])))", "{{cluster}} p50")
                .query("histogram_quantile(0.95, sum by (cluster, le) (rate(traefik_access_log_request_duration_seconds_bucket{SELECT}[$__rate_interval])))", "{{cluster}} p95")
                .query(SLOWEST, "{{cluster}} p99"),
            Panel::lines("Ledger", "ops", "What the ledgers executed, and what failed there.")
                .size(12, 7)
                .query("sum by (cluster) (rate(scalardl_stats_ledger_total_success{SELECT}[$__rate_interval]))", "{{cluster}} executed")
                .query("sum by (cluster) (rate(scalardl_stats_ledger_total_failure{SELECT}[$__rate_interval]))", "{{cluster}} failed"),
            Panel::lines("Services without a server", "none", "1 for a service of a router none of whose servers is up: its clients get 503.")
                .size(12, 7)
                .max(1.0)
                .red_from(1.0)
                .query("max by (cluster, service) (traefik_api_router_without_server{SELECT})", "{{service}}"),
        ],
    }
}

fn cassandra() -> Row {
    Row {
        title: "Cassandra",
        panels: vec![
            Panel::lines("Requests", "ops", "Requests a second that nodes took from clients, by operation.")
                .query("sum by (cluster, operation) (rate(cassandra_client_request_latency_seconds_count{SELECT}[$__rate_interval]))", "{{operation}}"),
            Panel::lines("Slowest 1 %", "s", "How long the slowest hundredth of reads and writes takes at least (p99), of the worst node.")
                .query("max by (cluster, operation) (cassandra_client_request_latency_seconds{quantile=\"0.99\",operation=~\"read|write\",SELECT})", "{{operation}}"),
            Panel::lines("Refused and lost", "ops", "Requests that timed out, that too few replicas were up for, and messages that were dropped. More than none for long: clients notice.")
                .query("sum by (cluster) (rate(cassandra_client_request_timeouts_total{SELECT}[$__rate_interval]))", "{{cluster}} timeouts")
                .query("sum by (cluster) (rate(cassandra_client_request_unavailables_total{SELECT}[$__rate_interval]))", "{{cluster}} unavailable")
                .query("sum by (cluster) (rate(cassandra_dropped_messages_total{SELECT}[$__rate_interval]))", "{{cluster}} dropped"),
            Panel::lines("Data on disk", "bytes", "Data of each node. Nodes of a ring should have about as much as each other.")
                .size(12, 7)
                .query("cassandra_storage_load_bytes{SELECT}", "{{instance}}"),
            Panel::lines("Compactions that wait", "none", "Growth over hours: the node does not keep up with its writes, and reads become slow.")
                .size(12, 7)
                .query("cassandra_compaction_pending_tasks{SELECT}", "{{instance}}"),
        ],
    }
}

fn hosts() -> Row {
    Row {
        title: "Hosts",
        panels: vec![crate::nodes::table()],
    }
}

fn agents() -> Row {
    Row {
        title: "Agents",
        panels: vec![
            Panel::timeline("Answers", UP, "Which program answered when. One that goes to and fro is restarted again and again, or its network is bad.")
                .size(24, 9)
                .query("min by (cluster, instance, job) (up{SELECT})", "{{instance}} {{job}}"),
            Panel::lines("Duration of scrapes", "s", "How long Prometheus waits for each answer.")
                .size(12, 7)
                .query("scrape_duration_seconds{SELECT}", "{{instance}} {{job}}"),
            Panel::lines("Whole answers", "none", "1 when an agent got all it wanted of what it watches, 0 when it did not.")
                .size(12, 7)
                .max(1.0)
                .query("cassandra_scrape_complete{SELECT}", "{{instance}} cassandra")
                .query("traefik_scrape_complete{SELECT}", "{{instance}} traefik"),
        ],
    }
}
