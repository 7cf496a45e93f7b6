//! One scrape of the node: who asks meanwhile gets the same.
//!
//! First what is always there (ring, activity, JVM), which tells whether the names that are known still hold; then, when they do not,
//! searches; then the node's and keyspaces' beans, then tables'; what costs a look at the disk last. What has come by the deadline is
//! shown. Nothing is tried twice within a scrape.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family, Kind, Labels, Metric, Summary, Value};

use crate::{
    activity,
    config::{Histograms, Quantile, Settings},
    histogram,
    jolokia::{
        Jolokia, JolokiaError, Session,
        request::Bulk,
        response::{Found, Got, Status, Tree, Want},
    },
    jvm,
    metrics::Source,
    plan::{Column, Plan, Shape, TableCounts, Target},
    ring::{self, Ring},
};

const UP: Desc = Desc::new(
    "cassandra_up",
    Kind::Gauge,
    "Whether the node answered through Jolokia.",
);
const COMPLETE: Desc = Desc::new(
    "cassandra_scrape_complete",
    Kind::Gauge,
    "Whether everything that was to be read came before the deadline.",
);
const FAILURE: Desc = Desc::new(
    "cassandra_scrape_failure",
    Kind::Gauge,
    "Why the last scrape is not complete: 1 for the reason, 0 for the others that there are.",
)
.labels(&["reason"]);
const READS: Desc = Desc::new(
    "cassandra_scrape_reads",
    Kind::Gauge,
    "Beans that were asked for, by whether they were there.",
)
.labels(&["result"]);
const TABLES: Desc = Desc::new(
    "cassandra_scrape_tables",
    Kind::Gauge,
    "Tables of the node, by whether their metrics are read: filtered are those of system keyspaces, too.",
)
.labels(&["state"]);
const OMITTED: Desc = Desc::new(
    "cassandra_scrape_omitted_tables_total",
    Kind::Counter,
    "Tables that --tables.max left out, added up over scrapes.",
);
const DISCOVERIES: Desc = Desc::new(
    "cassandra_scrape_discoveries_total",
    Kind::Counter,
    "How often names of beans were looked for.",
);
const DISCOVERY_AGE: Desc = Desc::new(
    "cassandra_scrape_discovery_age_seconds",
    Kind::Gauge,
    "How long ago that was.",
);

#[cfg(test)]
pub(crate) const DESCS: &[Desc] = &[
    UP,
    COMPLETE,
    FAILURE,
    READS,
    TABLES,
    OMITTED,
    DISCOVERIES,
    DISCOVERY_AGE,
];

/// Kept of a scrape's time for making a page of what came.
const MARGIN: Duration = Duration::from_millis(250);
/// A bean that is gone has names looked for anew, but not more often than this.
const REDISCOVER: Duration = Duration::from_secs(60);

/// The node, as a collector.
pub(crate) struct Node {
    settings: Settings,
    jolokia: Jolokia,
    flight: Mutex<Option<Arc<Flight>>>,
    known: Mutex<Known>,
}

/// What is kept between scrapes.
#[derive(Default)]
struct Known {
    plan: Option<Arc<Plan>>,
    /// What was read of what is slow, of this plan: family and metric.
    slow: Option<Vec<(usize, Metric)>>,
    /// A bean was gone.
    is_stale: bool,
    discoveries: u64,
    omitted: u64,
    last: Last,
}

/// How the last scrape went: a change is worth a line in the log.
#[derive(Default, PartialEq, Eq, Clone)]
enum Last {
    #[default]
    Unknown,
    Fine,
    Failed(&'static str),
}

/// A scrape that is under way.
#[derive(Default)]
struct Flight {
    landed: Mutex<Option<Arc<Page>>>,
    bell: Condvar,
}

/// What came of it.
struct Page {
    families: Vec<Family>,
    failure: Option<String>,
}

impl Node {
    pub(crate) fn new(settings: Settings) -> Result<Self, JolokiaError> {
        Ok(Self {
            jolokia: Jolokia::new(settings.access.clone())?,
            settings,
            flight: Mutex::new(None),
            known: Mutex::new(Known::default()),
        })
    }

