//! traefik-exporter beside Traefik 3.7.15 itself, with 1,000 and with 5,000 routers: what a scrape costs, against one bare GET of what it is
//! made of; Traefik's own metrics passed on; its access log counted.

mod network;
mod upstream;

use std::{
    error::Error,
    fs,
    io::{self, Write as _},
    path::Path,
    time::{Duration, Instant},
};

use self::network::{Network, RAWDATA};
use crate::{
    connection::Connection,
    page::{Row, Value, machine, table},
    server::Server,
    statistics::{mean, quantile},
};

const VERSION: &str = "3.7.15";
/// Scrapes whose answer of Traefik is not the one before; and as many whose answer is.
const ROUNDS: usize = 250;
/// Scrapes with gzip.
const GZIPPED: usize = 50;
/// Not counted.
const WARM_UP: usize = 20;
/// Traefik's own metrics through us.
const PASSES: usize = 30;
/// Lines of the access log.
const LINES: usize = 400_000;
/// For all of them to be counted.
const PATIENCE: Duration = Duration::from_secs(120);

/// A size of network, and what must hold of it.
struct Size {
    routers: usize,
    cpu: &'static str,
    memory: &'static str,
}

const SIZES: [Size; 2] = [
    Size {
        routers: 1_000,
        cpu: "≤ 15 ms and ≤ 1.3",
        memory: "≤ 20 MB",
    },
    Size {
        routers: 5_000,
        cpu: "≤ 60 ms and ≤ 1.3",
        memory: "≤ 40 MB",
    },
];

/// What calls of one kind cost.
#[derive(Default)]
struct Calls {
    wall: Vec<f64>,
    /// Processor seconds of the exporter.
    own: Vec<f64>,
    /// Of Traefik.
    traefik: Vec<f64>,
    bytes: usize,
}

/// Measures everything; gives the section's text.
pub(crate) fn measure(folder: &Path) -> Result<String, Box<dyn Error>> {
    let exporter = folder.join("traefik-exporter");
    let mut tables = String::new();
    let mut counted = String::new();
    for size in &SIZES {
        say(&format!("Traefik with {} routers", size.routers));
        let here = tempfile::Builder::new()
            .prefix("bench-")
            .tempdir_in(folder)?;
        let network = Network::start(here.path(), VERSION, size.routers)?;
        let mut rows = scrapes(&network, &exporter, size)?;
        say("one request for each router");
        network.ask_all()?;
        rows.extend(passes(&network, &exporter)?);
        tables.push_str(&format!(
            "### {} routers\n\n{}\n",
            grouped(size.routers),
            table("traefik-exporter", "Traefik, a bare GET", &rows)
        ));
        if counted.is_empty() {
            say("the access log");
            let rows = access_log(&network, &exporter, here.path())?;
            counted = table("traefik-exporter", "–", &rows);
        }
    }
    Ok(format!(
        "A real Traefik {VERSION} on the configuration of `packaging/traefik`, with a router and a service for each of so many hosts by the\n\
         file provider, and its exporter, in one run. A bare GET is one of `/api/rawdata` over a kept connection, whose body is read and\n\
         thrown away; so is the exporter's page. {ROUNDS} scrapes of each kind, in turn with as many bare GETs, after {WARM_UP} that do not count.\n\
         *Changing*: before each scrape a server behind Traefik's health check changed its mind, so that the answer is another one and is read\n\
         anew; the bars are for these. *Unchanged*: the answer is byte for byte the one before, as it is nearly always, and what was made of it\n\
         is shown again. A wall is the median until the last byte; CPU is the mean of user and system time by the processes' clocks, of Traefik\n\
         too, whose garbage is in it; memory `VmRSS`. MB are 1,000,000 bytes.\n\n\
         The pass-through is measured with one request for each router behind it, {PASSES} times, by the exporter's processor time for Traefik's\n\
         text; beside it stands Traefik's own for writing that text. *Less*: `--passthrough.labels.drop=method,protocol --passthrough.code-classes\n\
         --passthrough.metrics.exclude=go_.*`.\n\n{}\n\n{tables}### Access log\n\n\
         {} lines that Traefik wrote, of 1,000 routers and 765 bytes or so each, appended while the exporter follows.\n\n{counted}\n{NOTES}",
        machine()?,
        grouped(LINES),
    ))
}

/// What the figures mean.
const NOTES: &str = include_str!("traefik_exporter/notes.md");

