//! Receivers as a whole program reaches them: by the environment's proxy, and with a bot's token.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{fs, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use testkit::{Answer, Program, Running, Upstream, eventually, get, request};

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

/// A receiver that wants to see a certificate of ours; files that change are read again, without a reload.
#[test]
fn certificates_that_are_exchanged() {
    let authority = || {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    };
    let sign = |issuer: &CertifiedIssuer<'_, KeyPair>| {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    };
    let (ours, strangers) = (authority(), authority());
    let (server, client, stranger) = (sign(&ours), sign(&ours), sign(&strangers));
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let identity = |(certificate, key): &(String, String)| {
        write("client.pem", certificate);
        write("client.key", key);
    };
    write("ca.pem", &ours.pem());
    write("server.pem", &server.0);
    write("server.key", &server.1);
    write(
        "web.yml",
        "tls_server_config: {cert_file: server.pem, key_file: server.key, client_ca_file: ca-of-clients.pem, client_auth_type: \
         RequireAndVerifyClientCert}",
    );
    write("ca-of-clients.pem", &ours.pem());
    // Another one of us is the receiver: it answers a reload by 200.
    let nobody = "route: {receiver: none}\nreceivers: [{name: none}]\n";
    write("nobody.yml", nobody);
    let receiver = Program::new("alert-router")
        .arg_path("--config.file", &folder.path().join("nobody.yml"))
        .arg_path("--storage.path", &folder.path().join("theirs"))
        .arg_path("--web.config.file", &folder.path().join("web.yml"))
        .args(["--web.listen-address=127.0.0.1:0"])
        .start();
    let url = format!("https://{}/-/reload", receiver.address());
    write(
        "router.yml",
        &format!(
            "route: {{receiver: team, group_by: [alertname], group_wait: 0s, group_interval: 1h, repeat_interval: 1h}}\nreceivers:\n- \
             name: team\n  webhook_configs:\n  - url: '{url}'\n    http_config: {{tls_config: {{ca_file: ca.pem, cert_file: client.pem, \
             key_file: client.key}}}}\n"
        ),
    );
    identity(&stranger);
    let router = Program::new("alert-router")
        .arg_path("--config.file", &folder.path().join("router.yml"))
        .arg_path("--storage.path", &folder.path().join("data"))
        .args([
            "--web.listen-address=127.0.0.1:0",
            "--notifications.max-backoff=500ms",
        ])
        .start();
    let address = router.address();
    let post = |name: &str| {
        let alert = json!([{"labels": {"alertname": name}}]).to_string();
        let headers = [("Content-Type", "application/json")];
        let answer = request(
            address,
            "POST",
            "/api/v2/alerts",
            &headers,
            alert.as_bytes(),
        );
        assert_eq!(answer.unwrap().0, 200);
    };
    // What became of the last notification of an alert.
    let becomes = |name: &str, status: &str| {
        eventually(&format!("{name} is {status}"), PATIENCE, || {
            let (_, text) = get(address, "/api/ext/v1/notifications")?;
            let all: Value = serde_json::from_str(&text).ok()?;
            let key = format!("{{}}:{{alertname=\"{name}\"}}");
            let last = all.as_array()?.iter().find(|it| it["group_key"] == key)?;
            (last["status"] == status).then_some(())
        });
    };
    post("Stranger");
    becomes("Stranger", "failed");
    identity(&client);
    becomes("Stranger", "sent");
    write("ca.pem", &strangers.pem());
    post("Untrusted");
    becomes("Untrusted", "failed");
    write("ca.pem", &ours.pem());
    becomes("Untrusted", "sent");
}
