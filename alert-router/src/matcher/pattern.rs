//! Regular expressions of matchers, most of which need no engine: `a|b|c`, `a.*`, `.+`.

use regex::Regex;

use crate::go_regex;

/// What a whole value must be like.
#[derive(Debug, Clone)]
pub(super) enum Pattern {
    /// One of these; sorted, each once.
    Literals(Box<[String]>),
    /// This, and anything without a line feed after it.
    Prefix(String),
    /// This, and something without a line feed after it.
    LongerThan(String),
    Regex(Regex),
}

impl Pattern {
    /// Compiles the expression of a whole value.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn new(expression: &str) -> Result<Self, String> {
        if expression.len() <= go_regex::MAX_LENGTH {
            if let Some(literals) = literals(expression) {
                return Ok(Self::Literals(literals));
            }
            let prefix = |it: &str| expression.strip_suffix(it).and_then(literal);
            if let Some(prefix) = prefix(".*") {
                return Ok(Self::Prefix(prefix));
            }
            if let Some(prefix) = prefix(".+") {
                return Ok(Self::LongerThan(prefix));
            }
        }
        go_regex::compile(&format!("^(?:{expression})$")).map(Self::Regex)
    }

    pub(super) fn is_match(&self, value: &str) -> bool {
        let after = |prefix: &String| {
            let rest = value.strip_prefix(prefix.as_str())?;
            (!rest.contains('\n')).then_some(rest)
        };
        match self {
            Self::Literals(literals) => literals
                .binary_search_by(|it| it.as_str().cmp(value))
                .is_ok(),
            Self::Prefix(prefix) => after(prefix).is_some(),
            Self::LongerThan(prefix) => after(prefix).is_some_and(|it| !it.is_empty()),
            Self::Regex(regex) => regex.is_match(value),
        }
    }
}

/// The texts of an alternation, when it is of nothing but texts. It may stand in one group.
fn literals(expression: &str) -> Option<Box<[String]>> {
    // So the older form of matchers has them.
    let whole = expression
        .strip_prefix("^(?:")
        .and_then(|it| it.strip_suffix(")$"))
        .filter(|it| !it.contains(['(', ')', '\\']));
    let expression = whole.unwrap_or(expression);
    let inner = expression.strip_suffix(')').and_then(|it| {
        let inner = it.strip_prefix("(?:").or_else(|| it.strip_prefix('('))?;
        // Of `(a)|(b)` and `(a\)` the outer ones are no pair.
        (!inner.contains(['(', ')', '\\'])).then_some(inner)
    });
    let mut literals = Vec::new();
    let mut rest = inner.unwrap_or(expression);
    loop {
        let end = alternative(rest);
        let (one, after) = rest.split_at(end);
        literals.push(literal(one)?);
        match after.strip_prefix('|') {
            Some(after) => rest = after,
            None => break,
        }
    }
    literals.sort_unstable();
    literals.dedup();
    Some(literals.into_boxed_slice())
}

/// The place of the next bar that is not escaped, or the end.
fn alternative(text: &str) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '|' => return at,
            _ => {}
        }
    }
    text.len()
}

/// What an expression says when it has no meaning beyond its characters.
fn literal(expression: &str) -> Option<String> {
    let mut out = String::with_capacity(expression.len());
    let mut characters = expression.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => out.push(characters.next().filter(char::is_ascii_punctuation)?),
            '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$' => {
                return None;
            }
            it => out.push(it),
        }
    }
    Some(out)
}
