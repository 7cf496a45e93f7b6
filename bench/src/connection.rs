//! The smallest client that keeps its connection: what it costs is the same for both programs.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
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
            address,
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
        self.exchange("GET", path, encoding, b"")
    }

    /// Posts JSON, which must be taken.
    pub(crate) fn post(&mut self, path: &str, body: &str) -> io::Result<()> {
        let headers = format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        );
        self.exchange("POST", path, &headers, body.as_bytes())?;
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
    ) -> io::Result<usize> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n",
            self.address
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
        if chunked {
            loop {
                let size = usize::from_str_radix(&self.line()?, 16).map_err(io::Error::other)?;
                self.read(size)?;
                self.line()?;
                if size == 0 {
                    break;
                }
            }
        } else {
            self.read(length)?;
        }
        let status = status.unwrap_or_default();
        if status.contains(" 200 ") {
            return Ok(self.body.len());
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

    fn read(&mut self, bytes: usize) -> io::Result<()> {
        let mut part = Read::by_ref(&mut self.stream).take(bytes.try_into().unwrap_or(u64::MAX));
        if part.read_to_end(&mut self.body)? < bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}
