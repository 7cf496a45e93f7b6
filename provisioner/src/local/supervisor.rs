//! The process that starts the programs, looks after their health, starts them again when they end, and obeys the socket.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{fs::PermissionsExt as _, process::ExitStatusExt as _},
    path::Path,
    process::{ExitCode, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpStream, UnixListener, UnixStream},
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot},
};

use super::{
    control::{Answer, ProgramStatus, Request},
    state::{Health, Network, Process, ProgramSpec, State},
};
use crate::exec;

/// How often health, ends and log sizes are looked at.
const TICK: Duration = Duration::from_millis(250);
/// The first pause before a program that ended is started again; each next one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// After this long without an end, the pauses begin anew.
const STABLE: Duration = Duration::from_secs(60);
/// For a program to end after SIGTERM; then it is killed.
const GRACE: Duration = Duration::from_secs(10);
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);
/// A log that is larger is begun anew, and the old one kept beside it.
const MAX_LOG: u64 = 8 << 20;

/// Runs until it is told to go, or to terminate.
pub(super) fn run(state: State) -> anyhow::Result<ExitCode> {
    // Its own session: closing the terminal does not end it. Fails when it leads one already.
    rustix::process::setsid().map(drop).unwrap_or(());
    daemon::log::init(&daemon::log::LogFlags {
        level: daemon::log::LogLevel::Info,
        format: daemon::log::LogFormat::Logfmt,
    });
    // One thread: children die with the thread that started them.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime
        .context("cannot start the supervisor")?
        .block_on(supervise(state))
}

/// A request and where its answer goes.
type Asked = (Request, oneshot::Sender<Answer>);

/// A program that is looked after.
struct Program {
    spec: ProgramSpec,
    child: Option<(Child, Process)>,
    wanted: bool,
    healthy: bool,
    restarts: u32,
    pause: Duration,
    started: Instant,
    /// When to start it again.
    due: Option<Instant>,
    last_end: String,
}

struct Supervisor {
    state: State,
    programs: Vec<Program>,
    http: client::Client,
}

async fn supervise(state: State) -> anyhow::Result<ExitCode> {
    let network = state
        .network()?
        .context("there is no network.json to start from")?;
    let socket = state.socket();
    drop(fs::remove_file(&socket));
    let listener = UnixListener::bind(&socket)
        .with_context(|| format!("cannot listen on {}", socket.display()))?;
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o600))
        .context("cannot make the socket private")?;
    let settings = client::Settings::new("provisioner", HEALTH_TIMEOUT);
    let mut supervisor = Supervisor {
        state,
        programs: network.programs.into_iter().map(Program::new).collect(),
        http: client::client(&settings).context("cannot make an HTTP client")?,
    };
    let (send, mut asked) = mpsc::channel::<Asked>(16);
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen to signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen to signals")?;
    supervisor.tick().await;
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                tokio::spawn(talk(stream, send.clone()));
            },
            Some((request, answer)) = asked.recv() => {
                let down = matches!(request, Request::Down);
                let said = supervisor.obey(request).await;
                // Fails when the asker has gone.
                drop(answer.send(said));
                if down {
                    // Let the answer leave.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    break;
                }
            }
            _ = ticks.tick() => supervisor.tick().await,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    supervisor.stop_all().await;
    drop(fs::remove_file(&socket));
    supervisor.state.set_processes(&[])?;
    tracing::info!("the local network is down");
    Ok(ExitCode::SUCCESS)
}

/// One request, one answer, both within a time and a size.
async fn talk(stream: UnixStream, send: mpsc::Sender<Asked>) {
    let talked = tokio::time::timeout(Duration::from_secs(60), async {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        let mut limited = (&mut stream).take(1 << 20);
        limited.read_line(&mut line).await?;
        let answer = match serde_json::from_str(&line) {
            Err(error) => Answer {
                error: format!("not understood: {error}"),
                programs: Vec::new(),
            },
            Ok(request) => {
                let (answer, answered) = oneshot::channel();
                send.send((request, answer))
                    .await
                    .map_err(std::io::Error::other)?;
                answered.await.map_err(std::io::Error::other)?
            }
        };
        let line = serde_json::to_string(&answer).map_err(std::io::Error::other)? + "\n";
        stream.write_all(line.as_bytes()).await
    });
    if let Ok(Err(error)) = talked.await {
        tracing::debug!(%error, "a request broke off");
    }
}

