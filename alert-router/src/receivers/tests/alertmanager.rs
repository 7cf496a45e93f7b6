//! What is sent, held against what Alertmanager sends: `tests/notify/expected.json`, which `tests/oracle_notify.rs` writes.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{Timestamp, tz::TimeZone};
use serde::Deserialize;
use serde_json::{Value, json};
use testkit::{Answer, Upstream};

use super::{context, header, memory, senders};
use crate::{
    alert::{Alert, Fingerprint, Pairs},
    config::{Config, Kind},
    core::{Memory, Notification, Status},
    receivers::{
        email, pagerduty,
        slack::{self, Earlier},
        templated::Draft,
    },
};

/// Where we do something else, and why.
const DIFFERENCES: [(&str, &str); 5] = [
    ("email: firing: a comment", NOT_READ),
    ("email: firing: a group of recipients", NOT_READ),
    ("email: firing: a space in a quoted address", NOT_READ),
    ("email: firing: an address of a host", NOT_READ),
    (
        "email: firing: lines between addresses",
        "they are what they look like",
    ),
];
const NOT_READ: &str = "such addresses are refused when the configuration is read";

#[derive(Deserialize)]
struct Case {
    name: String,
    group: String,
    config: String,
    sent: Value,
}

/// Of what a receiver is told.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    key: String,
    labels: Pairs,
    #[serde(default)]
    route_labels: Pairs,
    reason: String,
    alerts: Vec<Told>,
    earlier: Option<Pairs>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    labels: Pairs,
    annotations: Pairs,
    starts_at: Timestamp,
    ends_at: Option<Timestamp>,
    #[serde(rename = "generatorURL")]
    generator_url: String,
}