    fn scrape(&self, deadline: Instant) -> Page {
        let reading = async {
            let mut reading = Reading::new(self, deadline);
            let failure = reading.all().await.err();
            reading.page(failure)
        };
        tokio::runtime::Handle::current().block_on(reading)
    }
}

/// Lands also when the scrape panics, so that nobody waits for it.
struct Landing<'a> {
    node: &'a Node,
    flight: &'a Flight,
    page: Option<Arc<Page>>,
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        let page = self.page.take().unwrap_or_else(|| {
            Arc::new(Page {
                families: Vec::new(),
                failure: Some("panicked".to_owned()),
            })
        });
        *lock(&self.node.flight) = None;
        *lock(&self.flight.landed) = Some(page);
        self.flight.bell.notify_all();
    }
}

impl Collector for Node {
    fn name(&self) -> &'static str {
        "cassandra"
    }

    fn collect(&self, scrape: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let deadline = scrape
            .deadline
            .checked_sub(MARGIN.min(scrape.remaining(Duration::ZERO) / 4))
            .unwrap_or(scrape.deadline);
        let (flight, is_ours) = {
            let mut under_way = lock(&self.flight);
            match under_way.as_ref() {
                Some(flight) => (Arc::clone(flight), false),
                None => {
                    let flight = Arc::new(Flight::default());
                    *under_way = Some(Arc::clone(&flight));
                    (flight, true)
                }
            }
        };
        let page = if is_ours {
            let mut landing = Landing {
                node: self,
                flight: &flight,
                page: None,
            };
            let page = Arc::new(self.scrape(deadline));
            landing.page = Some(Arc::clone(&page));
            drop(landing);
            page
        } else {
            let mut landed = lock(&flight.landed);
            loop {
                if let Some(page) = landed.as_ref() {
                    break Arc::clone(page);
                }
                let left = scrape.remaining(Duration::from_millis(50));
                if left.is_zero() {
                    drop(landed);
                    let late = JolokiaError::Deadline;
                    out.extend([
                        Family::single(&UP, 0.0),
                        Family::single(&COMPLETE, 0.0),
                        reasons(Some(late.reason())),
                    ]);
                    return Err(CollectError::failed(late));
                }
                let waited = flight.bell.wait_timeout(landed, left);
                landed = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        };
        // Nobody else holds it but those who share it.
        let (families, failure) = match Arc::try_unwrap(page) {
            Ok(page) => (page.families, page.failure),
            Err(page) => (page.families.clone(), page.failure.clone()),
        };
        out.extend(families);
        match failure {
            None => Ok(()),
            Some(error) => Err(CollectError::failed(error)),
        }
    }
}

/// A scrape while it reads.
struct Reading<'a> {
    node: &'a Node,
    deadline: Instant,
    families: Vec<Family>,
    is_up: bool,
    fine: usize,
    missing: usize,
    failed: usize,
    /// By the plan's index.
    made: Vec<Vec<Metric>>,
    plan: Option<Arc<Plan>>,
}

/// An element of a bulk.
struct Slot<'a> {
    shape: &'a Shape,
    labels: Labels,
    part: Part,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Whole,
    /// A distribution whose sum follows.
    First,
    /// The sum of the one before.
    Sum,
}

const COUNT: &[&str] = &["Count"];

impl<'a> Reading<'a> {
    const fn new(node: &'a Node, deadline: Instant) -> Self {
        Self {
            node,
            deadline,
            families: Vec::new(),
            is_up: false,
            fine: 0,
            missing: 0,
            failed: 0,
            made: Vec::new(),
            plan: None,
        }
    }

    async fn all(&mut self) -> Result<(), JolokiaError> {
        let session = self.node.jolokia.session(self.deadline)?;
        let ring = self.basics(&session).await?;
        let plan = self.plan(&session, ring).await?;
        self.made.resize_with(plan.families.len(), Vec::new);
        let result = self.beans(&session, &plan).await;
        if self.missing > 0 {
            lock(&self.node.known).is_stale = true;
        }
        result
    }