/// Scrapes of the status, with an answer that changes and with one that does not; then the memory.
fn scrapes(network: &Network, exporter: &Path, size: &Size) -> io::Result<Vec<Row>> {
    let server = Server::start(exporter, &[network.url()])?;
    let mut client = Connection::open(server.address())?;
    let mut bare = Connection::open(network.api())?;
    for _ in 0..WARM_UP {
        client.discard("/metrics")?;
        bare.discard(RAWDATA)?;
    }
    let [mut changing, mut unchanged] = [(); 2].map(|()| (Calls::default(), Calls::default()));
    for (does_change, (ours, theirs)) in [(true, &mut changing), (false, &mut unchanged)] {
        for round in 0..ROUNDS {
            if does_change {
                network.change()?;
            }
            // Who comes second may find caches warm.
            for is_ours in [round % 2 == 0, round % 2 != 0] {
                if is_ours {
                    ours.take(network, Some(&server), &mut client, "/metrics")?;
                } else {
                    theirs.take(network, None, &mut bare, RAWDATA)?;
                }
            }
        }
    }
    client.get("/metrics", false)?;
    let page = String::from_utf8_lossy(client.body()).into_owned();
    if !page.contains("\ntraefik_scrape_complete 1\n") {
        return Err(io::Error::other("a scrape is not complete"));
    }
    let memory = server.memory()?;
    let before = server.cpu()?;
    for _ in 0..GZIPPED {
        client.get("/metrics", true)?;
    }
    let gzipped = (server.cpu()? - before) / count(GZIPPED);
    let row = |what, bar, ours: f64, theirs: f64| Row {
        what,
        bar,
        values: [Value::Number(ours), Value::Number(theirs)],
    };
    let one = |what, bar, ours: f64| Row {
        what,
        bar,
        values: [Value::Number(ours), Value::Nothing],
    };
    let wall = |it: &Calls| quantile(&it.wall, 0.5) * 1e3;
    let ms = |it: &[f64]| mean(it) * 1e3;
    let (ours, theirs) = &changing;
    let (same, same_theirs) = &unchanged;
    let series = page.lines().filter(|it| !it.starts_with('#')).count();
    Ok(vec![
        row("changing, wall (ms)", "≤ 1.5", wall(ours), wall(theirs)),
        row(
            "changing, CPU of the exporter; of Traefik (ms)",
            size.cpu,
            ms(&ours.own),
            ms(&theirs.traefik),
        ),
        row(
            "changing, CPU of Traefik for it (ms)",
            "≤ 1.3",
            ms(&ours.traefik),
            ms(&theirs.traefik),
        ),
        row("unchanged, wall (ms)", "", wall(same), wall(same_theirs)),
        row(
            "unchanged, CPU of the exporter; of Traefik (ms)",
            "",
            ms(&same.own),
            ms(&same_theirs.traefik),
        ),
        row(
            "unchanged, CPU of Traefik for it (ms)",
            "",
            ms(&same.traefik),
            ms(&same_theirs.traefik),
        ),
        one(
            "memory after 500 scrapes (MB)",
            size.memory,
            megabytes(memory),
        ),
        row(
            "the page; the answer (MB)",
            "",
            megabytes(ours.bytes as u64),
            megabytes(theirs.bytes as u64),
        ),
        one("series", "", count(series)),
        one(
            "unchanged, with gzip, CPU of the exporter (ms)",
            "",
            gzipped * 1e3,
        ),
    ])
}

impl Calls {
    /// One call, by which Traefik is asked directly, or through the exporter.
    fn take(
        &mut self,
        network: &Network,
        exporter: Option<&Server>,
        client: &mut Connection,
        path: &str,
    ) -> io::Result<()> {
        let own = || exporter.map_or(Ok(0.0), Server::cpu);
        let (own_before, traefik_before) = (own()?, network.cpu()?);
        let begin = Instant::now();
        self.bytes = client.discard(path)?;
        self.wall.push(begin.elapsed().as_secs_f64());
        self.own.push(own()? - own_before);
        self.traefik.push(network.cpu()? - traefik_before);
        Ok(())
    }
}

