//! `local serve-sample`: a server of the sample service, which stands where ledgers would. It answers every GET with its name.

use std::{process::ExitCode, sync::Arc};

use anyhow::Context as _;
use clap::{Args, Parser};
use daemon::{
    CommonFlags, Program, Registry, Service, Settings,
    http::{self, Method, Reply, Request, StatusCode},
};

const PROGRAM: Program = Program {
    name: "sample",
    namespace: "sample",
    about: "A server of the sample service",
    listen: "127.0.0.1:8081",
    version: env!("CARGO_PKG_VERSION"),
};

/// Where it answers, and as whom.
#[derive(Debug, Args)]
pub(crate) struct SampleFlags {
    #[arg(long)]
    port: u16,
    #[arg(long)]
    name: String,
}

#[derive(Debug, Parser)]
struct WebOnly {
    #[command(flatten)]
    common: CommonFlags,
}

/// Serves until SIGTERM.
pub(super) fn serve(flags: &SampleFlags) -> anyhow::Result<ExitCode> {
    let web = WebOnly::parse_from([
        "sample".to_owned(),
        format!("--web.listen-address=127.0.0.1:{}", flags.port),
    ]);
    daemon::log::init(&web.common.log);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    let name: Arc<str> = flags.name.as_str().into();
    runtime.block_on(async {
        let registry = Registry::new("sample", PROGRAM.namespace, Vec::new());
        let mut settings = Settings::new(&PROGRAM, web.common.web, registry);
        settings.landing = false;
        settings.handler = Some(Arc::new(move |request| handle(Arc::clone(&name), request)));
        Service::open(settings).await?.serve().await;
        Ok(ExitCode::SUCCESS)
    })
}

#[expect(clippy::unused_async, reason = "handlers are asynchronous")]
async fn handle(name: Arc<str>, request: Request) -> Reply {
    match *request.method() {
        Method::GET | Method::HEAD => http::text(StatusCode::OK, format!("{name} answers\n")),
        _ => http::method_not_allowed("GET"),
    }
}
