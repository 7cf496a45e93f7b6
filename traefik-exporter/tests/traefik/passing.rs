//! Traefik's own metrics through our port.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use exposition::{Family, parse};
use testkit::request;

use crate::{
    exporter::{Exporter, PATIENCE},
    fake::{Fake, Page},
    network::{NEW, OLD, Server, Setup, Traefik},
};

const PATH: &str = "/traefik/metrics";
const ROUTERS: &str = "traefik_router_requests_total";

fn text(exporter: &Exporter) -> (u16, String) {
    let (status, _, body) = request(exporter.0.address(), "GET", PATH, &[], &[]).unwrap();
    (status, String::from_utf8(body).unwrap())
}

fn families(exporter: &Exporter) -> Vec<Family> {
    let (status, text) = text(exporter);
    assert_eq!(status, 200, "{text}");
    parse::text_strict(&text).unwrap()
}

fn names(families: &[Family]) -> Vec<&str> {
    families.iter().map(Family::name).collect()
}

fn series<'a>(families: &'a [Family], name: &str) -> Vec<&'a exposition::Metric> {
    let families = families.iter().filter(|it| it.name() == name);
    families.flat_map(|it| it.metrics.iter()).collect()
}

fn number(metric: &exposition::Metric) -> f64 {
    match metric.value {
        exposition::Value::Number(number) => number,
        _ => panic!("no number"),
    }
}

#[test]
fn what_traefik_has_comes_through() {
    for version in [NEW, OLD] {
        let server = Server::good();
        let dynamic = format!(
            "http: {{routers: {{asked: {{entryPoints: [web], rule: 'Host(`asked.test`)', service: s}}, quiet: {{entryPoints: [web], rule: \
             'Host(`quiet.test`)', service: s}}, broken: {{entryPoints: [web], rule: 'Hst(`x`)', service: s}}}}, \
             services: {{s: {{loadBalancer: {{servers: [{{url: '{}'}}]}}}}}}}}",
            server.url()
        );
        let traefik = Traefik::start(&Setup::new(version), &dynamic);
        let exporter = Exporter::start(&traefik.url(), &["--collector.passthrough"]);
        testkit::eventually("the router answers", PATIENCE, || {
            (traefik.ask("asked.test") == 200).then_some(())
        });
        // Traefik counts a request after it was answered, and shows it a moment later.
        let ours = testkit::eventually("the request is counted", PATIENCE, || {
            let ours = families(&exporter);
            let asked = series(&ours, ROUTERS).into_iter().any(|it| {
                it.labels.get("router") == Some("asked@file")
                    && it.labels.get("code") == Some("200")
                    && number(it) > 0.0
            });
            asked.then_some(ours)
        });
        let own = testkit::get(traefik.ports().api, "/metrics").unwrap().1;
        let own = parse::text_strict(&own).unwrap();
        assert_eq!(names(&ours), names(&own));
        // What Grafana's dashboard for Traefik asks for.
        for name in [
            "traefik_config_reloads_total",
            "traefik_entrypoint_requests_total",
            "traefik_entrypoint_request_duration_seconds",
            "traefik_open_connections",
            "traefik_service_requests_total",
            "traefik_service_request_duration_seconds",
        ] {
            assert!(!series(&ours, name).is_empty(), "{name}");
        }
        // Nobody has asked this one: it is there with zero. The broken one is not.
        let quiet = series(&ours, ROUTERS)
            .into_iter()
            .find(|it| it.labels.get("router") == Some("quiet@file"));
        let quiet = quiet.unwrap();
        assert_eq!(
            (number(quiet), quiet.labels.get("service")),
            (0.0, Some("s@file"))
        );
        assert!(
            series(&ours, ROUTERS)
                .iter()
                .all(|it| it.labels.get("router") != Some("broken@file"))
        );
        let labels: Vec<_> = series(&own, ROUTERS)[0]
            .labels
            .iter()
            .map(|it| it.0.to_owned())
            .collect();
        let zero: Vec<_> = quiet.labels.iter().map(|it| it.0.to_owned()).collect();
        assert_eq!(zero, labels, "one set of labels");

        // Less of it.
        let arguments = [
            "--collector.passthrough",
            "--passthrough.metrics.include=traefik_(service|router)_.*",
            "--passthrough.labels.drop=method,protocol",
            "--passthrough.code-classes",
            "--passthrough.labels.only=router=asked.*",
        ];
        let exporter = Exporter::start(&traefik.url(), &arguments);
        let less = families(&exporter);
        assert!(
            names(&less)
                .iter()
                .all(|it| it.starts_with("traefik_service_") || it.starts_with("traefik_router_"))
        );
        let asked = series(&less, ROUTERS);
        assert!(
            asked
                .iter()
                .all(|it| it.labels.get("router") == Some("asked@file"))
        );
        let classes: Vec<_> = asked
            .iter()
            .filter_map(|it| it.labels.get("code"))
            .collect();
        assert!(
            classes.contains(&"2xx") && classes.iter().all(|it| it.ends_with("xx")),
            "{classes:?}"
        );
        assert!(asked.iter().all(|it| it.labels.get("method").is_none()));
        let scraped = exporter.until("it is counted", |it| {
            it.get("traefik_passthrough_requests_total", &[("result", "whole")]) == Some(1.0)
        });
        assert!(
            scraped.get(
                "traefik_passthrough_samples_total",
                &[("result", "filtered")]
            ) > Some(0.0)
        );
    }
}