impl Program {
    fn new(spec: ProgramSpec) -> Self {
        Self {
            spec,
            child: None,
            wanted: true,
            healthy: false,
            restarts: 0,
            pause: FIRST_PAUSE,
            started: Instant::now(),
            due: Some(Instant::now()),
            last_end: String::new(),
        }
    }

    fn status(&self) -> ProgramStatus {
        let running = self.child.is_some();
        ProgramStatus {
            name: self.spec.name.clone(),
            pid: self.child.as_ref().map(|(_, process)| process.pid),
            url: self.spec.url.clone(),
            healthy: running && self.healthy,
            restarts: self.restarts,
            state: match (running, self.wanted) {
                (true, _) => "running",
                (false, true) => "waiting",
                (false, false) => "stopped",
            }
            .to_owned(),
            last_end: self.last_end.clone(),
        }
    }

    fn start(&mut self, state: &State) -> anyhow::Result<()> {
        let (program, arguments) = self
            .spec
            .command
            .split_first()
            .context("it has no command")?;
        let log = state.log(&self.spec.name);
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        let errors = log.try_clone().context("cannot share its log")?;
        let mut command = exec::command(program);
        command
            .args(arguments)
            .current_dir(&state.folder)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors);
        exec::die_with_parent(&mut command);
        let child = Command::from(command)
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let process = child.id().and_then(Process::find);
        let process = process.with_context(|| format!("{program} ended at once"))?;
        tracing::info!(program = self.spec.name, pid = process.pid, "started");
        self.child = Some((child, process));
        self.healthy = false;
        self.started = Instant::now();
        self.due = None;
        Ok(())
    }

    /// Sees whether it has ended; then says so and sets the next start.
    fn reap(&mut self) {
        let Some((child, _)) = &mut self.child else {
            return;
        };
        let ended = match child.try_wait() {
            Ok(None) => return,
            Ok(Some(status)) => match (status.code(), status.signal()) {
                (Some(code), _) => format!("exit code {code}"),
                (None, Some(signal)) => format!("signal {signal}"),
                (None, None) => "an unknown end".to_owned(),
            },
            Err(error) => error.to_string(),
        };
        self.child = None;
        self.healthy = false;
        if !self.wanted {
            return;
        }
        if self.started.elapsed() > STABLE {
            self.pause = FIRST_PAUSE;
        }
        tracing::warn!(program = self.spec.name, ended, again_in = ?self.pause, "a program ended");
        self.last_end = ended;
        self.again();
    }

    fn again(&mut self) {
        self.due = Some(Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(LAST_PAUSE);
        self.restarts = self.restarts.saturating_add(1);
    }

    async fn stop(&mut self) {
        self.wanted = false;
        self.due = None;
        let Some((mut child, process)) = self.child.take() else {
            return;
        };
        process.signal(rustix::process::Signal::TERM);
        if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
            tracing::warn!(program = self.spec.name, "did not end in time; killed");
            // Fails when it has just ended.
            drop(child.kill().await);
        }
        tracing::info!(program = self.spec.name, "stopped");
    }
}

impl Supervisor {
    async fn obey(&mut self, request: Request) -> Answer {
        let error = match request {
            Request::Status => String::new(),
            Request::Down => {
                self.stop_all().await;
                String::new()
            }
            Request::Stop { program } => {
                match self.programs.iter_mut().find(|it| it.spec.name == program) {
                    None => self.unknown(&program),
                    Some(found) => {
                        found.stop().await;
                        String::new()
                    }
                }
            }
            Request::Start { program } => {
                match self.programs.iter_mut().find(|it| it.spec.name == program) {
                    None => self.unknown(&program),
                    Some(found) => {
                        found.wanted = true;
                        found.pause = FIRST_PAUSE;
                        if found.child.is_none() {
                            found.due = Some(Instant::now());
                        }
                        String::new()
                    }
                }
            }
            Request::Change { network } => {
                self.change(network).await;
                String::new()
            }
        };
        self.tick().await;
        Answer {
            error,
            programs: self.programs.iter().map(Program::status).collect(),
        }
    }

