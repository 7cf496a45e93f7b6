//! node-exporter beside node_exporter 1.12.1: scrapes, memory, starts.

use std::{
    error::Error,
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::{Duration, Instant},
};

use crate::{
    connection::Connection,
    page::{Row, Value, machine, table},
    server::Server,
    statistics::{mean, quantile},
};

/// Scrapes of each program: rounds of so many, in turn.
const ROUNDS: usize = 10;
const SCRAPES: usize = 100;
/// Not counted: both are warm then.
const WARM_UP: usize = 50;
const CLIENTS: usize = 8;
const CROWD: Duration = Duration::from_secs(5);
const STARTS: usize = 20;
/// Scrapes in all before the memory is looked at.
const BEFORE_MEMORY: usize = 2000;

/// What one program showed.
#[derive(Default)]
struct Figures {
    /// Processor seconds of each round, divided by its scrapes: plain, and with gzip.
    cpu: [Vec<f64>; 2],
    /// Seconds of each scrape, as the client waits.
    latency: [Vec<f64>; 2],
    /// Bytes of an answer.
    bytes: [usize; 2],
    /// Scrapes a second of eight clients at once.
    crowd: f64,
    /// Resident bytes after all scrapes.
    memory: u64,
    /// Seconds from its start to its first answer.
    start: Vec<f64>,
    /// Bytes of the program, stripped.
    size: u64,
}

/// Measures both; gives the section's text.
pub(crate) fn measure(folder: &Path) -> Result<String, Box<dyn Error>> {
    let ours = folder.join("node-exporter");
    let theirs = parts::find("node_exporter")?.path;
    let programs = [ours, theirs];
    let mut figures = [Figures::default(), Figures::default()];
    for (program, figures) in programs.iter().zip(&mut figures) {
        figures.size = stripped(program)?;
    }
    for _ in 0..STARTS {
        for (program, figures) in programs.iter().zip(&mut figures) {
            let begin = Instant::now();
            let server = Server::start(program, &[])?;
            Connection::open(server.address())?.get("/metrics", false)?;
            figures.start.push(begin.elapsed().as_secs_f64());
        }
    }
    let servers = [
        Server::start(&programs[0], &[])?,
        Server::start(&programs[1], &[])?,
    ];
    sequential(&servers, &mut figures)?;
    for (server, figures) in servers.iter().zip(&mut figures) {
        figures.crowd = crowd(server)?;
    }
    Ok(format!(
        "Both programs in one run, in turn, with the collectors that are on by default, {ROUNDS} rounds of {SCRAPES} scrapes plain and\n\
         as many with gzip, over one kept connection on loopback, after {WARM_UP} that are not counted. CPU is user and system time by the\n\
         process's clock, memory `VmRSS`; {CLIENTS} clients at once scrape for {} s; the start is the median of {STARTS}, until the\n\
         first answer is read whole. node_exporter is built by `go install`.\n\n{}\n\n{}\n{NOTES}",
        CROWD.as_secs(),
        machine()?,
        report(&figures),
    ))
}

/// Both programs in turn, over one kept connection each; then the memory.
fn sequential(servers: &[Server; 2], figures: &mut [Figures; 2]) -> io::Result<()> {
    let mut connections = Vec::new();
    for server in servers {
        let mut connection = Connection::open(server.address())?;
        for at in 0..WARM_UP {
            connection.get("/metrics", at % 2 == 0)?;
        }
        connections.push(connection);
    }
    for _ in 0..ROUNDS {
        for ((server, connection), figures) in
            servers.iter().zip(&mut connections).zip(figures.iter_mut())
        {
            for gzip in [false, true] {
                round(server, connection, gzip, figures)?;
            }
        }
    }
    for ((server, connection), figures) in
        servers.iter().zip(&mut connections).zip(figures.iter_mut())
    {
        for _ in 0..BEFORE_MEMORY.saturating_sub(WARM_UP + 2 * ROUNDS * SCRAPES) {
            connection.get("/metrics", true)?;
        }
        figures.memory = server.memory()?;
    }
    Ok(())
}

