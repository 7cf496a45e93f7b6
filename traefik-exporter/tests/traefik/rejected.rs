//! Configuration that Traefik rejects: its log, and what it does not have of its files.

use std::fs;

use crate::{
    exporter::Exporter,
    network::{NEW, OLD, Setup, Traefik, certificate},
};

const ERRORS: &str = "traefik_log_provider_errors_total";
const FILE: &[(&str, &str)] = &[("provider", "file")];
const ROUTER: &str =
    "http: {routers: {NAME: {entryPoints: [web], rule: 'Host(`x`)', service: noop@internal}}}";

fn watching(traefik: &Traefik) -> Exporter {
    let log = format!(
        "--config-watch.log={}",
        traefik.path("traefik.log").display()
    );
    let files = format!("--config-watch.files={}", traefik.path("dynamic").display());
    Exporter::start(&traefik.url(), &["--collector.config-watch", &log, &files])
}

#[test]
fn a_bad_file_is_dropped_in() {
    for (version, log_format) in [
        (NEW, "json"),
        (NEW, "common"),
        (OLD, "json"),
        (OLD, "common"),
    ] {
        let setup = Setup {
            log_format,
            ..Setup::new(version)
        };
        let traefik = Traefik::start(&setup, &ROUTER.replace("NAME", "first"));
        let exporter = watching(&traefik);
        let fine = exporter.until("the log is read, and Traefik has the file", |it| {
            it.get("traefik_log_messages_total", &[("level", "info")]) > Some(0.0)
                && it.all("traefik_file_object_not_loaded", &[]).is_empty()
                && it.all("traefik_file_object_stale", &[]).is_empty()
        });
        fine.is(ERRORS, FILE, 0.0);
        if log_format == "json" {
            fine.is("traefik_log_lines_total", &[("result", "unknown")], 0.0);
        }
        fine.is("traefik_file_files", &[("state", "read")], 2.0);
        fine.is(
            "traefik_file_objects",
            &[("protocol", "http"), ("kind", "router")],
            2.0,
        );

        // Both the bad file and the good one beside it are not taken.
        traefik.write("bad.yml", "http: {routers: {x: {rulez: 1}}}");
        traefik.write("good.yml", &ROUTER.replace("NAME", "second"));
        let bad = exporter.until("the log tells", |it| it.get(ERRORS, FILE) >= Some(1.0));
        let errors = bad.values("traefik_log_last_provider_error_info", "error");
        assert!(
            errors[0].contains("bad.yml: field not found, node: rulez"),
            "{errors:?}"
        );
        assert!(bad.get("traefik_log_last_provider_error_timestamp_seconds", FILE) > Some(1e9));
        let bad = exporter.until("it does not have the files", |it| {
            it.values("traefik_file_object_not_loaded", "object") == ["second", "x"]
        });
        bad.is(
            "traefik_file_object_not_loaded",
            &[("object", "second"), ("kind", "router")],
            1.0,
        );
        assert_eq!(bad.reason(), None);

        // What is no YAML at all is named.
        traefik.write("bad.yml", "http: [");
        exporter.until("the file is named", |it| {
            it.values("traefik_file_error_info", "file")
                .iter()
                .any(|it| it.ends_with("bad.yml"))
        });
        traefik.remove("bad.yml");
        exporter.until("it has all of it", |it| {
            it.all("traefik_file_object_not_loaded", &[]).is_empty()
                && it
                    .get("traefik_api_router_info", &[("router", "second@file")])
                    .is_some()
        });
    }
}

