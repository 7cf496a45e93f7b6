//! Go's `fmt`: `Sprint`, `Sprintln` and `Sprintf` with its verbs, flags and complaints.

use super::{
    time::Time,
    value::{Int, List, Map, Text, Value},
};

/// Widths and precisions beyond this are refused, as in Go.
const MAX_WIDTH: i64 = 1_000_000;
/// In place of where Go has a value in its memory.
const ADDRESS: &[u8] = b"0xc000000000";

/// Adds operands; between two that are no texts stands a space.
pub(super) fn sprint(values: &[Value]) -> Vec<u8> {
    let mut printer = Printer::default();
    let mut last_was_text = false;
    for (at, value) in values.iter().enumerate() {
        let is_text = matches!(value, Value::Text(..));
        if at > 0 && !is_text && !last_was_text {
            printer.out.push(b' ');
        }
        printer.argument(value, 'v');
        last_was_text = is_text;
    }
    printer.out
}

pub(super) fn sprintln(values: &[Value]) -> Vec<u8> {
    let mut printer = Printer::default();
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            printer.out.push(b' ');
        }
        printer.argument(value, 'v');
    }
    printer.out.push(b'\n');
    printer.out
}

pub(super) fn sprintf(format: &[u8], values: &[Value]) -> Vec<u8> {
    let mut printer = Printer::default();
    printer.printf(format, values);
    printer.out
}

#[derive(Default)]
struct Printer {
    out: Vec<u8>,
    flags: Flags,
    erroring: bool,
}

#[derive(Default, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one of the format's flags"
)]
struct Flags {
    plus: bool,
    minus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    /// `%+v`
    plus_v: bool,
    /// `%#v`
    sharp_v: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// Where in the format we are, and at which operand.
struct Cursor<'a> {
    format: &'a [u8],
    at: usize,
    operand: usize,
    operands: usize,
    reordered: bool,
    good: bool,
    after_index: bool,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<u8> {
        self.format.get(self.at).copied()
    }

    /// `[3]`: the operand that is next.
    fn index(&mut self) {
        self.after_index = false;
        if self.peek() != Some(b'[') {
            return;
        }
        self.reordered = true;
        let rest = self.format.get(self.at..).unwrap_or_default();
        let Some(end) = rest
            .iter()
            .position(|it| *it == b']')
            .filter(|_| rest.len() >= 3)
        else {
            self.good = false;
            self.at += 1;
            return;
        };
        let number = str::from_utf8(rest.get(1..end).unwrap_or_default()).ok();
        let digits = number.filter(|it| it.bytes().all(|it| it.is_ascii_digit()));
        let number = digits.and_then(|it| it.parse::<usize>().ok());
        self.at += end + 1;
        let Some(number) = number else {
            self.good = false;
            return;
        };
        self.after_index = true;
        match number.checked_sub(1).filter(|it| *it < self.operands) {
            Some(operand) => self.operand = operand,
            None => self.good = false,
        }
    }

    fn number(&mut self) -> Option<usize> {
        let start = self.at;
        let mut number: i64 = 0;
        while let Some(digit) = self.peek().filter(u8::is_ascii_digit) {
            if number > MAX_WIDTH {
                return None;
            }
            number = number * 10 + i64::from(digit - b'0');
            self.at += 1;
        }
        if start == self.at {
            return None;
        }
        usize::try_from(number).ok()
    }
}

impl Printer {
    fn printf(&mut self, format: &[u8], values: &[Value]) {
        let mut cursor = Cursor {
            format,
            at: 0,
            operand: 0,
            operands: values.len(),
            reordered: false,
            good: true,
            after_index: false,
        };
        while let Some(byte) = cursor.peek() {
            cursor.at += 1;
            if byte == b'%' {
                if !self.verb(&mut cursor, values) {
                    break;
                }
            } else {
                self.out.push(byte);
            }
        }
        if !cursor.reordered && cursor.operand < values.len() {
            self.flags = Flags::default();
            self.out.extend_from_slice(b"%!(EXTRA ");
            let extra = values.get(cursor.operand..).unwrap_or_default();
            for (at, value) in extra.iter().enumerate() {
                if at > 0 {
                    self.out.extend_from_slice(b", ");
                }
                if matches!(value, Value::Nil | Value::Invalid) {
                    self.out.extend_from_slice(b"<nil>");
                } else {
                    self.out.extend_from_slice(value.type_name().as_bytes());
                    self.out.push(b'=');
                    self.argument(value, 'v');
                }
            }
            self.out.push(b')');
        }
    }

