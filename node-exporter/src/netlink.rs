//! The kernel's answers over netlink (netlink(7)): a question, and the messages of its dump.

use std::{collections::BTreeMap, io, os::fd::OwnedFd, time::Duration};

use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType,
    sockopt::{Timeout, set_socket_timeout},
};

/// The kernel answers at once, or not at all.
const PATIENCE: Duration = Duration::from_secs(2);
/// The kernel's dumps come in pieces of at most 32 KiB (`NLMSG_GOODSIZE`).
const PIECE: usize = 64 << 10;
/// A dump of more messages is of no host that we know.
const MAX_MESSAGES: usize = 1 << 20;
const HEADER: usize = 16;

const REQUEST: u16 = 1;
const DUMP: u16 = 0x300;
const ERROR: u16 = 2;
const DONE: u16 = 3;

/// `RTM_GETLINK` (rtnetlink(7)).
const GETLINK: u16 = 18;
const IFLA_IFNAME: u16 = 3;

/// Asks for a dump and gives the messages' bodies. `protocol` is none for routes and links.
///
/// # Errors
/// When the kernel has no such protocol, refuses, or does not answer.
pub(crate) fn dump(protocol: Option<Protocol>, kind: u16, body: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let socket: OwnedFd = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        protocol,
    )?;
    set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
    let length = u32::try_from(HEADER + body.len()).map_err(io::Error::other)?;
    let mut question = Vec::with_capacity(HEADER + body.len());
    question.extend(length.to_ne_bytes());
    question.extend(kind.to_ne_bytes());
    question.extend((REQUEST | DUMP).to_ne_bytes());
    question.extend([0; 8]);
    question.extend(body);
    rustix::net::send(&socket, &question, SendFlags::empty())?;
    let mut found = Vec::new();
    let mut piece = vec![0; PIECE];
    loop {
        let (_, read) = rustix::net::recv(&socket, piece.as_mut_slice(), RecvFlags::empty())?;
        let mut rest = piece.get(..read).unwrap_or_default();
        if rest.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        while let Some((kind, body, next)) = message(rest) {
            rest = next;
            match kind {
                DONE => return Ok(found),
                ERROR => {
                    let code = i32_at(body, 0).unwrap_or_default();
                    return Err(io::Error::from_raw_os_error(-code));
                }
                _ => found.push(body.to_vec()),
            }
        }
        if found.len() > MAX_MESSAGES {
            return Err(io::Error::other("the kernel's list has no end"));
        }
    }
}

/// The names of the network's devices by number.
pub(crate) fn links() -> io::Result<BTreeMap<i32, String>> {
    // struct ifinfomsg, of every kind.
    let messages = dump(None, GETLINK, &[0; 16])?;
    Ok(messages.iter().filter_map(|it| link(it)).collect())
}

pub(crate) fn link(body: &[u8]) -> Option<(i32, String)> {
    let name = attributes(body.get(16..)?)
        .find(|(kind, _)| *kind == IFLA_IFNAME)?
        .1;
    Some((i32_at(body, 4)?, text(name)))
}

/// The first message's type and body, and what follows it.
pub(crate) fn message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = usize::try_from(u32_at(bytes, 0)?).ok()?;
    let body = bytes.get(HEADER..length)?;
    Some((
        u16_at(bytes, 4)?,
        body,
        bytes.get(padded(length)..).unwrap_or_default(),
    ))
}

/// The attributes in a message's body: their type without flags, and their value.
pub(crate) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(rest, 0)?);
        let value = rest.get(4..length)?;
        let kind = u16_at(rest, 2)? & 0x3fff;
        rest = rest.get(padded(length)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// Messages and attributes start at multiples of four.
const fn padded(length: usize) -> usize {
    (length + 3) & !3
}

/// Text up to its NUL.
pub(crate) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|it| *it == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_ne_bytes)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_ne_bytes)
}

pub(crate) fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    array(bytes, at).map(i32::from_ne_bytes)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::{attributes, links, message, text};

    #[test]
    fn every_host_has_a_loopback_device() {
        assert!(links().unwrap().values().any(|it| it == "lo"));
    }

    #[test]
    fn cut_messages_end_there() {
        let mut bytes = vec![20, 0, 0, 0, 18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4];
        assert_eq!(
            message(&bytes),
            Some((18, [1, 2, 3, 4].as_slice(), [].as_slice()))
        );
        bytes.pop();
        assert_eq!(message(&bytes), None);
        assert_eq!(message(&[]), None);
        let found: Vec<_> = attributes(&[5, 0, 3, 0, b'x', 0, 0, 0, 9, 0, 4, 0, 1]).collect();
        assert_eq!(found, [(3, b"x".as_slice())]);
        assert_eq!(attributes(&[0, 0, 0, 0]).count(), 0);
        assert_eq!(text(b"eth0\0x"), "eth0");
    }
}