    /// What there is on every node, whatever its schema.
    async fn basics(&mut self, session: &Session<'_>) -> Result<Ring, JolokiaError> {
        let mut bulk = Bulk::new();
        ring::ask(&mut bulk);
        activity::ask(&mut bulk);
        jvm::ask(&mut bulk);
        let mut answers = vec![Tree::None; bulk.len()];
        let (mut fine, mut failed) = (0, 0);
        let end = session
            .ask(
                bulk,
                |_| Want::Tree,
                |at, status, got| match (status, got, answers.get_mut(at)) {
                    (Status::Fine, Some(Got::Tree(tree)), Some(place)) => {
                        *place = tree;
                        fine += 1;
                    }
                    // Not every version has all of them.
                    (Status::Missing, ..) => {}
                    _ => failed += 1,
                },
            )
            .await;
        self.fine += fine;
        self.failed += failed;
        // Half an answer is an answer: what came of it is shown.
        self.is_up = fine > 0;
        let (ring, rest) = answers.split_at(ring::ASKED);
        let (activity, jvm) = rest.split_at(activity::ASKED);
        debug_assert_eq!(jvm.len(), jvm::ASKED, "as many as were asked for");
        let ring = ring::families(ring, &mut self.families);
        activity::families(activity, &mut self.families);
        jvm::families(jvm, &mut self.families);
        end?;
        Ok(ring)
    }

    async fn plan(&mut self, session: &Session<'_>, ring: Ring) -> Result<Arc<Plan>, JolokiaError> {
        let (known, is_stale) = {
            let known = lock(&self.node.known);
            (known.plan.clone(), known.is_stale)
        };
        let age = |plan: &Plan| plan.made.elapsed();
        let holds = |plan: &&Arc<Plan>| {
            plan.schema_version == ring.schema_version
                && plan.endpoints == ring.endpoints
                && age(plan) < self.node.settings.discovery_interval
                && !(is_stale && age(plan) > REDISCOVER)
        };
        if let Some(plan) = known.as_ref().filter(holds) {
            self.plan = Some(Arc::clone(plan));
            return Ok(Arc::clone(plan));
        }
        let settings = &self.node.settings;
        let found = Plan::find(session, settings, &ring.schema_version, ring.endpoints).await;
        let found = match (found, known) {
            (Ok(found), _) => Arc::new(found),
            // What was known is better than nothing, if there is time left for it.
            (Err(_), Some(known)) if Instant::now() < self.deadline => {
                self.plan = Some(Arc::clone(&known));
                return Ok(known);
            }
            (Err(error), _) => return Err(error),
        };
        let mut known = lock(&self.node.known);
        known.plan = Some(Arc::clone(&found));
        known.slow = None;
        known.is_stale = false;
        known.discoveries += 1;
        self.plan = Some(Arc::clone(&found));
        Ok(found)
    }

    async fn beans(&mut self, session: &Session<'_>, plan: &Plan) -> Result<(), JolokiaError> {
        let mut chunk = Chunk::new();
        for target in &plan.beans {
            chunk.target(target);
            self.send_full(session, &mut chunk).await?;
        }
        for table in &plan.tables {
            for column in &plan.rows {
                chunk.column(column, table);
                self.send_full(session, &mut chunk).await?;
            }
        }
        self.send(session, &mut chunk).await?;
        let kept = lock(&self.node.known).slow.is_some();
        if kept {
            return Ok(());
        }
        let before: Vec<_> = self.made.iter().map(Vec::len).collect();
        for target in &plan.slow {
            chunk.target(target);
            self.send_full(session, &mut chunk).await?;
        }
        for table in &plan.tables {
            for column in &plan.slow_rows {
                chunk.column(column, table);
                self.send_full(session, &mut chunk).await?;
            }
        }
        self.send(session, &mut chunk).await?;
        let mut slow = Vec::new();
        for (family, (metrics, before)) in self.made.iter_mut().zip(before).enumerate() {
            slow.extend(metrics.drain(before..).map(|it| (family, it)));
        }
        lock(&self.node.known).slow = Some(slow);
        Ok(())
    }

