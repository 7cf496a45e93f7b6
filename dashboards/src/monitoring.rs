//! The dashboard of the monitoring itself: whether what watches is awake.

use crate::grafana::{Dashboard, Panel, Row, UP, YES};

pub(crate) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "monitoring",
        title: "Monitoring",
        description: "Prometheus and the agents: whether all are asked, all answer, all is kept, and every rule is evaluated.",
        base_metric: "up",
        variables: &[],
        rows: vec![
            glance(),
            agents(),
            scrapes(),
            storage(),
            rules(),
            questions(),
            remote(),
            processes(),
        ],
    }
}

fn glance() -> Row {
    Row {
        title: "Glance",
        panels: vec![
            Panel::stat("Targets up", "none", "Agents that answer Prometheus.")
                .floor(1.0)
                .leads_to("overview")
                .query("sum by (cluster) (up{SELECT})", "{{cluster}}"),
            Panel::stat("Targets down", "none", "Agents that do not answer.")
                .red_from(1.0)
                .leads_to("overview")
                .query("sum by (cluster) (1 - up{SELECT})", "{{cluster}}"),
            Panel::stat("Failed rules", "none", "Evaluations that failed over the chosen time range. More than none: an alert cannot fire.")
                .red_from(1.0)
                .leads_to("alerts")
                .query("round(sum by (cluster) (increase(prometheus_rule_evaluation_failures_total{SELECT}[$__range])))", "{{cluster}}"),
            Panel::stat("Configuration", "none", "Whether Prometheus took its last configuration. If not, it goes on with the one before.")
                .floor(1.0)
                .words(YES)
                .leads_to("alerts")
                .query("min by (cluster) (prometheus_config_last_reload_successful{SELECT})", "{{cluster}}"),
            Panel::stat("Series", "short", "Series that Prometheus has in memory. Millions need gigabytes.")
                .thresholds(1e6, 5e6)
                .leads_to("node")
                .query("max by (cluster) (prometheus_tsdb_head_series{SELECT})", "{{cluster}}"),
            Panel::stat("Slowest scrape", "s", "The agent that takes longest to answer. At the timeout it counts as down.")
                .thresholds(5.0, 9.0)
                .leads_to("node")
                .query("topk by (cluster) (1, scrape_duration_seconds{SELECT})", "{{instance}} {{job}}"),
        ],
    }
}

fn agents() -> Row {
    Row {
        title: "Agents",
        panels: vec![
            Panel::table("Agents", "Each agent: whether it answers, how long that takes, how much it says, and what it costs.")
                .leads_to("node")
                .size(24, 10)
                .column("Up", "bool_yes_no", "min by (cluster, instance, program) (up{SELECT})")
                .column("Answer", "s", "max by (cluster, instance, program) (scrape_duration_seconds{SELECT})")
                .column("Samples", "none", "max by (cluster, instance, program) (scrape_samples_scraped{SELECT})")
                .column("Memory", "bytes", "max by (cluster, instance, program) (process_resident_memory_bytes{SELECT})")
                .column("CPU", "percentunit", "max by (cluster, instance, program) (rate(process_cpu_seconds_total{SELECT}[$__rate_interval]))")
                .column("Uptime", "s", "time() - max by (cluster, instance, program) (process_start_time_seconds{SELECT})"),
            Panel::timeline("Answers", UP, "Which agent answered when.")
                .size(24, 8)
                .query("min by (cluster, instance, job) (up{SELECT})", "{{instance}} {{job}}"),
        ],
    }
}

