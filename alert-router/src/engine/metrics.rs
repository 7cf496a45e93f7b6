//! The program's counters: Alertmanager's, by its names, and our own beside them.

use std::time::Duration;

use jiff::Timestamp;
use prometheus::{
    CounterVec, Gauge, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, core::Collector,
};

use crate::{
    alert::AlertError,
    config::Config,
    core::{Core, Counts, Notification, Status},
    history::History,
    journal::{Journal, JournalCounts},
    receivers::Failure,
};

const INTEGRATIONS: [&str; 18] = [
    "email",
    "pagerduty",
    "wechat",
    "pushover",
    "slack",
    "opsgenie",
    "webhook",
    "victorops",
    "sns",
    "telegram",
    "discord",
    "webex",
    "msteams",
    "msteamsv2",
    "incidentio",
    "jira",
    "rocketchat",
    "mattermost",
];
const REASONS: [&str; 7] = [
    "authError",
    "clientError",
    "contextCanceled",
    "contextDeadlineExceeded",
    "other",
    "rateLimited",
    "serverError",
];

/// The program's counters.
#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) registry: Registry,
    alerts: IntGaugeVec,
    received: IntCounterVec,
    invalid: IntCounterVec,
    notifications: CounterVec,
    failed: CounterVec,
    requests: CounterVec,
    requests_failed: CounterVec,
    suppressed: IntCounterVec,
    latency: HistogramVec,
    groups: IntGauge,
    silences: IntGaugeVec,
    receivers: IntGauge,
    integrations: IntGauge,
    rules: IntGauge,
    reloaded: Gauge,
    reloaded_at: Gauge,
    hash: Gauge,
    pub(crate) http: Http,
    clustered: Gauge,
    members: IntGauge,
    snapshot_size: IntGauge,
    unsent: IntGaugeVec,
    own: Own,
}

/// Of requests.
#[derive(Clone)]
pub(crate) struct Http {
    pub(crate) duration: HistogramVec,
    pub(crate) size: HistogramVec,
    pub(crate) in_flight: IntGaugeVec,
    pub(crate) limited: IntCounterVec,
}

/// What Alertmanager has not.
#[derive(Clone)]
struct Own {
    healthy: IntGauge,
    journal_size: IntGauge,
    journal: IntCounterVec,
    written: IntCounter,
    limited: IntCounterVec,
    waiting: IntGauge,
    under_way: IntGauge,
    digests: IntCounter,
    fallbacks: IntCounter,
    templates: IntCounter,
    refused: IntCounter,
    not_kept: IntCounter,
}

/// Registers what it makes.
struct Maker<'a>(&'a Registry);