/// Nobody has scraped the status yet: routers are asked for, and the metrics do not depend on it.
#[test]
fn routers_before_the_first_scrape() {
    let fake = Fake::good();
    fake.set("/metrics", Page::Reply(200, "a 1\n".to_owned()));
    let flags = [
        "--collector.passthrough",
        "--traefik.max-answer-bytes=65536",
    ];
    let exporter = Exporter::start(&fake.url(), &flags);
    let routers = |name: &str| {
        format!(
            "{{\"routers\":{{\"{name}@file\":{{\"service\":\"s\",\"status\":\"enabled\"}}}},\"services\":{{\"s@file\":{{\"status\":\"enabled\"}}}}}}"
        )
    };
    let zero = |name: &str| {
        format!(
            "a 1\n# TYPE {ROUTERS} counter\n{ROUTERS}{{code=\"200\",method=\"GET\",protocol=\"http\",router=\"{name}@file\",service=\"s@file\"}} 0\n"
        )
    };
    let reply = |body: String| Page::Reply(200, body);
    for (page, expect) in [
        (Page::Reply(404, String::new()), "a 1\n".to_owned()),
        (reply(routers(&"long".repeat(20_000))), "a 1\n".to_owned()),
        (reply("{\"routers\":7}".to_owned()), "a 1\n".to_owned()),
        (Page::Endless("[1],"), "a 1\n".to_owned()),
        (Page::Trickle, "a 1\n".to_owned()),
        (Page::Hang, "a 1\n".to_owned()),
        (reply(routers("old")), zero("old")),
        (reply(routers("new")), zero("new")),
    ] {
        fake.set("/api/rawdata", page);
        let begin = Instant::now();
        let headers = [("X-Prometheus-Scrape-Timeout-Seconds", "3")];
        let (status, _, body) = request(exporter.0.address(), "GET", PATH, &headers, &[]).unwrap();
        assert_eq!((status, String::from_utf8(body).unwrap()), (200, expect));
        assert!(begin.elapsed() < Duration::from_secs(3));
    }
    // Afterwards they are those of the last scrape.
    assert!(exporter.scrape().is_up());
    fake.set("/api/rawdata", Page::Hang);
    let heard = fake.heard().len();
    assert_eq!(text(&exporter).1, zero("new"));
    assert_eq!(fake.heard().len(), heard + 1);
}

/// As much as comes is passed, and the memory is that of some pieces.
#[test]
fn an_endless_answer_costs_no_memory() {
    let fake = Fake::good();
    let line = "traefik_service_requests_total{code=\"200\",method=\"GET\",protocol=\"http\",service=\"s@file\"} 17\n";
    fake.set("/metrics", Page::Endless(line));
    for more in [
        &[][..],
        &["--passthrough.labels.drop=method"],
        &["--passthrough.max-series=10"],
    ] {
        let exporter = Exporter::start(&fake.url(), &[&["--collector.passthrough"], more].concat());
        exporter.scrape();
        let before = exporter.resident();
        let mut stream = TcpStream::connect(exporter.0.address()).unwrap();
        let head = format!(
            "GET {PATH} HTTP/1.1\r\nHost: x\r\nX-Prometheus-Scrape-Timeout-Seconds: 2\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let mut buffer = vec![0; 1 << 16];
        let (mut taken, mut most, mut end) = (0_u64, 0, Vec::<u8>::new());
        // It ends at the deadline.
        while !end.ends_with(b"0\r\n\r\n") {
            let read = stream.read(&mut buffer).unwrap();
            assert!(read > 0);
            taken += read as u64;
            most = most.max(exporter.resident());
            end.extend_from_slice(&buffer[..read]);
            end.drain(..end.len().saturating_sub(256));
        }
        assert!(
            String::from_utf8_lossy(&end).contains("\n!\n"),
            "it is not taken for whole"
        );
        let grown = most.saturating_sub(before);
        assert!(grown < 12 << 20, "{more:?}: {grown} bytes more for {taken}");
        if more.is_empty() {
            assert!(taken > 2 << 20, "{taken}");
        }
        exporter.until("it is counted", |it| {
            it.get(
                "traefik_passthrough_requests_total",
                &[("result", "broken")],
            ) == Some(1.0)
        });
    }
}

/// Who scrapes must not take a part for the whole.
#[test]
fn what_breaks_off_is_no_exposition() {
    let fake = Fake::good();
    let exporter = Exporter::start(&fake.url(), &["--collector.passthrough"]);
    fake.set("/metrics", Page::Truncated);
    let (status, text) = text(&exporter);
    assert_eq!(status, 200);
    assert!(parse::text_strict(&text).is_err(), "{text}");
    for (page, reason) in [
        (Page::Reply(404, String::new()), "status 404"),
        (Page::Reply(401, String::new()), "status 401"),
    ] {
        fake.set("/metrics", page);
        let (status, text) = self::text(&exporter);
        assert!(status == 502 && text.contains(reason), "{status} {text}");
    }
    let scraped = exporter.scrape();
    scraped.is(
        "traefik_passthrough_requests_total",
        &[("result", "failed")],
        2.0,
    );
    scraped.is(
        "traefik_passthrough_requests_total",
        &[("result", "broken")],
        1.0,
    );
    assert!(scraped.is_up());
}

/// A login is for the host that it was given for.
#[test]
fn another_host_gets_no_login() {
    let (api, metrics) = (Fake::good(), Fake::start());
    metrics.set("/own", Page::Reply(200, "a 1\n".to_owned()));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "secret").unwrap();
    let token = format!("--traefik.bearer-token-file={}", file.display());
    let url = format!("--passthrough.url={}/own", metrics.url());
    let exporter = Exporter::start(&api.url(), &["--collector.passthrough", &url, &token]);
    assert_eq!(text(&exporter).1, "a 1\n");
    exporter.scrape();
    assert!(api.heard()[0].contains("Bearer secret"));
    assert!(!metrics.heard()[0].contains("secret"));
}
