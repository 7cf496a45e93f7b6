//! Traefik's access log: requests of each router and server, how long they took, and how much of that Traefik took itself.

use std::{borrow::Cow, collections::BTreeMap, path::PathBuf};

use exposition::{Desc, Exemplar, Family, Histogram, Kind, Labels, Metric, Native, Value};
use jiff::Timestamp;
use serde::Deserialize;

use crate::follow::{Lines, Log};

const READABLE: Desc = Desc::new(
    "traefik_access_log_readable",
    Kind::Gauge,
    "Whether Traefik's access log can be read.",
);
const LINES: Desc = Desc::new(
    "traefik_access_log_lines_total",
    Kind::Counter,
    "Lines of Traefik's access log: read, no JSON of a request, or too long to be read.",
)
.labels(&["result"]);
const FILES: Desc = Desc::new(
    "traefik_access_log_restarts_total",
    Kind::Counter,
    "How often Traefik's access log began anew: rotated to another file, or truncated.",
)
.labels(&["how"]);
const REQUESTS: Desc = Desc::new(
    "traefik_access_log_requests_total",
    Kind::Counter,
    "Requests of clients, by router; without one they got 404 from Traefik itself.",
)
.labels(&["entry_point", "router", "service", "code"]);
const VERSIONS: Desc = Desc::new(
    "traefik_access_log_version_requests_total",
    Kind::Counter,
    "Requests of clients, by entry point and version of HTTP.",
)
.labels(&["entry_point", "http_version"]);
const DURATION: Desc = Desc::new(
    "traefik_access_log_request_duration_seconds",
    Kind::Histogram,
    "How long requests took, from a client's first byte to the last one back.",
)
.labels(&["entry_point", "router", "service"]);
const OVERHEAD: Desc = Desc::new(
    "traefik_access_log_overhead_seconds",
    Kind::Histogram,
    "How much of that was Traefik's own.",
)
.labels(&["entry_point", "router", "service"]);
const SERVER_REQUESTS: Desc = Desc::new(
    "traefik_access_log_server_requests_total",
    Kind::Counter,
    "Answers of servers; 502 also when there was none.",
)
.labels(&["service", "server", "code"]);
const SERVER_DURATION: Desc = Desc::new(
    "traefik_access_log_server_duration_seconds",
    Kind::Histogram,
    "How long servers took.",
)
.labels(&["service", "server"]);

#[cfg(test)]
pub(crate) const DESCS: &[Desc] = &[
    READABLE,
    LINES,
    FILES,
    REQUESTS,
    VERSIONS,
    DURATION,
    OVERHEAD,
    SERVER_REQUESTS,
    SERVER_DURATION,
];

/// Characters of a name that are shown.
const MAX_NAME: usize = 256;
/// Characters of a trace's id. OpenTelemetry's have 32; a longer one is nobody's.
const MAX_TRACE: usize = 64;
/// Bytes of a time; one of Traefik's has 35 at most.
const MAX_TIME: usize = 40;
/// Where those are counted that are beyond the bound.
const OTHER: &str = "other";

/// How the log is read and shown.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) log: PathBuf,
    /// Where the place is kept over restarts.
    pub(crate) checkpoint: Option<PathBuf>,
    /// Upper bounds of buckets in seconds; none for native histograms.
    pub(crate) buckets: Vec<f64>,
    /// Routers, and servers, that are told apart.
    pub(crate) max: usize,
}

/// What the lines of Traefik's access log come to.
pub(crate) struct Counts {
    buckets: Vec<f64>,
    max: usize,
    /// By entry point, router and service, with a zero between them.
    routes: BTreeMap<String, Route>,
    servers: BTreeMap<String, Server>,
    versions: BTreeMap<String, [u64; VERSION_WORDS.len()]>,
    /// The key that is looked for.
    key: String,
}

