//! The dashboard of Scalar DL: what the ledgers execute, what fails, how long it takes, and what it rests on.

use crate::grafana::{Dashboard, Panel, Row, UP, YES};

pub(crate) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "ledger",
        title: "Scalar DL",
        description: "The ledgers: requests executed and failed, durations, health as clients see it, what they rest on, the JVM.",
        base_metric: "scalardl_stats_ledger_total_success",
        variables: &[],
        rows: vec![
            glance(),
            requests(),
            durations(),
            health(),
            rests_on(),
            jvm(),
        ],
    }
}

/// A count of each kind of request, which the ledger has in the metric's name: as a label. What kinds there are is the release's matter.
fn by_kind(ending: &str, modifier: &str) -> String {
    format!(
        "sum by (cluster, instance, kind) (rate(label_replace({{__name__=~\"scalardl_stats_ledger_.+_request_{ending}\",SELECT}}, \"kind\", \"$1\", \"__name__\", \"scalardl_stats_ledger_(.+)_request_{ending}\")[$__rate_interval:])){modifier}"
    )
}

const JVM: &str = "ledgers whose release tells of its JVM";

fn glance() -> Row {
    Row {
        title: "Glance",
        panels: vec![
            Panel::stat("Ledgers up", "none", "Ledgers that answer. None: no client is served.")
                .floor(1.0)
                .leads_to("overview")
                .query("sum by (cluster) (up{job=\"scalardl\",SELECT})", "{{cluster}}"),
            Panel::stat("Ledgers down", "none", "Ledgers that should be there and do not answer.")
                .red_from(1.0)
                .leads_to("overview")
                .query("sum by (cluster) (1 - up{job=\"scalardl\",SELECT})", "{{cluster}}"),
            Panel::stat("Executed", "ops", "Requests a second that the ledgers executed.")
                .neutral()
                .leads_to("traefik")
                .query("sum by (cluster) (rate(scalardl_stats_ledger_total_success{SELECT}[$__rate_interval]))", "{{cluster}}"),
            Panel::stat("Failed", "ops", "Requests a second that failed in a ledger. Contracts that refuse are among them.")
                .thresholds(0.1, 10.0)
                .leads_to("cassandra")
                .query("sum by (cluster) (rate(scalardl_stats_ledger_total_failure{SELECT}[$__rate_interval]))", "{{cluster}}"),
            Panel::stat("Failed of all", "percentunit", "Part of the requests that failed.")
                .thresholds(0.01, 0.1)
                .max(1.0)
                .leads_to("cassandra")
                .query("sum by (cluster) (rate(scalardl_stats_ledger_total_failure{SELECT}[$__rate_interval])) / (sum by (cluster) (rate(scalardl_stats_ledger_total_failure{SELECT}[$__rate_interval]) + rate(scalardl_stats_ledger_total_success{SELECT}[$__rate_interval])) > 0)", "{{cluster}}")
                .rare("nobody asks the ledgers"),
            Panel::stat("Slowest 1 %", "s", "p99 of executed requests, of the worst ledger and kind.")
                .thresholds(0.5, 2.0)
                .leads_to("cassandra")
                .query("max by (cluster) ({__name__=~\"scalardl_stats_ledger_.+_request\",quantile=\"0.99\",SELECT})", "{{cluster}}"),
        ],
    }
}

fn requests() -> Row {
    Row {
        title: "Requests",
        panels: vec![
            Panel::lines("Executed and failed", "ops", "Requests a second, by ledger. One far below the others: Traefik does not send it any, or it hangs.")
                .query("rate(scalardl_stats_ledger_total_success{SELECT}[$__rate_interval])", "{{instance}} executed")
                .query("rate(scalardl_stats_ledger_total_failure{SELECT}[$__rate_interval])", "{{instance}} failed"),
            Panel::lines("By kind", "ops", "Requests a second, by what was asked for.")
                .query(&by_kind("count", ""), "{{instance}} {{kind}}"),
            Panel::lines("Failures by kind", "ops", "Requests a second that failed, by what was asked for.")
                .query(&by_kind("failure", ""), "{{instance}} {{kind}}"),
        ],
    }
}

fn durations() -> Row {
    Row {
        title: "Durations",
        panels: vec![
            Panel::lines("p99 by kind", "s", "How long the slowest hundredth of each kind of request takes at least, by the ledger's own clock.")
                .size(12, 8)
                .query("max by (cluster, instance, kind) (label_replace({__name__=~\"scalardl_stats_ledger_.+_request\",quantile=\"0.99\",SELECT}, \"kind\", \"$1\", \"__name__\", \"scalardl_stats_ledger_(.+)_request\"))", "{{instance}} {{kind}}"),
            Panel::lines("As clients see it", "s", "p99 of requests through Traefik, its own part included. The chosen job and instance do not matter here.")
                .size(12, 8)
                .query("histogram_quantile(0.99, sum by (cluster, service, le) (rate(traefik_access_log_request_duration_seconds_bucket{cluster=~\"$cluster\",job!=\"scalardl\"}[$__rate_interval])))", "{{service}}"),
        ],
    }
}

