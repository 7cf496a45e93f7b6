//! A scripted mail server: it says what it was told to, and remembers the mails that it took and for whom.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
};

/// A mail that was taken.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Addresses of recipients, in the order in which they were named.
    pub to: Vec<String>,
    /// The mail with its headers.
    pub text: String,
}

/// What the server says to a command, where it is not what a good server would. Nothing at all ends the connection.
pub type Script = fn(&str) -> Option<&'static str>;

/// A server on 127.0.0.1; it ends with the test's process.
#[derive(Debug, Clone)]
pub struct MailServer {
    address: SocketAddr,
    taken: Arc<Mutex<Vec<Mail>>>,
}

impl MailServer {
    /// Starts one.
    ///
    /// # Panics
    /// When no port can be had.
    #[must_use]
    pub fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port can be had");
        let address = listener.local_addr().expect("a listener has an address");
        let taken = Arc::new(Mutex::new(Vec::new()));
        let server = Self { address, taken };
        let each = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let each = each.clone();
                std::thread::spawn(move || each.talk(stream, script));
            }
        });
        server
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The mails that it took.
    #[must_use]
    pub fn taken(&self) -> Vec<Mail> {
        let taken = self.taken.lock();
        taken.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn talk(&self, stream: TcpStream, script: Script) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let mut stream = stream;
        let mut say = |text: &str| stream.write_all(format!("{text}\r\n").as_bytes()).ok();
        let mut next = move || {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|it| *it > 0)?;
            Some(line)
        };
        say("220 scripted")?;
        let mut to = Vec::new();
        loop {
            let line = next()?;
            let command = line.trim_end();
            if let Some(special) = script(command) {
                if special.is_empty() {
                    return None;
                }
                say(special)?;
                continue;
            }
            let reply = match command.split(' ').next()? {
                "EHLO" => "250-scripted\r\n250 8BITMIME",
                "MAIL" | "RSET" => {
                    to.clear();
                    "250 ok"
                }
                "RCPT" => {
                    let address = command.split(['<', '>']).nth(1)?;
                    to.push(address.to_owned());
                    "250 ok"
                }
                "DATA" => {
                    say("354 go on")?;
                    let mut text = String::new();
                    loop {
                        let line = next()?;
                        if line.trim_end() == "." {
                            break;
                        }
                        text.push_str(line.strip_prefix('.').unwrap_or(&line));
                    }
                    let mail = Mail {
                        to: std::mem::take(&mut to),
                        text,
                    };
                    let taken = self.taken.lock();
                    taken.unwrap_or_else(PoisonError::into_inner).push(mail);
                    "250 taken"
                }
                "QUIT" => "221 bye",
                _ => "250 ok",
            };
            say(reply)?;
        }
    }
}
