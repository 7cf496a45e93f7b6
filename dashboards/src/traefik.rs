//! The dashboard of Traefik: what clients get, which servers are up, and what of the configuration does not hold.

use crate::{
    grafana::{Dashboard, Panel, Row, UP, Variable, YES},
    overview::{ERRORS, NO_TRAFFIC, REQUESTS, SLOWEST},
};

pub(crate) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "traefik",
        title: "Traefik",
        description: "Traefik: requests, errors and durations by service and entry point, servers, routers, certificates, configuration.",
        base_metric: "traefik_up",
        variables: &[Variable {
            name: "service",
            title: "Service",
            metric: "traefik_api_service_info",
            label: "service",
        }],
        rows: vec![
            glance(),
            services(),
            entry_points(),
            servers(),
            routers(),
            certificates(),
            configuration(),
            slo(),
            process(),
        ],
    }
}

/// Of the chosen services.
fn of(expr: &str) -> String {
    expr.replace("SERVICE", "service=~\"$service\",SELECT")
}

const COUNT: &str = "traefik_access_log_requests_total";
const BUCKET: &str = "traefik_access_log_request_duration_seconds_bucket";
const PROBE: &str = "hosts where traefik-exporter asks as a client (--collector.probe)";
const PASSED: &str =
    "networks where Traefik's own metrics are scraped or passed through, once there were requests";

fn glance() -> Row {
    Row {
        title: "Glance",
        panels: vec![
            Panel::stat(
                "Traefik answers",
                "none",
                "Traefiks that tell their exporter what they have.",
            )
            .floor(1.0)
            .leads_to("overview")
            .query("sum by (cluster) (traefik_up{SELECT})", "{{cluster}}"),
            Panel::stat(
                "Servers down",
                "none",
                "Servers behind Traefik whose health check fails.",
            )
            .red_from(1.0)
            .leads_to("ledger")
            .query(
                &of("sum by (cluster) (1 - traefik_api_server_up{SERVICE})"),
                "{{cluster}}",
            ),
            Panel::stat(
                "Services without a server",
                "none",
                "Services of routers none of whose servers is up: their clients get 503.",
            )
            .red_from(1.0)
            .leads_to("ledger")
            .query(
                &of("sum by (cluster) (max by (cluster, service) (traefik_api_router_without_server{SERVICE}))"),
                "{{cluster}}",
            ),
            Panel::stat("Requests", "reqps", "Requests of clients a second.")
                .neutral()
                .leads_to("overview")
                .query(REQUESTS, "{{cluster}}"),
            Panel::stat(
                "Errors",
                "percentunit",
                "Part of the requests that ended with 5xx.",
            )
            .thresholds(0.01, 0.05)
            .max(1.0)
            .leads_to("overview")
            .query(ERRORS, "{{cluster}}")
            .rare(NO_TRAFFIC),
            Panel::stat(
                "Slowest 1 %",
                "s",
                "How long the slowest hundredth of the requests takes at least (p99).",
            )
            .thresholds(0.5, 2.0)
            .leads_to("overview")
            .query(SLOWEST, "{{cluster}}"),
        ],
    }
}

fn services() -> Row {
    Row {
        title: "Services",
        panels: vec![
            Panel::lines("Requests", "reqps", "Requests a second, by service and class of the answer.")
                .query(&of(&format!("sum by (cluster, service, code) (rate({COUNT}{{SERVICE}}[$__rate_interval]))")), "{{service}} {{code}}"),
            Panel::lines("Errors", "percentunit", "Part of each service's requests that ended with 5xx.")
                .max(1.0)
                .thresholds(0.01, 0.05)
                .query(&of(&format!("sum by (cluster, service) (rate({COUNT}{{code=\"5xx\",SERVICE}}[$__rate_interval])) / (sum by (cluster, service) (rate({COUNT}{{SERVICE}}[$__rate_interval])) > 0)")), "{{service}}")
                .rare(NO_TRAFFIC),
            Panel::lines("Durations", "s", "How long requests take from a client's first byte to the last one back: half of them, and all but one in a hundred.")
                .query(&of(&format!("histogram_quantile(0.5, sum by (cluster, service, le) (rate({BUCKET}{{SERVICE}}[$__rate_interval])))")), "{{service}} p50")
                .query(&of(&format!("histogram_quantile(0.95, sum by (cluster, service, le) (rate({BUCKET}{{SERVICE}}[$__rate_interval])))")), "{{service}} p95")
                .query(&of(&format!("histogram_quantile(0.99, sum by (cluster, service, le) (rate({BUCKET}{{SERVICE}}[$__rate_interval])))")), "{{service}} p99"),
        ],
    }
}

