//! `test-receiver`: whether what a receiver is told arrives, before it has to.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Session,
    notification::Group,
    output::Output,
    say,
    server::{CallError, Server},
};
use crate::{
    config::{Config, Receiver},
    core::{Notification, Status},
    receivers::{Context, Senders},
};

#[derive(Debug, Args)]
pub(super) struct Command {
    /// The receiver's name.
    #[arg(value_name = "RECEIVER")]
    receiver: String,
    /// Send from here, as this configuration says; by default the server sends.
    #[arg(long = "config.file", value_name = "FILE")]
    file: Option<PathBuf>,
    /// The link to alert-router in the message, when it is sent from here.
    #[arg(
        long = "web.external-url",
        value_name = "URL",
        default_value = "http://localhost:9093"
    )]
    external_url: String,
}

/// What came of one integration's test.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Outcome {
    integration: String,
    index: usize,
    /// `sent`; `partly`, when it was refused to some recipients; `failed`.
    status: String,
    milliseconds: u64,
    /// Why, when there is something to say.
    error: String,
}

impl Command {
    /// Whether everything arrived.
    pub(super) async fn run(&self, session: &Session<'_>) -> Result<bool, String> {
        let outcomes = match &self.file {
            Some(path) => {
                if session.flags.url.is_some() {
                    say("warning: --config.file flag overrides the --alertmanager.url.");
                }
                let config = session.load(path)?;
                self.send(config, session).await?
            }
            None if session.flags.url.is_none() => {
                return Err(
                    "You have to specify one of --config.file or --alertmanager.url flags."
                        .to_owned(),
                );
            }
            None => self.ask(session).await?,
        };
        if session.flags.output == Output::Json {
            session.print_json(&outcomes)?;
        } else {
            session.print_table(&table(&outcomes))?;
        }
        Ok(outcomes.iter().all(|it| it.status == "sent"))
    }

    async fn send(&self, config: Config, session: &Session<'_>) -> Result<Vec<Outcome>, String> {
        let context = Context {
            external_url: self.external_url.trim_end_matches('/').to_owned(),
        };
        let config = Arc::new(config);
        let receiver = find(&config, &self.receiver)?;
        let senders = Arc::new(Senders::new(Arc::clone(&config), context)?);
        Ok(try_all(&senders, receiver, session.flags.timeout, session.now).await)
    }

    async fn ask(&self, session: &Session<'_>) -> Result<Vec<Outcome>, String> {
        let server = Server::open(session).await?;
        let query = [("receiver", self.receiver.as_str())];
        let tested = server
            .post(&["ext", "v1", "test-receiver"], &query, &())
            .await;
        tested.map_err(|error| match error {
            // Of Alertmanager, or of an older alert-router; ours says in words that there is no such receiver.
            CallError::Refused { status, reason, .. }
                if status == client::StatusCode::NOT_FOUND && !reason.contains("receiver") =>
            {
                "the server cannot test receivers; give its configuration by --config.file"
                    .to_owned()
            }
            other => other.to_string(),
        })
    }
}

pub(crate) fn find<'a>(config: &'a Config, name: &str) -> Result<&'a Receiver, String> {
    let found = config.receiver(name).ok_or_else(|| {
        let names: Vec<_> = config.receivers.iter().map(|it| it.name.as_str()).collect();
        format!(
            "there is no receiver {name:?}; there are: {}",
            names.join(", ")
        )
    })?;
    if found.integrations.is_empty() && found.unsent.is_empty() {
        return Err(format!(
            "the receiver {name:?} has no integrations: nobody is told what goes to it"
        ));
    }
    Ok(found)
}

/// Sends a test through every integration of a receiver, all at once, each within `timeout`.
pub(crate) async fn try_all(
    senders: &Arc<Senders>,
    receiver: &Receiver,
    timeout: Duration,
    now: Timestamp,
) -> Vec<Outcome> {
    let group = Group::test(&receiver.name, Status::Firing, now);
    let over = Group::test(&receiver.name, Status::Resolved, now);
    let tasks: Vec<_> = receiver
        .integrations
        .iter()
        .map(|it| {
            let mut tests = vec![group.told(it)];
            // Nobody should have to close the incident of a test.
            if it.name() == "pagerduty" {
                tests.push(Notification {
                    alerts: over.alerts.clone(),
                    ..group.told(it)
                });
            }
            let task = tokio::spawn(send(Arc::clone(senders), tests, timeout));
            (it, task)
        })
        .collect();
    let mut outcomes = Vec::new();
    for (integration, task) in tasks {
        let (status, error, took) = task
            .await
            .unwrap_or_else(|error| ("failed", error.to_string(), Duration::ZERO));
        outcomes.push(Outcome {
            integration: integration.name().to_owned(),
            index: integration.index,
            status: status.to_owned(),
            milliseconds: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            error,
        });
    }
    outcomes.extend(receiver.unsent.iter().map(|kind| Outcome {
        integration: (*kind).to_owned(),
        index: 0,
        status: "failed".to_owned(),
        milliseconds: 0,
        error: "alert-router does not send it".to_owned(),
    }));
    outcomes
}

async fn send(
    senders: Arc<Senders>,
    tests: Vec<Notification>,
    timeout: Duration,
) -> (&'static str, String, Duration) {
    let begin = Instant::now();
    let end = begin.checked_add(timeout).unwrap_or(begin);
    let mut remarks = Vec::new();
    let mut status = "sent";
    for told in &tests {
        match tokio::time::timeout_at(end.into(), senders.send(told)).await {
            Err(_) => {
                let reason = format!(
                    "no answer within {} s; --timeout gives it longer",
                    timeout.as_secs_f64()
                );
                return ("failed", reason, begin.elapsed());
            }
            Ok(Err(failure)) => return ("failed", failure.error, begin.elapsed()),
            Ok(Ok(delivered)) => {
                if !delivered.refused.is_empty() {
                    status = "partly";
                }
                remarks.extend(delivered.refused);
                remarks.extend(delivered.complaint);
            }
        }
    }
    (status, remarks.join("; "), begin.elapsed())
}

fn table(outcomes: &[Outcome]) -> String {
    let mut text = "Integration\tResult\tTook\tWhy\t\n".to_owned();
    for it in outcomes {
        // A line feed would end the row.
        let why: Vec<_> = it.error.split_whitespace().collect();
        text.push_str(&format!(
            "{}[{}]\t{}\t{} ms\t{}\t\n",
            it.integration,
            it.index,
            it.status,
            it.milliseconds,
            why.join(" ")
        ));
    }
    text
}
