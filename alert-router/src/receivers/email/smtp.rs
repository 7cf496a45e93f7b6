//! A conversation with a mail server (RFC 5321), bounded in every step: STARTTLS or TLS, AUTH, and what becomes of each recipient.

use std::{io, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use daemon::chain;
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};

use crate::{
    config::{EmailSettings, SecretSource},
    core::Retry,
    receivers::{
        Failure,
        http::{pem, quoted},
    },
};

/// For each step; and for the whole conversation.
const STEP: Duration = Duration::from_secs(20);
const WHOLE: Duration = Duration::from_secs(120);
/// For the last word, which nobody waits for.
const FAREWELL: Duration = Duration::from_secs(1);
/// SMTP over TLS from the start (RFC 8314).
const IMPLICIT_TLS: u16 = 465;
/// Bytes of a line of a reply, and its lines.
const MAX_LINE: u64 = 4096;
const MAX_LINES: usize = 100;

/// What became of a recipient.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Taken,
    /// The server will say the same again.
    Refused(String),
    /// The mail was refused to more than one: it is not known because of whom.
    RefusedTogether,
    Later(String),
    /// The server takes no more recipients for one mail.
    TooMany(String),
}

/// Over TCP or TLS.
trait Line: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Line for T {}

/// A connection to a server that has said hello and knows who we are.
pub(super) struct Conversation {
    line: BufReader<Box<dyn Line>>,
    end: Instant,
    /// What the server can do, in upper case.
    offers: Vec<String>,
    is_tls: bool,
}

struct Reply {
    code: u16,
    lines: Vec<String>,
}

impl Reply {
    /// `550 5.1.1 no such user`.
    fn said(&self) -> String {
        format!("{} {}", self.code, quoted(&self.lines.join(" ")))
    }

    const fn is_good(&self) -> bool {
        self.code / 100 == 2
    }

    const fn is_final(&self) -> bool {
        self.code / 100 == 5
    }

    /// What a refusal of everything means.
    fn failure(&self, doing: &str) -> Failure {
        let error = format!("{doing}: {}", self.said());
        if self.is_final() {
            Failure {
                reason: "clientError",
                ..Failure::last(error)
            }
        } else {
            Failure::again(error)
        }
    }
}

impl Conversation {
    /// Connects, encrypts and authenticates, as the settings say.
    pub(super) async fn begin(settings: &EmailSettings) -> Result<Self, Failure> {
        let end = Instant::now() + WHOLE;
        let implicit = settings
            .force_implicit_tls
            .unwrap_or(settings.port == IMPLICIT_TLS);
        let address = (settings.host.as_str(), settings.port);
        let stream = bounded(end, STEP, "connect", TcpStream::connect(address)).await?;
        let line: Box<dyn Line> = if implicit {
            encrypt(settings, Box::new(stream), end).await?
        } else {
            Box::new(stream)
        };
        let mut it = Self {
            line: BufReader::new(line),
            end,
            offers: Vec::new(),
            is_tls: implicit,
        };
        let greeting = it.reply(STEP).await?;
        if !greeting.is_good() {
            return Err(Failure::again(greeting.said()));
        }
        it.hello(settings).await?;
        if settings.require_tls && !it.is_tls {
            it.start_tls(settings).await?;
            let line =
                std::mem::replace(&mut it.line, BufReader::new(Box::new(tokio::io::empty())));
            // Whatever stands between the answer and the handshake is not the server's.
            if !line.buffer().is_empty() {
                let error = "STARTTLS: the server speaks before the handshake";
                return Err(Failure::again(error.to_owned()));
            }
            let line = encrypt(settings, line.into_inner(), end).await?;
            it.line = BufReader::new(line);
            it.is_tls = true;
            it.hello(settings).await?;
        }
        it.authenticate(settings).await?;
        Ok(it)
    }

