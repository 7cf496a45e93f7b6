//! gRPC by hand: five bytes before each message, and of messages only the few fields that are needed. Calls go to a port of this machine,
//! which may be the end of a way to a node.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, bail};
use http_body_util::{BodyExt as _, Collected, Full, Limited};
use hyper::{
    HeaderMap, Method, Request,
    body::{Bytes, Incoming},
    client::conn::http2,
    header::{CONTENT_TYPE, TE},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

/// What asks `grpc.health.v1`.
pub(crate) const HEALTH: &str = "/grpc.health.v1.Health/Check";
/// `HealthCheckResponse.ServingStatus`.
pub(crate) const SERVING: u64 = 1;
pub(crate) const NOT_SERVING: u64 = 2;
/// Of these there are headers or trailers.
pub(crate) const STATUS: &str = "grpc-status";
pub(crate) const MESSAGE: &str = "grpc-message";

/// Compressed or not, and the length.
const PREFIX: usize = 5;
/// The largest message that is read.
const MOST: usize = 1 << 20;

/// Whether the server at an address serves, in words when it does not.
pub(crate) async fn problem(address: SocketAddr, patience: Duration) -> Option<String> {
    match call(address, HEALTH, &[], patience).await {
        Ok(answer) => match number(&answer, 1) {
            Some(SERVING) => None,
            Some(NOT_SERVING) => Some("is not serving".to_owned()),
            _ => Some("does not know whether it serves".to_owned()),
        },
        Err(error) => Some(format!("does not answer: {error:#}")),
    }
}

/// Sends a message to a method, and gives the message that is answered.
pub(crate) async fn call(
    address: SocketAddr,
    method: &str,
    message: &[u8],
    patience: Duration,
) -> anyhow::Result<Vec<u8>> {
    let called = tokio::time::timeout(patience, ask(address, method, message));
    match called.await {
        Ok(answer) => answer,
        Err(_elapsed) => bail!("no answer within {} s", patience.as_secs()),
    }
}

async fn ask(address: SocketAddr, method: &str, message: &[u8]) -> anyhow::Result<Vec<u8>> {
    let stream = TcpStream::connect(address).await.context("no connection")?;
    let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
        .handshake(TokioIo::new(stream))
        .await
        .context("it speaks no HTTP/2")?;
    // It ends with the sender.
    let connection = tokio::spawn(connection);
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("http://{address}{method}"))
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .body(Full::new(Bytes::from(framed(message))))?;
    let answer = async {
        let response = sender.send_request(request).await?;
        let (head, body) = response.into_parts();
        if !head.status.is_success() {
            bail!("HTTP {}", head.status);
        }
        let body = collected(body).await;
        let body = body.map_err(|it| anyhow::anyhow!("the answer breaks off: {it}"))?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        fine(&trailers).or_else(|error| {
            // Without a message everything stands in the head.
            if trailers.contains_key(STATUS) {
                Err(error)
            } else {
                fine(&head.headers)
            }
        })?;
        let bytes = body.to_bytes();
        Ok(unframed(&bytes).context("no message of gRPC")?.to_vec())
    };
    let answer = answer.await;
    connection.abort();
    answer
}

/// A whole body, with its trailers.
#[expect(
    clippy::disallowed_methods,
    reason = "it is bounded here, and trailers are wanted"
)]
pub(crate) async fn collected(
    body: Incoming,
) -> Result<Collected<Bytes>, Box<dyn std::error::Error + Send + Sync>> {
    Limited::new(body, MOST).collect().await
}

/// An error unless the status is 0.
fn fine(head: &HeaderMap) -> anyhow::Result<()> {
    let text = |name| head.get(name).and_then(|it| it.to_str().ok());
    match text(STATUS) {
        Some("0") => Ok(()),
        Some(status) => bail!("status {status} {}", text(MESSAGE).unwrap_or_default()),
        None => bail!("no status of gRPC"),
    }
}

/// A message with what stands before it.
pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut bytes = vec![0];
    bytes.extend(length.to_be_bytes());
    bytes.extend(message);
    bytes
}

/// The message alone; none when it is compressed, which nobody asks for, or not whole.
pub(crate) fn unframed(body: &[u8]) -> Option<&[u8]> {
    let (prefix, message) = body.split_at_checked(PREFIX)?;
    let (compressed, length) = prefix.split_first()?;
    let length = u32::from_be_bytes(length.try_into().ok()?);
    let is_whole = usize::try_from(length).ok()? == message.len();
    (*compressed == 0 && is_whole).then_some(message)
}

/// A field that holds a number, or true.
pub(crate) fn field(number: u8, value: u64) -> Vec<u8> {
    let mut bytes = vec![number << 3];
    let mut rest = value;
    loop {
        let low = u8::try_from(rest & 0x7f).unwrap_or(0);
        rest >>= 7;
        if rest == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// The number in a field of a message that has no other fields but numbers; 0 when it is left out. None for what is no such message.
pub(crate) fn number(mut message: &[u8], wanted: u64) -> Option<u64> {
    let mut found = 0;
    while !message.is_empty() {
        let key = varint(&mut message)?;
        if key & 7 != 0 {
            return None;
        }
        let value = varint(&mut message)?;
        if key >> 3 == wanted {
            found = value;
        }
    }
    Some(found)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;

    use super::{field, framed, number, problem, unframed};

    #[test]
    fn messages() {
        assert_eq!(framed(b"ab"), [0, 0, 0, 0, 2, b'a', b'b']);
        for (body, expect) in [
            (&[0, 0, 0, 0, 2, 8, 1][..], Some(&[8, 1][..])),
            (&[0, 0, 0, 0, 0], Some(&[])),
            (&[1, 0, 0, 0, 2, 8, 1], None),
            (&[0, 0, 0, 0, 3, 8, 1], None),
            (&[0, 0], None),
        ] {
            assert_eq!(unframed(body), expect, "{body:?}");
        }
        for value in [0, 1, 127, 128, 10_000, u64::MAX] {
            let message = [field(1, 1), field(2, value)].concat();
            assert_eq!(number(&message, 2), Some(value));
            assert_eq!(number(&message, 3), Some(0));
        }
        for wrong in [&[0x08][..], &[0x0a, 1, b'a'], &[0x08, 0x80], &[0xff; 12]] {
            assert_eq!(number(wrong, 1), None, "{wrong:?}");
        }
    }

    #[tokio::test]
    async fn nobody_there() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // It takes the connection and says nothing.
        let said = problem(address, Duration::from_millis(50)).await;
        assert!(said.unwrap().contains("no answer within"));
        drop(listener);
        let said = problem(address, Duration::from_secs(5)).await;
        assert!(said.unwrap().contains("no connection"));
    }
}
