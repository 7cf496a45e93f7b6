//! The smallest client that keeps its connection: what it costs is the same for both programs.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// What becomes of a body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Body,
    Nothing,
}

pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    host: String,
    /// The last answer's body.
    body: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self {
            stream: BufReader::with_capacity(256 * 1024, stream),
            host: address.to_string(),
            body: Vec::new(),
        })
    }

    /// Gets a path; the size of the body.
    pub(crate) fn get(&mut self, path: &str, gzip: bool) -> io::Result<usize> {
        let encoding = if gzip {
            "Accept-Encoding: gzip\r\n"
        } else {
            ""
        };
        self.exchange("GET", path, encoding, b"", Keep::Body)
    }

    /// Gets a path and throws the body away; its size.
    pub(crate) fn discard(&mut self, path: &str) -> io::Result<usize> {
        self.exchange("GET", path, "", b"", Keep::Nothing)
    }

    /// Gets a path of a host that the server has among others.
    pub(crate) fn get_of(&mut self, host: &str, path: &str) -> io::Result<usize> {
        self.host = host.to_owned();
        self.get(path, false)
    }

    /// Posts JSON, which must be taken.
    pub(crate) fn post(&mut self, path: &str, body: &str) -> io::Result<()> {
        let headers = format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        );
        self.exchange("POST", path, &headers, body.as_bytes(), Keep::Body)?;
        Ok(())
    }

    /// The last answer's body.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    fn exchange(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
        keep: Keep,
    ) -> io::Result<usize> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n",
            self.host
        );
        let stream = self.stream.get_mut();
        stream.write_all(&[head.as_bytes(), body].concat())?;
        let (mut length, mut chunked, mut status) = (0, false, None);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
            chunked |= line == "transfer-encoding: chunked";
            if line.is_empty() {
                break;
            }
            status.get_or_insert(line);
        }
        self.body.clear();
        let mut read = 0;
        if chunked {
            loop {
                let size = usize::from_str_radix(&self.line()?, 16).map_err(io::Error::other)?;
                self.read(size, keep)?;
                read += size;
                self.line()?;
                if size == 0 {
                    break;
                }
            }
        } else {
            self.read(length, keep)?;
            read = length;
        }
        let status = status.unwrap_or_default();
        if status.contains(" 200 ") {
            return Ok(read);
        }
        let said: String = String::from_utf8_lossy(&self.body)
            .chars()
            .take(200)
            .collect();
        Err(io::Error::other(format!(
            "unexpected answer to {method} {path}: {status}: {said}"
        )))
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }

    fn read(&mut self, bytes: usize, keep: Keep) -> io::Result<()> {
        let mut left = bytes;
        while left > 0 {
            let found = self.stream.fill_buf()?;
            let found = found.get(..left.min(found.len())).unwrap_or_default();
            if found.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if keep == Keep::Body {
                self.body.extend_from_slice(found);
            }
            let count = found.len();
            self.stream.consume(count);
            left -= count;
        }
        Ok(())
    }
}