    /// Sends one mail to all who are taken.
    pub(super) async fn mail(
        &mut self,
        from: &str,
        to: &[String],
        text: &str,
    ) -> Result<Vec<(String, Outcome)>, Failure> {
        let mut command = format!("MAIL FROM:<{from}>");
        for (offer, parameter) in [("8BITMIME", " BODY=8BITMIME"), ("SMTPUTF8", " SMTPUTF8")] {
            if self.offer(offer).is_some() {
                command.push_str(parameter);
            }
        }
        let reply = self.command(&command).await?;
        if !reply.is_good() {
            return Err(reply.failure("MAIL"));
        }
        let mut outcomes = Vec::new();
        let mut taken = Vec::new();
        for to in to {
            let reply = self.command(&format!("RCPT TO:<{to}>")).await?;
            let outcome = match reply.code {
                250..=259 => {
                    taken.push(to.clone());
                    continue;
                }
                // The connection ends.
                421 => return Err(Failure::again(reply.said())),
                452 => Outcome::TooMany(reply.said()),
                _ if reply.is_final() => Outcome::Refused(reply.said()),
                _ => Outcome::Later(reply.said()),
            };
            outcomes.push((to.clone(), outcome));
        }
        if taken.is_empty() {
            self.reset().await?;
            return Ok(outcomes);
        }
        let mut reply = self.command("DATA").await?;
        if reply.code == 354 {
            self.write(&stuffed(text)).await?;
            // A server may look at a mail for long, and one that is sent again is there twice.
            reply = self.reply(WHOLE).await?;
        } else {
            self.reset().await?;
        }
        let together = taken.len() > 1;
        for to in taken {
            let outcome = if reply.is_good() {
                Outcome::Taken
            } else if reply.is_final() && together {
                Outcome::RefusedTogether
            } else if reply.is_final() {
                Outcome::Refused(reply.said())
            } else {
                Outcome::Later(reply.said())
            };
            outcomes.push((to, outcome));
        }
        Ok(outcomes)
    }

    /// Says goodbye. All is said and done, so nothing that goes wrong matters.
    pub(super) async fn end(mut self) {
        self.end = self.end.min(Instant::now() + FAREWELL);
        drop(self.command("QUIT").await);
    }

    async fn reset(&mut self) -> Result<(), Failure> {
        self.command("RSET").await.map(drop)
    }

    async fn hello(&mut self, settings: &EmailSettings) -> Result<(), Failure> {
        let name = settings.hello.as_deref().unwrap_or("localhost");
        let mut reply = self.command(&format!("EHLO {name}")).await?;
        if !reply.is_good() {
            reply = self.command(&format!("HELO {name}")).await?;
            reply.lines.clear();
        }
        if !reply.is_good() {
            return Err(Failure::again(format!("EHLO: {}", reply.said())));
        }
        let offers = reply.lines.iter().skip(1);
        self.offers = offers.map(|it| it.trim().to_ascii_uppercase()).collect();
        Ok(())
    }

    /// What follows the name of an extension, if the server has it.
    fn offer(&self, name: &str) -> Option<&str> {
        self.offers.iter().find_map(|offer| {
            let rest = offer.strip_prefix(name)?;
            (rest.is_empty() || rest.starts_with(' ')).then_some(rest.trim())
        })
    }

    async fn start_tls(&mut self, settings: &EmailSettings) -> Result<(), Failure> {
        if self.offer("STARTTLS").is_none() {
            return Err(Failure::again(format!(
                "require_tls is true (which it is unless one says otherwise), but {}:{} does not offer STARTTLS",
                settings.host, settings.port
            )));
        }
        let reply = self.command("STARTTLS").await?;
        if !reply.is_good() {
            return Err(Failure::again(format!("STARTTLS: {}", reply.said())));
        }
        Ok(())
    }

    /// By the first way that the server offers and that there is a secret for.
    async fn authenticate(&mut self, settings: &EmailSettings) -> Result<(), Failure> {
        let user = settings.username.as_deref().unwrap_or_default();
        let Some(offered) = self.offer("AUTH").map(str::to_owned) else {
            return Ok(());
        };
        if user.is_empty() {
            return Ok(());
        }
        let read = |it: &Option<SecretSource>| {
            let secret = it.as_ref().map(SecretSource::read).transpose();
            let secret = secret.map_err(|error| Failure::again(error.to_string()))?;
            Ok::<_, Failure>(secret.filter(|it| !it.expose().is_empty()))
        };
        let mut missing = Vec::new();
        for way in offered.split(' ') {
            let source = match way {
                "CRAM-MD5" => &settings.secret,
                "PLAIN" | "LOGIN" => &settings.password,
                _ => {
                    missing.push(format!("{way} is unknown"));
                    continue;
                }
            };
            let Some(secret) = read(source)? else {
                missing.push(format!("there is no secret for {way}"));
                continue;
            };
            return self
                .authenticate_by(way, settings, user, secret.expose())
                .await;
        }
        Err(Failure {
            reason: "authError",
            ..Failure::again(format!("AUTH: {}", missing.join(", ")))
        })
    }

