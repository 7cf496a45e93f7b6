//! Names of beans (`javax.management.ObjectName`): a domain and keys with values, which may be quoted.

use std::fmt;

/// A name that was read, without patterns.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ObjectName {
    /// As it came: so it is asked for.
    text: String,
    /// Where keys and values stand in the text.
    properties: Vec<(Span, Span)>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Span(usize, usize);

/// More keys than any bean has.
const MAX_KEYS: usize = 32;

impl ObjectName {
    /// Reads `domain:key=value,key="quoted value"`; None when it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let domain = text.find(':')?;
        let mut properties = Vec::new();
        let mut at = domain + 1;
        loop {
            let rest = text.get(at..)?;
            let equals = rest.find('=')?;
            let key = Span(at, at + equals);
            if rest.get(..equals).is_none_or(|it| it.contains(',')) {
                return None;
            }
            let start = at + equals + 1;
            let value = text.get(start..)?;
            let length = match value.strip_prefix('"') {
                Some(quoted) => closing(quoted)? + 2,
                None => value.find(',').unwrap_or(value.len()),
            };
            if equals == 0 || length == 0 || properties.len() == MAX_KEYS {
                return None;
            }
            properties.push((key, Span(start, start + length)));
            at = start + length;
            match text.get(at..)?.bytes().next() {
                None => break,
                Some(b',') => at += 1,
                Some(_) => return None,
            }
        }
        Some(Self {
            text: text.to_owned(),
            properties,
        })
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    fn at(&self, span: Span) -> &str {
        self.text.get(span.0..span.1).unwrap_or("")
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.properties.iter().map(|(key, _)| self.at(*key))
    }

    /// The value of a key, without quotes (what is escaped in them stays so: no bean of Cassandra's has that).
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        let found = self.properties.iter().find(|it| self.at(it.0) == key)?;
        let value = self.at(found.1);
        Some(match value.strip_prefix('"') {
            Some(quoted) => quoted.strip_suffix('"').unwrap_or(quoted),
            None => value,
        })
    }
}

impl fmt::Debug for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Where a quoted value ends.
fn closing(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return Some(at),
            _ => {}
        }
    }
    None
}

/// The address of an endpoint, in whichever of Cassandra's ways it is written: `/127.0.0.13`, `127.0.0.13/127.0.0.13:7000`,
/// `host/127.0.0.13`, `127.0.0.13_7000`, `[::1]:7000`, `127.0.0.13`.
pub(crate) fn endpoint(text: &str) -> String {
    let text = text.rsplit('/').next().unwrap_or(text);
    if let Some(rest) = text.strip_prefix('[')
        && let Some((address, _)) = rest.split_once(']')
    {
        return address.to_owned();
    }
    let is_port = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    if let Some((address, port)) = text.rsplit_once('_')
        && is_port(port)
    {
        // Colons of version 6 are no part of a bean's name: Cassandra writes dots for them.
        return address.to_owned();
    }
    match text.split_once(':') {
        // One colon: a port. More: an address of version 6.
        Some((address, port)) if is_port(port) => address.to_owned(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{ObjectName, endpoint};

    #[test]
    fn names() {
        let name = ObjectName::parse(
            "org.apache.cassandra.metrics:type=Table,keyspace=ks,scope=\"a,b=\\\"c\",name=X",
        )
        .unwrap();
        assert_eq!(name.get("type"), Some("Table"));
        assert_eq!(name.get("scope"), Some("a,b=\\\"c"));
        assert_eq!(name.get("name"), Some("X"));
        assert_eq!(name.get("other"), None);
        assert_eq!(
            name.keys().collect::<Vec<_>>(),
            ["type", "keyspace", "scope", "name"]
        );
        let name = ObjectName::parse("java.lang:name=CodeHeap 'profiled nmethods',type=MemoryPool");
        let name = name.unwrap();
        assert_eq!(name.get("name"), Some("CodeHeap 'profiled nmethods'"));
        assert!(name.text().starts_with("java.lang:"));
    }

    #[test]
    fn no_names() {
        for text in [
            "",
            "a",
            "a:",
            "a:b",
            "a:b=",
            "a:=b",
            "a:b=c,",
            "a:b=\"c",
            "a:b=\"c\"d",
            "a:b=c,,d=e",
        ] {
            assert_eq!(ObjectName::parse(text), None, "{text:?}");
        }
        let many: Vec<_> = (0..100).map(|it| format!("k{it}=v")).collect();
        assert_eq!(ObjectName::parse(&format!("a:{}", many.join(","))), None);
    }

    #[test]
    fn endpoints() {
        for (text, expect) in [
            ("/127.0.0.13", "127.0.0.13"),
            ("127.0.0.13/127.0.0.13", "127.0.0.13"),
            ("127.0.0.13/127.0.0.13:7000", "127.0.0.13"),
            ("/127.0.0.13:7000", "127.0.0.13"),
            ("node-1.example/10.0.0.1", "10.0.0.1"),
            ("10.0.0.1_7000", "10.0.0.1"),
            ("/[2001:db8::1]:7000", "2001:db8::1"),
            ("/2001:db8::1", "2001:db8::1"),
            ("10.0.0.1", "10.0.0.1"),
            ("", ""),
        ] {
            assert_eq!(endpoint(text), expect, "{text}");
        }
    }
}
