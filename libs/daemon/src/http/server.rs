//! Connections: from a listener to a handler, with a bound on their number, on every wait and on every size.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use hyper::{
    StatusCode,
    body::Incoming,
    header::{AUTHORIZATION, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use ring::digest::{SHA256, digest};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::{Sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::{Handler, Reply, Request, gzip, text};
use crate::{
    tls,
    web_config::{Current, Rate, WebConfig},
};

/// For open connections once the program is asked to end.
const DRAIN_DEADLINE: Duration = Duration::from_secs(5);
/// The head of a request.
const HEAD_SIZE: usize = 64 * 1024;
const HEADERS: usize = 100;
/// Passwords whose outcome is remembered.
const REMEMBERED: usize = 100;

/// How much and how long a server bears; the defaults fit every program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; more wait in the kernel's queue.
    pub connections: u32,
    /// For the head of a request, and for an idle connection.
    pub head: Duration,
    /// For a TLS handshake.
    pub handshake: Duration,
    /// For a handler.
    pub answer: Duration,
    /// For a client to take the next piece of an answer.
    pub write: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            head: Duration::from_secs(30),
            handshake: Duration::from_secs(10),
            answer: Duration::from_secs(120),
            write: Duration::from_secs(30),
        }
    }
}

/// Everything that a connection needs.
pub(crate) struct Server {
    current: Current,
    handler: Arc<dyn Handler>,
    limits: Limits,
    connections: Arc<Semaphore>,
    /// bcrypt is slow on purpose: one at a time, and outcomes are remembered.
    hashing: Semaphore,
    remembered: Mutex<VecDeque<(Vec<u8>, bool)>>,
    bucket: Mutex<Option<(Instant, f64)>>,
}

impl Server {
    pub(crate) fn new(current: Current, handler: Arc<dyn Handler>, limits: Limits) -> Self {
        Self {
            current,
            handler,
            limits,
            connections: Arc::new(Semaphore::new(limits.connections as usize)),
            hashing: Semaphore::new(1),
            remembered: Mutex::new(VecDeque::new()),
            bucket: Mutex::new(None),
        }
    }

    /// Whether connections are made safe at the moment.
    pub(crate) fn has_tls(&self) -> bool {
        self.current.get().tls.is_some()
    }

