//! Mail over real SMTP: a server of aiosmtpd with STARTTLS and passwords, and scripted ones for what goes wrong.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{fs, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use testkit::{MailServer, Program, Running, eventually, get, request, skip};

const PATIENCE: Duration = Duration::from_secs(60);

/// The settings of a server without TLS.
fn plain(server: &MailServer) -> String {
    format!(
        "  smtp_smarthost: {}\n  smtp_from: router@example.com\n  smtp_require_tls: false",
        server.address()
    )
}

fn start(mail: &str, global: &str) -> (Running, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("router.yml");
    let config = format!(
        "global:\n{global}\nroute: {{receiver: team, group_wait: 0s, group_interval: 1h, repeat_interval: 1h}}\nreceivers:\n- name: team\n  email_configs:\n  - {mail}\n"
    );
    fs::write(&file, config).unwrap();
    let running = Program::new("alert-router")
        .arg_path("--config.file", &file)
        .arg_path("--storage.path", &folder.path().join("data"))
        .args(["--web.listen-address=127.0.0.1:0"])
        .start();
    let alert = json!([{"labels": {"alertname": "DiskFull", "instance": "node-1"}, "annotations": {"summary": "Zürich: <b>voll</b>"}}]);
    let headers = [("Content-Type", "application/json")];
    let (status, ..) = request(
        running.address(),
        "POST",
        "/api/v2/alerts",
        &headers,
        alert.to_string().as_bytes(),
    )
    .unwrap();
    assert_eq!(status, 200);
    (running, folder)
}

fn outcomes(running: &Running) -> Vec<Value> {
    let (_, body) = get(running.address(), "/api/ext/v1/notifications").unwrap();
    let mut records: Vec<Value> = serde_json::from_str(&body).unwrap();
    records.reverse();
    records
}

fn wait_for(running: &Running, count: usize) -> Vec<Value> {
    eventually(&format!("{count} outcomes"), PATIENCE, || {
        let found = outcomes(running);
        (found.len() >= count).then_some(found)
    })
}

#[test]
fn one_refused_recipient_keeps_nobody_from_the_mail() {
    let server = MailServer::start(|line| line.contains("nobody@").then_some("550 no such user"));
    let (running, _folder) = start(
        "to: 'a@example.com, nobody@example.com, \"Doe, J\" <b@example.com>'",
        &plain(&server),
    );
    let records = wait_for(&running, 1);
    assert_eq!(records[0]["status"], "sent");
    let log = running.line("the mail server refuses a recipient");
    assert!(
        log.contains("nobody@example.com") && log.contains("550"),
        "{log}"
    );
    let taken = server.taken();
    assert_eq!(taken.len(), 1, "{taken:?}");
    assert_eq!(taken[0].to, ["a@example.com", "b@example.com"]);
}

#[test]
fn faults_of_servers() {
    for (script, expect) in [
        ((|_| Some("421 closing")) as fn(&str) -> _, "421"),
        (|_| Some(""), "hangs up"),
        (
            |line| line.starts_with("DATA").then_some("452 disk full"),
            "452",
        ),
        (|line| line.starts_with("RCPT").then_some("no code"), "code"),
    ] {
        let server = MailServer::start(script);
        let (running, _folder) = start("to: a@example.com", &plain(&server));
        let records = wait_for(&running, 2);
        assert!(
            records.iter().all(|it| it["status"] == "failed"),
            "{records:?}"
        );
        assert!(
            records[0]["error"].as_str().unwrap().contains(expect),
            "{records:?}"
        );
    }
    // A server without STARTTLS gets nothing when TLS is required, as it is unless one says otherwise.
    let server = MailServer::start(|_| None);
    let global = plain(&server).replace("\n  smtp_require_tls: false", "");
    let (running, _folder) = start("to: a@example.com", &global);
    let records = wait_for(&running, 1);
    assert_eq!(records[0]["status"], "failed");
    assert!(server.taken().is_empty());
}

