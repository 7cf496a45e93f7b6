//! Where a program answers: addresses, and sockets that systemd hands over.

use std::{io, net::SocketAddr};

use tokio::net::{TcpListener, lookup_host};

use crate::WebFlags;

/// Why a program cannot answer where it should.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Not `host:port`.
    #[error("--web.listen-address={0:?} is not of the form host:port, [host]:port or :port")]
    Address(String),
    /// The host has no address.
    #[error("cannot find the address of --web.listen-address={address}")]
    Resolve {
        /// As given.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The port is another's, or not for this user.
    #[error("cannot listen on {address}; choose another with --web.listen-address")]
    Bind {
        /// As given.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// `--web.systemd-socket` without sockets.
    #[error(
        "--web.systemd-socket is set, but systemd passed no listening TCP socket: start it by its .socket unit"
    )]
    NoSockets,
    /// A passed socket is of no use.
    #[error("cannot use socket number {number} passed by systemd")]
    Socket {
        /// Counted from 0.
        number: usize,
        /// Why.
        source: io::Error,
    },
}

/// Opens everything that the flags name, or nothing.
pub(crate) async fn listeners(flags: &WebFlags) -> Result<Vec<TcpListener>, ListenError> {
    if flags.systemd_socket {
        return passed();
    }
    let mut listeners = Vec::new();
    for address in &flags.listen {
        listeners.push(bind(address).await?);
    }
    Ok(listeners)
}

fn passed() -> Result<Vec<TcpListener>, ListenError> {
    let mut passed = listenfd::ListenFd::from_env();
    let mut listeners = Vec::new();
    for number in 0..passed.len() {
        let take = |source| ListenError::Socket { number, source };
        if let Some(listener) = passed.take_tcp_listener(number).map_err(take)? {
            listener.set_nonblocking(true).map_err(take)?;
            listeners.push(TcpListener::from_std(listener).map_err(take)?);
        }
    }
    if listeners.is_empty() {
        return Err(ListenError::NoSockets);
    }
    Ok(listeners)
}

async fn bind(address: &str) -> Result<TcpListener, ListenError> {
    let (host, port) = address
        .rsplit_once(':')
        .filter(|(host, port)| {
            let bracketed = host.starts_with('[') == host.ends_with(']');
            bracketed
                && (!host.contains(':') || host.starts_with('['))
                && port.parse::<u16>().is_ok()
        })
        .ok_or_else(|| ListenError::Address(address.to_owned()))?;
    let candidates: Vec<SocketAddr> = if host.is_empty() {
        // As Go does: IPv6 with IPv4 in it, IPv4 alone where the kernel has no IPv6.
        let port = port.parse().unwrap_or(0);
        vec![
            (std::net::Ipv6Addr::UNSPECIFIED, port).into(),
            (std::net::Ipv4Addr::UNSPECIFIED, port).into(),
        ]
    } else {
        let found = lookup_host(address).await;
        let found = found.map_err(|source| ListenError::Resolve {
            address: address.to_owned(),
            source,
        })?;
        found.collect()
    };
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for candidate in candidates {
        match TcpListener::bind(candidate).await {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                last = error;
                break;
            }
            Err(error) => last = error,
        }
    }
    Err(ListenError::Bind {
        address: address.to_owned(),
        source: last,
    })
}

#[cfg(test)]
mod tests {
    use super::{ListenError, bind};

    #[tokio::test]
    async fn addresses() {
        for bad in [
            "",
            "9100",
            "localhost",
            "127.0.0.1:http",
            ":70000",
            "::1:9100",
            "[::1:9100",
            "::1]:9100",
        ] {
            let error = bind(bad).await.unwrap_err();
            assert!(matches!(error, ListenError::Address(_)), "{bad}: {error}");
        }
        let listener = bind("127.0.0.1:0").await.unwrap();
        let taken = listener.local_addr().unwrap().to_string();
        let error = bind(&taken).await.unwrap_err();
        assert_eq!(
            crate::chain(&error).to_string(),
            format!(
                "cannot listen on {taken}; choose another with --web.listen-address: Address already in use (os error 98)"
            )
        );
    }
}
