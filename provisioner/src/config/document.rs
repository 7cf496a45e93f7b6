//! A text of JSON, with the line of every key.

use serde_json::Value;

/// The outermost object of a text.
pub(super) struct Document {
    pub(super) entries: Vec<(String, Value)>,
    /// Where keys and elements of lists stand, such as `remote_write[0].url`, in the order of the text, from line 1.
    lines: Vec<(String, usize)>,
}

/// A line and what is wrong there.
pub(super) type Problem = (usize, String);

impl Document {
    /// Reads it.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        // What an editor of another system puts at the start.
        let text = text.trim_start_matches('\u{feff}');
        let value: Value = serde_json::from_str(text).map_err(|error| {
            let reason = error.to_string();
            let reason = reason.split(" at line ").next().unwrap_or_default();
            (error.line().max(1), format!("it is no JSON: {reason}"))
        })?;
        let Value::Object(entries) = value else {
            return Err((1, "it must be an object of keys and values".to_owned()));
        };
        Ok(Self {
            entries: entries.into_iter().collect(),
            lines: lines(text),
        })
    }

    /// The line of a key.
    pub(super) fn line(&self, path: &str) -> usize {
        let found = self.lines.iter().find(|it| it.0 == path);
        found.map_or(1, |it| it.1)
    }

    /// Keys that stand twice in one object: JSON has the last one, and a person may look at the first.
    pub(super) fn doubles(&self) -> Vec<Problem> {
        let mut seen = std::collections::BTreeSet::new();
        let doubles = self.lines.iter().filter(|it| !seen.insert(&it.0));
        doubles
            .map(|(path, line)| (*line, format!("{path} is given twice")))
            .collect()
    }
}

/// An object or list that is open.
struct Open {
    path: String,
    /// The number of the element that is next, of a list.
    index: Option<usize>,
}

/// Of a text that is known to be JSON.
fn lines(text: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    // The path of the value that comes next.
    let mut next = String::new();
    let mut line = 1;
    let mut expects_key = false;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let mut taken = first.len_utf8();
        if let (None, Some(list)) = (
            "\n\r\t ,]}:".find(first),
            open.last_mut()
                .and_then(|it| it.index.as_mut().map(|index| (index, &it.path))),
        ) && next.is_empty()
        {
            next = format!("{}[{}]", list.1, list.0);
            found.push((next.clone(), line));
        }
        match first {
            '\n' => line += 1,
            '{' | '[' => {
                let path = std::mem::take(&mut next);
                let index = (first == '[').then_some(0);
                expects_key = first == '{';
                open.push(Open { path, index });
            }
            '}' | ']' => {
                open.pop();
                expects_key = false;
                next.clear();
            }
            ',' => {
                next.clear();
                match open.last_mut() {
                    Some(Open {
                        index: Some(index), ..
                    }) => *index += 1,
                    _ => expects_key = true,
                }
            }
            '"' => {
                taken = quoted(rest);
                if expects_key {
                    let word = rest.get(..taken).unwrap_or("\"\"");
                    let key: String = serde_json::from_str(word).unwrap_or_default();
                    let parent = open.last().map_or("", |it| it.path.as_str());
                    let dot = if parent.is_empty() { "" } else { "." };
                    next = format!("{parent}{dot}{key}");
                    found.push((next.clone(), line));
                    expects_key = false;
                }
            }
            _ => {}
        }
        rest = rest.get(taken..).unwrap_or_default();
    }
    found
}

/// The length of the text in quotes that something begins with.
pub(super) fn quoted(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            b'\\' if !is_escaped => is_escaped = true,
            b'"' if !is_escaped => return at + 1,
            _ => is_escaped = false,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::{Document, lines};

    #[test]
    fn every_key_has_its_line() {
        let text = r#"{
  "a": 1, "b": [
    {"url": "x,{\"}", "more": {}},
    "y", 7, [
      true]
  ],
  "c": {"d e": {
    "f": null}, "g": []},
  "h": "i"
}"#;
        let expect = [
            ("a", 2),
            ("b", 2),
            ("b[0]", 3),
            ("b[0].url", 3),
            ("b[0].more", 3),
            ("b[1]", 4),
            ("b[2]", 4),
            ("b[3]", 4),
            ("b[3][0]", 5),
            ("c", 7),
            ("c.d e", 7),
            ("c.d e.f", 8),
            ("c.g", 8),
            ("h", 9),
        ];
        let expect: Vec<_> = expect.map(|it| (it.0.to_owned(), it.1)).to_vec();
        assert_eq!(lines(text), expect);
        assert_eq!(lines(r#"{"a": 12.5e3, "b": [1,2]}"#).len(), 4);
    }

    #[test]
    fn doubles() {
        let text = "{\"a\": {\"b\": 1,\n\"b\": 2},\n\"c\": [{\"b\": 1}, {\"b\": 1}], \"a\": 3}";
        let document = Document::parse(text).ok().unwrap();
        let expect = [
            (2, "a.b is given twice".to_owned()),
            (3, "a is given twice".to_owned()),
        ];
        assert_eq!(document.doubles(), expect);
    }
}
