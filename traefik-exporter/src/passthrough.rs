//! Traefik's own metrics through our port, changed while they pass.

mod rewrite;

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use daemon::{
    CollectError, Collector, Scrape,
    http::{self, Bytes, Handler, Method, Reply, ReplyBody, Request, StatusCode},
};
use exposition::{Desc, Family, Kind};
use tokio::sync::{Semaphore, mpsc};

use self::rewrite::Counts;
pub(crate) use self::rewrite::{Known, Rewrite, Rules};
use crate::{
    api::{Access, Api, ApiError},
    status::Routers,
};

const REQUESTS: Desc = Desc::new(
    "traefik_passthrough_requests_total",
    Kind::Counter,
    "Scrapes of Traefik's own metrics through us: whole, failed before they began, or broken off.",
)
.labels(&["result"]);
const BYTES: Desc = Desc::new(
    "traefik_passthrough_bytes_total",
    Kind::Counter,
    "Bytes of Traefik's own metrics, that came and that went.",
)
.labels(&["direction"]);
const SAMPLES: Desc = Desc::new(
    "traefik_passthrough_samples_total",
    Kind::Counter,
    "Samples of Traefik's own metrics: passed, filtered, merged into another, or no samples.",
)
.labels(&["result"]);
const OVERFLOW: Desc = Desc::new(
    "traefik_passthrough_overflow_samples_total",
    Kind::Counter,
    "Samples that were left out, as an answer has more series than --passthrough.max-series.",
);

#[cfg(test)]
pub(crate) const DESCS: &[Desc] = &[REQUESTS, BYTES, SAMPLES, OVERFLOW];

/// Bytes that leave together.
const PIECE: usize = 64 << 10;
/// How many may pass at a time.
const MAX_PASSING: usize = 4;
/// What Prometheus waits when it does not say.
const DEADLINE: f64 = 10.0;
/// A line that is no sample: of what broke off, Prometheus must not take a part for the whole.
const BROKEN: &[u8] = b"\n# Traefik's answer broke off.\n!\n";

/// What passes, and what is known of it.
pub(crate) struct Passthrough {
    api: Api,
    path: String,
    rules: Arc<Rules>,
    routers: Routers,
    passing: Arc<Semaphore>,
    totals: Arc<Mutex<Totals>>,
}

#[derive(Default, Clone, Copy)]
struct Totals {
    whole: u64,
    failed: u64,
    broken: u64,
    bytes_in: u64,
    bytes_out: u64,
    counts: Counts,
}

impl Passthrough {
    /// `routers` are to be there from the start.
    pub(crate) fn new(
        access: Access,
        path: String,
        rules: Rules,
        routers: Routers,
    ) -> Result<Self, ApiError> {
        Ok(Self {
            api: Api::new(access)?,
            path,
            rules: Arc::new(rules),
            routers,
            passing: Arc::new(Semaphore::new(MAX_PASSING)),
            totals: Arc::default(),
        })
    }

    /// What shows its counts.
    pub(crate) fn collector(&self) -> Box<dyn Collector> {
        Box::new(Shown(Arc::clone(&self.totals)))
    }

    async fn answer(&self, request: Request) -> Reply {
        if request.path() != self.path {
            return http::not_found();
        }
        if *request.method() != Method::GET {
            return http::method_not_allowed("GET");
        }
        let Ok(permit) = Arc::clone(&self.passing).try_acquire_owned() else {
            return http::text(
                StatusCode::SERVICE_UNAVAILABLE,
                "as many as may pass do so already\n",
            );
        };
        let wait = request.header("x-prometheus-scrape-timeout-seconds");
        let wait = wait.and_then(|it| it.trim().parse::<f64>().ok());
        let wait = wait
            .filter(|it| (0.1..60.0).contains(it))
            .unwrap_or(DEADLINE);
        let (begin, wait) = (Instant::now(), Duration::from_secs_f64(wait * 0.95));
        let open = async { self.api.session(begin + wait)?.open("").await };
        // Without them it is less, so that they may not take all of the time.
        let known = self.routers.known(begin + wait / 3);
        let (opened, known) = tokio::join!(open, known);
        let response = match opened {
            Ok(response) => response,
            Err(error) => {
                lock(&self.totals).failed += 1;
                let error = daemon::chain(&error).to_string();
                return http::text(StatusCode::BAD_GATEWAY, format!("{error}\n"));
            }
        };
        let (send, body) = ReplyBody::pieces();
        let (rules, totals) = (Arc::clone(&self.rules), Arc::clone(&self.totals));
        tokio::spawn(async move {
            let _permit = permit;
            let mut its = Totals::default();
            let mut rewrite = Rewrite::new(&rules, known);
            match pass(response, &mut rewrite, &send, &mut its).await {
                Ended::Whole => its.whole = 1,
                Ended::Broken => its.broken = 1,
            }
            its.counts = rewrite.counts;
            lock(&totals).add(&its);
        });
        http::reply(
            StatusCode::OK,
            "text/plain; version=0.0.4; charset=utf-8",
            body,
        )
    }
}

