//! What commands show, in amtool's three forms.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    net::IpAddr,
};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Session, table::columns, time::Moment};
use crate::{
    alert::Pairs,
    matcher::{Matcher, Operator},
};

/// `--output`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    Simple,
    Extended,
    Json,
}

/// An alert as the API shows it. The order of the keys is the API's.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownAlert {
    #[serde(default)]
    pub(super) annotations: Pairs,
    pub(super) ends_at: Moment,
    #[serde(default)]
    pub(super) fingerprint: String,
    #[serde(default)]
    receivers: Vec<Value>,
    pub(super) starts_at: Moment,
    #[serde(default)]
    status: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    updated_at: Option<Moment>,
    #[serde(
        default,
        rename = "generatorURL",
        skip_serializing_if = "String::is_empty"
    )]
    pub(super) generator_url: String,
    pub(super) labels: Pairs,
}

/// A silence as the API shows it, and takes it when what it does not take is missing.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Silence {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) updated_at: Option<Moment>,
    #[serde(default, skip_serializing_if = "Pairs::is_empty")]
    pub(super) annotations: Pairs,
    pub(super) comment: String,
    pub(super) created_by: String,
    pub(super) ends_at: Moment,
    pub(super) matchers: Vec<SilenceMatcher>,
    pub(super) starts_at: Moment,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SilenceMatcher {
    /// Alertmanagers before 0.22 do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    is_equal: Option<bool>,
    is_regex: bool,
    name: String,
    value: String,
}

impl From<Matcher> for SilenceMatcher {
    fn from(matcher: Matcher) -> Self {
        let operator = matcher.operator;
        Self {
            is_equal: Some(matches!(operator, Operator::Equal | Operator::Regex)),
            is_regex: matches!(operator, Operator::Regex | Operator::NotRegex),
            name: matcher.name,
            value: matcher.value,
        }
    }
}

impl SilenceMatcher {
    /// `name="value"`. The server's expression is not read, as it need not be one here.
    fn text(&self) -> String {
        let operator = match (self.is_regex, self.is_equal.unwrap_or(true)) {
            (false, true) => Operator::Equal,
            (false, false) => Operator::NotEqual,
            (true, true) => Operator::Regex,
            (true, false) => Operator::NotRegex,
        };
        let plain = Matcher::new(self.name.clone(), Operator::Equal, self.value.clone());
        let mut matcher = match plain {
            Ok(matcher) => matcher,
            Err(error) => return error.to_string(),
        };
        matcher.operator = operator;
        matcher.to_string()
    }
}

impl Silence {
    /// In the shape in which the API takes it.
    pub(super) fn postable(mut self) -> Self {
        self.status = None;
        self.updated_at = None;
        self
    }
}

