//! `grpc.health.v1`: the messages of a health check, and the five bytes before each message of gRPC.

use prost::Message;

/// `HealthCheckRequest`.
#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(string, tag = "1")]
    service: String,
}

/// `HealthCheckResponse`.
#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(enumeration = "Health", tag = "1")]
    status: i32,
}

/// `HealthCheckResponse.ServingStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum Health {
    Unknown = 0,
    Serving = 1,
    NotServing = 2,
    ServiceUnknown = 3,
}

/// Compressed or not, and the length.
const PREFIX: usize = 5;

/// A request, with what stands before it.
pub(super) fn request(service: &str) -> Vec<u8> {
    let message = Request {
        service: service.to_owned(),
    };
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut bytes = vec![0];
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&message);
    bytes
}

/// What an answer says; None when it is none, or compressed, which nobody asked for.
pub(crate) fn answer(body: &[u8]) -> Option<Health> {
    let (prefix, message) = body.split_at_checked(PREFIX)?;
    let (compressed, length) = prefix.split_first()?;
    let length = u32::from_be_bytes(length.try_into().ok()?);
    if *compressed != 0 || usize::try_from(length).ok()? != message.len() {
        return None;
    }
    let response = Response::decode(message).ok()?;
    Health::try_from(response.status).ok()
}

#[cfg(test)]
mod tests {
    use super::{Health, answer, request};

    #[test]
    fn messages() {
        assert_eq!(request(""), [0, 0, 0, 0, 0]);
        assert_eq!(request("ab"), [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        for (body, expect) in [
            (&[0, 0, 0, 0, 2, 0x08, 1][..], Some(Health::Serving)),
            (&[0, 0, 0, 0, 2, 0x08, 2], Some(Health::NotServing)),
            (&[0, 0, 0, 0, 2, 0x08, 3], Some(Health::ServiceUnknown)),
            // A status of 0 is not written.
            (&[0, 0, 0, 0, 0], Some(Health::Unknown)),
            (&[0, 0, 0, 0, 2, 0x08, 9], None),
            (&[1, 0, 0, 0, 2, 0x08, 1], None),
            (&[0, 0, 0, 0, 3, 0x08, 1], None),
            (&[0, 0, 0, 0, 1, 0x08], None),
            (&[0, 0, 0], None),
            (b"404 page not found\n", None),
        ] {
            assert_eq!(answer(body), expect, "{body:?}");
        }
    }
}
