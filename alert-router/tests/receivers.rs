//! Receivers as a whole program reaches them: by the environment's proxy, and with a bot's token.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{fs, time::Duration};

use serde_json::{Value, json};
use testkit::{Answer, Program, Running, Upstream, request};

const PATIENCE: Duration = Duration::from_secs(60);

/// A program with one receiver and an alert, behind a proxy of the environment.
fn start(integrations: &str, proxy: &Upstream) -> (Running, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("router.yml");
    let config = format!(
        "route: {{receiver: team, group_wait: 0s, group_interval: 1h, repeat_interval: 1h}}\nreceivers:\n- name: team\n{integrations}\n"
    );
    fs::write(&file, config).unwrap();
    let running = Program::new("alert-router")
        .env("http_proxy", proxy.url(""))
        .arg_path("--config.file", &file)
        .arg_path("--storage.path", &folder.path().join("data"))
        .args(["--web.listen-address=127.0.0.1:0"])
        .start();
    let alert = json!([{"labels": {"alertname": "A"}}]);
    let (status, ..) = request(
        running.address(),
        "POST",
        "/api/v2/alerts",
        &[("Content-Type", "application/json")],
        alert.to_string().as_bytes(),
    )
    .unwrap();
    assert_eq!(status, 200);
    (running, folder)
}

/// The environment is asked by who wants it, and by nobody else.
#[test]
fn the_proxy_of_the_environment() {
    let proxy = Upstream::start(vec![Answer::ok("")]);
    let direct = Upstream::start(vec![Answer::ok("")]);
    let integrations = format!(
        "  webhook_configs:\n  - {{url: 'http://nowhere.example/x', http_config: {{proxy_from_environment: true}}}}\n  - {{url: '{}'}}",
        direct.url("/")
    );
    let _running = start(&integrations, &proxy);
    let heard = proxy.wait_for(1, PATIENCE);
    assert_eq!(heard[0].line, "POST http://nowhere.example/x HTTP/1.1");
    direct.wait_for(1, PATIENCE);
}

/// Slack's API says 200 where it means something else.
#[test]
fn a_bot_that_is_told_to_wait() {
    let said = |text: &str| {
        let headers = vec![
            ("Content-Type", "application/json".to_owned()),
            ("Retry-After", "1".to_owned()),
        ];
        Answer::Reply(200, headers, text.to_owned())
    };
    let slack = Upstream::start(vec![
        said(r#"{"ok":false,"error":"ratelimited"}"#),
        said(r#"{"ok":true,"channel":"C1","ts":"1.1"}"#),
    ]);
    let integrations = format!(
        "  slack_configs: [{{app_token: xoxb, app_url: '{}', channel: '#x', message_text: '{{{{ .Status }}}}'}}]",
        slack.url("/api/chat.postMessage")
    );
    let _running = start(&integrations, &slack);
    let heard = slack.wait_for(2, PATIENCE);
    assert!(heard[1].at - heard[0].at >= Duration::from_secs(1));
    let body: Value = serde_json::from_str(&heard[1].body).unwrap();
    assert_eq!(body["text"], "firing");
}
