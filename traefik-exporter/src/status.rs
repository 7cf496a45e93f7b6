//! The status of one Traefik, from its API, with every scrape: the large answer on one connection while the small ones come on another.
//!
//! What stays the same is not made again: of an answer that is byte for byte the one before nothing, and of another one what differs. With
//! thousands of routers that is most of a scrape's work, and nothing changes for hours.

mod certificates;
mod routers;
mod show;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use daemon::{CollectError, Collector, Kept, Scrape, Shown};
use exposition::{Desc, Family, Kind, Labels};
use jiff::Timestamp;
use tokio::runtime::Runtime;

pub(crate) use self::routers::Routers;
use crate::{
    api::{
        Access, Api, ApiError, Session,
        facts::{Certificate, EntryPoint, Overview, Version},
        rawdata::{self, RawData},
    },
    files::{self, Files},
    passthrough::Known,
};

const UP: Desc = Desc::new(
    "traefik_up",
    Kind::Gauge,
    "Whether Traefik told its routers, services and middlewares.",
);
const COMPLETE: Desc = Desc::new(
    "traefik_scrape_complete",
    Kind::Gauge,
    "Whether everything that was asked for came before the deadline.",
);
const FAILURE: Desc = Desc::new(
    "traefik_scrape_failure",
    Kind::Gauge,
    "Why the last scrape is not complete: 1 for the reason, 0 for the others that there are.",
)
.labels(&["reason"]);
const ANSWER_BYTES: Desc = Desc::new(
    "traefik_api_answer_bytes",
    Kind::Gauge,
    "The size of the answer that has the routers, services and middlewares.",
);

#[cfg(test)]
pub(crate) fn descs() -> impl Iterator<Item = &'static Desc> {
    const DESCS: &[Desc] = &[UP, COMPLETE, FAILURE, ANSWER_BYTES];
    [DESCS, show::DESCS, certificates::DESCS]
        .into_iter()
        .flatten()
}

/// Kept of a scrape's time for making a page of what came.
const MARGIN: Duration = Duration::from_millis(250);

/// One Traefik, as a collector.
pub(crate) struct Status {
    api: Arc<Api>,
    /// Its own, which turns on the thread that scrapes: megabytes that come in many pieces would wake another one for each. None when
    /// it ends.
    runtime: Option<Runtime>,
    max_objects: usize,
    files: Files,
    /// Routers that answer HTTP, when somebody wants to know them.
    routers: Option<Arc<Mutex<Option<Known>>>>,
    /// Held by the scrape that asks: several at a time would cost Traefik and us as much as there are of them.
    turn: tokio::sync::Mutex<Turn>,
    last: Mutex<Last>,
}

/// Why there is no status to be asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error("cannot make an event loop")]
    Runtime(#[from] io::Error),
}

/// How the last scrape went: a change is worth a line in the log.
#[derive(Default, PartialEq, Eq, Clone, Copy)]
enum Last {
    #[default]
    Unknown,
    Fine,
    Failed(&'static str),
}

/// What scrapes hand on to each other.
#[derive(Default)]
struct Turn {
    made: Option<Made>,
    fixed: Option<Fixed>,
    /// Memory for an answer, of the one before the last.
    spare: Vec<u8>,
}

/// What was made of answers.
#[derive(Default)]
struct Made {
    rawdata: Vec<u8>,
    certificates: Option<Vec<u8>>,
    data: RawData,
    families: Vec<Pair>,
    /// What Traefik has from files, when that is asked for and all of it is known.
    loaded: Option<BTreeSet<files::Key>>,
}

/// A family as it was made, and as it is shown.
struct Pair {
    made: Family,
    shown: Arc<Kept>,
}

/// What Traefik reads when it starts: it is asked for once, until it starts again.
struct Fixed {
    start: Timestamp,
    overview: Overview,
    entry_points: Vec<EntryPoint>,
}

/// The small answers. What did not come is None.
#[derive(Default)]
struct Small {
    version: Option<Version>,
    overview: Option<Overview>,
    entry_points: Option<Vec<EntryPoint>>,
    certificates: Option<Vec<u8>>,
}

const RAWDATA: &str = "/api/rawdata";
const CERTIFICATES: &str = "/api/certificates";

impl Status {
    pub(crate) fn new(
        access: Access,
        max_objects: usize,
        files: Files,
    ) -> Result<Self, StartError> {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        Ok(Self {
            runtime: Some(runtime.enable_all().build()?),
            files,
            routers: None,
            api: Arc::new(Api::new(access)?),
            max_objects,
            turn: tokio::sync::Mutex::default(),
            last: Mutex::new(Last::default()),
        })
    }

