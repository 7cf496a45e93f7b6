//! Changing one value of `config.json` and nothing else of its text.

use super::document::quoted;

/// The text with another number in a key of the outermost object: as a text in quotes where it was one. A key that is missing comes last. None
/// when the text is no object.
pub(crate) fn set_number(text: &str, key: &str, number: u32) -> Option<String> {
    let serde_json::Value::Object(object) =
        serde_json::from_str(text.trim_start_matches('\u{feff}')).ok()?
    else {
        return None;
    };
    if !object.contains_key(key) {
        let (head, tail) = text.rsplit_once('}')?;
        let body = head.trim_end();
        let space = head.get(body.len()..)?;
        let comma = if object.is_empty() { "" } else { "," };
        let indent = if space.contains('\n') { "\n  " } else { " " };
        return Some(format!(
            "{body}{comma}{indent}\"{key}\": \"{number}\"{space}}}{tail}"
        ));
    }
    let (begin, end) = value(text, key)?;
    let is_text = text.get(begin..)?.starts_with('"');
    let quote = if is_text { "\"" } else { "" };
    Some(format!(
        "{}{quote}{number}{quote}{}",
        text.get(..begin)?,
        text.get(end..)?
    ))
}

/// Where the value of a key of the outermost object stands, the last one's when there are two; a text or a number.
fn value(text: &str, key: &str) -> Option<(usize, usize)> {
    let mut depth = 0_u32;
    let mut at = 0;
    let mut found = None;
    while let Some(first) = text.get(at..)?.chars().next() {
        match first {
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.checked_sub(1)?,
            '"' => {
                let length = quoted(text.get(at..)?);
                let word = text.get(at..at + length)?;
                at += length;
                let rest = text.get(at..)?;
                let is_key = depth == 1 && rest.trim_start().starts_with(':');
                if is_key && serde_json::from_str::<String>(word).is_ok_and(|it| it == key) {
                    let after = rest.get(rest.find(':')? + 1..)?;
                    let begin = text.len() - after.trim_start().len();
                    let value = text.get(begin..)?;
                    let length = if value.starts_with('"') {
                        quoted(value)
                    } else {
                        value.find([',', '}', '\n', ' ', '\t', '\r'])?
                    };
                    found = Some((begin, begin + length));
                    at = begin + length;
                }
                continue;
            }
            _ => {}
        }
        at += first.len_utf8();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::set_number;

    #[test]
    fn nothing_else_changes() {
        for (text, expect) in [
            ("{\"n\": \"3\"}", Some("{\"n\": \"5\"}")),
            ("{ \"n\":3}", Some("{ \"n\":5}")),
            (
                "{\n\t\"a\": {\"n\": 1},  \"n\" : 3 ,\n\"b\": \"n\"\n}\n",
                Some("{\n\t\"a\": {\"n\": 1},  \"n\" : 5 ,\n\"b\": \"n\"\n}\n"),
            ),
            (
                "{\"x\": \"\\\"n\\\": 1\", \"n\": \"\"}",
                Some("{\"x\": \"\\\"n\\\": 1\", \"n\": \"5\"}"),
            ),
            (
                "{\"é\": [\"n\", {\"n\": 2}], \"n\": 3}",
                Some("{\"é\": [\"n\", {\"n\": 2}], \"n\": 5}"),
            ),
            (
                "{\n  \"a\": 1\n}\n",
                Some("{\n  \"a\": 1,\n  \"n\": \"5\"\n}\n"),
            ),
            ("{\"a\": 1}", Some("{\"a\": 1, \"n\": \"5\"}")),
            ("{}", Some("{ \"n\": \"5\"}")),
            ("[]", None),
            ("{", None),
            ("", None),
        ] {
            assert_eq!(set_number(text, "n", 5).as_deref(), expect, "{text}");
        }
    }
}