    fn unknown(&self, program: &str) -> String {
        let names: Vec<_> = self
            .programs
            .iter()
            .map(|it| it.spec.name.as_str())
            .collect();
        format!(
            "there is no program {program:?}; there are {}",
            names.join(", ")
        )
    }

    /// What is the same goes on; what has changed starts anew; what is gone is stopped.
    async fn change(&mut self, network: Network) {
        let mut old: BTreeMap<String, Program> = std::mem::take(&mut self.programs)
            .into_iter()
            .map(|it| (it.spec.name.clone(), it))
            .collect();
        for spec in network.programs {
            let program = match old.remove(&spec.name) {
                Some(mut program) if program.spec == spec => {
                    if !program.wanted {
                        program.wanted = true;
                        program.due = Some(Instant::now());
                    }
                    program
                }
                Some(mut program) => {
                    program.stop().await;
                    Program::new(spec)
                }
                None => Program::new(spec),
            };
            self.programs.push(program);
        }
        for (_, mut program) in old {
            program.stop().await;
        }
    }

    async fn tick(&mut self) {
        let mut changed = false;
        for program in &mut self.programs {
            let before = program.child.as_ref().map(|it| it.1);
            program.reap();
            if program.due.is_some_and(|it| it <= Instant::now()) {
                rotate(&self.state.log(&program.spec.name));
                if let Err(error) = program.start(&self.state) {
                    tracing::error!(
                        program = program.spec.name,
                        error = format!("{error:#}"),
                        "cannot start a program"
                    );
                    program.last_end = format!("{error:#}");
                    program.again();
                }
            }
            changed |= before != program.child.as_ref().map(|it| it.1);
        }
        if changed {
            self.note_processes();
        }
        for program in &mut self.programs {
            if program.child.is_some() {
                program.healthy = is_healthy(&self.http, &program.spec).await;
            }
        }
        rotate_all(&self.state);
    }

    /// For those who come after a supervisor that was killed.
    fn note_processes(&self) {
        let this = Process::find(std::process::id());
        let children = self
            .programs
            .iter()
            .filter_map(|it| it.child.as_ref())
            .map(|(_, process)| *process);
        let processes: Vec<_> = this.into_iter().chain(children).collect();
        if let Err(error) = self.state.set_processes(&processes) {
            tracing::error!(error = format!("{error:#}"), "cannot note the processes");
        }
    }

    async fn stop_all(&mut self) {
        // Those that send come before those that receive.
        for program in &mut self.programs {
            program.stop().await;
        }
    }
}

async fn is_healthy(http: &client::Client, spec: &ProgramSpec) -> bool {
    match &spec.health {
        Health::Path(path) => {
            let answer = http.get(format!("{}{path}", spec.url)).send().await;
            answer.is_ok_and(|it| it.status().is_success())
        }
        Health::Cql { cql } => {
            let asked = tokio::time::timeout(HEALTH_TIMEOUT, async {
                let mut stream = TcpStream::connect(cql).await?;
                stream.write_all(&parts::cassandra::ALIVE).await?;
                let mut head = [0; 9];
                stream.read_exact(&mut head).await?;
                std::io::Result::Ok(parts::cassandra::is_alive(head))
            });
            matches!(asked.await, Ok(Ok(true)))
        }
    }
}

/// Those of programs, and those that programs write themselves.
fn rotate_all(state: &State) {
    let entries = fs::read_dir(state.logs()).into_iter().flatten().flatten();
    for path in entries.map(|it| it.path()) {
        if path.extension().is_some_and(|it| it == "log") {
            rotate(&path);
        }
    }
}

/// Begins a log anew that has grown too large; programs append, so that they go on at its start.
fn rotate(path: &Path) {
    if fs::metadata(path).is_ok_and(|it| it.len() > MAX_LOG) {
        let copied = fs::copy(path, path.with_extension("log.1"));
        let emptied =
            copied.and_then(|_| fs::OpenOptions::new().write(true).open(path)?.set_len(0));
        if let Err(error) = emptied {
            tracing::warn!(%error, log = %path.display(), "cannot begin a log anew");
        }
    }
}