fn entry_points() -> Row {
    Row {
        title: "Entry points",
        panels: vec![
            Panel::lines("Requests", "reqps", "Requests a second, by entry point and class of the answer.")
                .query(&format!("sum by (cluster, entry_point, code) (rate({COUNT}{{SELECT}}[$__rate_interval]))"), "{{entry_point}} {{code}}"),
            Panel::lines("Slowest 1 %", "s", "How long the slowest hundredth of the requests takes at least (p99), by entry point.")
                .query(&format!("histogram_quantile(0.99, sum by (cluster, entry_point, le) (rate({BUCKET}{{SELECT}}[$__rate_interval])))"), "{{entry_point}}"),
            Panel::lines("Traefik's own part", "s", "How much of a request's time Traefik itself takes, on average.")
                .query("sum by (cluster, entry_point) (rate(traefik_access_log_overhead_seconds_sum{SELECT}[$__rate_interval])) / (sum by (cluster, entry_point) (rate(traefik_access_log_overhead_seconds_count{SELECT}[$__rate_interval])) > 0)", "{{entry_point}}")
                .rare(NO_TRAFFIC),
            Panel::lines("Versions of HTTP", "reqps", "Requests a second by entry point and version of HTTP; gRPC is 2.0.")
                .size(12, 8)
                .query("sum by (cluster, entry_point, http_version) (rate(traefik_access_log_version_requests_total{SELECT}[$__rate_interval]))", "{{entry_point}} {{http_version}}"),
            Panel::lines("Open connections", "none", "Connections that clients hold, by entry point.")
                .size(12, 8)
                .query("max by (cluster, instance, entrypoint, protocol) (traefik_open_connections{SELECT})", "{{instance}} {{entrypoint}} {{protocol}}")
                .without("traefik_open_connections", PASSED),
        ],
    }
}

fn servers() -> Row {
    Row {
        title: "Servers",
        panels: vec![
            Panel::timeline("Servers up", UP, "Which server was up when, by Traefik's health check.")
                .size(24, 8)
                .query(&of("min by (cluster, service, server) (traefik_api_server_up{SERVICE})"), "{{service}} {{server}}"),
            Panel::lines("Up of all", "none", "Servers that are up, and all that there are.")
                .query(&of("min by (cluster, service) (traefik_api_service_servers_up{SERVICE})"), "{{service}} up")
                .query(&of("min by (cluster, service) (traefik_api_service_servers{SERVICE})"), "{{service}} all"),
            Panel::lines("Requests", "reqps", "Requests a second, by server and class of the answer. Uneven: one of them is slow, or was down.")
                .query(&of("sum by (cluster, server, code) (rate(traefik_access_log_server_requests_total{SERVICE}[$__rate_interval]))"), "{{server}} {{code}}"),
            Panel::lines("Slowest 1 %", "s", "How long the slowest hundredth of a server's answers takes at least (p99).")
                .query(&of("histogram_quantile(0.99, sum by (cluster, server, le) (rate(traefik_access_log_server_duration_seconds_bucket{SERVICE}[$__rate_interval])))"), "{{server}}"),
            Panel::timeline("gRPC servers serve", YES, "What each gRPC server says of itself, asked without Traefik between.")
                .size(24, 7)
                .query(&of("min by (cluster, service, server) (traefik_probe_server_serving{SERVICE})"), "{{service}} {{server}}")
                .without("traefik_probe_server_serving", PROBE),
        ],
    }
}

