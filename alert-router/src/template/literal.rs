//! Go's literals: numbers, characters and quoted texts (Go specification, "Lexical elements"; `strconv.Unquote`).

/// A number, as every type that it can be of.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Number {
    pub(super) source: String,
    pub(super) int: Option<i64>,
    pub(super) uint: Option<u64>,
    pub(super) float: Option<f64>,
    pub(super) complex: Option<(f64, f64)>,
}

impl Number {
    pub(super) fn of_character(source: &str, character: char) -> Self {
        let code = u32::from(character);
        Self {
            source: source.to_owned(),
            int: Some(i64::from(code)),
            uint: Some(u64::from(code)),
            float: Some(f64::from(code)),
            complex: None,
        }
    }

    /// Reads a number as the lexer finds it.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a whole number is one of Go's floats, too"
    )]
    pub(super) fn parse(source: &str) -> Result<Self, String> {
        let bad = || format!("bad number syntax: {source:?}");
        let mut number = Self {
            source: source.to_owned(),
            int: None,
            uint: None,
            float: None,
            complex: None,
        };
        if let Some(imaginary) = source.strip_suffix('i') {
            let split = imaginary
                .char_indices()
                .skip(1)
                .filter(|(at, it)| {
                    let before = imaginary.get(..*at).unwrap_or_default();
                    matches!(it, '+' | '-') && !before.ends_with(['e', 'E', 'p', 'P'])
                })
                .last();
            let (real, imaginary) = match split {
                Some((at, _)) => imaginary.split_at(at),
                None => ("0", imaginary),
            };
            let parts = (float(real), float(imaginary));
            let (Some(real), Some(imaginary)) = parts else {
                return Err(bad());
            };
            number.complex = Some((real, imaginary));
            if imaginary == 0.0 {
                number.float = Some(real);
                number.set_from_float(real);
            }
            return Ok(number);
        }
        let (negative, digits) = match source.strip_prefix(['+', '-']) {
            Some(rest) => (source.starts_with('-'), rest),
            None => (false, source),
        };
        let whole = whole(digits);
        if let Some(value) = whole {
            if !source.starts_with(['+', '-']) {
                number.uint = u64::try_from(value).ok();
            }
            let signed = i128::try_from(value).ok();
            let signed = signed.map(|it| if negative { -it } else { it });
            number.int = signed.and_then(|it| i64::try_from(it).ok());
            if value == 0 {
                number.uint = Some(0);
            }
        }
        match (number.int, number.uint) {
            (Some(it), _) => number.float = Some(it as f64),
            (None, Some(it)) => number.float = Some(it as f64),
            (None, None) => {
                let value = float(source).ok_or_else(bad)?;
                if !source.contains(['.', 'e', 'E', 'p', 'P']) {
                    return Err(format!("integer overflow: {source:?}"));
                }
                number.float = Some(value);
                number.set_from_float(value);
            }
        }
        Ok(number)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        clippy::float_cmp,
        reason = "a float that is a whole number is one of Go's integers, too"
    )]
    fn set_from_float(&mut self, value: f64) {
        if (value as i64) as f64 == value {
            self.int = Some(value as i64);
        }
        if (value as u64) as f64 == value {
            self.uint = Some(value as u64);
        }
    }

    pub(super) fn looks_like_float(&self) -> bool {
        let source = &self.source;
        let is_hex = source.len() > 2
            && (source.starts_with("0x") || source.starts_with("0X"))
            && !source.contains(['p', 'P']);
        !is_hex && !source.starts_with('\'') && source.contains(['.', 'e', 'E', 'p', 'P'])
    }
}

/// `0x1f`, `0b1`, `0o7`, `017`, `1_000`.
fn whole(digits: &str) -> Option<u128> {
    let lower = digits.to_ascii_lowercase();
    let (base, rest) = if let Some(rest) = lower.strip_prefix("0x") {
        (16, rest)
    } else if let Some(rest) = lower.strip_prefix("0b") {
        (2, rest)
    } else if let Some(rest) = lower.strip_prefix("0o") {
        (8, rest)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, lower.get(1..)?)
    } else {
        (10, lower.as_str())
    };
    let rest = without_separators(rest, base != 10)?;
    u128::from_str_radix(&rest, base).ok()
}