    async fn send_full<'p>(
        &mut self,
        session: &Session<'_>,
        chunk: &mut Chunk<'p>,
    ) -> Result<(), JolokiaError> {
        if chunk.slots.len() < self.node.settings.bulk {
            return Ok(());
        }
        self.send(session, chunk).await
    }

    async fn send<'p>(
        &mut self,
        session: &Session<'_>,
        chunk: &mut Chunk<'p>,
    ) -> Result<(), JolokiaError> {
        let Chunk { bulk, slots } = std::mem::replace(chunk, Chunk::new());
        // A distribution waits here for its sum.
        let mut waiting: Option<Found> = None;
        session
            .ask(
                bulk,
                |at| slots.get(at).map_or(Want::Counts, Slot::want),
                |at, status, got| {
                    match status {
                        Status::Fine => self.fine += 1,
                        Status::Missing => self.missing += 1,
                        Status::Failed => self.failed += 1,
                    }
                    let Some(slot) = slots.get(at) else { return };
                    match (slot.part, got) {
                        (Part::First, Some(Got::Numbers(found))) => waiting = Some(found),
                        (Part::First, _) => waiting = None,
                        (Part::Sum, got) => {
                            let sum = match got {
                                Some(Got::Numbers([sum, ..])) => sum,
                                _ => None,
                            };
                            if let Some(found) = waiting.take() {
                                self.distribution(slot, &found, sum);
                            }
                        }
                        (Part::Whole, Some(got)) => self.take(slot, got),
                        (Part::Whole, None) => {}
                    }
                },
            )
            .await
    }

    fn push(&mut self, slot: &Slot<'_>, labels: Labels, value: Value) {
        if let Some(metrics) = self.made.get_mut(slot.shape.family) {
            metrics.push(Metric::new(labels, value));
        }
    }

    fn take(&mut self, slot: &Slot<'_>, got: Got) {
        let shape = slot.shape;
        match (shape.source, got) {
            (Source::Distribution, Got::Numbers(found)) => self.distribution(slot, &found, None),
            (_, Got::Numbers([Some(number), ..])) if shape.none != Some(number) => {
                let value = Value::Number(scaled(number, shape.unit));
                self.push(slot, slot.labels.clone(), value);
            }
            (Source::Buckets, Got::Counts(counts)) => {
                let made = match self.node.settings.histograms {
                    Histograms::Classic => histogram::classic(&counts),
                    Histograms::Native => histogram::native(&counts),
                    Histograms::Off => None,
                };
                if let Some(made) = made {
                    let value = Value::Histogram(Box::new(made));
                    self.push(slot, slot.labels.clone(), value);
                }
            }
            (Source::Map(label), Got::Map(entries)) => {
                for (key, number) in entries.into_iter().take(MAX_ENTRIES) {
                    let mut labels = slot.labels.clone();
                    if labels.set(label, key).is_ok() {
                        let value = Value::Number(scaled(number, shape.unit));
                        self.push(slot, labels, value);
                    }
                }
            }
            _ => {}
        }
    }

    fn distribution(&mut self, slot: &Slot<'_>, found: &Found, sum: Option<f64>) {
        let unit = slot.shape.unit;
        let [Some(count), values @ ..] = found else {
            return;
        };
        let quantiles = self.node.settings.quantiles.iter().zip(values);
        let quantiles = quantiles.filter_map(|(Quantile { of, .. }, value)| {
            let value = (*value)?;
            Some((*of, scaled(value, unit)))
        });
        let summary = Summary {
            quantiles: quantiles.collect(),
            sum: sum.map(|it| scaled(it, unit)),
            count: *count,
        };
        self.push(slot, slot.labels.clone(), Value::Summary(Box::new(summary)));
    }

    /// Everything that came, and how it went.
    fn page(mut self, failure: Option<JolokiaError>) -> Page {
        let mut known = lock(&self.node.known);
        if let Some(plan) = &self.plan {
            let made = std::mem::take(&mut self.made);
            let mut families: Vec<_> = plan.families.iter().map(|it| it.empty()).collect();
            for (family, metrics) in families.iter_mut().zip(made) {
                if let Some(family) = family {
                    family.metrics = metrics;
                }
            }
            for (family, metric) in known.slow.iter().flatten() {
                if let Some(Some(family)) = families.get_mut(*family) {
                    family.metrics.push(metric.clone());
                }
            }
            self.families.extend(families.into_iter().flatten());
            let counts = plan.counts;
            known.omitted = known.omitted.saturating_add(counts.omitted as u64);
            self.tables(counts, plan.made.elapsed());
        }
        let mut reads = Family::of(&READS);
        for (result, count) in [
            ("fine", self.fine),
            ("missing", self.missing),
            ("failed", self.failed),
        ] {
            #[expect(clippy::cast_precision_loss, reason = "there are not so many")]
            reads.push(&[result], count as f64);
        }
        let reason = failure.as_ref().map(JolokiaError::reason);
        let failures = reasons(reason);
        #[expect(clippy::cast_precision_loss, reason = "there are not so many")]
        self.families.extend([
            Family::single(&UP, f64::from(u8::from(self.is_up))),
            Family::single(&COMPLETE, f64::from(u8::from(failure.is_none()))),
            Family::single(&OMITTED, known.omitted as f64),
            Family::single(&DISCOVERIES, known.discoveries as f64),
            reads,
            failures,
        ]);
        let failure = failure.map(|error| daemon::chain(&error).to_string());
        let last = reason.map_or(Last::Fine, Last::Failed);
        if known.last != last {
            match &failure {
                Some(error) => tracing::warn!(
                    up = self.is_up,
                    reason = reason.unwrap_or_default(),
                    error,
                    "the node cannot be read, or not all of it"
                ),
                None => tracing::info!("the node can be read"),
            }
            known.last = last;
        }
        Page {
            families: self.families,
            failure,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "there are not so many")]
    fn tables(&mut self, counts: TableCounts, age: Duration) {
        let mut tables = Family::of(&TABLES);
        for (state, count) in [
            ("read", counts.read),
            ("filtered", counts.filtered),
            ("omitted", counts.omitted),
        ] {
            tables.push(&[state], count as f64);
        }
        self.families.push(tables);
        self.families
            .push(Family::single(&DISCOVERY_AGE, age.as_secs_f64()));
    }
}

