//! The texts of an alert in one piece of memory: labels, annotations and where it comes from. So it is made when a body is read, so
//! it stands in the journal, and so it is held: 100,000 alerts are 100,000 allocations and not ten times as many.
//!
//! The count of labels, each name and value, the same of annotations, and the URL; a text is its length and itself. Labels and
//! annotations are sorted by name, each name once. In memory the whole is one text, with numbers of six bits a character, so that
//! what is UTF-8 is checked once and not with every look; in the journal numbers are LEB128.

use std::fmt;

use super::{Fingerprint, Labels, Pairs};

/// The texts of an alert.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Packed(Box<str>);

impl Packed {
    /// Packs texts; names must be sorted, each once.
    pub(crate) fn new<'a, L, A>(labels: L, annotations: A, generator_url: &str) -> Self
    where
        L: IntoIterator<Item = (&'a str, &'a str), IntoIter: ExactSizeIterator>,
        A: IntoIterator<Item = (&'a str, &'a str), IntoIter: ExactSizeIterator>,
    {
        let mut all = String::with_capacity(512);
        push_pairs(&mut all, labels.into_iter());
        push_pairs(&mut all, annotations.into_iter());
        push_text(&mut all, generator_url);
        Self(all.into_boxed_str())
    }

    pub(crate) fn of(labels: &Pairs, annotations: &Pairs, generator_url: &str) -> Self {
        Self::new(views(labels), views(annotations), generator_url)
    }

    /// Reads what [`Packed::write`] wrote; None when it is no such thing.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        // Of numbers of one byte there are many, and few that are longer here than there.
        let mut all = String::with_capacity(bytes.len() + 16);
        for _ in 0..2 {
            let count = take_number(&mut rest)?;
            push_number(&mut all, count);
            for _ in 0..count.checked_mul(2)? {
                push_text(&mut all, take_text(&mut rest)?);
            }
        }
        push_text(&mut all, take_text(&mut rest)?);
        rest.is_empty().then(|| Self(all.into_boxed_str()))
    }

    /// Appends it as it stands in the journal.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put_pairs(out, self.labels());
        put_pairs(out, self.annotations());
        put_text(out, self.generator_url());
    }

    pub(crate) fn labels(&self) -> PairsOf<'_> {
        PairsOf::start(&self.0)
    }

    pub(crate) fn annotations(&self) -> PairsOf<'_> {
        let mut labels = self.labels();
        labels.by_ref().for_each(drop);
        PairsOf::start(labels.rest)
    }

    pub(crate) fn generator_url(&self) -> &str {
        let mut annotations = self.annotations();
        annotations.by_ref().for_each(drop);
        pull_text(&mut annotations.rest).unwrap_or("")
    }

    /// FNV-1a over the sorted labels (see [`Fingerprint::of`]).
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_sorted(self.labels())
    }
}

impl Labels for Packed {
    fn value(&self, name: &str) -> Option<&str> {
        self.labels().find(|it| it.0 == name).map(|it| it.1)
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.labels()).finish()
    }
}

fn views(pairs: &Pairs) -> impl ExactSizeIterator<Item = (&str, &str)> {
    pairs
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
}

/// Names and values, in their order.
#[derive(Clone)]
pub(crate) struct PairsOf<'a> {
    left: usize,
    rest: &'a str,
}

impl<'a> PairsOf<'a> {
    fn start(texts: &'a str) -> Self {
        let mut rest = texts;
        let left = pull_number(&mut rest).unwrap_or(0);
        Self { left, rest }
    }

