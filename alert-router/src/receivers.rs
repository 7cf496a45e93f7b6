//! Telling people: a notification to a message (pure), a message on its way, and what came of it.

mod email;
pub(crate) mod message;
mod slack;
mod templated;
mod webhook;

use std::{collections::BTreeMap, fs, path::Path, sync::Arc, time::Duration};

use client::{Client, Response, StatusCode, header};
use daemon::chain;

use crate::{
    config::{Config, HttpSettings, Integration, Kind, SecretSource, TlsSettings},
    core::{Notification, Retry},
    receivers::message::Message,
};

/// How much of an answer is read; it is for the log only.
const MAX_ANSWER: usize = 64 * 1024;

/// A notification that did not arrive.
#[derive(Debug)]
pub(crate) struct Failure {
    /// As in the label `reason` of Alertmanager's metric.
    pub(crate) reason: &'static str,
    /// For the log and the history; never a secret.
    pub(crate) error: String,
    pub(crate) retry: Retry,
}

/// What every message needs to know beside its alerts.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    /// Where this program is reached from outside, without a slash at the end.
    pub(crate) external_url: String,
}

/// The clients of a configuration, one per integration.
pub(crate) struct Senders {
    config: Arc<Config>,
    context: Context,
    http: BTreeMap<(String, &'static str, usize), Client>,
    mailbox: email::Delivered,
}

impl Senders {
    /// Makes every client, so that a wrong certificate is found at the start and not at night.
    pub(crate) fn new(config: Arc<Config>, context: Context) -> Result<Self, String> {
        let mut http = BTreeMap::new();
        for integration in config.receivers.iter().flat_map(|it| &it.integrations) {
            let named = |error: String| {
                format!(
                    "receiver {:?}, {}[{}]: {error}",
                    integration.receiver,
                    integration.name(),
                    integration.index
                )
            };
            match &integration.kind {
                Kind::Slack(slack) => {
                    http.insert(key(integration), client(&slack.http).map_err(named)?);
                }
                Kind::Webhook(webhook) => {
                    http.insert(key(integration), client(&webhook.http).map_err(named)?);
                }
                Kind::Email(email) => email::check(email).map_err(named)?,
            }
        }
        Ok(Self {
            config,
            context,
            http,
            mailbox: email::Delivered::default(),
        })
    }

    /// Sends one notification, within the deadlines of its integration.
    pub(crate) async fn send(&self, told: &Notification) -> Result<(), Failure> {
        let integration = &told.integration;
        let message = || Message::new(told, &self.config.repair_commands);
        let templates = &self.config.templates;
        let now = jiff::Timestamp::now();
        match &integration.kind {
            Kind::Slack(slack) => {
                let data = templated::data(told, &self.context);
                let is_users = slack.message.is_some() || templates.has_own("slack.default.");
                let own = || slack::render(&message(), slack, &|it| templates.text(it, &data, now));
                let body = if is_users {
                    templated::slack(slack, templates, &data, now).unwrap_or_else(|error| {
                        complain(integration, &error);
                        own()
                    })
                } else {
                    own()
                };
                self.post(integration, &slack.url, &slack.http, body, slack::check)
                    .await
            }
            Kind::Webhook(webhook) => {
                let body = webhook::render(told, webhook, &self.context);
                self.post(integration, &webhook.url, &webhook.http, body, |_| Ok(()))
                    .await
            }
            Kind::Email(email) => {
                let data = templated::data(told, &self.context);
                let filled = email::Filled::new(email, templates, &data, now);
                let (filled, complaint) = filled.map_err(|error| Failure {
                    reason: "other",
                    error,
                    retry: Retry::No,
                })?;
                if let Some(error) = complaint {
                    complain(integration, &error);
                }
                email::send(email, &filled, &message(), told, &self.mailbox).await
            }
        }
    }

