//! Compression of replies for clients that ask for it.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use hyper::{
    body::Bytes,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderValue, VARY},
};

use super::Reply;

/// Smaller bodies fit one packet anyway.
const WORTHWHILE: u64 = 1024;

/// Larger bodies are compressed beside the event loop.
const LARGE: u64 = 256 * 1024;

/// Whether a client takes gzip (RFC 9110, section 12.5.3).
pub(crate) fn accepted(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING);
    let named = |coding: &str| {
        values
            .iter()
            .filter_map(|it| it.to_str().ok())
            .flat_map(|it| it.split(',').take(16))
            .find_map(|it| {
                let (name, parameters) = it.split_once(';').unwrap_or((it, ""));
                let quality = parameters.trim().strip_prefix("q=").unwrap_or("1");
                let matches = name.trim().eq_ignore_ascii_case(coding);
                matches.then(|| quality.parse::<f64>().is_ok_and(|it| it > 0.0))
            })
    };
    named("gzip").or_else(|| named("*")).unwrap_or(false)
}

/// Compresses a reply that is worth it and is not compressed.
pub(crate) async fn compress(mut reply: Reply) -> Reply {
    let size = reply.body().size().unwrap_or(0);
    if size < WORTHWHILE || reply.headers().contains_key(CONTENT_ENCODING) {
        return reply;
    }
    let Some(parts) = reply.body().whole() else {
        return reply;
    };
    let packed = if size < LARGE {
        pack(&parts)
    } else {
        let packed = tokio::task::spawn_blocking(move || pack(&parts)).await;
        packed.unwrap_or(None)
    };
    let Some(packed) = packed else {
        return reply;
    };
    *reply.body_mut() = packed.into();
    let headers = reply.headers_mut();
    headers.remove(CONTENT_LENGTH);
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    reply
}

/// None cannot happen: a `Vec` takes every byte.
fn pack(parts: &[Bytes]) -> Option<Bytes> {
    let size = parts.iter().map(Bytes::len).sum::<usize>();
    let mut encoder = GzEncoder::new(Vec::with_capacity(size / 6), Compression::fast());
    parts.iter().try_for_each(|it| encoder.write_all(it)).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use hyper::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};

    use super::accepted;

    #[test]
    fn who_gets_gzip() {
        for (value, expect) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip;q=0, *", false),
            ("*", true),
            ("identity", false),
            ("", false),
            ("gzip;q=x", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(accepted(&headers), expect, "{value}");
        }
        assert!(!accepted(&HeaderMap::new()));
    }
}
