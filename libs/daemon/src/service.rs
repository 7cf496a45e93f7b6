//! A program from its start to its end: listen, answer, obey signals and systemd, drain.

use std::{
    error::Error,
    ffi::OsString,
    future::Future,
    io,
    pin::Pin,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use clap::{CommandFactory, FromArgMatches};
use exposition::Format;
use sd_notify::NotifyState;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use crate::{
    CommonFlags, Filter, FlagsError, Program, Registry, WebFlags, chain, flags,
    http::{
        self, Handler, Limits, Method, Reply, Request, StatusCode, landing, server::Server, text,
    },
    kept,
    listen::{self, ListenError},
    log, memory,
    own_metrics::{OwnMetrics, families_of},
    web_config::{Current, WebConfigError},
};

/// The deadline of a scrape when Prometheus does not name its own: its default.
const SCRAPE_DEADLINE: Duration = Duration::from_secs(10);
/// No scrape lasts longer, whatever is asked for.
const MAX_SCRAPE_DEADLINE: Duration = Duration::from_secs(60);
/// Kept for writing the answer and for the way back.
const SCRAPE_MARGIN: Duration = Duration::from_millis(500);

/// A line of the landing page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Where it leads.
    pub path: String,
    /// What it says.
    pub text: String,
}

/// Reads the configuration again; the error is shown to whoever asked.
pub type Reload =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// Brings metrics up to date.
pub type BeforeScrape = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// What tells one program's server from another's.
pub struct Settings {
    /// Its name and defaults.
    pub program: &'static Program,
    /// Its flags.
    pub web: WebFlags,
    /// Its collectors.
    pub registry: Registry,
    /// Metrics that it keeps with the crate `prometheus`.
    pub own: Vec<prometheus::Registry>,
    /// Its further paths, asked after `/metrics` and `/-/…`; None: 404.
    pub handler: Option<Arc<dyn Handler>>,
    /// Whether `/` is the landing page; else the handler's.
    pub landing: bool,
    /// More lines of the landing page.
    pub links: Vec<Link>,
    /// What stands before every path, such as `/alerts`; empty for nothing.
    pub prefix: String,
    /// What `/-/ready` says; systemd is told once it listens.
    pub ready: Arc<AtomicBool>,
    /// Called before a scrape, to bring metrics up to date that are costly to keep so.
    pub before_scrape: Option<BeforeScrape>,
    /// What SIGHUP and POST `/-/reload` do.
    pub reload: Option<Reload>,
    /// What the server bears.
    pub limits: Limits,
}

impl Settings {
    /// A server with a landing page and the metrics of `registry`, ready at once.
    #[must_use]
    pub fn new(program: &'static Program, web: WebFlags, registry: Registry) -> Self {
        Self {
            program,
            web,
            registry,
            own: Vec::new(),
            handler: None,
            landing: true,
            links: Vec::new(),
            prefix: String::new(),
            ready: Arc::new(AtomicBool::new(true)),
            before_scrape: None,
            reload: None,
            limits: Limits::default(),
        }
    }
}

