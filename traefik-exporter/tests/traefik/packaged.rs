//! What is packaged for a node, as it is there: Traefik's configuration, ledgers with gRPC health checks, and the exporter's unit.

use std::fs;

use testkit::get;

use crate::{
    exporter::{Exporter, PATIENCE},
    ledger::{Ledger, same_port},
    network::{NEW, OLD, Traefik},
};

/// Where Traefik's API answers on a node.
const API: &str = "http://127.0.0.1:8080";

fn packaged(name: &str) -> String {
    fs::read_to_string(testkit::root().join("packaging").join(name)).unwrap()
}

/// A text with all of these replaced, each of which must be there.
fn replaced(text: &str, pairs: &[(&str, &str)]) -> String {
    let mut text = text.to_owned();
    for (from, to) in pairs {
        assert!(text.contains(from), "{from}: {text}");
        text = text.replace(from, to);
    }
    text
}

/// On free ports, with its paths in a folder of its own, before ledgers at these ports.
fn start(version: &'static str, clients: u16, privileged: u16) -> Traefik {
    let ledgers = replaced(
        &packaged("traefik/dynamic/ledger.yml"),
        &[
            ("ledger-1:", "127.0.0.1:"),
            ("ledger-2:", "127.0.0.2:"),
            ("ledger-3:", "127.0.0.3:"),
            ("50051", &clients.to_string()),
            ("50052", &privileged.to_string()),
            ("interval: 5s", "interval: 100ms"),
        ],
    );
    Traefik::start_with(version, |traefik| {
        traefik.write("ledger.yml", &ledgers);
        traefik.write(
            "monitoring.yml",
            &packaged("traefik/dynamic/monitoring.yml"),
        );
        let ports = traefik.ports();
        let [ledger, privileged, secure, monitoring] =
            [ports.web, ports.tcp, ports.secure, ports.api].map(|it| format!("\"{it}\""));
        let folder = traefik.path("").display().to_string();
        replaced(
            &packaged("traefik/traefik.yml"),
            &[
                ("\":50051\"", &ledger),
                ("\":50052\"", &privileged),
                ("\":443\"", &secure),
                ("\"127.0.0.1:8080\"", &monitoring),
                ("/etc/traefik/", &folder),
                ("/var/log/traefik/", &folder),
            ],
        )
    })
}

/// With the arguments that its unit gets from the file of its flags.
fn exporter(traefik: &Traefik) -> Exporter {
    let unit = packaged("systemd/traefik-exporter.service");
    assert!(unit.contains("\nExecStart=/usr/bin/traefik-exporter $ARGS\n"));
    let flags = packaged("default/traefik-exporter").replace("\\\n", " ");
    let line = flags.lines().find_map(|it| it.strip_prefix("ARGS="));
    let words = line.unwrap().trim_matches('"').split_ascii_whitespace();
    let (own, others): (Vec<_>, Vec<_>) = words.partition(|it| {
        it.starts_with("--traefik.url=") || it.starts_with("--web.listen-address=")
    });
    assert_eq!(
        own,
        [
            "--web.listen-address=:9101",
            &format!("--traefik.url={API}")
        ]
    );
    let folder = traefik.path("").display().to_string();
    let others = replaced(
        &others.join(" "),
        &[
            ("/etc/traefik/", &folder),
            ("/var/log/traefik/", &folder),
            ("/var/lib/traefik-exporter/", &folder),
        ],
    );
    let others: Vec<_> = others.split(' ').collect();
    Exporter::start(&traefik.url(), &others)
}

