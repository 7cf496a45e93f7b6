//! The text of Traefik's metrics, line by line: what is filtered is left out, labels that are dropped are summed over, and no more than one
//! family is in memory, and of that no more than the bound.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use regex::bytes::Regex;

/// What is done to the text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    /// Families that are passed, and those that are not.
    pub(crate) include: Option<Regex>,
    pub(crate) exclude: Option<Regex>,
    /// Values that a label must have where there is one.
    pub(crate) only: Vec<(String, Regex)>,
    pub(crate) drop: Vec<String>,
    /// Codes by their first digit.
    pub(crate) code_classes: bool,
    /// Series that are passed, at most.
    pub(crate) max_series: usize,
}

impl Rules {
    fn lets(&self, family: &[u8]) -> bool {
        self.include.as_ref().is_none_or(|it| it.is_match(family))
            && !self.exclude.as_ref().is_some_and(|it| it.is_match(family))
    }

    fn changes_labels(&self) -> bool {
        self.code_classes || !self.drop.is_empty()
    }
}

/// A router and its service, by the names of native labels.
pub(crate) type Known = Arc<Vec<(String, String)>>;

/// What became of samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) filtered: u64,
    /// Added to another.
    pub(crate) merged: u64,
    /// Left out, as there are more than the bound.
    pub(crate) overflow: u64,
    /// Lines that are no samples, or too long.
    pub(crate) wrong: u64,
}

/// One answer while it passes.
pub(crate) struct Rewrite<'a> {
    rules: &'a Rules,
    known: Known,
    partial: Vec<u8>,
    is_skipping: bool,
    family: Vec<u8>,
    lets: bool,
    adds: bool,
    /// Of the family: text before the value, with the place in `values`, which is in the order in which they came: buckets must rise.
    sums: BTreeMap<Vec<u8>, usize>,
    values: Vec<f64>,
    routers: BTreeSet<Vec<u8>>,
    has_routers: bool,
    pub(crate) counts: Counts,
}

/// The family that known routers are in from the start.
const ROUTERS: &[u8] = b"traefik_router_requests_total";
/// Longer lines are left out.
const MAX_LINE: usize = 64 << 10;

impl<'a> Rewrite<'a> {
    pub(crate) fn new(rules: &'a Rules, known: Known) -> Self {
        Self {
            rules,
            known,
            partial: Vec::new(),
            is_skipping: false,
            family: Vec::new(),
            lets: true,
            adds: true,
            sums: BTreeMap::new(),
            values: Vec::new(),
            routers: BTreeSet::new(),
            has_routers: false,
            counts: Counts::default(),
        }
    }

