//! Go's regular expressions (RE2's syntax, `regexp/syntax`) for the crate `regex`: classes such as `\d` are of ASCII there, brackets
//! within brackets are themselves, `\Q…\E` quotes, and some of what the crate knows is a mistake.

use std::{collections::BTreeSet, iter::Peekable, str::Chars};

use regex::{Regex, RegexBuilder};

/// More than any expression of people is; the crate's own bound is on what it becomes.
pub(crate) const MAX_LENGTH: usize = 64 << 10;
/// Of groups within groups, in Go as here.
const MAX_DEPTH: usize = 1000;
/// How often something may be repeated, repetitions of repetitions multiplied.
const MAX_REPEAT: u64 = 1000;

/// Compiles an expression as Go does.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn compile(expression: &str) -> Result<Regex, String> {
    if expression.len() > MAX_LENGTH {
        return Err("it has more than 64 KiB".to_owned());
    }
    let translated = Translator::new(expression).translate()?;
    let nest = u32::try_from(MAX_DEPTH).unwrap_or(u32::MAX);
    let regex = RegexBuilder::new(&translated).nest_limit(nest).build();
    regex.map_err(|error| {
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default();
        last.trim_start_matches("error: ").to_owned()
    })
}

/// From Go's syntax to the crate's.
struct Translator<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
    /// What is open: how often its parts are repeated at most.
    groups: Vec<u64>,
    names: BTreeSet<String>,
    /// What stands before, which an operator would repeat.
    before: Before,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Nothing that can be repeated.
    Nothing,
    /// Something whose parts are repeated so often at most.
    Something(u64),
    /// Something with an operator behind it.
    Repeated,
}

impl<'a> Translator<'a> {
    fn new(expression: &'a str) -> Self {
        Self {
            rest: expression.chars().peekable(),
            out: String::with_capacity(expression.len()),
            groups: vec![1],
            names: BTreeSet::new(),
            before: Before::Nothing,
        }
    }

    fn translate(mut self) -> Result<String, String> {
        while let Some(character) = self.rest.next() {
            match character {
                '\\' => self.escape()?,
                '[' => {
                    self.class()?;
                    self.something();
                }
                '(' => self.open()?,
                ')' => {
                    let inside = self.groups.pop().unwrap_or(1);
                    let outside = self.groups.last_mut().ok_or("unopened group")?;
                    *outside = (*outside).max(inside);
                    self.out.push(')');
                    self.before = Before::Something(inside);
                }
                '|' => {
                    self.out.push('|');
                    self.before = Before::Nothing;
                }
                '*' | '+' | '?' => {
                    self.repeat(&character.to_string(), None)?;
                }
                '{' => match repetition(self.rest.clone()) {
                    None => self.literal('{'),
                    Some((least, most, text)) => {
                        for _ in text.chars().skip(1) {
                            self.rest.next();
                        }
                        if least > MAX_REPEAT
                            || most.is_some_and(|it| it > MAX_REPEAT || it < least)
                        {
                            return Err(format!("invalid repeat count: {text}"));
                        }
                        self.repeat(&text, Some(most.unwrap_or(least)))?;
                    }
                },
                '.' | '^' | '$' => {
                    self.out.push(character);
                    self.something();
                }
                other => self.literal(other),
            }
        }
        if self.groups.len() > 1 {
            return Err("unclosed group".to_owned());
        }
        Ok(self.out)
    }

    fn something(&mut self) {
        self.before = Before::Something(1);
    }

    fn literal(&mut self, character: char) {
        self.out
            .push_str(&regex::escape(character.encode_utf8(&mut [0; 4])));
        self.something();
    }

    fn repeat(&mut self, operator: &str, times: Option<u64>) -> Result<(), String> {
        let inside = match self.before {
            Before::Nothing => {
                return Err("repetition operator missing expression".to_owned());
            }
            Before::Repeated => {
                return Err(format!("a repetition is repeated: {operator}"));
            }
            Before::Something(inside) => inside,
        };
        let all = match times {
            // Something that is never there counts for nothing.
            Some(0) => 1,
            Some(times) => inside.saturating_mul(times),
            None => inside,
        };
        if all > MAX_REPEAT {
            return Err(format!("invalid repeat count: {operator}"));
        }
        if let Some(group) = self.groups.last_mut() {
            *group = (*group).max(all);
        }
        self.out.push_str(operator);
        if self.rest.next_if_eq(&'?').is_some() {
            self.out.push('?');
        }
        self.before = Before::Repeated;
        Ok(())
    }