#[tokio::test]
async fn alertmanager_sends_the_same() {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("../../../tests/notify/expected.json")).unwrap();
    let groups: BTreeMap<String, Group> =
        serde_json::from_str(include_str!("../../../tests/notify/groups.json")).unwrap();
    let mut wrong = String::new();
    for case in &cases {
        let found = sent(&case.config, &groups[&case.group]).await;
        let is_same = match &found {
            Ok(found) => is_same(found, &case.sent),
            Err(_) => case.sent.get("error").is_some(),
        };
        let differs = DIFFERENCES.iter().any(|it| it.0 == case.name);
        if is_same == differs {
            wrong.push_str(&format!(
                "{}\n expect {}\n  found {}\n",
                case.name,
                case.sent,
                found.unwrap_or_else(Value::String)
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Whether all that was found is expected. Who has no headers is not asked for them.
fn is_same(found: &Value, expect: &Value) -> bool {
    let mut expect = expect.clone();
    if found.get("headers").is_none()
        && let Some(expect) = expect.as_object_mut()
    {
        expect.remove("headers");
        expect.remove("method");
    }
    // Nobody gets a mail twice, so that recipients are sorted.
    if let Some(Value::Array(to)) = expect.get_mut("to") {
        to.sort_by_key(ToString::to_string);
        to.dedup();
    }
    *found == expect
}

async fn sent(config: &str, group: &Group) -> Result<Value, String> {
    let server = Upstream::start(vec![Answer::ok("ok")]);
    let config = config
        .replace("UPSTREAM", &server.url(""))
        .replace("MAILHOST", "127.0.0.1:25");
    // Templates of files are beside it.
    let path = testkit::root().join("alert-router/tests/notify/alertmanager.yml");
    let config = Config::parse(&path, &config).map_err(|error| error.to_string())?;
    let config = Arc::new(config);
    let told = notification(&config, group);
    let (context, now) = (context(), Timestamp::now());
    let draft = Draft {
        told: &told,
        config: &config,
        context: &context,
        now,
    };
    let elsewhere = |url: &str, body: String, complaint| match complaint {
        None => Ok(json!({"url": url, "body": short(body)})),
        Some(complaint) => Err(complaint),
    };
    match &told.integration.kind {
        Kind::Email(settings) => {
            let letter = email::Letter::new(settings, &draft)?;
            let mail = steady(&letter.text, now);
            return Ok(json!({"from": letter.from, "to": letter.to, "mail": mail}));
        }
        // These hosts are not here.
        Kind::PagerDuty(settings) if settings.service_key.is_some() => {
            let composed = pagerduty::compose(settings, &draft);
            let (body, complaint) = composed.map_err(|failure| failure.error)?;
            return elsewhere(pagerduty::url(settings), body, complaint);
        }
        Kind::Slack(settings) => {
            let url = settings.url.read().unwrap();
            if url.expose().starts_with("https://slack.com/") {
                let earlier = Earlier::of(settings, &told);
                let (body, complaint) = slack::compose(settings, &draft, earlier.as_ref());
                let editing = slack::update_url(settings);
                let url = earlier.map_or(url.expose(), |_| editing.as_str());
                return elsewhere(url, body, complaint);
            }
        }
        _ => {}
    }
    let delivered = senders(&config).send(&told).await;
    let delivered = delivered.map_err(|failure| failure.error)?;
    if let Some(complaint) = delivered.complaint {
        return Err(complaint);
    }
    let heard = server.heard().pop().unwrap();
    let mut line = heard.line.split(' ');
    let mut headers = BTreeMap::new();
    for (name, _) in &heard.headers {
        // What belongs to the connection and not to the message.
        let others = ["accept", "content-length", "host", "user-agent"];
        if !others.contains(&name.as_str()) {
            headers.insert(canonical(name), header(&heard, name));
        }
    }
    Ok(json!({
        "method": line.next(),
        "url": format!("UPSTREAM{}", line.next().unwrap()),
        "headers": headers,
        "body": short(heard.body.clone()),
    }))
}

fn notification(config: &Config, group: &Group) -> Notification {
    let alerts = group.alerts.iter().map(|it| {
        let alert = Alert {
            labels: it.labels.clone(),
            annotations: it.annotations.clone(),
            starts_at: it.starts_at,
            ends_at: it.ends_at.unwrap_or(Timestamp::MAX),
            generator_url: it.generator_url.clone(),
        };
        let status = match it.ends_at {
            Some(_) => Status::Resolved,
            None => Status::Firing,
        };
        (Fingerprint::of(&alert.labels), alert, status)
    });
    let reasons = [
        "first notification",
        "new alerts added",
        "all alerts resolved",
        "repeat interval elapsed",
    ];
    let earlier = group.earlier.as_ref();
    Notification {
        id: 1,
        integration: Arc::clone(&config.receivers[0].integrations[0]),
        group_key: group.key.clone(),
        group_labels: group.labels.clone(),
        alerts: alerts.collect(),
        attempt: 1,
        route_labels: group.route_labels.clone(),
        reason: reasons.into_iter().find(|it| *it == group.reason).unwrap(),
        memory: earlier.map_or_else(Memory::new, |it| {
            memory([("channel", &it["channel"]), ("ts", &it["ts"])])
        }),
    }
}

/// Go's form of a header's name.
fn canonical(name: &str) -> String {
    let words = name.split('-').map(|it| {
        let (first, rest) = it.split_at(1);
        first.to_ascii_uppercase() + rest
    });
    words.collect::<Vec<_>>().join("-")
}

/// Of a long body, its length and its SHA-256.
fn short(body: String) -> String {
    if body.len() <= 20_000 {
        return body;
    }
    format!("{} bytes: {}", body.len(), pagerduty::hash(&body))
}

/// A mail with its headers sorted and without what is of this moment.
fn steady(mail: &str, now: Timestamp) -> String {
    let (head, body) = mail.split_once("\r\n\r\n").unwrap();
    let (_, boundary) = head.split_once("boundary=").unwrap();
    let boundary: String = boundary.chars().take(60).collect();
    assert!(boundary.bytes().all(|it| it.is_ascii_hexdigit()));
    let today = now
        .to_zoned(TimeZone::system())
        .strftime("%Y-%m-%d")
        .to_string();
    // Go folds no headers.
    let head = head.replace(&boundary, "BOUNDARY").replace("\r\n ", " ");
    let mut headers: Vec<_> = head.split("\r\n").map(ToOwned::to_owned).collect();
    let number = |it: &str| {
        let (time, rest) = it.strip_prefix('<')?.split_once('.')?;
        let (random, host) = rest.strip_suffix('>')?.split_once('@')?;
        let digits = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
        (digits(time) && digits(random) && !host.is_empty()).then_some(())
    };
    for header in &mut headers {
        if let Some(id) = header.strip_prefix("Message-Id: ")
            && number(id).is_some()
        {
            "Message-Id: <TIME.NUMBER@HOST>".clone_into(header);
        }
        if let Some(date) = header.strip_prefix("Date: ")
            && jiff::fmt::rfc2822::parse(date).is_ok()
        {
            "Date: NOW".clone_into(header);
        }
        *header = header.replace(&today, "TODAY");
    }
    headers.sort();
    let head = headers.join("\r\n");
    format!("{head}\r\n\r\n{}", body.replace(&boundary, "BOUNDARY"))
}