    /// Takes a piece of the text, and appends what is passed.
    pub(crate) fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let mut rest = piece;
        while let Some(end) = rest.iter().position(|it| *it == b'\n') {
            let (line, tail) = rest.split_at(end);
            rest = tail.get(1..).unwrap_or_default();
            if std::mem::take(&mut self.is_skipping) {
                continue;
            }
            if self.partial.is_empty() {
                self.line(line, out);
            } else {
                let mut whole = std::mem::take(&mut self.partial);
                whole.extend_from_slice(line);
                self.line(&whole, out);
                // Its memory is used again.
                whole.clear();
                self.partial = whole;
            }
        }
        if self.partial.len() + rest.len() > MAX_LINE {
            self.counts.wrong += u64::from(!self.is_skipping);
            self.is_skipping = true;
            self.partial.clear();
        } else if !self.is_skipping {
            self.partial.extend_from_slice(rest);
        }
    }

    /// After the last piece. False when the text ended in the middle of a line.
    pub(crate) fn end(&mut self, out: &mut Vec<u8>) -> bool {
        self.flush(out);
        if !self.has_routers && !self.known.is_empty() && self.rules.lets(ROUTERS) {
            out.extend_from_slice(b"# TYPE traefik_router_requests_total counter\n");
            self.zeros(out);
        }
        self.partial.is_empty() && !self.is_skipping
    }

    fn line(&mut self, line: &[u8], out: &mut Vec<u8>) {
        if let Some(comment) = line.strip_prefix(b"# ") {
            return self.comment(comment, line, out);
        }
        if line.is_empty() || line.starts_with(b"#") {
            return;
        }
        if !self.lets {
            self.counts.filtered += 1;
            return;
        }
        let Some(sample) = Sample::parse(line) else {
            self.counts.wrong += 1;
            return;
        };
        if self.family == ROUTERS && !self.known.is_empty() {
            let router = sample.labels().find(|it| it.0 == b"router");
            self.routers.extend(router.map(|it| it.1.to_vec()));
        }
        let is_wrong = |(name, value): (&[u8], &[u8])| {
            let mut only = self.rules.only.iter().filter(|it| it.0.as_bytes() == name);
            only.any(|it| !it.1.is_match(value))
        };
        if !self.rules.only.is_empty() && sample.labels().any(is_wrong) {
            self.counts.filtered += 1;
            return;
        }
        if self.rules.changes_labels() && self.changed(&sample) {
            return;
        }
        if self.has_room() {
            self.counts.passed += 1;
            out.extend_from_slice(line);
            out.push(b'\n');
        }
    }

    fn has_room(&mut self) -> bool {
        let has = self.counts.passed < self.rules.max_series as u64;
        self.counts.overflow += u64::from(!has);
        has
    }

    fn comment(&mut self, comment: &[u8], line: &[u8], out: &mut Vec<u8>) {
        let mut words = comment.splitn(3, |it| *it == b' ');
        let (Some(kind), Some(name), rest) = (words.next(), words.next(), words.next()) else {
            return;
        };
        if !matches!(kind, b"HELP" | b"TYPE") {
            return;
        }
        if self.family != name {
            self.flush(out);
            self.family = name.to_vec();
            self.lets = self.rules.lets(name);
            // The sum of two times is none, and a failure is not mended by another's success.
            self.adds = ![&b"_not_after"[..], b"_seconds", b"_success"]
                .iter()
                .any(|it| name.ends_with(it));
        }
        if kind == b"TYPE" && rest.is_some_and(|it| it != b"gauge") {
            self.adds = true;
        }
        if self.lets {
            out.extend_from_slice(line);
            out.push(b'\n');
        }
    }

    /// Adds a sample whose labels change to those of the family; false when none of its labels does.
    fn changed(&mut self, sample: &Sample<'_>) -> bool {
        let mut key = sample.name.to_vec();
        let mut separator = b'{';
        for (name, value) in sample.labels() {
            if self.rules.drop.iter().any(|it| it.as_bytes() == name) {
                continue;
            }
            key.push(separator);
            separator = b',';
            key.extend_from_slice(name);
            key.extend_from_slice(b"=\"");
            key.extend_from_slice(class(self.rules.code_classes && name == b"code", value));
            key.push(b'"');
        }
        if separator == b',' {
            key.push(b'}');
        }
        let text = std::str::from_utf8(sample.value).ok();
        let Some(value) = text.and_then(|it| it.parse::<f64>().ok()) else {
            return false;
        };
        let place = self.sums.get(&key);
        if let Some(sum) = place.and_then(|at| self.values.get_mut(*at)) {
            *sum = if self.adds {
                *sum + value
            } else {
                sum.min(value)
            };
            self.counts.merged += 1;
        } else if self.has_room() {
            self.counts.passed += 1;
            self.sums.insert(key, self.values.len());
            self.values.push(value);
        }
        true
    }

    /// Writes what the family came to.
    fn flush(&mut self, out: &mut Vec<u8>) {
        let mut sums: Vec<_> = std::mem::take(&mut self.sums).into_iter().collect();
        sums.sort_unstable_by_key(|it| it.1);
        for ((key, _), value) in sums.into_iter().zip(self.values.drain(..)) {
            out.extend_from_slice(&key);
            out.push(b' ');
            exposition::go_float(out, value);
            out.push(b'\n');
        }
        if self.family == ROUTERS && self.lets {
            self.has_routers = true;
            self.zeros(out);
        }
        self.family.clear();
    }

    /// Known routers that nobody has asked yet.
    fn zeros(&mut self, out: &mut Vec<u8>) {
        let known = Arc::clone(&self.known);
        for (router, service) in known.iter() {
            let (router, service) = (escaped(router), escaped(service));
            if self.routers.contains(router.as_bytes()) {
                continue;
            }
            let code = if self.rules.code_classes {
                "2xx"
            } else {
                "200"
            };
            let labels = [
                ("code", code),
                ("method", "GET"),
                ("protocol", "http"),
                ("router", &router),
                ("service", &service),
            ];
            let mut shown = labels
                .iter()
                .filter(|it| !self.rules.drop.iter().any(|name| name == it.0));
            let is_wrong = |(name, value): &(&str, &str)| {
                let mut only = self.rules.only.iter().filter(|it| it.0 == *name);
                only.any(|it| !it.1.is_match(value.as_bytes()))
            };
            // Without the router there is nothing to tell it from others.
            if self.rules.drop.iter().any(|it| it == "router") || labels.iter().any(is_wrong) {
                continue;
            }
            if !self.has_room() {
                continue;
            }
            self.counts.passed += 1;
            out.extend_from_slice(ROUTERS);
            if let Some((name, value)) = shown.next() {
                out.extend_from_slice(format!("{{{name}=\"{value}\"").as_bytes());
            }
            for (name, value) in shown {
                out.extend_from_slice(format!(",{name}=\"{value}\"").as_bytes());
            }
            out.extend_from_slice(b"} 0\n");
        }
        self.routers.clear();
    }
}

