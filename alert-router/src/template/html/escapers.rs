//! What makes a value safe in its place: as HTML, in an attribute, a URL, a script, a style.

use super::{
    super::{
        json,
        print::{first_character, sprint},
        value::{Text, Value},
    },
    Context, Delimiter, State, contains,
    transition::step_as_text,
};

/// A word that is harmless everywhere, in place of what is not.
const FAILSAFE: &str = "ZgotmplZ";

/// What a text is known to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Plain,
    Css,
    Html,
    Js,
    Url,
    Srcset,
    /// Attributes whose value changes what else is read, or sent.
    Unsafe,
}

/// Whether a name is one of ours, which no template can write.
pub(in crate::template) fn is_escaper(name: &str) -> bool {
    matches!(
        name,
        "_args"
            | "_attr"
            | "_comment"
            | "_css"
            | "_css_value"
            | "_html"
            | "_js"
            | "_js_regexp"
            | "_js_string"
            | "_js_template"
            | "_name"
            | "_nospace"
            | "_rcdata"
            | "_srcset"
            | "_url"
            | "_url_filter"
            | "_url_normal"
    )
}

/// Applies an escaper.
pub(in crate::template) fn escaped(name: &str, arguments: &[Value]) -> Vec<u8> {
    let (text, content) = text_of(arguments);
    match name {
        "_args" => sprint(arguments),
        "_comment" => Vec::new(),
        "_html" if content == Content::Html => text,
        "_html" => html(&text, Html::All),
        "_rcdata" if content == Content::Html => html(&text, Html::Normal),
        "_rcdata" => html(&text, Html::All),
        "_attr" if content == Content::Html => html(&strip_tags(&text), Html::Normal),
        "_attr" => html(&text, Html::All),
        "_nospace" if text.is_empty() => FAILSAFE.into(),
        "_nospace" if content == Content::Html => html(&strip_tags(&text), Html::UnquotedNormal),
        "_nospace" => html(&text, Html::Unquoted),
        "_name" => attribute_name(&text),
        "_url" => url(&text, content == Content::Url),
        "_url_normal" => url(&text, true),
        "_url_filter" if content == Content::Url || is_safe_url(&text) => text,
        "_url_filter" => format!("#{FAILSAFE}").into(),
        "_srcset" => srcset(&text, content),
        "_css" => css(&text),
        "_css_value" => css_value(&text),
        "_js" => js_value(arguments),
        "_js_string" => js_replaced(&text, Js::String),
        "_js_template" => js_replaced(&text, Js::Template),
        "_js_regexp" => {
            let replaced = js_replaced(&text, Js::Regexp);
            if replaced.is_empty() {
                b"(?:)".to_vec()
            } else {
                replaced
            }
        }
        _ => Vec::new(),
    }
}

/// The text of arguments, without those that are nothing.
fn text_of(arguments: &[Value]) -> (Vec<u8>, Content) {
    if let [Value::Text(kind, text)] = arguments {
        let content = match kind {
            Text::String => Content::Plain,
            Text::Html => Content::Html,
            Text::Url => Content::Url,
        };
        return (text.to_vec(), content);
    }
    let some: Vec<Value> = arguments
        .iter()
        .filter(|it| !matches!(it, Value::Nil | Value::Invalid))
        .map(|it| match it {
            Value::Pointer(kind, fields) => Value::Struct(*kind, fields.clone()),
            other => other.clone(),
        })
        .collect();
    (sprint(&some), Content::Plain)
}

/// Which characters are escaped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Html {
    All,
    /// Entities stay.
    Normal,
    Unquoted,
    UnquotedNormal,
}