impl Maker<'_> {
    fn put<C: Collector + Clone + 'static>(&self, it: C) -> Result<C, prometheus::Error> {
        self.0.register(Box::new(it.clone()))?;
        Ok(it)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.put(IntGauge::with_opts(Opts::new(name, help))?)
    }

    fn float(&self, name: &str, help: &str) -> Result<Gauge, prometheus::Error> {
        self.put(Gauge::with_opts(Opts::new(name, help))?)
    }

    fn gauges(
        &self,
        name: &str,
        help: &str,
        label: &str,
    ) -> Result<IntGaugeVec, prometheus::Error> {
        self.put(IntGaugeVec::new(Opts::new(name, help), &[label])?)
    }

    fn count(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        self.put(IntCounter::with_opts(Opts::new(name, help))?)
    }

    fn counts(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec, prometheus::Error> {
        self.put(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn floats(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<CounterVec, prometheus::Error> {
        self.put(CounterVec::new(Opts::new(name, help), labels)?)
    }

    fn histogram(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> Result<HistogramVec, prometheus::Error> {
        let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.put(HistogramVec::new(opts, labels)?)
    }
}

impl Metrics {
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let make = Maker(&registry);
        let integration = ["integration"];
        let metrics = Self {
            alerts: make.gauges("alertmanager_alerts", "How many alerts by state.", "state")?,
            received: make.counts(
                "alertmanager_alerts_received_total",
                "The total number of received alerts.",
                &["status", "version"],
            )?,
            invalid: make.counts(
                "alertmanager_alerts_invalid_total",
                "The total number of received alerts that were invalid.",
                &["version"],
            )?,
            notifications: make.floats(
                "alertmanager_notifications_total",
                "The total number of attempted notifications.",
                &integration,
            )?,
            failed: make.floats(
                "alertmanager_notifications_failed_total",
                "The total number of failed notifications.",
                &["integration", "reason"],
            )?,
            requests: make.floats(
                "alertmanager_notification_requests_total",
                "The total number of attempted notification requests.",
                &integration,
            )?,
            requests_failed: make.floats(
                "alertmanager_notification_requests_failed_total",
                "The total number of failed notification requests.",
                &integration,
            )?,
            suppressed: make.counts(
                "alertmanager_notifications_suppressed_total",
                "The total number of notifications suppressed for being silenced, inhibited, outside of active time intervals or within muted time intervals.",
                &["reason"],
            )?,
            latency: make.histogram(
                "alertmanager_notification_latency_seconds",
                "The latency of notifications in seconds.",
                &integration,
                &[1.0, 5.0, 10.0, 15.0, 20.0],
            )?,
            groups: make.gauge(
                "alertmanager_dispatcher_aggregation_groups",
                "Number of active aggregation groups",
            )?,
            silences: make.gauges(
                "alertmanager_silences",
                "How many silences by state.",
                "state",
            )?,
            receivers: make.gauge("alertmanager_receivers", "Number of configured receivers.")?,
            integrations: make.gauge(
                "alertmanager_integrations",
                "Number of configured integrations.",
            )?,
            rules: make.gauge(
                "alertmanager_inhibition_rules",
                "Number of configured inhibition rules.",
            )?,
            reloaded: make.float(
                "alertmanager_config_last_reload_successful",
                "Whether the last configuration reload attempt was successful.",
            )?,
            reloaded_at: make.float(
                "alertmanager_config_last_reload_success_timestamp_seconds",
                "Timestamp of the last successful configuration reload.",
            )?,
            hash: make.float(
                "alertmanager_config_hash",
                "Hash of the currently loaded configuration file.",
            )?,
            http: Http {
                duration: make.histogram(
                    "alertmanager_http_request_duration_seconds",
                    "Histogram of latencies for HTTP requests.",
                    &["handler", "method", "code"],
                    &[0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 2.0, 5.0, 20.0, 60.0],
                )?,
                size: make.histogram(
                    "alertmanager_http_response_size_bytes",
                    "Histogram of response size for HTTP requests.",
                    &["handler", "method"],
                    &[1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8],
                )?,
                in_flight: make.gauges(
                    "alertmanager_http_requests_in_flight",
                    "Current number of HTTP requests being processed.",
                    "method",
                )?,
                limited: make.counts(
                    "alertmanager_http_concurrency_limit_exceeded_total",
                    "Total number of times an HTTP request failed because the concurrency limit was reached.",
                    &["method"],
                )?,
            },
            clustered: make.float(
                "alertmanager_cluster_enabled",
                "Indicates whether the clustering is enabled or not.",
            )?,
            members: make.gauge(
                "alertmanager_cluster_members",
                "Number indicating current number of members in cluster.",
            )?,
            snapshot_size: make.gauge(
                "alertmanager_silences_snapshot_size_bytes",
                "Size of the last snapshot in bytes; here it holds alerts and what was told, too.",
            )?,
            unsent: make.gauges(
                "alert_router_unsent_integrations",
                "Configured integrations of kinds that are not sent; what would go to them goes to the receiver's fallback.",
                "integration",
            )?,
            own: Own::new(&make)?,
            registry: registry.clone(),
        };
        let failed_peers = make.gauge(
            "alertmanager_cluster_failed_peers",
            "Number indicating the current number of failed peers in the cluster.",
        )?;
        failed_peers.set(0);
        metrics.begin_at_zero();
        Ok(metrics)
    }

    /// All series are there from the start, so that rates begin at zero.
    fn begin_at_zero(&self) {
        for status in [Status::Firing, Status::Resolved] {
            self.received.with_label_values(&[status.as_str(), "v2"]);
        }
        for state in ["active", "suppressed", "unprocessed"] {
            self.alerts.with_label_values(&[state]);
        }
        for state in ["active", "pending", "expired"] {
            self.silences.with_label_values(&[state]);
        }
        for reason in SUPPRESSED {
            self.suppressed.with_label_values(&[reason]);
        }
        self.invalid.with_label_values(&["v2"]);
        self.http.in_flight.with_label_values(&["get"]);
        self.http.limited.with_label_values(&["get"]);
        for integration in INTEGRATIONS {
            self.notifications.with_label_values(&[integration]);
            self.requests.with_label_values(&[integration]);
            self.requests_failed.with_label_values(&[integration]);
            self.latency.with_label_values(&[integration]);
            for reason in REASONS {
                self.failed.with_label_values(&[integration, reason]);
            }
        }
    }

    pub(crate) fn invalid(&self, count: usize) {
        self.invalid
            .with_label_values(&["v2"])
            .inc_by(u64::try_from(count).unwrap_or(0));
    }

    /// Whether this is one of a cluster, of which it is the only one.
    pub(crate) fn clustered(&self, is_clustered: bool) {
        self.clustered.set(if is_clustered { 1.0 } else { 0.0 });
        self.members.set(i64::from(is_clustered));
    }

    pub(super) fn posted(&self, results: &Result<Vec<Result<Status, AlertError>>, String>) {
        let Ok(results) = results else {
            self.own.not_kept.inc();
            return;
        };
        let (mut firing, mut resolved, mut invalid) = (0, 0, 0);
        for result in results {
            match result {
                Ok(Status::Firing) => firing += 1,
                Ok(Status::Resolved) => resolved += 1,
                Err(_) => invalid += 1,
            }
        }
        for (status, count) in [(Status::Firing, firing), (Status::Resolved, resolved)] {
            self.received
                .with_label_values(&[status.as_str(), "v2"])
                .inc_by(count);
        }
        self.invalid(invalid);
    }

    pub(super) fn sent(&self, told: &Notification, failure: Option<&Failure>, took: Duration) {
        let name = [told.integration.name()];
        self.notifications.with_label_values(&name).inc();
        self.requests.with_label_values(&name).inc();
        self.latency
            .with_label_values(&name)
            .observe(took.as_secs_f64());
        if let Some(failure) = failure {
            self.requests_failed.with_label_values(&name).inc();
            self.failed
                .with_label_values(&[told.integration.name(), failure.reason])
                .inc();
        }
    }

    /// What went out otherwise than it should have.
    pub(super) fn delivered(&self, refused: usize, has_complaint: bool) {
        self.own.refused.inc_by(u64::try_from(refused).unwrap_or(0));
        self.own.templates.inc_by(u64::from(has_complaint));
    }

    pub(super) fn loaded(&self, config: &Config, now: Timestamp) {
        self.reloaded.set(1.0);
        self.reloaded_at
            .set(now.as_duration().as_secs_f64().floor());
        #[expect(
            clippy::cast_precision_loss,
            reason = "48 bits fit, as in Alertmanager"
        )]
        self.hash.set((config.hash & 0xffff_ffff_ffff) as f64);
        let count = |it: usize| i64::try_from(it).unwrap_or(i64::MAX);
        self.receivers.set(count(config.receivers.len()));
        let integrations = config.receivers.iter().map(|it| it.integrations.len());
        self.integrations.set(count(integrations.sum()));
        self.rules.set(count(config.inhibit_rules.len()));
        for integration in INTEGRATIONS {
            let unsent = config.receivers.iter().flat_map(|it| &it.unsent);
            let its = unsent.filter(|it| **it == integration).count();
            if !matches!(integration, "slack" | "email" | "webhook" | "pagerduty") {
                self.unsent
                    .with_label_values(&[integration])
                    .set(count(its));
            }
        }
    }

    pub(super) fn not_loaded(&self) {
        self.reloaded.set(0.0);
    }

    /// Brings up to date what is costly to keep so.
    pub(super) fn measure(
        &self,
        core: &Core,
        journal: &Journal,
        history: &History,
        under_way: usize,
        now: Timestamp,
    ) {
        let count = |it: usize| i64::try_from(it).unwrap_or(i64::MAX);
        let size = |it: u64| i64::try_from(it).unwrap_or(i64::MAX);
        for (state, number) in core.store().count(now) {
            self.alerts.with_label_values(&[state]).set(size(number));
        }
        for (state, number) in core.silences().count(now) {
            self.silences
                .with_label_values(&[state.as_str()])
                .set(count(number));
        }
        self.groups.set(count(core.groups().len()));
        self.snapshot_size.set(size(journal.snapshot_size()));
        self.own.measure(&core.counts, journal, history);
        for (reason, number) in SUPPRESSED.into_iter().zip([
            core.counts.inhibited,
            core.counts.muted,
            core.counts.inactive,
            core.counts.silenced,
        ]) {
            raise(&self.suppressed.with_label_values(&[reason]), number);
        }
        self.own.waiting.set(count(core.waiting()));
        self.own.under_way.set(count(under_way));
    }
}

const SUPPRESSED: [&str; 4] = [
    "inhibition",
    "mute_time_interval",
    "active_time_interval",
    "silence",
];

/// Sets a counter to what is counted elsewhere.
fn raise(counter: &IntCounter, number: u64) {
    counter.inc_by(number.saturating_sub(counter.get()));
}

impl Own {
    fn new(make: &Maker<'_>) -> Result<Self, prometheus::Error> {
        let own = Self {
            healthy: make.gauge(
                "alert_router_storage_healthy",
                "Whether the journal takes what is to be kept; while it does not, alerts and silences are refused.",
            )?,
            journal_size: make.gauge(
                "alert_router_storage_size_bytes",
                "Bytes of the journals and the snapshot.",
            )?,
            journal: make.counts(
                "alert_router_storage_operations_total",
                "What the journal did: syncs, failures, snapshots, and torn files that it found.",
                &["operation"],
            )?,
            written: make.count(
                "alert_router_storage_written_bytes_total",
                "Bytes that were appended to the journal.",
            )?,
            limited: make.counts(
                "alert_router_limited_total",
                "What met a limit: alerts that were refused, alerts in the group of the rest, lines of the history that were lost.",
                &["what"],
            )?,
            waiting: make.gauge(
                "alert_router_notifications_waiting",
                "Groups that are to be told and wait because so many notifications are on their way to the same integration.",
            )?,
            under_way: make.gauge(
                "alert_router_notifications_in_flight",
                "Notifications that are on their way.",
            )?,
            digests: make.count("alert_router_digests_total", "Digests that were made.")?,
            fallbacks: make.count(
                "alert_router_fallbacks_total",
                "Integrations that stood in for others, by groups.",
            )?,
            templates: make.count(
                "alert_router_template_failures_total",
                "Messages that were sent in built-in words because a template failed.",
            )?,
            refused: make.count(
                "alert_router_recipients_refused_total",
                "Recipients of mails whom the server refused.",
            )?,
            not_kept: make.count(
                "alert_router_posts_not_kept_total",
                "Posts of alerts that were refused because the disk did not take them.",
            )?,
        };
        for operation in OPERATIONS {
            own.journal.with_label_values(&[operation]);
        }
        for what in LIMITED {
            own.limited.with_label_values(&[what]);
        }
        Ok(own)
    }

    fn measure(&self, counts: &Counts, journal: &Journal, history: &History) {
        self.healthy.set(i64::from(journal.failing.is_none()));
        self.journal_size
            .set(i64::try_from(journal.size()).unwrap_or(i64::MAX));
        let JournalCounts {
            written,
            syncs,
            failures,
            torn,
            snapshots,
        } = journal.counts;
        raise(&self.written, written);
        for (operation, number) in OPERATIONS
            .into_iter()
            .zip([failures, snapshots, syncs, torn])
        {
            raise(&self.journal.with_label_values(&[operation]), number);
        }
        let limited = [counts.limited, counts.groups_limited, history.lost];
        for (what, number) in LIMITED.into_iter().zip(limited) {
            raise(&self.limited.with_label_values(&[what]), number);
        }
        raise(&self.digests, counts.digests);
        raise(&self.fallbacks, counts.fallbacks);
    }
}

const OPERATIONS: [&str; 4] = ["failure", "snapshot", "sync", "torn"];
const LIMITED: [&str; 3] = ["alerts", "groups", "history"];