    /// The routers that answer HTTP, from now on.
    pub(crate) fn routers(&mut self) -> Routers {
        let found = Arc::clone(self.routers.get_or_insert_default());
        Routers::new(Arc::clone(&self.api), self.max_objects, found)
    }

    /// Asks for everything and shows what came. True when that is routers, services and middlewares, and why it is not all.
    async fn ask(&self, deadline: Instant, out: &mut Shown) -> (bool, Result<(), ApiError>) {
        let turn = tokio::time::timeout_at(deadline.into(), self.turn.lock()).await;
        let Ok(mut turn) = turn else {
            return (false, Err(ApiError::Deadline(RAWDATA)));
        };
        let session = match self.api.session(deadline) {
            Ok(session) => session,
            Err(error) => return (false, Err(error)),
        };
        // Nothing has looked after the connections since the last scrape. Once round the event loop it is heard which of them Traefik has
        // closed, and once more those are given up, before one of them is used.
        for _ in 0..2 {
            tokio::task::yield_now().await;
        }
        let spare = std::mem::take(&mut turn.spare);
        let large = session.get_into(RAWDATA, spare);
        let (large, (small, told)) = tokio::join!(large, small(&session, &mut turn.fixed));
        show::facts(
            small.version.as_ref(),
            small.overview.as_ref(),
            small.entry_points.as_deref().unwrap_or_default(),
            &mut out.families,
        );
        let shown =
            large.and_then(|rawdata| self.make(&mut turn, rawdata, small.certificates, out));
        let loaded = turn.made.as_ref().and_then(|it| it.loaded.as_ref());
        self.files
            .compare(loaded.filter(|_| shown.is_ok()), &mut out.families);
        match shown {
            Ok(of_certificates) => (true, told.and(of_certificates)),
            Err(error) => (false, Err(error)),
        }
    }

    /// Makes metrics of the large answer, and of certificates, which are good for nothing without it. The inner result is the certificates'.
    fn make(
        &self,
        turn: &mut Turn,
        rawdata: Vec<u8>,
        certificates: Option<Vec<u8>>,
        out: &mut Shown,
    ) -> Result<Result<(), ApiError>, ApiError> {
        let is_same = |it: &Made| it.rawdata == rawdata && it.certificates == certificates;
        if let Some(made) = turn.made.as_ref().filter(|it| is_same(it)) {
            made.show(out);
            turn.spare = rawdata;
            return Ok(Ok(()));
        }
        let old = turn.made.take().unwrap_or_default();
        let data = rawdata::read_again(&rawdata, self.max_objects, &old.rawdata, old.data);
        turn.spare = old.rawdata;
        let mut data = data.map_err(|source| ApiError::Answer {
            path: RAWDATA,
            source,
        })?;
        let mut families = vec![Family::single(&ANSWER_BYTES, count(rawdata.len()))];
        show::data(&mut data, self.max_objects, &mut families);
        let listed = certificates
            .as_deref()
            .map(serde_json::from_slice::<Vec<Certificate>>);
        let listed = listed.transpose().map_err(|source| ApiError::Answer {
            path: CERTIFICATES,
            source,
        });
        let is_fine = listed.map(|it| {
            if let Some(listed) = it {
                certificates::families(&listed, &mut data, self.max_objects, &mut families);
            }
        });
        let loaded = (!self.files.are_none())
            .then(|| files::loaded(&data))
            .flatten();
        if let Some(place) = &self.routers {
            let routers = Arc::new(show::routers(&data));
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(routers);
        }
        let made = Made {
            rawdata,
            // What could not be read is tried anew, so that it is told anew.
            certificates: certificates.filter(|_| is_fine.is_ok()),
            data,
            families: pairs(families, old.families),
            loaded,
        };
        made.show(out);
        turn.made = Some(made);
        Ok(is_fine)
    }