    /// One verb after its `%`; false when the format ends in it.
    fn verb(&mut self, cursor: &mut Cursor<'_>, values: &[Value]) -> bool {
        self.flags = Flags::default();
        cursor.good = true;
        while let Some(flag) = cursor.peek() {
            match flag {
                b'#' => self.flags.sharp = true,
                b'0' => self.flags.zero = true,
                b'+' => self.flags.plus = true,
                b'-' => self.flags.minus = true,
                b' ' => self.flags.space = true,
                _ => break,
            }
            cursor.at += 1;
        }
        cursor.index();
        if cursor.peek() == Some(b'*') {
            cursor.at += 1;
            let width = number_of(cursor, values);
            match width {
                Some(width) => {
                    self.flags.width = usize::try_from(width.unsigned_abs()).ok();
                    if width < 0 {
                        self.flags.minus = true;
                        self.flags.zero = false;
                    }
                }
                None => self.out.extend_from_slice(b"%!(BADWIDTH)"),
            }
            cursor.after_index = false;
        } else {
            self.flags.width = cursor.number();
            if cursor.after_index && self.flags.width.is_some() {
                cursor.good = false;
            }
        }
        if cursor.peek() == Some(b'.') && cursor.at + 1 < cursor.format.len() {
            cursor.at += 1;
            if cursor.after_index {
                cursor.good = false;
            }
            cursor.index();
            if cursor.peek() == Some(b'*') {
                cursor.at += 1;
                let precision = number_of(cursor, values).and_then(|it| usize::try_from(it).ok());
                self.flags.precision = precision;
                if precision.is_none() {
                    self.out.extend_from_slice(b"%!(BADPREC)");
                }
                cursor.after_index = false;
            } else {
                self.flags.precision = Some(cursor.number().unwrap_or(0));
            }
        }
        if !cursor.after_index {
            cursor.index();
        }
        let rest = cursor.format.get(cursor.at..).unwrap_or_default();
        let Some((verb, size)) = first_character(rest) else {
            self.out.extend_from_slice(b"%!(NOVERB)");
            return false;
        };
        cursor.at += size;
        if verb == '%' {
            self.out.push(b'%');
        } else if !cursor.good {
            self.complain(verb, "(BADINDEX)");
        } else if let Some(value) = values.get(cursor.operand) {
            if matches!(verb, 'v' | 'w') {
                self.flags.sharp_v = std::mem::take(&mut self.flags.sharp);
                self.flags.plus_v = std::mem::take(&mut self.flags.plus);
            }
            self.argument(value, verb);
            cursor.operand += 1;
        } else {
            self.complain(verb, "(MISSING)");
        }
        true
    }

    fn complain(&mut self, verb: char, what: &str) {
        self.out
            .extend_from_slice(format!("%!{verb}{what}").as_bytes());
    }

    fn argument(&mut self, value: &Value, verb: char) {
        match (value, verb) {
            (Value::Nil | Value::Invalid, 'T' | 'v') => self.pad(b"<nil>"),
            (Value::Nil | Value::Invalid, _) => self.bad(verb, value),
            (_, 'T') => {
                let name = value.type_name();
                self.text(name.as_bytes());
            }
            (Value::List(..) | Value::Map(..) | Value::Pointer(..), 'p') => {
                self.out.extend_from_slice(ADDRESS);
            }
            (_, 'p') => self.bad(verb, value),
            _ if self.method(value, verb) => {}
            _ => self.value(value, verb, 0),
        }
    }

