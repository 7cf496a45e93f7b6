//! `local serve-ledger` and `local load-schema`: stand-ins for Scalar DL's ledger and its schema loader, whose images nobody has without a
//! licence. They speak what the network's other parts need of them: health, administration, metrics, and one method that can be called; they
//! keep nothing.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    fs,
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use clap::Args;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parts::cassandra::Cql;
use tokio::{net::TcpListener, sync::Semaphore, time::sleep};

use super::{
    files::spec,
    network::Ports,
    state::{ProgramSpec, State},
};
use crate::{grpc, output};

/// Calls whose durations it remembers.
const REMEMBERED: usize = 1_000;
/// Connections at a time, of all ports.
const CONNECTIONS: usize = 512;
/// Between looks at Cassandra.
const LOOK: Duration = Duration::from_secs(1);
const CQL_PATIENCE: Duration = Duration::from_secs(3);
const CQL_PORT: u16 = 9042;
pub(super) const METRICS: &str = "/stats/prometheus";
/// What stands in its way is larger.
const MAX_PROPERTIES: u64 = 1 << 20;
/// The ledger's keyspaces.
const KEYSPACES: [&str; 2] = ["coordinator", "scalar"];

// Codes of gRPC.
const OK: u8 = 0;
const INVALID_ARGUMENT: u8 = 3;
const DEADLINE_EXCEEDED: u8 = 4;
const UNIMPLEMENTED: u8 = 12;
const UNAVAILABLE: u8 = 14;

/// Where it listens, as the real one does when nothing else is said.
#[derive(Debug, Args)]
pub(crate) struct LedgerFlags {
    /// Of all ports
    #[arg(long, default_value = "127.0.0.1")]
    address: IpAddr,
    /// Clients
    #[arg(long, default_value_t = 50051)]
    port: u16,
    /// Those who register certificates and contracts
    #[arg(long, default_value_t = 50052)]
    privileged: u16,
    /// Who pauses it
    #[arg(long, default_value_t = 50053)]
    admin: u16,
    #[arg(long, default_value_t = 8080)]
    metrics: u16,
    /// Seconds for which it says that it is not serving before it ends
    #[arg(long, default_value_t = 30)]
    decommissioning: u64,
    /// Do without Cassandra; else it serves only while Cassandra (SCALAR_DB_CONTACT_POINTS, …_USERNAME, …_PASSWORD) has its schema
    #[arg(long)]
    alone: bool,
    /// Properties of the database in place of the environment; it makes its schema there by itself
    #[arg(long, value_name = "FILE", conflicts_with = "alone")]
    database: Option<PathBuf>,
}

/// What the schema loader is called with.
#[derive(Debug, Clone, Args)]
pub(crate) struct SchemaFlags {
    /// Properties of the database
    #[arg(long)]
    config: PathBuf,
    /// Make the coordinator's, too
    #[arg(long)]
    coordinator: bool,
    #[arg(long, default_value_t = 1)]
    replication_factor: u32,
}

/// Where `local up` says where Cassandra is.
const PROPERTIES: &str = "ledger/database.properties";

/// What it reads on the local network: a node that asks for no password.
pub(super) fn files(ports: &Ports) -> BTreeMap<String, String> {
    let text = format!(
        "# Written by `provisioner local up`; changes are lost.\nscalar.db.contact_points=127.0.0.1\nscalar.db.contact_port={}\n",
        ports.get("cassandra")
    );
    [(PROPERTIES.to_owned(), text)].into()
}

/// It, on the local network.
pub(super) fn program(
    state: &State,
    ports: &Ports,
    files: &BTreeMap<String, String>,
    has_cassandra: bool,
) -> anyhow::Result<ProgramSpec> {
    let port = |name: &str| ports.get(name);
    let mut command = vec![
        crate::own_path()?.display().to_string(),
        "local".to_owned(),
        "serve-ledger".to_owned(),
        format!("--metrics={}", port("ledger")),
        format!("--admin={}", port("ledger-admin")),
        format!("--port={}", port("ledger-clients")),
        format!("--privileged={}", port("ledger-privileged")),
        // Nobody waits for a trial.
        "--decommissioning=0".to_owned(),
    ];
    command.push(if has_cassandra {
        format!("--database={}", state.path(PROPERTIES).display())
    } else {
        "--alone".to_owned()
    });
    Ok(spec(
        ports,
        "ledger",
        METRICS,
        command,
        files,
        &[PROPERTIES],
    ))
}