/// `404` to `4xx`, when it is one.
fn class(is_code: bool, value: &[u8]) -> &[u8] {
    match value {
        [first, second, third] if is_code && second.is_ascii_digit() && third.is_ascii_digit() => {
            match first {
                b'1' => b"1xx",
                b'2' => b"2xx",
                b'3' => b"3xx",
                b'4' => b"4xx",
                b'5' => b"5xx",
                _ => value,
            }
        }
        _ => value,
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// A line in its parts; values of labels as they are written.
struct Sample<'a> {
    name: &'a [u8],
    labels: &'a [u8],
    value: &'a [u8],
}

impl<'a> Sample<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        let end = line.iter().position(|it| matches!(it, b'{' | b' '))?;
        let (name, rest) = line.split_at(end);
        let (labels, value) = match rest.strip_prefix(b"{") {
            Some(inside) => {
                let end = closing(inside)?;
                (inside.get(..end)?, inside.get(end + 1..)?)
            }
            None => (&b""[..], rest),
        };
        let value = value.strip_prefix(b" ")?;
        let is_good = !name.is_empty() && !value.is_empty();
        is_good.then_some(Self {
            name,
            labels,
            value,
        })
    }

    fn labels(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut rest = self.labels;
        std::iter::from_fn(move || {
            let equals = rest.iter().position(|it| *it == b'=')?;
            let (name, tail) = rest.split_at(equals);
            let quoted = tail.strip_prefix(b"=\"")?;
            let end = quote(quoted)?;
            let (value, tail) = quoted.split_at(end);
            let tail = tail.get(1..).unwrap_or_default();
            rest = tail.strip_prefix(b",").unwrap_or(tail);
            Some((name, value))
        })
    }
}

/// Where the quote ends.
fn quote(text: &[u8]) -> Option<usize> {
    let mut is_escaped = false;
    text.iter().position(|it| {
        let ends = *it == b'"' && !is_escaped;
        is_escaped = *it == b'\\' && !is_escaped;
        ends
    })
}

