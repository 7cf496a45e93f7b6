//! The dashboard of alerts and of alert-router, which tells people of them: what fires, since when, and who was told.

use crate::grafana::{Dashboard, Draw, Panel, Row, YES};

/// Alerts of the chosen instances; those of a whole cluster have none.
const CHOSEN: &str = "cluster=~\"$cluster\",instance=~\"$instance|\",job=~\"$job|\"";
/// alert-router's own metrics, whatever instances are chosen: it stands on the monitor.
const ROUTER: &str = "cluster=~\"$cluster\",job=\"alert-router\"";
const NOBODY_TOLD: &str = "nobody was told anything";
const STATES: &[(&str, &str, &str)] = &[("1", "firing", "red")];

pub(crate) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "alerts",
        title: "Alerts",
        description: "What fires and since when, and what alert-router does with it: groups, silences, notifications.",
        base_metric: "ALERTS",
        variables: &[],
        rows: vec![
            glance(),
            Row {
                title: "Firing",
                panels: vec![table().size(14, 10), timeline().size(10, 10)],
            },
            received(),
            notifications(),
            rules(),
            router(),
        ],
    }
}

/// How many alerts of a severity fire, for each cluster, also when none does.
pub(crate) fn firing_of(severity: &str) -> String {
    format!(
        "sum by (cluster) (ALERTS{{alertstate=\"firing\",severity=\"{severity}\",{CHOSEN}}}) or 0 * max by (cluster) (up{{cluster=~\"$cluster\"}})"
    )
}

/// What fires, and since when.
pub(crate) fn table() -> Panel {
    Panel::table("Firing now", "Alerts that fire, and since when what they are about has been so. Messages and runbooks say what to do.")
        .column("Since", "dateTimeFromNow", &format!("1000 * max by (cluster, severity, alertname, instance) (ALERTS_FOR_STATE{{{CHOSEN}}} and ignoring (alertstate) ALERTS{{alertstate=\"firing\",severity!=\"none\",{CHOSEN}}})"))
        .rare("nothing is wrong")
}

/// What fired when.
pub(crate) fn timeline() -> Panel {
    Panel::timeline("Alerts over time", STATES, "What fired when. Several that began together often have one cause.")
        .query(&format!("max by (cluster, alertname, instance) (ALERTS{{alertstate=\"firing\",severity!=\"none\",{CHOSEN}}})"), "{{alertname}} {{instance}}")
        .rare("nothing is wrong")
}

/// Fills in what chooses alert-router.
fn of_router(expr: &str) -> String {
    expr.replace("ROUTER", ROUTER)
}

fn glance() -> Row {
    Row {
        title: "Glance",
        panels: vec![
            Panel::stat("Critical", "none", "Alerts that fire and that somebody must see to now.")
                .red_from(1.0)
                .leads_to("overview")
                .query(&firing_of("critical"), "{{cluster}}"),
            Panel::stat("Warning", "none", "Alerts that fire and that can wait until the morning.")
                .orange_from(1.0)
                .leads_to("overview")
                .query(&firing_of("warning"), "{{cluster}}"),
            Panel::stat("Pending", "none", "Alerts whose condition holds, though not yet for as long as it must.")
                .orange_from(1.0)
                .leads_to("overview")
                .query(&format!("sum by (cluster) (ALERTS{{alertstate=\"pending\",{CHOSEN}}}) or 0 * max by (cluster) (up{{cluster=~\"$cluster\"}})"), "{{cluster}}"),
            Panel::stat("Silences", "none", "Silences that hold. One that was forgotten hides the next outage.")
                .orange_from(1.0)
                .leads_to("monitoring")
                .query(&of_router("max by (cluster) (alertmanager_silences{state=\"active\",ROUTER})"), "{{cluster}}"),
            Panel::stat("Failed notifications", "none", "Messages that nobody got, over the chosen time range. More than none: look at the row of notifications.")
                .red_from(1.0)
                .leads_to("monitoring")
                .query(&of_router("round(sum by (cluster) (increase(alertmanager_notifications_failed_total{ROUTER}[$__range])))"), "{{cluster}}"),
            Panel::stat("Watchdog's age", "s", "How long ago Prometheus evaluated the alert that always fires. Minutes: no alert is evaluated any more.")
                .thresholds(60.0, 300.0)
                .leads_to("monitoring")
                .query("time() - max by (cluster) (max_over_time(timestamp(ALERTS{alertname=\"Watchdog\",alertstate=\"firing\",cluster=~\"$cluster|\"})[$__range:]))", "Watchdog"),
        ],
    }
}

