//! What Traefiks answered, and what the exporter makes of it.

use crate::{
    exporter::Exporter,
    fake::{Fake, Page},
};

fn recorded(version: &str) -> Fake {
    let fake = Fake::start();
    let folder = testkit::root()
        .join("traefik-exporter/tests/recorded")
        .join(version);
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let body = std::fs::read_to_string(entry.path()).unwrap();
        let name = entry.file_name().into_string().unwrap();
        let name = name.trim_end_matches(".json").to_owned();
        fake.set(&format!("/api/{name}"), Page::Reply(200, body));
    }
    fake
}

#[test]
fn scrapes() {
    for version in ["2.11", "3.3.6", "3.7.15"] {
        let exporter = Exporter::start(&recorded(version).url(), &[]);
        let scraped = exporter.scrape();
        assert_eq!(scraped.reason(), None);
        let path = format!("traefik-exporter/tests/golden/{version}.txt");
        testkit::golden::check(path, &scraped.of_traefik());
    }
}

/// Names and labels do not depend on the version, but for what an old one does not know.
#[test]
fn names_are_those_of_every_version() {
    let names = |version: &str| {
        let path = format!("traefik-exporter/tests/golden/{version}.txt");
        let text = std::fs::read_to_string(testkit::root().join(path)).unwrap();
        let heads = text.lines().filter(|it| it.starts_with("# TYPE"));
        heads.map(str::to_owned).collect::<Vec<_>>()
    };
    let new = names("3.7.15");
    let known: Vec<_> = new
        .iter()
        .filter(|it| !it.contains("certificate") && !it.contains("tls_hosts"))
        .collect();
    assert_eq!(names("2.11").iter().collect::<Vec<_>>(), known);
    assert_eq!(names("3.3.6").iter().collect::<Vec<_>>(), known);
}

#[test]
fn what_is_beyond_the_bound_is_counted() {
    let exporter = Exporter::start(&recorded("3.7.15").url(), &["--status.max-objects=2"]);
    let scraped = exporter.scrape();
    assert_eq!(scraped.reason(), None);
    assert_eq!(
        scraped
            .all("traefik_api_router_info", &[("protocol", "http")])
            .len(),
        2
    );
    let routers: f64 = scraped
        .all("traefik_api_routers", &[("protocol", "http")])
        .iter()
        .sum();
    assert_eq!(routers, 18.0);
    scraped.is("traefik_api_omitted_objects", &[("kind", "router")], 17.0);
    scraped.is(
        "traefik_api_omitted_objects",
        &[("kind", "certificate")],
        0.0,
    );
    assert_eq!(scraped.all("traefik_api_server_info", &[]).len(), 2);
}

/// Two connections or a few more, which are kept; each question once a scrape, or once for each start of Traefik's; what is asked for is
/// what is documented.
#[test]
fn connections_are_kept() {
    let fake = recorded("3.7.15");
    let exporter = Exporter::start(
        &format!("{}/", fake.url()),
        &["--traefik.host=traefik.test"],
    );
    for _ in 0..5 {
        assert_eq!(exporter.scrape().reason(), None);
    }
    // One that comes back to the pool a moment late is replaced.
    assert!(fake.connections() <= 6, "{}", fake.connections());
    let heard = fake.heard();
    assert_eq!(heard.len(), 5 * 3 + 2);
    for head in heard {
        assert!(
            head.starts_with("GET /api/") && head.contains("\r\nhost: traefik.test\r\n"),
            "{head}"
        );
    }
}