/// Traefik's own metrics through the exporter: whole, and less of them.
fn passes(network: &Network, exporter: &Path) -> io::Result<Vec<Row>> {
    let less = [
        "--passthrough.labels.drop=method,protocol",
        "--passthrough.code-classes",
        "--passthrough.metrics.exclude=go_.*",
    ];
    let mut bare = Connection::open(network.api())?;
    let before = network.cpu()?;
    let mut text = 0;
    for _ in 0..PASSES {
        text += bare.discard("/metrics")?;
    }
    let theirs = megabytes(text as u64) / (network.cpu()? - before);
    let mut rows = Vec::new();
    for (what, grown, flags) in [
        (
            "pass-through (MB of Traefik's text by CPU second)",
            "pass-through, memory that it adds (MB)",
            &[][..],
        ),
        (
            "pass-through of less (MB of Traefik's text by CPU second)",
            "pass-through of less, memory that it adds (MB)",
            &less,
        ),
    ] {
        let mut flags: Vec<_> = flags.iter().map(|it| (*it).to_owned()).collect();
        flags.extend([network.url(), "--collector.passthrough".to_owned()]);
        let server = Server::start(exporter, &flags)?;
        let mut client = Connection::open(server.address())?;
        // It gets its routers.
        client.discard("/metrics")?;
        let memory = server.memory()?;
        let before = server.cpu()?;
        let mut through = 0;
        for _ in 0..PASSES {
            through += client.discard("/traefik/metrics")?;
        }
        let cpu = server.cpu()? - before;
        if through == 0 {
            return Err(io::Error::other("nothing passes"));
        }
        client.get("/metrics", false)?;
        let page = String::from_utf8_lossy(client.body()).into_owned();
        let came = value(&page, "traefik_passthrough_bytes_total{direction=\"in\"}");
        let whole = value(
            &page,
            "traefik_passthrough_requests_total{result=\"whole\"}",
        );
        if whole != Some(count(PASSES)) {
            return Err(io::Error::other("a pass broke off"));
        }
        rows.push(Row {
            what,
            bar: "≥ 200 MB/s",
            values: [
                Value::Number(came.unwrap_or_default() / 1e6 / cpu),
                Value::Number(theirs),
            ],
        });
        rows.push(Row {
            what: grown,
            bar: "flat",
            values: [
                Value::Number(megabytes(server.peak()?.saturating_sub(memory))),
                Value::Nothing,
            ],
        });
    }
    rows.push(Row {
        what: "Traefik's text (MB)",
        bar: "",
        values: [
            Value::Nothing,
            Value::Number(megabytes((text / PASSES) as u64)),
        ],
    });
    Ok(rows)
}

/// Lines that Traefik wrote, appended to a log that is followed.
fn access_log(network: &Network, exporter: &Path, folder: &Path) -> io::Result<Vec<Row>> {
    let written = fs::read_to_string(network.access_log())?;
    let lines: Vec<&str> = written
        .lines()
        .filter(|it| it.contains("\"RouterName\":\"r"))
        .collect();
    if lines.is_empty() {
        return Err(io::Error::other("Traefik wrote no access log"));
    }
    let path = folder.join("followed.log");
    let mut log = fs::File::create(&path)?;
    let flags = [
        network.url(),
        "--collector.access-log".to_owned(),
        format!("--access-log.file={}", path.display()),
    ];
    let server = Server::start(exporter, &flags)?;
    let mut client = Connection::open(server.address())?;
    let read = |client: &mut Connection| -> io::Result<f64> {
        client.get("/metrics", false)?;
        let page = String::from_utf8_lossy(client.body());
        let read = value(&page, "traefik_access_log_lines_total{result=\"read\"}");
        read.ok_or_else(|| io::Error::other("it does not tell what it has read"))
    };
    read(&mut client)?;
    // What a scrape costs is taken away from what the log costs.
    let before = server.cpu()?;
    read(&mut client)?;
    let scrape = server.cpu()? - before;
    let memory = server.memory()?;
    let (before, begin) = (server.cpu()?, Instant::now());
    let mut text = String::new();
    for at in 0..LINES {
        text.push_str(lines.get(at % lines.len()).copied().unwrap_or_default());
        text.push('\n');
        if text.len() > 1 << 20 || at + 1 == LINES {
            log.write_all(text.as_bytes())?;
            text.clear();
        }
    }
    let mut scrapes = 0.0;
    loop {
        std::thread::sleep(Duration::from_millis(200));
        scrapes += 1.0;
        let read = read(&mut client)?;
        if read >= count(LINES) {
            break;
        }
        if begin.elapsed() > PATIENCE {
            return Err(io::Error::other(format!("{read} lines were read")));
        }
    }
    let cpu = server.cpu()? - before - scrapes * scrape;
    Ok(vec![
        Row {
            what: "lines by CPU second",
            bar: "≥ 200,000",
            values: [Value::Number(count(LINES) / cpu), Value::Nothing],
        },
        Row {
            what: "memory that it adds (MB)",
            bar: "",
            values: [
                Value::Number(megabytes(server.peak()?.saturating_sub(memory))),
                Value::Nothing,
            ],
        },
    ])
}

/// Of a series on a page.
fn value(page: &str, series: &str) -> Option<f64> {
    let line = page.lines().find_map(|it| it.strip_prefix(series))?;
    line.trim().parse().ok()
}

#[expect(clippy::cast_precision_loss, reason = "sizes of what fits into memory")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "there are not so many")]
fn count(count: usize) -> f64 {
    count as f64
}

/// `400,000`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn say(what: &str) {
    // Nothing can be done about a closed standard error.
    drop(writeln!(io::stderr(), "traefik-exporter: {what}"));
}
