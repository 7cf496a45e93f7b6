//! Real Traefiks: what they do not tell, and what the exporter tells of it.

use std::time::Duration;

use crate::{
    exporter::{Exporter, PATIENCE},
    network::{NEW, OLD, Server, Setup, Traefik, certificate, nobody},
};

/// Good, slow, failing and weighted, dead with and without a health check, TLS, TCP, UDP, and routers that are broken in four ways.
fn dynamic(server: &Server, slow: &Server, failing: &Server, dead: &str) -> String {
    let (good, slow, failing) = (server.address, slow.address, failing.address);
    format!(
        r#"
http:
  routers:
    good: {{entryPoints: [web], rule: "Host(`good.test`)", service: good, middlewares: [head]}}
    slow: {{entryPoints: [web], rule: "Host(`slow.test`)", service: slow}}
    failing: {{entryPoints: [web], rule: "Host(`failing.test`)", service: failing}}
    dead: {{entryPoints: [web], rule: "Host(`dead.test`)", service: dead}}
    alldown: {{entryPoints: [web], rule: "Host(`alldown.test`)", service: alldown}}
    checked: {{entryPoints: [web], rule: "Host(`checked.test`)", service: checked}}
    weighted: {{entryPoints: [web], rule: "Host(`weighted.test`)", service: weighted}}
    tls: {{entryPoints: [secure], rule: "Host(`good.test`) || Host(`a.wild.test`)", service: good, tls: {{}}}}
    bare: {{entryPoints: [secure], rule: "Host(`bare.test`)", service: good, tls: {{certResolver: none}}}}
    broken-middleware: {{entryPoints: [web], rule: "Host(`b1.test`)", service: good, middlewares: [nope]}}
    broken-service: {{entryPoints: [web], rule: "Host(`b2.test`)", service: nope}}
    broken-rule: {{entryPoints: [web], rule: "Hst(`b3.test`)", service: good}}
    broken-entry-point: {{entryPoints: [nope], rule: "Host(`b4.test`)", service: good}}
  middlewares:
    head: {{headers: {{customRequestHeaders: {{X-A: b}}}}}}
  services:
    good: {{loadBalancer: {{servers: [{{url: "http://{good}"}}]}}}}
    slow: {{loadBalancer: {{servers: [{{url: "http://{slow}"}}]}}}}
    failing: {{loadBalancer: {{servers: [{{url: "http://{failing}"}}]}}}}
    dead: {{loadBalancer: {{servers: [{{url: "http://{dead}"}}]}}}}
    alldown: {{loadBalancer: {{healthCheck: {{path: /, interval: 100ms, timeout: 2s}}, servers: [{{url: "http://{dead}"}}]}}}}
    checked: {{loadBalancer: {{healthCheck: {{path: /, interval: 100ms, timeout: 2s}}, servers: [{{url: "http://{good}"}}, {{url: "http://{dead}"}}]}}}}
    weighted: {{weighted: {{services: [{{name: checked, weight: 3}}, {{name: alldown, weight: 1}}]}}}}
tcp:
  routers:
    tcp: {{entryPoints: [tcp], rule: "HostSNI(`*`)", service: tcp}}
    tls: {{entryPoints: [tcp], rule: "HostSNI(`tcp.test`)", service: tcp, tls: {{}}}}
    passed: {{entryPoints: [tcp], rule: "HostSNI(`passed.test`)", service: tcp, tls: {{passthrough: true}}}}
    broken: {{entryPoints: [tcp], rule: "HostSNI(`x.test`)", service: nope, tls: {{}}}}
  services:
    tcp: {{loadBalancer: {{servers: [{{address: "{good}"}}]}}}}
udp:
  routers:
    udp: {{entryPoints: [udp], service: udp}}
  services:
    udp: {{loadBalancer: {{servers: [{{address: "{good}"}}]}}}}
"#
    )
}

#[test]
fn what_it_does_not_tell_3_7() {
    what_it_does_not_tell(NEW);
}

#[test]
fn what_it_does_not_tell_3_3() {
    what_it_does_not_tell(OLD);
}

