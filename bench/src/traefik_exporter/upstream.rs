//! The server behind Traefik: it answers at once, and `/health` as it is told to.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Ends with the process.
pub(super) struct Upstream {
    address: SocketAddr,
    is_well: Arc<AtomicBool>,
}

impl Upstream {
    pub(super) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let is_well = Arc::new(AtomicBool::new(true));
        let known = Arc::clone(&is_well);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let known = Arc::clone(&known);
                // A connection that ends is no fault.
                std::thread::spawn(move || drop(serve(stream, &known)));
            }
        });
        Ok(Self { address, is_well })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it is well from now on: if it was not.
    pub(super) fn change(&self) -> bool {
        !self.is_well.fetch_not(Ordering::AcqRel)
    }
}

fn serve(stream: TcpStream, is_well: &AtomicBool) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    loop {
        let (mut first, mut line) = (String::new(), String::new());
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        while line != "\r\n" {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
        }
        let is_ill = first.starts_with("GET /health ") && !is_well.load(Ordering::Acquire);
        let status = if is_ill { "503 No" } else { "200 OK" };
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nhi");
        reader.get_mut().write_all(head.as_bytes())?;
    }
}
