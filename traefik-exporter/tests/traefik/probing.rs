//! What clients meet at the entry points of real Traefiks, and what gRPC servers say of their health.

use std::time::Duration;

use crate::{
    exporter::{Exporter, Scraped},
    fake::{Fake, Page},
    ledger::Ledger,
    network::{NEW, OLD, Server, Setup, Traefik, certificate, nobody},
};

const SUCCESS: &str = "traefik_probe_success";
const FAILURE: &str = "traefik_probe_failure_info";
const VALID: &str = "traefik_probe_certificate_valid";
const DEFAULT: &str = "traefik_probe_default_certificate";
const SERVING: &str = "traefik_probe_grpc_serving";
const SERVER: &str = "traefik_probe_server_serving";

fn probing(traefik: &Traefik, more: &[&str]) -> Exporter {
    let arguments = [&["--collector.probe", "--probe.interval=1s"][..], more].concat();
    Exporter::start(&traefik.url(), &arguments)
}

impl Scraped {
    /// Why a router's clients get no answer, or none for a router that is not asked; empty when they get one.
    fn probed(&self, router: &str, host: &str) -> Option<String> {
        let labels = [("router", router), ("host", host)];
        let success = self.get(SUCCESS, &labels)?;
        let reasons = self.values_of(FAILURE, &labels, "reason");
        assert_eq!(success == 1.0, reasons.is_empty(), "{router}: {reasons:?}");
        Some(reasons.concat())
    }
}

#[test]
fn what_clients_meet_3_7() {
    what_clients_meet(NEW);
}

#[test]
fn what_clients_meet_3_3() {
    what_clients_meet(OLD);
}

