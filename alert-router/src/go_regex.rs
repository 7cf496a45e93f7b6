//! Go's regular expressions (RE2's syntax, `regexp/syntax`) for the crate `regex`: classes such as `\d` are of ASCII there, brackets
//! within brackets are themselves, and `\Q…\E` quotes.

use regex::Regex;

/// More than any expression of people is; the crate's own bound is on what it becomes.
const MAX_LENGTH: usize = 64 << 10;

/// Compiles an expression as Go does.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn compile(expression: &str) -> Result<Regex, String> {
    if expression.len() > MAX_LENGTH {
        return Err("it has more than 64 KiB".to_owned());
    }
    let translated =
        translate(expression).ok_or_else(|| "a group, class or escape is not closed".to_owned())?;
    Regex::new(&translated).map_err(|error| {
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default();
        last.trim_start_matches("error: ").to_owned()
    })
}

/// The same expression in the crate's syntax; None when it is cut off.
fn translate(expression: &str) -> Option<String> {
    let mut out = String::with_capacity(expression.len());
    let mut rest = expression.chars().peekable();
    let mut in_class = false;
    while let Some(character) = rest.next() {
        match character {
            '\\' => {
                let escaped = rest.next()?;
                match escaped {
                    'Q' if !in_class => {
                        // Up to \E, or the end.
                        let mut quoted = String::new();
                        while let Some(it) = rest.next() {
                            if it == '\\' && rest.peek() == Some(&'E') {
                                rest.next();
                                break;
                            }
                            quoted.push(it);
                        }
                        out.push_str(&regex::escape(&quoted));
                    }
                    'd' => out.push_str(if in_class { "0-9" } else { "[0-9]" }),
                    'w' => out.push_str(if in_class {
                        "0-9A-Za-z_"
                    } else {
                        "[0-9A-Za-z_]"
                    }),
                    's' => out.push_str(if in_class {
                        r"\t\n\f\r "
                    } else {
                        r"[\t\n\f\r ]"
                    }),
                    'D' => out.push_str("[^0-9]"),
                    'W' => out.push_str("[^0-9A-Za-z_]"),
                    'S' => out.push_str(r"[^\t\n\f\r ]"),
                    'b' => out.push_str("(?-u:\\b)"),
                    'B' => out.push_str("(?-u:\\B)"),
                    'E' => {}
                    'C' | 'Z' => return None,
                    it if it.is_ascii_punctuation() => {
                        out.push('\\');
                        out.push(it);
                    }
                    it => {
                        out.push('\\');
                        out.push(it);
                    }
                }
            }
            '[' if in_class && rest.peek() == Some(&':') => {
                // [:alpha:] is the same in both.
                out.push('[');
                for it in rest.by_ref() {
                    out.push(it);
                    if it == ']' {
                        break;
                    }
                }
            }
            '[' if in_class => out.push_str("\\["),
            '[' => {
                in_class = true;
                out.push('[');
                if rest.peek() == Some(&'^') {
                    rest.next();
                    out.push('^');
                }
                // A bracket that closes nothing is itself.
                if rest.peek() == Some(&']') {
                    rest.next();
                    out.push_str("\\]");
                }
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            // A brace that repeats nothing is itself.
            '{' if !in_class && !repeats(rest.clone()) => out.push_str("\\{"),
            // The crate's set operations are no such thing in Go.
            '&' | '~' if in_class => {
                out.push('\\');
                out.push(character);
            }
            '-' if in_class && rest.peek() == Some(&'-') => out.push_str("\\-"),
            other => out.push(other),
        }
    }
    (!in_class).then_some(out)
}

/// Whether `{2}`, `{2,}` or `{2,3}` goes on here.
fn repeats(mut rest: impl Iterator<Item = char>) -> bool {
    let inside: String = rest.by_ref().take_while(|it| *it != '}').take(10).collect();
    let (least, most) = inside.split_once(',').unwrap_or((&inside, "0"));
    let is_number = |it: &str| it.bytes().all(|it| it.is_ascii_digit());
    !least.is_empty() && is_number(least) && is_number(most)
}

#[cfg(test)]
mod tests {
    use super::compile;

    #[test]
    fn as_in_go() {
        for (expression, text, expect) in [
            (r"^\d+$", "12", true),
            (r"^\d+$", "\u{661}", false),
            (r"^\w$", "é", false),
            (r"^[\w.]+$", "a.b_1", true),
            (r"^[[a]$", "[", true),
            (r"^[a&&b]$", "&", true),
            (r"^[]a]$", "]", true),
            (r"^[^]a]$", "]", false),
            (r"^[[:alpha:]]+$", "ab", true),
            (r"^\Qa.b\E$", "a.b", true),
            (r"^\Qa.b\E$", "axb", false),
            (r"\bx\b", "éx", true),
            (r"(?i)ABC", "xabcx", true),
            (r"a{,2}", "a{,2}", true),
            ("^{a}$", "{a}", true),
            ("^a{2,}b{1}$", "aaab", true),
            ("é", "é", true),
        ] {
            let found = compile(expression).map(|it| it.is_match(text));
            assert_eq!(found, Ok(expect), "{expression} {text}");
        }
        for expression in ["(", "[a", "a\\", "(?P<x", "*"] {
            assert!(compile(expression).is_err(), "{expression}");
        }
    }
}
