//! The HTTP/1.1 server: what a handler gets and gives, and what surrounds it.

mod body;
pub(crate) mod gzip;
pub(crate) mod landing;
pub(crate) mod server;

use std::{future::Future, net::SocketAddr, pin::Pin, time::Duration};

pub use body::ReplyBody;
use http_body_util::{BodyExt, Limited};
pub use server::Limits;

pub use hyper::{Method, StatusCode, body::Bytes, header};
use hyper::{body::Incoming, http::request::Parts};

/// How long a client may take to send a body.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// What a client sent.
#[derive(Debug)]
pub struct Request {
    parts: Parts,
    body: Incoming,
    peer: SocketAddr,
}

/// What it gets.
pub type Reply = hyper::Response<ReplyBody>;

/// Answers the requests that a program does not answer like every other.
pub trait Handler: Send + Sync + 'static {
    /// The answer; the server ends it after its deadline.
    fn handle(&self, request: Request) -> Pin<Box<dyn Future<Output = Reply> + Send + '_>>;
}

impl<F, Answer> Handler for F
where
    F: Fn(Request) -> Answer + Send + Sync + 'static,
    Answer: Future<Output = Reply> + Send + 'static,
{
    fn handle(&self, request: Request) -> Pin<Box<dyn Future<Output = Reply> + Send + '_>> {
        Box::pin(self(request))
    }
}

impl Request {
    pub(crate) fn new(request: hyper::Request<Incoming>, peer: SocketAddr) -> Self {
        let (parts, body) = request.into_parts();
        Self { parts, body, peer }
    }

    /// The method.
    #[must_use]
    pub const fn method(&self) -> &Method {
        &self.parts.method
    }

    /// The path, as sent (not decoded).
    #[must_use]
    pub fn path(&self) -> &str {
        self.parts.uri.path()
    }

    /// The query without its `?`; empty when there is none.
    #[must_use]
    pub fn query(&self) -> &str {
        self.parts.uri.query().unwrap_or("")
    }

    /// Name and value pairs of the query, percent-decoded, in order.
    #[must_use]
    pub fn query_pairs(&self) -> Vec<(String, String)> {
        query_pairs(self.query())
    }

    /// A header, when it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    /// Who sent it.
    #[must_use]
    pub const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Reads the body.
    ///
    /// # Errors
    /// The reply to give when it has more than `max` bytes (413), does not come in ten seconds (408) or breaks off (400).
    pub async fn body(self, max: usize) -> Result<Bytes, Reply> {
        let limited = Limited::new(self.body, max);
        #[expect(clippy::disallowed_methods, reason = "this is the capped reader")]
        let collected = tokio::time::timeout(BODY_DEADLINE, limited.collect()).await;
        match collected {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(text(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the body has more than {max} bytes\n"),
            )),
            Ok(Err(error)) => Err(text(
                StatusCode::BAD_REQUEST,
                format!("cannot read the body: {error}\n"),
            )),
            Err(_) => Err(text(
                StatusCode::REQUEST_TIMEOUT,
                format!(
                    "the body did not come within {} s\n",
                    BODY_DEADLINE.as_secs()
                ),
            )),
        }
    }
}

/// A reply with a body of some type.
pub fn reply(status: StatusCode, content_type: &'static str, body: impl Into<ReplyBody>) -> Reply {
    let mut reply = Reply::new(body.into());
    *reply.status_mut() = status;
    let content_type = header::HeaderValue::from_static(content_type);
    reply
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    reply
}

/// A reply of plain text.
pub fn text(status: StatusCode, body: impl Into<Bytes>) -> Reply {
    reply(status, "text/plain; charset=utf-8", body)
}

/// A reply of HTML.
pub fn html(status: StatusCode, body: impl Into<Bytes>) -> Reply {
    reply(status, "text/html; charset=utf-8", body)
}

/// A reply of JSON.
pub fn json(status: StatusCode, body: impl Into<ReplyBody>) -> Reply {
    reply(status, "application/json", body)
}

/// Nothing is here.
#[must_use]
pub fn not_found() -> Reply {
    text(StatusCode::NOT_FOUND, "404 page not found\n")
}

/// Another method is wanted; `allow` lists it.
#[must_use]
pub fn method_not_allowed(allow: &'static str) -> Reply {
    let mut reply = text(StatusCode::METHOD_NOT_ALLOWED, format!("use {allow}\n"));
    let allow = header::HeaderValue::from_static(allow);
    reply.headers_mut().insert(header::ALLOW, allow);
    reply
}

/// Text for HTML, inside and outside of attributes in quotes.
#[must_use]
pub fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// `a=b&c=d` decoded (`application/x-www-form-urlencoded`); what is no UTF-8 after decoding is replaced.
#[must_use]
pub fn query_pairs(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|it| !it.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decode(name), percent_decode(value))
        })
        .collect()
}

/// `%41+b` to `A b`; a `%` that starts no escape stays.
#[must_use]
pub fn percent_decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        match (first, tail) {
            (b'+', _) => out.push(b' '),
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    out.push(high * 16 + low);
                    rest = after;
                }
                _ => out.push(b'%'),
            },
            _ => out.push(first),
        }
    }
    String::from_utf8(out).unwrap_or_else(|it| String::from_utf8_lossy(it.as_bytes()).into_owned())
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::query_pairs;

    #[test]
    fn queries() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        for (query, expect) in [
            ("", vec![]),
            ("a=b&&c", vec![pair("a", "b"), pair("c", "")]),
            (
                "collect%5B%5D=cpu&collect[]=a%20b+c",
                vec![pair("collect[]", "cpu"), pair("collect[]", "a b c")],
            ),
            ("a=%zz%4", vec![pair("a", "%zz%4")]),
            ("a=%ff", vec![pair("a", "\u{fffd}")]),
            ("a=b=c", vec![pair("a", "b=c")]),
        ] {
            assert_eq!(query_pairs(query), expect, "{query}");
        }
    }
}
