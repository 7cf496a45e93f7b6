//! A stand-in for a ledger: gRPC-Go's server with its health service, which is what a client of a ledger meets first.

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
};

use rustix::process::Signal;
use testkit::{Program, Running};

pub(crate) struct Ledger(Running);

impl Ledger {
    /// One that listens at these addresses, and serves.
    pub(crate) fn at(addresses: &[SocketAddr]) -> Self {
        let ledger = Self(
            program()
                .args(addresses.iter().map(ToString::to_string))
                .start(),
        );
        let last = addresses.len().saturating_sub(1);
        let _listens = ledger.0.nth_address(last);
        ledger
    }

    /// One at a port of the system's choosing.
    pub(crate) fn start() -> Self {
        Self::at(&[SocketAddr::from(([127, 0, 0, 1], 0))])
    }

    /// The same, with TLS.
    pub(crate) fn with_tls(cert: &Path, key: &Path) -> Self {
        let program = program().arg_path("-cert", cert).arg_path("-key", key);
        Self(program.args(["127.0.0.1:0"]).start())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// What it says from now on.
    pub(crate) fn serves(&self, serves: bool) {
        let signal = if serves { Signal::USR2 } else { Signal::USR1 };
        self.0.signal(signal);
    }
}

fn program() -> Program {
    let folder = testkit::root().join("traefik-exporter/tests/ledger");
    Program::at(parts::go_program(&folder, "ledger").unwrap())
}

/// A port that is free at several addresses of this machine, at each of them.
pub(crate) fn same_port<const N: usize>(addresses: [[u8; 4]; N]) -> [SocketAddr; N] {
    for _ in 0..100 {
        let mut port = 0;
        let listeners = addresses.map(|it| {
            let listener = TcpListener::bind(SocketAddr::from((it, port))).ok()?;
            port = listener.local_addr().ok()?.port();
            Some(listener)
        });
        if listeners.iter().all(Option::is_some) {
            return addresses.map(|it| SocketAddr::from((it, port)));
        }
    }
    panic!("no port is free at all of them");
}
