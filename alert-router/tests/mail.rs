//! Mail over real SMTP: a server of aiosmtpd with STARTTLS and passwords, and scripted ones for what goes wrong.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use testkit::{Program, Running, eventually, get, request, skip};

const PATIENCE: Duration = Duration::from_secs(60);

/// A server that says what it was told to, and remembers whom it took mails for, and the mails.
fn scripted(answer: fn(&str) -> Option<&'static str>) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let taken = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&taken);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let log = Arc::clone(&log);
            std::thread::spawn(move || talk(stream, answer, &log));
        }
    });
    (address, taken)
}

fn talk(
    stream: TcpStream,
    answer: fn(&str) -> Option<&'static str>,
    log: &Mutex<Vec<String>>,
) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    stream.write_all(b"220 scripted\r\n").ok()?;
    let mut to = String::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|it| *it > 0)?;
        let command = line.trim().to_owned();
        if let Some(special) = answer(&command) {
            if special.is_empty() {
                return None;
            }
            stream.write_all(format!("{special}\r\n").as_bytes()).ok()?;
            continue;
        }
        let reply = match command.split(' ').next()? {
            "EHLO" => "250-scripted\r\n250 8BITMIME",
            "RCPT" => {
                to = command;
                "250 ok"
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n").ok()?;
                while line.trim_end() != "." {
                    line.clear();
                    reader.read_line(&mut line).ok().filter(|it| *it > 0)?;
                    to.push('\n');
                    to.push_str(&line);
                }
                log.lock().unwrap().push(std::mem::take(&mut to));
                "250 taken"
            }
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
        stream.write_all(format!("{reply}\r\n").as_bytes()).ok()?;
    }
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
    let (address, taken) = scripted(|line| line.contains("nobody@").then_some("550 no such user"));
    let global = format!(
        "  smtp_smarthost: {address}\n  smtp_from: router@example.com\n  smtp_require_tls: false"
    );
    let (running, _folder) = start(
        "to: 'a@example.com, nobody@example.com, b@example.com'",
        &global,
    );
    let records = wait_for(&running, 1);
    assert_eq!(records[0]["status"], "sent");
    let log = running.line("the mail server refuses a recipient");
    assert!(
        log.contains("nobody@example.com") && log.contains("550"),
        "{log}"
    );
    let taken = taken.lock().unwrap().clone();
    assert_eq!(taken.len(), 2);
    assert!(
        taken[0].contains("<a@example.com>") && taken[1].contains("<b@example.com>"),
        "{taken:?}"
    );
}

/// The second recipient is put off once: the first is not told twice.
#[test]
fn who_has_the_mail_does_not_get_it_again() {
    static PUT_OFF: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let (address, taken) = scripted(|line| {
        let first =
            line.contains("<b@") && PUT_OFF.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        first.then_some("451 later")
    });
    let global = format!(
        "  smtp_smarthost: {address}\n  smtp_from: router@example.com\n  smtp_require_tls: false"
    );
    let (running, _folder) = start("to: 'a@example.com, b@example.com'", &global);
    let records = wait_for(&running, 2);
    assert_eq!(
        (records[0]["status"].as_str(), records[1]["status"].as_str()),
        (Some("failed"), Some("sent"))
    );
    let taken = taken.lock().unwrap().clone();
    assert_eq!(
        taken.iter().filter(|it| it.contains("<a@")).count(),
        1,
        "{taken:?}"
    );
    assert_eq!(
        taken.iter().filter(|it| it.contains("<b@")).count(),
        1,
        "{taken:?}"
    );
}

