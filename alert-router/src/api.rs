//! HTTP in: Alertmanager's API v2, what goes beyond it, and a page for people.

mod ui;
mod v2;

use std::sync::Arc;

use daemon::http::{self, Method, Reply, Request, StatusCode};
use serde::Serialize;

use crate::engine::{Engine, Metrics, Stopping};

/// Larger bodies are refused; Prometheus sends 64 alerts at a time.
const MAX_BODY: usize = 16 << 20;

/// Reads a body of alerts, for the fuzz target.
#[cfg(feature = "fuzzing")]
pub(crate) fn read(body: &[u8]) {
    drop(v2::parse(body));
}

/// What the API answers from.
pub(crate) struct Api {
    pub(crate) engine: Engine,
    pub(crate) metrics: Metrics,
    pub(crate) started: jiff::Timestamp,
    /// What stands before every path.
    pub(crate) prefix: String,
    pub(crate) address: std::sync::OnceLock<String>,
}

impl Api {
    /// The answer to a request that is not one of those that every program answers.
    pub(crate) async fn handle(self: Arc<Self>, request: Request) -> Reply {
        let path = request.path().to_owned();
        let path = path.strip_prefix(self.prefix.as_str()).unwrap_or(&path);
        let get = matches!(*request.method(), Method::GET | Method::HEAD);
        let answer = match path {
            "" | "/" if get => self.page(&request).await,
            "/api/v2/alerts" if get => self.get_alerts(&request).await,
            "/api/v2/alerts" if *request.method() == Method::POST => {
                self.post_alerts(request).await
            }
            "/api/v2/alerts/groups" if get => self.get_groups(&request).await,
            "/api/v2/receivers" if get => self.get_receivers().await,
            "/api/v2/silences" if get => Ok(http::json(StatusCode::OK, "[]")),
            "/api/v2/silences" => Ok(error(
                StatusCode::NOT_IMPLEMENTED,
                "alert-router does not support silences yet",
            )),
            "/api/v2/status" if get => self.get_status().await,
            "/api/ext/v1/notifications" if get => self.get_notifications(&request).await,
            "/api/ext/v1/receivers" if get => self.get_integrations().await,
            "/api/v2/alerts" => Ok(http::method_not_allowed("GET, POST")),
            "/" | "/api/v2/alerts/groups" | "/api/v2/receivers" | "/api/v2/status" => {
                Ok(http::method_not_allowed("GET"))
            }
            path if path.starts_with("/api/v1/") => Ok(gone()),
            _ => Ok(http::not_found()),
        };
        answer.unwrap_or_else(|Stopping| {
            error(StatusCode::SERVICE_UNAVAILABLE, "alert-router is stopping")
        })
    }
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

fn to_json(status: StatusCode, value: &impl Serialize) -> Reply {
    // Our own types always serialize.
    http::json(status, serde_json::to_vec(value).unwrap_or_default())
}