    async fn authenticate_by(
        &mut self,
        way: &str,
        settings: &EmailSettings,
        user: &str,
        secret: &str,
    ) -> Result<(), Failure> {
        let refused = |error: String| Failure {
            reason: "authError",
            ..Failure::last(format!("AUTH {way}: {error}"))
        };
        let local = matches!(settings.host.as_str(), "localhost" | "127.0.0.1" | "::1");
        let mut reply = match way {
            "PLAIN" => {
                if !self.is_tls && !local {
                    return Err(refused(
                        "the connection is not encrypted, so the password is not sent".to_owned(),
                    ));
                }
                let identity = settings.identity.as_deref().unwrap_or_default();
                let text = STANDARD.encode(format!("{identity}\0{user}\0{secret}"));
                self.command(&format!("AUTH PLAIN {text}")).await?
            }
            other => self.command(&format!("AUTH {other}")).await?,
        };
        // LOGIN asks twice, the others once at most.
        for _ in 0..2 {
            if reply.code != 334 {
                break;
            }
            let challenge = STANDARD.decode(reply.lines.concat().trim());
            let challenge = challenge.unwrap_or_default();
            let answer = match way {
                "CRAM-MD5" => cram_md5(user, secret, &challenge),
                // No document says how servers ask; they have "Username:", "User Name" and a byte of zero behind it.
                "LOGIN" => {
                    let asked = challenge.to_ascii_lowercase();
                    if asked.starts_with(b"user") {
                        Some(user.to_owned())
                    } else if asked.starts_with(b"pass") {
                        Some(secret.to_owned())
                    } else {
                        None
                    }
                }
                _ => None,
            };
            let Some(answer) = answer else {
                let unexpected = quoted(&String::from_utf8_lossy(&challenge));
                self.command("*").await?;
                return Err(refused(format!("the server asks for {unexpected:?}")));
            };
            reply = self.command(&STANDARD.encode(answer)).await?;
        }
        if reply.code == 235 {
            return Ok(());
        }
        let failure = refused(reply.said());
        Err(Failure {
            retry: if reply.is_final() {
                Retry::No
            } else {
                Retry::Backoff
            },
            ..failure
        })
    }

    async fn command(&mut self, command: &str) -> Result<Reply, Failure> {
        // What a template made of an address must not be another command.
        if command.contains(['\r', '\n']) {
            return Err(Failure::last("an address has a line end in it".to_owned()));
        }
        self.write(&format!("{command}\r\n")).await?;
        self.reply(STEP).await
    }

    async fn write(&mut self, text: &str) -> Result<(), Failure> {
        let writing = async {
            self.line.get_mut().write_all(text.as_bytes()).await?;
            self.line.get_mut().flush().await
        };
        bounded(self.end, STEP, "send to the server", writing).await
    }

    async fn reply(&mut self, step: Duration) -> Result<Reply, Failure> {
        bounded(self.end, step, "wait for the server", read(&mut self.line)).await
    }
}

/// A reply of one line or more.
async fn read(line: &mut BufReader<Box<dyn Line>>) -> io::Result<Reply> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut lines = Vec::new();
    while lines.len() < MAX_LINES {
        let mut bytes = Vec::new();
        let mut limited = (&mut *line).take(MAX_LINE);
        limited.read_until(b'\n', &mut bytes).await?;
        if !bytes.ends_with(b"\n") {
            return Err(if bytes.is_empty() {
                io::Error::new(io::ErrorKind::UnexpectedEof, "the server hangs up")
            } else {
                wrong("the server's reply breaks off, or has a line without an end")
            });
        }
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_end_matches(['\r', '\n']);
        let code = text
            .get(..3)
            .filter(|it| it.bytes().all(|it| it.is_ascii_digit()));
        let code = code.and_then(|it| it.parse().ok());
        let code = code.ok_or_else(|| wrong("the server's reply has no code"))?;
        lines.push(text.get(4..).unwrap_or_default().to_owned());
        if text.as_bytes().get(3) != Some(&b'-') {
            return Ok(Reply { code, lines });
        }
    }
    Err(wrong("the server's reply has no end"))
}

