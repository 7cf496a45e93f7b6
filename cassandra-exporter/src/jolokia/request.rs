//! What is asked: bulks of `read` and `search` (Jolokia's protocol, chapter 6 of its reference manual). Nothing else is ever sent.

/// Processing parameters of every call: answers without what was asked (they are told by their place), an attribute that fails does
/// not spoil the others of its bean, and no stack traces.
pub(crate) const PARAMETERS: &str =
    "includeRequest=false&ignoreErrors=true&includeStackTrace=false";

/// A JSON array of requests.
#[derive(Debug)]
pub(crate) struct Bulk {
    body: String,
    len: usize,
}

impl Bulk {
    pub(crate) fn new() -> Self {
        Self {
            body: "[".to_owned(),
            len: 0,
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn read(&mut self, bean: &str, attributes: &[&str]) {
        self.read_parts(&[bean], &attributes_text(attributes));
    }

    /// A bean whose name is put together of parts, and attributes that are JSON already.
    pub(crate) fn read_parts(&mut self, bean: &[&str], attributes: &str) {
        self.start("read", bean);
        self.body.push_str(",\"attribute\":");
        self.body.push_str(attributes);
        self.body.push('}');
    }

    pub(crate) fn search(&mut self, pattern: &str) {
        self.start("search", &[pattern]);
        self.body.push('}');
    }

    fn start(&mut self, kind: &str, bean: &[&str]) {
        if self.len > 0 {
            self.body.push(',');
        }
        self.len += 1;
        self.body.push_str("{\"type\":\"");
        self.body.push_str(kind);
        self.body.push_str("\",\"mbean\":\"");
        for part in bean {
            escape(&mut self.body, part);
        }
        self.body.push('"');
    }

    pub(crate) fn finish(mut self) -> String {
        self.body.push(']');
        self.body
    }
}

/// Attributes as JSON: one as a text, whose value then stands alone in the answer; more as an array.
pub(crate) fn attributes_text(attributes: &[&str]) -> String {
    let quoted = |it: &&str| {
        let mut out = String::from('"');
        escape(&mut out, it);
        out.push('"');
        out
    };
    match attributes {
        [one] => quoted(one),
        many => {
            let many: Vec<_> = many.iter().map(quoted).collect();
            format!("[{}]", many.join(","))
        }
    }
}

fn escape(out: &mut String, text: &str) {
    // Nearly all names are without any of them.
    if text
        .bytes()
        .all(|it| it >= 0x20 && it != b'"' && it != b'\\')
    {
        out.push_str(text);
        return;
    }
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            control if control < ' ' => {
                out.push_str(&format!("\\u{:04x}", u32::from(control)));
            }
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Bulk;

    #[test]
    fn bulks() {
        assert_eq!(Bulk::new().finish(), "[]");
        let mut bulk = Bulk::new();
        bulk.read("a:b=\"c\\\"", &["Count"]);
        bulk.read("a:b=\u{1}c", &["Count", "99thPercentile"]);
        bulk.search("java.lang:*");
        assert_eq!(bulk.len(), 3);
        let text = bulk.finish();
        assert_eq!(
            text,
            r#"[{"type":"read","mbean":"a:b=\"c\\\"","attribute":"Count"},{"type":"read","mbean":"a:b=\u0001c","attribute":["Count","99thPercentile"]},{"type":"search","mbean":"java.lang:*"}]"#
        );
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
    }
}