fn html(text: &[u8], which: Html) -> Vec<u8> {
    let unquoted = matches!(which, Html::Unquoted | Html::UnquotedNormal);
    let normal = matches!(which, Html::Normal | Html::UnquotedNormal);
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some((character, size)) = first_character(text.get(at..).unwrap_or_default()) {
        let bytes = text.get(at..at + size).unwrap_or_default();
        at += size;
        let code = u32::from(character);
        match character {
            '\0' if unquoted => out.extend_from_slice(b"&#xfffd;"),
            '\0' => out.extend_from_slice("\u{fffd}".as_bytes()),
            '&' if normal => out.push(b'&'),
            '&' => out.extend_from_slice(b"&amp;"),
            '<' => out.extend_from_slice(b"&lt;"),
            '>' => out.extend_from_slice(b"&gt;"),
            '"' | '\'' | '+' => out.extend_from_slice(format!("&#{code};").as_bytes()),
            '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | ' ' | '=' | '`' if unquoted => {
                out.extend_from_slice(format!("&#{code};").as_bytes());
            }
            '\u{fdd0}'..='\u{fdef}' | '\u{fff0}'..='\u{ffff}' if unquoted => {
                out.extend_from_slice(format!("&#x{code:x};").as_bytes());
            }
            _ => out.extend_from_slice(bytes),
        }
    }
    out
}

/// The text of some HTML.
fn strip_tags(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut context = Context::default();
    let (mut at, mut all_text) = (0, true);
    while at < text.len() {
        let rest = text.get(at..).unwrap_or_default();
        if context.delimiter == Delimiter::None {
            let (next, read) = step_as_text(&context, rest);
            let end = at + read;
            if matches!(context.state, State::Text | State::RcData) {
                let before = text.get(at..end).unwrap_or_default();
                let stop = if next.state == context.state {
                    before.len()
                } else {
                    before
                        .iter()
                        .rposition(|it| *it == b'<')
                        .unwrap_or(before.len())
                };
                out.extend_from_slice(before.get(..stop).unwrap_or_default());
            } else {
                all_text = false;
            }
            if read == 0 && next == context {
                break;
            }
            context = next;
            at = end;
            continue;
        }
        let ends: &[u8] = match context.delimiter {
            Delimiter::DoubleQuote => b"\"",
            Delimiter::SingleQuote => b"'",
            _ => b" \t\n\x0c\r>",
        };
        let Some(end) = rest.iter().position(|it| ends.contains(it)) else {
            break;
        };
        at += end + usize::from(context.delimiter != Delimiter::SpaceOrTagEnd);
        context = Context {
            state: State::Tag,
            element: context.element,
            ..Context::default()
        };
    }
    if all_text {
        return text.to_vec();
    }
    if matches!(context.state, State::Text | State::RcData) {
        out.extend_from_slice(text.get(at..).unwrap_or_default());
    }
    out
}

/// A part of an attribute's or element's name; nothing that means something.
fn attribute_name(text: &[u8]) -> Vec<u8> {
    let lower = String::from_utf8_lossy(text).to_lowercase();
    let good = !lower.is_empty()
        && attribute_type(&lower) == Content::Plain
        && lower
            .bytes()
            .all(|it| it.is_ascii_lowercase() || it.is_ascii_digit());
    if good {
        lower.into_bytes()
    } else {
        FAILSAFE.into()
    }
}

/// What an attribute's value is, by its name in small letters (HTML 5, "Attributes", and names that look like URLs).
pub(super) fn attribute_type(name: &str) -> Content {
    let name = match name.strip_prefix("data-") {
        Some(rest) => rest,
        None => match name.split_once(':') {
            Some(("xmlns", _)) => return Content::Url,
            Some((_, rest)) => rest,
            None => name,
        },
    };
    match name {
        "accept" | "alt" | "autocomplete" | "autofocus" | "autoplay" | "border" | "checked"
        | "class" | "cols" | "colspan" | "contenteditable" | "contextmenu" | "controls"
        | "coords" | "datetime" | "default" | "dir" | "dirname" | "disabled" | "draggable"
        | "dropzone" | "for" | "formtarget" | "headers" | "height" | "hidden" | "high"
        | "hreflang" | "id" | "ismap" | "kind" | "label" | "lang" | "list" | "loop" | "low"
        | "max" | "maxlength" | "media" | "mediagroup" | "min" | "multiple" | "name" | "open"
        | "optimum" | "placeholder" | "preload" | "pubdate" | "radiogroup" | "readonly"
        | "required" | "reversed" | "rows" | "rowspan" | "spellcheck" | "scope" | "scoped"
        | "seamless" | "selected" | "shape" | "size" | "sizes" | "span" | "srclang" | "start"
        | "step" | "tabindex" | "target" | "title" | "width" | "wrap" => Content::Plain,
        "accept-charset" | "async" | "challenge" | "charset" | "content" | "crossorigin"
        | "defer" | "enctype" | "form" | "formenctype" | "formmethod" | "formnovalidate"
        | "http-equiv" | "keytype" | "language" | "method" | "novalidate" | "pattern" | "rel"
        | "sandbox" | "type" | "value" => Content::Unsafe,
        "action" | "archive" | "background" | "cite" | "classid" | "codebase" | "data"
        | "formaction" | "href" | "icon" | "longdesc" | "manifest" | "poster" | "profile"
        | "src" | "usemap" | "xmlns" => Content::Url,
        "srcdoc" => Content::Html,
        "srcset" => Content::Srcset,
        "style" => Content::Css,
        _ if name.starts_with("on") => Content::Js,
        _ if name.contains("src") || name.contains("uri") || name.contains("url") => Content::Url,
        _ => Content::Plain,
    }
}

/// Whether a link's scheme does no harm by itself.
fn is_safe_url(text: &[u8]) -> bool {
    let Some(colon) = text.iter().position(|it| *it == b':') else {
        return true;
    };
    let scheme = text.get(..colon).unwrap_or_default();
    contains(scheme, b"/")
        || [b"http".as_slice(), b"https", b"mailto"]
            .iter()
            .any(|it| scheme.eq_ignore_ascii_case(it))
}

/// Percent-encodes; what has a meaning in a URL stays when it is `normal`.
fn url(text: &[u8], normal: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for (at, byte) in text.iter().enumerate() {
        let is_kept = match byte {
            b'!' | b'#' | b'$' | b'&' | b'*' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'?'
            | b'@' | b'[' | b']' => normal,
            b'-' | b'.' | b'_' | b'~' => true,
            b'%' => {
                let digits = text.get(at + 1..at + 3);
                normal && digits.is_some_and(|it| it.iter().all(u8::is_ascii_hexdigit))
            }
            it => it.is_ascii_alphanumeric(),
        };
        if is_kept {
            out.push(*byte);
        } else {
            out.extend_from_slice(format!("%{byte:02x}").as_bytes());
        }
    }
    out
}

/// Pictures' URLs with what is said of each.
fn srcset(text: &[u8], content: Content) -> Vec<u8> {
    if content == Content::Url {
        let text = String::from_utf8_lossy(&url(text, true)).into_owned();
        return text.replace(',', "%2c").into_bytes();
    }
    let mut out = Vec::new();
    for (at, part) in text.split(|it| *it == b',').enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&srcset_part(part));
    }
    out
}

fn srcset_part(part: &[u8]) -> Vec<u8> {
    let is_space = |it: &u8| matches!(it, b' ' | b'\t' | b'\n' | 0x0c | b'\r');
    let start = part.iter().take_while(|it| is_space(it)).count();
    let rest = part.get(start..).unwrap_or_default();
    let length = rest.iter().position(is_space).unwrap_or(rest.len());
    let (link, said) = rest.split_at(length);
    let good = said
        .iter()
        .all(|it| is_space(it) || it.is_ascii_alphanumeric());
    if !good || !is_safe_url(link) {
        return format!("#{FAILSAFE}").into();
    }
    let mut out = part.get(..start).unwrap_or_default().to_vec();
    out.extend_from_slice(&url(link, true));
    out.extend_from_slice(said);
    out
}

/// In a string of a style.
fn css(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter().peekable();
    while let Some(byte) = bytes.next() {
        let escape = match byte {
            0 => "\\0",
            b'\t' => "\\9",
            b'\n' => "\\a",
            0x0c => "\\c",
            b'\r' => "\\d",
            b'"' => "\\22",
            b'&' => "\\26",
            b'\'' => "\\27",
            b'(' => "\\28",
            b')' => "\\29",
            b'+' => "\\2b",
            b'/' => "\\2f",
            b':' => "\\3a",
            b';' => "\\3b",
            b'<' => "\\3c",
            b'>' => "\\3e",
            b'\\' => "\\\\",
            b'{' => "\\7b",
            b'}' => "\\7d",
            other => {
                out.push(*other);
                continue;
            }
        };
        out.extend_from_slice(escape.as_bytes());
        // A digit or space that follows would be read as a part of it.
        let runs_on = bytes.peek().is_none_or(|it| {
            it.is_ascii_hexdigit() || matches!(it, b'\t' | b'\n' | 0x0c | b'\r' | b' ')
        });
        if escape != "\\\\" && runs_on {
            out.push(b' ');
        }
    }
    out
}

/// A value in a style: numbers, words, colours; nothing that ends it or runs.
fn css_value(text: &[u8]) -> Vec<u8> {
    let decoded = decode_css(text);
    let mut word = Vec::new();
    let mut last = 0;
    for byte in &decoded {
        match byte {
            0 | b'"' | b'\'' | b'(' | b')' | b'/' | b';' | b'@' | b'[' | b'\\' | b']' | b'`'
            | b'{' | b'}' | b'<' | b'>' => return FAILSAFE.into(),
            b'-' if last == b'-' => return FAILSAFE.into(),
            it if it.is_ascii_alphanumeric() || *it == b'_' => word.push(it.to_ascii_lowercase()),
            _ => {}
        }
        last = *byte;
    }
    if contains(&word, b"expression") || contains(&word, b"mozbinding") {
        return FAILSAFE.into();
    }
    decoded
}

