//! `history`: who was told what, and when, and what became of it.

use clap::Args;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{
    Session,
    matching::{alertname_first, matcher},
    output::Output,
    server::Server,
    time::{self, Moment},
};
use crate::{
    alert::Pairs,
    matcher::{Matcher, Mode, Operator},
};

/// More are not given at a time.
const MOST: u16 = 10_000;

#[derive(Debug, Args)]
pub(super) struct Command {
    /// Show notifications to this receiver.
    #[arg(short, long, value_name = "NAME")]
    receiver: Option<String>,
    /// Show what happened since: a duration such as 2h, or a time such as 2026-01-02T15:04:05+01:00.
    #[arg(long, value_name = "DURATION|TIME", value_parser = moment)]
    since: Option<When>,
    /// Show what happened until: a duration ago, or a time.
    #[arg(long, value_name = "DURATION|TIME", value_parser = moment)]
    until: Option<When>,
    /// Show one kind: notification; state, where an alert began or ended; silence, where one was changed.
    #[arg(long)]
    kind: Option<String>,
    /// Show what happened to this alert: its fingerprint, its name, or a label such as instance=a; may be given several times.
    #[arg(long = "alert", value_name = "ALERT")]
    alerts: Vec<String>,
    /// Show this many, the newest.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=i64::from(MOST)))]
    limit: u16,
}

#[derive(Debug, Clone)]
enum When {
    Ago(std::time::Duration),
    At(Timestamp),
}

fn moment(text: &str) -> Result<When, String> {
    if let Ok(ago) = time::duration(text) {
        return Ok(When::Ago(ago));
    }
    let moment = Moment::parse(text);
    moment
        .map(|it| When::At(it.at()))
        .map_err(|error| format!("{error}, and no duration such as 30m, 2h or 1d"))
}

