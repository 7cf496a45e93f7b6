//! What Traefik knows and does not tell, for Prometheus: broken routers, servers, certificates, from its API. A library only for its fuzz
//! targets' sake: the program is all of it.

mod access;
mod api;
#[cfg(test)]
mod catalogue;
mod config;
mod digest;
mod files;
mod follow;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod passthrough;
mod probe;
mod rule;
mod status;
mod watch;

use std::{error::Error, process::ExitCode, sync::Arc, time::Duration};

use daemon::{Collector, Link, Program, Registry, Service, http::Handler};

use crate::{
    config::{Flags, Settings},
    files::Files,
    follow::Followed,
    passthrough::Passthrough,
    probe::Probe,
    status::Status,
};

const PROGRAM: Program = Program {
    name: "traefik-exporter",
    namespace: "traefik_exporter",
    about: "What Traefik knows and does not tell, for Prometheus: broken routers, dead servers, missing certificates",
    listen: ":9101",
    version: env!("CARGO_PKG_VERSION"),
};

/// No scrape lasts longer: the daemon's own bound.
const LONGEST_SCRAPE: Duration = Duration::from_secs(60);

/// The program: reads its command line, and serves until it is told to end.
#[must_use]
pub fn main() -> ExitCode {
    daemon::main_with_file(&PROGRAM, run)
}

async fn run(flags: Flags) -> Result<(), Box<dyn Error + Send + Sync>> {
    let variable = |name: &str| std::env::var(name).ok();
    let settings = Settings::new(
        flags.traefik,
        &flags.status,
        flags.watch,
        flags.passthrough,
        flags.access_log,
        flags.probe,
        variable,
    )?;
    let files = Files::new(settings.watch.files);
    let mut status = Status::new(settings.access, settings.max_objects, files)?;
    let mut collectors: Vec<Box<dyn Collector>> = Vec::new();
    if let Some(log) = settings.watch.log {
        let (log, counts) = watch::open(log);
        collectors.push(Box::new(Followed::start(log, counts)?));
    }
    if let Some(setup) = settings.access_log {
        let (log, counts) = setup.open();
        collectors.push(Box::new(Followed::start(log, counts)?));
    }
    if let Some(setup) = settings.probe {
        collectors.push(Box::new(Probe::start(setup)?));
    }
    let mut handler: Option<Arc<dyn Handler>> = None;
    let mut links = Vec::new();
    if let Some(its) = settings.passthrough {
        links.push(Link {
            path: its.path.clone(),
            text: "Traefik's own metrics".to_owned(),
        });
        let passthrough = Passthrough::new(its.access, its.path, its.rules, status.routers())?;
        collectors.push(passthrough.collector());
        handler = Some(Arc::new(passthrough));
    }
    collectors.push(Box::new(status));
    let registry = Registry::new("traefik", PROGRAM.namespace, collectors);
    let service = daemon::Settings {
        handler,
        links,
        ..daemon::Settings::new(&PROGRAM, flags.common.web, registry)
    };
    Service::open(service).await?.serve().await;
    Ok(())
}