fn received() -> Row {
    Row {
        title: "Received and held back",
        panels: vec![
            Panel::lines("Received", "ops", "Alerts that came from Prometheus, those that end included. None for minutes: Prometheus does not reach alert-router, as the watchdog always fires.")
                .query(&of_router("sum by (cluster, status) (rate(alertmanager_alerts_received_total{ROUTER}[$__rate_interval]))"), "{{status}}"),
            Panel::lines("Held", "none", "Alerts that alert-router has, by whether people are told of them.")
                .draw(Draw::Stack)
                .query(&of_router("max by (cluster, state) (alertmanager_alerts{ROUTER})"), "{{state}}"),
            Panel::lines("Groups", "none", "Groups of alerts: people get a message for each.")
                .query(&of_router("max by (cluster) (alertmanager_dispatcher_aggregation_groups{ROUTER})"), "{{cluster}}"),
            Panel::lines("Held back", "ops", "Notifications that were not sent, for a silence, for an alert that says more, or for the time of day.")
                .query(&of_router("sum by (cluster, reason) (rate(alertmanager_notifications_suppressed_total{ROUTER}[$__rate_interval]))"), "{{reason}}"),
            Panel::lines("Silences", "none", "Silences by their state.")
                .query(&of_router("max by (cluster, state) (alertmanager_silences{ROUTER})"), "{{state}}"),
            Panel::lines("Refused", "ops", "Alerts that were malformed, and those that a limit or the disk did not let in. More than none: alerts are lost.")
                .query(&of_router("sum by (cluster) (rate(alertmanager_alerts_invalid_total{ROUTER}[$__rate_interval]))"), "{{cluster}} malformed")
                .query(&of_router("sum by (cluster, what) (rate(alert_router_limited_total{ROUTER}[$__rate_interval]))"), "limit of {{what}}")
                .query(&of_router("sum by (cluster) (rate(alert_router_posts_not_kept_total{ROUTER}[$__rate_interval]))"), "{{cluster}} not kept"),
        ],
    }
}

fn notifications() -> Row {
    Row {
        title: "Notifications",
        panels: vec![
            Panel::lines("Sent", "ops", "Notifications by receiver's kind, those that failed included.")
                .query(&of_router("sum by (cluster, integration) (rate(alertmanager_notifications_total{ROUTER}[$__rate_interval])) > 0"), "{{integration}}")
                .rare(NOBODY_TOLD),
            Panel::lines("Failed", "ops", "Notifications that did not arrive after all tries, by kind and reason.")
                .query(&of_router("sum by (cluster, integration, reason) (rate(alertmanager_notifications_failed_total{ROUTER}[$__rate_interval])) > 0"), "{{integration}} {{reason}}")
                .rare("every message arrived"),
            Panel::lines("Slowest 1 %", "s", "How long the slowest hundredth of the notifications takes at least (p99), by kind.")
                .query(&of_router("histogram_quantile(0.99, sum by (cluster, integration, le) (rate(alertmanager_notification_latency_seconds_bucket{ROUTER}[$__rate_interval]))) > 0"), "{{integration}}")
                .rare(NOBODY_TOLD),
            Panel::lines("Tries", "ops", "Requests to receivers, and those that failed; a failed one is tried again.")
                .query(&of_router("sum by (cluster) (rate(alertmanager_notification_requests_total{ROUTER}[$__rate_interval]))"), "{{cluster}} tries")
                .query(&of_router("sum by (cluster) (rate(alertmanager_notification_requests_failed_total{ROUTER}[$__rate_interval]))"), "{{cluster}} failed"),
            Panel::lines("On their way", "none", "Notifications that are being sent, and groups that wait for one to end. Waiting that does not end: a receiver hangs.")
                .query(&of_router("max by (cluster) (alert_router_notifications_in_flight{ROUTER})"), "{{cluster}} under way")
                .query(&of_router("max by (cluster) (alert_router_notifications_waiting{ROUTER})"), "{{cluster}} waiting"),
            Panel::lines("Stood in", "ops", "Messages that another receiver had to send, built-in words for a template that failed, and recipients whom the mail server refused.")
                .query(&of_router("sum by (cluster) (rate(alert_router_fallbacks_total{ROUTER}[$__rate_interval]))"), "{{cluster}} another receiver")
                .query(&of_router("sum by (cluster) (rate(alert_router_template_failures_total{ROUTER}[$__rate_interval]))"), "{{cluster}} built-in words")
                .query(&of_router("sum by (cluster) (rate(alert_router_recipients_refused_total{ROUTER}[$__rate_interval]))"), "{{cluster}} refused recipients"),
        ],
    }
}

