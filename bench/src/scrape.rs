//! The smallest client that keeps its connection: what it costs is the same for both programs.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Self {
            stream: BufReader::new(stream),
            address,
        })
    }

    /// One scrape; the size of its body.
    pub(crate) fn scrape(&mut self, gzip: bool) -> io::Result<usize> {
        let encoding = if gzip {
            "Accept-Encoding: gzip\r\n"
        } else {
            ""
        };
        let request = format!(
            "GET /metrics HTTP/1.1\r\nHost: {}\r\n{encoding}\r\n",
            self.address
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let (mut length, mut chunked, mut first) = (0, false, true);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if std::mem::take(&mut first) && !line.contains(" 200 ") {
                return Err(io::Error::other(format!("unexpected answer: {line}")));
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
            chunked |= line == "transfer-encoding: chunked";
            if line.is_empty() {
                break;
            }
        }
        if !chunked {
            self.skip(length)?;
            return Ok(length);
        }
        let mut total = 0;
        loop {
            let size = usize::from_str_radix(&self.line()?, 16).map_err(io::Error::other)?;
            self.skip(size + 2)?;
            total += size;
            if size == 0 {
                return Ok(total);
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }

    fn skip(&mut self, bytes: usize) -> io::Result<()> {
        let mut rest = vec![0; bytes];
        self.stream.read_exact(&mut rest)
    }
}