/// What a ledger is at the moment.
#[derive(Debug, Default)]
struct Ledger {
    has_schema: AtomicBool,
    is_ending: AtomicBool,
    is_paused: AtomicBool,
    /// Calls under way.
    calls: AtomicU64,
    successes: AtomicU64,
    failures: AtomicU64,
    /// Of the last calls, in seconds.
    durations: Mutex<VecDeque<f64>>,
    /// Seconds since 1970.
    started: i64,
}

/// Which of its ports was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Port {
    Clients,
    Privileged,
    Admin,
}

/// Serves until SIGTERM, and for the time that it is decommissioned.
pub(super) fn serve(flags: &LedgerFlags) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("cannot start")?;
    runtime.block_on(async {
        let ledger = Arc::new(Ledger {
            started: jiff::Timestamp::now().as_second(),
            ..Ledger::default()
        });
        let connections = Arc::new(Semaphore::new(CONNECTIONS));
        for (port, which) in [
            (flags.port, Some(Port::Clients)),
            (flags.privileged, Some(Port::Privileged)),
            (flags.admin, Some(Port::Admin)),
            (flags.metrics, None),
        ] {
            let address = SocketAddr::new(flags.address, port);
            let listener = TcpListener::bind(address).await;
            let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
            let (ledger, connections) = (Arc::clone(&ledger), Arc::clone(&connections));
            tokio::spawn(accept(listener, which, ledger, connections));
        }
        if flags.alone {
            ledger.has_schema.store(true, Ordering::Relaxed);
        } else if let Some(config) = flags.database.clone() {
            let schema = SchemaFlags {
                config,
                coordinator: true,
                replication_factor: 1,
            };
            let database = schema.database()?;
            let ledger = Arc::clone(&ledger);
            tokio::spawn(async move {
                // Cassandra may not be there yet, or for a while.
                while !make_schema(&schema).await {
                    sleep(LOOK).await;
                }
                watch(ledger, database).await;
            });
        } else {
            let database = Database::of_environment()?;
            tokio::spawn(watch(Arc::clone(&ledger), database));
        }
        output::say(format!("a ledger's stand-in serves on {}", flags.port));
        let mut ends = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
            .context("cannot wait for SIGTERM")?;
        ends.recv().await;
        output::say("not serving from here on");
        ledger.is_ending.store(true, Ordering::Relaxed);
        sleep(Duration::from_secs(flags.decommissioning)).await;
        Ok(ExitCode::SUCCESS)
    })
}

async fn make_schema(schema: &SchemaFlags) -> bool {
    let schema = schema.clone();
    let made = tokio::task::spawn_blocking(move || load_schema(&schema)).await;
    made.is_ok_and(|it| it.is_ok())
}

impl SchemaFlags {
    fn database(&self) -> anyhow::Result<Database> {
        let path = self.config.display();
        let cannot = || format!("cannot read {path}");
        let size = fs::metadata(&self.config).with_context(cannot)?.len();
        if size > MAX_PROPERTIES {
            bail!("{path} has more than 1 MiB");
        }
        let text = fs::read_to_string(&self.config).with_context(cannot)?;
        Database::of_properties(&text).with_context(|| path.to_string())
    }
}