enum Ended {
    Whole,
    Broken,
}

/// Passes an answer on as it comes, as fast as it is taken.
async fn pass(
    mut response: client::Response,
    rewrite: &mut Rewrite<'_>,
    send: &mpsc::Sender<Bytes>,
    totals: &mut Totals,
) -> Ended {
    let mut out = Vec::with_capacity(2 * PIECE);
    loop {
        let chunk = response.chunk().await;
        let (is_end, is_whole) = match &chunk {
            Ok(Some(chunk)) => {
                totals.bytes_in += chunk.len() as u64;
                // A chunk may be large: the client is waited for in between.
                for piece in chunk.chunks(PIECE) {
                    rewrite.feed(piece, &mut out);
                    if out.len() >= PIECE && !leave(&mut out, send, totals).await {
                        return Ended::Broken;
                    }
                }
                (false, true)
            }
            Ok(None) => (true, rewrite.end(&mut out)),
            Err(_) => (true, false),
        };
        if !is_end {
            continue;
        }
        if !is_whole {
            out.extend_from_slice(BROKEN);
        }
        let is_taken = out.is_empty() || leave(&mut out, send, totals).await;
        return if is_whole && is_taken {
            Ended::Whole
        } else {
            Ended::Broken
        };
    }
}

/// False when the client is gone.
async fn leave(out: &mut Vec<u8>, send: &mpsc::Sender<Bytes>, totals: &mut Totals) -> bool {
    totals.bytes_out += out.len() as u64;
    let full = std::mem::replace(out, Vec::with_capacity(2 * PIECE));
    send.send(full.into()).await.is_ok()
}

impl Handler for Passthrough {
    fn handle(&self, request: Request) -> Pin<Box<dyn Future<Output = Reply> + Send + '_>> {
        Box::pin(self.answer(request))
    }
}

impl Totals {
    fn add(&mut self, other: &Self) {
        self.whole += other.whole;
        self.broken += other.broken;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.counts.passed += other.counts.passed;
        self.counts.filtered += other.counts.filtered;
        self.counts.merged += other.counts.merged;
        self.counts.overflow += other.counts.overflow;
        self.counts.wrong += other.counts.wrong;
    }
}

struct Shown(Arc<Mutex<Totals>>);

impl Collector for Shown {
    fn name(&self) -> &'static str {
        "passthrough"
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "counts fit 53 bits for centuries"
    )]
    fn collect(&self, _scrape: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let its = *lock(&self.0);
        let mut add = |desc: &Desc, all: &[(&str, u64)]| {
            let mut family = Family::of(desc);
            for (word, count) in all {
                family.push(&[word], *count as f64);
            }
            out.push(family);
        };
        add(
            &REQUESTS,
            &[
                ("whole", its.whole),
                ("failed", its.failed),
                ("broken", its.broken),
            ],
        );
        add(&BYTES, &[("in", its.bytes_in), ("out", its.bytes_out)]);
        let counts = its.counts;
        add(
            &SAMPLES,
            &[
                ("passed", counts.passed),
                ("filtered", counts.filtered),
                ("merged", counts.merged),
                ("wrong", counts.wrong),
            ],
        );
        out.push(Family::single(&OVERFLOW, counts.overflow as f64));
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
