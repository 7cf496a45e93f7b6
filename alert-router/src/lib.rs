//! Takes alerts from Prometheus and brings them to people. A library only for its fuzz targets' sake: the program is all of it.

mod alert;
mod api;
mod cli;
mod config;
mod core;
mod engine;
mod flags;
#[cfg(feature = "fuzzing")]
pub mod fuzz;
mod go_regex;
mod matcher;
mod receivers;
mod repair;
mod template;

use std::{
    error::Error,
    path::Path,
    process::ExitCode,
    sync::{Arc, OnceLock},
};

use daemon::{Link, Program, Registry, Service, Settings, chain};

use crate::{
    api::Api,
    config::Config,
    engine::{Engine, Metrics},
    flags::{Command, RunFlags},
    receivers::Context,
};

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
        Command::CheckConfig(files) => check_config(&files),
        Command::Other(arguments) => cli::run(arguments),
    }
}

async fn run(flags: RunFlags) -> Result<(), Box<dyn Error + Send + Sync>> {
    flags.refuse_peers()?;
    let config = Config::load(&flags.config)?;
    flags.prepare_storage()?;
    let prefix = flags.prefix()?;
    let metrics = Metrics::new()?;
    let context = Context {
        external_url: flags.external_url(),
    };
    let engine = Engine::start(flags.config.clone(), config, context, metrics.clone())?;
    let api = Arc::new(Api {
        engine: engine.clone(),
        metrics: metrics.clone(),
        started: jiff::Timestamp::now(),
        prefix: prefix.clone(),
        address: OnceLock::new(),
    });
    let registry = Registry::new("alertmanager", "alertmanager", Vec::new());
    let mut settings = Settings::new(&PROGRAM, flags.common.web, registry);
    settings.prefix = prefix;
    settings.landing = false;
    settings.links = vec![Link {
        path: "/api/v2/status".to_owned(),
        text: "Status".to_owned(),
    }];
    settings.own = vec![metrics.registry];
    let pages = Arc::clone(&api);
    settings.handler = Some(Arc::new(move |request| Arc::clone(&pages).handle(request)));
    let reloading = engine.clone();
    settings.reload = Some(Arc::new(move || {
        let engine = reloading.clone();
        Box::pin(async move { engine.reload().await })
    }));
    let service = Service::open(settings).await?;
    if let Some(address) = service.addresses().next() {
        // Set once, here.
        drop(api.address.set(address.to_string()));
    }
    service.serve().await;
    engine.stop().await;
    Ok(())
}

/// Says of each file whether it could be used.
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this command reports to a person"
)]
fn check_config(files: &[std::path::PathBuf]) -> ExitCode {
    let mut good = true;
    for file in files {
        match Config::load(file) {
            Ok(config) => {
                let integrations: usize = config
                    .receivers
                    .iter()
                    .map(|it| it.integrations.len())
                    .sum();
                println!(
                    "{}: good: {} receivers with {integrations} integrations",
                    Path::new(file).display(),
                    config.receivers.len()
                );
            }
            Err(error) => {
                eprintln!("alert-router: {}", chain(&error));
                good = false;
            }
        }
    }
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
