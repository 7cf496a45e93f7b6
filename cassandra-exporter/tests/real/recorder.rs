//! Keeps what a real node answers, for `tests/golden.rs`: `RECORD=1` writes `tests/fixtures/<version>.jsonl`, an answer a line.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex},
};

use testkit::request;

pub(crate) struct Recorder {
    pub(crate) address: SocketAddr,
    answers: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    /// Stands before a node.
    pub(crate) fn start(node: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answers = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&answers);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut lines = Vec::new();
                loop {
                    let mut line = String::new();
                    let read = reader.read_line(&mut line).unwrap_or(0);
                    if read == 0 || line == "\r\n" {
                        break;
                    }
                    lines.push(line.trim_end().to_owned());
                }
                let Some((first, headers)) = lines.split_first() else {
                    continue;
                };
                let headers: Vec<_> = headers
                    .iter()
                    .filter_map(|it| it.split_once(": "))
                    .collect();
                let header = |name: &str| {
                    let found = headers.iter().find(|it| it.0.eq_ignore_ascii_case(name));
                    found.map(|it| it.1)
                };
                let length = header("content-length").map_or(0, |it| it.parse().unwrap());
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let words: Vec<_> = first.split(' ').collect();
                let login = header("authorization").unwrap_or_default();
                let login = [("Authorization", login)];
                let (status, _, answer) = request(node, words[0], words[1], &login, &body).unwrap();
                let answer = String::from_utf8(answer).unwrap();
                kept.lock().unwrap().push(answer.replace('\n', " "));
                let mut stream = stream;
                let head = format!(
                    "HTTP/1.1 {status} x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                    answer.len()
                );
                stream.write_all(head.as_bytes()).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        Self { address, answers }
    }

    pub(crate) fn write(&self, version: &str) {
        let path = testkit::root().join("cassandra-exporter/tests/fixtures");
        std::fs::create_dir_all(&path).unwrap();
        let answers = self.answers.lock().unwrap().join("\n");
        std::fs::write(path.join(format!("{version}.jsonl")), answers + "\n").unwrap();
    }
}