    /// What a type prints of itself; whether it does.
    fn method(&mut self, value: &Value, verb: char) -> bool {
        if self.erroring {
            return false;
        }
        if verb == 'w' {
            self.bad(verb, value);
            return true;
        }
        if self.flags.sharp_v {
            if let Value::Time(time) = value {
                let text = time.go_string();
                self.text(text.as_bytes());
                return true;
            }
            return false;
        }
        if !matches!(verb, 'v' | 's' | 'x' | 'X' | 'q') {
            return false;
        }
        let Some(text) = value.stringer() else {
            return false;
        };
        self.string(&text, verb, value);
        true
    }

    fn nested(&mut self, value: &Value, verb: char, depth: usize) {
        match value {
            Value::Nil | Value::Invalid if self.flags.sharp_v => {
                self.out.extend_from_slice(b"interface {}(nil)");
            }
            Value::Nil | Value::Invalid => self.out.extend_from_slice(b"<nil>"),
            _ => {
                if !self.method(value, verb) {
                    self.value(value, verb, depth);
                }
            }
        }
    }

    fn value(&mut self, value: &Value, verb: char, depth: usize) {
        match value {
            Value::Invalid | Value::Nil => self.out.extend_from_slice(b"<nil>"),
            Value::Bool(it) => match verb {
                't' | 'v' => self.pad(if *it { b"true" } else { b"false" }),
                _ => self.bad(verb, value),
            },
            Value::Int(_, it) => self.integer(it.unsigned_abs(), *it < 0, true, verb, value),
            Value::Byte(it) => self.integer(u64::from(*it), false, false, verb, value),
            Value::Float(it) => self.float(*it, verb, value),
            Value::Complex(real, imaginary) => match verb {
                'v' | 'b' | 'g' | 'G' | 'x' | 'X' | 'f' | 'F' | 'e' | 'E' => {
                    let plus = self.flags.plus;
                    self.out.push(b'(');
                    self.float(*real, verb, value);
                    self.flags.plus = true;
                    self.float(*imaginary, verb, value);
                    self.out.extend_from_slice(b"i)");
                    self.flags.plus = plus;
                }
                _ => self.bad(verb, value),
            },
            Value::Text(_, it) => self.string(it, verb, value),
            Value::Time(it) => self.time(it, verb),
            Value::Location(it) => {
                let text = it.name().to_owned();
                self.out.extend_from_slice(text.as_bytes());
            }
            Value::List(kind, items) => self.list(*kind, items, verb, depth),
            Value::Map(kind, map) => {
                let (open, between, close): (&[u8], &[u8], u8) = if self.flags.sharp_v {
                    let name = match kind {
                        Map::Any => "map[string]interface {}",
                        Map::Kv => "template.KV",
                    };
                    self.out.extend_from_slice(name.as_bytes());
                    (b"{", b", ", b'}')
                } else {
                    (b"map[", b" ", b']')
                };
                self.out.extend_from_slice(open);
                for (at, (key, item)) in map.iter().enumerate() {
                    if at > 0 {
                        self.out.extend_from_slice(between);
                    }
                    let key = Value::Text(Text::String, key.clone());
                    self.nested(&key, verb, depth + 1);
                    self.out.push(b':');
                    self.nested(item, verb, depth + 1);
                }
                self.out.push(close);
            }
            Value::Struct(kind, fields) => {
                let fields: Vec<_> = kind.fields().iter().zip(fields.iter()).collect();
                if self.flags.sharp_v {
                    self.out.extend_from_slice(value.type_name().as_bytes());
                }
                self.out.push(b'{');
                for (at, ((name, _), item)) in fields.into_iter().enumerate() {
                    if at > 0 {
                        let between: &[u8] = if self.flags.sharp_v { b", " } else { b" " };
                        self.out.extend_from_slice(between);
                    }
                    if self.flags.plus_v || self.flags.sharp_v {
                        self.out.extend_from_slice(name.as_bytes());
                        self.out.push(b':');
                    }
                    self.nested(item, verb, depth + 1);
                }
                self.out.push(b'}');
            }
            Value::Pointer(..) if depth > 0 => self.out.extend_from_slice(ADDRESS),
            Value::Pointer(kind, fields) => {
                self.out.push(b'&');
                self.value(&Value::Struct(*kind, fields.clone()), verb, depth + 1);
            }
        }
    }

