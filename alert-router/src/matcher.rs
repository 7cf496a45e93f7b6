//! Matchers, `severity=~"warning|critical"`, in Alertmanager's grammars.

mod classic;
mod pattern;
mod utf8;

use std::{cmp::Ordering, fmt, slice};

use self::pattern::Pattern;
use crate::{alert::Labels, template::go_quoted};

/// A condition on one label. A missing label counts as an empty one.
#[derive(Debug, Clone)]
pub(crate) struct Matcher {
    pub(crate) name: String,
    pub(crate) operator: Operator,
    pub(crate) value: String,
    /// Of the whole value; only for the operators that have one.
    pattern: Option<Pattern>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Regex,
    NotRegex,
}

/// How texts are read, and which names labels may have: Alertmanager's feature flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mode {
    /// In the new grammar; what only the classic one reads, or reads otherwise, is the classic one's.
    #[default]
    Fallback,
    /// `classic-mode`: as before 0.27.
    Classic,
    /// `utf8-strict-mode`: in the new grammar alone.
    Utf8Strict,
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
    #[error("unexpected open or close brace: {0}")]
    Brace(String),
    #[error("bad matcher {text}: {value:?} is no regular expression: {reason}")]
    Regex {
        text: String,
        value: String,
        reason: String,
    },
}

impl Mode {
    /// Whether a label may have this name.
    pub(crate) fn is_label_name(self, name: &str) -> bool {
        match self {
            Self::Fallback | Self::Utf8Strict => !name.is_empty(),
            Self::Classic => {
                !name.starts_with(|it: char| it.is_ascii_digit())
                    && !name.is_empty()
                    && name
                        .chars()
                        .all(|it| it.is_ascii_alphanumeric() || it == '_')
            }
        }
    }
}