fn scrapes() -> Row {
    Row {
        title: "Scrapes",
        panels: vec![
            Panel::lines("Duration", "s", "How long Prometheus waits for each answer.")
                .query("scrape_duration_seconds{SELECT}", "{{instance}} {{job}}"),
            Panel::lines("Samples", "none", "How much each agent says.")
                .query("scrape_samples_scraped{SELECT}", "{{instance}} {{job}}"),
            Panel::lines("New series", "none", "Series that were not there at the scrape before. Many for long: a label takes ever new values.")
                .query("scrape_series_added{SELECT}", "{{instance}} {{job}}"),
            Panel::lines("Refused samples", "ops", "Samples that Prometheus did not take: too old, twice with other values, out of bounds, or over a limit.")
                .size(12, 8)
                .query("rate(prometheus_target_scrapes_sample_out_of_order_total{SELECT}[$__rate_interval])", "{{instance}} out of order")
                .query("rate(prometheus_target_scrapes_sample_duplicate_timestamp_total{SELECT}[$__rate_interval])", "{{instance}} twice")
                .query("rate(prometheus_target_scrapes_sample_out_of_bounds_total{SELECT}[$__rate_interval])", "{{instance}} out of bounds")
                .query("rate(prometheus_target_scrapes_exceeded_sample_limit_total{SELECT}[$__rate_interval])", "{{instance}} limit"),
            Panel::lines("Left out by agents", "ops", "Metrics that agents left out of their answers, as they contradict others.")
                .size(12, 8)
                .query("sum by (cluster, instance, job) (rate(promhttp_metric_handler_errors_total{SELECT}[$__rate_interval]))", "{{instance}} {{job}}"),
        ],
    }
}

fn storage() -> Row {
    Row {
        title: "Storage",
        panels: vec![
            Panel::lines("Series", "short", "Series in memory. Steady growth: a label takes ever new values.")
                .query("prometheus_tsdb_head_series{SELECT}", "{{instance}}"),
            Panel::lines("Samples", "cps", "Samples that are kept a second.")
                .query("sum by (cluster, instance) (rate(prometheus_tsdb_head_samples_appended_total{SELECT}[$__rate_interval]))", "{{instance}}"),
            Panel::lines("On disk", "bytes", "Size of the blocks, and the limit where one is set: the oldest go then.")
                .query("prometheus_tsdb_storage_blocks_bytes{SELECT}", "{{instance}} used")
                .query("prometheus_tsdb_retention_limit_bytes{SELECT}", "{{instance}} limit"),
            Panel::lines("Errors", "none", "Blocks, reloads, compactions and logs that failed since Prometheus was started. More than none: look at its disk.")
                .size(12, 8)
                .query("prometheus_tsdb_compactions_failed_total{SELECT}", "{{instance}} compactions")
                .query("prometheus_tsdb_reloads_failures_total{SELECT}", "{{instance}} reloads")
                .query("prometheus_tsdb_wal_corruptions_total{SELECT}", "{{instance}} log torn")
                .query("prometheus_tsdb_wal_writes_failed_total{SELECT}", "{{instance}} log"),
            Panel::lines("Oldest sample", "s", "How far back the data goes.")
                .size(12, 8)
                .query("time() - prometheus_tsdb_lowest_timestamp_seconds{SELECT}", "{{instance}}"),
        ],
    }
}

fn rules() -> Row {
    Row {
        title: "Rules and alerts",
        panels: vec![
            Panel::lines("Duration of groups", "s", "How long each group of rules takes. Its interval is the limit.")
                .query("max by (cluster, instance, rule_group) (prometheus_rule_group_last_duration_seconds{SELECT})", "{{rule_group}}"),
            Panel::lines("Missed and failed", "ops", "Evaluations that were left out as the one before took too long, and those that failed.")
                .query("sum by (cluster, instance) (rate(prometheus_rule_group_iterations_missed_total{SELECT}[$__rate_interval]))", "{{instance}} missed")
                .query("sum by (cluster, instance) (rate(prometheus_rule_evaluation_failures_total{SELECT}[$__rate_interval]))", "{{instance}} failed"),
            Panel::lines("Age of the last evaluation", "s", "How long ago the group was evaluated that is farthest behind.")
                .query("time() - min by (cluster, instance) (prometheus_rule_group_last_evaluation_timestamp_seconds{SELECT})", "{{instance}}"),
            Panel::lines("Sent to alert-router", "ops", "Alerts a second, those that could not be handed over, and those that were thrown away.")
                .query("sum by (cluster, instance) (rate(prometheus_notifications_sent_total{SELECT}[$__rate_interval]))", "{{instance}} sent")
                .query("sum by (cluster, instance) (rate(prometheus_notifications_errors_total{SELECT}[$__rate_interval]))", "{{instance}} failed")
                .query("sum by (cluster, instance) (rate(prometheus_notifications_dropped_total{SELECT}[$__rate_interval]))", "{{instance}} thrown away"),
            Panel::lines("Queue to alert-router", "none", "Alerts that wait to be sent.")
                .query("prometheus_notifications_queue_length{SELECT}", "{{instance}}"),
            Panel::lines("alert-routers", "none", "alert-routers that Prometheus sends to. None: nobody is told anything.")
                .query("prometheus_notifications_alertmanagers_discovered{SELECT}", "{{instance}}"),
        ],
    }
}