const CODES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", OTHER];
const VERSION_WORDS: [&str; 5] = ["1.0", "1.1", "2.0", "3.0", OTHER];

#[derive(Default)]
struct Route {
    codes: [u64; CODES.len()],
    duration: Times,
    overhead: Times,
    /// By bucket of `duration`.
    traced: BTreeMap<i32, Traced>,
}

/// The last request of a bucket that has a trace.
#[derive(Default)]
struct Traced {
    id: String,
    nanoseconds: i64,
    /// When it began, as it stands in the line: most are never shown.
    start: String,
}

#[derive(Default)]
struct Server {
    codes: [u64; CODES.len()],
    duration: Times,
}

/// Observations in buckets.
#[derive(Default)]
struct Times {
    /// Of each bucket alone; the last has what is above all bounds. Empty when they are native.
    classic: Vec<u64>,
    native: BTreeMap<i32, u64>,
    zeros: u64,
    nanoseconds: u128,
    count: u64,
}

/// What is read of a line. Numbers are nanoseconds.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct Line<'a> {
    #[serde(borrow)]
    router_name: Cow<'a, str>,
    #[serde(borrow)]
    service_name: Cow<'a, str>,
    #[serde(borrow, rename = "ServiceURL")]
    service_url: Cow<'a, str>,
    #[serde(borrow, rename = "entryPointName")]
    entry_point: Cow<'a, str>,
    #[serde(borrow)]
    request_protocol: Cow<'a, str>,
    /// There when Traefik traces, also for a request that is not sampled.
    #[serde(borrow)]
    trace_id: Cow<'a, str>,
    #[serde(borrow, rename = "StartUTC")]
    start: Cow<'a, str>,
    downstream_status: u16,
    origin_status: u16,
    duration: Option<i64>,
    origin_duration: i64,
    overhead: i64,
}

impl Setup {
    /// Where the log is, and what counts its lines.
    pub(crate) fn open(self) -> (Log, Counts) {
        let log = Log {
            collector: "access-log",
            path: self.log,
            before_end: 0,
            checkpoint: self.checkpoint,
            readable: &READABLE,
            lines: &LINES,
            restarts: &FILES,
        };
        (log, Counts::new(self.buckets, self.max))
    }
}

impl Counts {
    pub(crate) const fn new(buckets: Vec<f64>, max: usize) -> Self {
        Self {
            buckets,
            max,
            routes: BTreeMap::new(),
            servers: BTreeMap::new(),
            versions: BTreeMap::new(),
            key: String::new(),
        }
    }
}