fn what_clients_meet(version: &'static str) {
    let good = Server::good();
    let failing = Server::start(500, Duration::ZERO);
    let private = Server::start(401, Duration::ZERO);
    let slow = Server::start(200, Duration::from_secs(20));
    let dead = nobody();
    let folder = tempfile::tempdir().unwrap();
    let names = ["good.test", "api.test"];
    let (cert, key) = certificate(folder.path(), "ours", &names, 7);
    let traefik = Traefik::start(
        &Setup::new(version),
        &format!(
            r#"
http:
  routers:
    good: {{entryPoints: [web], rule: "Host(`good.test`)", service: good}}
    path: {{entryPoints: [web], rule: "Host(`path.test`) && PathPrefix(`/v1`)", service: good}}
    failing: {{entryPoints: [web], rule: "Host(`failing.test`)", service: failing}}
    private: {{entryPoints: [web], rule: "Host(`private.test`)", service: private}}
    slow: {{entryPoints: [web], rule: "Host(`slow.test`)", service: slow}}
    dead: {{entryPoints: [web], rule: "Host(`dead.test`)", service: dead}}
    alldown: {{entryPoints: [web], rule: "Host(`alldown.test`)", service: alldown}}
    tls: {{entryPoints: [secure], rule: "Host(`good.test`) || Host(`api.test`)", service: good, tls: {{}}}}
    bare: {{entryPoints: [secure], rule: "Host(`bare.test`)", service: good, tls: {{}}}}
    mutual: {{entryPoints: [secure], rule: "Host(`mutual.test`)", service: good, tls: {{options: mutual}}}}
    broken: {{entryPoints: [web], rule: "Host(`broken.test`)", service: nope}}
    any: {{entryPoints: [web], rule: "HostRegexp(`^any`)", service: good}}
    post: {{entryPoints: [web], rule: "Host(`post.test`) && Method(`POST`)", service: good}}
    forbidden: {{entryPoints: [web], rule: "Host(`forbidden.test`)", service: good}}
  services:
    good: {{loadBalancer: {{servers: [{{url: "{good}"}}]}}}}
    failing: {{loadBalancer: {{servers: [{{url: "{failing}"}}]}}}}
    private: {{loadBalancer: {{servers: [{{url: "{private}"}}]}}}}
    slow: {{loadBalancer: {{servers: [{{url: "{slow}"}}]}}}}
    dead: {{loadBalancer: {{servers: [{{url: "http://{dead}"}}]}}}}
    alldown: {{loadBalancer: {{healthCheck: {{path: /, interval: 100ms, timeout: 2s}}, servers: [{{url: "http://{dead}"}}]}}}}
tls:
  certificates: [{{certFile: {cert}, keyFile: {key}}}]
  options:
    mutual: {{clientAuth: {{caFiles: [{cert}], clientAuthType: RequireAndVerifyClientCert}}}}
"#,
            good = good.url(),
            failing = failing.url(),
            private = private.url(),
            slow = slow.url(),
            cert = cert.display(),
            key = key.display(),
        ),
    );
    let authority = format!("--probe.ca-file={}", cert.display());
    let exporter = probing(
        &traefik,
        &[
            &authority,
            "--probe.timeout=2s",
            "--probe.routers=.*@.*|forbidden",
        ],
    );
    let expect = [
        ("good@file", "good.test", ""),
        ("path@file", "path.test", ""),
        ("private@file", "private.test", ""),
        ("failing@file", "failing.test", "status"),
        ("dead@file", "dead.test", "status"),
        ("alldown@file", "alldown.test", "status"),
        ("slow@file", "slow.test", "deadline"),
        ("tls@file", "good.test", ""),
        ("tls@file", "api.test", ""),
        ("bare@file", "bare.test", ""),
        ("mutual@file", "mutual.test", "client_certificate"),
    ];
    let scraped = exporter.until("all were asked", |it| {
        expect
            .iter()
            .all(|(router, host, reason)| it.probed(router, host).as_deref() == Some(*reason))
    });
    for (router, status) in [
        ("failing@file", 500.0),
        ("dead@file", 502.0),
        ("alldown@file", 503.0),
    ] {
        scraped.is(
            "traefik_probe_http_status_code",
            &[("router", router)],
            status,
        );
    }
    for (reason, count) in [("disabled", 1.0), ("rule", 2.0), ("request", 1.0)] {
        scraped.is(
            "traefik_probe_skipped_routers",
            &[("reason", reason)],
            count,
        );
    }

    // The certificate that is there, and the one that Traefik makes where there is none.
    let tls = [("router", "tls@file"), ("host", "api.test")];
    scraped.is(VALID, &tls, 1.0);
    scraped.is(DEFAULT, &tls, 0.0);
    let serial = scraped.values_of("traefik_probe_certificate_info", &tls, "serial_number");
    assert_eq!(serial, ["7"]);
    assert!(
        scraped.get(
            "traefik_probe_certificate_not_after_timestamp_seconds",
            &tls
        ) > Some(1e9)
    );
    let bare = [("router", "bare@file")];
    scraped.is(VALID, &bare, 0.0);
    scraped.is(DEFAULT, &bare, 1.0);
    let phases = scraped.values_of("traefik_probe_duration_seconds", &bare, "phase");
    assert_eq!(phases, ["connect", "processing", "tls", "transfer"]);
    let plain = [("router", "good@file")];
    let phases = scraped.values_of("traefik_probe_duration_seconds", &plain, "phase");
    assert_eq!(phases, ["connect", "processing", "transfer"]);

    // Without the authority nobody trusts it; of those that may be asked, only those are.
    let exporter = probing(&traefik, &["--probe.routers=tls@file"]);
    let scraped = exporter.until("a round is over", |it| {
        it.get("traefik_probe_rounds_total", &[]) >= Some(1.0)
    });
    scraped.is(VALID, &tls, 0.0);
    scraped.is(DEFAULT, &tls, 0.0);
    assert_eq!(scraped.all(SUCCESS, &[]), [1.0, 1.0]);

    // An entry point that has no such router answers 404.
    let elsewhere = format!("--probe.entry-point=web={}", traefik.ports().api);
    let exporter = probing(&traefik, &["--probe.routers=good@file", &elsewhere]);
    exporter.until("no router takes it", |it| {
        it.probed("good@file", "good.test").as_deref() == Some("no_router")
    });
}

#[test]
fn traefik_goes_away_and_comes_back() {
    let good = Server::good();
    let dynamic = format!(
        "http: {{routers: {{good: {{entryPoints: [web], rule: 'Host(`good.test`)', service: good}}}}, \
         services: {{good: {{loadBalancer: {{servers: [{{url: '{}'}}]}}}}}}}}",
        good.url()
    );
    let mut traefik = Traefik::start(&Setup::new(NEW), &dynamic);
    let exporter = probing(&traefik, &[]);
    let fine = |it: &Scraped| it.probed("good@file", "good.test").as_deref() == Some("");
    exporter.until("it is asked", fine);
    traefik.end();
    let scraped = exporter.until("nobody answers", |it| {
        it.probed("good@file", "good.test").as_deref() == Some("connect")
    });
    scraped.is("traefik_probe_plan_success", &[], 0.0);
    exporter.0.line("probe failed");
    traefik.run();
    traefik.wait();
    let scraped = exporter.until("it is back", fine);
    scraped.is("traefik_probe_plan_success", &[], 1.0);
    exporter.0.line("probe succeeds again");
    // What is gone is not asked.
    traefik.remove("network.yml");
    exporter.until("it is forgotten", |it| it.all(SUCCESS, &[]).is_empty());
}

