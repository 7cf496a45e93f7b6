//! traefik-exporter: what Traefik knows and does not tell. It asks no Traefik yet: it answers about itself.

use std::{error::Error, process::ExitCode};

use daemon::{CommonFlags, Program, Registry, Service, Settings};

const PROGRAM: Program = Program {
    name: "traefik-exporter",
    namespace: "traefik_exporter",
    about: "What Traefik knows and does not tell, for Prometheus. Asks no Traefik yet: only metrics about itself",
    listen: ":9101",
    version: env!("CARGO_PKG_VERSION"),
};

#[derive(Debug, clap::Parser)]
struct Flags {
    #[command(flatten)]
    common: CommonFlags,
}

impl AsRef<CommonFlags> for Flags {
    fn as_ref(&self) -> &CommonFlags {
        &self.common
    }
}

fn main() -> ExitCode {
    daemon::main(&PROGRAM, run)
}

async fn run(flags: Flags) -> Result<(), Box<dyn Error + Send + Sync>> {
    let registry = Registry::new("traefik", PROGRAM.namespace, Vec::new());
    let service = Service::open(Settings::new(&PROGRAM, flags.common.web, registry)).await?;
    service.serve().await;
    Ok(())
}