    /// Behind an opening parenthesis.
    fn open(&mut self) -> Result<(), String> {
        if self.groups.len() > MAX_DEPTH {
            return Err("groups are nested too deeply".to_owned());
        }
        self.before = Before::Nothing;
        if self.rest.next_if_eq(&'?').is_none() {
            self.groups.push(1);
            self.out.push('(');
            return Ok(());
        }
        let mut flags = String::new();
        for character in self.rest.by_ref() {
            match character {
                ':' | ')' => {
                    let (flags_on, off) = flags.split_once('-').unwrap_or((&flags, "i"));
                    let known = |it: &str| it.chars().all(|it| "imsU".contains(it));
                    if !known(flags_on) || !known(off) || off.is_empty() {
                        break;
                    }
                    if character == ')' {
                        // Flags for what follows in the same group.
                        if !flags.is_empty() {
                            self.out.push_str(&format!("(?{flags})"));
                        }
                    } else {
                        self.groups.push(1);
                        self.out.push_str(&format!("(?{flags}:"));
                    }
                    return Ok(());
                }
                '<' if matches!(flags.as_str(), "" | "P") => return self.name(),
                other => flags.push(other),
            }
            // Longer than all flags.
            if flags.len() > 16 {
                break;
            }
        }
        Err(format!(
            "unknown flags, or a group that Go has not: (?{flags}"
        ))
    }

    fn name(&mut self) -> Result<(), String> {
        let mut name = String::new();
        loop {
            match self.rest.next() {
                Some('>') => break,
                Some(it) if it.is_ascii_alphanumeric() || it == '_' => name.push(it),
                _ => return Err(format!("invalid capture group name: {name}")),
            }
        }
        if name.is_empty() {
            return Err("a capture group's name is empty".to_owned());
        }
        // To the crate a name does not begin with a digit, and is there once.
        let is_odd = name.starts_with(|it: char| it.is_ascii_digit());
        if is_odd || !self.names.insert(name.clone()) {
            self.out.push('(');
        } else {
            self.out.push_str(&format!("(?P<{name}>"));
        }
        self.groups.push(1);
        Ok(())
    }

    /// Behind a backslash, outside of brackets.
    fn escape(&mut self) -> Result<(), String> {
        let escaped = self.rest.peek().copied();
        let assertion = match escaped {
            Some('A') => r"\A",
            Some('z') => r"\z",
            Some('b') => r"(?-u:\b)",
            Some('B') => r"(?-u:\B)",
            Some('Q') => {
                self.rest.next();
                self.quoted();
                return Ok(());
            }
            _ => "",
        };
        if !assertion.is_empty() {
            self.rest.next();
            self.out.push_str(assertion);
        } else if let Some(class) = self.named_class()? {
            self.out.push_str(&format!("[{class}]"));
        } else {
            let character = self.character()?;
            self.literal(character);
        }
        self.something();
        Ok(())
    }

    /// Up to `\E`, or the end.
    fn quoted(&mut self) {
        while let Some(character) = self.rest.next() {
            if character == '\\' && self.rest.next_if_eq(&'E').is_some() {
                break;
            }
            self.literal(character);
        }
    }

    /// Behind a backslash: a class such as `\d` or `\pL`, as it stands in brackets.
    fn named_class(&mut self) -> Result<Option<String>, String> {
        let class = match self.rest.peek() {
            Some('d') => "0-9",
            Some('w') => "0-9A-Za-z_",
            Some('s') => r"\t\n\f\r ",
            Some('D') => "[^0-9]",
            Some('W') => "[^0-9A-Za-z_]",
            Some('S') => r"[^\t\n\f\r ]",
            Some('p' | 'P') => {
                let negative = self.rest.next() == Some('P');
                return self.unicode_class(negative).map(Some);
            }
            _ => return Ok(None),
        };
        self.rest.next();
        Ok(Some(class.to_owned()))
    }