/// A program's server, listening.
pub struct Service {
    program: &'static Program,
    server: Arc<Server>,
    listeners: Vec<tokio::net::TcpListener>,
    reload: Option<Reload>,
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// Why a program cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// `--web.config.file`.
    #[error("cannot use --web.config.file")]
    WebConfig(#[from] WebConfigError),
    /// `--web.listen-address`.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// `--web.telemetry-path`.
    #[error("--web.telemetry-path={0:?} must start with / and be longer than that")]
    TelemetryPath(String),
    /// The program's metrics about itself.
    #[error("cannot register the program's own metrics")]
    Metrics(#[from] prometheus::Error),
    /// The kernel refuses signal handlers.
    #[error("cannot listen to signals")]
    Signals(#[source] io::Error),
}

impl Service {
    /// Opens everything, so that what can fail fails before anything is answered.
    ///
    /// # Errors
    /// When the web configuration is wrong or an address cannot be listened on; nothing is open then.
    pub async fn open(settings: Settings) -> Result<Self, ServeError> {
        let path = &settings.web.telemetry_path;
        if !path.starts_with('/') || path.len() < 2 {
            return Err(ServeError::TelemetryPath(path.clone()));
        }
        let current = Current::open(settings.web.config.as_deref())?;
        let signals = |kind| signal(kind).map_err(ServeError::Signals);
        let (terminate, interrupt, hangup) = (
            signals(SignalKind::terminate())?,
            signals(SignalKind::interrupt())?,
            signals(SignalKind::hangup())?,
        );
        let listeners = listen::listeners(&settings.web).await?;
        let program = settings.program;
        let reload = settings.reload.clone();
        let limits = settings.limits;
        let pages = Pages {
            own: OwnMetrics::new(program)?,
            settings,
        };
        Ok(Self {
            program,
            server: Arc::new(Server::new(current, Arc::new(Arc::new(pages)), limits)),
            listeners,
            reload,
            terminate,
            interrupt,
            hangup,
        })
    }

    /// The addresses, with the ports that the kernel chose.
    pub fn addresses(&self) -> impl Iterator<Item = std::net::SocketAddr> + '_ {
        self.listeners.iter().filter_map(|it| it.local_addr().ok())
    }

    /// Answers until SIGTERM or SIGINT, then ends open connections and returns.
    pub async fn serve(mut self) {
        let (stop, stopped) = watch::channel(false);
        for listener in std::mem::take(&mut self.listeners) {
            if let Ok(address) = listener.local_addr() {
                tracing::info!(%address, "Listening on");
            }
            let server = Arc::clone(&self.server);
            tokio::spawn(server.accept(listener, stopped.clone()));
        }
        tracing::info!(tls = self.server.has_tls(), "TLS");
        tokio::spawn(async {
            tokio::time::sleep(memory::SETTLED).await;
            memory::drop_code_of_the_start();
        });
        notify(&[NotifyState::Ready]);
        let watchdog = sd_notify::watchdog_enabled().map(|it| it / 2);
        loop {
            tokio::select! {
                _ = self.terminate.recv() => break,
                _ = self.interrupt.recv() => break,
                _ = self.hangup.recv() => self.reload().await,
                () = ping(watchdog) => notify(&[NotifyState::Watchdog]),
            }
        }
        tracing::info!(program = self.program.name, "stopping");
        notify(&[NotifyState::Stopping]);
        stop.send_replace(true);
        self.server.drained().await;
    }

    async fn reload(&self) {
        let Some(reload) = &self.reload else {
            tracing::info!("SIGHUP: there is no configuration to read again");
            return;
        };
        if let Ok(state) = NotifyState::monotonic_usec_now() {
            notify(&[NotifyState::Reloading, state]);
        }
        // The reload itself says in the log what it did or what is wrong.
        drop(reload().await);
        notify(&[NotifyState::Ready]);
    }
}

/// Ends when systemd wants a sign of life; never without a watchdog.
async fn ping(period: Option<Duration>) {
    match period {
        Some(period) => tokio::time::sleep(period).await,
        None => std::future::pending().await,
    }
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd was not told");
    }
}

/// The paths that every program has.
struct Pages {
    settings: Settings,
    own: OwnMetrics,
}

impl Handler for Arc<Pages> {
    fn handle(&self, request: Request) -> Pin<Box<dyn Future<Output = Reply> + Send + '_>> {
        Box::pin(self.answer(request))
    }
}

