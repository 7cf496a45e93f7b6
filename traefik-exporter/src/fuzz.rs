//! What fuzz targets call: the parsers of what Traefik answers and writes, none of which may panic.

use std::sync::Arc;

use exposition::Format;

use crate::{
    access,
    api::rawdata,
    files,
    follow::Lines,
    passthrough::{Rewrite, Rules},
    probe, rule, watch,
};

/// The large answer of the API, once and again, or a gRPC server's about its health.
pub fn answer(text: &[u8]) {
    if let Ok(data) = rawdata::read(text, 3) {
        let (digest, count) = (data.http.services.digest, data.http.services.all.len());
        let again = rawdata::read_again(text, 3, text, data).expect("it was read before");
        let services = again.http.services;
        assert_eq!((services.digest, services.all.len()), (digest, count));
    }
    let _health = probe::answer(text);
}

/// A router's rule.
pub fn hosts(text: &str) {
    assert!(rule::hosts(text, 3).len() <= 3);
    let hosts = rule::hosts(text, usize::MAX);
    // What is literal is among what is named.
    for literal in rule::literal::literals(text) {
        assert!(
            literal.host.is_none_or(|it| hosts.contains(&it)),
            "{text:?}"
        );
    }
}

/// Lines of a log, of either kind. What is shown of requests is well-formed.
pub fn lines(text: &[u8]) {
    let mut messages = watch::Counts::new();
    let mut classic = access::Counts::new(vec![0.001, 1.0], 3);
    let mut native = access::Counts::new(Vec::new(), 3);
    for line in text.split(|it| *it == b'\n') {
        messages.line(line);
        classic.line(line);
        native.line(line);
    }
    let all: [&dyn Lines; 3] = [&messages, &classic, &native];
    for lines in all {
        let mut families = Vec::new();
        lines.families(&mut families);
        let (families, conflicts) = exposition::gather(families);
        assert_eq!(conflicts, []);
        let text = exposition::write(&families, Format::OpenMetrics);
        let text = String::from_utf8(text).expect("the writer writes UTF-8");
        exposition::parse::open_metrics(&text).expect("what was written can be read");
    }
}

/// A file of the dynamic configuration, in either language.
pub fn dynamic(text: &str) {
    for read in [files::yaml, files::toml] {
        drop(read(text).map(files::Dynamic::names));
    }
}

/// Metrics of Traefik's, in two pieces and in one.
pub fn metrics(text: &[u8]) {
    let changed = Rules {
        drop: vec!["method".to_owned()],
        code_classes: true,
        max_series: 100,
        ..Rules::default()
    };
    let unchanged = Rules {
        max_series: 100,
        ..Rules::default()
    };
    let known = Arc::new(vec![("a@file".to_owned(), "s@file".to_owned())]);
    for rules in [changed, unchanged] {
        let by = |pieces: &[&[u8]]| {
            let mut rewrite = Rewrite::new(&rules, Arc::clone(&known));
            let mut out = Vec::new();
            pieces.iter().for_each(|it| rewrite.feed(it, &mut out));
            let is_whole = rewrite.end(&mut out);
            (out, is_whole)
        };
        let (a, b) = text.split_at(text.len() / 2);
        assert_eq!(by(&[a, b]), by(&[text]));
    }
}

#[cfg(test)]
mod tests {
    /// Seeds with bytes changed, left out, doubled and cut off, by numbers that are the same with each run.
    #[test]
    fn nothing_panics() {
        let root = testkit::root().join("traefik-exporter/tests/recorded");
        let rawdata = std::fs::read(root.join("3.7.15/rawdata.json")).unwrap();
        let seeds: &[&[u8]] = &[
            &rawdata[..1500],
            b"{\"services\":{\"a@f\":{\"loadBalancer\":{\"servers\":[{\"url\":\"u\"}],\"healthCheck\":{}},\"serverStatus\":{\"u\":\"UP\"}}}}",
            b"!(Host(`a`, \"b\") || HostSNI(`*`)) && Host(`c`)",
            b"(Host(`a.b`) || Host(`c`)) && PathPrefix(`/x`) && Method(`GET`)",
            b"2026-11-26T15:22:36Z ERR Error occurred error=\"a.yml: \\\"x\\\"\" providerName=file",
            b"time=\"2026-11-26T15:22:36Z\" level=error msg=\"a \\\"b\\\"\" providerName=file",
            b"{\"level\":\"error\",\"providerName\":\"file\",\"message\":\"m\",\"Duration\":7,\"RouterName\":\"r\",\"ServiceURL\":\"u\"}",
            b"http: {routers: {a: {rule: x}, 'b c': {}}}\ntcp:\n  services: {s: {}}\n",
            b"[http.routers.a]\nrule = 'x'\n[tcp.services.'b c']\nn = [1, 2.5, 1979-05-27]\n",
            b"# HELP a A.\n# TYPE a counter\na{code=\"200\",method=\"GET\"} 1\na{code=\"404\",method=\"\\\"}\"} 2\nb 3\n",
        ];
        let mut state = 7_u64;
        let mut next = |below: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            usize::try_from(state >> 33).unwrap() % below.max(1)
        };
        for _ in 0..1_000 {
            for seed in seeds {
                let mut text = seed.to_vec();
                for _ in 0..=next(4) {
                    let at = next(text.len());
                    match next(4) {
                        0 => text[at] = u8::try_from(next(256)).unwrap(),
                        1 => drop(text.drain(at..(at + next(8)).min(text.len()))),
                        2 => text.truncate(at.max(1)),
                        _ => text.insert(at, b"\"{}[],:=`\\\n \x1b"[next(13)]),
                    }
                    if text.is_empty() {
                        text.push(b'{');
                    }
                }
                super::answer(&text);
                super::lines(&text);
                super::metrics(&text);
                let text = String::from_utf8_lossy(&text);
                super::hosts(&text);
                super::dynamic(&text);
            }
        }
    }
}