fn rules() -> Row {
    Row {
        title: "Rules",
        panels: vec![
            Panel::lines("Failed evaluations", "ops", "Rules that could not be evaluated. More than none: an alert cannot fire.")
                .size(12, 7)
                .query("sum by (cluster, instance) (rate(prometheus_rule_evaluation_failures_total{cluster=~\"$cluster\",job=\"prometheus\"}[$__rate_interval]))", "{{instance}}"),
            Panel::lines("Not told", "ops", "Alerts that Prometheus could not hand over to alert-router, and those that it threw away.")
                .size(12, 7)
                .query("sum by (cluster, instance) (rate(prometheus_notifications_errors_total{cluster=~\"$cluster\",job=\"prometheus\"}[$__rate_interval]))", "{{instance}} failed")
                .query("sum by (cluster, instance) (rate(prometheus_notifications_dropped_total{cluster=~\"$cluster\",job=\"prometheus\"}[$__rate_interval]))", "{{instance}} thrown away"),
        ],
    }
}

fn router() -> Row {
    Row {
        title: "Peers and alert-router itself",
        panels: vec![
            Panel::timeline("Its configuration holds", YES, "Whether the last configuration was taken. If not, it goes on with the one before.")
                .size(8, 7)
                .query(&of_router("max by (cluster, instance) (alertmanager_config_last_reload_successful{ROUTER})"), "{{instance}}"),
            Panel::timeline("Its disk takes what must be kept", YES, "While it does not, alerts and silences are refused, and Prometheus sends them again.")
                .size(8, 7)
                .query(&of_router("max by (cluster, instance) (alert_router_storage_healthy{ROUTER})"), "{{instance}}"),
            Panel::lines("Peers", "none", "alert-routers that know of each other, and those that were lost.")
                .size(8, 7)
                .query(&of_router("max by (cluster, instance) (alertmanager_cluster_members{ROUTER})"), "{{instance}} members")
                .query(&of_router("max by (cluster, instance) (alertmanager_cluster_failed_peers{ROUTER})"), "{{instance}} lost"),
            Panel::lines("Disk", "bytes", "Size of its journals and its snapshot.")
                .query(&of_router("max by (cluster, instance) (alert_router_storage_size_bytes{ROUTER})"), "{{instance}}"),
            Panel::lines("Memory", "bytes", "Memory of alert-router.")
                .query(&of_router("max by (cluster, instance) (process_resident_memory_bytes{ROUTER})"), "{{instance}}"),
            Panel::lines("CPU", "percentunit", "Processor time of alert-router.")
                .query(&of_router("max by (cluster, instance) (rate(process_cpu_seconds_total{ROUTER}[$__rate_interval]))"), "{{instance}}"),
        ],
    }
}