/// Escapes of styles as what they stand for (CSS Syntax 3, "Consume an escaped code point").
pub(super) fn decode_css(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.iter().position(|it| *it == b'\\') {
        out.extend_from_slice(rest.get(..at).unwrap_or_default());
        let after = rest.get(at + 1..).unwrap_or_default();
        if after.is_empty() {
            return out;
        }
        let mut count = after
            .iter()
            .take(6)
            .take_while(|it| it.is_ascii_hexdigit())
            .count();
        if count == 0 {
            let size = first_character(after).map_or(1, |it| it.1);
            out.extend_from_slice(after.get(..size).unwrap_or_default());
            rest = after.get(size..).unwrap_or_default();
            continue;
        }
        let number = |count: usize| {
            let digits = str::from_utf8(after.get(..count).unwrap_or_default()).unwrap_or("0");
            u32::from_str_radix(digits, 16).unwrap_or(0)
        };
        if number(count) > 0x10_ffff {
            count -= 1;
        }
        let character = char::from_u32(number(count)).unwrap_or(char::REPLACEMENT_CHARACTER);
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        let after = after.get(count..).unwrap_or_default();
        rest = match after {
            [b'\r', b'\n', rest @ ..] => rest,
            [b'\t' | b'\n' | 0x0c | b'\r' | b' ', rest @ ..] => rest,
            rest => rest,
        };
    }
    out.extend_from_slice(rest);
    out
}