    async fn post(
        &self,
        integration: &Integration,
        url: &SecretSource,
        http: &HttpSettings,
        body: String,
        check: fn(&str) -> Result<(), String>,
    ) -> Result<(), Failure> {
        let local = |error: String| Failure {
            reason: "other",
            error,
            retry: Retry::Backoff,
        };
        let url = url.read().map_err(|error| local(error.to_string()))?;
        let client = self.http.get(&key(integration));
        let client =
            client.ok_or_else(|| local("there is no client for this integration".to_owned()))?;
        let mut request = client
            .post(url.expose())
            .header(header::CONTENT_TYPE, "application/json")
            .body(body);
        if let Some((user, password)) = &http.basic {
            let password = password.as_ref().map(SecretSource::read).transpose();
            let password = password.map_err(|error| local(error.to_string()))?;
            request = request.basic_auth(user, password.as_ref().map(daemon::Secret::expose));
        }
        if let Some((kind, credentials)) = &http.authorization {
            let credentials = credentials
                .read()
                .map_err(|error| local(error.to_string()))?;
            request = request.header(
                header::AUTHORIZATION,
                format!("{kind} {}", credentials.expose()),
            );
        }
        // The URL is a secret: it must not be in the error.
        let response = request.send().await.map_err(|error| {
            let timeout = error.is_timeout();
            Failure {
                reason: if timeout {
                    "contextDeadlineExceeded"
                } else {
                    "other"
                },
                error: chain(&error.without_url()).to_string(),
                retry: Retry::Backoff,
            }
        })?;
        judge(response, check).await
    }
}

/// A template that fails must not keep anybody from an alert: the message is then the built-in one.
fn complain(integration: &Integration, error: &str) {
    tracing::error!(
        receiver = integration.receiver,
        integration = integration.name(),
        error,
        "a template fails; the built-in message is sent instead"
    );
}

fn key(integration: &Integration) -> (String, &'static str, usize) {
    (
        integration.receiver.clone(),
        integration.name(),
        integration.index,
    )
}

/// What an answer means: 2xx is done, 429 and 5xx are tried again, when the receiver says; another is refused.
async fn judge(response: Response, check: fn(&str) -> Result<(), String>) -> Result<(), Failure> {
    let status = response.status();
    let asked = response.headers().get(header::RETRY_AFTER);
    let asked = asked
        .and_then(|it| it.to_str().ok()?.trim().parse().ok())
        .map(Duration::from_secs);
    let body = client::body(response, MAX_ANSWER).await;
    let again = asked.map_or(Retry::Backoff, Retry::After);
    let (reason, retry) = match status {
        it if it.is_success() => {
            let body = body.map_err(|error| Failure {
                reason: "other",
                error: chain(&error).to_string(),
                retry: Retry::Backoff,
            })?;
            return check(&String::from_utf8_lossy(&body)).map_err(|error| Failure {
                reason: "clientError",
                error,
                retry: Retry::No,
            });
        }
        StatusCode::TOO_MANY_REQUESTS => ("rateLimited", again),
        it if it.is_server_error() => ("serverError", again),
        _ => ("clientError", Retry::No),
    };
    let body = body.unwrap_or_default();
    let text: String = String::from_utf8_lossy(&body)
        .chars()
        .filter(|it| !it.is_control())
        .take(200)
        .collect();
    let error = if text.is_empty() {
        format!("unexpected status {status}")
    } else {
        format!("unexpected status {status}: {text}")
    };
    Err(Failure {
        reason,
        error,
        retry,
    })
}

fn client(http: &HttpSettings) -> Result<Client, String> {
    let agent = concat!("alert-router/", env!("CARGO_PKG_VERSION"));
    let mut settings = client::Settings::new(agent, http.timeout);
    settings.redirects = if http.follow_redirects { 10 } else { 0 };
    settings.tls = pem(&http.tls)?;
    client::client(&settings).map_err(|error| chain(&error).to_string())
}

/// The files of a `tls_config`, read.
fn pem(tls: &TlsSettings) -> Result<client::Tls, String> {
    let read = |path: &Path| {
        fs::read_to_string(path)
            .map_err(|error| format!("tls_config: cannot read {}: {error}", path.display()))
    };
    Ok(client::Tls {
        ca: tls.ca_file.as_deref().map(read).transpose()?,
        identity: match &tls.identity {
            None => None,
            Some((cert, key)) => Some((read(cert)?, read(key)?)),
        },
        insecure_skip_verify: tls.insecure_skip_verify,
    })
}
