//! A webhook receiver that answers at once and remembers when it heard.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// As many connections may wait to be taken, for one program calls for all its groups at once.
const BACKLOG: i32 = 4096;
/// Of a connection's thread: there may be thousands.
const STACK: usize = 128 * 1024;

/// Ends with the process.
pub(crate) struct Receiver {
    address: SocketAddr,
    heard: Arc<(Mutex<Vec<Instant>>, Condvar)>,
}

impl Receiver {
    pub(crate) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        // A second time: the standard library's is for 128.
        rustix::net::listen(&listener, BACKLOG)?;
        let receiver = Self {
            address: listener.local_addr()?,
            heard: Arc::default(),
        };
        let heard = Arc::clone(&receiver.heard);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let heard = Arc::clone(&heard);
                let serve = move || {
                    // A connection that ends is no fault.
                    drop(serve(stream, &heard));
                };
                let thread = std::thread::Builder::new().stack_size(STACK);
                // The caller sees a connection that ends.
                drop(thread.spawn(serve));
            }
        });
        Ok(receiver)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(crate) fn count(&self) -> usize {
        self.heard
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// Waits for the `count`th call, and says when it was read.
    pub(crate) fn nth(&self, count: usize, patience: Duration) -> io::Result<Instant> {
        let (heard, changed) = &*self.heard;
        let heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = |heard: &mut Vec<Instant>| heard.len() < count;
        let (heard, _) = changed
            .wait_timeout_while(heard, patience, missing)
            .unwrap_or_else(PoisonError::into_inner);
        let found = count.checked_sub(1).and_then(|it| heard.get(it));
        found.copied().ok_or_else(|| {
            io::Error::other(format!(
                "{} of {count} notifications within {patience:?}",
                heard.len()
            ))
        })
    }
}

fn serve(stream: TcpStream, heard: &(Mutex<Vec<Instant>>, Condvar)) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    loop {
        let (mut length, mut lines) = (0, 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
            lines += 1;
        }
        if lines == 0 {
            return Ok(());
        }
        io::copy(&mut Read::by_ref(&mut reader).take(length), &mut io::sink())?;
        {
            let (heard, changed) = heard;
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.push(Instant::now());
            changed.notify_all();
        }
        reader
            .get_mut()
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
    }
}
