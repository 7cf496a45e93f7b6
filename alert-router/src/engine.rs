//! The one event loop: what comes from people, senders and receivers goes to the core; what the core wants goes out.

use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use prometheus::{
    CounterVec, Gauge, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry,
};
use serde::Serialize;
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    task::JoinSet,
};

use crate::{
    alert::{Alert, AlertError, Fingerprint, Pairs, Posted, since},
    config::Config,
    core::{Core, Input, Notification, Retry, Status, status},
    receivers::{Context, Failure, Senders},
};

/// Requests that wait for the loop.
const QUEUE: usize = 1024;
/// Notifications that are on their way at a time, in all.
const SENDING: usize = 64;
/// How many notifications the history holds.
const HISTORY: usize = 1000;
/// For what is on its way when the program ends.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// What comes from outside the loop.
enum Event {
    Post(
        Vec<Posted>,
        oneshot::Sender<Vec<Result<Status, AlertError>>>,
    ),
    Alerts(oneshot::Sender<Snapshot>),
    Groups(oneshot::Sender<Vec<ShownGroup>>),
    History(Option<String>, oneshot::Sender<Vec<Record>>),
    Reload(oneshot::Sender<Result<(), String>>),
    Stop(oneshot::Sender<()>),
}

/// All alerts at one moment, with the configuration of that moment.
pub(crate) struct Snapshot {
    pub(crate) now: Timestamp,
    pub(crate) config: Arc<Config>,
    pub(crate) alerts: Vec<(Fingerprint, Alert)>,
    /// Those that are kept quiet, and by whom.
    pub(crate) inhibited: BTreeMap<Fingerprint, Fingerprint>,
}

/// A group at one moment.
pub(crate) struct ShownGroup {
    pub(crate) labels: Pairs,
    pub(crate) receiver: String,
    pub(crate) alerts: Vec<(Fingerprint, Alert)>,
}

/// A notification that was sent, or not.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Record {
    time: String,
    receiver: String,
    integration: &'static str,
    index: usize,
    group_key: String,
    status: &'static str,
    attempts: u32,
    error: String,
    alerts: Vec<RecordedAlert>,
}

#[derive(Debug, Clone, Serialize)]
struct RecordedAlert {
    fingerprint: String,
    status: &'static str,
}

/// Speaks to the loop.
#[derive(Clone)]
pub(crate) struct Engine {
    events: mpsc::Sender<Event>,
}

