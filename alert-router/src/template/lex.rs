//! The words of Go's template language (Go 1.26, `text/template`, "Actions"): text, and what stands between `{{` and `}}`.

/// A word, and where it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    /// In bytes from the start of the source.
    pub(super) at: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Open,
    Close,
    Space,
    Assign,
    Declare,
    Pipe,
    Comma,
    /// A printable character that has no meaning.
    Other,
    OpenParen,
    CloseParen,
    Dot,
    Field,
    Variable,
    Identifier,
    Bool,
    Nil,
    Quoted,
    Raw,
    Character,
    Number,
    Complex,
    Block,
    Break,
    Continue,
    Define,
    Else,
    End,
    If,
    Range,
    Template,
    With,
    EndOfText,
}

/// What is wrong with the source, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LexError {
    pub(super) what: String,
    pub(super) at: usize,
}

const OPEN: &str = "{{";
const CLOSE: &str = "}}";
/// White space, as Go's templates have it.
const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

/// The words of a source; at an error they end with it.
pub(super) fn lex(source: &str) -> (Vec<Token<'_>>, Option<LexError>) {
    let mut lexer = Lexer {
        source,
        at: 0,
        tokens: Vec::new(),
    };
    let error = lexer.all().err();
    (lexer.tokens, error)
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    tokens: Vec<Token<'a>>,
}

impl<'a> Lexer<'a> {
    fn all(&mut self) -> Result<(), LexError> {
        loop {
            let rest = self.rest();
            let Some(open) = rest.find(OPEN) else {
                if !rest.is_empty() {
                    self.push(Kind::Text, self.at, self.source.len());
                }
                self.push(Kind::EndOfText, self.source.len(), self.source.len());
                return Ok(());
            };
            let start = self.at;
            let open = start + open;
            let inside = open + OPEN.len();
            let trims = trims_left(self.source.get(inside..).unwrap_or_default());
            let text = self.source.get(start..open).unwrap_or_default();
            let kept = if trims {
                text.trim_end_matches(SPACES)
            } else {
                text
            };
            if !kept.is_empty() {
                self.push(Kind::Text, start, start + kept.len());
            }
            self.at = if trims { inside + 2 } else { inside };
            if self.rest().starts_with("/*") {
                self.comment()?;
                continue;
            }
            self.push(Kind::Open, open, inside);
            self.action()?;
        }
    }

    fn comment(&mut self) -> Result<(), LexError> {
        let start = self.at;
        let after = self.source.get(start + 2..).unwrap_or_default();
        let end = after
            .find("*/")
            .ok_or_else(|| error("unclosed comment", start))?;
        self.at = start + 2 + end + 2;
        let trims = self
            .at_close()
            .ok_or_else(|| error("comment ends before closing delimiter", start))?;
        self.close(trims);
        Ok(())
    }

    /// Goes past the end of an action, and past white space when that is trimmed.
    fn close(&mut self, trims: bool) {
        self.at += CLOSE.len() + if trims { 2 } else { 0 };
        if trims {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start_matches(SPACES).len();
        }
    }

    /// Whether an action ends here, and then whether it trims what follows.
    fn at_close(&self) -> Option<bool> {
        let rest = self.rest();
        if rest.starts_with(SPACES) && rest.get(1..).is_some_and(|it| it.starts_with("-}}")) {
            return Some(true);
        }
        rest.starts_with(CLOSE).then_some(false)
    }

    fn action(&mut self) -> Result<(), LexError> {
        let mut depth = 0_usize;
        loop {
            let start = self.at;
            if let Some(trims) = self.at_close() {
                if depth > 0 {
                    return Err(error("unclosed left paren", start));
                }
                let at = if trims { start + 2 } else { start };
                self.push(Kind::Close, at, at + CLOSE.len());
                self.close(trims);
                return Ok(());
            }
            let Some(character) = self.next() else {
                return Err(error("unclosed action", start));
            };
            match character {
                it if SPACES.contains(&it) => {
                    // A space before `-}}` belongs to that.
                    while self.at_close() != Some(true) && self.rest().starts_with(SPACES) {
                        self.next();
                    }
                    self.push(Kind::Space, start, self.at);
                }
                '=' => self.push(Kind::Assign, start, self.at),
                ':' => {
                    if self.next() != Some('=') {
                        return Err(error("expected :=", start));
                    }
                    self.push(Kind::Declare, start, self.at);
                }
                '|' => self.push(Kind::Pipe, start, self.at),
                '"' => self.quoted('"', Kind::Quoted, "unterminated quoted string")?,
                '\'' => self.quoted('\'', Kind::Character, "unterminated character constant")?,
                '`' => {
                    let end = self
                        .rest()
                        .find('`')
                        .ok_or_else(|| error("unterminated raw quoted string", start))?;
                    self.at += end + 1;
                    self.push(Kind::Raw, start, self.at);
                }
                '$' => self.name(start, Kind::Variable)?,
                '.' if !self.rest().starts_with(|it: char| it.is_ascii_digit()) => {
                    self.name(start, Kind::Field)?;
                }
                '.' | '+' | '-' | '0'..='9' => {
                    self.at = start;
                    self.number()?;
                }
                '(' => {
                    depth += 1;
                    self.push(Kind::OpenParen, start, self.at);
                }
                ')' => {
                    depth = depth
                        .checked_sub(1)
                        .ok_or_else(|| error("unexpected right paren", start))?;
                    self.push(Kind::CloseParen, start, self.at);
                }
                it if is_word(it) => {
                    self.word();
                    if !self.at_terminator() {
                        return Err(self.bad_character());
                    }
                    let text = self.source.get(start..self.at).unwrap_or_default();
                    self.push(keyword(text), start, self.at);
                }
                ',' => self.push(Kind::Comma, start, self.at),
                it if it.is_ascii_graphic() => self.push(Kind::Other, start, self.at),
                it => {
                    let what = format!("unrecognized character in action: {}", code_point(it));
                    return Err(error(&what, start));
                }
            }
        }
    }

