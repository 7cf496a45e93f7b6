//! The status of one Traefik, from its API, with every scrape: the large answer on one connection while the small ones come on another.

mod certificates;
mod show;

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family, Kind};

use crate::api::{
    Access, Api, ApiError, Session,
    facts::{Certificate, EntryPoint, Overview, Version},
    rawdata::{self, RawData},
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
    api: Api,
    max_objects: usize,
    /// Held by the scrape that asks: several at a time would cost Traefik and us as much as there are of them.
    turn: tokio::sync::Mutex<()>,
    last: Mutex<Last>,
}

/// How the last scrape went: a change is worth a line in the log.
#[derive(Default, PartialEq, Eq, Clone, Copy)]
enum Last {
    #[default]
    Unknown,
    Fine,
    Failed(&'static str),
}

/// What came. What did not is None.
#[derive(Default)]
struct Answers {
    data: Option<RawData>,
    size: usize,
    version: Option<Version>,
    overview: Option<Overview>,
    entry_points: Option<Vec<EntryPoint>>,
    certificates: Option<Vec<Certificate>>,
}

const RAWDATA: &str = "/api/rawdata";

impl Status {
    pub(crate) fn new(access: Access, max_objects: usize) -> Result<Self, ApiError> {
        Ok(Self {
            api: Api::new(access)?,
            max_objects,
            turn: tokio::sync::Mutex::new(()),
            last: Mutex::new(Last::default()),
        })
    }

    async fn ask(&self, deadline: Instant) -> (Answers, Result<(), ApiError>) {
        let mut answers = Answers::default();
        let turn = tokio::time::timeout_at(deadline.into(), self.turn.lock()).await;
        let Ok(_turn) = turn else {
            return (answers, Err(ApiError::Deadline(RAWDATA)));
        };
        let session = match self.api.session(deadline) {
            Ok(session) => session,
            Err(error) => return (answers, Err(error)),
        };
        let (large, small) = tokio::join!(session.get(RAWDATA), small(&session, &mut answers));
        let large = large.and_then(|body| {
            answers.size = body.len();
            let data = rawdata::read(&body, self.max_objects);
            let data = data.map_err(|source| ApiError::Answer {
                path: RAWDATA,
                source,
            })?;
            answers.data = Some(data);
            Ok(())
        });
        (answers, large.and(small))
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

/// The small answers, in turn. One that cannot be had does not keep the others from coming, unless there is no time.
async fn small(session: &Session<'_>, answers: &mut Answers) -> Result<(), ApiError> {
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
    match session.json("/api/overview").await {
        Ok(overview) => answers.overview = Some(overview),
        Err(error) => note(error),
    }
    match session.json("/api/entrypoints").await {
        Ok(entry_points) => answers.entry_points = Some(entry_points),
        Err(error) => note(error),
    }
    match session.json("/api/certificates").await {
        Ok(certificates) => answers.certificates = Some(certificates),
        // Versions before 3.6.17 have none.
        Err(ApiError::NotFound(_)) => {}
        Err(error) => note(error),
    }
    first
}

impl Collector for Status {
    fn name(&self) -> &'static str {
        "status"
    }

    fn collect(&self, scrape: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let margin = MARGIN.min(scrape.remaining(Duration::ZERO) / 4);
        let deadline = scrape
            .deadline
            .checked_sub(margin)
            .unwrap_or(scrape.deadline);
        let asked = self.ask(deadline);
        let (answers, result) = tokio::runtime::Handle::current().block_on(asked);
        let is_up = answers.data.is_some();
        let reason = result.as_ref().err().map(ApiError::reason);
        let mut failures = Family::of(&FAILURE);
        for known in ApiError::REASONS {
            failures.push(&[known], number(reason == Some(*known)));
        }
        out.extend([
            Family::single(&UP, number(is_up)),
            Family::single(&COMPLETE, number(result.is_ok())),
            failures,
        ]);
        if let Some(data) = &answers.data {
            out.push(Family::single(&ANSWER_BYTES, count(answers.size)));
            show::data(data, self.max_objects, out);
        }
        show::facts(
            answers.version.as_ref(),
            answers.overview.as_ref(),
            answers.entry_points.as_deref().unwrap_or_default(),
            out,
        );
        if let Some(certificates) = &answers.certificates {
            certificates::families(certificates, answers.data.as_ref(), self.max_objects, out);
        }
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