fn round(
    server: &Server,
    connection: &mut Connection,
    gzip: bool,
    figures: &mut Figures,
) -> io::Result<()> {
    let at = usize::from(gzip);
    let before = server.cpu()?;
    for _ in 0..SCRAPES {
        let begin = Instant::now();
        figures.bytes[at] = connection.get("/metrics", gzip)?;
        figures.latency[at].push(begin.elapsed().as_secs_f64());
    }
    let count = f64::from(u32::try_from(SCRAPES).unwrap_or(1));
    figures.cpu[at].push((server.cpu()? - before) / count);
    Ok(())
}

/// Scrapes a second of several clients that do not wait for each other.
fn crowd(server: &Server) -> io::Result<f64> {
    let (stop, count) = (AtomicBool::new(false), AtomicU32::new(0));
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| -> io::Result<()> {
                    let mut connection = Connection::open(server.address())?;
                    while !stop.load(Ordering::Relaxed) {
                        connection.get("/metrics", false)?;
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(())
                })
            })
            .collect();
        std::thread::sleep(CROWD);
        stop.store(true, Ordering::Relaxed);
        clients.into_iter().try_for_each(|it| {
            it.join()
                .unwrap_or_else(|_panic| Err(io::Error::other("a client panicked")))
        })
    })?;
    Ok(f64::from(count.load(Ordering::Relaxed)) / begin.elapsed().as_secs_f64())
}

/// The bytes of a program without its symbols.
fn stripped(program: &Path) -> io::Result<u64> {
    let copy: PathBuf = std::env::temp_dir().join(format!("bench-{}", std::process::id()));
    #[expect(clippy::disallowed_methods, reason = "strip(1) is the tool for it")]
    let status = std::process::Command::new("strip")
        .arg("-o")
        .arg(&copy)
        .arg(program)
        .status()?;
    if !status.success() {
        return Err(io::Error::other(format!(
            "strip {} failed",
            program.display()
        )));
    }
    let size = fs::metadata(&copy)?.len();
    fs::remove_file(&copy)?;
    Ok(size)
}

fn report(figures: &[Figures; 2]) -> String {
    #[expect(clippy::cast_precision_loss, reason = "sizes of programs")]
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    #[expect(clippy::cast_precision_loss, reason = "sizes of answers")]
    let kilobytes = |bytes: usize| bytes as f64 / 1e3;
    type Figure<'a> = &'a dyn Fn(&Figures) -> f64;
    let rows: [(&str, &str, Figure<'_>); 12] = [
        ("CPU per scrape, plain (ms)", "≤ 0.33", &|it| {
            mean(&it.cpu[0]) * 1e3
        }),
        ("CPU per scrape, gzip (ms)", "≤ 0.33", &|it| {
            mean(&it.cpu[1]) * 1e3
        }),
        ("latency p50, plain (ms)", "≤ 0.33", &|it| {
            quantile(&it.latency[0], 0.5) * 1e3
        }),
        ("latency p99, plain (ms)", "≤ 0.33", &|it| {
            quantile(&it.latency[0], 0.99) * 1e3
        }),
        ("latency p50, gzip (ms)", "≤ 0.33", &|it| {
            quantile(&it.latency[1], 0.5) * 1e3
        }),
        ("latency p99, gzip (ms)", "≤ 0.33", &|it| {
            quantile(&it.latency[1], 0.99) * 1e3
        }),
        ("8 clients, scrapes per second", "≥ 3", &|it| it.crowd),
        (
            "memory after 2,000 scrapes (MB)",
            "≤ 8 and ≤ 0.33",
            &|it| megabytes(it.memory),
        ),
        ("start to first answer, median (ms)", "≤ 10 ms", &|it| {
            quantile(&it.start, 0.5) * 1e3
        }),
        ("program, stripped (MB)", "≤ 8", &|it| megabytes(it.size)),
        ("answer, plain (kB)", "", &|it| kilobytes(it.bytes[0])),
        ("answer, gzip (kB)", "", &|it| kilobytes(it.bytes[1])),
    ];
    let rows = rows.map(|(what, bar, value)| Row {
        what,
        bar,
        values: figures.each_ref().map(|it| Value::Number(value(it))),
    });
    table("node-exporter", "node_exporter 1.12.1", &rows)
}

/// What the figures mean.
const NOTES: &str = include_str!("node_exporter/notes.md");
