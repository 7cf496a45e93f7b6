//! Text in the letters that mail takes: RFC 2047 for headers, quoted-printable (RFC 2045, 6.7) for bodies, both as Go writes them.
//! Headers are folded where Go leaves them in one line, which may become longer than mail allows.

/// Characters of an encoded word, without its frame; and of a line.
const MAX_WORD: usize = 75 - WORD.len() - 2;
const MAX_LINE: usize = 76;
const WORD: &str = "=?utf-8?q?";

/// A value of a header: as it is when it is printable, so that nothing in it can end its line; in encoded words otherwise.
pub(super) fn header(text: &str) -> String {
    let plain = |it: char| matches!(it, ' '..='~' | '\t');
    if text.chars().all(plain) {
        return text.to_owned();
    }
    let mut out = WORD.to_owned();
    let mut length = 0;
    for character in text.chars() {
        let as_it_is = matches!(character, ' '..='~') && !matches!(character, '=' | '?' | '_');
        let needed = if as_it_is {
            1
        } else {
            3 * character.len_utf8()
        };
        // No character stands in two words.
        if length + needed > MAX_WORD {
            out.push_str("?=\r\n ");
            out.push_str(WORD);
            length = 0;
        }
        if character == ' ' {
            out.push('_');
        } else if as_it_is {
            out.push(character);
        } else {
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                out.push_str(&format!("={byte:02X}"));
            }
        }
        length += needed;
    }
    out.push_str("?=");
    out
}

/// A body. Every line end becomes CR LF.
pub(super) fn quoted_printable(text: &str) -> String {
    let mut lines = Lines::default();
    let text = text.replace("\r\n", "\n");
    for byte in text.bytes() {
        match byte {
            b'\n' | b'\r' => lines.end(),
            b' ' | b'\t' | b'!'..=b'<' | b'>'..=b'~' => lines.plain(byte),
            other => lines.encoded(other),
        }
    }
    lines.last_space();
    lines.done + &lines.line
}

#[derive(Default)]
struct Lines {
    done: String,
    line: String,
}

impl Lines {
    fn plain(&mut self, byte: u8) {
        if self.line.len() == MAX_LINE - 1 {
            self.soft_break();
        }
        self.line.push(char::from(byte));
    }

    fn encoded(&mut self, byte: u8) {
        if MAX_LINE - 1 - self.line.len() < 3 {
            self.soft_break();
        }
        self.line.push_str(&format!("={byte:02X}"));
    }

    fn soft_break(&mut self) {
        self.line.push('=');
        self.finish();
    }

    fn end(&mut self) {
        self.last_space();
        self.finish();
    }

    fn finish(&mut self) {
        self.done.push_str(&self.line);
        self.done.push_str("\r\n");
        self.line.clear();
    }

    /// Space at the end of a line gets lost on the way.
    fn last_space(&mut self) {
        if let Some(last @ (b' ' | b'\t')) = self.line.as_bytes().last().copied() {
            self.line.pop();
            self.encoded(last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{header, quoted_printable};

    /// The expectations are what Go 1.26 writes, folded.
    #[test]
    fn headers() {
        for (text, expect) in [
            ("plain <a@b> =?_", "plain <a@b> =?_"),
            ("tab\there", "tab\there"),
            ("Zürich: voll?", "=?utf-8?q?Z=C3=BCrich:_voll=3F?="),
            ("a\r\nBcc: x@y", "=?utf-8?q?a=0D=0ABcc:_x@y?="),
            (
                "éééééééééééééé",
                "=?utf-8?q?=C3=A9=C3=A9=C3=A9=C3=A9=C3=A9=C3=A9=C3=A9=C3=A9=C3=A9=C3=A9?=\r\n =?utf-8?q?=C3=A9=C3=A9=C3=A9=C3=A9?=",
            ),
        ] {
            assert_eq!(header(text), expect, "{text:?}");
        }
    }

    #[test]
    fn bodies() {
        let long = "x".repeat(80);
        let wide = "x".repeat(73) + "é";
        for (text, expect) in [
            ("", "".to_owned()),
            ("a = b", "a =3D b".to_owned()),
            ("a \nb\t\r\nc\rd ", "a=20\r\nb=09\r\nc\r\nd=20".to_owned()),
            (&long, format!("{}=\r\nxxxxx", "x".repeat(75))),
            (&wide, format!("{}=\r\n=C3=A9", "x".repeat(73))),
            ("\u{1}é", "=01=C3=A9".to_owned()),
        ] {
            assert_eq!(quoted_printable(text), expect, "{text:?}");
        }
    }
}
