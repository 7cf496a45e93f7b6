//! Measures node-exporter beside Debian's prometheus-node-exporter, in turn, in one run, and writes BENCHMARKS.md.

mod scrape;
mod server;

use std::{
    error::Error,
    fs,
    io::{self, Write as _},
    path::Path,
    time::Instant,
};

use scrape::Connection;
use server::{Server, ticks_per_second};

/// Scrapes of each program: rounds of so many, in turn.
const ROUNDS: usize = 10;
const SCRAPES: usize = 200;
/// Not counted: both are warm then.
const WARM_UP: usize = 50;

/// Both show the same things.
const COLLECTORS: [&str; 12] = [
    "cpu",
    "diskstats",
    "filesystem",
    "loadavg",
    "meminfo",
    "netdev",
    "os",
    "stat",
    "textfile",
    "time",
    "uname",
    "vmstat",
];

/// What one program showed.
#[derive(Default)]
struct Figures {
    /// Processor seconds of each round, divided by its scrapes.
    cpu: Vec<f64>,
    /// Seconds of each scrape, as the client waits.
    latency: Vec<f64>,
    bytes: usize,
    memory: u64,
    peak: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let own = std::env::current_exe()?;
    let ours = own.parent().unwrap_or(Path::new("")).join("node-exporter");
    let theirs = parts::find("prometheus-node-exporter")?.path;
    let mut flags = vec!["--collector.disable-defaults".to_owned()];
    flags.extend(COLLECTORS.map(|it| format!("--collector.{it}")));
    let programs = [
        ("node-exporter", Server::start(&ours, &flags)?),
        (
            "prometheus-node-exporter 1.5.0",
            Server::start(&theirs, &flags)?,
        ),
    ];
    let mut figures = [Figures::default(), Figures::default()];
    let mut connections = Vec::new();
    for (_, server) in &programs {
        let mut connection = Connection::open(server.address())?;
        for _ in 0..WARM_UP {
            connection.scrape()?;
        }
        connections.push(connection);
    }
    for _ in 0..ROUNDS {
        for (((_, server), connection), figures) in
            programs.iter().zip(&mut connections).zip(&mut figures)
        {
            round(server, connection, figures)?;
        }
    }
    for ((_, server), figures) in programs.iter().zip(&mut figures) {
        (figures.memory, figures.peak) = server.memory()?;
    }
    let names = programs.each_ref().map(|it| it.0);
    let text = report(names, &figures);
    writeln!(io::stdout(), "{text}")?;
    fs::write("BENCHMARKS.md", page(&text)?)?;
    Ok(())
}

fn round(server: &Server, connection: &mut Connection, figures: &mut Figures) -> io::Result<()> {
    let before = server.cpu()?;
    for _ in 0..SCRAPES {
        let begin = Instant::now();
        figures.bytes = connection.scrape()?;
        figures.latency.push(begin.elapsed().as_secs_f64());
    }
    let count = f64::from(u32::try_from(SCRAPES).unwrap_or(1));
    figures.cpu.push((server.cpu()? - before) / count);
    Ok(())
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

fn report(names: [&str; 2], figures: &[Figures; 2]) -> String {
    let mebibytes = |bytes: u64| f64::from(u32::try_from(bytes >> 10).unwrap_or(u32::MAX)) / 1024.0;
    let size = |it: &Figures| f64::from(u32::try_from(it.bytes).unwrap_or(u32::MAX)) / 1024.0;
    let rows: [(&str, &dyn Fn(&Figures) -> f64); 6] = [
        ("CPU per scrape, median of rounds (ms)", &|it| {
            quantile(&it.cpu, 0.5) * 1e3
        }),
        ("latency, median (ms)", &|it| {
            quantile(&it.latency, 0.5) * 1e3
        }),
        ("latency, 99th percentile (ms)", &|it| {
            quantile(&it.latency, 0.99) * 1e3
        }),
        ("answer (KiB)", &size),
        ("memory after all scrapes (MiB)", &|it| mebibytes(it.memory)),
        ("memory, peak (MiB)", &|it| mebibytes(it.peak)),
    ];
    let mut text = format!(
        "| | {} | {} | ratio |\n|---|---|---|---|\n",
        names[0], names[1]
    );
    for (what, value) in rows {
        let [ours, theirs] = figures.each_ref().map(value);
        text.push_str(&format!(
            "| {what} | {ours:.2} | {theirs:.2} | {:.2} |\n",
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
         Both programs in one run, in turn, {ROUNDS} rounds of {SCRAPES} scrapes each over one kept connection on loopback, after {WARM_UP} that are not\n\
         counted; the collectors {}. CPU is user and system time from `/proc/<pid>/stat` ({} ticks a second), memory `VmRSS` and `VmHWM`.\n\n\
         Machine: {cores} cores{model}, Linux {}. Ours: {} (revision {}); theirs: Debian's prometheus-node-exporter 1.5.0.\n\n{table}\n\
         The bar is a third of node_exporter 1.12's CPU with all default collectors; ours has twelve of them yet, and the comparison\n\
         with 1.12 comes with the others.\n",
        COLLECTORS.join(", "),
        ticks_per_second(),
        kernel.trim(),
        env!("CARGO_PKG_VERSION"),
        option_env!("BUILD_REVISION").unwrap_or("unknown"),
    ))
}
