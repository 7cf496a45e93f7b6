//! What is no good API: silent, slow, endless, huge, broken, closed, somebody else. A scrape ends before its deadline, and says why.

use std::{net::TcpListener, time::Duration};

use crate::{
    exporter::Exporter,
    fake::{Fake, Page},
};

const RAWDATA: &str = "/api/rawdata";

#[test]
fn reasons() {
    let fake = Fake::good();
    let exporter = Exporter::start(&fake.url(), &["--traefik.max-answer-bytes=1000000"]);
    let reply = |status, body: &str| Page::Reply(status, body.to_owned());
    let huge = format!("{{\"routers\":{{\"{}\":{{}}}}}}", "a".repeat(2_000_000));
    for (page, reason) in [
        (reply(401, ""), "unauthorized"),
        (reply(403, ""), "forbidden"),
        (reply(404, "404 page not found\n"), "not_found"),
        (reply(302, ""), "redirect"),
        (reply(500, ""), "http"),
        (reply(204, ""), "http"),
        (reply(200, ""), "answer"),
        (reply(200, "<html>"), "answer"),
        (reply(200, "[]"), "answer"),
        (reply(200, "{\"routers\":{\"a\":{\"status\":7}}}"), "answer"),
        (reply(200, "{\"routers\":{\"a\":"), "answer"),
        (reply(200, &huge), "too_large"),
        (Page::Endless("[1],"), "too_large"),
        (Page::Truncated, "broken"),
        (Page::EndlessHead, "broken"),
        (Page::Hang, "deadline"),
        (Page::Trickle, "deadline"),
    ] {
        fake.set(RAWDATA, page);
        let scraped = exporter.scrape_within("2");
        scraped.is_down(reason);
        assert!(
            scraped.took < Duration::from_secs(2),
            "{reason}: {:?}",
            scraped.took
        );
        // What came is shown.
        assert_eq!(
            scraped.all("traefik_api_version_info", &[]).len(),
            1,
            "{reason}"
        );
    }
    // Once for each change.
    let log = exporter.0.log();
    let told = log
        .lines()
        .filter(|it| it.contains("cannot be read, or not all of it"));
    assert_eq!(told.count(), 9, "{log}");
    assert!(log.contains("api@internal"), "how to open it: {log}");
    fake.set(RAWDATA, reply(200, "{}"));
    assert!(exporter.scrape().is_up());
    exporter.0.line("Traefik's API can be read");
}

/// 3 GB would come if they were read.
#[test]
fn an_endless_answer_costs_no_more_than_the_cap() {
    let fake = Fake::good();
    let exporter = Exporter::start(&fake.url(), &["--traefik.max-answer-bytes=4000000"]);
    exporter.scrape();
    let before = exporter.resident();
    fake.set(
        RAWDATA,
        Page::Endless("{\"routers\":{\"a@file\":{\"rule\":\"Host(`a`)\"}}}"),
    );
    fake.set("/api/certificates", Page::Endless("[{}],"));
    for _ in 0..10 {
        exporter.scrape().is_down("too_large");
    }
    let grown = exporter.resident().saturating_sub(before);
    assert!(grown < 24 << 20, "{grown}");
}

/// The small answers are as bad.
#[test]
fn small_answers() {
    let fake = Fake::good();
    let exporter = Exporter::start(&fake.url(), &[]);
    for path in [
        "/api/version",
        "/api/overview",
        "/api/entrypoints",
        "/api/certificates",
    ] {
        for (page, reason) in [
            (Page::Reply(500, String::new()), "http"),
            (Page::Reply(200, "7".to_owned()), "answer"),
            (Page::Truncated, "broken"),
        ] {
            fake.set(path, page);
            let scraped = exporter.scrape();
            assert!(scraped.is_up());
            scraped.is("traefik_scrape_complete", &[], 0.0);
            assert_eq!(scraped.reason().as_deref(), Some(reason), "{path}");
        }
        let good = if path.ends_with('n') || path.ends_with('w') {
            "{}"
        } else {
            "[]"
        };
        fake.set(path, Page::Reply(200, good.to_owned()));
        assert_eq!(exporter.scrape().reason(), None);
    }
    // A version without certificates is whole.
    fake.set("/api/certificates", Page::Reply(404, String::new()));
    let scraped = exporter.scrape();
    scraped.is("traefik_scrape_complete", &[], 1.0);
    assert!(
        scraped
            .values("traefik_api_tls_hosts", "certificate")
            .is_empty()
    );
}

#[test]
fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let exporter = Exporter::start(&format!("http://{address}"), &[]);
    exporter.scrape().is_down("connect");
}

/// Traefik of the time before there was `/api/rawdata`.
#[test]
fn somebody_else_answers() {
    let fake = Fake::start();
    fake.set("/health", Page::Reply(200, "{\"pid\":1}".to_owned()));
    Exporter::start(&fake.url(), &[])
        .scrape()
        .is_down("not_found");
}

#[test]
fn secrets_are_read_anew() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "one\n").unwrap();
    let fake = Fake::good();
    let flag = format!("--traefik.password-file={}", file.display());
    let exporter = Exporter::start(&fake.url(), &["--traefik.username=u", &flag]);
    exporter.scrape();
    std::fs::write(&file, "two").unwrap();
    exporter.scrape();
    let heard = fake.heard();
    for (at, expect) in [(0, "dTpvbmU="), (9, "dTp0d28=")] {
        let head = &heard[at];
        assert!(
            head.contains(&format!("authorization: Basic {expect}\r\n")),
            "{head}"
        );
    }
    std::fs::write(&file, " \n").unwrap();
    exporter.scrape().is_down("settings");
    std::fs::remove_file(&file).unwrap();
    exporter.scrape().is_down("settings");
    assert!(!exporter.0.log().contains("dTp"), "no secrets in the log");
}

/// Several at a time take turns, and all of them get an answer.
#[test]
fn many_scrapers() {
    let fake = Fake::good();
    let exporter = Exporter::start(&fake.url(), &[]);
    std::thread::scope(|scope| {
        let scrapes: Vec<_> = (0..16).map(|_| scope.spawn(|| exporter.scrape())).collect();
        for scrape in scrapes {
            assert_eq!(scrape.join().unwrap().reason(), None);
        }
    });
    // Some come back to the pool when the next scrape has begun.
    assert!(fake.connections() <= 8, "{}", fake.connections());
}