    fn log(&self, failure: Option<(&'static str, &str)>, is_up: bool) {
        let last = failure.map_or(Last::Fine, |it| Last::Failed(it.0));
        let mut known = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if *known == last {
            return;
        }
        match failure {
            Some((reason, error)) => {
                tracing::warn!(
                    up = is_up,
                    reason,
                    error,
                    "Traefik's API cannot be read, or not all of it"
                );
            }
            None => tracing::info!("Traefik's API can be read"),
        }
        *known = last;
    }
}

impl Drop for Status {
    fn drop(&mut self) {
        // It is dropped where nothing may wait, as for the end of an event loop.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Made {
    fn show(&self, out: &mut Shown) {
        out.kept
            .extend(self.families.iter().map(|it| Arc::clone(&it.shown)));
    }
}

/// What is made of families; of one that was made before, nothing anew.
fn pairs(families: Vec<Family>, old: Vec<Pair>) -> Vec<Pair> {
    let mut old: BTreeMap<_, _> = old
        .into_iter()
        .map(|it| (it.made.name().to_owned(), it))
        .collect();
    let mut merged: BTreeMap<String, Family> = BTreeMap::new();
    for mut family in families {
        match merged.get_mut(family.name()) {
            Some(first) => first.metrics.append(&mut family.metrics),
            None => drop(merged.insert(family.name().to_owned(), family)),
        }
    }
    let pair = |(name, made): (String, Family)| match old.remove(&name) {
        Some(pair) if are_equal(&pair.made, &made) => pair,
        _ => Pair {
            shown: Kept::new(made.clone()),
            made,
        },
    };
    merged.into_iter().map(pair).collect()
}

fn are_equal(a: &Family, b: &Family) -> bool {
    let mut both = a.metrics.iter().zip(&b.metrics);
    a.metrics.len() == b.metrics.len()
        && both.all(|(a, b)| {
            a.value == b.value && (are_one(&a.labels, &b.labels) || a.labels == b.labels)
        })
}

/// Whether two sets of labels are one in memory, as they are for an object that has not changed. No two texts of theirs are in one place
/// but empty ones.
fn are_one(a: &Labels, b: &Labels) -> bool {
    let mut values = a.iter().zip(b.iter()).map(|(a, b)| (a.1, b.1));
    let texts = values.find(|it| !it.0.is_empty());
    a.len() == b.len() && texts.is_some_and(|(a, b)| std::ptr::eq(a, b))
}

/// The small answers, in turn. One that cannot be had does not keep the others from coming, unless there is no time.
async fn small(session: &Session<'_>, fixed: &mut Option<Fixed>) -> (Small, Result<(), ApiError>) {
    let mut answers = Small::default();
    let mut first = Ok(());
    let mut note = |error: ApiError| {
        if first.is_ok() {
            first = Err(error);
        }
    };
    match session.json("/api/version").await {
        Ok(version) => answers.version = Some(version),
        Err(error) => note(error),
    }
    let start = answers.version.as_ref().and_then(|it| it.start);
    if let Some(known) = fixed.as_ref().filter(|it| Some(it.start) == start) {
        answers.overview = Some(known.overview.clone());
        answers.entry_points = Some(known.entry_points.clone());
    } else {
        match session.json("/api/overview").await {
            Ok(overview) => answers.overview = Some(overview),
            Err(error) => note(error),
        }
        match session.json("/api/entrypoints").await {
            Ok(entry_points) => answers.entry_points = Some(entry_points),
            Err(error) => note(error),
        }
        let both = answers.overview.clone().zip(answers.entry_points.clone());
        *fixed = start
            .zip(both)
            .map(|(start, (overview, entry_points))| Fixed {
                start,
                overview,
                entry_points,
            });
    }
    match session.get(CERTIFICATES).await {
        Ok(certificates) => answers.certificates = Some(certificates),
        // Versions before 3.6.17 have none.
        Err(ApiError::NotFound(_)) => {}
        Err(error) => note(error),
    }
    (answers, first)
}

impl Collector for Status {
    fn name(&self) -> &'static str {
        "status"
    }

    fn collect(&self, scrape: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let mut shown = Shown::default();
        let result = self.show(scrape, &mut shown);
        out.append(&mut shown.families);
        out.extend(shown.kept.iter().map(|it| it.family().clone()));
        result
    }