impl Lines for Counts {
    fn line(&mut self, line: &[u8]) -> bool {
        let Ok(line) = serde_json::from_slice::<Line<'_>>(line) else {
            return false;
        };
        // Every request has one.
        let Some(duration) = line.duration else {
            return false;
        };
        let entry_point = name(&line.entry_point);
        let buckets = &self.buckets;
        let parts = [
            entry_point,
            name(&line.router_name),
            name(&line.service_name),
        ];
        let route = row(&mut self.routes, &mut self.key, &parts, self.max);
        count(&mut route.codes, code(line.downstream_status));
        let bucket = route.duration.observe(duration, buckets);
        if is_trace(&line.trace_id) {
            let traced = route.traced.entry(bucket).or_default();
            traced.take(&line.trace_id, duration, &line.start);
        }
        route.overhead.observe(line.overhead, buckets);
        if !line.service_url.is_empty() {
            let parts = [name(&line.service_name), name(&line.service_url)];
            let server = row(&mut self.servers, &mut self.key, &parts, self.max);
            count(&mut server.codes, code(line.origin_status));
            server.duration.observe(line.origin_duration, buckets);
        }
        let version = match line.request_protocol.as_ref() {
            "HTTP/1.0" => 0,
            "HTTP/1.1" => 1,
            "HTTP/2.0" => 2,
            "HTTP/3.0" => 3,
            _ => 4,
        };
        let versions: &mut [u64; VERSION_WORDS.len()] =
            row(&mut self.versions, &mut self.key, &[entry_point], self.max);
        count(versions, version);
        true
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "counts fit 53 bits for centuries"
    )]
    fn families(&self, out: &mut Vec<Family>) {
        let [
            mut requests,
            mut versions,
            mut duration,
            mut overhead,
            mut of_servers,
            mut server_duration,
        ] = [
            &REQUESTS,
            &VERSIONS,
            &DURATION,
            &OVERHEAD,
            &SERVER_REQUESTS,
            &SERVER_DURATION,
        ]
        .map(Family::of);
        for (key, route) in &self.routes {
            let labels: Vec<_> = key.split('\0').collect();
            codes(&mut requests, &labels, &route.codes);
            let shown = Value::Histogram(Box::new(route.duration.shown(&self.buckets)));
            let mut metric = Metric::new(Labels::of_desc(&DURATION, &labels), shown);
            let exemplars = route.traced.values().filter_map(Traced::exemplar);
            exemplars.for_each(|it| metric.add_exemplar(it));
            duration.metrics.push(metric);
            overhead.push_histogram(&labels, route.overhead.shown(&self.buckets));
        }
        for (key, server) in &self.servers {
            let labels: Vec<_> = key.split('\0').collect();
            codes(&mut of_servers, &labels, &server.codes);
            server_duration.push_histogram(&labels, server.duration.shown(&self.buckets));
        }
        for (entry_point, counts) in &self.versions {
            for (word, count) in VERSION_WORDS.iter().zip(counts).filter(|it| *it.1 > 0) {
                versions.push(&[entry_point, word], *count as f64);
            }
        }
        out.extend([
            requests,
            versions,
            duration,
            overhead,
            of_servers,
            server_duration,
        ]);
    }
}

/// Codes of 2xx and 5xx are there from the first request on, so that the first failure is a step.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts fit 53 bits for centuries"
)]
fn codes(family: &mut Family, labels: &[&str], counts: &[u64; CODES.len()]) {
    for (word, count) in CODES.iter().zip(counts) {
        if *count > 0 || matches!(*word, "2xx" | "5xx") {
            family.push(&[labels, &[word]].concat(), *count as f64);
        }
    }
}

/// The row of these names; those beyond the bound share one.
fn row<'a, T: Default>(
    rows: &'a mut BTreeMap<String, T>,
    key: &mut String,
    parts: &[&str],
    max: usize,
) -> &'a mut T {
    join(key, parts.iter().copied());
    if !rows.contains_key(key.as_str()) && rows.len() >= max {
        join(key, parts.iter().map(|_| OTHER));
    }
    // Looked for twice, so that a name is only copied when it is new.
    if !rows.contains_key(key.as_str()) {
        rows.insert(key.clone(), T::default());
    }
    rows.get_mut(key.as_str())
        .expect("it is there or was put there")
}

fn join<'a>(key: &mut String, parts: impl Iterator<Item = &'a str>) {
    key.clear();
    for (at, part) in parts.enumerate() {
        if at > 0 {
            key.push('\0');
        }
        key.push_str(part);
    }
}

fn count(counts: &mut [u64], at: usize) {
    if let Some(count) = counts.get_mut(at) {
        *count += 1;
    }
}

const fn code(status: u16) -> usize {
    match status / 100 {
        1 => 0,
        2 => 1,
        3 => 2,
        4 => 3,
        5 => 4,
        _ => 5,
    }
}

/// A name that is bounded, and holds no zero.
fn name(text: &str) -> &str {
    let text = text.split('\0').next().unwrap_or_default();
    let end = text
        .char_indices()
        .nth(MAX_NAME)
        .map_or(text.len(), |it| it.0);
    text.get(..end).unwrap_or_default()
}