/// Underscores stand between digits alone, or after a base's prefix.
fn without_separators(digits: &str, after_prefix: bool) -> Option<String> {
    if digits.ends_with('_') || digits.contains("__") || (!after_prefix && digits.starts_with('_'))
    {
        return None;
    }
    Some(digits.replace('_', ""))
}

fn float(text: &str) -> Option<f64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    if let Some(hex) = lower.strip_prefix("0x") {
        return hex_float(hex).map(|it| sign * it);
    }
    // Rust knows words, such as inf, that are no numbers here.
    let digits = without_separators(digits, false)?;
    if !digits.starts_with(|it: char| it.is_ascii_digit() || it == '.') {
        return None;
    }
    digits.parse::<f64>().ok().map(|it| sign * it)
}

fn hex_float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once('p')?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut value = 0.0_f64;
    let digits = format!("{whole}{fraction}").replace('_', "");
    if digits.is_empty() {
        return None;
    }
    for digit in digits.chars() {
        value = value * 16.0 + f64::from(digit.to_digit(16)?);
    }
    let places = i32::try_from(fraction.len()).ok()?.checked_mul(4)?;
    let exponent: i32 = exponent.parse().ok()?;
    Some(value * 2.0_f64.powi(exponent.checked_sub(places)?))
}

/// The character between single quotes.
pub(super) fn character(source: &str) -> Option<char> {
    let inside = source.strip_prefix('\'')?.strip_suffix('\'')?;
    if inside.is_empty() {
        return None;
    }
    let mut rest = inside;
    let one = unescape(&mut rest, '\'')?;
    if !rest.is_empty() {
        return None;
    }
    match one {
        Unescaped::Character(it) => Some(it),
        Unescaped::Byte(it) => Some(char::from(it)),
    }
}

/// The text between quotes, or between backticks.
pub(super) fn unquote(source: &str) -> Option<Vec<u8>> {
    if let Some(inside) = source.strip_prefix('`') {
        // A carriage return is no part of a raw text.
        let inside = inside.strip_suffix('`')?;
        return Some(inside.bytes().filter(|it| *it != b'\r').collect());
    }
    let mut rest = source.strip_prefix('"')?.strip_suffix('"')?;
    let mut text = Vec::with_capacity(rest.len());
    while !rest.is_empty() {
        match unescape(&mut rest, '"')? {
            Unescaped::Byte(it) => text.push(it),
            Unescaped::Character(it) => {
                text.extend_from_slice(it.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
    }
    Some(text)
}

enum Unescaped {
    Character(char),
    Byte(u8),
}

fn unescape(rest: &mut &str, quote: char) -> Option<Unescaped> {
    let mut characters = rest.chars();
    let first = characters.next()?;
    if first == quote || first == '\n' {
        return None;
    }
    if first != '\\' {
        *rest = characters.as_str();
        return Some(Unescaped::Character(first));
    }
    let kind = characters.next()?;
    let mut digits = |count: usize, radix: u32| {
        let mut value = 0_u32;
        for _ in 0..count {
            value = value.checked_mul(radix)? + characters.next()?.to_digit(radix)?;
        }
        Some(value)
    };
    let found = match kind {
        'a' => Unescaped::Byte(7),
        'b' => Unescaped::Byte(8),
        'f' => Unescaped::Byte(12),
        'n' => Unescaped::Byte(b'\n'),
        'r' => Unescaped::Byte(b'\r'),
        't' => Unescaped::Byte(b'\t'),
        'v' => Unescaped::Byte(11),
        '\\' => Unescaped::Byte(b'\\'),
        '\'' | '"' if kind == quote => Unescaped::Byte(u8::try_from(kind).ok()?),
        'x' => Unescaped::Byte(u8::try_from(digits(2, 16)?).ok()?),
        'u' => Unescaped::Character(char::from_u32(digits(4, 16)?)?),
        'U' => Unescaped::Character(char::from_u32(digits(8, 16)?)?),
        '0'..='7' => {
            let first = kind.to_digit(8)?;
            let value = first * 64 + digits(2, 8)?;
            Unescaped::Byte(u8::try_from(value).ok()?)
        }
        _ => return None,
    };
    *rest = characters.as_str();
    Some(found)
}
