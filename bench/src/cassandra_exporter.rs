//! cassandra-exporter beside jmx_exporter 1.0.1 on the same node of Cassandra 5.0, with ten tables and with a thousand.

use std::{
    error::Error,
    fs,
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::{Duration, Instant},
};

use parts::cassandra::{Agent, Jolokia, NEWEST, Node, Ports, Running};

use crate::{
    connection::Connection,
    page::{Row, Value, machine, table},
    server::{Server, cpu_clock},
    statistics::quantile,
};

/// For the node to start on a machine that is slow.
const PATIENCE: Duration = Duration::from_secs(240);
/// Scrapes before those that count: Java compiles what it runs often.
const WARM: usize = 15;
const ROUNDS: usize = 7;
const TABLES: usize = 1_000;

/// What one program showed in a scrape.
#[derive(Debug, Clone, Copy)]
struct Scraped {
    wall: f64,
    /// Processor seconds of Cassandra.
    node: f64,
    /// Of the exporter, when it is a process of its own.
    own: f64,
    series: f64,
}

/// A profile of ours on some tables: the median of its scrapes, and the most memory that they took.
struct Profile {
    scraped: Scraped,
    memory: f64,
}

struct Bench<'a> {
    node: &'a Running,
    jmx: SocketAddr,
    exporter: &'a Path,
    password: &'a Path,
}

/// Measures both; gives the section's text.
pub(crate) fn measure(folder: &Path) -> Result<String, Box<dyn Error>> {
    let here = tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(folder)?;
    let address = Ipv4Addr::LOCALHOST;
    let ports = Ports::free(address)?;
    // One of the ports of another node's: free, and nobody else's.
    let jmx = SocketAddr::from((address, Ports::free(address)?.jolokia));
    let config = here.path().join("jmx.yml");
    fs::write(&config, jmx_config())?;
    let password = here.path().join("password");
    fs::write(&password, "bench")?;
    let policy = Path::new("packaging/cassandra/jolokia-access.xml").canonicalize()?;
    let jolokia = Jolokia::guarded(Agent::Jolokia26, "bench", "bench", &policy);
    let mut node = Node::new(NEWEST, "bench", here.path().join("node"), ports)
        .heap_mib(4_096)
        .unsafe_system()
        .jolokia(Some(jolokia))
        .java_agent(Agent::JmxPrometheus, &format!("{jmx}:{}", config.display()))?
        .start()?;
    node.wait_ready(PATIENCE)?;
    let exporter = folder.join("cassandra-exporter");
    let bench = Bench {
        node: &node,
        jmx,
        exporter: &exporter,
        password: &password,
    };
    say("a node of Cassandra runs; ten tables");
    tables(&node, 0..10)?;
    let ten = bench.ours("standard")?;
    say("a thousand tables");
    tables(&node, 10..TABLES)?;
    let minimal = bench.ours("minimal")?;
    let standard = bench.ours("standard")?;
    let full = bench.ours("full")?;
    let theirs = bench.theirs()?;
    let (ours, peer) = bench.in_turn()?;
    node.stop()?;
    let one = |what, bar, ours| Row {
        what,
        bar,
        values: [Value::Number(ours), Value::Nothing],
    };
    let both = |what, bar, ours, theirs| Row {
        what,
        bar,
        values: [Value::Number(ours), Value::Number(theirs)],
    };
    let mib = 1_048_576.0;
    let rows = [
        both(
            "standard, wall (s)",
            "≤ 1.2 s and ≤ 0.5",
            ours.wall,
            peer.wall,
        ),
        both(
            "standard, CPU of Cassandra (s)",
            "≤ 0.5",
            ours.node,
            peer.node,
        ),
        both("standard, series", "≥ 30,000", ours.series, peer.series),
        one(
            "standard, CPU of the exporter (s)",
            "≤ 0.15 s",
            standard.scraped.own,
        ),
        one(
            "standard, peak RSS of the exporter (MiB)",
            "≤ 20 MB",
            standard.memory / mib,
        ),
        one("full, wall (s)", "≤ 4 s", full.scraped.wall),
        one("full, CPU of Cassandra (s)", "≤ 4 s", full.scraped.node),
        one("full, series", "", full.scraped.series),
        one("full, CPU of the exporter (s)", "", full.scraped.own),
        one(
            "full, peak RSS of the exporter (MiB)",
            "≤ 60 MB",
            full.memory / mib,
        ),
        one("minimal, wall (s)", "≤ 0.2 s", minimal.scraped.wall),
        one("minimal, CPU of Cassandra (s)", "", minimal.scraped.node),
        one("minimal, series", "", minimal.scraped.series),
        one(
            "ten tables, standard, wall (s)",
            "≤ 0.05 s",
            ten.scraped.wall,
        ),
        one("ten tables, standard, series", "", ten.scraped.series),
    ];
    Ok(format!(
        "One node of Cassandra {NEWEST} with {TABLES} tables, each with a row that was written and read, and 4 GiB of heap; Jolokia 2.6.0 with a\n\
         password and our policy; jmx_exporter in the same process, with the beans of its example for Cassandra and one rule that takes\n\
         every value (the example has seven rules for each). The median of {ROUNDS} scrapes after {WARM} that do not count; where both have a\n\
         figure they were scraped in turn. A wall is until the last byte of the page has come, over a new connection. CPU is user and\n\
         system time by the process's clock; what Cassandra does besides (compactions after the writes are over) is in it. Jmx_exporter's\n\
         set is smaller: two metrics of each table.\n\n{}\n\n{}\n\n\
         Jmx_exporter alone: {:.2} s, {:.2} s of Cassandra's CPU.",
        machine()?,
        table("cassandra-exporter", "jmx_exporter 1.0.1", &rows),
        theirs.wall,
        theirs.node,
    ))
}

