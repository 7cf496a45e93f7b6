//! The server as clients meet it: pages, formats, bounds, TLS, users, and changes of its configuration while it runs.
#![expect(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    reason = "helpers of tests fail as tests do"
)]

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::{Arc, Mutex, mpsc},
    time::{Duration, Instant},
};

use clap::Parser;
use client::{Client, StatusCode};
use daemon::{
    CollectError, Collector, CommonFlags, Program, Registry, Scrape, Service, Settings,
    http::{self, Limits, Request},
};
use exposition::Family;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use testkit::{eventually, get, request};

const PROGRAM: Program = Program {
    name: "test-exporter",
    namespace: "test_exporter",
    about: "A <test>",
    listen: ":0",
    version: "1.2.3",
};
const PATIENCE: Duration = Duration::from_secs(30);
/// bcrypt of `test` and of `other`, cost 4.
const HASH: &str = "$2b$04$EnTFps0AbOhcl3K1GYN38u2EbLzRRe4gasaec8bunod718K7FipSi";
const OTHER: &str = "$2b$04$QPiYh.mrCcPHHv8TTUs9duugYFQVnK8sb.zx7xv.rWTGT3bWEcxW2";

#[derive(Debug, Parser)]
struct Flags {
    #[command(flatten)]
    common: CommonFlags,
}

/// A server in this process, on its own runtime; it ends with the test.
struct Started {
    address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

fn start(config: Option<&Path>, change: impl FnOnce(&mut Settings)) -> Started {
    let mut flags = vec![
        "x".to_owned(),
        "--web.listen-address=127.0.0.1:0".to_owned(),
    ];
    flags.extend(config.map(|it| format!("--web.config.file={}", it.display())));
    let web = Flags::parse_from(flags).common.web;
    let mut settings = Settings::new(
        &PROGRAM,
        web,
        Registry::new("test", "test_exporter", vec![]),
    );
    change(&mut settings);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let service = runtime.block_on(Service::open(settings)).unwrap();
    let address = service.addresses().next().unwrap();
    runtime.spawn(service.serve());
    Started {
        address,
        _runtime: runtime,
    }
}

#[test]
fn pages() {
    let server = start(None, |settings| {
        settings.handler = Some(Arc::new(async |request: Request| match request.path() {
            "/echo" => match request.body(10).await {
                Ok(body) => http::text(StatusCode::OK, body),
                Err(refusal) => refusal,
            },
            _ => http::not_found(),
        }));
    });
    let at = server.address;
    for (method, path, body, status, has) in [
        (
            "GET",
            "/",
            "",
            200,
            "<h1>test-exporter</h1>\n<p>A &lt;test&gt;</p>",
        ),
        ("GET", "/-/healthy", "", 200, "OK\n"),
        ("GET", "/-/ready", "", 200, "OK\n"),
        (
            "GET",
            "/metrics",
            "",
            200,
            "\ntest_exporter_build_info{revision=",
        ),
        (
            "GET",
            "/metrics?collect[]=x",
            "",
            400,
            "missing collector: x\n",
        ),
        ("GET", "/nothing", "", 404, "404 page not found\n"),
        ("POST", "/metrics", "", 405, "use GET\n"),
        ("POST", "/", "", 405, "use GET\n"),
        ("POST", "/-/reload", "", 404, ""),
        ("POST", "/echo", "0123456789", 200, "0123456789"),
        (
            "POST",
            "/echo",
            "0123456789+",
            413,
            "the body has more than 10 bytes\n",
        ),
    ] {
        let (found, head, answer) = request(at, method, path, &[], body.as_bytes()).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert_eq!(found, status, "{method} {path}: {head}");
        assert!(answer.contains(has), "{method} {path}: {answer}");
    }
    let (status, head, body) = request(at, "HEAD", "/metrics", &[], b"").unwrap();
    assert_eq!((status, body.len()), (200, 0), "{head}");
}

#[test]
fn formats_and_compression() {
    let server = start(None, |_| {});
    let ask = |headers: &[(&str, &str)]| {
        let (status, head, body) =
            request(server.address, "GET", "/metrics", headers, b"").unwrap();
        assert_eq!(status, 200);
        (head.to_ascii_lowercase(), body)
    };
    let (head, body) = ask(&[]);
    assert!(
        head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"),
        "{head}"
    );
    exposition::parse::text_strict(std::str::from_utf8(&body).unwrap()).unwrap();
    let (head, body) = ask(&[("Accept", "application/openmetrics-text;version=1.0.0")]);
    let expect = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert!(head.contains(expect), "{head}");
    exposition::parse::open_metrics(std::str::from_utf8(&body).unwrap()).unwrap();
    let protobuf = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
    let (head, body) = ask(&[("Accept", protobuf)]);
    let expect = format!("content-type: {protobuf}").to_ascii_lowercase();
    assert!(head.contains(&expect), "{head}");
    assert!(
        body.windows(24).any(|it| it == b"test_exporter_build_info"),
        "{body:?}"
    );
    let (head, packed) = ask(&[("Accept-Encoding", "gzip")]);
    assert!(head.contains("content-encoding: gzip"), "{head}");
    assert!(head.contains("vary: accept-encoding"), "{head}");
    let mut text = String::new();
    let read = flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text);
    assert!(read.unwrap() > packed.len());
    exposition::parse::text_strict(&text).unwrap();
}