    fn show(&self, scrape: &Scrape, out: &mut Shown) -> Result<(), CollectError> {
        let margin = MARGIN.min(scrape.remaining(Duration::ZERO) / 4);
        let deadline = scrape
            .deadline
            .checked_sub(margin)
            .unwrap_or(scrape.deadline);
        let Some(runtime) = &self.runtime else {
            return Err(CollectError::NoData);
        };
        let (is_up, result) = runtime.block_on(self.ask(deadline, out));
        let reason = result.as_ref().err().map(ApiError::reason);
        let mut failures = Family::of(&FAILURE);
        for known in ApiError::REASONS {
            failures.push(&[known], number(reason == Some(*known)));
        }
        out.families.extend([
            Family::single(&UP, number(is_up)),
            Family::single(&COMPLETE, number(result.is_ok())),
            failures,
        ]);
        let failure = result.err().map(|error| daemon::chain(&error).to_string());
        self.log(reason.zip(failure.as_deref()), is_up);
        failure.map_or(Ok(()), |error| Err(CollectError::failed(error)))
    }
}

const fn number(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of what fits into memory"
)]
const fn count(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use exposition::Family;

    use super::{pairs, rawdata, rawdata::RawData, show};

    /// Servers that change their minds, objects that come, go and change, services that are named and missing.
    struct Network {
        routers: Vec<(u32, u32)>,
        services: Vec<(u32, u32)>,
        state: u64,
    }

    impl Network {
        fn next(&mut self, below: u32) -> u32 {
            self.state = self
                .state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            u32::try_from(self.state >> 33).unwrap() % below
        }

        fn step(&mut self) {
            for _ in 0..self.next(4) {
                let (number, value) = (self.next(12), self.next(1000));
                let is_router = self.next(2) == 0;
                let how = self.next(4);
                let all = if is_router {
                    &mut self.routers
                } else {
                    &mut self.services
                };
                all.retain(|it| it.0 != number);
                if how > 0 {
                    all.push((number, value));
                    all.sort_unstable();
                }
            }
        }

        fn json(&mut self) -> String {
            let router = |(number, value): &(u32, u32)| {
                let status = ["enabled", "disabled", "warning"][*value as usize % 3];
                let error = if value % 3 == 0 {
                    ""
                } else {
                    ",\"error\":[\"e\"]"
                };
                format!(
                    r#""r{number:02}@f":{{"rule":"Host(`h{value}`)","service":"s{:02}","status":"{status}"{error}}}"#,
                    value % 14
                )
            };
            let service = |(number, value): &(u32, u32)| {
                let word = if value % 2 == 0 { "UP" } else { "DOWN" };
                let its = match value % 5 {
                    0 => format!(
                        r#""weighted":{{"services":[{{"name":"s{:02}"}}]}}"#,
                        value % 13
                    ),
                    1 => r#""loadBalancer":{"servers":[{"url":"u"}]}"#.to_owned(),
                    _ => format!(
                        r#""loadBalancer":{{"servers":[{{"url":"u"}},{{"url":"v{value}"}}],"healthCheck":{{}}}},"serverStatus":{{"u":"{word}","v{value}":"UP"}}"#
                    ),
                };
                format!(r#""s{number:02}@f":{{{its},"status":"enabled"}}"#)
            };
            let mut routers: Vec<_> = self.routers.iter().map(router).collect();
            let services: Vec<_> = self.services.iter().map(service).collect();
            let between = ["", "", " ", "\n\t"][self.next(4) as usize];
            if self.next(8) == 0 {
                routers.reverse();
            }
            let [routers, services] = [routers, services].map(|it| it.join(&format!(",{between}")));
            let [routers, services] = [("routers", routers), ("services", services)]
                .map(|(name, it)| format!(r#""{name}":{{{between}{it}}}"#));
            match self.next(16) {
                0 => format!("{{{services}}}"),
                1 => format!("{{{services},{routers}}}"),
                _ => format!("{{{routers},{between}{services}}}"),
            }
        }
    }

    fn shown(data: &mut RawData, max: usize) -> Vec<Family> {
        let mut families = Vec::new();
        show::data(data, max, &mut families);
        families
    }

    /// What is taken over from answer to answer is what would have been made anew.
    #[test]
    fn answers_one_after_another() {
        for max in [100, 7] {
            let mut network = Network {
                routers: Vec::new(),
                services: Vec::new(),
                state: 7,
            };
            let (mut before, mut data) = (String::new(), RawData::default());
            let mut known = Vec::new();
            let (mut kept, mut made) = (0, 0);
            for _ in 0..2_000 {
                network.step();
                let json = network.json();
                data = rawdata::read_again(json.as_bytes(), max, before.as_bytes(), data).unwrap();
                let mut fresh = rawdata::read(json.as_bytes(), max).unwrap();
                let families = shown(&mut data, max);
                assert_eq!(families, shown(&mut fresh, max), "{before}\n{json}");
                let old: Vec<_> = known
                    .iter()
                    .map(|it: &super::Pair| Arc::clone(&it.shown))
                    .collect();
                known = pairs(families.clone(), known);
                for pair in &known {
                    let (expect, _) = exposition::gather(vec![pair.made.clone()]);
                    assert_eq!(std::slice::from_ref(pair.shown.family()), expect);
                    let is_kept = old.iter().any(|it| Arc::ptr_eq(it, &pair.shown));
                    *if is_kept { &mut kept } else { &mut made } += 1;
                }
                before = json;
            }
            assert!(kept > made && made > 1_000, "{kept} {made}");
        }
    }
}
