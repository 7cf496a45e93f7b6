//! `render`: what a receiver's people would see, without sending it.

use std::{
    fs,
    io::{self, Read},
    path::PathBuf,
    sync::Arc,
};

use clap::Args;
use jiff::Timestamp;

use super::{Session, notification::Group, output::ShownAlert};
use crate::{
    alert::{Alert, Fingerprint, Pairs},
    config::Integration,
    core::Status,
    receivers::{Context, preview},
    template::Data,
};

/// A larger file is no notification.
const MAX_FILE: u64 = 64 << 20;

#[derive(Debug, Args)]
pub(super) struct Command {
    /// The receiver's name.
    #[arg(long, value_name = "NAME")]
    receiver: String,
    /// The configuration.
    #[arg(
        long = "config.file",
        value_name = "FILE",
        default_value = "alertmanager.yml"
    )]
    file: PathBuf,
    /// The alerts, as JSON: what a webhook gets, or what `alert query -o json` prints; `-` for standard input; an example when it is
    /// missing.
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// The link to alert-router in the message.
    #[arg(
        long = "web.external-url",
        value_name = "URL",
        default_value = "http://localhost:9093"
    )]
    external_url: String,
}

impl Command {
    pub(super) fn run(&self, session: &Session<'_>) -> Result<(), String> {
        let config = session.load(&self.file)?;
        if config.receiver(&self.receiver).is_none() {
            let names: Vec<_> = config.receivers.iter().map(|it| it.name.as_str()).collect();
            return Err(format!(
                "there is no receiver {:?}; there are: {}",
                self.receiver,
                names.join(", ")
            ));
        }
        let group = match &self.data {
            None => group_of(Data::example(session.now)),
            Some(path) => {
                let text = read(path)?;
                let told = |error: String| format!("{}: {error}", path.display());
                given(&text, session.now).map_err(told)?
            }
        };
        let context = Context {
            external_url: self.external_url.trim_end_matches('/').to_owned(),
        };
        let told_of = |integration: &Arc<Integration>| group.told(integration);
        let previews = preview(&config, &self.receiver, told_of, &context, session.now);
        for preview in previews {
            session.print(&format!(
                "==> {}[{}]\n{}\n\n",
                preview.integration,
                preview.index,
                preview.body.trim_end()
            ))?;
        }
        Ok(())
    }
}

fn read(path: &PathBuf) -> Result<String, String> {
    let told = |error: &dyn std::fmt::Display| format!("cannot read {}: {error}", path.display());
    let source: Box<dyn Read> = if path.as_os_str() == "-" {
        Box::new(io::stdin())
    } else {
        Box::new(fs::File::open(path).map_err(|error| told(&error))?)
    };
    let mut text = String::new();
    let length = source.take(MAX_FILE + 1).read_to_string(&mut text);
    let length = length.map_err(|error| told(&error))?;
    if u64::try_from(length).is_ok_and(|it| it > MAX_FILE) {
        return Err(told(&"it has more than 64 MiB"));
    }
    Ok(text)
}

/// A list is the API's, an object is what templates and webhooks are given.
fn given(text: &str, now: Timestamp) -> Result<Group, String> {
    if !text.trim_start().starts_with('[') {
        return Ok(group_of(Data::from_json(text)?));
    }
    let alerts: Vec<ShownAlert> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let alerts = alerts.into_iter().map(|it| {
        let alert = Alert {
            starts_at: it.starts_at.at(),
            ends_at: it.ends_at.at(),
            labels: it.labels,
            annotations: it.annotations,
            generator_url: it.generator_url,
        };
        let status = if alert.resolved(now) {
            Status::Resolved
        } else {
            Status::Firing
        };
        (alert.fingerprint(), alert, status)
    });
    let alerts: Vec<_> = alerts.collect();
    let names = alerts
        .iter()
        .map(|it| it.1.labels.get("alertname").cloned());
    let mut names: Vec<_> = names.collect();
    names.dedup();
    // What Alertmanager's own example groups by.
    let labels: Pairs = match names.as_slice() {
        [Some(name)] => [("alertname".to_owned(), name.clone())].into(),
        _ => Pairs::new(),
    };
    Ok(group(labels, alerts))
}

fn group_of(data: Data) -> Group {
    let alerts = data.alerts.into_iter().map(|it| {
        let is_over = it.status == "resolved";
        let alert = Alert {
            starts_at: it.starts_at,
            ends_at: it.ends_at,
            labels: it.labels,
            annotations: it.annotations,
            generator_url: it.generator_url,
        };
        let status = if is_over {
            Status::Resolved
        } else {
            Status::Firing
        };
        (alert.fingerprint(), alert, status)
    });
    group(data.group_labels, alerts.collect())
}

fn group(labels: Pairs, mut alerts: Vec<(Fingerprint, Alert, Status)>) -> Group {
    alerts.sort_by_key(|(_, alert, status)| (*status, alert.starts_at));
    let pairs: Vec<_> = labels
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    Group {
        key: format!("{{}}:{{{}}}", pairs.join(", ")),
        labels,
        alerts,
    }
}
