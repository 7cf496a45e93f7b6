//! Measures node-exporter beside node_exporter 1.12.1, in turn, in one run, and writes BENCHMARKS.md.

mod scrape;
mod server;

use std::{
    error::Error,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::{Duration, Instant},
};

use scrape::Connection;
use server::{Server, ticks_per_second};

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

fn main() -> Result<(), Box<dyn Error>> {
    let own = std::env::current_exe()?;
    let ours = own.parent().unwrap_or(Path::new("")).join("node-exporter");
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
            Connection::open(server.address())?.scrape(false)?;
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
    let text = report(&figures);
    writeln!(io::stdout(), "{text}")?;
    fs::write("BENCHMARKS.md", page(&text)?)?;
    Ok(())
}

/// Both programs in turn, over one kept connection each; then the memory.
fn sequential(servers: &[Server; 2], figures: &mut [Figures; 2]) -> io::Result<()> {
    let mut connections = Vec::new();
    for server in servers {
        let mut connection = Connection::open(server.address())?;
        for at in 0..WARM_UP {
            connection.scrape(at % 2 == 0)?;
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
            connection.scrape(true)?;
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
        figures.bytes[at] = connection.scrape(gzip)?;
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
                        connection.scrape(false)?;
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

/// The value below which a part of the values lies.
fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index of a short list"
    )]
    let at = ((sorted.len() as f64 - 1.0) * part).round() as usize;
    sorted.get(at).copied().unwrap_or(0.0)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / f64::from(u32::try_from(values.len()).unwrap_or(1).max(1))
}

fn report(figures: &[Figures; 2]) -> String {
    #[expect(clippy::cast_precision_loss, reason = "sizes of programs")]
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    #[expect(clippy::cast_precision_loss, reason = "sizes of answers")]
    let kilobytes = |bytes: usize| bytes as f64 / 1e3;
    type Value<'a> = &'a dyn Fn(&Figures) -> f64;
    let rows: [(&str, &str, Value<'_>); 12] = [
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
    let mut text =
        "| measure | node-exporter | node_exporter 1.12.1 | ratio | bar |\n|---|---|---|---|---|\n"
            .to_owned();
    for (what, bar, value) in rows {
        let [ours, theirs] = figures.each_ref().map(value);
        text.push_str(&format!(
            "| {what} | {ours:.2} | {theirs:.2} | {:.2} | {bar} |\n",
            ours / theirs
        ));
    }
    text
}

fn page(table: &str) -> io::Result<String> {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let cpu = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpu
        .lines()
        .find_map(|it| it.strip_prefix("model name"))
        .unwrap_or(": unknown");
    let cores = cpu.lines().filter(|it| it.starts_with("processor")).count();
    Ok(format!(
        "# Benchmarks\n\nWritten by `make bench`. Figures of shared machines: read them as ratios.\n\n## node-exporter\n\n\
         Both programs in one run, in turn, with the collectors that are on by default, {ROUNDS} rounds of {SCRAPES} scrapes plain and\n\
         as many with gzip, over one kept connection on loopback, after {WARM_UP} that are not counted. CPU is user and system time from\n\
         `/proc/<pid>/stat` ({} ticks a second), memory `VmRSS`; {CLIENTS} clients at once scrape for {} s; the start is the median of {STARTS}, until the\n\
         first answer is read whole. node_exporter is built by `go install`.\n\n\
         Machine: {cores} cores{model}, Linux {}. Ours: {} (revision {}).\n\n{table}\n{NOTES}",
        ticks_per_second(),
        CROWD.as_secs(),
        kernel.trim(),
        env!("CARGO_PKG_VERSION"),
        option_env!("BUILD_REVISION").unwrap_or("unknown"),
    ))
}

/// What the figures mean.
const NOTES: &str = include_str!("../notes.md");
