//! Telling people: a notification to a message (pure), a message on its way, and what came of it.

mod email;
pub(crate) mod http;
mod json;
pub(crate) mod message;
mod pagerduty;
mod slack;
mod templated;
#[cfg(test)]
mod tests;
mod webhook;

use std::sync::Arc;

use jiff::Timestamp;

use crate::{
    config::{
        Config, EmailSettings, HeartbeatUrl, Integration, Kind, PagerdutySettings, SlackSettings,
        WebhookSettings,
    },
    core::{Memory, Notification, Retry},
    receivers::{http::Clients, slack::Earlier, templated::Draft},
};

/// A notification that did not arrive.
#[derive(Debug)]
pub(crate) struct Failure {
    /// As in the label `reason` of Alertmanager's metric.
    pub(crate) reason: &'static str,
    /// For the log and the history; never a secret.
    pub(crate) error: String,
    pub(crate) retry: Retry,
    /// As in [`Delivered`]: what is known all the same.
    pub(crate) memory: Memory,
}

impl Failure {
    /// What may be over soon.
    const fn again(error: String) -> Self {
        Self {
            reason: "other",
            error,
            retry: Retry::Backoff,
            memory: Memory::new(),
        }
    }

    /// What will be the same the next time.
    fn last(error: String) -> Self {
        Self {
            retry: Retry::No,
            ..Self::again(error)
        }
    }
}

/// A notification that did arrive.
#[derive(Debug, Default)]
pub(crate) struct Delivered {
    pub(crate) memory: Memory,
    /// Recipients who are refused for good while others got it, each with the reason.
    pub(crate) refused: Vec<String>,
    /// A template that failed: the built-in message went out in the place of the user's.
    pub(crate) complaint: Option<String>,
}

/// What every message needs to know beside its alerts.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    /// Where this program is reached from outside, without a slash at the end.
    pub(crate) external_url: String,
}

/// What an integration would send.
#[derive(Debug)]
pub(crate) struct Preview {
    pub(crate) integration: &'static str,
    pub(crate) index: usize,
    /// The JSON of the call, or the whole mail.
    pub(crate) body: String,
}

/// What each integration of a receiver would send; why not, where it could not.
pub(crate) fn preview(
    config: &Config,
    receiver: &str,
    told_of: impl Fn(&Arc<Integration>) -> Notification,
    context: &Context,
    now: Timestamp,
) -> Vec<Preview> {
    let receivers = config.receivers.iter().filter(|it| it.name == receiver);
    let integrations = receivers.flat_map(|it| &it.integrations);
    integrations
        .map(|integration| {
            let told = told_of(integration);
            let draft = Draft {
                told: &told,
                config,
                context,
                now,
            };
            let body = match &integration.kind {
                Kind::Slack(settings) => Ok(slack::compose(settings, &draft, None).0),
                Kind::Webhook(settings) => webhook::compose(settings, &draft).map(|it| it.0),
                Kind::PagerDuty(settings) => pagerduty::compose(settings, &draft).map(|it| it.0),
                Kind::Email(settings) => email::Letter::new(settings, &draft)
                    .map(|it| it.text)
                    .map_err(Failure::last),
            };
            Preview {
                integration: integration.name(),
                index: integration.index,
                body: body.unwrap_or_else(|failure| format!("cannot be sent: {}", failure.error)),
            }
        })
        .collect()
}

/// What sends the notifications of a configuration.
pub(crate) struct Senders {
    config: Arc<Config>,
    context: Context,
    clients: Clients,
}

impl Senders {
    /// Looks at every certificate, so that a wrong one is found at the start and not at night.
    pub(crate) fn new(config: Arc<Config>, context: Context) -> Result<Self, String> {
        let clients = Clients::default();
        for integration in config.receivers.iter().flat_map(|it| &it.integrations) {
            let checked = match &integration.kind {
                Kind::Slack(settings) => clients.check(&settings.http),
                Kind::Webhook(settings) => clients.check(&settings.http),
                Kind::PagerDuty(settings) => clients.check(&settings.http),
                Kind::Email(settings) => email::check(settings),
            };
            checked.map_err(|error| {
                format!(
                    "receiver {:?}, {}[{}]: {error}",
                    integration.receiver,
                    integration.name(),
                    integration.index
                )
            })?;
        }
        Ok(Self {
            config,
            context,
            clients,
        })
    }