fn routers() -> Row {
    Row {
        title: "Routers",
        panels: vec![
            Panel::table("Routers", "What each router takes and what Traefik makes of it: a router that is disabled answers 404.")
                .leads_to("traefik")
                .column("", "none", "max by (cluster, instance, router, entry_points, rule, service, status, tls) (traefik_api_router_info{provider!=\"internal\",SELECT})")
                .column("Without a server", "bool", "max by (cluster, instance, router) (traefik_api_router_without_server{SELECT})"),
            Panel::table("What is wrong", "Routers, services and middlewares that Traefik does not take, in its own words.")
                .leads_to("traefik")
                .size(24, 6)
                .column("Router", "none", "max by (cluster, instance, router, error) (traefik_api_router_error_info{SELECT})")
                .column("Service", "none", "max by (cluster, instance, service, error) (traefik_api_service_error_info{SELECT})")
                .column("Middleware", "none", "max by (cluster, instance, middleware, error) (traefik_api_middleware_error_info{SELECT})")
                .rare("nothing is wrong with the configuration"),
            Panel::lines("Requests by router", "reqps", "Requests a second; without a router they got 404 from Traefik itself.")
                .query(&format!("sum by (cluster, router) (rate({COUNT}{{SELECT}}[$__rate_interval]))"), "{{router}}"),
            Panel::lines("Errors by router", "reqps", "Requests a second that ended with 4xx and 5xx.")
                .query(&format!("sum by (cluster, router, code) (rate({COUNT}{{code=~\"4xx|5xx\",SELECT}}[$__rate_interval]))"), "{{router}} {{code}}"),
            Panel::timeline("Clients get an answer", YES, "Whether a request through each router was answered, asked as a client asks.")
                .size(8, 8)
                .query("min by (cluster, router, entry_point, host) (traefik_probe_success{SELECT})", "{{router}} {{host}}")
                .without("traefik_probe_success", PROBE),
        ],
    }
}

fn certificates() -> Row {
    Row {
        title: "Certificates",
        panels: vec![
            Panel::table("Certificates", "What Traefik has, and when it ends.")
                .leads_to("traefik")
                .size(24, 7)
                .column("Ends", "dateTimeFromNow", "1000 * max by (cluster, instance, common_name, serial_number) (traefik_api_certificate_not_after_timestamp_seconds{SELECT})")
                .column("Began", "dateTimeFromNow", "1000 * max by (cluster, instance, common_name, serial_number) (traefik_api_certificate_not_before_timestamp_seconds{SELECT})"),
            Panel::lines("Time left", "s", "How long each certificate still holds. Below zero it has ended, and clients refuse it.")
                .size(12, 8)
                .signed()
                .query("min by (cluster, common_name) (traefik_api_certificate_not_after_timestamp_seconds{SELECT} - time())", "{{common_name}}"),
            Panel::lines("Hosts without one", "none", "Hosts that routers name and that Traefik has no certificate for: clients are shown the default one.")
                .size(12, 8)
                .red_from(1.0)
                .query("sum by (cluster, protocol) (traefik_api_tls_hosts{certificate=\"missing\",SELECT})", "{{protocol}}"),
            Panel::lines("Shown to clients", "s", "How long the certificate still holds that clients are shown, whatever Traefik says that it has.")
                .size(12, 8)
                .signed()
                .query("min by (cluster, router, host) (traefik_probe_certificate_not_after_timestamp_seconds{SELECT} - time())", "{{router}} {{host}}")
                .without("traefik_probe_certificate_not_after_timestamp_seconds", PROBE),
            Panel::timeline("Clients trust it", YES, "Whether clients take the certificate that they are shown.")
                .size(12, 8)
                .query("min by (cluster, router, host) (traefik_probe_certificate_valid{SELECT})", "{{router}} {{host}}")
                .without("traefik_probe_certificate_valid", PROBE),
        ],
    }
}

