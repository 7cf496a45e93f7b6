//! The outer form of an answer: objects in objects. What is in them is left as text, to be read by others, or known from before.

use serde::de::Error as _;
use serde_json::{Deserializer, Error, value::RawValue};

use super::Text;

/// JSON with a place in it.
pub(super) struct Reader<'a> {
    json: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(json: &'a [u8]) -> Self {
        Self { json, at: 0 }
    }

    pub(super) const fn place(&self) -> usize {
        self.at
    }

    /// Reads the members of an object by calling this at the start of each.
    pub(super) fn members(
        &mut self,
        mut member: impl FnMut(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.take(b'{')?;
        if self.take(b'}').is_ok() {
            return Ok(());
        }
        loop {
            self.space();
            member(self)?;
            if self.take(b',').is_err() {
                return self.take(b'}');
            }
        }
    }

    /// The name of a member, with the colon after it.
    pub(super) fn key(&mut self) -> Result<Text<'a>, Error> {
        let name = self.read()?;
        self.take(b':')?;
        Ok(name)
    }

    /// Any value, as text.
    pub(super) fn value(&mut self) -> Result<&'a str, Error> {
        self.read::<&RawValue>().map(RawValue::get)
    }

    /// Whether this text comes next.
    pub(super) fn is_next(&self, text: &[u8]) -> bool {
        let rest = self.json.get(self.at..).unwrap_or_default();
        !text.is_empty() && rest.starts_with(text)
    }

    /// Passes over so many bytes, and gives their place.
    pub(super) const fn skip(&mut self, bytes: usize) -> std::ops::Range<usize> {
        let start = self.at;
        self.at += bytes;
        start..self.at
    }

    /// Nothing but white space may be left.
    pub(super) fn end(&mut self) -> Result<(), Error> {
        self.space();
        if self.at == self.json.len() {
            return Ok(());
        }
        Err(self.error("end"))
    }

    fn read<T: serde::Deserialize<'a>>(&mut self) -> Result<T, Error> {
        let rest = self.json.get(self.at..).unwrap_or_default();
        let mut values = Deserializer::from_slice(rest).into_iter();
        let value = values.next().unwrap_or_else(|| Err(self.error("value")))?;
        self.at += values.byte_offset();
        Ok(value)
    }

    fn take(&mut self, byte: u8) -> Result<(), Error> {
        self.space();
        if self.json.get(self.at) == Some(&byte) {
            self.at += 1;
            return Ok(());
        }
        Err(self.error(char::from(byte)))
    }

    fn space(&mut self) {
        while matches!(self.json.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn error(&self, expected: impl std::fmt::Display) -> Error {
        Error::custom(format!("no {expected} after {} bytes", self.at))
    }
}

#[cfg(test)]
mod tests {
    use super::{Reader, Text};

    /// Members of the outer object, and the end.
    fn read(json: &str) -> Result<Vec<String>, String> {
        let mut reader = Reader::new(json.as_bytes());
        let mut found = Vec::new();
        let members = reader.members(|reader| {
            let start = reader.place();
            let Text(key) = reader.key()?;
            let value = reader.value()?;
            found.push(format!("{start} {key}={value}"));
            Ok(())
        });
        members
            .and_then(|()| reader.end())
            .map(|()| found)
            .map_err(|it| it.to_string())
    }

    #[test]
    fn members() {
        for (json, expect) in [
            ("{}", &[][..]),
            (" { } \n", &[]),
            (
                "{\"a\":{\"b\":[1]},\"c\\u0041\":\"x\"}",
                &["1 a={\"b\":[1]}", "15 cA=\"x\""],
            ),
            ("{ \"a\" : 1 , \"b\" : null }", &["2 a=1", "12 b=null"]),
        ] {
            assert_eq!(read(json).unwrap(), expect, "{json}");
        }
    }

    #[test]
    fn what_is_no_object() {
        for (json, expect) in [
            ("", "no { after 0 bytes"),
            ("[]", "no { after 0 bytes"),
            ("{", "no value after 1 bytes"),
            ("{} x", "no end after 3 bytes"),
            (r#"{"a"}"#, "no : after 4 bytes"),
            (r#"{"a":}"#, "expected value at line 1 column 1"),
            (r#"{"a":1,}"#, "expected value at line 1 column 1"),
            (r#"{"a":1 "b":2}"#, "no } after 7 bytes"),
            (r#"{1:2}"#, "invalid type"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.starts_with(expect), "{json}: {error}");
        }
    }
}