    pub(crate) fn to_pairs(&self) -> Pairs {
        self.clone()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

impl<'a> Iterator for PairsOf<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some((pull_text(&mut self.rest)?, pull_text(&mut self.rest)?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for PairsOf<'_> {}

/// Numbers in memory: six bits a character, the lowest first, and the bit of 64 where more follow.
fn push_number(all: &mut String, number: usize) {
    let mut left = number;
    loop {
        let more = if left > 0x3f { 0x40 } else { 0 };
        #[expect(clippy::cast_possible_truncation, reason = "the low six bits")]
        all.push(char::from((left as u8 & 0x3f) | more));
        left >>= 6;
        if left == 0 {
            return;
        }
    }
}

fn push_text(all: &mut String, text: &str) {
    push_number(all, text.len());
    all.push_str(text);
}

fn push_pairs<'a>(all: &mut String, pairs: impl ExactSizeIterator<Item = (&'a str, &'a str)>) {
    push_number(all, pairs.len());
    for (name, value) in pairs {
        push_text(all, name);
        push_text(all, value);
    }
}

fn pull_number(rest: &mut &str) -> Option<usize> {
    let mut number = 0_usize;
    for (at, byte) in rest.bytes().enumerate() {
        number |= usize::from(byte & 0x3f).checked_shl(u32::try_from(at * 6).ok()?)?;
        if byte & 0x40 == 0 {
            *rest = rest.get(at + 1..)?;
            return Some(number);
        }
    }
    None
}

fn pull_text<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let length = pull_number(rest)?;
    let (text, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(text)
}

fn put_pairs<'a>(bytes: &mut Vec<u8>, pairs: impl ExactSizeIterator<Item = (&'a str, &'a str)>) {
    put_number(bytes, pairs.len());
    for (name, value) in pairs {
        put_text(bytes, name);
        put_text(bytes, value);
    }
}

/// Appends a number, seven bits a byte.
pub(crate) fn put_number(bytes: &mut Vec<u8>, number: usize) {
    let mut left = number;
    while left > 0x7f {
        #[expect(clippy::cast_possible_truncation, reason = "the low seven bits")]
        bytes.push((left as u8 & 0x7f) | 0x80);
        left >>= 7;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "at most seven bits are left"
    )]
    bytes.push(left as u8);
}

pub(crate) fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_number(bytes, text.len());
    bytes.extend_from_slice(text.as_bytes());
}

/// Takes a number off the front.
pub(crate) fn take_number(bytes: &mut &[u8]) -> Option<usize> {
    let mut number = 0_usize;
    for shift in (0..usize::BITS).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= usize::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

pub(crate) fn take_text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let length = take_number(bytes)?;
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    std::str::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::{Packed, pull_number, push_number, put_number, take_number};
    use crate::alert::{Fingerprint, Labels as _, Pairs};

    fn pairs(text: &str) -> Pairs {
        text.split_terminator(',')
            .map(|it| it.split_once('=').unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    #[test]
    fn there_and_back() {
        for (labels, annotations, url) in [
            ("", "", ""),
            ("a=b", "", ""),
            ("alertname=X,instance=straße", "summary=s", "http://x/y"),
            // Around the numbers that take one more character, or byte.
            (
                &format!("a={},b={}", "x".repeat(63), "y".repeat(64)),
                &format!("a={},b={}", "x".repeat(127), "ß".repeat(64)),
                &"z".repeat(70_000),
            ),
        ] {
            let (labels, annotations) = (pairs(labels), pairs(annotations));
            let packed = Packed::of(&labels, &annotations, url);
            assert_eq!(packed.labels().to_pairs(), labels);
            assert_eq!(packed.annotations().to_pairs(), annotations);
            assert_eq!(packed.generator_url(), url);
            assert_eq!(packed.fingerprint(), Fingerprint::of(&labels));
            assert_eq!(packed.value("instance"), labels.value("instance"));
            let mut bytes = Vec::new();
            packed.write(&mut bytes);
            assert_eq!(Packed::read(&bytes).as_ref(), Some(&packed));
            // A part of it is none, whatever part.
            for end in 0..bytes.len() {
                assert_eq!(Packed::read(&bytes[..end]), None, "{end}");
            }
        }
    }

    #[test]
    fn numbers() {
        for number in [
            0,
            1,
            63,
            64,
            127,
            128,
            300,
            4_095,
            4_096,
            65_536,
            usize::MAX,
        ] {
            let mut bytes = Vec::new();
            put_number(&mut bytes, number);
            assert_eq!(take_number(&mut bytes.as_slice()), Some(number));
            let mut text = String::new();
            push_number(&mut text, number);
            assert_eq!(pull_number(&mut text.as_str()), Some(number));
        }
        assert_eq!(take_number(&mut [0xff_u8; 20].as_slice()), None);
    }
}