    /// Accepts connections until `stop` becomes true.
    pub(crate) async fn accept(
        self: Arc<Self>,
        listener: TcpListener,
        mut stop: watch::Receiver<bool>,
    ) {
        loop {
            let connections = Arc::clone(&self.connections);
            let accepted = tokio::select! {
                _ = stop.wait_for(|it| *it) => return,
                accepted = async {
                    let permit = connections.acquire_owned().await;
                    (permit, listener.accept().await)
                } => accepted,
            };
            let (stream, peer, permit) = match accepted {
                (Ok(permit), Ok((stream, peer))) => (stream, peer, permit),
                (_, Err(error)) => {
                    // Out of descriptors, most likely: others must end first.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
                (Err(_closed), Ok(_)) => return,
            };
            let (server, stop) = (Arc::clone(&self), stop.clone());
            tokio::spawn(async move {
                if let Err(error) = server.connection(stream, peer, stop).await {
                    tracing::debug!(%peer, %error, "connection ended");
                }
                drop(permit);
            });
        }
    }

    /// Waits until the open connections have ended, but not for ever.
    pub(crate) async fn drained(&self) {
        let all = self.connections.acquire_many(self.limits.connections);
        let ended = timeout(DRAIN_DEADLINE, all).await;
        if ended.is_err() {
            tracing::warn!("connections are still open; they are cut");
        }
    }

    async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        stop: watch::Receiver<bool>,
    ) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let config = self.current.get();
        let Some(tls) = &config.tls else {
            return self.http(stream, peer, stop).await;
        };
        let mut stream = stream;
        let handshake = async {
            let mut first = [0];
            stream.peek(&mut first).await?;
            // A TLS record of a handshake starts with 22 (RFC 8446, section 5.1), an HTTP request with a letter.
            if first.first().is_some_and(u8::is_ascii_alphabetic) {
                let answer = "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
                stream.write_all(answer.as_bytes()).await?;
                stream.shutdown().await?;
                return Err(io::Error::other("HTTP on a TLS port"));
            }
            let acceptor = TlsAcceptor::from(Arc::clone(&tls.config));
            acceptor.accept(stream).await
        };
        let stream = timeout(self.limits.handshake, handshake).await??;
        let certificate = stream
            .get_ref()
            .1
            .peer_certificates()
            .and_then(<[_]>::first);
        if !tls::allowed(&tls.allowed_sans, certificate) {
            return Err(io::Error::other(
                "the client's certificate has none of client_allowed_sans",
            ));
        }
        self.http(stream, peer, stop).await
    }

    async fn http<S>(
        self: Arc<Self>,
        stream: S,
        peer: SocketAddr,
        mut stop: watch::Receiver<bool>,
    ) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let limits = self.limits;
        let service = service_fn(move |request| {
            let server = Arc::clone(&self);
            async move { Ok::<_, std::convert::Infallible>(server.answer(request, peer).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_buf_size(HEAD_SIZE)
            .max_headers(HEADERS)
            .serve_connection(TokioIo::new(Patient::new(stream, limits.write)), service);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => return ended.map_err(io::Error::other),
            _ = stop.wait_for(|it| *it) => {}
        }
        connection.as_mut().graceful_shutdown();
        connection.await.map_err(io::Error::other)
    }

    async fn answer(&self, request: hyper::Request<Incoming>, peer: SocketAddr) -> Reply {
        let config = self.current.get();
        let gzip = gzip::accepted(request.headers());
        let mut reply = match self.refusal(&config, &request).await {
            Some(refusal) => refusal,
            None => {
                let answer = self.handler.handle(Request::new(request, peer));
                let answer = timeout(self.limits.answer, answer).await;
                answer.unwrap_or_else(|_| {
                    text(
                        StatusCode::SERVICE_UNAVAILABLE,
                        "the answer takes too long\n",
                    )
                })
            }
        };
        for (name, value) in &config.headers {
            reply.headers_mut().insert(name.clone(), value.clone());
        }
        if gzip {
            gzip::compress(reply).await
        } else {
            reply
        }
    }

    /// The answer to a client that may not ask, or not so often.
    async fn refusal(
        &self,
        config: &WebConfig,
        request: &hyper::Request<Incoming>,
    ) -> Option<Reply> {
        if let Some(rate) = config.rate
            && !self.within(rate)
        {
            let mut reply = text(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests\n");
            reply
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from_static("1"));
            return Some(reply);
        }
        if config.users.is_empty() {
            return None;
        }
        let credentials = request.headers().get(AUTHORIZATION);
        let credentials = credentials.and_then(|it| basic(it.to_str().ok()?));
        let allowed = match credentials {
            Some((user, password)) => self.verify(config, &user, password).await,
            None => false,
        };
        if allowed {
            return None;
        }
        let mut reply = text(StatusCode::UNAUTHORIZED, "Unauthorized\n");
        reply
            .headers_mut()
            .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
        Some(reply)
    }

    /// A token bucket: one token per interval, at most `burst` of them.
    fn within(&self, rate: Rate) -> bool {
        let now = Instant::now();
        let burst = f64::from(rate.burst);
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let tokens = bucket.map_or(burst, |(since, tokens)| {
            let earned = now.duration_since(since).as_secs_f64() / rate.interval.as_secs_f64();
            (tokens + earned).min(burst)
        });
        let enough = tokens >= 1.0;
        *bucket = Some((now, if enough { tokens - 1.0 } else { tokens }));
        enough
    }

    async fn verify(&self, config: &WebConfig, user: &str, password: Vec<u8>) -> bool {
        // An unknown user costs as much time as a wrong password (this hash is of nobody's password).
        const NOBODY: &str = "$2b$10$BlfDGjWcWii6kQDo7vT0HehQzCbmi12ppvvJd76t5iP1XLMoSINqm";
        let known = config.users.get(user);
        let hash = known.map_or(NOBODY, |it| it.expose()).to_owned();
        let mut text = Vec::new();
        for part in [user.as_bytes(), hash.as_bytes(), &password] {
            text.extend_from_slice(&part.len().to_le_bytes());
            text.extend_from_slice(part);
        }
        let key = digest(&SHA256, &text).as_ref().to_vec();
        if let Some(outcome) = self.recall(&key) {
            return outcome;
        }
        let Ok(_permit) = self.hashing.acquire().await else {
            return false;
        };
        if let Some(outcome) = self.recall(&key) {
            return outcome;
        }
        let checked = tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash));
        let outcome = matches!(checked.await, Ok(Ok(true))) && known.is_some();
        let mut remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED {
            remembered.pop_front();
        }
        remembered.push_back((key, outcome));
        outcome
    }

    fn recall(&self, key: &[u8]) -> Option<bool> {
        let remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let found = remembered.iter().find(|(its, _)| its == key);
        found.map(|(_, outcome)| *outcome)
    }
}

/// User and password of an `Authorization` header (RFC 7617).
fn basic(header: &str) -> Option<(String, Vec<u8>)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64(encoded.trim())?;
    let colon = decoded.iter().position(|it| *it == b':')?;
    let (user, password) = decoded.split_at(colon);
    let user = String::from_utf8(user.to_vec()).ok()?;
    Some((user, password.get(1..)?.to_vec()))
}

/// Base64 with padding (RFC 4648, section 4).
fn base64(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

/// A stream whose writes fail when the other side takes nothing for some time.
struct Patient<S> {
    stream: S,
    patience: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    const fn new(stream: S, patience: Duration) -> Self {
        Self {
            stream,
            patience,
            waiting: None,
        }
    }

    /// Passes progress on; without progress, looks at the clock.
    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.waiting = None;
            return result;
        }
        let patience = self.patience;
        let sleep = self
            .waiting
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(sleep.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, buffers);
        self.watch(context, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(context, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watch(context, result)
    }
}

#[cfg(test)]
mod tests {
    use super::basic;

    #[test]
    fn authorization() {
        for (header, expect) in [
            ("Basic YTpiOmM=", Some(("a", "b:c"))),
            ("basic YTo=", Some(("a", ""))),
            ("Basic YQ==", None),
            ("Basic ???", None),
            ("Bearer YTpi", None),
            ("Basic", None),
        ] {
            let found = basic(header);
            let expect = expect.map(|(user, word)| (user.to_owned(), word.as_bytes().to_vec()));
            assert_eq!(found, expect, "{header}");
        }
    }
}
