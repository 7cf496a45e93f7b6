//! Requests that a real Traefik writes into its access log.

use std::{fs, time::Duration};

use exposition::Metric;

use crate::{
    exporter::{Exporter, PATIENCE},
    network::{NEW, OLD, Server, Setup, Traefik, nobody},
};

const REQUESTS: &str = "traefik_access_log_requests_total";

fn counting(traefik: &Traefik, more: &[&str]) -> Exporter {
    let file = format!("--access-log.file={}", traefik.path("access.log").display());
    Exporter::start(
        &traefik.url(),
        &[&["--collector.access-log", &file], more].concat(),
    )
}

fn start(version: &'static str, good: &Server, failing: &Server) -> Traefik {
    start_as(&Setup::new(version), good, failing)
}

fn start_as(setup: &Setup, good: &Server, failing: &Server) -> Traefik {
    let dead = nobody();
    let router = |name: &str| {
        format!("{name}: {{entryPoints: [web], rule: 'Host(`{name}.test`)', service: {name}}}")
    };
    let service = |name: &str, url: &str| {
        format!("{name}: {{loadBalancer: {{servers: [{{url: '{url}'}}]}}}}")
    };
    let dynamic = format!(
        "http: {{routers: {{{}, {}, {}}}, services: {{{}, {}, {}}}}}",
        router("good"),
        router("failing"),
        router("dead"),
        service("good", &good.url()),
        service("failing", &failing.url()),
        service("dead", &format!("http://{dead}"))
    );
    let traefik = Traefik::start(setup, &dynamic);
    testkit::eventually("the routers answer", PATIENCE, || {
        (traefik.ask("good.test") == 200).then_some(())
    });
    traefik
}

#[test]
fn requests_of_routers_and_servers() {
    for version in [NEW, OLD] {
        let good = Server::start(200, Duration::from_millis(20));
        let failing = Server::start(503, Duration::ZERO);
        let traefik = start(version, &good, &failing);
        let exporter = counting(&traefik, &[]);
        exporter.until("the log is read", |it| {
            it.get("traefik_access_log_readable", &[]) == Some(1.0)
        });
        for _ in 0..5 {
            assert_eq!(traefik.ask("good.test"), 200);
        }
        assert_eq!(traefik.ask("failing.test"), 503);
        assert_eq!(traefik.ask("dead.test"), 502);
        assert_eq!(traefik.ask("nobody.test"), 404);
        let good_router = [
            ("entry_point", "web"),
            ("router", "good@file"),
            ("code", "2xx"),
        ];
        let nobodys = [("router", ""), ("code", "4xx")];
        let scraped = exporter.until("all are counted", |it| {
            let lines = it.get("traefik_access_log_lines_total", &[("result", "read")]);
            it.get(REQUESTS, &good_router) == Some(5.0) && lines >= Some(7.0)
        });
        for router in ["failing@file", "dead@file"] {
            scraped.is(REQUESTS, &[("router", router), ("code", "5xx")], 1.0);
            scraped.is(
                "traefik_access_log_server_requests_total",
                &[("service", router), ("code", "5xx")],
                1.0,
            );
        }
        scraped.is(
            "traefik_access_log_server_requests_total",
            &[
                ("server", &good.url()),
                ("service", "good@file"),
                ("code", "2xx"),
            ],
            5.0,
        );
        let requests: f64 = scraped
            .all(
                "traefik_access_log_version_requests_total",
                &[("http_version", "1.1")],
            )
            .iter()
            .sum();
        assert!(requests >= 7.0, "{requests}");
        // Traefik writes no line for what no router takes, unless it has a router for it.
        assert!(scraped.get(REQUESTS, &nobodys).is_none_or(|it| it == 1.0));
        // The server's 20 ms are not Traefik's own.
        let sum = |name: &str| {
            let text = scraped
                .text
                .lines()
                .find(|it| it.starts_with(&format!("{name}_sum{{")) && it.contains("good@file"));
            text.unwrap()
                .rsplit(' ')
                .next()
                .unwrap()
                .parse::<f64>()
                .unwrap()
        };
        let whole = sum("traefik_access_log_request_duration_seconds");
        let server = sum("traefik_access_log_server_duration_seconds");
        let own = sum("traefik_access_log_overhead_seconds");
        assert!(
            server >= 0.1 && whole > server && (whole - server - own).abs() < 1e-6,
            "{whole} {server} {own}"
        );
    }
}