    /// For verbs that are not of texts, Go shows what it keeps: nanoseconds, seconds since the year 1, and where.
    fn time(&mut self, time: &Time, verb: char) {
        let seconds = time.at.as_second() - super::time::zero().as_second();
        let nanos = u64::try_from(time.at.subsec_nanosecond()).unwrap_or(0);
        self.out.push(b'{');
        for (number, name) in [(nanos, "uint64"), (seconds.unsigned_abs(), "int64")] {
            if matches!(verb, 'v' | 'd' | 'b' | 'o' | 'O' | 'c' | 'U') {
                let value = Value::Int(Int::Wide, i64::try_from(number).unwrap_or(i64::MAX));
                self.integer(number, false, true, verb, &value);
            } else {
                self.complain(verb, "(");
                self.out.extend_from_slice(name.as_bytes());
                self.out.push(b'=');
                self.digits(number, false, 10, 'v');
                self.out.push(b')');
            }
            self.out.push(b' ');
        }
        if matches!(verb, 'd' | 'b' | 'o') {
            self.digits(0, false, 10, 'd');
        } else if verb == 'v' {
            self.pad(b"<nil>");
        } else {
            self.complain(verb, "(*time.Location=");
            self.pad(b"<nil>");
            self.out.push(b')');
        }
        self.out.push(b'}');
    }

