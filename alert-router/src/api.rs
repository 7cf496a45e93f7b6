//! HTTP in: Alertmanager's API v2, what goes beyond it, and a page for people.

mod alerts;
mod body;
mod json;
mod query;
mod silences;
mod status;
mod test_receiver;
mod ui;

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use daemon::http::{self, Method, Reply, Request, StatusCode};
use serde::Serialize;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::engine::{Engine, Metrics, Stopping};

/// Larger bodies are refused; Prometheus sends 64 alerts at a time.
const MAX_BODY: usize = 16 << 20;
/// Bytes of bodies that are read at a time, in units of [`UNIT`]; more wait.
const ROOM: usize = 1024;
const UNIT: usize = 64 << 10;

/// Reads a body of alerts, and as a silence, for the fuzz target.
#[cfg(feature = "fuzzing")]
pub(crate) fn read(body: &[u8]) {
    drop(body::parse(body));
    drop(silences::parse(body, jiff::Timestamp::UNIX_EPOCH));
}

/// What the API answers from.
pub(crate) struct Api {
    pub(crate) engine: Engine,
    pub(crate) metrics: Metrics,
    pub(crate) started: jiff::Timestamp,
    /// What stands before every path.
    pub(crate) prefix: String,
    pub(crate) address: OnceLock<String>,
    /// Its name as a member of a cluster of one; empty when clustering is switched off.
    pub(crate) peer: String,
    pub(crate) storage: PathBuf,
    pub(crate) bounds: Bounds,
}

/// How much is asked at a time, and for how long.
pub(crate) struct Bounds {
    gets: Arc<Semaphore>,
    get_limit: usize,
    room: Arc<Semaphore>,
    /// One test of a receiver at a time: people are not to be flooded.
    tests: Arc<Semaphore>,
    timeout: Option<Duration>,
}

impl Bounds {
    /// `get_limit` requests of GET at a time; each request for so long.
    pub(crate) fn new(get_limit: usize, timeout: Option<Duration>) -> Self {
        Self {
            gets: Arc::new(Semaphore::new(get_limit)),
            get_limit,
            room: Arc::new(Semaphore::new(ROOM)),
            tests: Arc::new(Semaphore::new(1)),
            timeout,
        }
    }
}

impl Api {
    /// The answer to a request that is not one of those that every program answers.
    pub(crate) async fn handle(self: Arc<Self>, request: Request) -> Reply {
        let begin = Instant::now();
        let method = match *request.method() {
            Method::GET => "get",
            Method::HEAD => "head",
            Method::POST => "post",
            Method::PUT => "put",
            Method::DELETE => "delete",
            Method::OPTIONS => "options",
            _ => "other",
        };
        let path = request.path().to_owned();
        let path = path.strip_prefix(self.prefix.as_str()).unwrap_or(&path);
        let handler = handler(path);
        let is_get = method == "get";
        let _permit = if is_get {
            let Ok(permit) = Arc::clone(&self.bounds.gets).try_acquire_owned() else {
                self.metrics.http.limited.with_label_values(&["get"]).inc();
                return http::text(
                    StatusCode::SERVICE_UNAVAILABLE,
                    format!(
                        "Limit of concurrent GET requests reached ({}), try again later.\n",
                        self.bounds.get_limit
                    ),
                );
            };
            self.metrics
                .http
                .in_flight
                .with_label_values(&["get"])
                .inc();
            Some(permit)
        } else {
            None
        };
        let answer = self.answer(path, request);
        let answer = match self.bounds.timeout {
            None => answer.await,
            Some(timeout) => tokio::time::timeout(timeout, answer)
                .await
                .unwrap_or_else(|_| {
                    Ok(http::text(
                        StatusCode::SERVICE_UNAVAILABLE,
                        format!("Exceeded configured timeout of {timeout:?}.\n"),
                    ))
                }),
        };
        if is_get {
            self.metrics
                .http
                .in_flight
                .with_label_values(&["get"])
                .dec();
        }
        let reply = answer.unwrap_or_else(|Stopping| {
            error(StatusCode::SERVICE_UNAVAILABLE, "alert-router is stopping")
        });
        self.metrics
            .http
            .duration
            .with_label_values(&[handler, method, reply.status().as_str()])
            .observe(begin.elapsed().as_secs_f64());
        if let Some(size) = reply.body().size() {
            #[expect(clippy::cast_precision_loss, reason = "a histogram of sizes")]
            self.metrics
                .http
                .size
                .with_label_values(&[handler, method])
                .observe(size as f64);
        }
        reply
    }

