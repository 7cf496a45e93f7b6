//! cassandra-exporter: metrics of one Cassandra node through Jolokia, without JMX. It reads no node yet: it answers about itself.

use std::{error::Error, process::ExitCode};

use daemon::{CommonFlags, Program, Registry, Service, Settings};

const PROGRAM: Program = Program {
    name: "cassandra-exporter",
    namespace: "cassandra_exporter",
    about: "Metrics of one Cassandra node for Prometheus, through Jolokia. Reads no node yet: only metrics about itself",
    listen: ":9500",
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
    let registry = Registry::new("cassandra", PROGRAM.namespace, Vec::new());
    let service = Service::open(Settings::new(&PROGRAM, flags.common.web, registry)).await?;
    service.serve().await;
    Ok(())
}
