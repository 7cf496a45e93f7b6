//! The grammar of matchers since 0.27: names and values of any characters, in quotes with Go's escapes where they have some that
//! mean something.

use super::{Matcher, MatcherError, Operator, is_reserved};
use crate::template::go_unquoted;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token<'a> {
    Open,
    Close,
    Comma,
    Operator(Operator),
    /// With its quotes.
    Quoted(&'a str),
    Unquoted(&'a str),
}

/// Reads one matcher.
pub(super) fn one(text: &str) -> Result<Matcher, MatcherError> {
    let mut matchers = all(text)?;
    match (matchers.pop(), matchers.is_empty()) {
        (Some(matcher), true) => Ok(matcher),
        (_, _) => Err(wrong(text, "expected one matcher")),
    }
}

/// Reads matchers with commas between them, in braces or without. A comma after the last one is allowed.
pub(super) fn all(text: &str) -> Result<Vec<Matcher>, MatcherError> {
    let tokens = tokens(text)?;
    let mut rest = tokens.iter().peekable();
    let mut matchers = Vec::new();
    let in_braces = rest.next_if_eq(&&Token::Open).is_some();
    loop {
        match rest.next() {
            None if in_braces => return Err(wrong(text, "a brace is not closed")),
            None => return Ok(matchers),
            Some(Token::Close) if in_braces => {
                return match rest.next() {
                    None => Ok(matchers),
                    Some(_) => Err(wrong(text, "text after the closing brace")),
                };
            }
            Some(Token::Close) => {
                return Err(wrong(text, "a closing brace without an opening one"));
            }
            Some(name) => {
                let name = word(text, Some(name))?
                    .ok_or_else(|| wrong(text, "expected the name of a label"))?;
                let Some(Token::Operator(operator)) = rest.next() else {
                    return Err(wrong(text, "expected one of =, !=, =~ and !~"));
                };
                let value = word(text, rest.next())?.ok_or_else(|| {
                    wrong(
                        text,
                        "expected a value, in quotes if it has spaces or any of {}!=~,\\\"'`",
                    )
                })?;
                matchers.push(Matcher::new(name, *operator, value)?);
                match rest.peek() {
                    None | Some(Token::Close) => {}
                    Some(Token::Comma) => drop(rest.next()),
                    Some(_) => {
                        return Err(wrong(text, "expected a comma or the end after a matcher"));
                    }
                }
            }
        }
    }
}

fn wrong(text: &str, reason: &'static str) -> MatcherError {
    MatcherError::Value {
        text: text.trim().to_owned(),
        reason,
    }
}

/// The text of a name or value; None when the token is none.
fn word(text: &str, token: Option<&Token<'_>>) -> Result<Option<String>, MatcherError> {
    match token {
        Some(Token::Unquoted(it)) => Ok(Some((*it).to_owned())),
        Some(Token::Quoted(it)) => match go_unquoted(it) {
            Some(it) => Ok(Some(it)),
            None => Err(wrong(text, "a text in quotes has an escape that is none")),
        },
        _ => Ok(None),
    }
}

fn tokens(text: &str) -> Result<Vec<Token<'_>>, MatcherError> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '{' | '}' | ',' => {
                let token = match first {
                    '{' => Token::Open,
                    '}' => Token::Close,
                    _ => Token::Comma,
                };
                (token, rest.split_at(1).1)
            }
            '=' | '!' => {
                let (operator, after) = Operator::strip(rest)
                    .ok_or_else(|| wrong(text, "expected one of =, !=, =~ and !~"))?;
                (Token::Operator(operator), after)
            }
            '"' => {
                let end =
                    closing_quote(rest).ok_or_else(|| wrong(text, "a quote is not closed"))?;
                let (quoted, after) = rest.split_at(end);
                (Token::Quoted(quoted), after)
            }
            it if is_reserved(it) => {
                return Err(wrong(text, "a character that must stand in quotes"));
            }
            _ => {
                let end = rest.find(is_reserved).unwrap_or(rest.len());
                let (word, after) = rest.split_at(end);
                (Token::Unquoted(word), after)
            }
        };
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

/// The place after the quote that closes the one at the start.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}
