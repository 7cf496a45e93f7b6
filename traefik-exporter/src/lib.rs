//! What Traefik knows and does not tell, for Prometheus: broken routers, servers, certificates, from its API. A library only for its fuzz
//! targets' sake: the program is all of it.

mod api;
#[cfg(test)]
mod catalogue;
mod config;
mod digest;
mod files;
mod follow;
mod rule;
mod status;
mod watch;

use std::{error::Error, process::ExitCode, time::Duration};

use daemon::{Collector, Program, Registry, Service};

use crate::{
    config::{Flags, Settings},
    files::Files,
    status::Status,
    watch::Watch,
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
    let settings = Settings::new(flags.traefik, &flags.status, flags.watch, variable)?;
    let files = Files::new(settings.watch.files);
    let status = Status::new(settings.access, settings.max_objects, files)?;
    let mut collectors: Vec<Box<dyn Collector>> = vec![Box::new(status)];
    if let Some(log) = settings.watch.log {
        collectors.push(Box::new(Watch::start(log)?));
    }
    let registry = Registry::new("traefik", PROGRAM.namespace, collectors);
    let service = daemon::Settings::new(&PROGRAM, flags.common.web, registry);
    Service::open(service).await?.serve().await;
    Ok(())
}