impl Matcher {
    pub(crate) fn new(
        name: impl Into<String>,
        operator: Operator,
        value: impl Into<String>,
    ) -> Result<Self, MatcherError> {
        let (name, value) = (name.into(), value.into());
        let pattern = match operator {
            Operator::Equal | Operator::NotEqual => None,
            Operator::Regex | Operator::NotRegex => {
                let pattern = Pattern::new(&value);
                Some(pattern.map_err(|reason| MatcherError::Regex {
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
            pattern,
        })
    }

    /// Reads one matcher as Alertmanager does without feature flags.
    #[cfg(test)]
    pub(crate) fn parse(text: &str) -> Result<Self, MatcherError> {
        Self::parse_with(text, Mode::Fallback)
    }

    /// Reads one matcher.
    pub(crate) fn parse_with(text: &str, mode: Mode) -> Result<Self, MatcherError> {
        if mode == Mode::Classic {
            return classic::one(text);
        }
        if text.starts_with('{') || text.ends_with('}') {
            return Err(MatcherError::Brace(text.to_owned()));
        }
        if mode == Mode::Utf8Strict {
            return utf8::one(text);
        }
        match (utf8::one(text), classic::one(text)) {
            (Ok(new), Err(_)) => Ok(new),
            (Ok(_) | Err(_), old) => old,
        }
    }

    /// Reads `{a="b", c=~"d"}`, with or without braces, as Alertmanager does without feature flags.
    pub(crate) fn parse_all(text: &str) -> Result<Vec<Self>, MatcherError> {
        Self::parse_all_with(text, Mode::Fallback)
    }

    /// Reads `{a="b", c=~"d"}`, with or without braces.
    pub(crate) fn parse_all_with(text: &str, mode: Mode) -> Result<Vec<Self>, MatcherError> {
        match mode {
            Mode::Classic => classic::all(text),
            Mode::Utf8Strict => utf8::all(text),
            // Where both read it, they agree, or the classic one rules.
            Mode::Fallback => match (utf8::all(text), classic::all(text)) {
                (Ok(new), Err(_)) => Ok(new),
                (Ok(_) | Err(_), old) => old,
            },
        }
    }

    pub(crate) fn matches(&self, labels: &(impl Labels + ?Sized)) -> bool {
        self.matches_value(labels.value(&self.name).unwrap_or(""))
    }

    /// The expression in the syntax of the crate `regex`, where it is matched by that.
    pub(crate) fn pattern(&self) -> Option<&str> {
        match &self.pattern {
            Some(Pattern::Regex(regex)) => Some(regex.as_str()),
            _ => None,
        }
    }

    /// What every value of `=~` starts with, where the expression is that and anything behind it.
    pub(crate) fn prefix(&self) -> Option<&str> {
        match &self.pattern {
            Some(Pattern::Prefix(prefix) | Pattern::LongerThan(prefix)) => Some(prefix),
            _ => None,
        }
    }

    /// Whether a label with this value, or without any when it is empty, is as it should be.
    pub(crate) fn matches_value(&self, value: &str) -> bool {
        let matched = match &self.pattern {
            None => value == self.value,
            Some(pattern) => pattern.is_match(value),
        };
        matched == matches!(self.operator, Operator::Equal | Operator::Regex)
    }

    /// The only values with which the label is as it should be, where it is known: of `=`, and of `=~` with an alternation of
    /// texts. An empty one among them stands for a missing label too.
    pub(crate) fn literals(&self) -> Option<&[String]> {
        match (self.operator, &self.pattern) {
            (Operator::Equal, _) => Some(slice::from_ref(&self.value)),
            (Operator::Regex, Some(Pattern::Literals(literals))) => Some(literals),
            _ => None,
        }
    }

    /// Alertmanager's order, in which keys of groups have their matchers.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        self.name
            .cmp(&other.name)
            .then_with(|| self.value.cmp(&other.value))
            .then_with(|| self.operator.cmp(&other.operator))
    }
}

impl Operator {
    /// The operator at the start of a text, and what follows it.
    fn strip(text: &str) -> Option<(Self, &str)> {
        [
            ("=~", Self::Regex),
            ("!~", Self::NotRegex),
            ("!=", Self::NotEqual),
            ("=", Self::Equal),
        ]
        .into_iter()
        .find_map(|(symbol, operator)| Some((operator, text.strip_prefix(symbol)?)))
    }
}

/// A character that means something in the new grammar: a name or a value with one stands in quotes.
fn is_reserved(character: char) -> bool {
    character.is_whitespace() || "{}!=~,\\\"'`".contains(character)
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
            // The classic grammar does not look for the other brace.
            ("{a=b", Some(1)),
            ("{{a=b", None),
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

    /// Which need no engine, and that they match as one would.
    #[test]
    fn patterns() {
        use super::Pattern;
        for (expression, literals) in [
            ("a", Some("a")),
            ("a|b|a", Some("a,b")),
            ("(a|b)", Some("a,b")),
            ("(?:a|b)", Some("a,b")),
            ("^(?:a|b)$", Some("a,b")),
            ("a\\.b|c\\|d", Some("a.b,c|d")),
            ("", Some("")),
            ("a|", Some(",a")),
            ("straße|b c", Some("b c,straße")),
            ("a.*", None),
            (".*", None),
            (".+", None),
            ("a\\..+", None),
            ("a.", None),
            ("(a)|(b)", None),
            ("(?i)a|b", None),
            ("a\\d", None),
            ("a{2}", None),
            ("[ab]", None),
            ("a?|b", None),
            ("^a$", None),
            ("(a|b)c", None),
            ("((a|b))", None),
        ] {
            let matcher = Matcher::new("x", super::Operator::Regex, expression).unwrap();
            let found = matcher.literals().map(|it| it.join(","));
            assert_eq!(found.as_deref(), literals, "{expression}");
            let engine = crate::go_regex::compile(&format!("^(?:{expression})$")).unwrap();
            let pattern = Pattern::new(expression).unwrap();
            for value in [
                "", "a", "b", "A", "c", "ab", "aa", "abc", "a.b", "a.", "axb", "c|d", "c", "d",
                "a\n", "\n", "a.\n", "straße", "b c", "a1", "ac",
            ] {
                assert_eq!(
                    pattern.is_match(value),
                    engine.is_match(value),
                    "{expression} {value:?}"
                );
            }
        }
    }
}