/// STARTTLS with our authority, each way of AUTH, refused recipients, and a mail of two parts, by a server that is not ours.
#[test]
fn a_real_server_with_tls_and_a_password() {
    if parts::on_path("python3").is_none() {
        return skip("no python3 on the PATH to run the mail server");
    }
    let modules = ["python3-aiosmtpd", "python3-attr", "python3-public"].map(|it| {
        let root = parts::find(it).unwrap().root.unwrap();
        root.join("usr/lib/python3/dist-packages")
            .display()
            .to_string()
    });
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new(vec!["mail.example".to_owned()])
        .unwrap()
        .signed_by(&key, &ca)
        .unwrap();
    write("ca.pem", &ca.pem());
    write("cert.pem", &cert.pem());
    write("key.pem", &key.serialize_pem());
    let path = |name: &str| folder.path().join(name).display().to_string();
    // The server's certificate has another name than the one that is called.
    let tls = format!(
        "  smtp_tls_config: {{ca_file: {}, server_name: mail.example, min_version: TLS12}}",
        path("ca.pem")
    );
    let serve = |mechanism: &str| {
        let server = Program::at("python3")
            .env("PYTHONPATH", modules.join(":"))
            .args(["-u"])
            .args([
                testkit::root()
                    .join("alert-router/tests/smtp_server.py")
                    .into_os_string(),
                folder.path().into(),
                mechanism.into(),
            ])
            .start();
        let line = server.line("listening on ");
        let port = line.rsplit(':').next().unwrap().trim().to_owned();
        let global = format!(
            "  smtp_smarthost: localhost:{port}\n  smtp_from: 'Router <router@example.com>'\n  smtp_auth_username: user\n  smtp_auth_password_file: {}\n  smtp_auth_secret: hunter2\n{tls}",
            path("password")
        );
        (server, global)
    };
    for mechanism in ["PLAIN", "LOGIN", "CRAM-MD5"] {
        write("password", "hunter2\n");
        let (_server, global) = serve(mechanism);
        let (running, _state) = start(
            "{to: 'ops@example.com, nobody@example.com', headers: {x-team: nächt}, threading: {enabled: true, thread_by_date: none}}",
            &global,
        );
        let records = wait_for(&running, 1);
        assert_eq!(
            records[0]["status"],
            "sent",
            "{mechanism}: {records:?} {}",
            running.log()
        );
        let log = running.line("the mail server refuses a recipient");
        assert!(log.contains("nobody@example.com"), "{log}");
        let mail = fs::read_to_string(folder.path().join("mail.eml")).unwrap();
        fs::remove_file(folder.path().join("mail.eml")).unwrap();
        for part in [
            "for: ops@example.com\n",
            "To: ops@example.com, nobody@example.com\r\n",
            "From: Router <router@example.com>\r\n",
            "Subject: [FIRING:1] DiskFull on node-1\r\n",
            "X-Team: =?utf-8?q?n=C3=A4cht?=\r\n",
            "Content-Type: multipart/alternative;  boundary=",
            "Content-Type: text/plain; charset=UTF-8\r\n",
            "Content-Type: text/html; charset=UTF-8\r\n",
            "References: <alert-",
            "In-Reply-To: <alert-",
            "-@alertmanager>\r\n",
            "Message-Id: <",
            "Date: ",
            "MIME-Version: 1.0\r\n\r\n",
            "Z=C3=BCrich",
        ] {
            assert!(mail.contains(part), "{part} is missing: {mail}");
        }
        let html = mail.split("text/html").nth(1).unwrap();
        assert!(html.contains("voll") && !html.contains("<b>voll"), "{mail}");
        // A wrong password is a failure that does not show it.
        write("password", "hunter3\n");
        let wrong = global.replace("smtp_auth_secret: hunter2", "smtp_auth_secret: hunter3");
        let (running, _state) = start("to: ops@example.com", &wrong);
        let records = wait_for(&running, 1);
        let said = format!("{records:?}{}", running.log());
        assert!(!said.contains("hunter") && said.contains("535"), "{said}");
    }
    // Without our authority, and with another name, the certificate is a stranger's.
    write("password", "hunter2\n");
    let (_server, global) = serve("PLAIN");
    for (from, to) in [
        (format!("ca_file: {}, ", path("ca.pem")), ""),
        ("server_name: mail.example, ".to_owned(), ""),
    ] {
        let (running, _state) = start("to: ops@example.com", &global.replace(&from, to));
        let records = wait_for(&running, 1);
        assert_eq!(records[0]["status"], "failed", "{records:?}");
        let error = records[0]["error"].as_str().unwrap();
        assert!(error.contains("certificate"), "{error}");
    }
}

/// Addresses, headers and bodies are templates; every value is escaped for HTML.
#[test]
fn templates_of_users() {
    let server = MailServer::start(|_| None);
    let mail = r#"to: '{{ .CommonLabels.instance }}@example.com, b@example.com'
    headers: {subject: '{{ .Status }}: {{ .CommonLabels.alertname }}'}
    text: 'plain {{ .Alerts | len }}'
    html: '<p title="{{ .CommonLabels.instance }}">{{ .CommonAnnotations.summary }}</p>'"#;
    let (running, _folder) = start(mail, &plain(&server));
    let records = wait_for(&running, 1);
    assert_eq!(records[0]["status"], "sent", "{records:?}");
    let taken = server.taken();
    assert_eq!(taken[0].to, ["b@example.com", "node-1@example.com"]);
    let first = &taken[0].text;
    for part in [
        "To: node-1@example.com, b@example.com\r\n",
        "Subject: firing: DiskFull\r\n",
        "plain 1",
        "&lt;b&gt;voll&lt;/b&gt;</p>",
    ] {
        assert!(first.contains(part), "{part} is missing: {first}");
    }
    // Alertmanager's own mail, when a file of templates changes a part of it.
    let server = MailServer::start(|_| None);
    let (running, _folder) = start(
        "to: a@example.com\n    html: '{{ template \"email.default.html\" . }}'",
        &plain(&server),
    );
    wait_for(&running, 1);
    let taken = server.taken();
    for part in [
        "Subject: [FIRING:1] ",
        "DOCTYPE html",
        "View in Alertmanager",
    ] {
        assert!(
            taken[0].text.contains(part),
            "{part} is missing: {}",
            taken[0].text
        );
    }
    // A body that fails is ours instead, and goes to the people that a template names.
    let server = MailServer::start(|_| None);
    let (running, _folder) = start(
        "to: '{{ .CommonLabels.instance }}@example.com'\n    html: '{{ .Nope }}'",
        &plain(&server),
    );
    wait_for(&running, 1);
    let log = running.line("a template fails");
    assert!(log.contains("can't evaluate field Nope"), "{log}");
    let taken = server.taken();
    assert_eq!(taken[0].to, ["node-1@example.com"]);
    for part in ["DiskFull on node-1", "The template of this message fails"] {
        assert!(
            taken[0].text.contains(part),
            "{part} is missing: {}",
            taken[0].text
        );
    }
}
