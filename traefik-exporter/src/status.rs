//! The status of one Traefik, from its API, with every scrape: the large answer on one connection while the small ones come on another.
//!
//! An answer that is byte for byte the one before is not read again: what was made of it is shown again. With thousands of routers that is
//! half of a scrape's work, and nothing changes for hours.

mod certificates;
mod routers;
mod show;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family, Kind};

pub(crate) use self::routers::Routers;
use crate::{
    api::{
        Access, Api, ApiError, Session,
        facts::{Certificate, EntryPoint, Overview, Version},
        rawdata,
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
    max_objects: usize,
    files: Files,
    /// Routers that answer HTTP, when somebody wants to know them.
    routers: Option<Arc<Mutex<Option<Known>>>>,
    /// Held by the scrape that asks: several at a time would cost Traefik and us as much as there are of them.
    turn: tokio::sync::Mutex<Option<Made>>,
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

/// What was made of answers.
struct Made {
    rawdata: Vec<u8>,
    certificates: Option<Vec<u8>>,
    /// Merged and sorted, so that sorting them again is quick.
    families: Vec<Family>,
    /// What Traefik has from files, when that is asked for and all of it is known.
    loaded: Option<BTreeSet<files::Key>>,
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
    pub(crate) fn new(access: Access, max_objects: usize, files: Files) -> Result<Self, ApiError> {
        Ok(Self {
            files,
            routers: None,
            api: Arc::new(Api::new(access)?),
            max_objects,
            turn: tokio::sync::Mutex::new(None),
            last: Mutex::new(Last::default()),
        })
    }

    /// The routers that answer HTTP, from now on.
    pub(crate) fn routers(&mut self) -> Routers {
        let found = Arc::clone(self.routers.get_or_insert_default());
        Routers::new(Arc::clone(&self.api), self.max_objects, found)
    }

    /// Asks for everything and shows what came. True when that is routers, services and middlewares, and why it is not all.
    async fn ask(&self, deadline: Instant, out: &mut Vec<Family>) -> (bool, Result<(), ApiError>) {
        let turn = tokio::time::timeout_at(deadline.into(), self.turn.lock()).await;
        let Ok(mut made) = turn else {
            return (false, Err(ApiError::Deadline(RAWDATA)));
        };
        let session = match self.api.session(deadline) {
            Ok(session) => session,
            Err(error) => return (false, Err(error)),
        };
        let (large, (small, told)) = tokio::join!(session.get(RAWDATA), small(&session));
        show::facts(
            small.version.as_ref(),
            small.overview.as_ref(),
            small.entry_points.as_deref().unwrap_or_default(),
            out,
        );
        let shown =
            large.and_then(|rawdata| self.show(&mut made, rawdata, small.certificates, out));
        let loaded = made.as_ref().and_then(|it| it.loaded.as_ref());
        self.files.compare(loaded.filter(|_| shown.is_ok()), out);
        match shown {
            Ok(of_certificates) => (true, told.and(of_certificates)),
            Err(error) => (false, Err(error)),
        }
    }

    /// Shows the large answer, and certificates, which are good for nothing without it. The inner result is the certificates'.
    fn show(
        &self,
        made: &mut Option<Made>,
        rawdata: Vec<u8>,
        certificates: Option<Vec<u8>>,
        out: &mut Vec<Family>,
    ) -> Result<Result<(), ApiError>, ApiError> {
        if let Some(made) = made
            && made.rawdata == rawdata
            && made.certificates == certificates
        {
            out.extend_from_slice(&made.families);
            return Ok(Ok(()));
        }
        // Not in memory twice.
        *made = None;
        let data = rawdata::read(&rawdata, self.max_objects);
        let data = data.map_err(|source| ApiError::Answer {
            path: RAWDATA,
            source,
        })?;
        let mut families = vec![Family::single(&ANSWER_BYTES, count(rawdata.len()))];
        show::data(&data, self.max_objects, &mut families);
        let listed = certificates
            .as_deref()
            .map(serde_json::from_slice::<Vec<Certificate>>);
        let listed = listed.transpose().map_err(|source| ApiError::Answer {
            path: CERTIFICATES,
            source,
        });
        let is_fine = listed.map(|it| {
            if let Some(listed) = it {
                certificates::families(&listed, &data, self.max_objects, &mut families);
            }
        });
        let loaded = (!self.files.are_none())
            .then(|| files::loaded(&data))
            .flatten();
        if let Some(place) = &self.routers {
            let routers = Arc::new(show::routers(&data));
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(routers);
        }
        drop(data);
        // Of two with one name, one is shown: no more can be.
        let (families, _conflicts) = exposition::gather(families);
        out.extend_from_slice(&families);
        *made = Some(Made {
            rawdata,
            // What could not be read is tried anew, so that it is told anew.
            certificates: certificates.filter(|_| is_fine.is_ok()),
            families,
            loaded,
        });
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

/// The small answers, in turn. One that cannot be had does not keep the others from coming, unless there is no time.
async fn small(session: &Session<'_>) -> (Small, Result<(), ApiError>) {
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
    match session.json("/api/overview").await {
        Ok(overview) => answers.overview = Some(overview),
        Err(error) => note(error),
    }
    match session.json("/api/entrypoints").await {
        Ok(entry_points) => answers.entry_points = Some(entry_points),
        Err(error) => note(error),
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
        let margin = MARGIN.min(scrape.remaining(Duration::ZERO) / 4);
        let deadline = scrape
            .deadline
            .checked_sub(margin)
            .unwrap_or(scrape.deadline);
        let asked = self.ask(deadline, out);
        let (is_up, result) = tokio::runtime::Handle::current().block_on(asked);
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