fn what_it_does_not_tell(version: &'static str) {
    let good = Server::good();
    let slow = Server::start(200, Duration::from_millis(300));
    let failing = Server::start(500, Duration::ZERO);
    let dead = nobody().to_string();
    let traefik = Traefik::start(
        &Setup::new(version),
        &dynamic(&good, &slow, &failing, &dead),
    );
    let exporter = Exporter::start(&traefik.url(), &[]);
    let scraped = exporter.until("health checks have found who is down", |it| {
        let server = format!("http://{dead}");
        let labels = [("service", "checked@file"), ("server", server.as_str())];
        let all = [("service", "alldown@file"), ("server", server.as_str())];
        it.get("traefik_api_server_up", &labels) == Some(0.0)
            && it.get("traefik_api_server_up", &all) == Some(0.0)
    });
    assert_eq!(scraped.reason(), None);
    scraped.is("traefik_api_version_info", &[("version", version)], 1.0);
    scraped.is(
        "traefik_api_features_info",
        &[
            ("metrics", "Prometheus"),
            ("access_log", "true"),
            ("tracing", ""),
        ],
        1.0,
    );
    scraped.is("traefik_api_provider_info", &[("provider", "File")], 1.0);
    let ports = traefik.ports();
    for (name, address, transport) in [("web", ports.web, "tcp"), ("udp", ports.udp, "udp")] {
        let address = address.to_string();
        let labels = [
            ("entry_point", name),
            ("address", &address),
            ("transport", transport),
        ];
        scraped.is("traefik_api_entry_point_info", &labels, 1.0);
    }

    // Four kinds of broken routers: clients get 404, and the reason is told.
    for (name, host, why) in [
        (
            "broken-middleware",
            "b1.test",
            "middleware \"nope@file\" does not exist",
        ),
        (
            "broken-service",
            "b2.test",
            "the service \"nope@file\" does not exist",
        ),
        ("broken-rule", "b3.test", "unsupported function: Hst"),
        (
            "broken-entry-point",
            "b4.test",
            "entryPoint \"nope\" doesn't exist",
        ),
    ] {
        assert_eq!(traefik.ask(host), 404, "{host}");
        let router = format!("{name}@file");
        let labels = [("router", router.as_str()), ("status", "disabled")];
        scraped.is("traefik_api_router_info", &labels, 1.0);
        scraped.is("traefik_api_router_error_info", &labels, 1.0);
        let errors = scraped.values("traefik_api_router_error_info", "error");
        assert!(
            errors.iter().any(|it| it.contains(why)),
            "{why}: {errors:?}"
        );
    }
    for (protocol, status, expect) in [
        ("http", "disabled", 4.0),
        ("http", "enabled", 10.0),
        ("http", "warning", 0.0),
        ("tcp", "disabled", 1.0),
        ("tcp", "enabled", 3.0),
        ("udp", "enabled", 1.0),
    ] {
        let labels = [
            ("protocol", protocol),
            ("status", status),
            ("provider", "file"),
        ];
        scraped.is("traefik_api_routers", &labels, expect);
    }

    // A dead server without a health check: Traefik says UP, clients get 502, and we call it neither.
    assert_eq!(traefik.ask("dead.test"), 502);
    let labels = [("service", "dead@file")];
    assert!(scraped.all("traefik_api_server_up", &labels).is_empty());
    assert!(
        scraped
            .all("traefik_api_service_servers_up", &labels)
            .is_empty()
    );
    let labels = [("service", "dead@file"), ("health_check", "false")];
    scraped.is("traefik_api_service_servers", &labels, 1.0);
    scraped.is("traefik_api_server_info", &labels, 1.0);
    let unknown = [("router", "dead@file")];
    assert!(
        scraped
            .all("traefik_api_router_without_server", &unknown)
            .is_empty()
    );

    // All servers down: router and service stay enabled, and clients get 503.
    assert_eq!(traefik.ask("alldown.test"), 503);
    scraped.is(
        "traefik_api_router_info",
        &[("router", "alldown@file"), ("status", "enabled")],
        1.0,
    );
    scraped.is(
        "traefik_api_service_info",
        &[("service", "alldown@file"), ("status", "enabled")],
        1.0,
    );
    scraped.is(
        "traefik_api_router_without_server",
        &[("router", "alldown@file")],
        1.0,
    );
    for (name, servers, are_up, without) in [
        ("alldown@file", 1.0, 0.0, 1.0),
        ("checked@file", 2.0, 1.0, 0.0),
    ] {
        let labels = [("service", name), ("health_check", "true")];
        scraped.is("traefik_api_service_servers", &labels, servers);
        scraped.is("traefik_api_service_servers_up", &labels, are_up);
        scraped.is(
            "traefik_api_service_without_server",
            &[("service", name)],
            without,
        );
    }
    scraped.is(
        "traefik_api_router_without_server",
        &[("router", "weighted@file")],
        0.0,
    );

    // Slow and failing ones are enabled, as they are.
    assert_eq!(
        (traefik.ask("slow.test"), traefik.ask("failing.test")),
        (200, 500)
    );
    for name in ["slow@file", "failing@file"] {
        scraped.is(
            "traefik_api_router_info",
            &[("router", name), ("status", "enabled")],
            1.0,
        );
    }
    let kinds = [
        ("good@file", "loadBalancer"),
        ("weighted@file", "weighted"),
        ("api@internal", "other"),
    ];
    for (service, kind) in kinds {
        scraped.is(
            "traefik_api_service_info",
            &[("service", service), ("type", kind)],
            1.0,
        );
    }
    scraped.is(
        "traefik_api_middleware_info",
        &[("middleware", "head@file"), ("type", "headers")],
        1.0,
    );

    // TCP and UDP.
    for protocol in ["tcp", "udp"] {
        let name = format!("{protocol}@file");
        let address = good.address.to_string();
        let labels = [
            ("protocol", protocol),
            ("service", name.as_str()),
            ("server", &address),
        ];
        scraped.is("traefik_api_server_info", &labels, 1.0);
    }
    scraped.is(
        "traefik_api_router_info",
        &[("router", "passed@file"), ("tls", "passthrough")],
        1.0,
    );
}