/// The program's counters, with Alertmanager's names.
#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) registry: Registry,
    alerts: IntGaugeVec,
    received: IntCounterVec,
    invalid: IntCounterVec,
    notifications: CounterVec,
    failed: CounterVec,
    latency: HistogramVec,
    reloaded: Gauge,
    reloaded_at: Gauge,
    hash: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let opts = |name: &str, help: &str| Opts::new(format!("alertmanager_{name}"), help);
        let latency = HistogramOpts::new(
            "alertmanager_notification_latency_seconds",
            "The latency of notifications in seconds.",
        )
        .buckets(vec![1.0, 5.0, 10.0, 15.0, 20.0]);
        let metrics = Self {
            alerts: IntGaugeVec::new(opts("alerts", "How many alerts by state."), &["state"])?,
            received: IntCounterVec::new(
                opts(
                    "alerts_received_total",
                    "The total number of received alerts.",
                ),
                &["status", "version"],
            )?,
            invalid: IntCounterVec::new(
                opts(
                    "alerts_invalid_total",
                    "The total number of received alerts that were invalid.",
                ),
                &["version"],
            )?,
            notifications: CounterVec::new(
                opts(
                    "notifications_total",
                    "The total number of attempted notifications.",
                ),
                &["integration"],
            )?,
            failed: CounterVec::new(
                opts(
                    "notifications_failed_total",
                    "The total number of failed notifications.",
                ),
                &["integration", "reason"],
            )?,
            latency: HistogramVec::new(latency, &["integration"])?,
            reloaded: Gauge::with_opts(opts(
                "config_last_reload_successful",
                "Whether the last configuration reload attempt was successful.",
            ))?,
            reloaded_at: Gauge::with_opts(opts(
                "config_last_reload_success_timestamp_seconds",
                "Timestamp of the last successful configuration reload.",
            ))?,
            hash: Gauge::with_opts(opts(
                "config_hash",
                "Hash of the currently loaded configuration file.",
            ))?,
            registry,
        };
        let clustered = Gauge::with_opts(opts(
            "cluster_enabled",
            "Indicates whether the clustering is enabled or not.",
        ))?;
        let registry = &metrics.registry;
        registry.register(Box::new(metrics.alerts.clone()))?;
        registry.register(Box::new(metrics.received.clone()))?;
        registry.register(Box::new(metrics.invalid.clone()))?;
        registry.register(Box::new(metrics.notifications.clone()))?;
        registry.register(Box::new(metrics.failed.clone()))?;
        registry.register(Box::new(metrics.latency.clone()))?;
        registry.register(Box::new(metrics.reloaded.clone()))?;
        registry.register(Box::new(metrics.reloaded_at.clone()))?;
        registry.register(Box::new(metrics.hash.clone()))?;
        registry.register(Box::new(clustered))?;
        // All series are there from the start, so that rates begin at zero.
        for status in [Status::Firing, Status::Resolved] {
            metrics.received.with_label_values(&[status.as_str(), "v2"]);
        }
        for state in ["active", "suppressed", "unprocessed"] {
            metrics.alerts.with_label_values(&[state]);
        }
        metrics.invalid.with_label_values(&["v2"]);
        for integration in ["slack", "email", "webhook"] {
            metrics.notifications.with_label_values(&[integration]);
            metrics.latency.with_label_values(&[integration]);
            for reason in [
                "clientError",
                "contextDeadlineExceeded",
                "other",
                "rateLimited",
                "serverError",
            ] {
                metrics.failed.with_label_values(&[integration, reason]);
            }
        }
        Ok(metrics)
    }

    pub(crate) fn invalid(&self, count: usize) {
        self.invalid
            .with_label_values(&["v2"])
            .inc_by(u64::try_from(count).unwrap_or(0));
    }

    fn loaded(&self, config: &Config, now: Timestamp) {
        self.reloaded.set(1.0);
        self.reloaded_at
            .set(now.as_duration().as_secs_f64().floor());
        #[expect(
            clippy::cast_precision_loss,
            reason = "48 bits fit, as in Alertmanager"
        )]
        self.hash.set((config.hash & 0xffff_ffff_ffff) as f64);
    }
}

/// The loop has ended: the program is stopping.
#[derive(Debug, thiserror::Error)]
#[error("alert-router is stopping")]
pub(crate) struct Stopping;

impl Engine {
    /// Starts the loop with a configuration that is known to be good.
    pub(crate) fn start(
        path: PathBuf,
        config: Config,
        context: Context,
        metrics: Metrics,
    ) -> Result<Self, String> {
        let config = Arc::new(config);
        let senders = Senders::new(Arc::clone(&config), context.clone())?;
        metrics.loaded(&config, Timestamp::now());
        let (events, receive) = mpsc::channel(QUEUE);
        let state = Loop {
            path,
            context,
            metrics,
            core: Core::new(config),
            senders: Arc::new(senders),
            sending: JoinSet::new(),
            bound: Arc::new(Semaphore::new(SENDING)),
            history: VecDeque::new(),
        };
        tokio::spawn(state.run(receive));
        Ok(Self { events })
    }

    async fn ask<T>(&self, event: impl FnOnce(oneshot::Sender<T>) -> Event) -> Result<T, Stopping> {
        let (answer, answered) = oneshot::channel();
        self.events
            .send(event(answer))
            .await
            .map_err(|_closed| Stopping)?;
        answered.await.map_err(|_closed| Stopping)
    }

    pub(crate) async fn post(
        &self,
        posted: Vec<Posted>,
    ) -> Result<Vec<Result<Status, AlertError>>, Stopping> {
        self.ask(|answer| Event::Post(posted, answer)).await
    }

    pub(crate) async fn alerts(&self) -> Result<Snapshot, Stopping> {
        self.ask(Event::Alerts).await
    }