    fn list(&mut self, kind: List, items: &std::sync::Arc<Vec<Value>>, verb: char, depth: usize) {
        let (open, between, close): (u8, &[u8], u8) = if self.flags.sharp_v {
            let name = Value::List(kind, items.clone()).type_name();
            self.out.extend_from_slice(name.as_bytes());
            (b'{', b", ", b'}')
        } else {
            (b'[', b" ", b']')
        };
        self.out.push(open);
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.out.extend_from_slice(between);
            }
            self.nested(item, verb, depth + 1);
        }
        self.out.push(close);
    }

    fn bad(&mut self, verb: char, value: &Value) {
        self.erroring = true;
        self.complain(verb, "(");
        match value {
            Value::Nil | Value::Invalid => self.out.extend_from_slice(b"<nil>"),
            _ => {
                self.out.extend_from_slice(value.type_name().as_bytes());
                self.out.push(b'=');
                self.value(value, 'v', 0);
            }
        }
        self.out.push(b')');
        self.erroring = false;
    }

    fn string(&mut self, text: &[u8], verb: char, value: &Value) {
        match verb {
            'v' if self.flags.sharp_v => self.quoted(text),
            'v' | 's' => self.text(text),
            'x' => self.hex(text, false),
            'X' => self.hex(text, true),
            'q' => self.quoted(text),
            _ => self.bad(verb, value),
        }
    }

    fn text(&mut self, text: &[u8]) {
        let kept = self.truncated(text).to_vec();
        self.pad(&kept);
    }

    /// As many characters as the precision allows.
    fn truncated<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        let Some(precision) = self.flags.precision else {
            return text;
        };
        let mut end = 0;
        for _ in 0..precision {
            let rest = text.get(end..).unwrap_or_default();
            let Some((_, size)) = first_character(rest) else {
                break;
            };
            end += size;
        }
        text.get(..end).unwrap_or_default()
    }

    fn hex(&mut self, text: &[u8], upper: bool) {
        let length = self.flags.precision.unwrap_or(usize::MAX).min(text.len());
        let text = text.get(..length).unwrap_or_default();
        if text.is_empty() {
            self.padding(self.flags.width.unwrap_or(0));
            return;
        }
        let prefix = if upper { "0X" } else { "0x" };
        let mut shown = String::new();
        for (at, byte) in text.iter().enumerate() {
            if at > 0 && self.flags.space {
                shown.push(' ');
            }
            if self.flags.sharp && (at == 0 || self.flags.space) {
                shown.push_str(prefix);
            }
            let digits = if upper {
                format!("{byte:02X}")
            } else {
                format!("{byte:02x}")
            };
            shown.push_str(&digits);
        }
        self.pad(shown.as_bytes());
    }

    fn quoted(&mut self, text: &[u8]) {
        let text = self.truncated(text).to_vec();
        if self.flags.sharp && can_backquote(&text) {
            let mut shown = vec![b'`'];
            shown.extend_from_slice(&text);
            shown.push(b'`');
            self.pad(&shown);
            return;
        }
        let shown = quote(&text, '"', self.flags.plus);
        self.pad(shown.as_bytes());
    }

    fn integer(&mut self, number: u64, negative: bool, signed: bool, verb: char, value: &Value) {
        match verb {
            'v' if self.flags.sharp_v && !signed => {
                let sharp = std::mem::replace(&mut self.flags.sharp, true);
                self.digits(number, negative, 16, verb);
                self.flags.sharp = sharp;
            }
            'v' | 'd' => self.digits(number, negative, 10, verb),
            'b' => self.digits(number, negative, 2, verb),
            'o' | 'O' => self.digits(number, negative, 8, verb),
            'x' | 'X' => self.digits(number, negative, 16, verb),
            'c' | 'q' | 'U' => {
                let code = if negative {
                    number.wrapping_neg()
                } else {
                    number
                };
                self.character(code, verb);
            }
            _ => self.bad(verb, value),
        }
    }

    fn character(&mut self, code: u64, verb: char) {
        let known = u32::try_from(code).ok().and_then(char::from_u32);
        let shown = known.unwrap_or(char::REPLACEMENT_CHARACTER);
        match verb {
            'c' => self.pad(shown.to_string().as_bytes()),
            'q' => {
                let text = quote(shown.to_string().as_bytes(), '\'', self.flags.plus);
                self.pad(text.as_bytes());
            }
            _ => {
                let digits = self.flags.precision.unwrap_or(0).max(4);
                let mut text = format!("U+{code:0digits$X}");
                if let Some(it) = known.filter(|it| self.flags.sharp && is_print(*it)) {
                    text.push_str(&format!(" '{it}'"));
                }
                self.pad_without_zeros(text.as_bytes());
            }
        }
    }

    fn digits(&mut self, number: u64, negative: bool, base: u32, verb: char) {
        let flags = self.flags;
        let mut precision = 0;
        if let Some(wanted) = flags.precision {
            if wanted == 0 && number == 0 {
                self.flags.zero = false;
                self.padding(flags.width.unwrap_or(0));
                self.flags = flags;
                return;
            }
            precision = wanted;
        } else if flags.zero
            && !flags.minus
            && let Some(width) = flags.width
        {
            let sign = usize::from(negative || flags.plus || flags.space);
            precision = width.saturating_sub(sign);
        }
        let shown = match (base, verb) {
            (2, _) => format!("{number:b}"),
            (8, _) => format!("{number:o}"),
            (16, 'X') => format!("{number:X}"),
            (16, _) => format!("{number:x}"),
            _ => number.to_string(),
        };
        let mut digits = "0".repeat(precision.saturating_sub(shown.len()));
        digits.push_str(&shown);
        let prefix = match (base, verb) {
            _ if verb == 'O' => "0o",
            (2, _) if flags.sharp => "0b",
            (8, _) if flags.sharp && !digits.starts_with('0') => "0",
            (16, 'X') if flags.sharp => "0X",
            (16, _) if flags.sharp => "0x",
            _ => "",
        };
        let prefix = if verb == 'O' && flags.sharp && !digits.starts_with('0') {
            "0o0"
        } else {
            prefix
        };
        let sign = match (negative, flags.plus, flags.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        self.pad_without_zeros(format!("{sign}{prefix}{digits}").as_bytes());
    }

    fn float(&mut self, number: f64, verb: char, value: &Value) {
        let (form, default) = match verb {
            'v' => ('g', None),
            'g' | 'G' => (verb, None),
            'f' | 'F' => ('f', Some(6)),
            'e' | 'E' => (verb, Some(6)),
            'x' | 'X' | 'b' => (verb, None),
            _ => return self.bad(verb, value),
        };
        let precision = self.flags.precision.or(default);
        let mut text = float(number.abs(), form, precision);
        let negative = number.is_sign_negative() && !number.is_nan();
        let sign = match (negative, self.flags.plus, self.flags.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        if !number.is_finite() {
            // Infinity has its sign where one is asked for.
            let text = format!("{sign}{text}");
            self.pad_without_zeros(text.as_bytes());
            return;
        }
        if self.flags.sharp {
            text = with_point(&text, form, precision);
        }
        let width = self.flags.width.unwrap_or(0);
        if !sign.is_empty() && self.flags.zero && !self.flags.minus && width > text.len() + 1 {
            self.out.extend_from_slice(sign.as_bytes());
            self.padding(width - text.len() - 1);
            self.out.extend_from_slice(text.as_bytes());
            return;
        }
        let text = format!("{sign}{text}");
        self.pad(text.as_bytes());
    }

    fn pad_without_zeros(&mut self, text: &[u8]) {
        let zero = std::mem::take(&mut self.flags.zero);
        self.pad(text);
        self.flags.zero = zero;
    }

    fn pad(&mut self, text: &[u8]) {
        let width = self.flags.width.unwrap_or(0);
        let padding = width.saturating_sub(count_characters(text));
        if !self.flags.minus {
            self.padding(padding);
        }
        self.out.extend_from_slice(text);
        if self.flags.minus {
            self.padding(padding);
        }
    }

    fn padding(&mut self, count: usize) {
        let byte = if self.flags.zero && !self.flags.minus {
            b'0'
        } else {
            b' '
        };
        self.out.resize(self.out.len() + count, byte);
    }
}

/// The operand that is a width or a precision.
fn number_of(cursor: &mut Cursor<'_>, values: &[Value]) -> Option<i64> {
    let value = values.get(cursor.operand)?;
    cursor.operand += 1;
    let number = match value {
        Value::Int(Int::Plain | Int::Wide | Int::Duration | Int::Month | Int::Weekday, it) => *it,
        Value::Byte(it) => i64::from(*it),
        _ => return None,
    };
    (number.abs() <= MAX_WIDTH).then_some(number)
}

/// A float that is not negative, in one of Go's forms (`strconv.FormatFloat`).
pub(super) fn float(number: f64, form: char, precision: Option<usize>) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return "Inf".to_owned();
    }
    match (form, precision) {
        ('f', Some(digits)) => format!("{number:.digits$}"),
        ('f', None) => format!("{number}"),
        ('e' | 'E', _) => {
            let text = match precision {
                Some(digits) => format!("{number:.digits$e}"),
                None => format!("{number:e}"),
            };
            exponent(&text, form)
        }
        ('x', _) => hex_float(number, precision),
        ('X', _) => hex_float(number, precision).to_uppercase(),
        ('b', _) => {
            let (mantissa, power) = parts(number);
            format!("{mantissa}p{power:+}")
        }
        _ => general(number, form, precision),
    }
}