/// Makes the ledger's keyspaces where they are not yet, as the real loader does.
pub(super) fn load_schema(flags: &SchemaFlags) -> anyhow::Result<ExitCode> {
    let database = flags.database()?;
    let mut cql = database.connect()?;
    let factor = flags.replication_factor;
    for keyspace in KEYSPACES {
        if keyspace == "coordinator" && !flags.coordinator {
            continue;
        }
        cql.query(&format!(
            "CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': {factor}}}"
        ))
        .with_context(|| format!("cannot make the keyspace {keyspace}"))?;
        output::say(format!("keyspace {keyspace}: {factor} copies"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Where Cassandra is, and as whom it is asked.
#[derive(Debug)]
struct Database {
    addresses: Vec<SocketAddr>,
    user: String,
    password: daemon::Secret,
}

impl Database {
    /// By the variables that the real image knows.
    fn of_environment() -> anyhow::Result<Self> {
        Self::of(|key| {
            let name = format!("SCALAR_DB_{}", key.to_uppercase());
            std::env::var(name).ok()
        })
    }

    /// By properties, `scalar.db.contact_points` and those beside it.
    fn of_properties(text: &str) -> anyhow::Result<Self> {
        let value = |key: &str| {
            let mut values = text.lines().filter_map(|it| {
                let (name, value) = it.split_once('=')?;
                (name.trim().strip_prefix("scalar.db.")? == key).then(|| value.trim().to_owned())
            });
            values.next_back()
        };
        Self::of(value)
    }

    fn of(value: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let points = value("contact_points").context("no contact points of Cassandra are given")?;
        let port = match value("contact_port").filter(|it| !it.is_empty()) {
            Some(port) => port.parse().context("contact_port is no port")?,
            None => CQL_PORT,
        };
        let mut addresses = Vec::new();
        for point in points.split(',').map(str::trim) {
            let found = (point, port).to_socket_addrs();
            addresses.extend(found.with_context(|| format!("contact point {point:?}"))?);
        }
        Ok(Self {
            addresses,
            user: value("username").unwrap_or_default(),
            password: daemon::Secret::new(value("password").unwrap_or_default()),
        })
    }

    /// The first that answers.
    fn connect(&self) -> anyhow::Result<Cql> {
        let mut problem = anyhow::anyhow!("no contact points");
        for address in &self.addresses {
            let password = self.password.expose();
            match Cql::connect_as(*address, &self.user, password, CQL_PATIENCE) {
                Ok(cql) => return Ok(cql),
                Err(error) => problem = error.into(),
            }
        }
        Err(problem)
    }

    /// What is missing, if anything is.
    fn problem(&self, kept: &mut Option<Cql>) -> anyhow::Result<()> {
        // As a driver does: a connection is kept for as long as it lasts, whatever becomes of the password.
        let mut cql = match kept.take() {
            Some(cql) => cql,
            None => self.connect()?,
        };
        let rows = cql.query("SELECT keyspace_name FROM system_schema.keyspaces")?;
        for keyspace in KEYSPACES {
            let mut names = (0..rows.rows.len()).filter_map(|it| rows.text(it, "keyspace_name"));
            if !names.any(|it| it == keyspace) {
                bail!("there is no keyspace {keyspace}");
            }
        }
        *kept = Some(cql);
        Ok(())
    }
}

/// It serves while Cassandra and its schema are there.
async fn watch(ledger: Arc<Ledger>, database: Database) {
    let database = Arc::new(database);
    let (mut said, mut kept) = (None, None);
    loop {
        let look = Arc::clone(&database);
        let problem = tokio::task::spawn_blocking(move || {
            let problem = look.problem(&mut kept);
            (problem, kept)
        });
        let problem = match problem.await {
            Ok((problem, connection)) => {
                kept = connection;
                Ok(problem)
            }
            Err(error) => {
                kept = None;
                Err(error)
            }
        };
        let problem = match problem {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(format!("{error:#}")),
            Err(error) => Some(error.to_string()),
        };
        ledger
            .has_schema
            .store(problem.is_none(), Ordering::Relaxed);
        if said.as_ref() != Some(&problem) {
            let words = problem.as_deref().unwrap_or("Cassandra has the schema");
            output::say(words);
            said = Some(problem);
        }
        sleep(LOOK).await;
    }
}

async fn accept(
    listener: TcpListener,
    which: Option<Port>,
    ledger: Arc<Ledger>,
    connections: Arc<Semaphore>,
) {
    loop {
        let Ok(place) = Arc::clone(&connections).acquire_owned().await else {
            return;
        };
        let Ok((stream, _peer)) = listener.accept().await else {
            // No more descriptors: some become free.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let ledger = Arc::clone(&ledger);
        tokio::spawn(async move {
            let stream = TokioIo::new(stream);
            // A connection that breaks off is its client's matter.
            match which {
                None => {
                    let answer = |request: Request<Incoming>| {
                        let response = ledger.page(request.uri().path());
                        async { Ok::<_, Infallible>(response) }
                    };
                    let served = http1::Builder::new()
                        .timer(TokioTimer::new())
                        .header_read_timeout(Duration::from_secs(10))
                        .serve_connection(stream, service_fn(answer));
                    drop(served.await);
                }
                Some(port) => {
                    let answer = |request| {
                        let ledger = Arc::clone(&ledger);
                        async move { Ok::<_, Infallible>(ledger.answer(port, request).await) }
                    };
                    let served = http2::Builder::new(TokioExecutor::new())
                        .max_concurrent_streams(100)
                        .serve_connection(stream, service_fn(answer));
                    drop(served.await);
                }
            }
            drop(place);
        });
    }
}

/// A message, or a code and why.
type Answer = Result<Vec<u8>, (u8, &'static str)>;

impl Ledger {
    fn serves(&self) -> bool {
        self.has_schema.load(Ordering::Relaxed) && !self.is_ending.load(Ordering::Relaxed)
    }

    async fn answer(
        &self,
        port: Port,
        request: Request<Incoming>,
    ) -> Response<impl hyper::body::Body<Data = Bytes, Error = Infallible> + use<>> {
        let path = request.uri().path().to_owned();
        let body = grpc::collected(request.into_body()).await;
        let bytes = body.map(http_body_util::Collected::to_bytes);
        let message = bytes.as_deref().ok().and_then(grpc::unframed);
        let answer = match message {
            Some(message) => self.call(port, &path, message).await,
            None => Err((INVALID_ARGUMENT, "no message of gRPC")),
        };
        let mut trailers = HeaderMap::new();
        let (bytes, code) = match answer {
            Ok(message) => (grpc::framed(&message), OK),
            Err((code, why)) => {
                trailers.insert(grpc::MESSAGE, HeaderValue::from_static(why));
                (Vec::new(), code)
            }
        };
        trailers.insert(grpc::STATUS, HeaderValue::from(u16::from(code)));
        let body = Full::new(Bytes::from(bytes));
        let mut response = Response::new(body.with_trailers(async { Some(Ok(trailers)) }));
        let kind = HeaderValue::from_static("application/grpc");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }

    /// One call of a method.
    async fn call(&self, port: Port, path: &str, message: &[u8]) -> Answer {
        let method = path.rsplit_once('.').map_or(path, |it| it.1);
        match (port, method) {
            // The real one answers of its health on the port of clients; here on both of theirs.
            (Port::Clients | Port::Privileged, "Health/Check") => {
                let status = if self.serves() {
                    grpc::SERVING
                } else {
                    grpc::NOT_SERVING
                };
                Ok(grpc::field(1, status))
            }
            (Port::Clients, "Ledger/ExecuteContract")
            | (Port::Privileged, "LedgerPrivileged/RegisterContract") => self.execute(message),
            (Port::Admin, "Admin/Pause") => self.pause(message).await,
            (Port::Admin, "Admin/Unpause") => {
                self.is_paused.store(false, Ordering::Relaxed);
                Ok(Vec::new())
            }
            (Port::Admin, "Admin/CheckPaused") => {
                let is_paused = self.is_paused.load(Ordering::Relaxed);
                Ok(grpc::field(1, u64::from(is_paused)))
            }
            _ => Err((UNIMPLEMENTED, "no such method of a stand-in")),
        }
    }

    /// Gives back what it gets, but for what begins with `fail`.
    fn execute(&self, message: &[u8]) -> Answer {
        let begin = Instant::now();
        self.calls.fetch_add(1, Ordering::AcqRel);
        // It counts first: who pauses either sees this call, or is seen by it.
        let answer = match () {
            () if self.is_paused.load(Ordering::Acquire) => Err((UNAVAILABLE, "it is paused")),
            () if !self.has_schema.load(Ordering::Relaxed) => {
                Err((UNAVAILABLE, "Cassandra or its schema is not there"))
            }
            () if message.starts_with(b"fail") => Err((INVALID_ARGUMENT, "it was told to fail")),
            () => Ok(message.to_vec()),
        };
        let count = match &answer {
            Ok(_) => &self.successes,
            Err(_) => &self.failures,
        };
        count.fetch_add(1, Ordering::Relaxed);
        self.calls.fetch_sub(1, Ordering::AcqRel);
        let mut durations = self.durations();
        if durations.len() == REMEMBERED {
            durations.pop_front();
        }
        durations.push_back(begin.elapsed().as_secs_f64());
        drop(durations);
        answer
    }

    /// `PauseRequest`: 1 is wait_outstanding, 2 is max_pause_wait_time in milliseconds.
    async fn pause(&self, message: &[u8]) -> Answer {
        let number = |at| grpc::number(message, at);
        let (Some(waits), Some(most)) = (number(1), number(2)) else {
            return Err((INVALID_ARGUMENT, "no PauseRequest"));
        };
        self.is_paused.store(true, Ordering::Release);
        let begin = Instant::now();
        while waits != 0 && self.calls.load(Ordering::Acquire) > 0 {
            if most > 0 && begin.elapsed() > Duration::from_millis(most) {
                self.is_paused.store(false, Ordering::Relaxed);
                return Err((DEADLINE_EXCEEDED, "calls are still under way"));
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(Vec::new())
    }

    /// Its metrics.
    fn page(&self, path: &str) -> Response<Full<Bytes>> {
        let (status, text) = if path == METRICS {
            (StatusCode::OK, self.metrics())
        } else {
            (StatusCode::NOT_FOUND, format!("metrics are at {METRICS}\n"))
        };
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = status;
        let kind = HeaderValue::from_static("text/plain; version=0.0.4");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }

    fn durations(&self) -> std::sync::MutexGuard<'_, VecDeque<f64>> {
        // Numbers are whole whatever a thread died of.
        self.durations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn metrics(&self) -> String {
        let successes = self.successes.load(Ordering::Relaxed);
        let failures = self.failures.load(Ordering::Relaxed);
        let calls = successes + failures;
        let mut text = String::new();
        for (name, value) in [
            ("total_success", successes),
            ("total_failure", failures),
            ("execute_contract_request_success", successes),
            ("execute_contract_request_failure", failures),
            // It has no such method, so nobody has called it.
            ("validate_ledger_request_failure", 0),
        ] {
            let name = format!("scalardl_stats_ledger_{name}");
            text += &format!("# TYPE {name} gauge\n{name} {value}\n");
        }
        let mut durations: Vec<f64> = self.durations().iter().copied().collect();
        durations.sort_by(f64::total_cmp);
        text += "# TYPE scalardl_stats_ledger_execute_contract_request summary\n";
        for (quantile, percent) in [("0.5", 50), ("0.95", 95), ("0.99", 99)] {
            let value = durations.get(durations.len() * percent / 100);
            let value = value.copied().unwrap_or_default();
            text += &format!(
                "scalardl_stats_ledger_execute_contract_request{{quantile=\"{quantile}\"}} {value}\n"
            );
        }
        let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        text + &format!(
            "scalardl_stats_ledger_execute_contract_request_count {calls}\n\
             # TYPE process_start_time_seconds gauge\nprocess_start_time_seconds {}\n\
             # TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total {}.{:09}\n",
            self.started, used.tv_sec, used.tv_nsec
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Database, Ledger, Ordering, Port, UNAVAILABLE, UNIMPLEMENTED};
    use crate::grpc;

    async fn call(ledger: &Ledger, port: Port, path: &str, message: &[u8]) -> Result<Vec<u8>, u8> {
        ledger.call(port, path, message).await.map_err(|it| it.0)
    }

    #[tokio::test]
    async fn a_ledgers_life() {
        let ledger = Ledger::default();
        let health = async |ledger: &Ledger| {
            let answer = call(ledger, Port::Clients, grpc::HEALTH, &[]).await;
            grpc::number(&answer.unwrap(), 1)
        };
        let execute = "/rpc.Ledger/ExecuteContract";
        assert_eq!(health(&ledger).await, Some(grpc::NOT_SERVING));
        let answer = call(&ledger, Port::Clients, execute, b"a").await;
        assert_eq!(answer, Err(UNAVAILABLE));
        ledger.has_schema.store(true, Ordering::Relaxed);
        assert_eq!(health(&ledger).await, Some(grpc::SERVING));
        let answer = call(&ledger, Port::Clients, execute, b"a").await;
        assert_eq!(answer, Ok(b"a".to_vec()));

        // Paused, nothing is executed; its health stays as it is.
        let paused = async |ledger: &Ledger| {
            let answer = call(ledger, Port::Admin, "/rpc.Admin/CheckPaused", &[]).await;
            grpc::number(&answer.unwrap(), 1)
        };
        let request = [grpc::field(1, 1), grpc::field(2, 1000)].concat();
        let answer = call(&ledger, Port::Admin, "/rpc.Admin/Pause", &request).await;
        assert_eq!((answer, paused(&ledger).await), (Ok(Vec::new()), Some(1)));
        assert_eq!(health(&ledger).await, Some(grpc::SERVING));
        let answer = call(&ledger, Port::Clients, execute, b"a").await;
        assert_eq!(answer, Err(UNAVAILABLE));
        let answer = call(&ledger, Port::Admin, "/rpc.Admin/Unpause", &[]).await;
        assert_eq!((answer, paused(&ledger).await), (Ok(Vec::new()), Some(0)));

        // What is for one port is on no other.
        let answer = call(&ledger, Port::Clients, "/rpc.Admin/Pause", &request).await;
        assert_eq!(answer, Err(UNIMPLEMENTED));
        let text = ledger.metrics();
        assert!(text.contains("scalardl_stats_ledger_total_success 1\n"));
        assert!(text.contains("scalardl_stats_ledger_total_failure 2\n"));
        ledger.is_ending.store(true, Ordering::Relaxed);
        assert_eq!(health(&ledger).await, Some(grpc::NOT_SERVING));
    }

    #[tokio::test]
    async fn a_pause_that_calls_do_not_let_be() {
        let ledger = Ledger::default();
        ledger.calls.store(1, Ordering::Relaxed);
        let request = [grpc::field(1, 1), grpc::field(2, 1)].concat();
        let answer = call(&ledger, Port::Admin, "/rpc.Admin/Pause", &request).await;
        assert_eq!(answer, Err(super::DEADLINE_EXCEEDED));
        assert!(!ledger.is_paused.load(Ordering::Relaxed));
    }

    #[test]
    fn properties() {
        let of = |text| Database::of_properties(text).map_err(|it| it.to_string());
        let found = of("# a\nscalar.db.contact_points=127.0.0.1, 127.0.0.2\nscalar.db.username = u\nscalar.db.password=a=b\n").unwrap();
        let addresses: Vec<_> = found.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["127.0.0.1:9042", "127.0.0.2:9042"]);
        assert_eq!((found.user.as_str(), found.password.expose()), ("u", "a=b"));
        for (text, expect) in [
            ("", "no contact points of Cassandra are given"),
            (
                "scalar.db.contact_points=127.0.0.1\nscalar.db.contact_port=x",
                "contact_port is no port",
            ),
            ("scalar.db.contact_points=", "contact point \"\""),
        ] {
            assert_eq!(of(text).unwrap_err(), expect);
        }
    }
}
