//! A small receiver for one machine: speaks Slack's incoming webhook and SMTP, keeps what came, and shows it as people would see it.

mod message;
mod page;
mod smtp;
mod store;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context as _;
use clap::Parser;
use daemon::{
    CommonFlags, Program, Registry, Service, Settings,
    http::{self, Method, Reply, Request, StatusCode},
};

pub(crate) use self::message::{Channel, Message};
use self::store::Store;

/// A message of Slack's webhook is smaller.
const MAX_BODY: usize = 1 << 20;

const PROGRAM: Program = Program {
    name: "inbox",
    namespace: "inbox",
    about: "Shows what alert-router sends to Slack and by mail",
    listen: "127.0.0.1:8025",
    version: env!("CARGO_PKG_VERSION"),
};

/// Where it answers.
#[derive(Debug, Parser)]
pub(crate) struct InboxFlags {
    /// Port of the web page and of the webhook
    #[arg(long)]
    http: u16,
    /// Port of the mail server
    #[arg(long)]
    smtp: u16,
    /// File that keeps the messages
    #[arg(long)]
    file: PathBuf,
}

#[derive(Debug, Parser)]
struct WebOnly {
    #[command(flatten)]
    common: CommonFlags,
}

/// Serves until SIGTERM.
pub(crate) fn serve(flags: &InboxFlags) -> anyhow::Result<ExitCode> {
    let web = WebOnly::parse_from([
        "inbox".to_owned(),
        format!("--web.listen-address=127.0.0.1:{}", flags.http),
    ]);
    daemon::log::init(&web.common.log);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    runtime.block_on(async {
        let store = Arc::new(Store::open(&flags.file)?);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, flags.smtp));
        let listener = tokio::net::TcpListener::bind(address).await;
        let listener = listener.with_context(|| format!("cannot listen on {address} for mail"))?;
        let registry = Registry::new("inbox", PROGRAM.namespace, Vec::new());
        let mut settings = Settings::new(&PROGRAM, web.common.web, registry);
        settings.landing = false;
        let pages = Arc::clone(&store);
        settings.handler = Some(Arc::new(move |request| handle(Arc::clone(&pages), request)));
        let service = Service::open(settings).await?;
        tokio::spawn(smtp::serve(listener, store));
        service.serve().await;
        Ok(ExitCode::SUCCESS)
    })
}

async fn handle(store: Arc<Store>, request: Request) -> Reply {
    let path = request.path().to_owned();
    let get = matches!(*request.method(), Method::GET | Method::HEAD);
    match path.as_str() {
        "/slack" if *request.method() == Method::POST => slack(&store, request).await,
        "/slack" => http::method_not_allowed("POST"),
        "/" if get => page::inbox(&store.newest_first()),
        "/inbox.js" if get => page::script(),
        "/api/messages" if get => {
            let messages = store.newest_first();
            http::json(
                StatusCode::OK,
                serde_json::to_vec(&messages).unwrap_or_default(),
            )
        }
        path if get => match path.strip_prefix("/runbooks/") {
            Some(name) => page::runbook(name),
            None => http::not_found(),
        },
        _ => http::not_found(),
    }
}

/// Answers as Slack does (<https://api.slack.com/messaging/webhooks#handling_errors>).
async fn slack(store: &Store, request: Request) -> Reply {
    let body = match request.body(MAX_BODY).await {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    let Ok(payload) = serde_json::from_slice(&body) else {
        return http::text(StatusCode::BAD_REQUEST, "invalid_payload");
    };
    match Message::from_slack(&payload) {
        None => http::text(StatusCode::BAD_REQUEST, "no_text"),
        Some(message) => match store.add(message) {
            Ok(()) => http::text(StatusCode::OK, "ok"),
            Err(error) => {
                tracing::error!(%error, "cannot keep a message");
                http::text(StatusCode::INTERNAL_SERVER_ERROR, "cannot keep the message")
            }
        },
    }
}
