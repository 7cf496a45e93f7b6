//! `alert query`, `alert add`.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{
    Session,
    matching::{alertname_first, pairs},
    server::Server,
    time::Moment,
};
use crate::alert::Pairs;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show the alerts that match; active ones when no state is named. What `alert` means alone.
    ///
    /// A first word without an operator is a value of alertname: `alert query Foo node=~a.*`.
    Query(Query),
    /// Add an alert: `alert add Foo node=bar --annotation=summary='what it is'`.
    Add(Add),
}

#[derive(Debug, Args)]
pub(super) struct Query {
    /// Show inhibited alerts.
    #[arg(short, long)]
    inhibited: bool,
    /// Show silenced alerts.
    #[arg(short, long)]
    silenced: bool,
    /// Show active alerts.
    #[arg(short, long)]
    active: bool,
    /// Show unprocessed alerts.
    #[arg(short, long)]
    unprocessed: bool,
    /// Show alerts of receivers whose names match this expression.
    #[arg(
        short,
        long,
        value_name = "REGEX",
        default_value = "",
        hide_default_value = true
    )]
    receiver: String,
    /// What labels must be: name=value, name!=value, name=~regex, name!~regex.
    #[arg(value_name = "MATCHER")]
    matchers: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// Where the alert comes from.
    #[arg(
        long,
        value_name = "URL",
        default_value = "",
        hide_default_value = true
    )]
    generator_url: String,
    /// When it starts, such as 2026-01-02T15:04:05+01:00; now when it is missing.
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    start: Option<Moment>,
    /// When it ends; resolve_timeout from now when it is missing.
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    end: Option<Moment>,
    /// An annotation, name=value; may be given several times.
    #[arg(long = "annotation", value_name = "NAME=VALUE")]
    annotations: Vec<String>,
    /// Labels, name=value; a first word without an operator is the alertname.
    #[arg(value_name = "NAME=VALUE")]
    labels: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Posted<'a> {
    annotations: Pairs,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<&'a Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    starts_at: Option<&'a Moment>,
    #[serde(rename = "generatorURL", skip_serializing_if = "str::is_empty")]
    generator_url: &'a str,
    labels: Pairs,
}

impl Command {
    pub(super) async fn run(&self, session: &Session<'_>) -> Result<(), String> {
        match self {
            Self::Query(query) => query.run(session).await,
            Self::Add(add) => add.run(session).await,
        }
    }
}

impl Query {
    async fn run(&self, session: &Session<'_>) -> Result<(), String> {
        let is_active = self.active || !(self.inhibited || self.silenced || self.unprocessed);
        let matchers = alertname_first(&self.matchers, session.flags.matchers());
        let word = |it| if it { "true" } else { "false" };
        let mut query = vec![
            ("active", word(is_active)),
            ("inhibited", word(self.inhibited)),
            ("silenced", word(self.silenced)),
            ("unprocessed", word(self.unprocessed)),
        ];
        if !self.receiver.is_empty() {
            query.push(("receiver", &self.receiver));
        }
        query.extend(matchers.iter().map(|it| ("filter", it.as_str())));
        let server = Server::open(session).await?;
        session.show_alerts(server.get(&["v2", "alerts"], &query).await?)
    }
}

impl Add {
    async fn run(&self, session: &Session<'_>) -> Result<(), String> {
        let mode = session.flags.matchers();
        let posted = Posted {
            annotations: pairs("annotations", &self.annotations, mode)?,
            ends_at: self.end.as_ref(),
            starts_at: self.start.as_ref(),
            generator_url: &self.generator_url,
            labels: pairs("labels", &alertname_first(&self.labels, mode), mode)?,
        };
        let server = Server::open(session).await?;
        let done = server.post(&["v2", "alerts"], &[], &[posted]).await;
        // What is answered does not matter.
        done.map(|_: serde_json::Value| ())
            .map_err(|it| it.to_string())
    }
}