#[test]
fn bounds() {
    let server = start(None, |settings| {
        settings.limits = Limits {
            connections: 4,
            head: Duration::from_millis(300),
            ..Limits::default()
        };
    });
    let at = server.address;
    let long = "x".repeat(200_000);
    let (status, ..) = request(at, "GET", "/metrics", &[("X-Long", &long)], b"").unwrap();
    assert_eq!(status, 431);
    let many: Vec<_> = (0..200).map(|it| format!("X-{it}")).collect();
    let many: Vec<_> = many.iter().map(|it| (it.as_str(), "1")).collect();
    let (status, ..) = request(at, "GET", "/metrics", &many, b"").unwrap();
    assert_eq!(status, 431);
    // More connections than are allowed, none of which says enough: they are cut, and others get their turn.
    let slow: Vec<_> = (0..8)
        .map(|_| {
            let mut stream = TcpStream::connect(at).unwrap();
            stream.write_all(b"GET /metrics HT").unwrap();
            stream
        })
        .collect();
    assert_eq!(get(at, "/-/healthy").unwrap().0, 200);
    for mut stream in slow {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut rest = Vec::new();
        stream
            .read_to_end(&mut rest)
            .expect("the server ends the connection");
    }
    // Garbage is answered or cut, and the server lives.
    for garbage in [
        "\0\0\0\0\r\n\r\n",
        "GET\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nzzz",
    ] {
        let mut stream = TcpStream::connect(at).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(garbage.as_bytes()).unwrap();
        let mut rest = Vec::new();
        // A reset is an end too.
        drop(stream.read_to_end(&mut rest));
    }
    assert_eq!(get(at, "/-/healthy").unwrap().0, 200);
}

/// Answers when the test says so.
struct Gate {
    started: Mutex<mpsc::Sender<()>>,
    finish: Mutex<mpsc::Receiver<()>>,
}

impl Collector for Gate {
    fn name(&self) -> &'static str {
        "gate"
    }

    fn collect(&self, _: &Scrape, _: &mut Vec<Family>) -> Result<(), CollectError> {
        self.started.lock().unwrap().send(()).unwrap();
        self.finish.lock().unwrap().recv().unwrap();
        Ok(())
    }
}