fn health() -> Row {
    Row {
        title: "Health",
        panels: vec![
            Panel::timeline("Answers Prometheus", UP, "Whether each ledger's own metrics can be had.")
                .query("min by (cluster, instance) (up{job=\"scalardl\",SELECT})", "{{instance}}"),
            Panel::timeline("Up behind Traefik", UP, "Whether each server was up by Traefik's health check. All of Traefik's servers are here, whatever is chosen.")
                .query("min by (cluster, service, server) (traefik_api_server_up{cluster=~\"$cluster\"})", "{{service}} {{server}}"),
            Panel::timeline("Says SERVING", YES, "What each ledger says of its health by gRPC. It says no for 30 s before it ends.")
                .query("min by (cluster, service, server) (traefik_probe_server_serving{cluster=~\"$cluster\"})", "{{service}} {{server}}")
                .without("traefik_probe_server_serving", "hosts where traefik-exporter asks servers of gRPC (--collector.probe)"),
            Panel::lines("Started again", "none", "How often systemd has started the ledger's service again. Growth: it ends by itself.")
                .size(12, 8)
                .query("max by (cluster, instance) (node_systemd_service_restart_total{name=\"scalardl.service\",cluster=~\"$cluster\",instance=~\"$instance\"})", "{{instance}}")
                .without("node_systemd_service_restart_total", "hosts where node-exporter asks systemd, and that have a ledger"),
        ],
    }
}

fn rests_on() -> Row {
    let any = "cluster=~\"$cluster\"";
    Row {
        title: "What it rests on",
        panels: vec![
            Panel::lines("Cassandra, conditional writes", "s", "p99 of lightweight transactions of the worst node: ledgers wait for these.")
                .query(&format!("max by (cluster, operation) (cassandra_client_request_latency_seconds{{quantile=\"0.99\",operation=~\"cas_read|cas_write|read|write\",{any}}})"), "{{operation}}"),
            Panel::lines("Cassandra, refused", "ops", "Requests a second for which Cassandra had no replicas, or not in time.")
                .query(&format!("sum by (cluster) (rate(cassandra_client_request_timeouts_total{{{any}}}[$__rate_interval]))"), "{{cluster}} timeouts")
                .query(&format!("sum by (cluster) (rate(cassandra_client_request_unavailables_total{{{any}}}[$__rate_interval]))"), "{{cluster}} unavailable"),
            Panel::lines("Processors of its hosts", "percentunit", "Part of the processors' time that is not idle, of the ledgers' hosts.")
                .max(1.0)
                .query(&format!("1 - avg by (cluster, instance) (rate(node_cpu_seconds_total{{mode=\"idle\",{any},instance=~\"$instance\"}}[$__rate_interval]))"), "{{instance}}"),
        ],
    }
}

fn jvm() -> Row {
    // The library that tells of the JVM has called these by two names.
    let heap = |what| {
        format!(
            "{{__name__=~\"jvm_memory_bytes_{what}|jvm_memory_{what}_bytes\",area=\"heap\",SELECT}}"
        )
    };
    Row {
        title: "Process and JVM",
        panels: vec![
            Panel::lines(
                "Heap",
                "bytes",
                "What the heap holds, and how large it may become.",
            )
            .query(&heap("used"), "{{instance}} used")
            .query(&heap("max"), "{{instance}} limit")
            .without("jvm_memory_bytes_used", JVM),
            Panel::lines(
                "Garbage collection",
                "percentunit",
                "Part of the time that collections took.",
            )
            .max(1.0)
            .query(
                "rate(jvm_gc_collection_seconds_sum{SELECT}[$__rate_interval])",
                "{{instance}} {{gc}}",
            )
            .without("jvm_gc_collection_seconds_sum", JVM),
            Panel::lines(
                "Threads",
                "none",
                "Threads of the JVM. Growth without end: calls hang.",
            )
            .query("jvm_threads_current{SELECT}", "{{instance}}")
            .without("jvm_threads_current", JVM),
            Panel::lines("Uptime", "s", "Time since each ledger was started.").query(
                "time() - process_start_time_seconds{job=\"scalardl\",SELECT}",
                "{{instance}}",
            ),
            Panel::lines("CPU", "none", "Processors that each ledger used.").query(
                "rate(process_cpu_seconds_total{job=\"scalardl\",SELECT}[$__rate_interval])",
                "{{instance}}",
            ),
            Panel::lines(
                "Scrapes",
                "s",
                "How long Prometheus waits for a ledger's metrics.",
            )
            .query(
                "scrape_duration_seconds{job=\"scalardl\",SELECT}",
                "{{instance}}",
            ),
        ],
    }
}
