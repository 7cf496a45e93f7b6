//! What fuzz targets call: the parsers of what Traefik answers and writes, none of which may panic.

use std::sync::Arc;

use crate::{
    access,
    api::rawdata,
    passthrough::{Rewrite, Rules},
    rule, watch,
};

/// The large answer of the API, once and again.
pub fn answer(text: &[u8]) {
    if let Ok(data) = rawdata::read(text, 3) {
        let (digest, count) = (data.http.services.digest, data.http.services.all.len());
        let again = rawdata::read_again(text, 3, text, data).expect("it was read before");
        let services = again.http.services;
        assert_eq!((services.digest, services.all.len()), (digest, count));
    }
}

/// A router's rule.
pub fn hosts(text: &str) {
    assert!(rule::hosts(text, 3).len() <= 3);
}

/// A line of a log, of either kind.
pub fn line(text: &[u8]) {
    drop(watch::Message::parse(text));
    access::Counts::new(vec![1.0], 3).line(text);
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
            b"2026-11-26T15:22:36Z ERR Error occurred error=\"a.yml: \\\"x\\\"\" providerName=file",
            b"time=\"2026-11-26T15:22:36Z\" level=error msg=\"a \\\"b\\\"\" providerName=file",
            b"{\"level\":\"error\",\"providerName\":\"file\",\"message\":\"m\",\"Duration\":7,\"RouterName\":\"r\",\"ServiceURL\":\"u\"}",
            b"# HELP a A.\n# TYPE a counter\na{code=\"200\",method=\"GET\"} 1\na{code=\"404\",method=\"\\\"}\"} 2\nb 3\n",
        ];
        let mut state = 7_u64;
        let mut next = |below: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            usize::try_from(state >> 33).unwrap() % below.max(1)
        };
        for _ in 0..10_000 {
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
                super::line(&text);
                super::metrics(&text);
                super::hosts(&String::from_utf8_lossy(&text));
            }
        }
    }
}
