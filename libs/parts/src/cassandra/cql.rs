//! The smallest client of Cassandra's native protocol (version 4): one connection, one statement at a time, rows as bytes.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

const VERSION: u8 = 4;
/// An answer of this version says so.
const ANSWER: u8 = 0x80 | VERSION;
const CONSISTENCY_ONE: u16 = 1;
/// A question that Cassandra answers to anybody as soon as it serves clients: which options it knows.
pub const ALIVE: [u8; 9] = [VERSION, 0, 0, 0, 5, 0, 0, 0, 0];

/// Whether this is the head of the answer to [`ALIVE`].
#[must_use]
pub fn is_alive(head: [u8; 9]) -> bool {
    const SUPPORTED: u8 = 6;
    let [version, _, _, _, opcode, ..] = head;
    version == ANSWER && opcode == SUPPORTED
}

/// The largest answer that is read.
const MOST: usize = 16 << 20;

const ERROR: u8 = 0;
const STARTUP: u8 = 1;
const READY: u8 = 2;
const AUTHENTICATE: u8 = 3;
const QUERY: u8 = 7;
const RESULT: u8 = 8;
const AUTH_RESPONSE: u8 = 15;
const AUTH_SUCCESS: u8 = 16;

/// A connection.
#[derive(Debug)]
pub struct Cql {
    stream: TcpStream,
}

/// What a statement gives; nothing at all for one that only changes something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// Values in the protocol's form: texts as UTF-8, numbers with the high byte first; None for null.
    pub rows: Vec<Vec<Option<Vec<u8>>>>,
}

impl Rows {
    /// A value as text.
    #[must_use]
    pub fn text(&self, row: usize, column: &str) -> Option<&str> {
        let column = self.columns.iter().position(|it| it == column)?;
        std::str::from_utf8(self.rows.get(row)?.get(column)?.as_deref()?).ok()
    }
}

