//! Senders against servers that answer as receivers do at night.

mod alertmanager;

use std::{fs, path::Path, sync::Arc, time::Duration};

use serde_json::Value;
use testkit::{Answer, Heard, MailServer, Upstream};

use super::{
    Context, Delivered, Draft, Failure, Senders, email, message::tests::notifications, preview,
    slack,
};
use crate::{
    alert::{Alert, Pairs},
    config::{Config, Integration, Kind},
    core::{Memory, Notification, Retry},
};

/// One receiver with these integrations.
fn config(integrations: &str) -> Arc<Config> {
    let text = format!("route: {{receiver: team}}\nreceivers:\n- name: team\n{integrations}");
    Arc::new(Config::parse(Path::new("r.yml"), &text).unwrap())
}

fn context() -> Context {
    Context {
        external_url: "http://router.example:9093".to_owned(),
    }
}

fn senders(config: &Arc<Config>) -> Senders {
    Senders::new(Arc::clone(config), context()).unwrap()
}

fn told(config: &Config, memory: Memory) -> Notification {
    Notification {
        memory,
        reason: "new alerts added",
        ..of(&config.receivers[0].integrations[0])
    }
}

fn of(integration: &Arc<Integration>) -> Notification {
    let mut all = notifications().into_iter();
    let (_, told) = all.find(|it| it.0 == "firing").unwrap();
    Notification {
        integration: Arc::clone(integration),
        ..told
    }
}

async fn send(integrations: &str) -> Result<Delivered, Failure> {
    let config = config(integrations);
    senders(&config).send(&told(&config, Memory::new())).await
}

fn json(body: &str) -> Answer {
    let headers = vec![("Content-Type", "application/json; charset=utf-8".to_owned())];
    Answer::Reply(200, headers, body.to_owned())
}

fn header<'a>(heard: &'a Heard, name: &str) -> Vec<&'a str> {
    let headers = heard.headers.iter().filter(|it| it.0 == name);
    headers.map(|it| it.1.as_str()).collect()
}

