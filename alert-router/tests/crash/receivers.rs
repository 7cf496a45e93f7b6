//! A webhook receiver, a server like Slack's, and a mail server.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
};

use serde_json::Value;

use crate::recorder::{Fate, Recorder};

pub(crate) struct Receivers {
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) http: SocketAddr,
    pub(crate) mail: SocketAddr,
}

/// The text of a message: a line for each alert, short enough for a mail to carry it as it is.
const LINES: &str =
    r"{{ range .Alerts }}@{{ .Status }} {{ .Labels.alertname }} {{ .Labels.number }}\n{{ end }}";

impl Receivers {
    /// They end with the process.
    pub(crate) fn start(recorder: Recorder) -> Self {
        let recorder = Arc::new(recorder);
        Self {
            http: listen(&recorder, http),
            mail: listen(&recorder, mail),
            recorder,
        }
    }

    /// The configuration with one receiver that has all three.
    pub(crate) fn config(&self) -> String {
        let Self { http, mail, .. } = self;
        format!(
            "route:\n  receiver: team\n  group_by: [alertname]\n  group_wait: 100ms\n  group_interval: 300ms\n  repeat_interval: 4h\n\
             receivers:\n- name: team\n  webhook_configs:\n  - {{url: 'http://{http}/webhook', send_resolved: true}}\n  \
             slack_configs:\n  - {{api_url: 'http://{http}/slack', channel: '#team', send_resolved: true, text: \"{LINES}\"}}\n  \
             email_configs:\n  - {{to: team@example.com, from: router@example.com, smarthost: '{mail}', require_tls: false, \
             send_resolved: true, html: '', text: \"{LINES}\"}}\n"
        )
    }

    /// The program is gone: what it sent is read to its end, and belongs to the life that ends.
    pub(crate) fn drain(&self) {
        for address in [self.http, self.mail] {
            // Connections are taken in turn, so when this one has been, all of the program's were.
            let mut stream = TcpStream::connect(address).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            drop(stream.read_to_end(&mut Vec::new()));
        }
        self.recorder.ended();
    }
}

fn listen(recorder: &Arc<Recorder>, serve: fn(&TcpStream, &Recorder) -> Option<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let recorder = Arc::clone(recorder);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let open = recorder.opened();
            let recorder = Arc::clone(&recorder);
            std::thread::spawn(move || {
                // None is the end of the connection.
                serve(&stream, &recorder).unwrap_or_default();
                drop((stream, open));
            });
        }
    });
    address
}

fn http(stream: &TcpStream, recorder: &Recorder) -> Option<()> {
    let mut writer = stream;
    let mut reader = BufReader::new(stream);
    loop {
        let request = line(&mut reader)?;
        let mut length = 0;
        loop {
            let header = line(&mut reader)?.to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let body: Value = serde_json::from_slice(&body).unwrap();
        let (index, fate) = if request.contains("/slack") {
            let text = body["attachments"][0]["text"].as_str();
            recorder.hear("slack", text.unwrap_or_else(|| panic!("no text: {body}")))
        } else {
            assert_eq!(body["version"], "4");
            recorder.hear("webhook", &lines(&body))
        };
        let status = match fate {
            Fate::Answer => "200 OK",
            Fate::Refuse => "503 Service Unavailable",
            Fate::Hang => return None,
        };
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok");
        writer.write_all(answer.as_bytes()).ok()?;
        if fate == Fate::Answer {
            recorder.answered(index);
        }
    }
}

/// The lines of a message, of a webhook's JSON.
fn lines(body: &Value) -> String {
    let alerts = body["alerts"].as_array().unwrap().iter();
    alerts
        .map(|it| {
            let word = |value: &Value| value.as_str().unwrap().to_owned();
            format!(
                "@{} {} {}\n",
                word(&it["status"]),
                word(&it["labels"]["alertname"]),
                word(&it["labels"]["number"])
            )
        })
        .collect()
}

fn mail(stream: &TcpStream, recorder: &Recorder) -> Option<()> {
    let mut writer = stream;
    let mut reader = BufReader::new(stream);
    writer.write_all(b"220 ready\r\n").ok()?;
    loop {
        let command = line(&mut reader)?;
        let reply = match command.split(' ').next()? {
            "EHLO" => "250-receiver\r\n250 8BITMIME\r\n",
            "QUIT" => "221 bye\r\n",
            "DATA" => {
                writer.write_all(b"354 go on\r\n").ok()?;
                let mut text = String::new();
                loop {
                    let line = line(&mut reader)?;
                    if line == "." {
                        break;
                    }
                    text.push_str(&line);
                    text.push('\n');
                }
                let (index, fate) = recorder.hear("email", &text);
                match fate {
                    Fate::Answer => {
                        writer.write_all(b"250 taken\r\n").ok()?;
                        recorder.answered(index);
                        continue;
                    }
                    Fate::Refuse => "451 later\r\n",
                    Fate::Hang => return None,
                }
            }
            _ => "250 ok\r\n",
        };
        writer.write_all(reply.as_bytes()).ok()?;
    }
}

fn line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|it| *it > 0)?;
    Some(line.trim_end().to_owned())
}