/// Why a statement gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum CqlError {
    /// The connection.
    #[error("cannot speak CQL with {address}")]
    Connection {
        /// With whom.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Cassandra says no.
    #[error("Cassandra refuses: {message} (code {code:#06x})")]
    Refused {
        /// The protocol's number for it.
        code: u32,
        /// What it says.
        message: String,
    },
    /// It is not the protocol as it is known here.
    #[error("not understood: {0}")]
    Protocol(&'static str),
}

impl Cql {
    /// Connects; each answer has this long to come.
    ///
    /// # Errors
    /// When nobody is there, or speaks something else, or wants a password.
    pub fn connect(address: SocketAddr, patience: Duration) -> Result<Self, CqlError> {
        Self::open(address, None, patience)
    }

    /// The same as a user, for a Cassandra that asks for a password; one that asks nobody takes it, too.
    ///
    /// # Errors
    /// When nobody is there, or speaks something else, or refuses the user.
    pub fn connect_as(
        address: SocketAddr,
        user: &str,
        password: &str,
        patience: Duration,
    ) -> Result<Self, CqlError> {
        Self::open(address, Some((user, password)), patience)
    }

    fn open(
        address: SocketAddr,
        login: Option<(&str, &str)>,
        patience: Duration,
    ) -> Result<Self, CqlError> {
        let connect = || -> io::Result<TcpStream> {
            let stream = TcpStream::connect_timeout(&address, patience)?;
            stream.set_read_timeout(Some(patience))?;
            stream.set_write_timeout(Some(patience))?;
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        let stream = connect().map_err(|source| CqlError::Connection { address, source })?;
        let mut cql = Self { stream };
        let mut body = 1_u16.to_be_bytes().to_vec();
        for word in ["CQL_VERSION", "3.0.0"] {
            body.extend(u16::try_from(word.len()).unwrap_or(0).to_be_bytes());
            body.extend(word.as_bytes());
        }
        match (cql.ask(STARTUP, &body)?, login) {
            ((READY, _), _) => Ok(cql),
            ((AUTHENTICATE, _), Some((user, password))) => {
                // SASL's PLAIN: nobody to act for, the user, the password, with zeros before each.
                let token = format!("\0{user}\0{password}");
                let length = u32::try_from(token.len()).unwrap_or(u32::MAX);
                let mut body = length.to_be_bytes().to_vec();
                body.extend(token.as_bytes());
                match cql.ask(AUTH_RESPONSE, &body)? {
                    (AUTH_SUCCESS, _) => Ok(cql),
                    _ => Err(CqlError::Protocol("it wants more than a password")),
                }
            }
            _ => Err(CqlError::Protocol(
                "it is not ready for whoever comes without a password",
            )),
        }
    }

    /// Runs a statement.
    ///
    /// # Errors
    /// When Cassandra refuses it, or the connection breaks.
    pub fn query(&mut self, statement: &str) -> Result<Rows, CqlError> {
        let length = u32::try_from(statement.len())
            .map_err(|_| CqlError::Protocol("the statement is too long"))?;
        let mut body = length.to_be_bytes().to_vec();
        body.extend(statement.as_bytes());
        body.extend(CONSISTENCY_ONE.to_be_bytes());
        // No flags: no values, no paging.
        body.push(0);
        let (opcode, body) = self.ask(QUERY, &body)?;
        if opcode != RESULT {
            return Err(CqlError::Protocol("the answer is no result"));
        }
        result(&body)
    }

    fn ask(&mut self, opcode: u8, body: &[u8]) -> Result<(u8, Vec<u8>), CqlError> {
        let asked = self
            .stream
            .write_all(&frame(opcode, body))
            .and_then(|()| answer(&mut self.stream));
        let (flags, opcode, body) = match asked {
            Ok(it) => it,
            Err(source) => {
                let address = self.stream.peer_addr();
                let address = address.unwrap_or_else(|_| ([0, 0, 0, 0], 0).into());
                return Err(CqlError::Connection { address, source });
            }
        };
        let mut rest = Reader(&body);
        read_flags(flags, &mut rest).ok_or(CUT)?;
        if opcode == ERROR {
            let code = rest.u32().ok_or(CUT)?;
            let message = rest.text().ok_or(CUT)?;
            return Err(CqlError::Refused { code, message });
        }
        Ok((opcode, rest.0.to_vec()))
    }
}

const CUT: CqlError = CqlError::Protocol("the answer is cut off");

/// Version, flags, stream, kind, length, body.
fn frame(opcode: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut frame = vec![VERSION, 0, 0, 0, opcode];
    frame.extend(length.to_be_bytes());
    frame.extend(body);
    frame
}

/// Flags, kind and body of one frame.
fn answer(stream: &mut impl Read) -> io::Result<(u8, u8, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head)?;
    let [version, flags, _, _, opcode, length @ ..] = head;
    if version != ANSWER {
        return Err(io::Error::other(format!(
            "it speaks version {version:#04x}"
        )));
    }
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > MOST {
        return Err(io::Error::other(format!("an answer of {length} bytes")));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok((flags, opcode, body))
}

/// Passes over what flags put before the body: the id of a trace, then warnings.
fn read_flags(flags: u8, rest: &mut Reader<'_>) -> Option<()> {
    if flags & 2 != 0 {
        rest.bytes(16)?;
    }
    if flags & 8 != 0 {
        for _ in 0..rest.u16()? {
            rest.text()?;
        }
    }
    Some(())
}

fn result(body: &[u8]) -> Result<Rows, CqlError> {
    const ROWS: u32 = 2;
    let mut rest = Reader(body);
    match rest.u32() {
        Some(ROWS) => rows(&mut rest).ok_or(CUT),
        // Nothing, a keyspace that is used, a schema that has changed.
        Some(1..=5) => Ok(Rows::default()),
        _ => Err(CqlError::Protocol("a result of an unknown kind")),
    }
}

fn rows(rest: &mut Reader<'_>) -> Option<Rows> {
    const ONE_TABLE: u32 = 1;
    const MORE_PAGES: u32 = 2;
    const NO_COLUMNS: u32 = 4;
    let flags = rest.u32()?;
    let count = rest.u32()?;
    if flags & MORE_PAGES != 0 {
        rest.value()?;
    }
    let mut columns = Vec::new();
    if flags & NO_COLUMNS == 0 {
        if flags & ONE_TABLE != 0 {
            rest.text()?;
            rest.text()?;
        }
        for _ in 0..count {
            if flags & ONE_TABLE == 0 {
                rest.text()?;
                rest.text()?;
            }
            columns.push(rest.text()?);
            rest.kind(0)?;
        }
    }
    let mut rows = Vec::new();
    for _ in 0..rest.u32()? {
        let row: Option<Vec<_>> = (0..count).map(|_| rest.value()).collect();
        // A row without columns would let a count of rows alone fill the memory.
        rows.push(row.filter(|it| !it.is_empty())?);
    }
    Some(Rows { columns, rows })
}

/// What is left of a body.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.bytes(2)?.try_into().ok()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.bytes(4)?.try_into().ok()?))
    }

    fn text(&mut self) -> Option<String> {
        let length = self.u16()?;
        let bytes = self.bytes(length.into())?;
        String::from_utf8(bytes.to_vec()).ok()
    }

    /// A length, which is negative for null, and as many bytes. The outer None is a cut.
    #[expect(clippy::option_option, reason = "cut, null, or a value")]
    fn value(&mut self) -> Option<Option<Vec<u8>>> {
        let length = self.u32()?.cast_signed();
        match usize::try_from(length) {
            Ok(length) => Some(Some(self.bytes(length)?.to_vec())),
            Err(_) => Some(None),
        }
    }

    /// Passes over a column's type, which may be made of others.
    fn kind(&mut self, depth: u8) -> Option<()> {
        const DEEPEST: u8 = 16;
        let inner = match self.u16()? {
            _ if depth > DEEPEST => return None,
            // One by the name of its class.
            0 => self.text().map(|_| 0)?,
            // List and set; map.
            0x20 | 0x22 => 1,
            0x21 => 2,
            // One of the user's: keyspace, name, then names and types of its fields.
            0x30 => {
                self.text()?;
                self.text()?;
                for _ in 0..self.u16()? {
                    self.text()?;
                    self.kind(depth + 1)?;
                }
                0
            }
            // A tuple.
            0x31 => self.u16()?,
            _ => 0,
        };
        (0..inner).try_for_each(|_| self.kind(depth + 1))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpListener,
        time::Duration,
    };

    use super::{ANSWER, Cql, CqlError, Reader, Rows, answer, frame, is_alive, read_flags, result};

    fn text(it: &str) -> Vec<u8> {
        [
            &u16::try_from(it.len()).unwrap().to_be_bytes(),
            it.as_bytes(),
        ]
        .concat()
    }

    #[test]
    fn questions() {
        assert!(is_alive([ANSWER, 0, 0, 0, 6, 0, 0, 0, 1]));
        assert!(!is_alive([ANSWER, 0, 0, 0, 0, 0, 0, 0, 1]) && !is_alive(*b"HTTP/1.1 "));
        assert_eq!(frame(7, b"ab"), [4, 0, 0, 0, 7, 0, 0, 0, 2, b'a', b'b']);
    }

    #[test]
    fn answers() {
        let check = |bytes: &[u8], expect: &str| {
            let read = answer(&mut &bytes[..]).map_err(|it| it.to_string());
            assert_eq!(format!("{read:?}"), expect);
        };
        check(&[ANSWER, 8, 0, 0, 2, 0, 0, 0, 1, 5], "Ok((8, 2, [5]))");
        check(
            &[ANSWER, 0, 0, 0, 2, 0, 0, 0, 1],
            "Err(\"failed to fill whole buffer\")",
        );
        check(
            &[0x85, 0, 0, 0, 2, 0, 0, 0, 0],
            "Err(\"it speaks version 0x85\")",
        );
        check(
            &[ANSWER, 0, 0, 0, 2, 255, 0, 0, 0],
            "Err(\"an answer of 4278190080 bytes\")",
        );
    }

    #[test]
    fn logins() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let mut tokens = Vec::new();
            for last in [vec![16, 0, 0, 0, 4, 255, 255, 255, 255], {
                let refusal = [&[0, 0, 1, 0], text("no such user").as_slice()].concat();
                let length = u8::try_from(refusal.len()).unwrap();
                [vec![0, 0, 0, 0, length], refusal].concat()
            }] {
                let (mut stream, _) = listener.accept().unwrap();
                for reply in [vec![3, 0, 0, 0, 0], last] {
                    let mut head = [0; 9];
                    stream.read_exact(&mut head).unwrap();
                    let mut body = vec![0; usize::from(head[8])];
                    stream.read_exact(&mut body).unwrap();
                    tokens.push((head[4], body));
                    let reply = [vec![ANSWER, 0, 0, 0], reply].concat();
                    stream.write_all(&reply).unwrap();
                }
            }
            tokens
        });
        let patience = Duration::from_secs(10);
        Cql::connect_as(address, "u", "p", patience).unwrap();
        let refused = Cql::connect_as(address, "u", "p", patience).unwrap_err();
        assert!(
            matches!(&refused, CqlError::Refused { code: 256, message } if message == "no such user")
        );
        let tokens = server.join().unwrap();
        assert_eq!(tokens[1], (15, b"\0\0\0\x04\0u\0p".to_vec()));
        assert_eq!(tokens[3], tokens[1]);
    }

    #[test]
    fn flags() {
        let warned = [vec![0; 16], vec![0, 1], text("take care"), vec![9]].concat();
        let mut rest = Reader(&warned);
        read_flags(2 | 8, &mut rest).unwrap();
        assert_eq!(rest.0, [9]);
        assert!(read_flags(8, &mut Reader(&[0, 2, 0])).is_none());
    }

    #[test]
    fn results() {
        // One table, three columns: a text, a map of texts to lists of ints, one of the user's types with a tuple.
        let mut body = [0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3].to_vec();
        body.extend([text("ks"), text("t"), text("name"), vec![0, 0x0d]].concat());
        body.extend([text("m"), vec![0, 0x21, 0, 0x0d, 0, 0x20, 0, 9]].concat());
        body.extend(
            [
                text("u"),
                vec![0, 0x30],
                text("ks"),
                text("kind"),
                vec![0, 1],
                text("f"),
            ]
            .concat(),
        );
        body.extend([0, 0x31, 0, 1, 0, 0]);
        body.extend(text("Its.Class"));
        body.extend([0, 0, 0, 1]);
        body.extend([0, 0, 0, 2, b'h', b'i', 255, 255, 255, 255, 0, 0, 0, 0]);
        let found = result(&body).unwrap();
        assert_eq!(found.columns, ["name", "m", "u"]);
        assert_eq!(found.rows, [[Some(b"hi".to_vec()), None, Some(vec![])]]);
        assert_eq!(found.text(0, "name"), Some("hi"));
        assert_eq!(
            (
                found.text(0, "m"),
                found.text(1, "name"),
                found.text(0, "x")
            ),
            (None, None, None)
        );
        // Cut anywhere, it is cut.
        for end in 4..body.len() {
            assert!(
                matches!(
                    result(&body[..end]),
                    Err(CqlError::Protocol("the answer is cut off"))
                ),
                "{end}"
            );
        }
        for (body, expect) in [
            (&[0, 0, 0, 1][..], true),
            (&[0, 0, 0, 5, 1, 2], true),
            (&[0, 0, 0, 9], false),
            (&[], false),
            // Types in types without an end, and rows of nothing without an end.
            (
                &[
                    [0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0].to_vec(),
                    [0, 0x20].repeat(100),
                ]
                .concat(),
                false,
            ),
            (
                &[0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 0, 255, 255, 255, 255],
                false,
            ),
        ] {
            assert_eq!(result(body).is_ok(), expect, "{body:?}");
        }
    }

    #[test]
    fn a_conversation() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let refusal = [vec![0, 0, 0x20, 0], text("no")].concat();
            let mut heard = Vec::new();
            for (opcode, body) in [
                (2, vec![]),
                (0, refusal),
                (8, vec![0, 0, 0, 1]),
                (3, vec![]),
            ] {
                let mut head = [0; 9];
                stream.read_exact(&mut head).unwrap();
                let mut question = vec![0; usize::from(head[8])];
                stream.read_exact(&mut question).unwrap();
                heard.push((head[4], question));
                let mut frame = frame(opcode, &body);
                frame[0] = ANSWER;
                stream.write_all(&frame).unwrap();
            }
            heard
        });
        let mut cql = Cql::connect(address, Duration::from_secs(10)).unwrap();
        let refused = cql.query("x").unwrap_err().to_string();
        assert_eq!(refused, "Cassandra refuses: no (code 0x2000)");
        assert_eq!(cql.query("SELECT").unwrap(), Rows::default());
        assert!(matches!(
            cql.query("y"),
            Err(CqlError::Protocol("the answer is no result"))
        ));
        let heard = server.join().unwrap();
        assert_eq!(heard[0].0, 1);
        assert_eq!(heard[1], (7, b"\0\0\0\x01x\0\x01\0".to_vec()));
        assert!(matches!(cql.query("z"), Err(CqlError::Connection { .. })));
    }
}