    fn name(&mut self, start: usize, kind: Kind) -> Result<(), LexError> {
        if self.at_terminator() {
            let kind = if kind == Kind::Field { Kind::Dot } else { kind };
            self.push(kind, start, self.at);
            return Ok(());
        }
        self.word();
        if !self.at_terminator() {
            return Err(self.bad_character());
        }
        self.push(kind, start, self.at);
        Ok(())
    }

    fn word(&mut self) {
        while self.rest().starts_with(is_word) {
            self.next();
        }
    }

    /// Whether a name may end here.
    fn at_terminator(&self) -> bool {
        let rest = self.rest();
        rest.is_empty()
            || rest.starts_with(SPACES)
            || rest.starts_with(['.', ',', '|', ':', ')', '('])
            || rest.starts_with(CLOSE)
    }

    fn bad_character(&self) -> LexError {
        let character = self.rest().chars().next().unwrap_or_default();
        error(&format!("bad character {}", code_point(character)), self.at)
    }

    fn quoted(&mut self, quote: char, kind: Kind, unclosed: &str) -> Result<(), LexError> {
        let start = self.at - 1;
        loop {
            match self.next() {
                Some('\\') if !matches!(self.next(), None | Some('\n')) => {}
                None | Some('\n' | '\\') => return Err(error(unclosed, start)),
                Some(it) if it == quote => break,
                Some(_) => {}
            }
        }
        self.push(kind, start, self.at);
        Ok(())
    }

    fn number(&mut self) -> Result<(), LexError> {
        let start = self.at;
        let bad = |lexer: &Self| {
            let text = lexer.source.get(start..lexer.at).unwrap_or_default();
            error(&format!("bad number syntax: {text:?}"), start)
        };
        if !self.scan_number() {
            return Err(bad(self));
        }
        if self.rest().starts_with(['+', '-']) {
            let ok = self.scan_number();
            if !ok
                || !self
                    .source
                    .get(..self.at)
                    .unwrap_or_default()
                    .ends_with('i')
            {
                return Err(bad(self));
            }
            self.push(Kind::Complex, start, self.at);
            return Ok(());
        }
        self.push(Kind::Number, start, self.at);
        Ok(())
    }

    fn scan_number(&mut self) -> bool {
        self.accept("+-");
        let mut digits = "0123456789_";
        if self.accept("0") {
            if self.accept("xX") {
                digits = "0123456789abcdefABCDEF_";
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        self.accept_run(digits);
        if self.accept(".") {
            self.accept_run(digits);
        }
        let exponent = match digits.len() {
            11 => "eE",
            23 => "pP",
            _ => "",
        };
        if self.accept(exponent) {
            self.accept("+-");
            self.accept_run("0123456789_");
        }
        self.accept("i");
        if self.rest().starts_with(is_word) {
            self.next();
            return false;
        }
        true
    }

    fn accept(&mut self, some: &str) -> bool {
        let found = self.rest().starts_with(|it| some.contains(it));
        if found {
            self.next();
        }
        found
    }

    fn accept_run(&mut self, some: &str) {
        while self.accept(some) {}
    }

    fn rest(&self) -> &'a str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn next(&mut self) -> Option<char> {
        let character = self.rest().chars().next()?;
        self.at += character.len_utf8();
        Some(character)
    }

    fn push(&mut self, kind: Kind, from: usize, to: usize) {
        let text = self.source.get(from..to).unwrap_or_default();
        self.tokens.push(Token {
            kind,
            text,
            at: from,
        });
    }
}

fn keyword(word: &str) -> Kind {
    match word {
        "block" => Kind::Block,
        "break" => Kind::Break,
        "continue" => Kind::Continue,
        "define" => Kind::Define,
        "else" => Kind::Else,
        "end" => Kind::End,
        "if" => Kind::If,
        "nil" => Kind::Nil,
        "range" => Kind::Range,
        "template" => Kind::Template,
        "with" => Kind::With,
        "true" | "false" => Kind::Bool,
        _ => Kind::Identifier,
    }
}

fn trims_left(inside: &str) -> bool {
    inside
        .strip_prefix('-')
        .is_some_and(|it| it.starts_with(SPACES))
}

fn is_word(it: char) -> bool {
    it == '_' || it.is_alphabetic() || it.is_numeric()
}

/// As Go's `%#U` has it.
fn code_point(it: char) -> String {
    format!("U+{:04X} '{it}'", u32::from(it))
}

fn error(what: &str, at: usize) -> LexError {
    LexError {
        what: what.to_owned(),
        at,
    }
}