impl Session<'_> {
    /// Writes to standard output; whoever reads it may stop when they have seen enough.
    pub(super) fn print(&self, text: &str) -> Result<(), String> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(format!("cannot write the output: {error}"))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    pub(super) fn print_json(&self, value: &impl Serialize) -> Result<(), String> {
        self.print(&json_line(value))
    }

    pub(super) fn print_table(&self, text: &str) -> Result<(), String> {
        self.print(&columns(text))
    }

    pub(super) fn date(&self, moment: &Moment) -> String {
        moment.format(&self.flags.date_format)
    }

    pub(super) fn show_alerts(&self, mut alerts: Vec<ShownAlert>) -> Result<(), String> {
        if self.flags.output == Output::Json {
            return self.print_json(&alerts);
        }
        alerts.sort_by_key(|it| it.starts_at.at());
        let is_extended = self.flags.output == Output::Extended;
        let mut text = if is_extended {
            "Labels\tAnnotations\tStarts At\tEnds At\tGenerator URL\tState\t\n".to_owned()
        } else {
            "Alertname\tStarts At\tSummary\tState\t\n".to_owned()
        };
        for alert in &alerts {
            let starts = self.date(&alert.starts_at);
            let state = alert.status.get("state").and_then(Value::as_str);
            let state = state.unwrap_or_default();
            let of = |pairs: &Pairs, name| pairs.get(name).cloned().unwrap_or_default();
            let line = if is_extended {
                let ends = self.date(&alert.ends_at);
                let (labels, annotations) = (pairs(&alert.labels), pairs(&alert.annotations));
                let url = &alert.generator_url;
                writeln!(
                    text,
                    "{labels}\t{annotations}\t{starts}\t{ends}\t{url}\t{state}\t"
                )
            } else {
                let name = of(&alert.labels, "alertname");
                let summary = of(&alert.annotations, "summary");
                writeln!(text, "{name}\t{starts}\t{summary}\t{state}\t")
            };
            // Writing to a String cannot fail.
            line.unwrap_or(());
        }
        self.print_table(&text)
    }

    pub(super) fn show_silences(&self, mut silences: Vec<Silence>) -> Result<(), String> {
        if self.flags.output == Output::Json {
            return self.print_json(&silences);
        }
        silences.sort_by_key(|it| it.ends_at.at());
        let is_extended = self.flags.output == Output::Extended;
        let mut text = if is_extended {
            "ID\tMatchers\tStarts At\tEnds At\tUpdated At\tCreated By\tComment\t\n".to_owned()
        } else {
            "ID\tMatchers\tEnds At\tCreated By\tComment\t\n".to_owned()
        };
        for silence in &silences {
            let matchers: Vec<_> = silence.matchers.iter().map(SilenceMatcher::text).collect();
            let (id, by, comment) = (&silence.id, &silence.created_by, &silence.comment);
            let ends = self.date(&silence.ends_at);
            let line = if is_extended {
                let starts = self.date(&silence.starts_at);
                let updated = silence.updated_at.as_ref().map(|it| self.date(it));
                let (matchers, updated) = (matchers.join(","), updated.unwrap_or_default());
                writeln!(
                    text,
                    "{id}\t{{{matchers}}}\t{starts}\t{ends}\t{updated}\t{by}\t{comment}\t"
                )
            } else {
                let matchers = matchers.join(" ");
                writeln!(text, "{id}\t{matchers}\t{ends}\t{by}\t{comment}\t")
            };
            // Writing to a String cannot fail.
            line.unwrap_or(());
        }
        self.print_table(&text)
    }

    pub(super) fn show_config(&self, status: &Value) -> Result<(), String> {
        let original = text_at(status, "/config/original");
        match self.flags.output {
            Output::Json => self.print_json(status),
            Output::Simple => self.print(&format!("{original}\n")),
            Output::Extended => {
                let mut text = format!("{original}\n");
                for key in [
                    "buildUser",
                    "goVersion",
                    "revision",
                    "version",
                    "branch",
                    "buildDate",
                ] {
                    let value = text_at(status, &format!("/versionInfo/{key}"));
                    text.push_str(&format!("{key} {value}\n"));
                }
                self.print(&format!("{text}uptime {}\n", text_at(status, "/uptime")))
            }
        }
    }

    pub(super) fn show_cluster(&self, status: &Value) -> Result<(), String> {
        let none = Value::Null;
        let cluster = status.get("cluster").unwrap_or(&none);
        let head = format!(
            "Cluster Status:\t{}\nNode Name:\t{}\n",
            text_at(cluster, "/status"),
            text_at(cluster, "/name")
        );
        match self.flags.output {
            Output::Json => self.print_json(cluster),
            Output::Simple => self.print_table(&head),
            Output::Extended => {
                let mut text = format!("{head}\nAddress\tName\n");
                let peers = cluster.get("peers").and_then(Value::as_array);
                let mut peers: Vec<_> = peers
                    .into_iter()
                    .flatten()
                    .map(|it| (text_at(it, "/address"), text_at(it, "/name")))
                    .collect();
                peers.sort_by_key(|(address, _)| by_address(address));
                for (address, name) in peers {
                    text.push_str(&format!("{address}\t{name}\t\n"));
                }
                self.print_table(&text)
            }
        }
    }
}

/// JSON as Go's encoder writes it: a line, and nothing that HTML could take for its own.
fn json_line(value: &impl Serialize) -> String {
    // Our own types always serialize. These characters stand within texts only.
    let text = serde_json::to_string(value).unwrap_or_default();
    let text = text.replace('<', "\\u003c").replace('>', "\\u003e");
    let text = text.replace('&', "\\u0026").replace('\u{2028}', "\\u2028");
    text.replace('\u{2029}', "\\u2029") + "\n"
}

fn pairs(pairs: &Pairs) -> String {
    let pairs = pairs.iter();
    let mut texts: Vec<_> = pairs
        .map(|(name, value)| format!("{name}=\"{value}\""))
        .collect();
    texts.sort();
    texts.join(" ")
}

fn text_at(value: &Value, pointer: &str) -> String {
    let text = value.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

/// By IP, then by port as a number; what is no IP comes first.
fn by_address(address: &str) -> (Option<[u8; 16]>, u32) {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    let ip = host.trim_matches(['[', ']']).parse().ok();
    let ip = ip.map(|ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    });
    (ip, port.parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::{by_address, json_line};

    #[test]
    fn peers_in_order() {
        let mut peers = [
            "10.0.0.10:9094",
            "10.0.0.9:9094",
            "b:1",
            "10.0.0.9:994",
            "[::1]:5",
        ];
        peers.sort_by_key(|it| by_address(it));
        assert_eq!(
            peers,
            [
                "b:1",
                "[::1]:5",
                "10.0.0.9:994",
                "10.0.0.9:9094",
                "10.0.0.10:9094"
            ]
        );
    }

    #[test]
    fn json_as_go_writes_it() {
        assert_eq!(
            json_line(&"a<b>&\u{2028}"),
            "\"a\\u003cb\\u003e\\u0026\\u2028\"\n"
        );
    }
}
