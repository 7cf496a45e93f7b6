//! A scripted HTTP server: it gives the answers it was told to, faults included, and remembers what it heard.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// What the server does with one request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Status, headers and body.
    Reply(u16, Vec<(&'static str, String)>, String),
    /// The head of a longer answer, then the end of the connection.
    Truncated,
    /// Nothing, while the client waits.
    Hang,
    /// The connection ends at once.
    Close,
}

impl Answer {
    /// 200 with a body.
    #[must_use]
    pub fn ok(body: impl Into<String>) -> Self {
        Self::Reply(200, Vec::new(), body.into())
    }

    /// A status without headers.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Reply(status, Vec::new(), String::new())
    }
}

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Heard {
    /// When it was complete.
    pub at: Instant,
    /// `POST /path HTTP/1.1`.
    pub line: String,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
}

/// A server on 127.0.0.1; it ends with the test's process.
#[derive(Debug, Clone)]
pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    script: Vec<Answer>,
    heard: Vec<Heard>,
    /// Connections that hang; dropped with the server.
    hanging: Vec<TcpStream>,
}

impl Upstream {
    /// Starts a server that gives these answers in turn and repeats the last.
    ///
    /// # Panics
    /// When no port can be had, or the script is empty.
    #[must_use]
    pub fn start(script: Vec<Answer>) -> Self {
        assert!(!script.is_empty(), "a script has at least one answer");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port can be had");
        let address = listener.local_addr().expect("a listener has an address");
        let shared = Arc::new(Mutex::new(Shared {
            script,
            heard: Vec::new(),
            hanging: Vec::new(),
        }));
        let upstream = Self { address, shared };
        let server = upstream.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                std::thread::spawn(move || server.serve(stream));
            }
        });
        upstream
    }

    /// Where it answers.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:port` and a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// From here on it gives this answer alone.
    pub fn answer(&self, answer: Answer) {
        self.lock().script = vec![answer];
    }

    /// What it heard until now.
    #[must_use]
    pub fn heard(&self) -> Vec<Heard> {
        self.lock().heard.clone()
    }

    /// Waits until it has heard `count` requests.
    ///
    /// # Panics
    /// When they do not come in time.
    #[track_caller]
    pub fn wait_for(&self, count: usize, patience: Duration) -> Vec<Heard> {
        crate::eventually(&format!("{count} requests"), patience, || {
            let heard = self.heard();
            (heard.len() >= count).then_some(heard)
        })
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream) {
        let Ok(reading) = stream.try_clone() else {
            return;
        };
        let mut reader = BufReader::new(reading);
        let mut stream = stream;
        while let Some(heard) = read(&mut reader) {
            let answer = {
                let mut shared = self.lock();
                let next = shared.heard.len().min(shared.script.len() - 1);
                shared.heard.push(heard);
                shared.script.get(next).cloned()
            };
            let text = match answer {
                Some(Answer::Reply(status, headers, body)) => {
                    let mut text = format!(
                        "HTTP/1.1 {status} Scripted\r\nContent-Length: {}\r\n",
                        body.len()
                    );
                    for (name, value) in headers {
                        text.push_str(&format!("{name}: {value}\r\n"));
                    }
                    text + "\r\n" + &body
                }
                Some(Answer::Truncated) => {
                    let text = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf an ans";
                    drop(stream.write_all(text.as_bytes()));
                    return;
                }
                Some(Answer::Hang) => {
                    self.lock().hanging.push(stream);
                    return;
                }
                Some(Answer::Close) | None => return,
            };
            if stream.write_all(text.as_bytes()).is_err() {
                return;
            }
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Heard> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|it| *it > 0)?;
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok().filter(|it| *it > 0)?;
        match header.trim_end().split_once(':') {
            Some((name, value)) => {
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            None => break,
        }
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Heard {
        at: Instant::now(),
        line: line.trim_end().to_owned(),
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}