/// Where the brace outside of quotes is.
fn closing(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = text.get(at..)?;
        let next = rest.iter().position(|it| matches!(it, b'"' | b'}'))?;
        if rest.get(next) == Some(&b'}') {
            return Some(at + next);
        }
        at += next + 1;
        at += quote(text.get(at..)?)? + 1;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Counts, Known, Rewrite, Rules};

    const TEXT: &str = "# HELP go_threads T.
# TYPE go_threads gauge
go_threads 7
# HELP traefik_router_requests_total R.
# TYPE traefik_router_requests_total counter
traefik_router_requests_total{code=\"200\",method=\"GET\",protocol=\"http\",router=\"a@file\",service=\"s@file\"} 3
traefik_router_requests_total{code=\"201\",method=\"GET\",protocol=\"http\",router=\"a@file\",service=\"s@file\"} 2
traefik_router_requests_total{code=\"404\",method=\"PUT\",protocol=\"http\",router=\"b}\\\"@file\",service=\"s@file\"} 1.5
# HELP traefik_tls_certs_not_after N.
# TYPE traefik_tls_certs_not_after gauge
traefik_tls_certs_not_after{cn=\"a\",serial=\"1\"} 5
traefik_tls_certs_not_after{cn=\"a\",serial=\"2\"} 3
";

    fn rules() -> Rules {
        Rules {
            max_series: 1000,
            ..Rules::default()
        }
    }

    /// In one piece and in pieces of every size.
    fn rewrite(rules: &Rules, known: &[(&str, &str)], text: &str) -> (String, Counts) {
        let known: Vec<_> = known
            .iter()
            .map(|it| (it.0.to_owned(), it.1.to_owned()))
            .collect();
        let known: Known = Arc::new(known);
        let by = |size: usize| {
            let mut rewrite = Rewrite::new(rules, Arc::clone(&known));
            let mut out = Vec::new();
            text.as_bytes()
                .chunks(size)
                .for_each(|it| rewrite.feed(it, &mut out));
            assert!(rewrite.end(&mut out));
            (String::from_utf8(out).unwrap(), rewrite.counts)
        };
        let whole = by(text.len().max(1));
        for size in [1, 2, 7, 64] {
            assert_eq!(by(size), whole);
        }
        exposition::parse::text_strict(&whole.0).unwrap();
        whole
    }

    fn regex(text: &str) -> regex::bytes::Regex {
        regex::bytes::Regex::new(&format!("^(?:{text})$")).unwrap()
    }

    #[test]
    fn nothing_is_changed() {
        let (text, counts) = rewrite(&rules(), &[], TEXT);
        assert_eq!(text, TEXT);
        assert_eq!(
            counts,
            Counts {
                passed: 6,
                ..Counts::default()
            }
        );
    }

    #[test]
    fn filters() {
        let rules = Rules {
            include: Some(regex("traefik_.*")),
            exclude: Some(regex(".*not_after")),
            only: vec![("method".to_owned(), regex("GET"))],
            ..rules()
        };
        let (text, counts) = rewrite(&rules, &[], TEXT);
        assert_eq!(
            text.lines().filter(|it| !it.starts_with('#')).count(),
            2,
            "{text}"
        );
        assert!(!text.contains("go_") && !text.contains("PUT") && !text.contains("certs"));
        assert_eq!((counts.passed, counts.filtered), (2, 4));
    }

    #[test]
    fn labels_are_summed_over() {
        let rules = Rules {
            drop: vec![
                "method".to_owned(),
                "serial".to_owned(),
                "service".to_owned(),
            ],
            code_classes: true,
            ..rules()
        };
        let (text, counts) = rewrite(&rules, &[], TEXT);
        for line in [
            "go_threads 7\n",
            "traefik_router_requests_total{code=\"2xx\",protocol=\"http\",router=\"a@file\"} 5\n",
            "traefik_router_requests_total{code=\"4xx\",protocol=\"http\",router=\"b}\\\"@file\"} 1.5\n",
            // The first to end.
            "traefik_tls_certs_not_after{cn=\"a\"} 3\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
        assert_eq!(
            counts,
            Counts {
                passed: 4,
                merged: 2,
                ..Counts::default()
            }
        );
    }

    #[test]
    fn buckets_stay_in_their_order() {
        let rules = Rules {
            drop: vec!["method".to_owned()],
            ..rules()
        };
        let mut all = String::from("# TYPE h histogram\n");
        for method in ["GET", "PUT"] {
            for bound in ["0.5", "5", "10", "+Inf"] {
                all.push_str(&format!(
                    "h_bucket{{method=\"{method}\",le=\"{bound}\"}} 1\n"
                ));
            }
            all.push_str(&format!(
                "h_sum{{method=\"{method}\"}} 0.25\nh_count{{method=\"{method}\"}} 1\n"
            ));
        }
        let (text, _) = rewrite(&rules, &[], &all);
        assert_eq!(
            text,
            "# TYPE h histogram\nh_bucket{le=\"0.5\"} 2\nh_bucket{le=\"5\"} 2\nh_bucket{le=\"10\"} 2\nh_bucket{le=\"+Inf\"} 2\nh_sum 0.5\nh_count 2\n"
        );
    }

    #[test]
    fn known_routers_are_zero() {
        let known = [("a@file", "s@file"), ("new@file", "s@file")];
        let zero = "traefik_router_requests_total{code=\"200\",method=\"GET\",protocol=\"http\",router=\"new@file\",service=\"s@file\"} 0\n";
        let (text, _) = rewrite(&rules(), &known, TEXT);
        assert!(text.contains(zero), "{text}");
        assert_eq!(text.matches(" 0\n").count(), 1);
        // Nobody has asked anything.
        let (text, _) = rewrite(&rules(), &known, "go_threads 7\n");
        assert!(
            text.contains("# TYPE traefik_router_requests_total counter\n") && text.contains(zero)
        );
        let dropped = Rules {
            drop: vec!["method".to_owned()],
            code_classes: true,
            only: vec![("router".to_owned(), regex("new.*"))],
            ..rules()
        };
        let (text, _) = rewrite(&dropped, &known, "");
        assert!(text.ends_with("counter\ntraefik_router_requests_total{code=\"2xx\",protocol=\"http\",router=\"new@file\",service=\"s@file\"} 0\n"), "{text}");
    }

    #[test]
    fn bounds() {
        for drop in [vec![], vec!["x".to_owned()]] {
            let rules = Rules {
                max_series: 10,
                drop,
                ..rules()
            };
            let many: String = (0..1000).map(|it| format!("m{{a=\"{it}\"}} 1\n")).collect();
            let (text, counts) = rewrite(&rules, &[], &many);
            assert_eq!((text.lines().count(), counts.overflow), (10, 990));
        }
        let rules = rules();
        let mut rewrite = Rewrite::new(&rules, Known::default());
        let mut out = Vec::new();
        for _ in 0..100 {
            rewrite.feed(&[b'x'; 10_000], &mut out);
            assert!(rewrite.partial.len() <= super::MAX_LINE);
        }
        rewrite.feed(b"\nm 1\nm", &mut out);
        assert_eq!(out, b"m 1\n");
        assert_eq!(rewrite.counts.wrong, 1);
        assert!(!rewrite.end(&mut out), "it ended in the middle");
    }

    #[test]
    fn wrong_lines() {
        let (text, counts) = rewrite(
            &rules(),
            &[],
            "m{a=\"b} 1\nm{a=\"b\" 1\n{} 1\nm\nm{}\n 1\n\n#x\n# a\nm{a=\"\\\"\"} 1\n",
        );
        assert_eq!(text, "m{a=\"\\\"\"} 1\n");
        assert_eq!(counts.wrong, 6);
    }
}