/// What happened, once. What a server does not say is empty.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Record {
    time: String,
    /// `notification`; `state` when an alert began or ended; `silence` when one was changed.
    kind: String,
    receiver: String,
    integration: String,
    index: Option<u64>,
    status: String,
    attempts: u64,
    error: String,
    alerts: Vec<RecordedAlert>,
    /// When they are more than those that are named.
    alerts_total: usize,
    silence: Option<RecordedSilence>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RecordedSilence {
    id: String,
    matchers: Vec<String>,
    created_by: String,
    comment: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RecordedAlert {
    fingerprint: String,
    status: String,
    labels: Pairs,
}

/// Alerts as they are named on the command line.
#[derive(Debug, Default)]
struct Wanted {
    fingerprint: Option<String>,
    matchers: Vec<Matcher>,
}

impl Wanted {
    fn new(words: &[String], mode: Mode) -> Result<Self, String> {
        let is_fingerprint =
            |it: &str| it.len() == 16 && it.bytes().all(|it| it.is_ascii_hexdigit());
        let (prints, words): (Vec<_>, Vec<_>) =
            words.iter().cloned().partition(|it| is_fingerprint(it));
        if prints.len() > 1 {
            return Err("--alert: one fingerprint at a time".to_owned());
        }
        let matchers: Result<_, String> = alertname_first(&words, mode)
            .iter()
            .map(|it| matcher(it, mode))
            .collect();
        Ok(Self {
            fingerprint: prints.into_iter().next(),
            matchers: matchers?,
        })
    }

    /// Whether one of a record's alerts is one of them.
    fn has(&self, record: &Record) -> bool {
        self.matchers.is_empty()
            || record.alerts.iter().any(|alert| {
                let mut matchers = self.matchers.iter();
                matchers.all(|it| it.matches(&alert.labels))
            })
    }
}

impl Command {
    pub(super) async fn run(&self, session: &Session<'_>) -> Result<(), String> {
        let wanted = Wanted::new(&self.alerts, session.flags.matchers())?;
        let time = |when: &Option<When>| {
            let at = when.as_ref().map(|it| match it {
                When::At(at) => *at,
                When::Ago(ago) => session.now.saturating_sub(*ago).unwrap_or(Timestamp::MIN),
            });
            at.map(|it| it.to_string())
        };
        let (since, until) = (time(&self.since), time(&self.until));
        // The server knows names; other labels are looked at here, so that the newest may be others.
        let alertname = wanted
            .matchers
            .iter()
            .find(|it| it.name == "alertname" && it.operator == Operator::Equal);
        let others = wanted.matchers.len() > usize::from(alertname.is_some());
        let limit = if others { MOST } else { self.limit }.to_string();
        let mut query = vec![("limit", limit.as_str())];
        for (name, value) in [
            ("kind", self.kind.as_deref()),
            ("receiver", self.receiver.as_deref()),
            ("fingerprint", wanted.fingerprint.as_deref()),
            ("alertname", alertname.map(|it| it.value.as_str())),
            ("since", since.as_deref()),
            ("until", until.as_deref()),
        ] {
            query.extend(value.map(|it| (name, it)));
        }
        let server = Server::open(session).await?;
        let found: Vec<Value> = server.get(&["v2", "history"], &query).await?;
        let found = found.into_iter().filter_map(|it| {
            let record: Record = serde_json::from_value(it.clone()).ok()?;
            wanted.has(&record).then_some((it, record))
        });
        let limit = usize::from(self.limit);
        let found: Vec<_> = found.take(limit).collect();
        if session.flags.output == Output::Json {
            let values: Vec<_> = found.into_iter().map(|it| it.0).collect();
            return session.print_json(&values);
        }
        let mut text = "Time\tReceiver\tIntegration\tStatus\tAlerts\tError\t\n".to_owned();
        for (_, record) in &found {
            text.push_str(&line(session, record));
        }
        session.print_table(&text)
    }
}

fn line(session: &Session<'_>, record: &Record) -> String {
    let time = Moment::parse(&record.time);
    let time = time.map_or_else(|_| record.time.clone(), |it| session.date(&it));
    let integration = match record.index {
        Some(index) if !record.integration.is_empty() => format!("{}[{index}]", record.integration),
        _ => record.integration.clone(),
    };
    let status = match (record.kind.as_str(), record.attempts) {
        ("state", _) if record.status.is_empty() => "state".to_owned(),
        (_, attempts) if attempts > 1 => format!("{} (attempt {attempts})", record.status),
        _ => record.status.clone(),
    };
    let is_extended = session.flags.output == Output::Extended;
    let alerts = record.alerts.iter().map(|it| it.text(is_extended));
    let mut about: Vec<_> = alerts.collect();
    match record.alerts_total.checked_sub(record.alerts.len()) {
        None | Some(0) => {}
        Some(more) => about.push(format!("{more} more")),
    }
    about.extend(record.silence.as_ref().map(|it| it.text(is_extended)));
    // A line feed would end the row.
    let error: Vec<_> = record.error.split_whitespace().collect();
    format!(
        "{time}\t{}\t{integration}\t{status}\t{}\t{}\t\n",
        record.receiver,
        about.join(", "),
        error.join(" ")
    )
}

impl RecordedSilence {
    /// `silence {alertname="Down"} by me: why`, or with its ID.
    fn text(&self, with_id: bool) -> String {
        let id = if with_id {
            format!("{} ", self.id)
        } else {
            String::new()
        };
        let (matchers, by) = (self.matchers.join(","), &self.created_by);
        let comment: Vec<_> = self.comment.split_whitespace().collect();
        format!("silence {id}{{{matchers}}} by {by}: {}", comment.join(" "))
    }
}

impl RecordedAlert {
    /// `AgentDown firing`, or with all labels.
    fn text(&self, with_labels: bool) -> String {
        let name = self.labels.get("alertname").unwrap_or(&self.fingerprint);
        let mut text = format!("{name} {}", self.status);
        if with_labels {
            for (name, value) in self.labels.iter().filter(|it| it.0 != "alertname") {
                text.push_str(&format!(" {name}={value:?}"));
            }
        }
        text.trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::{Record, Wanted};
    use crate::matcher::Mode;

    #[test]
    fn which_alerts() {
        let record: Record = serde_json::from_str(
            r#"{"alerts": [{"labels": {"alertname": "A", "i": "1"}}, {"labels": {"alertname": "B", "i": "2"}}]}"#,
        )
        .unwrap();
        for (words, expect) in [
            (&[][..], true),
            (&["A"], true),
            (&["A", "i=1"], true),
            (&["A", "i=2"], false),
            (&["0740c3edf7511b70"], true),
            (&["i=~."], true),
        ] {
            let words: Vec<_> = words.iter().map(|it| (*it).to_owned()).collect();
            let wanted = Wanted::new(&words, Mode::Fallback).unwrap();
            assert_eq!(wanted.has(&record), expect, "{words:?}");
        }
        let two = ["0740c3edf7511b70", "1740c3edf7511b70"].map(ToOwned::to_owned);
        assert!(Wanted::new(&two, Mode::Fallback).is_err());
    }
}
