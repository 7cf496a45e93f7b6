//! The mail server of the inbox: as much of SMTP (RFC 5321) as a sender needs, for this machine only. It takes every mail
//! and delivers none further.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};

use super::{Message, store::Store};

const CONNECTIONS: usize = 32;
/// For the next command, and for a piece of a mail.
const PATIENCE: Duration = Duration::from_secs(60);
/// A line of a command; RFC 5321 asks for 512.
const MAX_LINE: u64 = 4096;
const MAX_MAIL: usize = 10 << 20;
const MAX_RECIPIENTS: usize = 100;

/// Serves for ever.
pub(super) async fn serve(listener: TcpListener, store: Arc<Store>) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // The semaphore is never closed.
        let permit = Arc::clone(&connections).acquire_owned().await;
        match listener.accept().await {
            Ok((stream, _)) => {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    if let Err(error) = talk(stream, &store).await {
                        tracing::debug!(%error, "mail connection ended");
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a mail connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// What a sender has said so far.
#[derive(Default)]
struct Envelope {
    from: Option<String>,
    to: Vec<String>,
}

async fn talk(stream: TcpStream, store: &Store) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut envelope = Envelope::default();
    answer(&mut stream, "220 inbox ESMTP").await?;
    loop {
        let Some(line) = line(&mut stream).await? else {
            return Ok(());
        };
        let (command, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let reply = match command.to_ascii_uppercase().as_str() {
            "EHLO" => {
                envelope = Envelope::default();
                "250-inbox\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 10485760"
            }
            "HELO" => {
                envelope = Envelope::default();
                "250 inbox"
            }
            "MAIL" => match address(rest, "FROM:") {
                Some(from) => {
                    envelope = Envelope {
                        from: Some(from),
                        to: Vec::new(),
                    };
                    "250 ok"
                }
                None => "501 write MAIL FROM:<address>",
            },
            "RCPT" if envelope.from.is_none() => "503 MAIL first",
            "RCPT" if envelope.to.len() >= MAX_RECIPIENTS => "452 too many recipients",
            "RCPT" => match address(rest, "TO:").filter(|it| !it.is_empty()) {
                Some(to) => {
                    envelope.to.push(to);
                    "250 ok"
                }
                None => "501 write RCPT TO:<address>",
            },
            "DATA" if envelope.to.is_empty() => "503 RCPT first",
            "DATA" => {
                answer(&mut stream, "354 end with a line of one full stop").await?;
                let to = std::mem::take(&mut envelope).to;
                match data(&mut stream).await? {
                    None => "552 the mail has more than 10 MiB",
                    Some(mail) => match store.add(Message::from_mail(&mail, to)) {
                        Ok(()) => "250 kept",
                        Err(_) => "452 cannot keep the mail",
                    },
                }
            }
            "RSET" => {
                envelope = Envelope::default();
                "250 ok"
            }
            "NOOP" => "250 ok",
            "VRFY" => "252 send and see",
            "QUIT" => return answer(&mut stream, "221 bye").await,
            _ => "502 not known here",
        };
        answer(&mut stream, reply).await?;
    }
}

/// `FROM:<a@b> SIZE=5` to `a@b`.
fn address(rest: &str, word: &str) -> Option<String> {
    let rest = rest.trim_start();
    let head = rest.get(..word.len())?;
    if !head.eq_ignore_ascii_case(word) {
        return None;
    }
    let rest = rest.get(word.len()..)?.trim_start().strip_prefix('<')?;
    let (address, _) = rest.split_once('>')?;
    Some(address.to_owned())
}

async fn answer(stream: &mut BufReader<TcpStream>, text: &str) -> std::io::Result<()> {
    let text = format!("{text}\r\n");
    timeout(PATIENCE, stream.write_all(text.as_bytes())).await?
}

/// A line without its end; None at the end of the connection. A line that is too long ends it.
async fn line(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<String>> {
    let mut bytes = Vec::new();
    let mut limited = (&mut *stream).take(MAX_LINE);
    timeout(PATIENCE, limited.read_until(b'\n', &mut bytes)).await??;
    if bytes.last() != Some(&b'\n') {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&bytes).trim_end().to_owned()))
}

/// A mail up to its full stop, dots undone (RFC 5321, section 4.5.2); None when it is too large, which is read to its end too.
async fn data(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<Vec<u8>>> {
    let mut mail = Vec::new();
    let mut whole = true;
    loop {
        let mut bytes = Vec::new();
        let mut limited = (&mut *stream).take(1 << 20);
        let read = timeout(PATIENCE, limited.read_until(b'\n', &mut bytes)).await??;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if matches!(bytes.as_slice(), b".\r\n" | b".\n") {
            return Ok(whole.then_some(mail));
        }
        let line = bytes.strip_prefix(b".").unwrap_or(&bytes);
        whole &= mail.len() + line.len() <= MAX_MAIL;
        if whole {
            mail.extend_from_slice(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::{Store, address, serve};

    #[test]
    fn addresses() {
        for (rest, word, expect) in [
            ("FROM:<a@b> SIZE=5", "FROM:", Some("a@b")),
            ("from: <a@b>", "FROM:", Some("a@b")),
            ("FROM:<>", "FROM:", Some("")),
            ("TO:a@b", "TO:", None),
            ("TO:<a@b", "TO:", None),
            ("", "TO:", None),
        ] {
            assert_eq!(address(rest, word).as_deref(), expect, "{rest}");
        }
    }

    /// What is sent, and what is answered; a conversation a time.
    #[tokio::test]
    async fn conversations() {
        for (said, heard, kept) in [
            ("QUIT\r\n", "220 inbox ESMTP\r\n221 bye\r\n", 0),
            (
                "EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nSubject: hi\r\n\r\n..dot\r\n.\r\nQUIT\r\n",
                "220 inbox ESMTP\r\n250-inbox\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 10485760\r\n250 ok\r\n250 ok\r\n354 end with a line of one full stop\r\n250 kept\r\n221 bye\r\n",
                1,
            ),
            (
                "DATA\r\nRCPT TO:<a@b>\r\nMAIL a\r\nWHAT\r\nNOOP\r\nQUIT\r\n",
                "220 inbox ESMTP\r\n503 RCPT first\r\n503 MAIL first\r\n501 write MAIL FROM:<address>\r\n502 not known here\r\n250 ok\r\n221 bye\r\n",
                0,
            ),
            (
                "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\ncut off",
                "220 inbox ESMTP\r\n250 ok\r\n250 ok\r\n354 end with a line of one full stop\r\n",
                0,
            ),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let store = Arc::new(Store::open(&folder.path().join("x")).unwrap());
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(serve(listener, Arc::clone(&store)));
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            stream.write_all(said.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert_eq!(answer, heard, "{said}");
            let messages = store.newest_first();
            assert_eq!(messages.len(), kept, "{said}");
            if let Some(message) = messages.first() {
                assert_eq!(
                    (message.title.as_str(), message.text.trim()),
                    ("hi", ".dot")
                );
                assert_eq!(message.to, ["c@d"]);
            }
        }
    }
}
