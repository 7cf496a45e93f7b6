//! Held against what Alertmanager says: `tests/configs/expected.json`, which `tests/oracle_config.rs` writes.

use std::path::Path;

use serde_json::Value as Json;

use super::{
    Config, Kind, Options, Route,
    section::Reader,
    yaml::{self, Any},
};
use crate::matcher::{Matcher, Mode};

fn expected() -> Vec<Json> {
    let text = include_str!("../../tests/configs/expected.json");
    serde_json::from_str(text).unwrap()
}

/// The tree that a text is, with keys in their order.
fn tree(text: &str) -> Any {
    let node = yaml::parse(text, None).unwrap().unwrap();
    Reader::new(Mode::Fallback).any(&node).unwrap()
}

fn keys(route: &Route, found: &mut Vec<String>) {
    found.push(format!("{} {}", route.index, route.key));
    for route in &route.routes {
        keys(route, found);
    }
}

fn text<'a>(value: &'a Json, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Json::as_str).unwrap_or("")
}

fn texts(value: &Json, pointer: &str) -> Vec<String> {
    let list = value.pointer(pointer).and_then(Json::as_array);
    let list = list.into_iter().flatten();
    list.map(|it| it.as_str().unwrap().to_owned()).collect()
}

/// What is shown of these is no configuration: Alertmanager does not read it either.
const SHOWN_IS_NONE: [&str; 5] = [
    "routes: a tree",
    "receivers: slack token and the API as the URL",
    "receivers: slack with a token",
    "receivers: slack with a global token",
    "receivers: incidentio",
];

/// The lines that are in one only.
fn diff(found: &str, expect: &str) -> String {
    let of = |sign: char, these: &str, those: &str| {
        let lines = these
            .lines()
            .filter(|it| !those.lines().any(|that| that == *it));
        lines
            .map(|it| format!("  {sign}{it}\n"))
            .collect::<String>()
    };
    of('+', found, expect) + &of('-', expect, found)
}