fn questions() -> Row {
    Row {
        title: "Questions",
        panels: vec![
            Panel::lines("Requests", "reqps", "Requests to Prometheus a second, by status.")
                .query("sum by (cluster, instance, code) (rate(prometheus_http_requests_total{SELECT}[$__rate_interval]))", "{{instance}} {{code}}"),
            Panel::lines("Duration", "s", "p99 of the time that requests take.")
                .query("histogram_quantile(0.99, sum by (cluster, instance, le) (rate(prometheus_http_request_duration_seconds_bucket{SELECT}[$__rate_interval])))", "{{instance}}"),
            Panel::lines("Under way", "none", "Queries that are worked on, and how many may be.")
                .query("prometheus_engine_queries{SELECT}", "{{instance}} under way")
                .query("prometheus_engine_queries_concurrent_max{SELECT}", "{{instance}} limit"),
        ],
    }
}

fn remote() -> Row {
    const WHO: &str = "a Prometheus with remote_write";
    Row {
        title: "Other Prometheus",
        panels: vec![
            Panel::lines("Behind", "s", "How far what other systems were sent is behind what is kept here.")
                .query("prometheus_remote_storage_highest_timestamp_in_seconds{SELECT} - ignoring (remote_name, url) group_right () prometheus_remote_storage_queue_highest_sent_timestamp_seconds{SELECT}", "{{instance}} {{remote_name}}")
                .without("prometheus_remote_storage_queue_highest_sent_timestamp_seconds", WHO),
            Panel::lines("Waiting", "none", "Samples that wait to be sent.")
                .query("prometheus_remote_storage_samples_pending{SELECT}", "{{instance}} {{remote_name}}")
                .without("prometheus_remote_storage_samples_pending", WHO),
            Panel::lines("Failed", "ops", "Samples a second that could not be sent and are lost.")
                .query("rate(prometheus_remote_storage_samples_failed_total{SELECT}[$__rate_interval])", "{{instance}} {{remote_name}}")
                .without("prometheus_remote_storage_samples_failed_total", WHO),
        ],
    }
}

fn processes() -> Row {
    Row {
        title: "Processes",
        panels: vec![
            Panel::lines("Memory", "bytes", "Memory of each agent and of Prometheus.").query(
                "process_resident_memory_bytes{SELECT}",
                "{{instance}} {{job}}",
            ),
            Panel::lines(
                "CPU",
                "percentunit",
                "Processor time of each agent and of Prometheus.",
            )
            .query(
                "rate(process_cpu_seconds_total{SELECT}[$__rate_interval])",
                "{{instance}} {{job}}",
            ),
            Panel::lines(
                "Files",
                "percentunit",
                "Part of the files that each may have open.",
            )
            .max(1.0)
            .query(
                "process_open_fds{SELECT} / process_max_fds{SELECT}",
                "{{instance}} {{job}}",
            ),
            Panel::lines("Uptime", "s", "Time since each was started.")
                .size(12, 8)
                .query(
                    "time() - process_start_time_seconds{SELECT}",
                    "{{instance}} {{job}}",
                ),
            Panel::stat(
                "Versions",
                "none",
                "Agents by version. Two of one kind for long: somebody was forgotten.",
            )
            .size(12, 8)
            .neutral()
            .query(
                "count by (cluster, version) (node_exporter_build_info{SELECT})",
                "node-exporter {{version}}",
            )
            .query(
                "count by (cluster, version) (cassandra_exporter_build_info{SELECT})",
                "cassandra-exporter {{version}}",
            )
            .query(
                "count by (cluster, version) (traefik_exporter_build_info{SELECT})",
                "traefik-exporter {{version}}",
            )
            .query(
                "count by (cluster, version) (alertmanager_build_info{SELECT})",
                "alert-router {{version}}",
            )
            .query(
                "count by (cluster, version) (prometheus_build_info{SELECT})",
                "Prometheus {{version}}",
            ),
        ],
    }
}