fn memory<const N: usize>(pairs: [(&str, &str); N]) -> Memory {
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

#[tokio::test]
async fn what_answers_mean() {
    let later = |it: &str| vec![("Retry-After", it.to_owned())];
    for (answer, reason, retry) in [
        (
            Answer::Reply(429, later("2"), String::new()),
            "rateLimited",
            Retry::After(Duration::from_secs(2)),
        ),
        (
            Answer::Reply(503, later("Fri, 02 Jan 1970 03:04:05 GMT"), String::new()),
            "serverError",
            Retry::After(Duration::ZERO),
        ),
        (Answer::status(500), "serverError", Retry::Backoff),
        (Answer::status(401), "authError", Retry::No),
        (Answer::status(404), "clientError", Retry::No),
        (Answer::Close, "other", Retry::Backoff),
        (Answer::Hang, "contextDeadlineExceeded", Retry::Backoff),
    ] {
        let server = Upstream::start(vec![answer]);
        let url = server.url("/s3cret");
        for kind in [
            format!("  slack_configs: [{{api_url: '{url}', channel: '#x', timeout: 1s}}]"),
            format!("  webhook_configs: [{{url: '{url}', timeout: 1s}}]"),
            format!("  pagerduty_configs: [{{url: '{url}', routing_key: k, timeout: 1s}}]"),
        ] {
            let failure = send(&kind).await.unwrap_err();
            let found = (failure.reason, failure.retry);
            assert_eq!(found, (reason, retry), "{kind}: {}", failure.error);
            assert!(!failure.error.contains("s3cret"), "{}", failure.error);
        }
    }
}

/// The message of a group is edited, and posted anew when there is none left to edit.
#[tokio::test]
async fn messages_are_edited() {
    let server = Upstream::start(vec![
        json(r#"{"ok":true,"channel":"C1","ts":"1.1"}"#),
        json(r#"{"ok":true,"channel":"C1","ts":"1.1"}"#),
        Answer::status(500),
        json(r#"{"ok":false,"error":"ratelimited"}"#),
        json(r#"{"ok":false,"error":"message_not_found"}"#),
        json(r#"{"ok":true,"channel":"C1","ts":"2.2"}"#),
        json(r#"{"ok":true,"channel":"C1","ts":"3.3"}"#),
    ]);
    for message in ["", ", text: '{{ .Status }}'"] {
        let config = config(&format!(
            "  slack_configs: [{{app_token: xoxb, app_url: '{}', channel: '#x', update_message: true{message}}}]",
            server.url("/api/chat.postMessage")
        ));
        let before = server.heard().len();
        let senders = senders(&config);
        let first = senders.send(&told(&config, Memory::new())).await.unwrap();
        if before > 0 {
            // The script is at its last answer.
            assert_eq!(first.memory, memory([("channel", "C1"), ("ts", "3.3")]));
            continue;
        }
        let known = memory([("channel", "C1"), ("ts", "1.1")]);
        assert_eq!(first.memory, known);
        // Another process.
        let senders = self::senders(&config);
        let edited = senders.send(&told(&config, known.clone())).await.unwrap();
        assert_eq!(edited.memory, known);
        for (reason, retry) in [
            ("serverError", Retry::Backoff),
            ("rateLimited", Retry::Backoff),
        ] {
            let failed = senders.send(&told(&config, known.clone())).await;
            let failed = failed.unwrap_err();
            assert_eq!((failed.reason, failed.retry), (reason, retry));
            assert_eq!(failed.memory, known, "it can still be edited");
        }
        let anew = senders.send(&told(&config, known.clone())).await.unwrap();
        assert_eq!(anew.memory, memory([("channel", "C1"), ("ts", "2.2")]));
        let begun = Notification {
            reason: "first notification",
            ..told(&config, known)
        };
        senders.send(&begun).await.unwrap();
        let heard = server.heard();
        let lines: Vec<_> = heard.iter().map(|it| it.line.as_str()).collect();
        let post = "POST /api/chat.postMessage HTTP/1.1";
        let edit = "POST /api/chat.update HTTP/1.1";
        assert_eq!(lines, [post, edit, edit, edit, edit, post, post]);
        assert_eq!(header(&heard[1], "authorization"), ["Bearer xoxb"]);
        let body: Value = serde_json::from_str(&heard[1].body).unwrap();
        assert_eq!(
            (&body["channel"], &body["ts"]),
            (&"C1".into(), &"1.1".into())
        );
        let body: Value = serde_json::from_str(&heard[5].body).unwrap();
        assert_eq!(
            (&body["channel"], &body["ts"]),
            (&"#x".into(), &Value::Null)
        );
    }
    let last = server.heard().pop().unwrap();
    assert!(
        last.body.starts_with("{\"channel\":\"#x\""),
        "{}",
        last.body
    );
}

/// Nobody is kept from an alert by a template, and everybody sees that it failed.
#[tokio::test]
async fn templates_that_fail() {
    let server = Upstream::start(vec![Answer::ok("")]);
    let url = server.url("/");
    for kind in [
        format!("  slack_configs: [{{api_url: '{url}', channel: '#x', text: '{{{{ .Nope }}}}'}}]"),
        format!("  webhook_configs: [{{url: '{url}', payload: {{a: '{{{{ .Nope }}}}'}}}}]"),
        format!(
            "  pagerduty_configs: [{{url: '{url}', routing_key: k, description: '{{{{ .Nope }}}}'}}]"
        ),
    ] {
        let delivered = send(&kind).await.unwrap();
        let complaint = delivered.complaint.unwrap();
        assert!(
            complaint.contains("can't evaluate field Nope"),
            "{complaint}"
        );
        let body = server.heard().pop().unwrap().body;
        for part in ["AgentDown", "The template of this message fails"] {
            assert!(body.contains(part), "{part} is missing: {body}");
        }
    }
}

/// `http_config`: who we say we are, and secrets that change in their files.
#[tokio::test]
async fn credentials() {
    let server = Upstream::start(vec![Answer::ok("")]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let shown = file.display();
    fs::write(&file, "one\n").unwrap();
    let url = server.url("/");
    for (http, name, first, second) in [
        (
            format!("basic_auth: {{username: u, password_file: {shown}}}"),
            "authorization",
            "Basic dTpvbmU=",
            "Basic dTp0d28=",
        ),
        (
            format!("authorization: {{type: Token, credentials_file: {shown}}}"),
            "authorization",
            "Token one",
            "Token two",
        ),
        (
            format!("http_headers: {{X-Team: {{files: [{shown}]}}}}"),
            "x-team",
            "one",
            "two",
        ),
    ] {
        fs::write(&file, "one\n").unwrap();
        let config = config(&format!(
            "  webhook_configs: [{{url: '{url}', http_config: {{{http}}}}}]"
        ));
        let senders = senders(&config);
        let told = told(&config, Memory::new());
        senders.send(&told).await.unwrap();
        fs::write(&file, "two\n").unwrap();
        senders.send(&told).await.unwrap();
        let heard = server.heard();
        let (last, before) = (&heard[heard.len() - 1], &heard[heard.len() - 2]);
        assert_eq!(
            (header(before, name), header(last, name)),
            (vec![first], vec![second])
        );
    }
    // Where to is read anew, too; and a file that is gone is no reason to give up.
    let other = Upstream::start(vec![Answer::ok("")]);
    fs::write(&file, server.url("/")).unwrap();
    let config = config(&format!("  webhook_configs: [{{url_file: {shown}}}]"));
    let senders = senders(&config);
    let told = told(&config, Memory::new());
    senders.send(&told).await.unwrap();
    fs::write(&file, other.url("/")).unwrap();
    senders.send(&told).await.unwrap();
    assert_eq!(other.heard().len(), 1);
    fs::remove_file(&file).unwrap();
    let failure = senders.send(&told).await.unwrap_err();
    assert_eq!(failure.retry, Retry::Backoff, "{}", failure.error);
}

/// A token is asked for once, and again when it is taken back.
#[tokio::test]
async fn tokens() {
    let issuer = Upstream::start(vec![
        json(r#"{"access_token":"t1","token_type":"bearer","expires_in":3600}"#),
        json(r#"{"access_token":"t2","token_type":"bearer","expires_in":3600}"#),
        Answer::status(400),
    ]);
    let server = Upstream::start(vec![
        Answer::ok(""),
        Answer::ok(""),
        Answer::status(401),
        Answer::ok(""),
    ]);
    let config = config(&format!(
        "  webhook_configs: [{{url: '{}', http_config: {{oauth2: {{client_id: c, client_secret: s, token_url: '{}', scopes: [a, b], endpoint_params: {{audience: x}}}}}}}}]",
        server.url("/"),
        issuer.url("/token")
    ));
    let senders = senders(&config);
    let told = told(&config, Memory::new());
    senders.send(&told).await.unwrap();
    senders.send(&told).await.unwrap();
    let failure = senders.send(&told).await.unwrap_err();
    assert_eq!(failure.reason, "authError");
    senders.send(&told).await.unwrap();
    let heard = server.heard();
    let found: Vec<_> = heard.iter().map(|it| header(it, "authorization")).collect();
    assert_eq!(
        found,
        [["Bearer t1"], ["Bearer t1"], ["Bearer t1"], ["Bearer t2"]]
    );
    assert_eq!(issuer.heard().len(), 2);
    // Another process, and an issuer that refuses.
    let failure = self::senders(&config).send(&told).await.unwrap_err();
    assert!(failure.error.contains("oauth2"), "{}", failure.error);
    assert_eq!(server.heard().len(), 4);
}

#[tokio::test]
async fn proxies_and_redirections() {
    let proxy = Upstream::start(vec![Answer::ok("")]);
    let http = format!(
        "http_config: {{proxy_url: '{}', no_proxy: 'direct.example', proxy_connect_header: {{X-Who: [us]}}}}",
        proxy.url("")
    );
    send(&format!(
        "  webhook_configs: [{{url: 'http://nowhere.example/x', {http}}}]"
    ))
    .await
    .unwrap();
    let heard = proxy.heard().pop().unwrap();
    assert_eq!(heard.line, "POST http://nowhere.example/x HTTP/1.1");
    let refusing = Upstream::start(vec![Answer::status(403)]);
    let http = http.replace(&proxy.url(""), &refusing.url(""));
    let secure = format!("  webhook_configs: [{{url: 'https://nowhere.example/x', {http}}}]");
    let failure = send(&secure).await.unwrap_err();
    assert_eq!(failure.retry, Retry::Backoff, "{}", failure.error);
    let heard = refusing.heard().pop().unwrap();
    assert_eq!(heard.line, "CONNECT nowhere.example:443 HTTP/1.1");
    assert_eq!(header(&heard, "x-who"), ["us"]);

    let end = Upstream::start(vec![Answer::ok("")]);
    let headers = vec![("Location", end.url("/there"))];
    let start = Upstream::start(vec![Answer::Reply(307, headers, String::new())]);
    let url = start.url("/");
    send(&format!("  webhook_configs: [{{url: '{url}'}}]"))
        .await
        .unwrap();
    assert!(end.heard()[0].body.contains("AgentDown"));
    let not =
        format!("  webhook_configs: [{{url: '{url}', http_config: {{follow_redirects: false}}}}]");
    let failure = send(&not).await.unwrap_err();
    assert_eq!((failure.reason, failure.retry), ("other", Retry::No));
}

/// What needs no certificates makes no client before it is used, and equal settings share one.
#[tokio::test]
async fn clients_are_made_when_they_are_needed() {
    let server = Upstream::start(vec![Answer::ok("")]);
    let config = config(&format!(
        "  webhook_configs: [{{url: '{0}'}}, {{url: '{0}', timeout: 3s}}]",
        server.url("/")
    ));
    let senders = senders(&config);
    assert_eq!(senders.clients.count(), 0);
    for integration in &config.receivers[0].integrations {
        senders.send(&of(integration)).await.unwrap();
    }
    assert_eq!(senders.clients.count(), 1);
    let wrong = "  webhook_configs: [{url: 'http://x/', http_config: {tls_config: {ca: no PEM}}}]";
    let error = Senders::new(self::config(wrong), context()).err().unwrap();
    assert!(
        error.contains("webhook[0]") && error.contains("the CA file"),
        "{error}"
    );
}

fn mail_config(server: &MailServer, to: &str) -> Arc<Config> {
    config(&format!(
        "  email_configs: [{{to: '{to}', from: r@example.com, smarthost: '{}', require_tls: false}}]",
        server.address()
    ))
}

/// Who is put off is told later, alone, also by another process; who is refused is not asked again.
#[tokio::test]
async fn who_has_the_mail_does_not_get_it_again() {
    let server = MailServer::start(|line| {
        // The second time, the mail is to one alone.
        static PUT_OFF: std::sync::Once = std::sync::Once::new();
        let mut first = false;
        if line.contains("<b@") {
            PUT_OFF.call_once(|| first = true);
        }
        match line {
            _ if first => Some("451 later"),
            _ if line.contains("<c@") => Some("550 no such user"),
            _ => None,
        }
    });
    let config = mail_config(&server, "a@x.org, b@x.org, c@x.org");
    let failure = senders(&config).send(&told(&config, Memory::new())).await;
    let failure = failure.unwrap_err();
    assert_eq!(failure.retry, Retry::Backoff);
    assert!(failure.error.contains("b@x.org: 451"), "{}", failure.error);
    let told = told(&config, failure.memory);
    let delivered = senders(&config).send(&told).await.unwrap();
    assert_eq!(delivered.refused, ["c@x.org: 550 no such user"]);
    assert!(delivered.memory.is_empty());
    let taken: Vec<_> = server.taken().into_iter().map(|it| it.to).collect();
    assert_eq!(taken, [["a@x.org"], ["b@x.org"]]);
    // Another notification of the group is another mail.
    let mut other = told;
    other.alerts.truncate(0);
    senders(&config).send(&other).await.unwrap();
    assert_eq!(server.taken().pop().unwrap().to, ["a@x.org", "b@x.org"]);
}

#[tokio::test]
async fn refusals_of_mails() {
    // Everybody is refused: that is the end of it, and visible.
    let server = MailServer::start(|line| line.starts_with("RCPT").then_some("550 nobody"));
    let config = mail_config(&server, "a@x.org, b@x.org");
    let failure = senders(&config).send(&told(&config, Memory::new())).await;
    let failure = failure.unwrap_err();
    assert_eq!((failure.reason, failure.retry), ("clientError", Retry::No));
    assert_eq!(failure.error, "a@x.org: 550 nobody; b@x.org: 550 nobody");
    // An address that is none keeps nobody else from the mail.
    let server = MailServer::start(|_| None);
    let config = mail_config(&server, "{{ .Status }}, b@x.org");
    let delivered = senders(&config).send(&told(&config, Memory::new())).await;
    let delivered = delivered.unwrap();
    assert!(
        delivered.refused[0].starts_with("firing: "),
        "{delivered:?}"
    );
    assert_eq!(server.taken()[0].to, ["b@x.org"]);
    // A value of a label is no header, and no command.
    let config = self::config(&format!(
        "  email_configs: [{{to: 'b@x.org', from: r@example.com, smarthost: '{}', require_tls: false, headers: {{Subject: \"{{{{ .CommonLabels.x }}}}a\\r\\nBcc: evil@x.org\"}}}}]",
        server.address()
    ));
    senders(&config)
        .send(&told(&config, Memory::new()))
        .await
        .unwrap();
    let text = server.taken().pop().unwrap().text;
    assert!(
        text.contains("=0D=0ABcc:") && !text.contains("\nBcc"),
        "{text}"
    );
    // A sender whom the server does not want.
    let server = MailServer::start(|line| line.starts_with("MAIL").then_some("553 not you"));
    let config = mail_config(&server, "a@x.org");
    let failure = senders(&config).send(&told(&config, Memory::new())).await;
    assert_eq!(failure.unwrap_err().retry, Retry::No);
}

/// What Slack and mail get, as configured by the provisioner, of alerts as its rules and labels make them.
#[test]
fn messages() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages");
    let file = folder.join("alert-router.yml");
    let config = Config::parse(&file, &fs::read_to_string(&file).unwrap()).unwrap();
    let context = Context {
        external_url: "https://monitor.example:9093".to_owned(),
    };
    let now = "2026-01-02T05:00:00Z".parse().unwrap();
    // What each form must have, beside what the goldens show.
    for (name, count, has, has_not) in [
        (
            "host",
            1,
            "HostDiskSpaceCritical|critical|scalardl-1|i-0123456789abcdef0|us-east-1a|3% left|2026-01-02 03:04:05 UTC|runbooks/HostDiskSpaceCritical|monitor.example:3000/d/scalardl-node|monitor.example:9093/silences/new?filter=|provisioner -e production recover scalardl-1",
            "until",
        ),
        (
            "host-without-id",
            1,
            "HostDown|scalardl-1|provisioner -e production recover scalardl-1",
            "instance_id|zone",
        ),
        (
            "no-host",
            1,
            "LedgersDown|role|silences/new",
            "instance|Repair",
        ),
        (
            "digest",
            30,
            "[FIRING:30] LedgerDown, |9 instances|https://monitor.example:9093/|LedgerDown (firing, critical)|traefik-2|and 25 more alerts",
            "until",
        ),
        (
            "end",
            1,
            "[RESOLVED] HostDown on scalardl-3|2026-01-02 04:00:00 UTC, after 55m 55s",
            "Repair|silences/new",
        ),
    ] {
        let text = fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
        let alerts: Vec<Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(alerts.len(), count);
        let pairs = |it: &Value| -> Pairs { serde_json::from_value(it.clone()).unwrap() };
        let time = |it: &Value| it.as_str().unwrap().parse().unwrap();
        let alerts = alerts.iter().map(|it| {
            let alert = Alert {
                labels: pairs(&it["labels"]),
                annotations: pairs(&it["annotations"]),
                starts_at: time(&it["startsAt"]),
                ends_at: time(&it["endsAt"]),
                generator_url: it["generatorURL"].as_str().unwrap().to_owned(),
            };
            let status = crate::core::status_of(alert.resolved(now));
            (alert.fingerprint(), alert, status)
        });
        let alerts: Vec<_> = alerts.collect();
        for integration in &config.receivers[0].integrations {
            let told = Notification {
                alerts: alerts.clone(),
                ..of(integration)
            };
            let draft = Draft {
                told: &told,
                config: &config,
                context: &context,
                now,
            };
            let forms = match &integration.kind {
                Kind::Slack(settings) => {
                    let body = slack::compose(settings, &draft, None).0;
                    let body: Value = serde_json::from_str(&body).unwrap();
                    let body = serde_json::to_string_pretty(&body).unwrap() + "\n";
                    vec![("slack.json", body)]
                }
                Kind::Email(_) => {
                    let message = draft.message();
                    let (text, html) = email::own(&message);
                    vec![("txt", text), ("html", html)]
                }
                _ => panic!("not configured"),
            };
            for (form, text) in forms {
                let shown = text.replace("&quot;", "\"");
                for part in has.split('|') {
                    assert!(shown.contains(part), "{name}.{form} has no {part}: {text}");
                }
                for part in has_not.split('|') {
                    assert!(!shown.contains(part), "{name}.{form} has {part}: {text}");
                }
                testkit::golden::check(
                    format!("alert-router/tests/golden/message-{name}.{form}"),
                    &text,
                );
            }
        }
    }
}

#[test]
fn previews() {
    let config = config(
        "  slack_configs: [{api_url: 'http://x/', channel: '#x'}]\n  email_configs: [{to: a@x.org, from: r@x.org, smarthost: 'x:25'}]\n  webhook_configs: [{url: 'http://x/'}]\n  pagerduty_configs: [{routing_key: k}]\n",
    );
    let now = "2026-01-02T05:00:00Z".parse().unwrap();
    let found = preview(&config, "team", of, &context(), now);
    let mut names: Vec<_> = found.iter().map(|it| (it.integration, it.index)).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [("email", 0), ("pagerduty", 0), ("slack", 0), ("webhook", 0)]
    );
    assert!(
        found.iter().all(|it| it.body.contains("AgentDown")),
        "{found:?}"
    );
    assert!(preview(&config, "nobody", of, &context(), now).is_empty());
}