/// A server dies, and comes back; Traefik's own view of router and service does not change.
#[test]
fn a_server_is_killed() {
    let server = Server::good();
    let dynamic = format!(
        "http: {{routers: {{r: {{entryPoints: [web], rule: 'Host(`r.test`)', service: s}}}}, services: {{s: {{loadBalancer: \
         {{healthCheck: {{path: /, interval: 100ms, timeout: 2s}}, servers: [{{url: '{}'}}]}}}}}}}}",
        server.url()
    );
    let traefik = Traefik::start(&Setup::new(NEW), &dynamic);
    let exporter = Exporter::start(&traefik.url(), &[]);
    let labels = [("service", "s@file")];
    let is = |expect: f64| {
        let scraped = exporter.until("the server's state", |it| {
            it.get("traefik_api_server_up", &labels) == Some(expect)
        });
        scraped.is("traefik_api_service_without_server", &labels, 1.0 - expect);
        scraped.is(
            "traefik_api_router_without_server",
            &[("router", "r@file")],
            1.0 - expect,
        );
        scraped.is(
            "traefik_api_router_info",
            &[("router", "r@file"), ("status", "enabled")],
            1.0,
        );
        scraped
    };
    let hash = |it: &crate::exporter::Scraped| it.all("traefik_api_configuration_hash", &[]);
    let before = is(1.0);
    let address = server.address;
    drop(server);
    let down = is(0.0);
    assert_eq!(traefik.ask("r.test"), 503);
    let _back = Server::at(address, 200, Duration::ZERO);
    is(1.0);
    // It is state, and no other configuration.
    assert_eq!(hash(&before), hash(&down));
}