    fn unicode_class(&mut self, negative: bool) -> Result<String, String> {
        let name = match self.rest.next() {
            Some('{') => {
                let name: String = self.rest.by_ref().take_while(|it| *it != '}').collect();
                name
            }
            Some(letter) => letter.to_string(),
            None => String::new(),
        };
        let (negative, name) = match name.strip_prefix('^') {
            Some(name) => (!negative, name),
            None => (negative, name.as_str()),
        };
        let is_name = |it: char| it.is_ascii_alphanumeric() || it == '_';
        if name.is_empty() || !name.chars().all(is_name) {
            return Err("invalid Unicode character class".to_owned());
        }
        Ok(format!(r"\{}{{{name}}}", if negative { 'P' } else { 'p' }))
    }

    /// Behind a backslash: one character.
    fn character(&mut self) -> Result<char, String> {
        let escaped = self.rest.next().ok_or("incomplete escape sequence")?;
        let invalid = || format!("unrecognized escape sequence: \\{escaped}");
        match escaped {
            'a' => Ok('\u{7}'),
            'f' => Ok('\u{c}'),
            't' => Ok('\t'),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            'v' => Ok('\u{b}'),
            '0'..='7' => {
                let digit = |it: char| it.to_digit(8);
                let mut code = digit(escaped).unwrap_or(0);
                // One that is not zero alone would be a reference to a group.
                if code != 0 && self.rest.peek().is_none_or(|it| digit(*it).is_none()) {
                    return Err("backreferences are not supported".to_owned());
                }
                for _ in 0..2 {
                    let Some(next) = self.rest.next_if(|it| digit(*it).is_some()) else {
                        break;
                    };
                    code = code * 8 + digit(next).unwrap_or(0);
                }
                char::from_u32(code).ok_or_else(invalid)
            }
            'x' => {
                let text: String = match self.rest.next() {
                    Some('{') => self.rest.by_ref().take_while(|it| *it != '}').collect(),
                    // Two digits, where there is no brace.
                    first => {
                        let digits = [first, self.rest.next()];
                        digits.map(|it| it.unwrap_or(' ')).iter().collect()
                    }
                };
                let is_hex = text.chars().all(|it| it.is_ascii_hexdigit());
                let code = u32::from_str_radix(&text, 16).ok().filter(|_| is_hex);
                code.and_then(char::from_u32).ok_or_else(invalid)
            }
            it if it.is_ascii() && !it.is_ascii_alphanumeric() => Ok(it),
            _ => Err(invalid()),
        }
    }

    /// Behind an opening bracket. Each character is written by its number, so that it means nothing but itself.
    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let next = *self.rest.peek().ok_or("unclosed character class")?;
            if next == ']' && !first {
                self.rest.next();
                self.out.push(']');
                return Ok(());
            }
            first = false;
            if next == '[' && self.posix_class()? {
                continue;
            }
            let low = match self.one_of_class()? {
                Ok(class) => {
                    self.out.push_str(&class);
                    continue;
                }
                Err(low) => low,
            };
            let mut high = low;
            let mut after = self.rest.clone();
            if after.next() == Some('-') && after.next().is_some_and(|it| it != ']') {
                self.rest.next();
                high = self
                    .one_of_class()?
                    .err()
                    .ok_or("a class is the end of a range")?;
                if high < low {
                    return Err(format!("invalid character class range: {low}-{high}"));
                }
            }
            let (low, high) = (u32::from(low), u32::from(high));
            self.out.push_str(&format!(r"\x{{{low:x}}}-\x{{{high:x}}}"));
        }
    }

    /// A class within brackets, or a character.
    fn one_of_class(&mut self) -> Result<Result<String, char>, String> {
        match self.rest.next().ok_or("unclosed character class")? {
            '\\' => Ok(match self.named_class()? {
                Some(class) => Ok(class),
                None => Err(self.character()?),
            }),
            other => Ok(Err(other)),
        }
    }

    /// `[:alpha:]`, at whose bracket we are; a bracket that begins none is itself.
    fn posix_class(&mut self) -> Result<bool, String> {
        let mut after = self.rest.clone();
        after.next();
        if after.next() != Some(':') {
            return Ok(false);
        }
        let mut name = String::new();
        let mut last = ' ';
        loop {
            match after.next() {
                None => return Ok(false),
                Some(']') if last == ':' => break,
                Some(it) => {
                    name.push(it);
                    last = it;
                }
            }
        }
        name.pop();
        let known = [
            "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print",
            "punct", "space", "upper", "word", "xdigit",
        ];
        if !known.contains(&name.strip_prefix('^').unwrap_or(&name)) {
            return Err(format!("invalid character class: [:{name}:]"));
        }
        self.out.push_str(&format!("[:{name}:]"));
        self.rest = after;
        Ok(true)
    }
}