#[test]
fn a_node_of_the_network() {
    for version in [NEW, OLD] {
        let addresses = [[127, 0, 0, 1], [127, 0, 0, 2], [127, 0, 0, 3]];
        let (clients, privileged) = (same_port(addresses), same_port(addresses));
        let ledgers: Vec<_> = clients
            .into_iter()
            .zip(privileged)
            .map(|(clients, privileged)| Ledger::at(&[clients, privileged]))
            .collect();
        let traefik = start(version, clients[0].port(), privileged[0].port());
        let exporter = exporter(&traefik);
        let services = ["ledger@file", "ledger-privileged@file"];
        let up = |it: &crate::exporter::Scraped, service: &str| {
            let labels = [("service", service), ("health_check", "true")];
            it.all("traefik_api_server_up", &labels).iter().sum::<f64>()
        };
        let scraped = exporter.until("all ledgers serve", |it| {
            // Traefik's own routes come one after the other, too.
            let is_whole = it.is_up() && it.reason().is_none();
            is_whole && services.iter().all(|service| up(it, service) == 3.0)
        });
        let features = [("metrics", "Prometheus"), ("access_log", "true")];
        scraped.is("traefik_api_features_info", &features, 1.0);
        for status in ["warning", "disabled"] {
            let broken = scraped.all("traefik_api_routers", &[("status", status)]);
            assert_eq!(broken.iter().sum::<f64>(), 0.0, "{status}");
        }
        scraped.is("traefik_file_files", &[("state", "read")], 2.0);
        assert!(
            scraped
                .all("traefik_file_object_not_loaded", &[])
                .is_empty()
        );

        // Requests get to ledgers in HTTP/2, and leave what is to be told of them. This one is no gRPC, which ledgers say.
        assert_eq!(traefik.ask("any.test"), 415);
        let requests = [("router", "ledger@file"), ("code", "4xx")];
        let scraped = exporter.until("the request is counted", |it| {
            it.get("traefik_access_log_requests_total", &requests) == Some(1.0)
        });
        scraped.is(
            "traefik_access_log_lines_total",
            &[("result", "unknown")],
            0.0,
        );
        scraped.is("traefik_log_lines_total", &[("result", "unknown")], 0.0);
        assert!(scraped.get("traefik_log_messages_total", &[("level", "info")]) > Some(0.0));
        let log = fs::read_to_string(traefik.path("access.log")).unwrap();
        let lines = log.lines().map(serde_json::from_str::<serde_json::Value>);
        let routers: Vec<_> = lines.map(|it| it.unwrap()["RouterName"].clone()).collect();
        assert!(routers.iter().any(|it| it == "ledger@file"), "{log}");
        let own = testkit::eventually("Traefik counts it", PATIENCE, || {
            let own = get(traefik.ports().api, "/metrics")?.1;
            own.contains("traefik_router_requests_total{")
                .then_some(own)
        });
        for bound in ["0.3", "1.2", "10"] {
            let bucket = |it: &str| {
                it.starts_with("traefik_router_request_duration_seconds_bucket{")
                    && it.contains(&format!("le=\"{bound}\""))
                    && it.contains("router=\"ledger@file\"")
                    && it.contains("service=\"ledger@file\"")
            };
            assert!(own.lines().any(bucket), "{bound}: {own}");
        }
        testkit::eventually("the place is kept", PATIENCE, || {
            let place = fs::read_to_string(traefik.path("access-log.place")).ok()?;
            place.contains("\"offset\"").then_some(())
        });

        // The API is on no other entry point.
        for port in [traefik.ports().secure, traefik.ports().tcp] {
            let answer = get(port, "/api/rawdata").map(|it| it.1).unwrap_or_default();
            assert!(!answer.contains("routers"), "{answer}");
        }

        // One that is about to stop gets no more requests, on neither port; when all do, nobody answers.
        ledgers[0].serves(false);
        let scraped = exporter.until("one is out", |it| {
            services.iter().all(|service| up(it, service) == 2.0)
        });
        let without =
            |it: &crate::exporter::Scraped| it.all("traefik_api_router_without_server", &[]);
        assert!(without(&scraped).iter().all(|it| *it == 0.0));
        ledgers.iter().for_each(|it| it.serves(false));
        exporter.until("all are out", |it| {
            let all = without(it);
            all.len() == 2 && all.iter().all(|it| *it == 1.0)
        });
        assert_eq!(traefik.ask("any.test"), 503);
        ledgers[2].serves(true);
        exporter.until("one is back", |it| {
            services.iter().all(|service| up(it, service) == 1.0)
        });
        assert_eq!(traefik.ask("any.test"), 415);
    }
}