#[test]
fn configurations() {
    let mut wrong = String::new();
    for case in expected() {
        let name = text(&case, "/name");
        if name.is_empty() {
            continue;
        }
        let path = Path::new("/etc/alertmanager/alertmanager.yml");
        let found = Config::parse(path, text(&case, "/text"));
        let error = text(&case, "/found/error");
        match found {
            Err(_) if !error.is_empty() => {}
            Err(found) => wrong.push_str(&format!("{name}: {found}\n")),
            Ok(_) if !error.is_empty() => {
                wrong.push_str(&format!("{name}: should fail with {error}\n"));
            }
            Ok(config) => {
                let expect = text(&case, "/found/shown");
                let shown = &config.shown_whole;
                if shown != expect {
                    println!("BYTES {name}\n{}", diff(shown, expect));
                }
                if tree(shown) != tree(expect) {
                    wrong.push_str(&format!("{name}: shown:\n{}", diff(shown, expect)));
                }
                // What is shown is a configuration.
                for shown in [shown, &config.shown] {
                    if let Err(error) = Config::parse(path, shown)
                        && !SHOWN_IS_NONE.contains(&name)
                    {
                        wrong.push_str(&format!("{name}: what is shown: {error}\n"));
                    }
                }
                let mut found = Vec::new();
                keys(&config.route, &mut found);
                if found != texts(&case, "/found/keys") {
                    wrong.push_str(&format!("{name}: {found:?}\n"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn matchers() {
    let mut wrong = String::new();
    for case in expected() {
        let Some(Json::String(asked)) = case.pointer("/matcher/text") else {
            continue;
        };
        let mode = match text(&case, "/matcher/mode") {
            "classic-mode" => Mode::Classic,
            "utf8-strict-mode" => Mode::Utf8Strict,
            _ => Mode::Fallback,
        };
        let many = case.pointer("/matcher/many") == Some(&Json::Bool(true));
        let found = if many {
            Matcher::parse_all_with(asked, mode)
        } else {
            Matcher::parse_with(asked, mode).map(|it| vec![it])
        };
        let found = found.map(|it| it.iter().map(ToString::to_string).collect::<Vec<_>>());
        let is_good = match &found {
            Ok(found) => {
                text(&case, "/found/error").is_empty() && *found == texts(&case, "/found/keys")
            }
            Err(_) => !text(&case, "/found/error").is_empty(),
        };
        if !is_good {
            wrong.push_str(&format!("{asked:?} {mode:?} {many}: {found:?} {case}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

const RECEIVERS: &str = "route: {receiver: a}\n";

fn read(text: &str, options: &Options) -> Result<Config, String> {
    let environment = |name: &str| match name {
        "PASSWORD" => Some("a\": ~ #$\n".to_owned()),
        "PORT" => Some("587".to_owned()),
        "TLS" => Some("no".to_owned()),
        "NULL" => Some("null".to_owned()),
        _ => None,
    };
    Config::parse_with(Path::new("r.yml"), text, options, &environment)
        .map_err(|error| error.to_string())
}

/// What Alertmanager has not.
#[test]
fn ours() {
    let text = "
route:
  receiver: a
  labels: {x: '1', y: '2'}
  digest: {groups: 10}
  routes:
  - labels: {y: '3'}
    routes: [{matchers: [a=b]}]
  - digest: {groups: 5, window: 30s}
    mute_time_intervals: [night]
receivers:
- {name: a, fallback: b, labels: {team: x}}
- {name: b, fallback: c}
- name: c
  opsgenie_configs: [{api_key: x}, {api_key: x}]
  wechat_configs: [{api_secret: x, corp_id: y}]
time_intervals: [{name: night}]
heartbeats:
- {matchers: [alertname=Watchdog], timeout: 5m, receiver: b}
- {matchers: [a=b, c=~d], timeout: 1h, receiver: b}
- {name: x, matchers: [a=b], timeout: 1h, receiver: b}
heartbeat_url: https://outside.example/ping
";
    let config = read(text, &Options::default()).unwrap();
    let routes: Vec<_> = config.route.routes.iter().collect();
    assert_eq!(config.route.index, 3);
    assert_eq!(
        format!("{:?}", config.route.labels),
        r#"{"x": "1", "y": "2"}"#
    );
    let [first, second] = routes.as_slice() else {
        panic!("{routes:?}");
    };
    assert_eq!(
        format!("{:?}", first.routes.first().unwrap().labels),
        r#"{"x": "1", "y": "3"}"#
    );
    assert_eq!(
        format!("{:?} {:?}", first.digest, second.digest),
        "Some(Digest { groups: 10, window: 60s }) Some(Digest { groups: 5, window: 30s })"
    );
    assert_eq!(second.mute_time_intervals.first().unwrap().name, "night");
    let told: Vec<_> = config
        .receivers
        .iter()
        .map(|it| {
            format!(
                "{} {:?} {:?} {:?}",
                it.name, it.fallback, it.labels, it.unsent
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            r#"a Some("b") {"name": "a", "team": "x"} []"#,
            r#"b Some("c") {"name": "b"} []"#,
            r#"c None {"name": "c"} ["opsgenie", "wechat"]"#,
        ]
    );
    let names: Vec<_> = config
        .heartbeats
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    assert_eq!(names, ["Watchdog", r#"{a="b",c=~"d"}"#, "x"]);
    let url = config.heartbeat_url.unwrap();
    assert_eq!(url.interval.as_secs(), 60);
    assert_eq!(
        url.url.read().unwrap().expose(),
        "https://outside.example/ping"
    );
    for word in ["digest", "fallback", "heartbeat"] {
        assert!(!config.shown.contains(word), "{}", config.shown);
    }
    let strict = Options {
        strict_receivers: true,
        ..Options::default()
    };
    assert_eq!(
        read(text, &strict).unwrap_err(),
        "r.yml, line 15: receiver \"c\": opsgenie_configs: alert-router does not send opsgenie, and receivers are strict: take it out"
    );
}

#[test]
fn mistakes_in_ours() {
    for (text, expect) in [
        (
            "receivers: [{name: a, fallback: b}]",
            "line 2: receiver \"a\": fallback: the receiver \"b\" is not defined; add it to receivers",
        ),
        (
            "receivers: [{name: a, fallback: a}]",
            "line 2: receiver \"a\": fallback: it leads in a circle: a, a",
        ),
        (
            "receivers: [{name: a, fallback: b}, {name: b, fallback: a}]",
            "line 2: receiver \"a\": fallback: it leads in a circle: a, b, a",
        ),
        (
            "heartbeats: [{matchers: [a=b], receiver: a}]",
            "line 2: heartbeats needs timeout",
        ),
        (
            "heartbeats: [{matchers: [a=b], timeout: 0s, receiver: a}]",
            "line 2: heartbeats needs timeout",
        ),
        (
            "heartbeats: [{timeout: 5m, receiver: a}]",
            "line 2: heartbeats needs matchers",
        ),
        (
            "heartbeats: [{matchers: [a=b], timeout: 5m, receiver: b}]",
            "line 2: heartbeats: the receiver \"b\" is not defined; add it to receivers",
        ),
        (
            "heartbeats: [{matchers: [a=b], timeout: 5m, receiver: a}, {matchers: [a=b], timeout: 5m, receiver: a}]",
            "line 2: heartbeats: the name \"{a=\\\"b\\\"}\" is given twice; names must be unique",
        ),
        (
            "heartbeat_url: nonsense",
            "line 2: heartbeat_url: this is no URL: it must start with http:// or https://",
        ),
        (
            "heartbeat_url: {interval: 5s}",
            "line 2: heartbeat_url needs url or url_file",
        ),
        (
            "heartbeat_url: {url: 'http://x', interval: 0s}",
            "line 2: heartbeat_url.interval must be longer than zero",
        ),
    ] {
        let receivers = if text.starts_with("receivers") {
            ""
        } else {
            "\nreceivers: [{name: a}]"
        };
        let found = read(
            &format!("{RECEIVERS}{text}{receivers}"),
            &Options::default(),
        );
        assert_eq!(found.unwrap_err(), format!("r.yml, {expect}"), "{text}");
    }
}

/// Whatever is put in is a text, unless something else is wanted.
#[test]
fn from_the_environment() {
    let text = "
global:
  smtp_smarthost: mail:${PORT}
  smtp_from: a@b
  smtp_auth_username: '${NULL}'
  smtp_auth_password: ${PASSWORD}
  smtp_require_tls: ${TLS}
route: {receiver: a}
receivers:
- name: a
  email_configs: [{to: x@y, headers: {'${X}': $$x $y}}]
";
    let on = Options {
        expand_env: true,
        ..Options::default()
    };
    let config = read(text, &on).unwrap();
    let Kind::Email(email) = &config
        .receivers
        .first()
        .unwrap()
        .integrations
        .first()
        .unwrap()
        .kind
    else {
        panic!("no mail");
    };
    assert_eq!(
        (email.port, email.username.as_deref(), email.require_tls),
        (587, Some("null"), false)
    );
    let password = email.password.as_ref().unwrap().read().unwrap();
    assert_eq!(password.expose(), "a\": ~ #$\n");
    assert_eq!(email.headers.get("${X}").map(String::as_str), Some("$x $y"));
    assert_eq!(
        read(&text.replace("{PORT}", "{NONE}"), &on).unwrap_err(),
        "r.yml, line 3: smtp_smarthost: the environment variable NONE is not set"
    );
    assert_eq!(
        read(&text.replace("${PORT}", "${credential:x}"), &on).unwrap_err(),
        "r.yml, line 3: smtp_smarthost: the credential x is not there: systemd sets CREDENTIALS_DIRECTORY for LoadCredential= and its kin"
    );
    // Not unless it is asked for.
    assert_eq!(
        read(text, &Options::default()).unwrap_err(),
        "r.yml, line 7: smtp_require_tls: expected true or false"
    );
}

#[test]
fn bounds() {
    let mut text = "x: &a0 [x]\n".to_owned();
    for at in 1..30 {
        text.push_str(&format!(
            "y{at}: &a{at} [{}]\n",
            vec![format!("*a{}", at - 1); 10].join(", ")
        ));
    }
    let text = format!(
        "receivers: [{{name: a, webhook_configs: [{{url: 'http://x', payload: {{{}}}}}]}}]\nroute: {{receiver: a}}\n",
        text.trim_end().replace('\n', ", ")
    );
    assert_eq!(
        read(&text, &Options::default()).unwrap_err(),
        "r.yml, line 1: aliases make more of the file than a million values"
    );
    let text = format!("route: {}", "{routes: [".repeat(200));
    assert!(read(&text, &Options::default()).is_err());
    let text = format!("a: {}", "[".repeat(100_000));
    assert!(read(&text, &Options::default()).is_err());
}

#[test]
fn values_of_yaml() {
    for (text, expect) in [
        ("1", "1"),
        ("yes", "true"),
        ("a: [b, 2.5, ~]", r#"{"a":["b",2.5,null]}"#),
        ("", "null"),
        ("'1'", r#""1""#),
        ("[1", ""),
        ("{1: x, y: y, z: n}", r#"{"z":false}"#),
    ] {
        let found = super::yaml_value(text).map(|it| it.to_string());
        assert_eq!(found.unwrap_or_default(), expect, "{text}");
    }
}

/// What senders get.
#[test]
fn settings() {
    let text = "
global:
  slack_app_token: token
  http_config: {bearer_token: global}
route: {receiver: a}
receivers:
- name: a
  slack_configs: [{http_config: {}, update_message: true, timeout: 5m}]
  pagerduty_configs: [{routing_key: key, details: {x: y}, timeout: 500ms}]
  webhook_configs:
  - url: http://{{ .x }}
    http_config:
      oauth2: {client_id: i, client_secret: s, token_url: http://t, grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer'}
      proxy_url: http://proxy
      http_headers: {A: {values: [b], secrets: [c], files: [d]}}
      tls_config: {ca: pem, cert_file: c, key_file: /k, min_version: TLS12}
";
    let config = Config::parse(Path::new("/etc/am/r.yml"), text).unwrap();
    let kinds = &config.receivers.first().unwrap().integrations;
    let kinds: Vec<_> = kinds.iter().map(|it| &it.kind).collect();
    let [
        Kind::PagerDuty(pagerduty),
        Kind::Slack(slack),
        Kind::Webhook(webhook),
    ] = kinds.as_slice()
    else {
        panic!("{kinds:?}");
    };
    assert_eq!(pagerduty.url, "https://events.pagerduty.com/v2/enqueue");
    assert_eq!(pagerduty.source, pagerduty.client);
    assert_eq!(pagerduty.details.len(), 5);
    assert_eq!(pagerduty.http.timeout.as_secs(), 1);
    let secret =
        |it: &Option<super::SecretSource>| it.as_ref().unwrap().read().unwrap().expose().to_owned();
    let authorization = pagerduty.http.authorization.as_ref().unwrap();
    assert_eq!(secret(&authorization.credentials), "global");
    let authorization = slack.http.authorization.as_ref().unwrap();
    assert_eq!(secret(&authorization.credentials), "token");
    assert_eq!(slack.url.read().unwrap().expose(), slack.app_url);
    assert_eq!(slack.http.timeout.as_secs(), 120);
    assert!(slack.message.is_none());
    let http = &webhook.http;
    assert_eq!(
        format!("{:?}", http.tls.identity),
        r#"Some((File("/etc/am/c"), File("/k")))"#
    );
    assert_eq!(http.tls.min_version, Some(super::TlsVersion::Tls12));
    assert_eq!(
        format!("{:?}", http.headers),
        r#"[HttpHeader { name: "A", values: [Inline(<secret>), Inline(<secret>), File("/etc/am/d")] }]"#
    );
    let super::OAuth2Grant::JwtBearer(jwt) = &http.oauth2.as_ref().unwrap().grant else {
        panic!("{http:?}");
    };
    assert_eq!(
        (jwt.issuer.as_str(), jwt.audience.as_str()),
        ("i", "http://t")
    );
}