/// What cannot be read changes nothing that Traefik tells: only its log knows.
#[test]
fn a_rejected_file_is_invisible() {
    for version in [NEW, OLD] {
        let traefik = Traefik::start(&Setup::new(version), "");
        let exporter = Exporter::start(&traefik.url(), &[]);
        let without_size = |text: String| {
            let lines = text
                .lines()
                .filter(|it| !it.starts_with("traefik_api_answer_bytes"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let before = without_size(exporter.until("it is up", |it| it.is_up()).of_traefik());
        for bad in ["http: [", "http: {routers: {x: {rulez: 1}}}"] {
            traefik.write("bad.yml", bad);
            testkit::eventually("the log tells", crate::exporter::PATIENCE, || {
                let log = std::fs::read_to_string(traefik.path("traefik.log")).unwrap();
                log.contains("bad.yml: ").then_some(())
            });
            assert_eq!(without_size(exporter.scrape().of_traefik()), before);
        }
        // A good one shows in the hash.
        traefik.remove("bad.yml");
        traefik.write(
            "good.yml",
            "http: {routers: {x: {rule: 'Host(`x`)', service: noop@internal}}}",
        );
        exporter.until("another hash", |it| {
            let router = [("protocol", "http"), ("kind", "router")];
            let hash = it.get("traefik_api_configuration_hash", &router).unwrap();
            !before.iter().any(|it| {
                it.contains("kind=\"router\",protocol=\"http\"")
                    && it.ends_with(&exposition_text(hash))
            })
        });
    }
}

fn exposition_text(number: f64) -> String {
    let mut text = Vec::new();
    exposition::go_float(&mut text, number);
    format!(" {}", String::from_utf8(text).unwrap())
}

/// Two instances with one configuration have one hash, although their ports differ where that is not configuration of routers.
#[test]
fn instances_with_one_configuration() {
    let server = Server::good();
    let dynamic = format!(
        "http: {{routers: {{r: {{entryPoints: [web], rule: 'Host(`r.test`)', service: s}}}}, services: {{s: {{loadBalancer: \
         {{servers: [{{url: '{}'}}]}}}}}}}}",
        server.url()
    );
    let (a, b) = (
        Traefik::start(&Setup::new(NEW), &dynamic),
        Traefik::start(&Setup::new(NEW), &dynamic),
    );
    let hashes = |traefik: &Traefik| {
        let exporter = Exporter::start(&traefik.url(), &[]);
        let scraped = exporter.until("it knows the router", |it| {
            it.get("traefik_api_router_info", &[("router", "r@file")])
                .is_some()
        });
        scraped.all("traefik_api_configuration_hash", &[])
    };
    assert_eq!(hashes(&a), hashes(&b));
    b.write(
        "more.yml",
        "http: {routers: {x: {rule: 'Host(`x`)', service: noop@internal}}}",
    );
    testkit::eventually("they differ", crate::exporter::PATIENCE, || {
        (hashes(&a) != hashes(&b)).then_some(())
    });
}

/// The new certificate is there and the old one gone; a host without one is told.
#[test]
fn a_certificate_is_exchanged() {
    let keys = tempfile::tempdir().unwrap();
    let server = Server::good();
    let dynamic = |certificate: &std::path::Path, key: &std::path::Path| {
        format!(
            "http: {{routers: {{r: {{entryPoints: [secure], rule: 'Host(`good.test`) || Host(`x.wild.test`) || Host(`bare.test`)', service: s, tls: {{}}}}}}, \
             services: {{s: {{loadBalancer: {{servers: [{{url: '{}'}}]}}}}}}}}\n\
             tls: {{certificates: [{{certFile: '{}', keyFile: '{}'}}]}}\n",
            server.url(),
            certificate.display(),
            key.display()
        )
    };
    let names = ["good.test", "*.wild.test"];
    let (first, key) = certificate(keys.path(), "first", &names, 11);
    let traefik = Traefik::start(&Setup::new(NEW), &dynamic(&first, &key));
    let exporter = Exporter::start(&traefik.url(), &[]);
    const NOT_AFTER: &str = "traefik_api_certificate_not_after_timestamp_seconds";
    let scraped = exporter.until("the certificate is there", |it| {
        it.values(NOT_AFTER, "serial_number") == ["11"]
    });
    assert!(scraped.all(NOT_AFTER, &[])[0] > 1e9);
    assert_eq!(
        scraped.values("traefik_api_certificate_info", "sans"),
        ["*.wild.test,good.test"]
    );
    assert_eq!(
        scraped.values("traefik_api_router_host_without_certificate", "host"),
        ["bare.test"]
    );
    scraped.is(
        "traefik_api_tls_hosts",
        &[("protocol", "http"), ("certificate", "present")],
        2.0,
    );
    scraped.is(
        "traefik_api_tls_hosts",
        &[("protocol", "http"), ("certificate", "missing")],
        1.0,
    );
    let (second, key) = certificate(keys.path(), "second", &["good.test", "bare.test"], 12);
    traefik.write("network.yml", &dynamic(&second, &key));
    let scraped = exporter.until("the new one alone", |it| {
        it.values(NOT_AFTER, "serial_number") == ["12"]
    });
    assert_eq!(
        scraped.values("traefik_api_router_host_without_certificate", "host"),
        ["x.wild.test"]
    );
    // Traefik's own metrics still tell the old one.
    let own = testkit::get(traefik.ports().api, "/metrics").unwrap().1;
    assert_eq!(
        own.matches("traefik_tls_certs_not_after{").count(),
        2,
        "{own}"
    );
}

#[test]
fn traefik_is_restarted() {
    let mut traefik = Traefik::start(&Setup::new(NEW), "");
    let exporter = Exporter::start(&traefik.url(), &[]);
    let start = "traefik_api_start_time_seconds";
    let before = exporter
        .until("it is up", |it| it.is_up())
        .get(start, &[])
        .unwrap();
    traefik.end();
    exporter.scrape().is_down("connect");
    traefik.run();
    traefik.wait();
    let scraped = exporter.until("it is up again", |it| it.is_up());
    let between = scraped.get(start, &[]).unwrap();
    assert!(between > before);
    assert_eq!(scraped.reason(), None);
    // One that no scrape has seen costs none.
    traefik.end();
    traefik.run();
    testkit::eventually("the API answers", PATIENCE, || {
        let answer = testkit::get(traefik.ports().api, "/api/version")?;
        (answer.0 == 200).then_some(())
    });
    let scraped = exporter.scrape();
    assert_eq!(scraped.reason(), None);
    assert!(scraped.get(start, &[]).unwrap() > between);
}

/// Behind basic authentication and a base path, and behind TLS with a Host rule.
#[test]
fn the_api_is_guarded() {
    for version in [NEW, OLD] {
        let setup = Setup {
            more: "api: {dashboard: false, basePath: /base}",
            api_router: "{entryPoints: [api], rule: 'PathPrefix(`/base/api`)', service: api@internal, middlewares: [guard]}",
            ..Setup::new(version)
        };
        // `secret`, as htpasswd writes it with -s.
        let guard = "http: {middlewares: {guard: {basicAuth: {users: ['exporter:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=']}}}}";
        let traefik = Traefik::start(&setup, guard);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "secret\n").unwrap();
        let password = format!("--traefik.password-file={}", file.display());
        let url = format!("{}/base", traefik.url());
        Exporter::start(&url, &["--traefik.username=exporter", &password])
            .until("it is let in", |it| it.reason().is_none() && it.is_up());
        Exporter::start(&url, &[]).scrape().is_down("unauthorized");
        std::fs::write(&file, "wrong").unwrap();
        Exporter::start(&url, &["--traefik.username=exporter", &password])
            .scrape()
            .is_down("unauthorized");
        Exporter::start(&traefik.url(), &[])
            .scrape()
            .is_down("not_found");
    }
}

#[test]
fn the_api_has_tls_and_a_name() {
    let keys = tempfile::tempdir().unwrap();
    let (chain, key) = certificate(keys.path(), "api", &["localhost"], 1);
    let setup = Setup {
        api_router: "{entryPoints: [secure], rule: 'Host(`traefik.test`) && PathPrefix(`/api`)', service: api@internal, tls: {}}",
        ..Setup::new(NEW)
    };
    let tls = format!(
        "tls: {{certificates: [{{certFile: '{}', keyFile: '{}'}}]}}",
        chain.display(),
        key.display()
    );
    let traefik = Traefik::start(&setup, &tls);
    let url = format!("https://localhost:{}", traefik.ports().secure.port());
    let ca = format!("--traefik.ca-file={}", chain.display());
    let exporter = Exporter::start(&url, &["--traefik.host=traefik.test", &ca]);
    exporter.until("it answers", |it| it.is_up());
    Exporter::start(&url, &[&ca]).scrape().is_down("not_found");
    // By its address no name is sent, and Traefik shows its default certificate.
    let address = format!("https://{}", traefik.ports().secure);
    let arguments = [
        "--traefik.host=traefik.test",
        "--traefik.server-name=localhost",
        &ca,
    ];
    Exporter::start(&address, &arguments)
        .scrape()
        .is_down("connect");
}