    pub(crate) async fn groups(&self) -> Result<Vec<ShownGroup>, Stopping> {
        self.ask(Event::Groups).await
    }

    /// Notifications, newest first; of one alert when it is named.
    pub(crate) async fn history(
        &self,
        fingerprint: Option<String>,
    ) -> Result<Vec<Record>, Stopping> {
        self.ask(|answer| Event::History(fingerprint, answer)).await
    }

    /// Reads the configuration again; a wrong one changes nothing.
    pub(crate) async fn reload(&self) -> Result<(), String> {
        self.ask(Event::Reload)
            .await
            .map_err(|error| error.to_string())?
    }

    /// Ends the loop once what is on its way has arrived, or the patience is over.
    pub(crate) async fn stop(&self) {
        drop(self.ask(Event::Stop).await);
    }
}

struct Loop {
    path: PathBuf,
    context: Context,
    metrics: Metrics,
    core: Core,
    senders: Arc<Senders>,
    sending: JoinSet<(Notification, Result<(), Failure>, Duration)>,
    bound: Arc<Semaphore>,
    history: VecDeque<Record>,
}

impl Loop {
    async fn run(mut self, mut events: mpsc::Receiver<Event>) {
        loop {
            self.send_due();
            let pause = self
                .core
                .next_deadline()
                .map(|it| since(it, Timestamp::now()));
            tokio::select! {
                event = events.recv() => match event {
                    Some(Event::Stop(answer)) => {
                        self.last_words().await;
                        // Fails when nobody waits any more.
                        return answer.send(()).unwrap_or(());
                    }
                    Some(event) => self.handle(event),
                    None => return,
                },
                Some(sent) = self.sending.join_next() => match sent {
                    Ok((told, result, took)) => self.sent(&told, result, took),
                    Err(error) => tracing::error!(%error, "a sender panicked"),
                },
                () = sleep(pause) => {}
            }
        }
    }

    fn handle(&mut self, event: Event) {
        let now = Timestamp::now();
        match event {
            Event::Post(posted, answer) => {
                let results = self.core.post(posted, now);
                for result in &results {
                    match result {
                        Ok(status) => self
                            .metrics
                            .received
                            .with_label_values(&[status.as_str(), "v2"])
                            .inc(),
                        Err(_) => self.metrics.invalid(1),
                    }
                }
                self.count_alerts(now);
                drop(answer.send(results));
            }
            Event::Alerts(answer) => {
                let alerts = self
                    .core
                    .alerts()
                    .map(|(it, alert)| (it, alert.clone()))
                    .collect();
                let inhibited = self.core.alerts();
                let inhibited = inhibited
                    .filter_map(|(it, alert)| {
                        Some((it, self.core.inhibited_by(&alert.labels, now)?))
                    })
                    .collect();
                let config = Arc::clone(self.core.config());
                drop(answer.send(Snapshot {
                    now,
                    config,
                    alerts,
                    inhibited,
                }));
            }
            Event::Groups(answer) => {
                let groups = self.core.groups().map(|(_, group)| ShownGroup {
                    labels: group.labels.clone(),
                    receiver: group.route.receiver.clone(),
                    alerts: group
                        .alerts
                        .iter()
                        .map(|(it, alert)| (*it, alert.clone()))
                        .collect(),
                });
                drop(answer.send(groups.collect()));
            }
            Event::History(fingerprint, answer) => {
                let wanted = |record: &&Record| {
                    let mut prints = record.alerts.iter().map(|it| &it.fingerprint);
                    fingerprint
                        .as_ref()
                        .is_none_or(|wanted| prints.any(|it| it == wanted))
                };
                drop(answer.send(self.history.iter().rev().filter(wanted).cloned().collect()));
            }
            Event::Reload(answer) => drop(answer.send(self.reload(now))),
            // Handled where the loop can end.
            Event::Stop(answer) => drop(answer),
        }
    }