/// Whether it may be the id of a trace: a client can give Traefik one.
fn is_trace(id: &str) -> bool {
    (1..=MAX_TRACE).contains(&id.len()) && id.bytes().all(|it| it.is_ascii_graphic())
}

impl Traced {
    /// In the memory of the one before.
    fn take(&mut self, id: &str, nanoseconds: i64, start: &str) {
        self.id.clear();
        self.id.push_str(id);
        self.nanoseconds = nanoseconds;
        self.start.clear();
        if start.len() <= MAX_TIME {
            self.start.push_str(start);
        }
    }

    fn exemplar(&self) -> Option<Exemplar> {
        let labels = Labels::new([("trace_id", self.id.clone())]).ok()?;
        let start = self.start.parse::<Timestamp>().ok();
        let took = self.nanoseconds / 1_000_000;
        let end = start.map(|it| it.as_millisecond().saturating_add(took));
        Exemplar::new(labels, seconds(self.nanoseconds), end).ok()
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "nanoseconds of a request, or nearly so"
)]
fn seconds(nanoseconds: i64) -> f64 {
    nanoseconds.max(0) as f64 / 1e9
}

/// Each bucket is 1.09 times as wide as the one before.
const SCHEMA: i8 = 3;
/// Shorter ones are as good as nothing.
const ZERO: f64 = 1e-6;