/// However many routers and however slow they are: so many at a time, and no scrape waits for them.
#[test]
fn never_more_than_so_many() {
    let slow = Server::start(200, Duration::from_millis(300));
    let routers: Vec<_> = (0..12)
        .map(|it| {
            format!("r{it:02}: {{entryPoints: [web], rule: 'Host(`h{it}.test`)', service: slow}}")
        })
        .collect();
    let dynamic = format!(
        "http: {{routers: {{{}}}, services: {{slow: {{loadBalancer: {{servers: [{{url: '{}'}}]}}}}}}}}",
        routers.join(", "),
        slow.url()
    );
    let traefik = Traefik::start(&Setup::new(NEW), &dynamic);
    let exporter = probing(
        &traefik,
        &["--probe.max-concurrent=3", "--probe.max-targets=9"],
    );
    let scraped = exporter.until("a round is over", |it| {
        // A round lasts three times as long as an answer at least; a scrape does not.
        it.get("traefik_probe_rounds_total", &[]) >= Some(1.0) && it.all(SUCCESS, &[]).len() == 9
    });
    scraped.is("traefik_probe_omitted_targets", &[], 3.0);
    assert!(scraped.get("traefik_probe_round_duration_seconds", &[]) >= Some(0.9));
    assert_eq!(slow.most(), 3);
    let during = exporter.scrape();
    assert!(
        during.took < Duration::from_millis(600),
        "{:?}",
        during.took
    );
}