/// `{2}`, `{2,}` or `{2,3}`, behind whose brace we are: least, most, and the text. Any other brace is itself.
fn repetition(rest: impl Iterator<Item = char>) -> Option<(u64, Option<u64>, String)> {
    let mut inside = String::new();
    for character in rest {
        match character {
            '}' => break,
            it if it.is_ascii_digit() || it == ',' => inside.push(it),
            _ => return None,
        }
    }
    let text = format!("{{{inside}}}");
    let number = |it: &str| {
        let is_number = !it.is_empty() && (it.len() == 1 || !it.starts_with('0'));
        // What does not fit is too many.
        is_number.then(|| it.parse().unwrap_or(u64::MAX))
    };
    let (least, most) = match inside.split_once(',') {
        None => (number(&inside)?, Some(number(&inside)?)),
        Some((least, "")) => (number(least)?, None),
        Some((least, most)) if !most.contains(',') => (number(least)?, Some(number(most)?)),
        Some(_) => return None,
    };
    Some((least, most, text))
}

#[cfg(test)]
mod tests {
    use super::compile;

    #[test]
    fn bounds() {
        for (expression, expect) in [
            ("x".repeat(65_537), "it has more than 64 KiB"),
            ("(".repeat(1_002), "groups are nested too deeply"),
            (
                r"\pL{1000}".to_owned(),
                "Compiled regex exceeds size limit of 10485760 bytes.",
            ),
        ] {
            assert_eq!(compile(&expression).unwrap_err(), expect);
        }
        assert!(compile(&format!("{}a{}", "(".repeat(500), ")".repeat(500))).is_ok());
    }

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
            (r"^[+--]$", "-", true),
            (r"^[a~~b]$", "~", true),
            (r"^\x{e9}\x41\101\07$", "éAA\u{7}", true),
            (r"^\p{Greek}\P{^Lu}\pL$", "αAα", true),
            (r"\<", "a", false),
            (r"\<", "<", true),
            (r"^(?P<1a>x)(?P<n>y)(?P<n>z)$", "xyz", true),
            (r"^(?i:a)(?-i)b$", "Ab", true),
            (r"^\Qa\E+$", "aa", true),
            ("a{1000}", "", false),
            ("a{01}", "a{01}", true),
            ("^a#b c$", "a#b c", true),
        ] {
            let found = compile(expression).map(|it| it.is_match(text));
            assert_eq!(found, Ok(expect), "{expression} {text}");
        }
        for expression in [
            "(",
            ")",
            "[a",
            "a\\",
            "(?P<x",
            "(?P<é>x)",
            "(?P<>x)",
            "*",
            "a**",
            "a{2}{3}",
            "a{1001}",
            "a{2,1}",
            "((a{10}){10}){11}",
            "[b-a]",
            "[a-\\d]",
            "[[:foo:]]",
            "[\\b]",
            "\\u0041",
            "\\E",
            "\\Z",
            "\\C",
            "\\1",
            "\\é",
            "\\x{110000}",
            "\\x4",
            "\\p{}",
            "(?x)a",
            "(?=a)",
            "(?<=a)",
            "(?i-)",
            "a|*",
        ] {
            assert!(compile(expression).is_err(), "{expression}");
        }
    }
}