impl Bench<'_> {
    fn start(&self, profile: &str) -> io::Result<Server> {
        let url = self.node.jolokia_url();
        let flags = [
            format!("--jolokia.url={url}"),
            "--jolokia.username=bench".to_owned(),
            format!("--jolokia.password-file={}", self.password.display()),
            format!("--profile={profile}"),
        ];
        Server::start(self.exporter, &flags)
    }

    /// A scrape of ours, or of the agent in the node.
    fn scrape(&self, server: Option<&Server>) -> io::Result<Scraped> {
        let pid = libc::pid_t::try_from(self.node.pid()).map_err(io::Error::other)?;
        let own = |server: Option<&Server>| server.map_or(Ok(0.0), Server::cpu);
        let (node_before, own_before) = (cpu_clock(pid)?, own(server)?);
        let begin = Instant::now();
        let address = server.map_or(self.jmx, Server::address);
        let mut connection = Connection::open(address)?;
        connection.get("/metrics", false)?;
        let wall = begin.elapsed().as_secs_f64();
        let page = String::from_utf8_lossy(connection.body());
        let series = page.lines().filter(|it| !it.starts_with('#')).count();
        if server.is_some() && !page.contains("\ncassandra_scrape_complete 1\n") {
            return Err(io::Error::other("a scrape is not complete"));
        }
        #[expect(clippy::cast_precision_loss, reason = "there are not so many")]
        Ok(Scraped {
            wall,
            node: cpu_clock(pid)? - node_before,
            own: own(server)? - own_before,
            series: series as f64,
        })
    }

    fn ours(&self, profile: &str) -> io::Result<Profile> {
        let server = self.start(profile)?;
        for _ in 0..WARM {
            self.scrape(Some(&server))?;
        }
        let all: io::Result<Vec<_>> = (0..ROUNDS).map(|_| self.scrape(Some(&server))).collect();
        Ok(Profile {
            scraped: median(&all?),
            #[expect(clippy::cast_precision_loss, reason = "it is not so much")]
            memory: server.peak()? as f64,
        })
    }

    fn theirs(&self) -> io::Result<Scraped> {
        for _ in 0..WARM {
            self.scrape(None)?;
        }
        let all: io::Result<Vec<_>> = (0..ROUNDS).map(|_| self.scrape(None)).collect();
        Ok(median(&all?))
    }

    /// Our standard profile and jmx_exporter, in turn.
    fn in_turn(&self) -> io::Result<(Scraped, Scraped)> {
        let server = self.start("standard")?;
        self.scrape(Some(&server))?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(self.scrape(Some(&server))?);
            theirs.push(self.scrape(None)?);
        }
        Ok((median(&ours), median(&theirs)))
    }
}

fn median(all: &[Scraped]) -> Scraped {
    let of = |figure: fn(&Scraped) -> f64| {
        let figures: Vec<_> = all.iter().map(figure).collect();
        quantile(&figures, 0.5)
    };
    Scraped {
        wall: of(|it| it.wall),
        node: of(|it| it.node),
        own: of(|it| it.own),
        series: of(|it| it.series),
    }
}

/// Makes tables with a row each, in pieces: one long statement list is one long connection.
fn tables(node: &Running, numbers: std::ops::Range<usize>) -> Result<(), Box<dyn Error>> {
    let numbers: Vec<_> = numbers.collect();
    node.cql(&[
        "CREATE KEYSPACE IF NOT EXISTS bench WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
    ])?;
    for piece in numbers.chunks(50) {
        let mut statements = Vec::new();
        for number in piece {
            statements.push(format!(
                "CREATE TABLE bench.t{number} (k int PRIMARY KEY, v text)"
            ));
            statements.push(format!(
                "INSERT INTO bench.t{number} (k, v) VALUES (1, 'x')"
            ));
            statements.push(format!("SELECT v FROM bench.t{number} WHERE k = 1"));
        }
        node.cql(&statements)?;
    }
    Ok(())
}

/// The beans that jmx_exporter's example for Cassandra names, and one rule for all of them.
fn jmx_config() -> String {
    let mut text = String::from("rules: [{pattern: \".*\"}]\nwhitelistObjectNames:\n");
    for (kind, names) in [
        ("Client", &["*"][..]),
        ("ColumnFamily", &["LiveSSTableCount", "BytesUnrepaired"]),
        ("Compaction", &["*"]),
        ("Connection", &["Timeouts"]),
        ("DroppedMessage", &["Dropped"]),
        (
            "Keyspace",
            &[
                "AllMemtablesLiveDataSize",
                "AllMemtablesOffHeapDataSize",
                "AllMemtablesOnHeapDataSize",
                "AntiCompactionTime",
                "BloomFilterFalsePositives",
                "BloomFilterFalseRatio",
                "BytesValidated",
                "PendingCompactions",
                "ReadLatency",
                "ReadTotalLatency",
                "RepairJobsCompleted",
                "RepairJobsStarted",
                "RepairTime",
                "RepairedDataInconsistenciesConfirmed",
                "WriteLatency",
                "WriteTotalLatency",
            ],
        ),
        ("ReadRepair", &["*"]),
        (
            "Storage",
            &["Exceptions", "Load", "RepairExceptions", "TotalHints"],
        ),
        ("ThreadPools", &["*"]),
    ] {
        for name in names {
            let name = match *name {
                "*" => String::new(),
                name => format!(",name={name}"),
            };
            text.push_str(&format!(
                "- \"org.apache.cassandra.metrics:type={kind}{name},*\"\n"
            ));
        }
    }
    text
}

fn say(what: &str) {
    // Nothing can be done about a closed standard error.
    drop(writeln!(io::stderr(), "cassandra-exporter: {what}"));
}