/// Traefik opens its access log anew when it is told to (USR1). The exporter goes on where it was, also after it was away.
#[test]
fn each_request_is_counted_once() {
    let (good, failing) = (Server::good(), Server::start(500, Duration::ZERO));
    let traefik = start(NEW, &good, &failing);
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("place");
    let flag = format!("--access-log.checkpoint={}", checkpoint.display());
    let labels = [("router", "failing@file"), ("code", "5xx")];
    let ask = |times: usize| (0..times).for_each(|_| assert_eq!(traefik.ask("failing.test"), 500));
    let exporter = counting(&traefik, &[&flag]);
    exporter.until("the log is read", |it| {
        it.get("traefik_access_log_readable", &[]) == Some(1.0)
    });
    ask(3);
    exporter.until("they are counted", |it| {
        it.get(REQUESTS, &labels) == Some(3.0)
    });
    for round in 1..=2 {
        let log = traefik.path("access.log");
        fs::rename(&log, traefik.path(&format!("access.log.{round}"))).unwrap();
        ask(2);
        traefik.signal();
        testkit::eventually("another log", PATIENCE, || log.exists().then_some(()));
        ask(1);
        let expect = 3.0 + 3.0 * f64::from(round);
        let scraped = exporter.until("those of both are counted", |it| {
            it.get(REQUESTS, &labels) == Some(expect)
        });
        scraped.is(
            "traefik_access_log_restarts_total",
            &[("how", "rotated")],
            f64::from(round),
        );
    }
    let size = fs::metadata(traefik.path("access.log")).unwrap().len();
    testkit::eventually("the place is kept", PATIENCE, || {
        let text = fs::read_to_string(&checkpoint).ok()?;
        text.contains(&format!("\"offset\":{size},")).then_some(())
    });
    assert!(exporter.0.terminate().success());
    ask(4);
    let exporter = counting(&traefik, &[&flag]);
    exporter.until("those of meanwhile", |it| {
        it.get(REQUESTS, &labels) == Some(4.0)
    });
    ask(1);
    exporter.until("and the next", |it| it.get(REQUESTS, &labels) == Some(5.0));
}

/// Traefik traces, to a port where nobody takes it: its log has the ids.
#[test]
fn durations_lead_to_traces() {
    for version in [NEW, OLD] {
        let setup = Setup {
            more: "api: {dashboard: false}\ntracing: {otlp: {http: {endpoint: 'http://127.0.0.1:9/v1/traces'}}}",
            ..Setup::new(version)
        };
        let (good, failing) = (Server::good(), Server::start(500, Duration::ZERO));
        let traefik = start_as(&setup, &good, &failing);
        let exporters = [
            counting(&traefik, &["--access-log.buckets=60"]),
            counting(&traefik, &["--access-log.native-histograms"]),
        ];
        for exporter in &exporters {
            exporter.until("the log is read", |it| {
                it.get("traefik_access_log_readable", &[]) == Some(1.0)
            });
        }
        assert_eq!(traefik.ask("failing.test"), 500);
        let id = testkit::eventually("the log has the request", PATIENCE, || {
            let log = fs::read_to_string(traefik.path("access.log")).unwrap();
            let line = log.lines().find(|it| it.contains("failing@file"))?;
            let id = line.split("\"TraceId\":\"").nth(1)?;
            Some(id.split('"').next()?.to_owned())
        });
        assert_eq!(id.len(), 32);
        let accept = "application/openmetrics-text;version=1.0.0";
        for exporter in &exporters {
            let text = testkit::eventually("the trace is there", PATIENCE, || {
                let text = String::from_utf8(exporter.ask(accept)).unwrap();
                text.contains(&id).then_some(text)
            });
            let families = exposition::parse::open_metrics(&text).unwrap();
            let metrics = families.iter().flat_map(|it| &it.metrics);
            let failing = metrics.filter(|it| it.labels.get("router") == Some("failing@file"));
            let exemplars: Vec<_> = failing.flat_map(Metric::exemplars).collect();
            assert_eq!(exemplars.len(), 1, "{text}");
            assert_eq!(exemplars[0].labels().get("trace_id"), Some(id.as_str()));
            assert!((0.0..60.0).contains(&exemplars[0].value()));
            assert!(exemplars[0].timestamp() > Some(1_700_000_000_000));
            assert!(!exporter.scrape().text.contains(&id));
        }
        // In its bucket, and among those of the native histogram.
        let protobuf = exporters[1].ask(
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
        );
        let times = protobuf.windows(id.len()).filter(|it| *it == id.as_bytes());
        assert_eq!(times.count(), 2);
    }
}