impl Pages {
    async fn answer(&self, request: Request) -> Reply {
        let settings = &self.settings;
        let path = request.path().to_owned();
        let Some(path) = path.strip_prefix(settings.prefix.as_str()) else {
            return http::not_found();
        };
        let get = matches!(*request.method(), Method::GET | Method::HEAD);
        match path {
            path if path == settings.web.telemetry_path => {
                if !get {
                    return http::method_not_allowed("GET");
                }
                let reply = self.metrics(&request).await;
                self.own
                    .requests
                    .with_label_values(&[reply.status().as_str()])
                    .inc();
                reply
            }
            "/-/healthy" if get => text(StatusCode::OK, "OK\n"),
            "/-/ready" if get => {
                if settings.ready.load(Ordering::Acquire) {
                    text(StatusCode::OK, "OK\n")
                } else {
                    text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
                }
            }
            "/-/reload" if settings.reload.is_some() => match *request.method() {
                Method::POST | Method::PUT => self.reload().await,
                _ => http::method_not_allowed("POST, PUT"),
            },
            "" | "/" if settings.landing => {
                if !get {
                    return http::method_not_allowed("GET");
                }
                let link = |path: &str, text: &str| Link {
                    path: format!("{}{path}", settings.prefix),
                    text: text.to_owned(),
                };
                let mut links = vec![
                    link(&settings.web.telemetry_path, "Metrics"),
                    link("/-/healthy", "Health"),
                    link("/-/ready", "Readiness"),
                ];
                links.extend(settings.links.iter().cloned());
                landing::page(settings.program, &links)
            }
            _ => match &settings.handler {
                Some(handler) => handler.handle(request).await,
                None => http::not_found(),
            },
        }
    }

    async fn reload(&self) -> Reply {
        let Some(reload) = &self.settings.reload else {
            return http::not_found();
        };
        match reload().await {
            Ok(()) => text(StatusCode::OK, ""),
            Err(error) => text(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("failed to reload config: {error}\n"),
            ),
        }
    }

    async fn metrics(&self, request: &Request) -> Reply {
        let begin = Instant::now();
        let settings = &self.settings;
        let _guard = Flight::start(&self.own.in_flight);
        let max = settings.web.max_requests;
        let flying = usize::try_from(self.own.in_flight.get()).unwrap_or(0);
        if max > 0 && flying > max {
            return text(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("Limit of concurrent requests reached ({max}), try again later.\n"),
            );
        }
        let filter = filter(request);
        if let Err(error) = settings.registry.check(&filter) {
            return text(StatusCode::BAD_REQUEST, format!("{error}\n"));
        }
        if let Some(refresh) = &settings.before_scrape {
            refresh().await;
        }
        let wanted = scrape_deadline(request.header("x-prometheus-scrape-timeout-seconds"));
        let mut shown = settings.registry.scrape(&filter, begin + wanted).await;
        let own = self.own.families(settings.web.disable_exporter_metrics);
        shown.families.extend(own);
        for registry in &settings.own {
            shown.families.extend(families_of(registry));
        }
        let format = Format::negotiate(request.header("accept"));
        let (body, conflicts) = kept::page(shown, format);
        for conflict in conflicts {
            self.own.errors.inc();
            tracing::debug!(error = %conflict, "metric left out");
        }
        http::reply(StatusCode::OK, format.content_type(), body)
    }
}

/// Counts a scrape while it lasts, also when its client goes away.
struct Flight<'a>(&'a prometheus::IntGauge);

