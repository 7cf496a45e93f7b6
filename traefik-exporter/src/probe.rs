//! What a client meets: requests through Traefik's entry points, and health checks of gRPC servers, asked in rounds of their own. A scrape
//! shows what the last round found, and waits for none.

mod ask;
mod health;
mod plan;
mod show;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use client::Observer;
use daemon::{CollectError, Collector, Scrape};
use exposition::Family;
use jiff::Timestamp;
use tokio::{task::JoinSet, time::MissedTickBehavior};

pub(crate) use self::plan::Rules;
#[cfg(test)]
pub(crate) use self::show::DESCS;
use self::{
    ask::Outcome,
    plan::{Key, Plan, ServerKey, Skip, Target},
};
use crate::api::{Access, Api, ApiError, facts::EntryPoint, rawdata};

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use self::health::answer;

/// What is asked, and how often.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// Where routers, services and entry points are known.
    pub(crate) access: Access,
    pub(crate) rules: Rules,
    /// From one round's start to the next one's.
    pub(crate) interval: Duration,
    /// For one question.
    pub(crate) timeout: Duration,
    /// Questions at a time.
    pub(crate) concurrency: usize,
    /// What gRPC servers are asked for, empty for all that they do.
    pub(crate) grpc_service: String,
    /// Whom clients trust, in place of the system's authorities.
    pub(crate) ca_file: Option<PathBuf>,
}

/// Rounds of questions, as a collector.
pub(crate) struct Probe(Arc<Mutex<State>>);

/// What is known.
#[derive(Default)]
struct State {
    routers: BTreeMap<Key, Seen>,
    servers: BTreeMap<ServerKey, Seen>,
    skipped: BTreeMap<Skip, usize>,
    omitted: usize,
    /// Whether Traefik told what there is, the last time it was asked. Before that, None.
    is_planned: Option<bool>,
    rounds: u64,
    round_took: Duration,
    succeeded: u64,
    failed: u64,
}

/// What a question found last.
struct Seen {
    time: Timestamp,
    outcome: Outcome,
}

impl Probe {
    /// Asks in rounds from now on.
    ///
    /// # Errors
    /// When a file of certificates cannot be used.
    pub(crate) fn start(setup: Setup) -> Result<Self, ApiError> {
        let state = Arc::new(Mutex::new(State::default()));
        let rounds = Rounds {
            api: Api::new(setup.access.clone())?,
            observer: Arc::new(Observer::of_file(setup.ca_file.as_deref())?),
            setup: Arc::new(setup),
            state: Arc::clone(&state),
        };
        tokio::spawn(rounds.run());
        Ok(Self(state))
    }
}

struct Rounds {
    api: Api,
    observer: Arc<Observer>,
    setup: Arc<Setup>,
    state: Arc<Mutex<State>>,
}

impl Rounds {
    async fn run(mut self) {
        let mut ticks = tokio::time::interval(self.setup.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut plan = Plan::default();
        loop {
            ticks.tick().await;
            let begin = Instant::now();
            let planned = self.plan().await;
            let is_planned = planned.is_ok();
            match planned {
                Ok(new) => plan = new,
                // What was there is asked on: an API that is down is not yet an entry point that is.
                Err(error) if lock(&self.state).is_planned != Some(false) => {
                    let error = daemon::chain(&error).to_string();
                    tracing::warn!(error, "Traefik does not tell what to probe");
                }
                Err(_) => {}
            }
            // Files of certificates may have been exchanged; one that is no good any more leaves the last that was.
            match Observer::of_file(self.setup.ca_file.as_deref()) {
                Ok(observer) => self.observer = Arc::new(observer),
                Err(error) => {
                    tracing::warn!(error = %daemon::chain(&error), "--probe.ca-file cannot be read");
                }
            }
            lock(&self.state).begin(&plan, is_planned);
            self.round(&plan).await;
            let mut state = lock(&self.state);
            state.rounds += 1;
            state.round_took = begin.elapsed();
        }
    }

    async fn plan(&self) -> Result<Plan, ApiError> {
        let deadline = Instant::now() + self.setup.timeout.max(Duration::from_secs(10));
        let session = self.api.session(deadline)?;
        let points: Vec<EntryPoint> = session.json("/api/entrypoints").await?;
        let data = session.get("/api/rawdata").await?;
        // Beyond this bound a router is not asked anyway.
        let data = rawdata::read(&data, MAX_OBJECTS).map_err(|source| ApiError::Answer {
            path: "/api/rawdata",
            source,
        })?;
        Ok(plan::plan(&data, &points, &self.setup.rules))
    }

    async fn round(&self, plan: &Plan) {
        let routers = plan.routers.iter();
        let routers = routers.map(|(key, target)| (Whom::Router(key.clone()), target));
        let servers = plan.servers.iter();
        let servers = servers.map(|(key, target)| (Whom::Server(key.clone()), target));
        let mut questions = JoinSet::new();
        for (whom, target) in routers.chain(servers) {
            while questions.len() >= self.setup.concurrency {
                questions.join_next().await;
            }
            let (target, observer) = (target.clone(), Arc::clone(&self.observer));
            let (setup, state) = (Arc::clone(&self.setup), Arc::clone(&self.state));
            questions.spawn(async move {
                let service = &setup.grpc_service;
                let outcome = ask::ask(&target, &observer, service, setup.timeout).await;
                let time = Timestamp::now();
                lock(&state).take(whom, &target, Seen { time, outcome });
            });
        }
        while questions.join_next().await.is_some() {}
    }
}

/// Objects of a kind that are looked at.
const MAX_OBJECTS: usize = 10_000;

enum Whom {
    Router(Key),
    Server(ServerKey),
}

impl State {
    /// What is not planned any more is forgotten.
    fn begin(&mut self, plan: &Plan, is_planned: bool) {
        self.routers.retain(|it, _| plan.routers.contains_key(it));
        self.servers.retain(|it, _| plan.servers.contains_key(it));
        self.skipped.clone_from(&plan.skipped);
        self.omitted = plan.omitted;
        self.is_planned = Some(is_planned);
    }

    fn take(&mut self, whom: Whom, target: &Target, seen: Seen) {
        let failure = seen.outcome.failure.as_ref();
        match failure {
            None => self.succeeded += 1,
            Some(_) => self.failed += 1,
        }
        let reason = failure.map(ask::Failure::reason);
        let error = failure.map(|it| daemon::chain(it).to_string());
        let (last, name) = match whom {
            Whom::Router(key) => {
                let name = format!("{} on {} for {:?}", key.router, key.entry_point, key.host);
                (self.routers.insert(key, seen), name)
            }
            Whom::Server(key) => {
                let name = format!("{} of {}", key.server, key.service);
                (self.servers.insert(key, seen), name)
            }
        };
        let before = last.map(|it| it.outcome.failure.as_ref().map(ask::Failure::reason));
        match (before, reason) {
            (Some(before), now) if before == now => {}
            (None, None) => {}
            (_, Some(reason)) => {
                let address = &target.address;
                tracing::warn!(whom = name, address, reason, error, "probe failed");
            }
            (Some(_), None) => tracing::info!(whom = name, "probe succeeds again"),
        }
    }
}

impl Collector for Probe {
    fn name(&self) -> &'static str {
        "probe"
    }

    fn collect(&self, _scrape: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let state = lock(&self.0);
        show::families(&state, out);
        match state.is_planned {
            Some(false) => Err(CollectError::failed(
                "Traefik does not tell what there is: what it told before is probed",
            )),
            Some(true) | None => Ok(()),
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