#[test]
fn faults_of_servers() {
    for (answer, expect) in [
        (
            (|_| Some("421 closing")) as fn(&str) -> Option<&'static str>,
            "421",
        ),
        (|_| Some(""), ""),
        (
            |line| line.starts_with("DATA").then_some("452 disk full"),
            "452",
        ),
    ] {
        let (address, _) = scripted(answer);
        let global = format!(
            "  smtp_smarthost: {address}\n  smtp_from: router@example.com\n  smtp_require_tls: false"
        );
        let (running, _folder) = start("to: a@example.com", &global);
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
    let (address, taken) = scripted(|_| None);
    let global = format!("  smtp_smarthost: {address}\n  smtp_from: router@example.com");
    let (running, _folder) = start("to: a@example.com", &global);
    let records = wait_for(&running, 1);
    assert_eq!(records[0]["status"], "failed");
    assert!(taken.lock().unwrap().is_empty());
}

/// STARTTLS with our authority, AUTH, and a mail of two parts, by a server that is not ours.
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
    let cert = CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &ca)
        .unwrap();
    write("ca.pem", &ca.pem());
    write("cert.pem", &cert.pem());
    write("key.pem", &key.serialize_pem());
    write("password", "hunter2\n");
    let server = Program::at("python3")
        .env("PYTHONPATH", modules.join(":"))
        .args(["-u"])
        .args([
            testkit::root().join("alert-router/tests/smtp_server.py"),
            folder.path().to_owned(),
        ])
        .start();
    let line = server.line("listening on ");
    let port = line.rsplit(':').next().unwrap().trim().to_owned();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let global = format!(
        "  smtp_smarthost: localhost:{port}\n  smtp_from: 'Router <router@example.com>'\n  smtp_auth_username: user\n  smtp_auth_password_file: {}\n  smtp_tls_config: {{ca_file: {}}}",
        path("password"),
        path("ca.pem")
    );
    let (running, _state) = start("{to: ops@example.com, headers: {X-Team: night}}", &global);
    let records = wait_for(&running, 1);
    assert_eq!(
        records[0]["status"],
        "sent",
        "{records:?} {}",
        running.log()
    );
    let mail = fs::read_to_string(folder.path().join("mail.eml")).unwrap();
    for part in [
        "Subject: [FIRING:1] DiskFull on node-1",
        "X-Team: night",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "References: <",
        "From: ",
    ] {
        assert!(mail.contains(part), "{part} is missing: {mail}");
    }
    let html = mail.split("text/html").nth(1).unwrap();
    assert!(html.contains("voll") && !html.contains("<b>voll"), "{mail}");
    // A wrong password is a failure that does not show it.
    write("password", "hunter3\n");
    let (running, _state) = start("to: ops@example.com", &global);
    let records = wait_for(&running, 1);
    let said = format!("{records:?}{}", running.log());
    assert!(!said.contains("hunter") && said.contains("535"), "{said}");
    // Without our authority the certificate is a stranger's.
    let (running, _state) = start(
        "to: ops@example.com",
        &global
            .replace(&path("ca.pem"), "''")
            .replace("ca_file: ''", "insecure_skip_verify: false"),
    );
    let records = wait_for(&running, 1);
    assert_eq!(records[0]["status"], "failed", "{records:?}");
}

/// Addresses, headers and bodies are templates; every value is escaped for HTML.
#[test]
fn templates_of_users() {
    let (address, taken) = scripted(|_| None);
    let global = format!(
        "  smtp_smarthost: {address}\n  smtp_from: router@example.com\n  smtp_require_tls: false"
    );
    let mail = r#"to: '{{ .CommonLabels.instance }}@example.com, b@example.com'
    headers: {subject: '{{ .Status }}: {{ .CommonLabels.alertname }}'}
    text: 'plain {{ .Alerts | len }}'
    html: '<p title="{{ .CommonLabels.instance }}">{{ .CommonAnnotations.summary }}</p>'"#;
    let (running, _folder) = start(mail, &global);
    let records = wait_for(&running, 1);
    assert_eq!(records[0]["status"], "sent", "{records:?}");
    let taken = taken.lock().unwrap().clone();
    let first = taken.first().unwrap();
    for part in [
        "<node-1@example.com>",
        "Subject: firing: DiskFull\r\n",
        "plain 1",
        "&lt;b&gt;voll&lt;/b&gt;</p>",
    ] {
        assert!(first.contains(part), "{part} is missing: {first}");
    }
    assert!(taken[1].contains("<b@example.com>"), "{taken:?}");
    // Alertmanager's own mail, when a file of templates changes a part of it.
    let (address, taken) = scripted(|_| None);
    let global = global.split_once('\n').unwrap().1;
    let global = format!("  smtp_smarthost: {address}\n{global}");
    let (running, _folder) = start(
        "to: a@example.com\n    html: '{{ template \"email.default.html\" . }}'",
        &global,
    );
    wait_for(&running, 1);
    let taken = taken.lock().unwrap().clone();
    for part in [
        "Subject: [FIRING:1] ",
        "DOCTYPE html",
        "View in Alertmanager",
    ] {
        assert!(taken[0].contains(part), "{part} is missing: {}", taken[0]);
    }
    // A body that fails is ours instead, and goes to the people that a template names.
    let (address, taken) = scripted(|_| None);
    let global = global.split_once('\n').unwrap().1;
    let global = format!("  smtp_smarthost: {address}\n{global}");
    let (running, _folder) = start(
        "to: '{{ .CommonLabels.instance }}@example.com'\n    html: '{{ .Nope }}'",
        &global,
    );
    wait_for(&running, 1);
    let log = running.line("a template fails");
    assert!(log.contains("can't evaluate field Nope"), "{log}");
    let taken = taken.lock().unwrap().clone();
    for part in ["<node-1@example.com>", "DiskFull on node-1"] {
        assert!(taken[0].contains(part), "{part} is missing: {}", taken[0]);
    }
}
