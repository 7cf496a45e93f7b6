//! Waiting for events, and the smallest HTTP client that a test can do with.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

/// Asks again and again until there is an answer; panics with `what` after `patience`.
///
/// # Panics
/// When there is no answer in time.
#[track_caller]
pub fn eventually<T>(what: &str, patience: Duration, ask: impl FnMut() -> Option<T>) -> T {
    until(patience, ask).unwrap_or_else(|| panic!("not within {patience:?}: {what}"))
}

/// The pace of asking grows, so that quick events are seen at once and slow ones cost little.
pub(crate) fn until<T>(patience: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + patience;
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() > end {
            return None;
        }
        std::thread::park_timeout(pause);
        pause = (pause * 3 / 2).min(Duration::from_millis(250));
    }
}

/// Status and body of `GET path`; None when nobody answers.
#[must_use]
pub fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let (status, _, body) = request(address, "GET", path, &[], b"")?;
    Some((status, String::from_utf8_lossy(&body).into_owned()))
}

/// Status, head and body of an HTTP/1.0-style exchange over a connection of its own; None when nobody answers.
#[must_use]
pub fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<(u16, String, Vec<u8>)> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .ok()?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || method == "POST" {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    // A server may answer and close before it has read all of a body that it refuses.
    drop(stream.write_all(body));
    let mut answer = Vec::new();
    let mut chunk = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = stream.read(&mut chunk) {
        answer.extend_from_slice(chunk.get(..read)?);
    }
    let split = answer.windows(4).position(|it| it == b"\r\n\r\n")?;
    let (head, body) = answer.split_at(split);
    let head = String::from_utf8_lossy(head).into_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let body = body.get(4..)?.to_vec();
    let chunked = head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked");
    let body = if chunked { dechunk(&body)? } else { body };
    Some((status, head, body))
}

fn dechunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|it| it == b"\r\n")?;
        let size = std::str::from_utf8(rest.get(..end)?).ok()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        rest = rest.get(end + 2..)?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}
