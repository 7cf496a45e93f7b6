//! Matchers, `severity=~"warning|critical"`, in Alertmanager's grammar.

use std::fmt;

use regex::Regex;

use crate::{
    alert::Pairs,
    go_regex,
    template::{go_quoted, go_unquoted},
};

/// A condition on one label. A missing label counts as an empty one.
#[derive(Debug, Clone)]
pub(crate) struct Matcher {
    pub(crate) name: String,
    pub(crate) operator: Operator,
    pub(crate) value: String,
    /// Of the whole value; only for the operators that have one.
    regex: Option<Regex>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Regex,
    NotRegex,
}

/// Why a text is no matcher.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MatcherError {
    #[error("bad matcher format: {0}; write name=\"value\", with =, !=, =~ or !~ between")]
    Format(String),
    #[error("bad matcher format: {0}: no name before the operator")]
    Name(String),
    #[error("bad matcher format: {text}: {reason}")]
    Value { text: String, reason: &'static str },
    #[error("bad matcher {text}: {value:?} is no regular expression: {reason}")]
    Regex {
        text: String,
        value: String,
        reason: String,
    },
}

impl Matcher {
    pub(crate) fn new(
        name: impl Into<String>,
        operator: Operator,
        value: impl Into<String>,
    ) -> Result<Self, MatcherError> {
        let (name, value) = (name.into(), value.into());
        let regex = match operator {
            Operator::Equal | Operator::NotEqual => None,
            Operator::Regex | Operator::NotRegex => {
                let regex = go_regex::compile(&format!("^(?:{value})$"));
                Some(regex.map_err(|reason| MatcherError::Regex {
                    text: format!("{name}{operator}{value:?}"),
                    value: value.clone(),
                    reason,
                })?)
            }
        };
        Ok(Self {
            name,
            operator,
            value,
            regex,
        })
    }

    /// Reads one matcher. Names and values may stand in double quotes, in which `\"`, `\\` and `\n` are escapes; a name
    /// without quotes has none of the grammar's own characters, a value without quotes goes to the end.
    pub(crate) fn parse(text: &str) -> Result<Self, MatcherError> {
        let whole = text.trim();
        let format = || MatcherError::Format(whole.to_owned());
        let (name, rest) = if whole.starts_with('"') {
            quoted(whole, whole)?
        } else {
            let end = whole
                .find(['=', '!', '~', '{', '}', ',', '"', '\'', '`', '\\'])
                .ok_or_else(format)?;
            let (name, rest) = whole.split_at(end);
            (name.trim().to_owned(), rest)
        };
        if name.is_empty() {
            return Err(MatcherError::Name(whole.to_owned()));
        }
        let rest = rest.trim_start();
        let (operator, rest) = [
            ("=~", Operator::Regex),
            ("!~", Operator::NotRegex),
            ("!=", Operator::NotEqual),
            ("=", Operator::Equal),
        ]
        .into_iter()
        .find_map(|(symbol, operator)| Some((operator, rest.strip_prefix(symbol)?)))
        .ok_or_else(format)?;
        let rest = rest.trim();
        let value = if rest.starts_with('"') {
            let (value, tail) = quoted(whole, rest)?;
            if !tail.trim().is_empty() {
                return Err(MatcherError::Value {
                    text: whole.to_owned(),
                    reason: "text after the closing quote",
                });
            }
            value
        } else {
            // The classic form: backslash escapes, but no quotes inside.
            if rest.contains('"') {
                return Err(MatcherError::Value {
                    text: whole.to_owned(),
                    reason: "a quote inside a value without quotes",
                });
            }
            rest.replace("\\n", "\n").replace("\\\\", "\\")
        };
        Self::new(name, operator, value)
    }

    /// Reads `{a="b", c=~"d"}`, with or without braces.
    pub(crate) fn parse_all(text: &str) -> Result<Vec<Self>, MatcherError> {
        let trimmed = text.trim();
        let inner = match (trimmed.strip_prefix('{'), trimmed.strip_suffix('}')) {
            (Some(rest), Some(_)) => rest.strip_suffix('}').unwrap_or(rest),
            (None, None) => trimmed,
            _ => return Err(MatcherError::Format(trimmed.to_owned())),
        };
        let mut parts = vec![String::new()];
        let (mut in_quotes, mut escaped) = (false, false);
        for character in inner.chars() {
            if character == ',' && !in_quotes {
                parts.push(String::new());
                continue;
            }
            if character == '"' && !escaped {
                in_quotes = !in_quotes;
            }
            escaped = character == '\\' && !escaped;
            if let Some(last) = parts.last_mut() {
                last.push(character);
            }
        }
        // A comma after the last one is allowed.
        if parts.len() > 1 && parts.last().is_some_and(|it| it.trim().is_empty()) {
            parts.pop();
        }
        if parts.len() == 1 && parts.first().is_some_and(|it| it.trim().is_empty()) {
            return Ok(Vec::new());
        }
        parts.iter().map(|it| Self::parse(it)).collect()
    }