/// An entry point that answers in every bad way costs its time and no more.
#[test]
fn answers_that_are_none() {
    let fake = Fake::good();
    let address = fake.url().replace("http://", "");
    let mut routers = Vec::new();
    for (name, page) in [
        ("endless", Page::Endless("x")),
        ("trickle", Page::Trickle),
        ("truncated", Page::Truncated),
        ("head", Page::EndlessHead),
        ("hang", Page::Hang),
        ("moved", Page::Reply(302, String::new())),
        ("gone", Page::Reply(404, "404 page not found\n".to_owned())),
        ("own", Page::Reply(404, "no such thing".to_owned())),
    ] {
        fake.set(&format!("/{name}"), page);
        routers.push(format!(
            r#""{name}@file":{{"entryPoints":["web"],"rule":"Host(`{name}.test`) && Path(`/{name}`)","service":"s","status":"enabled"}}"#
        ));
    }
    for (name, service, more) in [("tls", "s", r#","tls":{}"#), ("grpc", "grpc", "")] {
        routers.push(format!(
            r#""{name}@file":{{"entryPoints":["web"],"rule":"Host(`{name}.test`)","service":"{service}","status":"enabled"{more}}}"#
        ));
    }
    let services = r#""grpc@file":{"loadBalancer":{"servers":[{"url":"h2c://127.0.0.1:1"}]},"status":"enabled"}"#;
    let routers = routers.join(",");
    let data = format!(r#"{{"routers":{{{routers}}},"services":{{{services}}}}}"#);
    fake.set("/api/rawdata", Page::Reply(200, data));
    let points = format!(r#"[{{"name":"web","address":"{address}"}}]"#);
    fake.set("/api/entrypoints", Page::Reply(200, points));
    let arguments = [
        "--collector.probe",
        "--probe.interval=1s",
        "--probe.timeout=500ms",
        "--probe.max-concurrent=100",
    ];
    let exporter = Exporter::start(&fake.url(), &arguments);
    let scraped = exporter.until("some rounds are over", |it| {
        it.get("traefik_probe_rounds_total", &[]) >= Some(3.0)
    });
    for (name, expect) in [
        ("endless", ""),
        ("trickle", "deadline"),
        ("truncated", "broken"),
        ("head", "broken"),
        ("hang", "deadline"),
        ("moved", ""),
        ("gone", "no_router"),
        ("own", ""),
        ("tls", "tls"),
        ("grpc", "broken"),
    ] {
        let reason = scraped.probed(&format!("{name}@file"), &format!("{name}.test"));
        assert_eq!(reason.as_deref(), Some(expect), "{name}");
    }
    let server = [("service", "grpc@file")];
    let reasons = scraped.values_of("traefik_probe_server_failure_info", &server, "reason");
    assert_eq!(reasons, ["connect"]);
    // A round lasts as long as its slowest answer may.
    assert!(scraped.get("traefik_probe_round_duration_seconds", &[]) < Some(1.5));
    assert!(exporter.resident() < 64 << 20, "{}", exporter.resident());
    // Told once, and not with each round.
    let log = exporter.0.log();
    assert_eq!(log.matches("probe failed").count(), 8, "{log}");
}

#[test]
fn can_a_client_reach_a_serving_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = certificate(folder.path(), "ledger", &["ledger.test"], 7);
    let ledgers = [Ledger::start(), Ledger::start()];
    let secured = Ledger::with_tls(&cert, &key);
    let http = Server::good();
    let [a, b] = ledgers.each_ref().map(Ledger::address);
    let dynamic = format!(
        r#"
http:
  routers:
    ledger: {{entryPoints: [web], rule: "Host(`ledger.test`)", service: ledger}}
    safe: {{entryPoints: [secure], rule: "Host(`ledger.test`)", service: ledger, tls: {{}}}}
    any: {{entryPoints: [web], rule: "PathPrefix(`/grpc.health.v1.Health`)", service: unchecked, priority: 1}}
    secured: {{entryPoints: [web], rule: "Host(`secured.test`)", service: secured}}
    http: {{entryPoints: [web], rule: "Host(`http.test`)", service: http}}
  services:
    ledger: {{loadBalancer: {{healthCheck: {{mode: grpc, path: /, interval: 100ms, timeout: 2s}}, servers: [{{url: "h2c://{a}"}}, {{url: "h2c://{b}"}}]}}}}
    unchecked: {{loadBalancer: {{servers: [{{url: "h2c://{a}"}}]}}}}
    secured: {{loadBalancer: {{serversTransport: any, servers: [{{url: "https://{secured}"}}]}}}}
    http: {{loadBalancer: {{servers: [{{url: "{http}"}}]}}}}
  serversTransports:
    any: {{insecureSkipVerify: true}}
tcp:
  routers:
    raw: {{entryPoints: [tcp], rule: "HostSNI(`*`)", service: raw}}
  services:
    raw: {{loadBalancer: {{servers: [{{address: "{b}"}}]}}}}
tls:
  certificates: [{{certFile: {cert}, keyFile: {key}}}]
"#,
        secured = secured.address(),
        http = http.url(),
        cert = cert.display(),
        key = key.display(),
    );
    for version in [NEW, OLD] {
        ledgers[0].serves(true);
        ledgers[1].serves(true);
        let traefik = Traefik::start(&Setup::new(version), &dynamic);
        let named = "--probe.grpc-services=raw@file|secured@file|http@file";
        let exporter = probing(&traefik, &[named]);
        let scraped = exporter.until("all serve", |it| {
            [
                ("ledger@file", "ledger.test"),
                ("safe@file", "ledger.test"),
                ("any@file", ""),
                ("secured@file", "secured.test"),
                ("raw@file", ""),
            ]
            .iter()
            .all(|(router, host)| {
                it.probed(router, host).as_deref() == Some("")
                    && it.get(SERVING, &[("router", router)]) == Some(1.0)
            })
        });
        assert_eq!(
            scraped.all(SERVER, &[("service", "ledger@file")]),
            [1.0, 1.0]
        );
        scraped.is(SERVER, &[("service", "raw@file"), ("protocol", "tcp")], 1.0);
        scraped.is(SERVER, &[("service", "secured@file")], 1.0);
        // What speaks HTTP/1 alone is no ledger.
        scraped.is(SERVER, &[("service", "http@file")], 0.0);
        scraped.is(SUCCESS, &[("router", "http@file")], 0.0);

        // One of two stops serving: clients still reach the other.
        ledgers[0].serves(false);
        let its = format!("h2c://{a}");
        let server = [("service", "ledger@file"), ("server", its.as_str())];
        let scraped = exporter.until("it says so, and Traefik has left it out", |it| {
            it.get(SERVER, &server) == Some(0.0)
                && it.get("traefik_api_server_up", &server) == Some(0.0)
                && it.get(SERVING, &[("router", "ledger@file")]) == Some(1.0)
        });
        let reasons = scraped.values_of("traefik_probe_server_failure_info", &server, "reason");
        assert_eq!(reasons, ["not_serving"]);
        // Where nobody checks, they reach the one that does not serve.
        exporter.until("its clients are told", |it| {
            it.probed("any@file", "").as_deref() == Some("not_serving")
                && it.get(SERVING, &[("router", "any@file")]) == Some(0.0)
        });

        // None does.
        ledgers[1].serves(false);
        exporter.until("no ledger is left", |it| {
            it.probed("ledger@file", "ledger.test").as_deref() == Some("status")
                && it.get(
                    "traefik_probe_http_status_code",
                    &[("router", "ledger@file")],
                ) == Some(503.0)
                && it.all(SERVING, &[("router", "ledger@file")]).is_empty()
        });

        // A service of the server that it does not know.
        let exporter = probing(
            &traefik,
            &["--probe.grpc-service=nope", "--probe.routers=any@file"],
        );
        exporter.until("it does not know it", |it| {
            it.probed("any@file", "").as_deref() == Some("unknown_service")
        });
    }
}
