//! One question to a router or a server, on a connection of its own, and how long each part of it took.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use client::{Observed, Observer};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    client::conn::{http1, http2},
    header,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{AlertDescription, ProtocolVersion, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::{
    health::{self, Health},
    plan::{Ask, HEALTH_PATH, Target},
};

const AGENT: &str = concat!("traefik-exporter/", env!("CARGO_PKG_VERSION"), " (probe)");
/// Bytes of a body that are waited for.
const MAX_BODY: usize = 64 << 10;
/// Bytes of a head.
const MAX_HEAD: usize = 64 << 10;

/// What came of a question.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) phases: Phases,
    pub(super) status: Option<u16>,
    pub(super) tls: Option<Tls>,
    pub(super) health: Option<Health>,
    pub(super) failure: Option<Failure>,
}

/// How long parts took; those that were not reached are None.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Phases {
    /// A name's addresses, and a connection to one of them.
    pub(super) connect: Option<Duration>,
    pub(super) tls: Option<Duration>,
    /// From the request to the head of the answer.
    pub(super) processing: Option<Duration>,
    /// The body.
    pub(super) transfer: Option<Duration>,
}

impl Phases {
    pub(super) const fn all(&self) -> [(&'static str, Option<Duration>); 4] {
        [
            ("connect", self.connect),
            ("tls", self.tls),
            ("processing", self.processing),
            ("transfer", self.transfer),
        ]
    }
}

/// What TLS showed.
#[derive(Debug)]
pub(super) struct Tls {
    pub(super) version: &'static str,
    pub(super) shown: Arc<OnceLock<Observed>>,
}

/// Why a client does not get what it wants.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("cannot connect")]
    Connect(#[source] std::io::Error),
    #[error("no TLS")]
    Tls(#[source] std::io::Error),
    #[error("it wants a client's certificate")]
    ClientCertificate,
    #[error("no answer in time")]
    Deadline,
    #[error("the connection broke off")]
    Broken(#[source] hyper::Error),
    #[error("status {0}")]
    Status(u16),
    #[error("status 404, as Traefik answers what no router takes")]
    NoRouter,
    #[error("gRPC status {0}")]
    Grpc(u32),
    #[error("the server does not know the service that health is asked of (--probe.grpc-service)")]
    Unknown,
    #[error("the server has no grpc.health.v1")]
    Unimplemented,
    #[error("the server says that it does not serve")]
    NotServing,
    #[error("this is no answer of grpc.health.v1")]
    NotGrpc,
    #[error("{0:?} cannot be asked for")]
    Name(String),
}

impl Failure {
    /// The value of the label `reason`.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::Connect(_) => "connect",
            Self::Tls(_) => "tls",
            Self::ClientCertificate => "client_certificate",
            Self::Deadline => "deadline",
            Self::Broken(_) => "broken",
            Self::Status(_) => "status",
            Self::NoRouter => "no_router",
            Self::Grpc(_) => "grpc_status",
            Self::Unknown => "unknown_service",
            Self::Unimplemented => "unimplemented",
            Self::NotServing => "not_serving",
            Self::NotGrpc => "not_grpc",
            Self::Name(_) => "name",
        }
    }
}

/// Asks, within this time for all of it. `service` is what health is asked of, empty for the server as a whole.
pub(super) async fn ask(
    target: &Target,
    observer: &Observer,
    service: &str,
    timeout: Duration,
) -> Outcome {
    let mut outcome = Outcome::default();
    let asked = run(target, observer, service, &mut outcome);
    match tokio::time::timeout(timeout, asked).await {
        Ok(Ok(())) => {}
        Ok(Err(failure)) => outcome.failure = Some(failure),
        Err(_elapsed) => outcome.failure = Some(Failure::Deadline),
    }
    outcome
}

async fn run(
    target: &Target,
    observer: &Observer,
    service: &str,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    let begin = Instant::now();
    let stream = TcpStream::connect(&target.address).await;
    let stream = stream.map_err(Failure::Connect)?;
    // A request is one packet; it is not to wait for another.
    drop(stream.set_nodelay(true));
    outcome.phases.connect = Some(begin.elapsed());
    if !target.has_tls {
        return speak(stream, target, service, outcome).await;
    }
    let begin = Instant::now();
    let protocols: &[&[u8]] = match target.ask {
        Ask::Http { .. } => &[b"http/1.1"],
        Ask::Grpc => &[b"h2"],
    };
    let no_name = || Failure::Name(target.name.clone());
    let bare = target.name.trim_matches(['[', ']']);
    let name = ServerName::try_from(bare.to_owned()).map_err(|_error| no_name())?;
    let (config, shown) = observer
        .connection(protocols)
        .map_err(|error| Failure::Tls(std::io::Error::other(error)))?;
    let connector = TlsConnector::from(Arc::new(config));
    let connected = connector.connect(name, stream).await;
    let stream = connected.map_err(Failure::Tls)?;
    outcome.phases.tls = Some(begin.elapsed());
    let version = match stream.get_ref().1.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "1.3",
        Some(ProtocolVersion::TLSv1_2) => "1.2",
        _ => "other",
    };
    outcome.tls = Some(Tls { version, shown });
    let spoken = speak(stream, target, service, outcome).await;
    // With TLS 1.3 a server says after the handshake that it wants one.
    spoken.map_err(|failure| match failure {
        Failure::Broken(error) if wants_certificate(&error) => Failure::ClientCertificate,
        other => other,
    })
}