    pub(crate) fn matches(&self, labels: &Pairs) -> bool {
        let value = labels.get(&self.name).map_or("", String::as_str);
        let matched = match &self.regex {
            None => value == self.value,
            Some(regex) => regex.is_match(value),
        };
        matched == matches!(self.operator, Operator::Equal | Operator::Regex)
    }
}

/// A text in quotes at the start of `text`, and what follows it. Its escapes are Go's; one that has others is of the classic
/// grammar, in which a backslash before any other character is itself.
fn quoted<'a>(whole: &str, text: &'a str) -> Result<(String, &'a str), MatcherError> {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, character)| {
        let ends = *character == '"' && !escaped;
        escaped = *character == '\\' && !escaped;
        ends
    });
    let Some((end, _)) = end else {
        return Err(MatcherError::Value {
            text: whole.to_owned(),
            reason: "a quote is not closed",
        });
    };
    let (with_quotes, rest) = text.split_at(end + 1);
    if let Some(value) = go_unquoted(with_quotes) {
        return Ok((value, rest));
    }
    let mut value = String::new();
    let mut characters = text.get(1..end).unwrap_or_default().chars();
    while let Some(character) = characters.next() {
        match character {
            // Regular expressions are full of backslashes.
            '\\' => match characters.next() {
                Some('n') => value.push('\n'),
                Some(same @ ('"' | '\\')) => value.push(same),
                Some(other) => value.extend(['\\', other]),
                None => value.push('\\'),
            },
            other => value.push(other),
        }
    }
    Ok((value, rest))
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        })
    }
}

/// As Alertmanager writes it, in keys of groups too: a name with characters that mean something is quoted, as Go quotes.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_reserved = |it: char| it.is_whitespace() || "{}!=~,\\\"'`".contains(it);
        if self.name.contains(is_reserved) {
            let (name, value) = (go_quoted(&self.name), go_quoted(&self.value));
            return write!(f, "{name}{}{value}", self.operator);
        }
        let value = self.value.replace('\\', "\\\\");
        let value = value.replace('\n', "\\n").replace('"', "\\\"");
        write!(f, "{}{}\"{value}\"", self.name, self.operator)
    }
}

#[cfg(test)]
mod tests {
    use super::Matcher;
    use crate::alert::Pairs;

    #[test]
    fn reading() {
        for (text, expect) in [
            ("a=b", Ok("a=\"b\"")),
            (" a = \"b c\" ", Ok("a=\"b c\"")),
            ("a!=b", Ok("a!=\"b\"")),
            ("a=~\"b|c\"", Ok("a=~\"b|c\"")),
            ("a!~\"b.*\"", Ok("a!~\"b.*\"")),
            ("a=", Ok("a=\"\"")),
            ("a=\"\\\"x\\\\y\\n\"", Ok("a=\"\\\"x\\\\y\\n\"")),
            ("\"an odd=name\"=b", Ok("\"an odd=name\"=\"b\"")),
            ("straße=x", Ok("straße=\"x\"")),
            ("a=\\d", Ok("a=\"\\\\d\"")),
            (
                "a",
                Err("bad matcher format: a; write name=\"value\", with =, !=, =~ or !~ between"),
            ),
            (
                "=b",
                Err("bad matcher format: =b: no name before the operator"),
            ),
            (
                "a=\"b",
                Err("bad matcher format: a=\"b: a quote is not closed"),
            ),
            (
                "a=\"b\"c",
                Err("bad matcher format: a=\"b\"c: text after the closing quote"),
            ),
            (
                "a=b\"c",
                Err("bad matcher format: a=b\"c: a quote inside a value without quotes"),
            ),
            (
                "a=~\"(\"",
                Err("bad matcher a=~\"(\": \"(\" is no regular expression: unclosed group"),
            ),
        ] {
            let found = Matcher::parse(text).map(|it| it.to_string());
            let found = found.map_err(|it| it.to_string());
            let found = found.as_ref().map(String::as_str).map_err(String::as_str);
            assert_eq!(found, expect, "{text}");
        }
    }

    #[test]
    fn lists() {
        for (text, expect) in [
            ("{a=\"b\", c=~\"d,e\"}", Some(2)),
            ("a=b,c=d,", Some(2)),
            ("{}", Some(0)),
            ("", Some(0)),
            ("{a=b", None),
            ("a=b,,c=d", None),
        ] {
            assert_eq!(
                Matcher::parse_all(text).ok().map(|it| it.len()),
                expect,
                "{text}"
            );
        }
    }

    #[test]
    fn matching() {
        let labels: Pairs = [("a", "xy")]
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .into();
        for (text, expect) in [
            ("a=xy", true),
            ("a=x", false),
            ("a!=x", true),
            ("a=~x", false),
            ("a=~x.", true),
            ("a!~x", true),
            ("b=\"\"", true),
            ("b!=\"\"", false),
            ("b=~.*", true),
            ("b=~.+", false),
        ] {
            assert_eq!(
                Matcher::parse(text).unwrap().matches(&labels),
                expect,
                "{text}"
            );
        }
    }
}