/// A float as a whole number times a power of two.
fn parts(number: f64) -> (u64, i64) {
    let bits = number.to_bits();
    let mantissa = bits & ((1 << 52) - 1);
    match i64::try_from(bits >> 52 & 0x7ff).unwrap_or(0) {
        0 => (mantissa, -1074),
        power => (mantissa | 1 << 52, power - 1075),
    }
}

/// `0x1.8p+01`
fn hex_float(number: f64, precision: Option<usize>) -> String {
    let (mut mantissa, mut power) = parts(number);
    if mantissa == 0 {
        let zeros = precision.unwrap_or(0);
        let point = if zeros > 0 { "." } else { "" };
        return format!("0x0{point}{}p+00", "0".repeat(zeros));
    }
    while mantissa < 1 << 52 {
        mantissa <<= 1;
        power -= 1;
    }
    power += 52;
    if let Some(digits) = precision.filter(|it| *it < 13) {
        // To the nearest, and of two as near to the even one.
        let shift = 52 - digits * 4;
        let rest = mantissa & ((1 << shift) - 1);
        let half = 1_u64 << (shift - 1);
        mantissa >>= shift;
        if rest > half || (rest == half && mantissa & 1 == 1) {
            mantissa += 1;
        }
        mantissa <<= shift;
        if mantissa >= 1 << 53 {
            mantissa >>= 1;
            power += 1;
        }
    }
    let fraction = format!("{:013x}", mantissa & ((1 << 52) - 1));
    let fraction = match precision {
        Some(digits) if digits <= 13 => fraction.get(..digits).unwrap_or_default().to_owned(),
        Some(digits) => format!("{fraction:0<digits$}"),
        None => fraction.trim_end_matches('0').to_owned(),
    };
    let point = if fraction.is_empty() { "" } else { "." };
    let sign = if power < 0 { '-' } else { '+' };
    format!("0x1{point}{fraction}p{sign}{:02}", power.abs())
}

