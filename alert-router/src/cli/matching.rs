//! Matchers among the words of a command.

use crate::{
    alert::Pairs,
    matcher::{Matcher, Mode, Operator},
    template::go_quoted,
};

/// One matcher; as in Alertmanager, one word has no braces around it.
pub(super) fn matcher(text: &str, mode: Mode) -> Result<Matcher, String> {
    if mode != Mode::Classic && (text.starts_with('{') || text.ends_with('}')) {
        return Err(format!("unexpected open or close brace: {text}"));
    }
    Matcher::parse_with(text, mode).map_err(|error| error.to_string())
}

/// A first word that is no matcher is the value of alertname.
pub(super) fn alertname_first(words: &[String], mode: Mode) -> Vec<String> {
    let mut words = words.to_vec();
    if let Some(first) = words.first_mut()
        && matcher(first, mode).is_err()
    {
        *first = format!("alertname={}", go_quoted(first));
    }
    words
}

/// `name=value`, each; `what` they are is for the message.
pub(super) fn pairs(what: &str, words: &[String], mode: Mode) -> Result<Pairs, String> {
    let mut pairs = Pairs::new();
    for word in words {
        let matcher = matcher(word, mode)?;
        if matcher.operator != Operator::Equal {
            return Err(format!("{what} must be specified as key=value pairs"));
        }
        pairs.insert(matcher.name, matcher.value);
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::{alertname_first, pairs};
    use crate::matcher::Mode;

    #[test]
    fn the_first_word() {
        for (words, expect) in [
            (&[][..], &[][..]),
            (&["Foo", "a=b"], &["alertname=\"Foo\"", "a=b"]),
            (&["a=~b"], &["a=~b"]),
            (&["Foo \"x\""], &["alertname=\"Foo \\\"x\\\"\""]),
            (&["a=~("], &["alertname=\"a=~(\""]),
            (&["{a=b}"], &["alertname=\"{a=b}\""]),
        ] {
            let words: Vec<_> = words.iter().map(|it| (*it).to_owned()).collect();
            assert_eq!(alertname_first(&words, Mode::Fallback), expect);
        }
    }

    #[test]
    fn pairs_are_equalities() {
        for (word, expect) in [
            ("a=b", Ok("{\"a\": \"b\"}")),
            ("a=it burns", Ok("{\"a\": \"it burns\"}")),
            ("a!=b", Err("labels must be specified as key=value pairs")),
            (
                "a",
                Err("bad matcher format: a; write name=\"value\", with =, !=, =~ or !~ between"),
            ),
            ("{a=b}", Err("unexpected open or close brace: {a=b}")),
        ] {
            let found =
                pairs("labels", &[word.to_owned()], Mode::Fallback).map(|it| format!("{it:?}"));
            let found = found.as_deref().map_err(String::as_str);
            assert_eq!(found, expect, "{word}");
        }
    }
}
