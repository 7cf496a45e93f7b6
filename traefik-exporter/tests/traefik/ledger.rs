//! A stand-in for a ledger: gRPC over HTTP/2 without TLS, of which it speaks just enough to say whether it serves (RFC 9113, RFC 7541,
//! grpc.health.v1).

use std::{
    io::{BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

const PREFACE: usize = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();
/// Types of frames.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
/// Flags. The first is the end of a stream, or an acknowledgement.
const END: u8 = 1;
const END_HEADERS: u8 = 4;
/// `:status: 200` and `content-type: application/grpc`.
const HEAD: &[u8] = b"\x88\x0f\x10\x10application/grpc";
/// `grpc-status: 0`.
const TRAILER: &[u8] = b"\x00\x0bgrpc-status\x010";

/// It ends with the test's process.
pub(crate) struct Ledger(Arc<AtomicBool>);

impl Ledger {
    /// One that listens at all of these, and serves.
    pub(crate) fn start(listeners: Vec<TcpListener>) -> Self {
        let serves = Arc::new(AtomicBool::new(true));
        for listener in listeners {
            let serves = Arc::clone(&serves);
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let serves = Arc::clone(&serves);
                    std::thread::spawn(move || speak(stream, &serves));
                }
            });
        }
        Self(serves)
    }

    /// What it says from now on.
    pub(crate) fn serves(&self, serves: bool) {
        self.0.store(serves, Ordering::Release);
    }
}

/// The same port of several addresses of this machine.
pub(crate) fn same_port<const N: usize>(addresses: [[u8; 4]; N]) -> [TcpListener; N] {
    for _ in 0..100 {
        let mut port = 0;
        let listeners = addresses.map(|it| {
            let listener = TcpListener::bind(SocketAddr::from((it, port))).ok()?;
            port = listener.local_addr().ok()?.port();
            Some(listener)
        });
        if listeners.iter().all(Option::is_some) {
            return listeners.map(Option::unwrap);
        }
    }
    panic!("no port is free at all of them");
}

fn speak(stream: TcpStream, serves: &AtomicBool) -> Option<()> {
    let mut out = stream.try_clone().ok()?;
    let mut reader = BufReader::new(stream);
    reader.read_exact(&mut [0; PREFACE]).ok()?;
    out.write_all(&frame(SETTINGS, 0, 0, &[])).ok()?;
    loop {
        let mut head = [0; 9];
        reader.read_exact(&mut head).ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        reader.read_exact(&mut payload).ok()?;
        let is_end = flags & END != 0;
        let answer = match kind {
            SETTINGS if !is_end => frame(SETTINGS, END, 0, &[]),
            PING if !is_end => frame(PING, END, 0, &payload),
            DATA | HEADERS if is_end => {
                // SERVING is 1, NOT_SERVING 2.
                let status = if serves.load(Ordering::Acquire) { 1 } else { 2 };
                let stream = u32::from_be_bytes(stream);
                [
                    frame(HEADERS, END_HEADERS, stream, HEAD),
                    frame(DATA, 0, stream, &[0, 0, 0, 0, 2, 8, status]),
                    frame(HEADERS, END_HEADERS | END, stream, TRAILER),
                ]
                .concat()
            }
            _ => continue,
        };
        out.write_all(&answer).ok()?;
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&size[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}
