//! The grammar of matchers before 0.27: names of ASCII, values with or without quotes, backslashes that mean themselves.

use super::{Matcher, MatcherError, Operator};

/// Reads one matcher.
pub(super) fn one(text: &str) -> Result<Matcher, MatcherError> {
    let format = || MatcherError::Format(text.trim().to_owned());
    let rest = text.trim_start_matches(is_space);
    let end = rest.find(|it: char| !it.is_ascii_alphanumeric() && it != '_' && it != ':');
    let (name, rest) = rest.split_at(end.ok_or_else(format)?);
    let (operator, rest) = Operator::strip(rest.trim_start_matches(is_space)).ok_or_else(format)?;
    if name.is_empty() {
        return Err(MatcherError::Name(text.trim().to_owned()));
    }
    if name.starts_with(|it: char| it.is_ascii_digit()) {
        return Err(format());
    }
    Matcher::new(name, operator, value(text, rest.trim_matches(is_space))?)
}

/// Reads matchers with commas between them. Either brace may be there without the other.
pub(super) fn all(text: &str) -> Result<Vec<Matcher>, MatcherError> {
    let inner = text.strip_prefix('{').unwrap_or(text);
    let inner = inner.strip_suffix('}').unwrap_or(inner);
    let mut parts = Vec::new();
    let mut part = String::new();
    let (mut in_quotes, mut escaped) = (false, false);
    for character in inner.chars() {
        match character {
            ',' if !in_quotes => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            // It does not end an escape, in Alertmanager as here.
            ',' => {}
            '"' if escaped => escaped = false,
            '"' => in_quotes = !in_quotes,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
        part.push(character);
    }
    // A comma after the last one is allowed.
    if !part.trim().is_empty() {
        parts.push(part.trim().to_owned());
    }
    parts.iter().map(|it| one(it)).collect()
}

/// White space to the regular expressions of Go.
const fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\u{c}' | '\r')
}

fn value(text: &str, raw: &str) -> Result<String, MatcherError> {
    let wrong = |reason| MatcherError::Value {
        text: text.trim().to_owned(),
        reason,
    };
    let (inner, mut open) = match raw.strip_prefix('"') {
        Some(rest) => (rest, true),
        None => (raw, false),
    };
    let mut value = String::with_capacity(inner.len());
    let mut characters = inner.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            // Regular expressions are full of backslashes.
            '\\' => match characters.next() {
                Some('n') => value.push('\n'),
                Some(same @ ('"' | '\\')) => value.push(same),
                Some(other) => value.extend(['\\', other]),
                None => value.push('\\'),
            },
            '"' if open && characters.peek().is_none() => open = false,
            '"' if open => return Err(wrong("text after the closing quote")),
            '"' => return Err(wrong("a quote inside a value without quotes")),
            other => value.push(other),
        }
    }
    if open {
        return Err(wrong("a quote is not closed"));
    }
    Ok(value)
}