fn wants_certificate(error: &hyper::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        let io = error.downcast_ref::<std::io::Error>();
        let inner = io.and_then(std::io::Error::get_ref);
        if let Some(rustls::Error::AlertReceived(alert)) =
            inner.and_then(|it| it.downcast_ref::<rustls::Error>())
        {
            return matches!(
                alert,
                AlertDescription::CertificateRequired | AlertDescription::BadCertificate
            );
        }
        source = error.source();
    }
    false
}

async fn speak<S>(
    stream: S,
    target: &Target,
    service: &str,
    outcome: &mut Outcome,
) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(stream);
    match &target.ask {
        Ask::Http { method, path } => {
            let begin = Instant::now();
            let (mut sender, connection) = http1::Builder::new()
                .max_buf_size(MAX_HEAD)
                .handshake(io)
                .await
                .map_err(Failure::Broken)?;
            let _driven = Driven::new(connection);
            let request = Request::builder()
                .method(*method)
                .uri(path)
                .header(header::HOST, &target.name)
                .header(header::USER_AGENT, AGENT)
                .header(header::ACCEPT, "*/*")
                .header(header::CONNECTION, "close")
                .body(Empty::<Bytes>::new())
                .map_err(|_error| Failure::Name(format!("{}{path}", target.name)))?;
            let response = sender.send_request(request).await;
            let response = response.map_err(Failure::Broken)?;
            outcome.phases.processing = Some(begin.elapsed());
            http(response, outcome).await
        }
        Ask::Grpc => {
            let begin = Instant::now();
            let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
                .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
                .handshake(io)
                .await
                .map_err(Failure::Broken)?;
            let _driven = Driven::new(connection);
            let scheme = if target.has_tls { "https" } else { "http" };
            let uri = format!("{scheme}://{}{HEALTH_PATH}", target.name);
            let request = Request::post(&uri)
                .header(header::CONTENT_TYPE, "application/grpc")
                .header(header::USER_AGENT, AGENT)
                .header(header::TE, "trailers")
                .body(Full::new(Bytes::from(health::request(service))))
                .map_err(|_error| Failure::Name(uri))?;
            let response = sender.send_request(request).await;
            let response = response.map_err(Failure::Broken)?;
            outcome.phases.processing = Some(begin.elapsed());
            grpc(response, outcome).await
        }
    }
}

/// A connection's other half, which ends with the question.
struct Driven(tokio::task::JoinHandle<()>);

impl Driven {
    fn new<E>(connection: impl Future<Output = Result<(), E>> + Send + 'static) -> Self {
        // What breaks is seen where the answer is waited for.
        Self(tokio::spawn(async { connection.await.unwrap_or_default() }))
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn http(response: Response<Incoming>, outcome: &mut Outcome) -> Result<(), Failure> {
    let status = response.status();
    outcome.status = Some(status.as_u16());
    let begin = Instant::now();
    let (body, _trailers) = read(response.into_body()).await?;
    outcome.phases.transfer = Some(begin.elapsed());
    match status.as_u16() {
        // Go's own text, which Traefik gives where no router takes a request.
        404 if body == b"404 page not found\n" => Err(Failure::NoRouter),
        status if status >= 500 => Err(Failure::Status(status)),
        _ => Ok(()),
    }
}

async fn grpc(response: Response<Incoming>, outcome: &mut Outcome) -> Result<(), Failure> {
    let (head, body) = response.into_parts();
    outcome.status = Some(head.status.as_u16());
    let begin = Instant::now();
    let (body, trailers) = read(body).await?;
    outcome.phases.transfer = Some(begin.elapsed());
    if head.status != hyper::StatusCode::OK {
        return Err(match head.status.as_u16() {
            404 if body == b"404 page not found\n" => Failure::NoRouter,
            status => Failure::Status(status),
        });
    }
    // An error may stand in the head alone.
    let place = trailers.as_ref().unwrap_or(&head.headers);
    let status = place.get("grpc-status").and_then(|it| it.to_str().ok());
    let status = status.and_then(|it| it.parse().ok());
    match status.ok_or(Failure::NotGrpc)? {
        0 => {}
        5 => return Err(Failure::Unknown),
        12 => return Err(Failure::Unimplemented),
        other => return Err(Failure::Grpc(other)),
    }
    let health = health::answer(&body).ok_or(Failure::NotGrpc)?;
    outcome.health = Some(health);
    match health {
        Health::Serving => Ok(()),
        Health::ServiceUnknown => Err(Failure::Unknown),
        Health::Unknown | Health::NotServing => Err(Failure::NotServing),
    }
}

/// The start of a body, and what stands behind it when that is reached.
async fn read(mut body: Incoming) -> Result<(Vec<u8>, Option<header::HeaderMap>), Failure> {
    let mut bytes = Vec::new();
    let mut trailers = None;
    while let Some(frame) = body.frame().await {
        match frame.map_err(Failure::Broken)?.into_data() {
            Ok(data) => {
                if bytes.len() + data.len() > MAX_BODY {
                    break;
                }
                bytes.extend_from_slice(&data);
            }
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    Ok((bytes, trailers))
}