    /// The configuration whose notifications they send.
    pub(crate) const fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Sends one notification, within the deadlines of its integration.
    pub(crate) async fn send(&self, told: &Notification) -> Result<Delivered, Failure> {
        let integration = &told.integration;
        let draft = Draft {
            told,
            config: &self.config,
            context: &self.context,
            now: Timestamp::now(),
        };
        let complain = |complaint: Option<String>| {
            // A template that fails must not keep anybody from an alert.
            if let Some(error) = &complaint {
                tracing::error!(
                    receiver = integration.receiver,
                    integration = integration.name(),
                    error,
                    "a template fails; the built-in message is sent instead"
                );
            }
            complaint
        };
        let mut delivered = match &integration.kind {
            Kind::Slack(settings) => self.slack(settings, &draft).await,
            Kind::Webhook(settings) => {
                let url = webhook::url(settings, &draft)?;
                let (body, complaint) = webhook::compose(settings, &draft)?;
                let http = &settings.http;
                let answer = self.clients.post(integration, http, &url, body).await?;
                answer.judge()?;
                Ok(Delivered {
                    complaint,
                    ..Delivered::default()
                })
            }
            Kind::PagerDuty(settings) => self.pagerduty(settings, &draft).await,
            Kind::Email(settings) => mail(settings, &draft).await,
        }?;
        delivered.complaint = complain(delivered.complaint);
        Ok(delivered)
    }

    async fn slack(
        &self,
        settings: &SlackSettings,
        draft: &Draft<'_>,
    ) -> Result<Delivered, Failure> {
        let integration = &draft.told.integration;
        let http = &settings.http;
        // What failed to be edited can still be edited.
        let remembering = |failure: Failure| Failure {
            memory: draft.told.memory.clone(),
            ..failure
        };
        if let Some(earlier) = Earlier::of(settings, draft.told) {
            let (body, complaint) = slack::compose(settings, draft, Some(&earlier));
            let url = slack::update_url(settings);
            let answer = self.clients.post(integration, http, &url, body).await;
            match slack::check(&answer.map_err(remembering)?) {
                Ok(said) => {
                    return Ok(Delivered {
                        memory: said.unwrap_or(earlier).memory(),
                        complaint,
                        ..Delivered::default()
                    });
                }
                Err(refusal) if refusal.gone => {
                    tracing::warn!(
                        receiver = integration.receiver,
                        error = refusal.failure.error,
                        "a message cannot be edited; a new one is sent"
                    );
                }
                Err(refusal) => return Err(remembering(refusal.failure)),
            }
        }
        let url = settings.url.read();
        let url = url.map_err(|error| Failure::again(error.to_string()))?;
        let (body, complaint) = slack::compose(settings, draft, None);
        let answer = self.clients.post(integration, http, url.expose(), body);
        let said = slack::check(&answer.await?).map_err(|it| it.failure)?;
        let said = said.filter(|_| settings.update_message);
        Ok(Delivered {
            memory: said.map(Earlier::memory).unwrap_or_default(),
            complaint,
            ..Delivered::default()
        })
    }

    async fn pagerduty(
        &self,
        settings: &PagerdutySettings,
        draft: &Draft<'_>,
    ) -> Result<Delivered, Failure> {
        let (body, complaint) = pagerduty::compose(settings, draft)?;
        let (url, http) = (pagerduty::url(settings), &settings.http);
        let integration = &draft.told.integration;
        let answer = self.clients.post(integration, http, url, body).await?;
        pagerduty::check(settings, &answer)?;
        Ok(Delivered {
            complaint,
            ..Delivered::default()
        })
    }
}

/// Calls `heartbeat_url`, where there is one; says what went wrong.
pub(crate) struct Caller {
    clients: Clients,
    /// Whose tokens and errors these are.
    integration: Integration,
}

impl Caller {
    pub(crate) fn new() -> Self {
        Self {
            clients: Clients::default(),
            integration: Integration {
                receiver: "heartbeat_url".to_owned(),
                index: 0,
                send_resolved: false,
                kind: Kind::Webhook(WebhookSettings::default()),
            },
        }
    }

    pub(crate) async fn call(&self, heartbeat: &HeartbeatUrl) -> Result<(), String> {
        let url = heartbeat.url.read().map_err(|error| error.to_string())?;
        let answer = self
            .clients
            .get(&self.integration, &heartbeat.http, url.expose());
        let judged = answer.await.and_then(|answer| answer.judge());
        judged.map_err(|failure| failure.error)
    }
}

async fn mail(settings: &EmailSettings, draft: &Draft<'_>) -> Result<Delivered, Failure> {
    let letter = email::Letter::new(settings, draft).map_err(Failure::last)?;
    email::send(settings, letter, draft.told).await
}