fn configuration() -> Row {
    Row {
        title: "Rejected configuration",
        panels: vec![
            Panel::lines("Errors of providers", "ops", "Configuration that Traefik rejected, by where it came from; it goes on with what it had.")
                .query("sum by (cluster, instance, provider) (rate(traefik_log_provider_errors_total{SELECT}[$__rate_interval]))", "{{instance}} {{provider}}"),
            Panel::lines("Files", "none", "Files with configuration, by whether they can be used.")
                .query("max by (cluster, instance, state) (traefik_file_files{SELECT})", "{{instance}} {{state}}"),
            Panel::lines("By state", "none", "Routers by what Traefik makes of them.")
                .query("sum by (cluster, instance, status) (traefik_api_routers{SELECT})", "{{instance}} {{status}}"),
            Panel::table("Not loaded", "What stands in files and Traefik does not have. For longer than some seconds: a file was rejected.")
                .leads_to("traefik")
                .size(12, 7)
                .column("Missing", "none", "max by (cluster, instance, kind, object) (traefik_file_object_not_loaded{SELECT})")
                .rare("Traefik has all that stands in files"),
            Panel::table("Last error", "The last error of each provider, though it may be mended.")
                .leads_to("traefik")
                .size(12, 7)
                .column("When", "dateTimeFromNow", "1000 * max by (cluster, instance, provider) (traefik_log_last_provider_error_timestamp_seconds{SELECT})")
                .column("Error", "none", "max by (cluster, instance, provider, error) (traefik_log_last_provider_error_info{SELECT})")
                .rare("no file was rejected"),
            Panel::lines("Configuration", "none", "Traefiks with the same configuration show the same numbers.")
                .size(12, 7)
                .query("max by (cluster, instance, kind, protocol) (traefik_api_configuration_hash{SELECT})", "{{instance}} {{protocol}} {{kind}}"),
            Panel::lines("Log", "ops", "Lines of Traefik's log a second, by level.")
                .size(12, 7)
                .query("sum by (cluster, instance, level) (rate(traefik_log_messages_total{SELECT}[$__rate_interval]))", "{{instance}} {{level}}"),
        ],
    }
}

fn slo() -> Row {
    Row {
        title: "Promises kept",
        panels: vec![
            Panel::stat("Answered", "percentunit", "Part of the requests over the chosen time range that did not end with 5xx. 99.9 % lets 43 minutes a month be bad.")
                .size(6, 7)
                .floor(0.999)
                .max(1.0)
                .leads_to("overview")
                .query(&of(&format!("1 - sum by (cluster) (increase({COUNT}{{code=\"5xx\",SERVICE}}[$__range])) / (sum by (cluster) (increase({COUNT}{{SERVICE}}[$__range])) > 0)")), "{{cluster}}")
                .rare(NO_TRAFFIC),
            Panel::stat("In half a second", "percentunit", "Part of the requests over the chosen time range that were answered within half a second.")
                .size(6, 7)
                .floor(0.99)
                .max(1.0)
                .leads_to("overview")
                .query(&of(&format!("sum by (cluster) (increase({BUCKET}{{le=\"0.5\",SERVICE}}[$__range])) / (sum by (cluster) (increase(traefik_access_log_request_duration_seconds_count{{SERVICE}}[$__range])) > 0)")), "{{cluster}}")
                .rare(NO_TRAFFIC),
            Panel::lines("Allowance spent", "none", "How many times faster than 99.9 % allows requests fail. Above 14 for an hour a month's allowance is gone in two days.")
                .size(12, 7)
                .thresholds(1.0, 14.0)
                .query(&of(&format!("sum by (cluster) (rate({COUNT}{{code=\"5xx\",SERVICE}}[$__rate_interval])) / (sum by (cluster) (rate({COUNT}{{SERVICE}}[$__rate_interval])) > 0) / 0.001")), "{{cluster}}")
                .rare(NO_TRAFFIC),
        ],
    }
}

fn process() -> Row {
    Row {
        title: "Process and exporter",
        panels: vec![
            Panel::lines("Uptime", "s", "Time since Traefik was started. A fall that nobody planned is a crash.")
                .query("time() - traefik_api_start_time_seconds{SELECT}", "{{instance}}"),
            Panel::lines("Memory", "bytes", "Memory of Traefik, where it is scraped itself, and of its exporter.")
                .query("process_resident_memory_bytes{SELECT}", "{{instance}} {{job}}"),
            Panel::lines("CPU", "percentunit", "Processor time of Traefik, where it is scraped itself, and of its exporter.")
                .query("rate(process_cpu_seconds_total{SELECT}[$__rate_interval])", "{{instance}} {{job}}"),
            Panel::timeline("Exporter", YES, "Whether the exporter got everything it asked for, and can read both logs.")
                .query("min by (cluster, instance) (traefik_scrape_complete{SELECT})", "{{instance}} whole answers")
                .query("min by (cluster, instance) (traefik_log_readable{SELECT})", "{{instance}} log")
                .query("min by (cluster, instance) (traefik_access_log_readable{SELECT})", "{{instance}} access log"),
            Panel::lines("Duration of scrapes", "s", "How long the exporter's collectors take.")
                .size(12, 8)
                .query("max by (cluster, instance, collector) (traefik_scrape_collector_duration_seconds{SELECT})", "{{instance}} {{collector}}"),
        ],
    }
}