    fn reload(&mut self, now: Timestamp) -> Result<(), String> {
        let loaded = Config::load(&self.path)
            .map_err(|error| error.to_string())
            .and_then(|config| {
                let config = Arc::new(config);
                let senders = Senders::new(Arc::clone(&config), self.context.clone())?;
                Ok((config, senders))
            });
        match loaded {
            Ok((config, senders)) => {
                self.metrics.loaded(&config, now);
                self.senders = Arc::new(senders);
                self.core.handle(Input::Reload(config), now);
                tracing::info!(file = %self.path.display(), "Completed loading of configuration file");
                Ok(())
            }
            Err(error) => {
                self.metrics.reloaded.set(0.0);
                tracing::error!(error, "the configuration is wrong; the one before stays");
                Err(error)
            }
        }
    }

    fn send_due(&mut self) {
        let now = Timestamp::now();
        let mut any = false;
        while let Some(told) = self.core.poll(now) {
            any = true;
            let (senders, bound) = (Arc::clone(&self.senders), Arc::clone(&self.bound));
            self.sending.spawn(async move {
                // The semaphore is never closed.
                let _permit = bound.acquire_owned().await;
                let begin = Instant::now();
                let result = senders.send(&told).await;
                (told, result, begin.elapsed())
            });
        }
        if any {
            self.count_alerts(now);
        }
    }

    fn sent(&mut self, told: &Notification, result: Result<(), Failure>, took: Duration) {
        let name = told.integration.name();
        let receiver = &told.integration.receiver;
        self.metrics.notifications.with_label_values(&[name]).inc();
        self.metrics
            .latency
            .with_label_values(&[name])
            .observe(took.as_secs_f64());
        let (outcome, error) = match &result {
            Ok(()) => ("sent", String::new()),
            Err(failure) => ("failed", failure.error.clone()),
        };
        let now = Timestamp::now();
        if self.history.len() >= HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(Record {
            time: now.to_string(),
            receiver: receiver.clone(),
            integration: name,
            index: told.integration.index,
            group_key: told.group_key.clone(),
            status: outcome,
            attempts: told.attempt,
            error,
            alerts: told
                .alerts
                .iter()
                .map(|(fingerprint, _, status)| RecordedAlert {
                    fingerprint: fingerprint.to_string(),
                    status: status.as_str(),
                })
                .collect(),
        });
        let input = match result {
            Ok(()) => {
                tracing::info!(
                    receiver,
                    integration = name,
                    group = told.group_key,
                    alerts = told.alerts.len(),
                    "notified"
                );
                Input::Sent { id: told.id }
            }
            Err(failure) => {
                self.metrics
                    .failed
                    .with_label_values(&[name, failure.reason])
                    .inc();
                let again = if failure.retry == Retry::No {
                    "with the next look at the group"
                } else {
                    "soon"
                };
                tracing::warn!(
                    receiver,
                    integration = name,
                    group = told.group_key,
                    attempt = told.attempt,
                    error = failure.error,
                    again,
                    "notification failed"
                );
                Input::Failed {
                    id: told.id,
                    retry: failure.retry,
                }
            }
        };
        self.core.handle(input, now);
        self.count_alerts(now);
    }

    fn count_alerts(&self, now: Timestamp) {
        let firing = self.core.alerts();
        let firing = firing.filter(|(_, it)| status(it, now) == Status::Firing);
        let (mut active, mut suppressed) = (0, 0);
        for (_, alert) in firing {
            match self.core.inhibited_by(&alert.labels, now) {
                Some(_) => suppressed += 1,
                None => active += 1,
            }
        }
        for (state, count) in [("active", active), ("suppressed", suppressed)] {
            self.metrics.alerts.with_label_values(&[state]).set(count);
        }
    }

    /// Lets what is on its way arrive.
    async fn last_words(&mut self) {
        let patience = tokio::time::timeout(LAST_WORDS, async {
            while let Some(sent) = self.sending.join_next().await {
                if let Ok((told, result, took)) = sent {
                    self.sent(&told, result, took);
                }
            }
        });
        if patience.await.is_err() {
            tracing::error!(
                notifications = self.sending.len(),
                "notifications are cut off by the end of the program"
            );
        }
    }
}

/// Until the next deadline; for ever when there is none.
async fn sleep(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}
