//! An API that answers by path.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

/// What a path gives.
#[derive(Clone)]
pub(crate) enum Page {
    /// Status and body.
    Reply(u16, String),
    /// The head, and then these pieces, again and again, for as long as somebody reads: chunked.
    Endless(&'static str),
    /// The head, and a byte now and then.
    Trickle,
    /// A head that promises more than there is.
    Truncated,
    /// A head that never ends.
    EndlessHead,
    /// Nothing.
    Hang,
}

/// It ends with the test's process.
#[derive(Clone)]
pub(crate) struct Fake {
    address: SocketAddr,
    pages: Arc<Mutex<Vec<(String, Page)>>>,
    connections: Arc<Mutex<usize>>,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let fake = Self {
            address: listener.local_addr().unwrap(),
            pages: Arc::default(),
            connections: Arc::default(),
            heard: Arc::default(),
        };
        let server = fake.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                *server.connections.lock().unwrap() += 1;
                let server = server.clone();
                std::thread::spawn(move || server.serve(stream));
            }
        });
        fake
    }

    /// One that answers well, with nothing in it.
    pub(crate) fn good() -> Self {
        let fake = Self::start();
        fake.set("/api/rawdata", Page::Reply(200, "{}".to_owned()));
        fake.set("/api/version", Page::Reply(200, "{}".to_owned()));
        fake.set("/api/overview", Page::Reply(200, "{}".to_owned()));
        fake.set("/api/entrypoints", Page::Reply(200, "[]".to_owned()));
        fake
    }

    pub(crate) fn set(&self, path: &str, page: Page) {
        let mut pages = self.pages.lock().unwrap();
        pages.retain(|it| it.0 != path);
        pages.push((path.to_owned(), page));
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }

    /// Heads of requests.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        loop {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if reader.read_line(&mut head).ok()? == 0 {
                    return None;
                }
            }
            let path = head.split(' ').nth(1)?.to_owned();
            self.heard.lock().unwrap().push(head);
            let page = {
                let pages = self.pages.lock().unwrap();
                let page = pages.iter().find(|it| it.0 == path);
                page.map_or(Page::Reply(404, "404 page not found\n".into()), |it| {
                    it.1.clone()
                })
            };
            let mut say = |text: &str| stream.write_all(text.as_bytes()).ok();
            match page {
                Page::Reply(status, body) => {
                    let length = body.len();
                    say(&format!(
                        "HTTP/1.1 {status} Fake\r\nContent-Length: {length}\r\nLocation: /login\r\n\r\n{body}"
                    ))?;
                }
                Page::Endless(piece) => {
                    say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
                    let piece = piece.repeat(1 + (1 << 16) / piece.len());
                    let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
                    loop {
                        say(&chunk)?;
                    }
                }
                Page::Trickle => {
                    say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
                    loop {
                        say("1\r\n \r\n")?;
                        std::thread::park_timeout(std::time::Duration::from_millis(50));
                    }
                }
                Page::Truncated => {
                    return say("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"routers\":{");
                }
                Page::EndlessHead => {
                    say("HTTP/1.1 200 OK\r\n")?;
                    loop {
                        say("X-More: and more\r\n")?;
                    }
                }
                Page::Hang => loop {
                    // Until the client goes away.
                    let mut line = String::new();
                    if reader.read_line(&mut line).ok()? == 0 {
                        return None;
                    }
                },
            }
        }
    }
}