impl<'a> Flight<'a> {
    fn start(gauge: &'a prometheus::IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn filter(request: &Request) -> Filter {
    let mut filter = Filter::default();
    for (name, value) in request.query_pairs() {
        match name.as_str() {
            "collect[]" => filter.collect.push(value),
            "exclude[]" => filter.exclude.push(value),
            _ => {}
        }
    }
    filter
}

/// How long a scrape may take: what Prometheus says that it waits, less a margin for the way back.
fn scrape_deadline(header: Option<&str>) -> Duration {
    let wanted = header
        .and_then(|it| it.trim().parse::<f64>().ok())
        .filter(|it| it.is_finite() && *it > 0.0)
        .and_then(|it| Duration::try_from_secs_f64(it).ok())
        .unwrap_or(SCRAPE_DEADLINE)
        .min(MAX_SCRAPE_DEADLINE);
    // A very short wait keeps half of it for reading.
    wanted.saturating_sub(SCRAPE_MARGIN).max(wanted / 2)
}

/// Runs a program: its command line, its log, its runtime and what it does, to the exit code. An error is one line on
/// standard error, cause by cause.
pub fn main<Flags, Run>(program: &'static Program, run: impl FnOnce(Flags) -> Run) -> ExitCode
where
    Flags: CommandFactory + FromArgMatches + AsRef<CommonFlags>,
    Run: Future<Output = Result<(), Box<dyn Error + Send + Sync>>>,
{
    main_with(program, std::env::args_os().collect(), run)
}

/// [`main`] with a command line that the program has looked at first.
pub fn main_with<Flags, Run>(
    program: &'static Program,
    arguments: Vec<OsString>,
    run: impl FnOnce(Flags) -> Run,
) -> ExitCode
where
    Flags: CommandFactory + FromArgMatches + AsRef<CommonFlags>,
    Run: Future<Output = Result<(), Box<dyn Error + Send + Sync>>>,
{
    let flags = flags::parse(program, arguments).map_err(FlagsError::from);
    start(program, flags, run)
}

/// [`main`] of a program whose flags may also stand in the file of `--config.file`: `Flags` has [`crate::FileFlags`]. A mistake in
/// the file is one line on standard error, and the exit code 2.
pub fn main_with_file<Flags, Run>(
    program: &'static Program,
    run: impl FnOnce(Flags) -> Run,
) -> ExitCode
where
    Flags: CommandFactory + FromArgMatches + AsRef<CommonFlags>,
    Run: Future<Output = Result<(), Box<dyn Error + Send + Sync>>>,
{
    let flags = flags::parse_with_file(program, std::env::args_os());
    start(program, flags, run)
}

fn start<Flags, Run>(
    program: &'static Program,
    flags: Result<Flags, FlagsError>,
    run: impl FnOnce(Flags) -> Run,
) -> ExitCode
where
    Flags: AsRef<CommonFlags>,
    Run: Future<Output = Result<(), Box<dyn Error + Send + Sync>>>,
{
    memory::one_heap();
    let flags = match flags {
        Ok(flags) => flags,
        Err(FlagsError::CommandLine(error)) => {
            // Nothing can be done about a closed standard error.
            drop(error.print());
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
        Err(error) => {
            last_word(program, &error);
            return ExitCode::from(2);
        }
    };
    log::init(&flags.as_ref().log);
    tracing::info!(
        version = program.version,
        revision = Program::REVISION,
        "Starting {}",
        program.name
    );
    let ended = runtime().map_err(Into::into).and_then(|runtime| {
        let ended = runtime.block_on(run(flags));
        // A thread that hangs in the kernel must not keep the program.
        runtime.shutdown_timeout(Duration::from_millis(100));
        ended
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            last_word(program, error.as_ref());
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the last word of a program that cannot start"
)]
fn last_word(program: &Program, error: &(dyn Error + 'static)) {
    eprintln!("{}: {}", program.name, chain(error));
}

/// Threads for connections, and a bounded number more for what blocks.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(256)
        // Longer than the usual time between two scrapes: no new threads for each.
        .thread_keep_alive(Duration::from_secs(65))
        .enable_all()
        .build()
}

#[cfg(test)]
mod tests {
    use std::{process::ExitCode, time::Duration};

    use super::{scrape_deadline, start};
    use crate::{CommonFlags, FlagsError, Program};

    struct Flags(CommonFlags);

    impl AsRef<CommonFlags> for Flags {
        fn as_ref(&self) -> &CommonFlags {
            &self.0
        }
    }

    #[test]
    fn a_wrong_file_of_flags_ends_the_program() {
        const PROGRAM: Program = Program {
            name: "test-exporter",
            namespace: "test_exporter",
            about: "A test.",
            listen: ":9999",
            version: "1.2.3",
        };
        let error = FlagsError::File {
            path: "x.yml".into(),
            line: 3,
            reason: "a mistake".to_owned(),
        };
        let ended = start(&PROGRAM, Err(error), async |_: Flags| Ok(()));
        assert_eq!(ended, ExitCode::from(2));
    }

    #[test]
    fn deadlines() {
        for (header, expect) in [
            (None, 9_500),
            (Some("10"), 9_500),
            (Some("15.000000"), 14_500),
            (Some("0.6"), 300),
            (Some("0"), 9_500),
            (Some("-1"), 9_500),
            (Some("NaN"), 9_500),
            (Some("1e300"), 9_500),
            (Some("3600"), 59_500),
            (Some("soon"), 9_500),
        ] {
            assert_eq!(
                scrape_deadline(header),
                Duration::from_millis(expect),
                "{header:?}"
            );
        }
    }
}