#[test]
fn files_in_toml() {
    let router = |name: &str| {
        format!(
            "[http.routers.{name}]\nentryPoints = ['web']\nrule = 'Host(`x`)'\nservice = 'noop@internal'\n"
        )
    };
    for version in [NEW, OLD] {
        let traefik = Traefik::start(&Setup::new(version), "");
        let exporter = watching(&traefik);
        traefik.write("more.toml", &router("first"));
        let fine = exporter.until("Traefik has it", |it| {
            let labels = [("router", "first@file")];
            it.get("traefik_api_router_info", &labels).is_some()
                && it.get("traefik_file_files", &[("state", "read")]) == Some(2.0)
        });
        for name in [
            "traefik_file_object_not_loaded",
            "traefik_file_object_stale",
        ] {
            assert!(fine.all(name, &[]).is_empty(), "{name}");
        }
        // It goes on with what it had.
        traefik.write("more.toml", &(router("second") + "rulez = 1\n"));
        exporter.until("it has the one that is no more", |it| {
            it.values("traefik_file_object_not_loaded", "object") == ["second"]
                && it.values("traefik_file_object_stale", "object") == ["first"]
                && it.get(ERRORS, FILE) >= Some(1.0)
        });
        traefik.write("more.toml", "[http");
        let bad = exporter.until("the file is named", |it| {
            !it.all("traefik_file_error_info", &[]).is_empty()
        });
        bad.is("traefik_file_files", &[("state", "no_toml")], 1.0);
        let errors = bad.values("traefik_file_error_info", "error");
        assert!(errors[0].contains("line 1"), "{errors:?}");
    }
}

/// As logrotate does it with copytruncate, the only way that Traefik 3 bears: it does not open its log anew.
#[test]
fn the_log_is_truncated() {
    let traefik = Traefik::start(&Setup::new(NEW), "");
    let exporter = watching(&traefik);
    exporter.until("the log is read", |it| {
        it.get("traefik_log_messages_total", &[("level", "info")]) > Some(0.0)
    });
    let mut errors = 0.0;
    for round in 1..=3 {
        fs::OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(traefik.path("traefik.log"))
            .unwrap();
        traefik.write("bad.yml", &format!("http: [{round}"));
        let scraped = exporter.until("the error", |it| it.get(ERRORS, FILE) > Some(errors));
        errors = scraped.get(ERRORS, FILE).unwrap();
        scraped.is(
            "traefik_log_restarts_total",
            &[("how", "truncated")],
            f64::from(round),
        );
        scraped.is("traefik_log_lines_total", &[("result", "unknown")], 0.0);
    }
}

#[test]
fn a_certificate_that_cannot_be_used() {
    let keys = tempfile::tempdir().unwrap();
    let (chain, _) = certificate(keys.path(), "a", &["a.test"], 1);
    let (_, key) = certificate(keys.path(), "b", &["a.test"], 2);
    let traefik = Traefik::start(&Setup::new(NEW), "");
    let exporter = watching(&traefik);
    exporter.until("the log is read", |it| {
        it.get("traefik_log_readable", &[]) == Some(1.0)
    });
    traefik.write(
        "tls.yml",
        &format!(
            "tls: {{certificates: [{{certFile: '{}', keyFile: '{}'}}]}}",
            chain.display(),
            key.display()
        ),
    );
    exporter.until("the log tells", |it| {
        it.get("traefik_log_certificate_errors_total", &[]) >= Some(1.0)
    });
}

/// The log comes later, and its folder may be forbidden; the status does not care.
#[test]
fn there_is_no_log() {
    let traefik = Traefik::start(&Setup::new(NEW), "");
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("later.log");
    let flag = format!("--config-watch.log={}", log.display());
    let exporter = Exporter::start(&traefik.url(), &["--collector.config-watch", &flag]);
    let scraped = exporter.until("it is noticed", |it| {
        let labels = [("collector", "config-watch")];
        it.is_up() && it.get("traefik_scrape_collector_success", &labels) == Some(0.0)
    });
    scraped.is("traefik_log_readable", &[], 0.0);
    assert_eq!(scraped.reason(), None);
    fs::write(
        &log,
        "2026-11-26T15:22:36Z ERR No error=\"why: e\" providerName=docker\nhello\n",
    )
    .unwrap();
    let scraped = exporter.until("it is read", |it| {
        it.get("traefik_log_readable", &[]) == Some(1.0)
    });
    scraped.is(ERRORS, &[("provider", "docker")], 1.0);
    scraped.is("traefik_log_lines_total", &[("result", "unknown")], 1.0);
    scraped.is(
        "traefik_log_last_provider_error_info",
        &[("error", "No: why: e")],
        1.0,
    );
}