/// An expression in a script.
fn js_value(arguments: &[Value]) -> Vec<u8> {
    let value = match arguments {
        [value] => match value {
            Value::Time(_) => value.clone(),
            other => other.stringer().map_or_else(|| other.clone(), Value::text),
        },
        many => Value::text(sprint(many)),
    };
    let marshalled = match json::marshal(&value) {
        Ok(text) => text,
        Err(error) => {
            let error = error.replace("*/", "* /").replace("<!--", "\\x3C!--");
            return format!(" /* {error} */null ").into();
        }
    };
    let is_part = |it: Option<&u8>| {
        it.is_some_and(|it| it.is_ascii_alphanumeric() || matches!(it, b'$' | b'_'))
    };
    if !is_part(marshalled.first()) && !is_part(marshalled.last()) {
        return marshalled;
    }
    // So that it does not run into the word beside it.
    let mut out = vec![b' '];
    out.extend_from_slice(&marshalled);
    out.push(b' ');
    out
}

/// In which literal of a script.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Js {
    String,
    Template,
    Regexp,
}

fn js_replaced(text: &[u8], literal: Js) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some((character, size)) = first_character(text.get(at..).unwrap_or_default()) {
        let bytes = text.get(at..at + size).unwrap_or_default();
        at += size;
        let code = u32::from(character);
        let is_regexp = literal == Js::Regexp;
        match character {
            '\t' => out.extend_from_slice(b"\\t"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            '\r' => out.extend_from_slice(b"\\r"),
            '`' if is_regexp => out.push(b'`'),
            '\0'..' ' | '"' | '`' | '&' | '\'' | '+' | '<' | '>' | '\u{2028}' | '\u{2029}' => {
                out.extend_from_slice(format!("\\u{code:04x}").as_bytes());
            }
            '$' | '{' | '}' if literal == Js::Template => {
                out.extend_from_slice(format!("\\u{code:04x}").as_bytes());
            }
            '/' | '\\' => {
                out.push(b'\\');
                out.extend_from_slice(bytes);
            }
            '$' | '(' | ')' | '*' | '-' | '.' | '?' | '[' | ']' | '^' | '{' | '|' | '}'
                if is_regexp =>
            {
                out.push(b'\\');
                out.extend_from_slice(bytes);
            }
            _ => out.extend_from_slice(bytes),
        }
    }
    out
}