/// `%g`: with an exponent when that is shorter.
fn general(number: f64, form: char, precision: Option<usize>) -> String {
    let scientific = match precision {
        Some(digits) => format!("{number:.0$e}", digits.max(1) - 1),
        None => format!("{number:e}"),
    };
    let (mantissa, power) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let power: i32 = power.parse().unwrap_or(0);
    let digits = mantissa.replace('.', "");
    let significant = match precision {
        Some(_) => digits.trim_end_matches('0').len().max(1),
        None => digits.len(),
    };
    let mut limit = match precision {
        Some(it) => i32::try_from(it.max(1)).unwrap_or(i32::MAX),
        None => 6,
    };
    let places = i32::try_from(significant).unwrap_or(i32::MAX);
    if precision.is_some() && limit > places && places > power {
        limit = places;
    }
    let kept = digits.get(..significant).unwrap_or(&digits);
    if power < -4 || power >= limit {
        let (first, rest) = kept.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let letter = if form == 'G' { 'E' } else { 'e' };
        return exponent(&format!("{first}{point}{rest}e{power}"), letter);
    }
    if power < 0 {
        let zeros = usize::try_from(-power - 1).unwrap_or(0);
        return format!("0.{}{kept}", "0".repeat(zeros));
    }
    let whole = usize::try_from(power).unwrap_or(0) + 1;
    if kept.len() <= whole {
        return format!("{kept}{}", "0".repeat(whole - kept.len()));
    }
    let (whole, fraction) = kept.split_at(whole);
    format!("{whole}.{fraction}")
}

/// Rust's `1e5` to Go's `1e+05`.
fn exponent(text: &str, letter: char) -> String {
    let (mantissa, power) = text.split_once('e').unwrap_or((text, "0"));
    let (sign, digits) = match power.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', power),
    };
    let letter = if letter == 'E' || letter == 'G' {
        'E'
    } else {
        'e'
    };
    format!("{mantissa}{letter}{sign}{digits:0>2}")
}