/// Every reason, and which one it is.
fn reasons(reason: Option<&str>) -> Family {
    let mut family = Family::of(&FAILURE);
    for known in JolokiaError::REASONS {
        family.push(&[known], f64::from(u8::from(reason == Some(*known))));
    }
    family
}

/// Entries of a map that are shown.
const MAX_ENTRIES: usize = 200;

/// Division by a power of ten gives the nearest number, and multiplication by its inverse does not: 3 ms are 0.003 s.
fn scaled(number: f64, unit: f64) -> f64 {
    if unit >= 1.0 {
        return number * unit;
    }
    number / (1.0 / unit).round()
}

/// What is asked for in one call.
struct Chunk<'p> {
    bulk: Bulk,
    slots: Vec<Slot<'p>>,
}

impl<'p> Chunk<'p> {
    fn new() -> Self {
        Self {
            bulk: Bulk::new(),
            slots: Vec::new(),
        }
    }

    fn target(&mut self, target: &'p Target) {
        let shape = &target.shape;
        self.bulk.read_parts(&[&target.bean], &shape.json);
        let labels = target.labels.clone();
        self.slot(shape, labels, target.total.is_some());
        if let Some(total) = &target.total {
            self.bulk.read_parts(&[total], "\"Count\"");
        }
    }

    fn column(&mut self, column: &'p Column, table: &'p crate::plan::Table) {
        let (keyspace, name) = (&table.keyspace, &table.table);
        let bean = |metric| {
            [
                "org.apache.cassandra.metrics:type=Table,keyspace=",
                keyspace,
                ",scope=",
                name,
                ",name=",
                metric,
            ]
        };
        let shape = &column.shape;
        self.bulk.read_parts(&bean(column.name), &shape.json);
        let mut labels = table.labels.clone();
        if let Some((label, value)) = column.fixed {
            // Names in tables of rows are names of labels.
            drop(labels.set(label, value));
        }
        self.slot(shape, labels, column.total.is_some());
        if let Some(total) = column.total {
            self.bulk.read_parts(&bean(total), "\"Count\"");
        }
    }

    fn slot(&mut self, shape: &'p Shape, labels: Labels, has_sum: bool) {
        let slot = |labels, part| Slot {
            shape,
            labels,
            part,
        };
        if has_sum {
            self.slots.push(slot(Labels::EMPTY, Part::First));
            self.slots.push(slot(labels, Part::Sum));
        } else {
            self.slots.push(slot(labels, Part::Whole));
        }
    }
}

impl<'p> Slot<'p> {
    fn want(&self) -> Want<'p> {
        match (self.part, self.shape.source) {
            (Part::Sum, _) => Want::Numbers(COUNT),
            (_, Source::Buckets) => Want::Counts,
            (_, Source::Map(_)) => Want::Map,
            _ => Want::Numbers(&self.shape.attributes),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