#[test]
fn scrapes_have_a_bound_and_obey_the_timeout_of_prometheus() {
    let (started, has_started) = mpsc::channel();
    let (finish, finished) = mpsc::channel();
    let gate = Gate {
        started: Mutex::new(started),
        finish: Mutex::new(finished),
    };
    let server = start(None, |settings| {
        settings.web.max_requests = 1;
        settings.registry = Registry::new("test", "test_exporter", vec![Box::new(gate)]);
    });
    let at = server.address;
    let first = std::thread::spawn(move || get(at, "/metrics").unwrap());
    has_started.recv_timeout(PATIENCE).unwrap();
    let (status, body) = get(at, "/metrics").unwrap();
    assert_eq!(status, 503);
    assert_eq!(
        body,
        "Limit of concurrent requests reached (1), try again later.\n"
    );
    finish.send(()).unwrap();
    let (status, body) = first.join().unwrap();
    assert_eq!(status, 200);
    assert!(
        body.contains("test_scrape_collector_success{collector=\"gate\"} 1\n"),
        "{body}"
    );
    // Nobody opens the gate: the deadline of the header ends the scrape.
    let begin = Instant::now();
    let header = [("X-Prometheus-Scrape-Timeout-Seconds", "1.000000")];
    let (status, _, body) = request(at, "GET", "/metrics", &header, b"").unwrap();
    let body = String::from_utf8(body).unwrap();
    assert_eq!(status, 200);
    assert!(
        begin.elapsed() < Duration::from_secs(3),
        "{:?}",
        begin.elapsed()
    );
    assert!(
        body.contains("test_scrape_collector_success{collector=\"gate\"} 0\n"),
        "{body}"
    );
    assert!(body.contains("\nprocess_start_time_seconds "), "{body}");
    assert!(
        body.contains("promhttp_metric_handler_requests_total{code=\"503\"} 1\n"),
        "{body}"
    );
    finish.send(()).unwrap();
}

/// An authority, a server's certificate, a client's, and a stranger's that names the same.
struct Certificates {
    ca: String,
    server: (String, String),
    client: (String, String),
    stranger: (String, String),
}

fn certificates() -> Certificates {
    let authority = || {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    };
    let sign = |issuer: &CertifiedIssuer<'_, KeyPair>, name: &str| {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    };
    let (ca, other) = (authority(), authority());
    Certificates {
        ca: ca.pem(),
        server: sign(&ca, "127.0.0.1"),
        client: sign(&ca, "prometheus.example"),
        stranger: sign(&other, "prometheus.example"),
    }
}

fn https(ca: &str, identity: Option<&(String, String)>) -> Client {
    let mut settings = client::Settings::new("test", PATIENCE);
    settings.tls.ca = Some(ca.to_owned());
    settings.tls.identity = identity.cloned();
    client::client(&settings).unwrap()
}

#[test]
fn tls_and_client_certificates() {
    let made = certificates();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("ca.pem", &made.ca);
    write("cert.pem", &made.server.0);
    write("key.pem", &made.server.1);
    let ask = |tls: &str, identity: Option<&(String, String)>| {
        let tls = format!("tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n{tls}");
        write("web.yml", &tls);
        let server = start(Some(&folder.path().join("web.yml")), |_| {});
        let client = https(&made.ca, identity);
        let url = format!("https://{}/-/healthy", server.address);
        let plain = get(server.address, "/-/healthy").unwrap();
        assert_eq!(
            plain,
            (
                400,
                "Client sent an HTTP request to an HTTPS server.\n".to_owned()
            )
        );
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            client
                .get(url)
                .send()
                .await
                .is_ok_and(|it| it.status() == 200)
        })
    };
    let (client, stranger) = (Some(&made.client), Some(&made.stranger));
    let verify = "  client_ca_file: ca.pem\n  client_auth_type: RequireAndVerifyClientCert\n";
    let given = "  client_ca_file: ca.pem\n  client_auth_type: VerifyClientCertIfGiven\n";
    let any = "  client_auth_type: RequireAnyClientCert\n";
    for (tls, identity, expect) in [
        ("", None, true),
        ("  min_version: TLS13\n", None, true),
        (
            "  max_version: TLS12\n  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n",
            None,
            true,
        ),
        (any, None, false),
        (any, stranger, true),
        ("  client_auth_type: RequestClientCert\n", None, true),
        (given, None, true),
        (given, stranger, false),
        (verify, None, false),
        (verify, stranger, false),
        (verify, client, true),
        (
            &format!("{verify}  client_allowed_sans: [prometheus.example]\n"),
            client,
            true,
        ),
        (
            &format!("{verify}  client_allowed_sans: [other.example]\n"),
            client,
            false,
        ),
    ] {
        assert_eq!(
            ask(tls, identity),
            expect,
            "{tls} with a certificate: {}",
            identity.is_some()
        );
    }
}