/// The flag `#`: the decimal point always, and for `%g` the zeros after it.
fn with_point(text: &str, form: char, precision: Option<usize>) -> String {
    let is_hex = matches!(form, 'x' | 'X');
    let ends: &[char] = if is_hex { &['p', 'P'] } else { &['e', 'E'] };
    let (mantissa, tail) = match text.find(ends) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let mut mantissa = mantissa.to_owned();
    let mut digits = match form {
        'g' | 'G' | 'x' => precision.unwrap_or(6),
        _ => 0,
    };
    // Go counts the x of a hexadecimal number, too.
    let mut seen = false;
    for digit in mantissa.chars().filter(|it| *it != '.') {
        seen |= digit != '0';
        digits = digits.saturating_sub(usize::from(seen));
    }
    if !mantissa.contains('.') {
        if mantissa == "0" {
            digits = digits.saturating_sub(1);
        }
        mantissa.push('.');
    }
    mantissa.push_str(&"0".repeat(digits));
    mantissa + tail
}

/// The first character and its length; a byte that starts none is the replacement character.
pub(super) fn first_character(bytes: &[u8]) -> Option<(char, usize)> {
    let first = *bytes.first()?;
    if first < 0x80 {
        return Some((char::from(first), 1));
    }
    for size in 2..=4 {
        let Some(start) = bytes.get(..size) else {
            break;
        };
        if let Ok(text) = str::from_utf8(start) {
            return text.chars().next().map(|it| (it, size));
        }
    }
    Some((char::REPLACEMENT_CHARACTER, 1))
}

fn count_characters(text: &[u8]) -> usize {
    let mut count = 0;
    let mut at = 0;
    while let Some((_, size)) = first_character(text.get(at..).unwrap_or_default()) {
        at += size;
        count += 1;
    }
    count
}

fn can_backquote(text: &[u8]) -> bool {
    str::from_utf8(text).is_ok_and(|it| {
        it.chars()
            .all(|it| it != '\u{feff}' && it != '`' && it != '\u{7f}' && (it >= ' ' || it == '\t'))
    })
}

/// A text as Go's source has it (`strconv.Quote`).
pub(super) fn quote(text: &[u8], mark: char, ascii: bool) -> String {
    let mut out = String::from(mark);
    let mut at = 0;
    while let Some((character, size)) = first_character(text.get(at..).unwrap_or_default()) {
        let is_broken = character == char::REPLACEMENT_CHARACTER && size == 1;
        if is_broken {
            out.push_str(&format!("\\x{:02x}", text.get(at).copied().unwrap_or(0)));
        } else {
            push_quoted(&mut out, character, mark, ascii);
        }
        at += size;
    }
    out.push(mark);
    out
}

fn push_quoted(out: &mut String, character: char, mark: char, ascii: bool) {
    match character {
        it if it == mark || it == '\\' => {
            out.push('\\');
            out.push(it);
        }
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{b}' => out.push_str("\\v"),
        it if it.is_ascii() && (it < ' ' || it == '\u{7f}') => {
            out.push_str(&format!("\\x{:02x}", u32::from(it)));
        }
        it if it.is_ascii() || (!ascii && is_print(it)) => out.push(it),
        it if u32::from(it) < 0x10000 => out.push_str(&format!("\\u{:04x}", u32::from(it))),
        it => out.push_str(&format!("\\U{:08x}", u32::from(it))),
    }
}

/// Letters, marks, numbers, punctuation, symbols, and of spaces the one of ASCII (`strconv.IsPrint`). Rust's own escaping of
/// characters leaves the same alone but for marks that join what is before them.
pub(super) fn is_print(character: char) -> bool {
    if character == ' ' {
        return true;
    }
    if character.is_whitespace() || character.is_control() {
        return false;
    }
    let escaped = character.escape_debug();
    escaped.len() == 1 || matches!(character, '"' | '\'' | '\\') || is_mark(character)
}

/// Combining marks, which Rust escapes though they can be seen.
pub(super) fn is_mark(character: char) -> bool {
    matches!(u32::from(character), 0x300..=0x36f | 0x483..=0x489 | 0x591..=0x5bd | 0x610..=0x61a | 0x64b..=0x65f | 0x900..=0x903 | 0x93a..=0x94f | 0x1ab0..=0x1aff | 0x1dc0..=0x1dff | 0x20d0..=0x20f0 | 0xfe00..=0xfe0f | 0xfe20..=0xfe2f)
}