impl Times {
    /// Gives the bucket that keeps an exemplar: a classic one, or of native ones all that lie between a power of two and the next, as
    /// each of hundreds would be too many.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "logarithms of durations are small numbers"
    )]
    fn observe(&mut self, nanoseconds: i64, buckets: &[f64]) -> i32 {
        let seconds = seconds(nanoseconds);
        self.count += 1;
        self.nanoseconds += u128::from(nanoseconds.max(0).unsigned_abs());
        if buckets.is_empty() {
            if seconds <= ZERO {
                self.zeros += 1;
                return i32::MIN;
            }
            let index = (seconds.log2() * f64::from(1 << SCHEMA)).ceil() as i32;
            *self.native.entry(index).or_default() += 1;
            return (index - 1) >> SCHEMA;
        }
        self.classic.resize(buckets.len() + 1, 0);
        let at = buckets.partition_point(|it| *it < seconds);
        count(&mut self.classic, at);
        i32::try_from(at).unwrap_or(i32::MAX)
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "counts fit 53 bits for centuries"
    )]
    fn shown(&self, buckets: &[f64]) -> Histogram {
        let mut total = 0;
        let cumulative = buckets.iter().zip(&self.classic).map(|(bound, count)| {
            total += count;
            (*bound, total as f64)
        });
        Histogram {
            buckets: cumulative.collect(),
            sum: Some(self.nanoseconds as f64 / 1e9),
            count: self.count as f64,
            native: buckets.is_empty().then(|| Native {
                schema: SCHEMA,
                zero_threshold: ZERO,
                zero_count: self.zeros,
                positive: self.native.iter().map(|it| (*it.0, *it.1)).collect(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use exposition::Format;

    use super::Counts;
    use crate::follow::Lines as _;

    /// As Traefik 3.7 wrote it.
    const LINE: &str = r#"{"ClientAddr":"127.0.0.1:54750","ClientHost":"127.0.0.1","ClientPort":"54750","ClientUsername":"-","DownstreamContentSize":11,"DownstreamStatus":502,"Duration":398451,"OriginContentSize":11,"OriginDuration":248508,"OriginStatus":502,"Overhead":149943,"RequestAddr":"dead.test","RequestContentSize":0,"RequestCount":1,"RequestHost":"dead.test","RequestMethod":"GET","RequestPath":"/","RequestPort":"-","RequestProtocol":"HTTP/1.1","RequestScheme":"http","RetryAttempts":0,"RouterName":"dead@file","ServiceAddr":"127.0.0.1:9","ServiceName":"dead@file","ServiceURL":"http://127.0.0.1:9","StartLocal":"2026-11-26T15:22:18.330748026Z","StartUTC":"2026-11-26T15:22:18.330748026Z","entryPointName":"web","level":"info","msg":"","time":"2026-11-26T15:22:18Z"}"#;

    fn text(counts: &Counts) -> String {
        let mut families = Vec::new();
        counts.families(&mut families);
        String::from_utf8(exposition::write(&families, Format::Text)).unwrap()
    }

    #[test]
    fn a_request() {
        let mut counts = Counts::new(vec![0.0001, 0.0002, 1.0], 10);
        counts.line(LINE.as_bytes());
        counts.line(
            LINE.replace("HTTP/1.1", "HTTP/2.0")
                .replace(":398451", ":2000000000")
                .as_bytes(),
        );
        // Nobody's: no router and no server.
        counts
            .line(br#"{"DownstreamStatus":404,"Duration":5,"entryPointName":"web","Overhead":5}"#);
        for wrong in ["", "{}", "127.0.0.1 - - [x]", "{\"Duration\":\"x\"}", "[1]"] {
            assert!(!counts.line(wrong.as_bytes()));
        }
        let text = text(&counts);
        exposition::parse::text_strict(&text).unwrap();
        for line in [
            "traefik_access_log_requests_total{code=\"5xx\",entry_point=\"web\",router=\"dead@file\",service=\"dead@file\"} 2",
            "traefik_access_log_requests_total{code=\"2xx\",entry_point=\"web\",router=\"dead@file\",service=\"dead@file\"} 0",
            "traefik_access_log_requests_total{code=\"4xx\",entry_point=\"web\",router=\"\",service=\"\"} 1",
            "traefik_access_log_version_requests_total{entry_point=\"web\",http_version=\"2.0\"} 1",
            "traefik_access_log_request_duration_seconds_bucket{entry_point=\"web\",router=\"dead@file\",service=\"dead@file\",le=\"1\"} 1",
            "traefik_access_log_request_duration_seconds_count{entry_point=\"web\",router=\"dead@file\",service=\"dead@file\"} 2",
            "traefik_access_log_request_duration_seconds_sum{entry_point=\"web\",router=\"dead@file\",service=\"dead@file\"} 2.000398451",
            "traefik_access_log_overhead_seconds_bucket{entry_point=\"web\",router=\"dead@file\",service=\"dead@file\",le=\"0.0002\"} 2",
            "traefik_access_log_overhead_seconds_bucket{entry_point=\"web\",router=\"dead@file\",service=\"dead@file\",le=\"0.0001\"} 0",
            "traefik_access_log_server_requests_total{code=\"5xx\",server=\"http://127.0.0.1:9\",service=\"dead@file\"} 2",
            "traefik_access_log_server_duration_seconds_sum{server=\"http://127.0.0.1:9\",service=\"dead@file\"} 0.000497016",
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
        }
    }

    #[test]
    fn native_histograms() {
        let mut counts = Counts::new(Vec::new(), 10);
        counts.line(LINE.replace(":398451", ":1000000000").as_bytes());
        counts.line(LINE.replace(":398451", ":1000000001").as_bytes());
        counts.line(LINE.replace(":398451", ":10").as_bytes());
        let native = counts.routes["web\0dead@file\0dead@file"]
            .duration
            .shown(&[])
            .native
            .unwrap();
        assert_eq!(
            (native.positive, native.zero_count),
            (vec![(0, 1), (1, 1)], 1)
        );
    }

    /// Requests to a good server, a failing one, a dead one and nobody; first without `tracing`, then with it.
    fn recorded() -> Vec<String> {
        let path = testkit::root().join("traefik-exporter/tests/recorded/access.log");
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn traced(id: &str, nanoseconds: u64) -> String {
        recorded()[8]
            .replace("28f5b83f618546eef863b905398012ee", id)
            .replace(":169341", &format!(":{nanoseconds}"))
    }

    fn open_metrics(counts: &Counts) -> String {
        let mut families = Vec::new();
        counts.families(&mut families);
        let text = exposition::write(&exposition::gather(families).0, Format::OpenMetrics);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn golden() {
        let mut counts = Counts::new(vec![0.005, 0.01, 0.025, 0.05], 10);
        assert!(recorded().iter().all(|it| counts.line(it.as_bytes())));
        let text = open_metrics(&counts);
        exposition::parse::open_metrics(&text).unwrap();
        testkit::golden::check("traefik-exporter/tests/golden/access-log.txt", &text);
    }

    /// What OpenMetrics says after the buckets of the durations.
    fn exemplars(counts: &Counts) -> Vec<String> {
        let text = open_metrics(counts);
        let found = text.lines().filter_map(|it| it.split_once(" # "));
        found
            .map(|(series, exemplar)| {
                assert!(series.starts_with("traefik_access_log_request_duration_seconds_bucket{"));
                let bound = series.split("le=\"").nth(1).unwrap().split('"').next();
                format!("{} {exemplar}", bound.unwrap())
            })
            .collect()
    }

    #[test]
    fn exemplars_of_buckets() {
        let mut counts = Counts::new(vec![0.001, 0.5, 1.0], 10);
        counts.line(LINE.as_bytes());
        assert!(exemplars(&counts).is_empty());
        counts.line(traced("short", 348_115).as_bytes());
        counts.line(traced("first", 700_000_000).as_bytes());
        counts.line(traced("last", 600_000_000).as_bytes());
        counts.line(traced("beyond", 60_000_000_000).as_bytes());
        let no_time = traced("untimed", 400_000_000).replace("StartUTC", "Start");
        counts.line(no_time.as_bytes());
        // Without a trace, or with what is none.
        for id in ["", "a b", "é", "\\n", &"x".repeat(65)] {
            counts.line(traced(id, 650_000_000).as_bytes());
        }
        let expect = [
            "0.001 {trace_id=\"short\"} 0.000348115 1795716576.087",
            "0.5 {trace_id=\"untimed\"} 0.4",
            "1.0 {trace_id=\"last\"} 0.6 1795716576.687",
            "+Inf {trace_id=\"beyond\"} 60.0 1795716636.087",
        ];
        assert_eq!(exemplars(&counts), expect);
        assert!(!text(&counts).contains(" # "));
    }

    #[test]
    fn exemplars_of_native_histograms() {
        let mut counts = Counts::new(Vec::new(), 10);
        for (id, nanoseconds) in [
            ("zero", 10),
            ("half", 500_000_000),
            ("more", 500_000_001),
            ("one", 1_000_000_000),
            ("longest", u64::MAX / 2),
        ] {
            counts.line(traced(id, nanoseconds).as_bytes());
        }
        let traced = &counts.routes["web\0dead@file\0dead@file"].traced;
        let ids: Vec<_> = traced.iter().map(|it| (*it.0, it.1.id.as_str())).collect();
        let expect = [
            (i32::MIN, "zero"),
            (-2, "half"),
            (-1, "one"),
            (33, "longest"),
        ];
        assert_eq!(ids, expect);
        assert_eq!(exemplars(&counts).len(), 1, "OpenMetrics has +Inf alone");
    }

    #[test]
    fn names_are_bounded() {
        let mut counts = Counts::new(vec![1.0], 10);
        for at in 0..100 {
            let line = LINE.replace("dead@file", &format!("r{at}{}", "é".repeat(1000)));
            counts.line(
                line.replace("127.0.0.1:9\"", &format!("s{at}\""))
                    .as_bytes(),
            );
        }
        assert_eq!((counts.routes.len(), counts.servers.len()), (11, 11));
        assert_eq!(counts.routes["other\0other\0other"].codes[4], 90);
        assert!(text(&counts).lines().all(|it| it.chars().count() < 1000));
    }
}