#[test]
fn certificates_change_without_a_restart() {
    let (old, new) = (certificates(), certificates());
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("cert.pem", &old.server.0);
    write("key.pem", &old.server.1);
    write(
        "web.yml",
        "tls_server_config: {cert_file: cert.pem, key_file: key.pem}",
    );
    let server = start(Some(&folder.path().join("web.yml")), |_| {});
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let trusts = |ca: &str| {
        let url = format!("https://{}/-/healthy", server.address);
        // A client of its own: a connection kept open would show nothing.
        runtime.block_on(async { https(ca, None).get(url).send().await.is_ok() })
    };
    assert!(trusts(&old.ca) && !trusts(&new.ca));
    // A key that does not fit must not take the server down.
    write("key.pem", &new.server.1);
    let looked_at_twice = Instant::now() + Duration::from_millis(1100);
    while Instant::now() < looked_at_twice {
        assert!(trusts(&old.ca));
    }
    write("cert.pem", &new.server.0);
    eventually("the new certificate", PATIENCE, || {
        trusts(&new.ca).then_some(())
    });
    assert!(!trusts(&old.ca));
}

#[test]
fn users_headers_and_rates() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.yml");
    fs::write(&path, format!("basic_auth_users:\n  prom: {HASH}\nhttp_server_config:\n  headers:\n    X-Frame-Options: deny\n")).unwrap();
    let server = start(Some(&path), |_| {});
    let ask = |authorization: &str| {
        let headers = [("Authorization", authorization)];
        let headers = if authorization.is_empty() {
            &headers[..0]
        } else {
            &headers
        };
        request(server.address, "GET", "/metrics", headers, b"").unwrap()
    };
    // prom:test, prom:nope, eve:test
    let (good, wrong, unknown) = (
        "Basic cHJvbTp0ZXN0",
        "Basic cHJvbTpub3Bl",
        "Basic ZXZlOnRlc3Q=",
    );
    for (authorization, expect) in [
        ("", 401),
        (good, 200),
        (wrong, 401),
        (unknown, 401),
        ("Bearer x", 401),
        (good, 200),
        (wrong, 401),
    ] {
        let (status, head, _) = ask(authorization);
        assert_eq!(status, expect, "{authorization}");
        let head = head.to_ascii_lowercase();
        assert!(head.contains("x-frame-options: deny"), "{head}");
        assert_eq!(
            head.contains("www-authenticate: basic"),
            expect == 401,
            "{head}"
        );
    }
    // A broken file changes nothing; a good one does.
    fs::write(&path, "basic_auth_users: [").unwrap();
    assert_eq!(ask(good).0, 200);
    fs::write(&path, format!("basic_auth_users:\n  prom: {OTHER}\n")).unwrap();
    eventually("the new password", PATIENCE, || {
        (ask(good).0 == 401).then_some(())
    });
    fs::write(&path, "rate_limit: {interval: 1h, burst: 3}").unwrap();
    eventually("the new rate", PATIENCE, || {
        (ask("").0 == 200).then_some(())
    });
    eventually("too many", PATIENCE, || (ask("").0 == 429).then_some(()));
}
