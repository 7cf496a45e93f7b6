//! Takes alerts from Prometheus and brings them to people. A library only for its fuzz targets' sake: the program is all of it.

mod alert;
mod api;
mod calendar;
mod cli;
mod config;
mod core;
mod engine;
mod flags;
#[cfg(feature = "fuzzing")]
pub mod fuzz;
mod go_regex;
mod heartbeat;
mod history;
mod import;
mod journal;
mod matcher;
mod receivers;
mod repair;
mod template;

use std::{
    error::Error,
    path::Path,
    process::ExitCode,
    sync::{Arc, OnceLock, atomic::AtomicBool},
    time::Duration,
};

use daemon::{Link, Program, Registry, Service, Settings, chain};

use crate::{
    api::Api,
    config::Config,
    core::{Core, Pauses, Times},
    engine::{Engine, Metrics, Parts},
    flags::{Command, RunFlags},
    history::History,
    journal::{Journal, disk::faulty::Faults},
    receivers::Context,
};

/// After the first failure of a notification.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Percent.
const JITTER: u32 = 20;

const PROGRAM: Program = Program {
    name: "alert-router",
    namespace: "alertmanager",
    about: "Takes alerts from Prometheus and brings them to people by Slack, mail and webhook",
    listen: ":9093",
    version: env!("CARGO_PKG_VERSION"),
};

/// The program: reads its command line, and does what that says.
#[must_use]
pub fn main() -> ExitCode {
    match flags::command(std::env::args_os().collect()) {
        Command::Run(arguments) => daemon::main_with(&PROGRAM, arguments, run),
        Command::Other(arguments) => cli::run(arguments, &|name| std::env::var_os(name)),
    }
}

/// Takes what an Alertmanager left in the folder.
fn take_silences(folder: &Path, core: &mut Core, journal: &mut Journal) {
    let found = match import::silences(folder) {
        Ok(found) => found,
        Err(error) => {
            tracing::error!(%error, "cannot read the file silences of Alertmanager; its silences are not taken");
            return;
        }
    };
    let mut records = Vec::new();
    let count = found.silences.len();
    for silence in found.silences {
        core::record::Record::Silence(&silence).write(&mut records);
        core.restore(core::record::Restored::Silence(Box::new(silence)));
    }
    journal.append_always(&records);
    if let Err(error) = journal.sync() {
        tracing::error!(%error, "the silences of Alertmanager are not on disk yet");
    }
    for complaint in found.complaints {
        tracing::error!(complaint, "a silence of Alertmanager is not taken");
    }
    if count > 0 {
        tracing::info!(
            count,
            "the silences of the Alertmanager that was here are taken"
        );
    }
}

async fn run(flags: RunFlags) -> Result<(), Box<dyn Error + Send + Sync>> {
    flags.refuse_peers()?;
    let options = flags.options()?;
    let config = Config::load_with(&flags.config, &options)?;
    let prefix = flags.prefix()?;
    let metrics = Metrics::new()?;
    metrics.clustered(!flags.peer().is_empty());
    let now = jiff::Timestamp::now();
    let times = Times {
        retention: flags.retention,
        start: alert::after(now, flags.start_delay),
        pauses: Pauses {
            first: FIRST_PAUSE,
            longest: flags.max_backoff.max(FIRST_PAUSE),
            jitter: JITTER,
        },
    };
    let mut core = Core::new(Arc::new(config), flags.limits(), times);
    let faults = std::env::var("ALERT_ROUTER_TEST_FAULTS").ok();
    let faults = faults.and_then(|it| Faults::parse(&it));
    let mut journal = Journal::open(&flags.storage, faults, &mut |record, of| {
        if of == 1 {
            core.restore_first(record);
        } else {
            core.restore(record);
        }
    })?;
    if journal.is_new() {
        take_silences(&flags.storage, &mut core, &mut journal);
    }
    core.restored(now);
    let ready = Arc::new(AtomicBool::new(true));
    let path = flags.config.clone();
    let engine = Engine::start(Parts {
        path: flags.config.clone(),
        load: Box::new(move || {
            Config::load_with(&path, &options).map_err(|it| chain(&it).to_string())
        }),
        context: Context {
            external_url: flags.external_url(),
        },
        metrics: metrics.clone(),
        core,
        journal,
        history: History::open(&flags.storage, flags.retention),
        ready: Arc::clone(&ready),
    })?;
    let api = Arc::new(Api {
        engine: engine.clone(),
        metrics: metrics.clone(),
        started: now,
        prefix: prefix.clone(),
        address: OnceLock::new(),
        peer: flags.peer(),
        storage: flags.storage.clone(),
        bounds: flags.bounds(),
    });
    let registry = Registry::new("alertmanager", "alertmanager", Vec::new());
    let mut settings = Settings::new(&PROGRAM, flags.common.web.clone(), registry);
    settings.prefix = prefix;
    settings.landing = false;
    settings.ready = Arc::clone(&ready);
    settings.links = vec![Link {
        path: "/api/v2/status".to_owned(),
        text: "Status".to_owned(),
    }];
    settings.own = vec![metrics.registry];
    let measured = engine.clone();
    settings.before_scrape = Some(Arc::new(move || {
        let engine = measured.clone();
        // Fails when the program is stopping: the numbers are a little old then.
        Box::pin(async move { engine.measure().await.unwrap_or(()) })
    }));
    let pages = Arc::clone(&api);
    settings.handler = Some(Arc::new(move |request| Arc::clone(&pages).handle(request)));
    let reloading = engine.clone();
    settings.reload = Some(Arc::new(move || {
        let engine = reloading.clone();
        Box::pin(async move { engine.reload().await })
    }));
    tokio::spawn(heartbeat::beat(engine.clone(), ready));
    let service = Service::open(settings).await?;
    if let Some(address) = service.addresses().next() {
        // Set once, here.
        drop(api.address.set(flags.peer_address(address)));
    }
    service.serve().await;
    engine.stop().await;
    Ok(())
}