    async fn answer(&self, path: &str, request: Request) -> Result<Reply, Stopping> {
        let method = request.method().clone();
        let get = matches!(method, Method::GET | Method::HEAD);
        match path {
            "" | "/" if get => self.page(&request).await,
            "/silences/new" if get => Ok(self.silence_page(&request)),
            "/" | "/silences/new" => Ok(http::method_not_allowed("GET")),
            "/api/v2/alerts" if get => self.get_alerts(&request).await,
            "/api/v2/alerts" if method == Method::POST => self.post_alerts(request).await,
            "/api/v2/alerts/groups" if get => self.get_groups(&request).await,
            "/api/v2/receivers" if get => self.get_receivers(&request).await,
            "/api/v2/silences" if get => self.get_silences(&request).await,
            "/api/v2/silences" if method == Method::POST => self.post_silence(request).await,
            "/api/v2/status" if get => self.get_status().await,
            "/api/v2/history" if get => self.get_history(&request).await,
            "/api/ext/v1/notifications" if get => self.get_notifications(&request).await,
            "/api/ext/v1/receivers" if get => self.get_integrations().await,
            "/api/ext/v1/test-receiver" if method == Method::POST => {
                self.test_receiver(&request).await
            }
            "/api/ext/v1/test-receiver" => Ok(wrong_method(&method, "POST")),
            "/api/v2/alerts" | "/api/v2/silences" => Ok(wrong_method(&method, "GET,POST")),
            "/api/v2/alerts/groups"
            | "/api/v2/receivers"
            | "/api/v2/status"
            | "/api/v2/history" => Ok(wrong_method(&method, "GET")),
            path => {
                if let Some(id) = path.strip_prefix("/api/v2/silence/") {
                    return match method {
                        _ if get => self.get_silence(id).await,
                        Method::DELETE => self.delete_silence(id).await,
                        _ => Ok(wrong_method(&method, "DELETE,GET")),
                    };
                }
                Ok(if path.starts_with("/api/v1/") {
                    gone()
                } else if let Some(rest) = path.strip_prefix("/api/v2") {
                    refusal(
                        StatusCode::NOT_FOUND,
                        404,
                        &format!(
                            "path {} was not found",
                            rest.chars().take(200).collect::<String>()
                        ),
                    )
                } else {
                    http::not_found()
                })
            }
        }
    }

    /// Waits until there is room for a body of this size.
    async fn room(&self, request: &Request) -> Option<OwnedSemaphorePermit> {
        let length = request
            .header("content-length")
            .and_then(|it| it.parse().ok());
        // A body of unknown size may be as large as any.
        let units = length
            .unwrap_or(MAX_BODY)
            .min(MAX_BODY)
            .div_ceil(UNIT)
            .max(1);
        let units = u32::try_from(units).unwrap_or(1);
        // The semaphore is never closed.
        Arc::clone(&self.bounds.room)
            .acquire_many_owned(units)
            .await
            .ok()
    }
}

/// The label `handler` of metrics: there are only so many.
fn handler(path: &str) -> &'static str {
    const KNOWN: [&str; 11] = [
        "/api/v2/alerts",
        "/api/v2/alerts/groups",
        "/api/v2/receivers",
        "/api/v2/silences",
        "/api/v2/status",
        "/api/v2/history",
        "/api/ext/v1/notifications",
        "/api/ext/v1/receivers",
        "/api/ext/v1/test-receiver",
        "/silences/new",
        "/",
    ];
    if path.starts_with("/api/v2/silence/") {
        return "/api/v2/silence/{silenceID}";
    }
    KNOWN.into_iter().find(|it| *it == path).unwrap_or("other")
}

/// What Alertmanager says of the API that it took out in 0.27.
fn gone() -> Reply {
    let text = "{\"status\":\"deprecated\",\"error\":\"The Alertmanager v1 API was deprecated in version 0.16.0 and is removed as of version 0.27.0 - please use the equivalent route in the v2 API\"}";
    http::json(StatusCode::GONE, text)
}

/// The shape of errors of the handlers: a JSON string.
fn error(status: StatusCode, text: &str) -> Reply {
    to_json(status, &text)
}

/// The shape of errors of the validation.
fn refusal(status: StatusCode, code: u16, message: &str) -> Reply {
    to_json(status, &json!({"code": code, "message": message}))
}

fn wrong_method(method: &Method, allowed: &'static str) -> Reply {
    let text = format!("method {method} is not allowed, but [{allowed}] are");
    let mut reply = refusal(StatusCode::METHOD_NOT_ALLOWED, 405, &text);
    let allow = http::header::HeaderValue::from_static(allowed);
    reply.headers_mut().insert(http::header::ALLOW, allow);
    reply
}

/// The answer to a body that is not said to be JSON.
fn not_json(request: &Request) -> Option<Reply> {
    let kind = request.header("content-type").unwrap_or("");
    let kind = kind.split(';').next().unwrap_or("").trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return None;
    }
    let text = format!("unsupported media type {kind:?}, only [application/json] are allowed");
    Some(refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, 415, &text))
}

fn to_json(status: StatusCode, value: &impl Serialize) -> Reply {
    // Our own types always serialize.
    http::json(status, serde_json::to_vec(value).unwrap_or_default())
}