/// A step within its time and that of the whole.
async fn bounded<T>(
    end: Instant,
    step: Duration,
    doing: &str,
    work: impl Future<Output = io::Result<T>>,
) -> Result<T, Failure> {
    match timeout_at(end.min(Instant::now() + step), work).await {
        Ok(done) => done.map_err(|error| Failure::again(format!("{doing}: {}", chain(&error)))),
        Err(_elapsed) => Err(Failure {
            reason: "contextDeadlineExceeded",
            ..Failure::again(format!("{doing}: it takes too long"))
        }),
    }
}

async fn encrypt(
    settings: &EmailSettings,
    line: Box<dyn Line>,
    end: Instant,
) -> Result<Box<dyn Line>, Failure> {
    let made = pem(&settings.tls).map_err(Failure::again)?;
    let made = client::tls(&made);
    let config = made.map_err(|error| Failure::last(format!("tls_config: {}", chain(&error))))?;
    let name = settings.tls.server_name.as_ref().unwrap_or(&settings.host);
    let name = ServerName::try_from(name.clone())
        .map_err(|_error| Failure::last(format!("{name:?} is no name of a server")))?;
    let connector = TlsConnector::from(Arc::new(config));
    let shaking = connector.connect(name, line);
    Ok(Box::new(bounded(end, STEP, "TLS", shaking).await?))
}

/// RFC 2195.
fn cram_md5(user: &str, secret: &str, challenge: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Md5>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(challenge);
    let digest = mac.finalize().into_bytes();
    let digest: String = digest.iter().map(|it| format!("{it:02x}")).collect();
    Some(format!("{user} {digest}"))
}

/// A mail as DATA takes it: no line of it is a dot, and a dot ends it.
fn stuffed(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    if text.starts_with('.') {
        out.push('.');
    }
    out.push_str(&text.replace("\r\n.", "\r\n.."));
    if !out.ends_with("\r\n") {
        out.push_str("\r\n");
    }
    out.push_str(".\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::{BufReader, Line, cram_md5, read, stuffed};

    /// The example of RFC 2195.
    #[test]
    fn challenges() {
        let challenge = b"<1896.697170952@postoffice.reston.mci.net>";
        let answer = cram_md5("tim", "tanstaaftanstaaf", challenge).unwrap();
        assert_eq!(answer, "tim b913a602c7eda7a495b4e6e7334d3890");
    }

    #[test]
    fn dots() {
        for (text, expect) in [
            ("a\r\n", "a\r\n.\r\n"),
            ("a", "a\r\n.\r\n"),
            (".\r\n..\r\na.\r\n", "..\r\n...\r\na.\r\n.\r\n"),
        ] {
            assert_eq!(stuffed(text), expect);
        }
    }

    #[tokio::test]
    async fn replies() {
        let long = "2".repeat(5_000);
        let endless = "250-x\r\n".repeat(200);
        for (text, expect) in [
            ("250 ok\r\n", Ok("250 ok")),
            ("250-a\r\n250-b\r\n250 c\n", Ok("250 a b c")),
            ("354\r\n", Ok("354 ")),
            ("", Err("hangs up")),
            ("250 o", Err("breaks off")),
            ("hello\r\n", Err("no code")),
            ("+25 x\r\n", Err("no code")),
            ("é50 x\r\n", Err("no code")),
            (&long, Err("breaks off")),
            (&endless, Err("no end")),
        ] {
            let line: Box<dyn Line> = Box::new(std::io::Cursor::new(text.as_bytes().to_vec()));
            let found = read(&mut BufReader::new(line)).await;
            match (found, expect) {
                (Ok(found), Ok(expect)) => assert_eq!(found.said(), expect),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (Ok(found), Err(_)) => panic!("{}", found.said()),
                (Err(error), Ok(_)) => panic!("{error}"),
            }
        }
    }
}
