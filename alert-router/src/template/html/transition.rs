//! From one place to the next over the static text of a template (WHATWG HTML, "Tokenization"; CSS Syntax; ECMAScript's lexical grammar,
//! each as far as it matters for what may be put there).

use super::{
    Attribute, Context, Delimiter, Element, JsContext, State, UrlPart, contains,
    escapers::{Content, attribute_type, decode_css},
};

/// Consumes some text; the context after it, and how much it was.
pub(super) fn after_text(context: &Context, text: &[u8]) -> (Context, usize) {
    if context.delimiter == Delimiter::None {
        let (next, read) = special_tag_end(context, text);
        if read == 0 {
            // The end tag of a script or style: what is before it has been consumed.
            return (next, 0);
        }
        return step(context, text.get(..read).unwrap_or_default());
    }
    let ends: &[u8] = match context.delimiter {
        Delimiter::DoubleQuote => b"\"",
        Delimiter::SingleQuote => b"'",
        _ => b" \t\n\x0c\r>",
    };
    let end = any(text, ends).unwrap_or(text.len());
    let value = text.get(..end).unwrap_or_default();
    if context.delimiter == Delimiter::SpaceOrTagEnd
        && let Some(bad) = any(value, b"\"'<=`").and_then(|it| value.get(it))
    {
        let shown = String::from_utf8_lossy(value);
        let what = format!(
            "{:?} in unquoted attr: {shown:?}",
            char::from(*bad).to_string()
        );
        return (Context::error(what), text.len());
    }
    if end == text.len() {
        // Still inside: entities are what they stand for.
        let decoded = unescaped(text);
        let mut context = context.clone();
        let mut rest = decoded.as_slice();
        while !rest.is_empty() {
            let (next, read) = step(&context, rest);
            if read == 0 && next.state == context.state {
                return (
                    Context::error("a value that leads nowhere".to_owned()),
                    text.len(),
                );
            }
            context = next;
            rest = rest.get(read..).unwrap_or_default();
        }
        return (context, text.len());
    }
    let mut element = context.element;
    if context.state == State::Attr
        && context.element == Element::Script
        && context.attribute == Attribute::ScriptType
        && !is_js_type(value)
    {
        element = Element::None;
    }
    let quote = usize::from(context.delimiter != Delimiter::SpaceOrTagEnd);
    let next = Context {
        state: State::Tag,
        element,
        ..Context::default()
    };
    (next, end + quote)
}

/// One step in a state.
fn step(context: &Context, text: &[u8]) -> (Context, usize) {
    match context.state {
        State::Text => in_text(context, text),
        State::Tag => in_tag(context, text),
        State::AttrName => in_attribute_name(context, text),
        State::AfterName => after_name(context, text),
        State::BeforeValue => before_value(context, text),
        State::HtmlCmt => match find(text, b"-->") {
            Some(at) => (Context::default(), at + 3),
            None => (context.clone(), text.len()),
        },
        State::RcData => special_tag_end(context, text),
        State::Url | State::Srcset => in_url(context, text),
        State::MetaContent => in_meta_content(context, text),
        State::MetaContentUrl => match text.iter().position(|it| *it == b';') {
            Some(at) => (with(context, State::MetaContent), at + 1),
            None => (context.clone(), text.len()),
        },
        State::Js => in_js(context, text),
        State::JsDqStr | State::JsSqStr | State::JsRegexp => in_js_literal(context, text),
        State::JsTmplLit => in_js_template(context, text),
        State::JsBlockCmt => block_comment(context, text, State::Js),
        State::CssBlockCmt => block_comment(context, text, State::Css),
        State::JsLineCmt | State::JsHtmlOpenCmt | State::JsHtmlCloseCmt => {
            let ends = [
                any(text, b"\n\r"),
                find(text, "\u{2028}".as_bytes()),
                find(text, "\u{2029}".as_bytes()),
            ];
            match ends.into_iter().flatten().min() {
                Some(at) => (with(context, State::Js), at),
                None => (context.clone(), text.len()),
            }
        }
        State::CssLineCmt => match any(text, b"\n\x0c\r") {
            Some(at) => (with(context, State::Css), at),
            None => (context.clone(), text.len()),
        },
        State::Css => in_css(context, text),
        State::CssDqStr | State::CssSqStr | State::CssDqUrl | State::CssSqUrl | State::CssUrl => {
            in_css_string(context, text)
        }
        State::Attr | State::Error | State::Dead => (context.clone(), text.len()),
    }
}

/// One step for [`strip_tags`], in which scripts and styles are text.
///
/// [`strip_tags`]: super::escapers
pub(super) fn step_as_text(context: &Context, text: &[u8]) -> (Context, usize) {
    if context.element != Element::None && !context.state.is_in_tag() {
        return special_tag_end(context, text);
    }
    step(context, text)
}

fn with(context: &Context, state: State) -> Context {
    Context {
        state,
        ..context.clone()
    }
}

fn in_text(context: &Context, text: &[u8]) -> (Context, usize) {
    let mut from = 0;
    loop {
        let rest = text.get(from..).unwrap_or_default();
        let Some(found) = rest.iter().position(|it| *it == b'<') else {
            return (context.clone(), text.len());
        };
        let mut at = from + found;
        if at + 1 == text.len() {
            return (context.clone(), text.len());
        }
        if text.get(at..).is_some_and(|it| it.starts_with(b"<!--")) {
            return (with(&Context::default(), State::HtmlCmt), at + 4);
        }
        at += 1;
        let mut ends = false;
        if text.get(at) == Some(&b'/') {
            if at + 1 == text.len() {
                return (context.clone(), text.len());
            }
            ends = true;
            at += 1;
        }
        let (end, element) = tag_name(text, at);
        if end != at {
            let element = if ends { Element::None } else { element };
            let next = Context {
                state: State::Tag,
                element,
                ..Context::default()
            };
            return (next, end);
        }
        from = at;
    }
}

fn in_tag(context: &Context, text: &[u8]) -> (Context, usize) {
    let start = past_space(text, 0);
    let Some(first) = text.get(start) else {
        return (context.clone(), text.len());
    };
    if *first == b'>' {
        let (state, element) = match context.element {
            Element::None | Element::Meta => (State::Text, Element::None),
            Element::Script => (State::Js, Element::Script),
            Element::Style => (State::Css, Element::Style),
            Element::Textarea => (State::RcData, Element::Textarea),
            Element::Title => (State::RcData, Element::Title),
        };
        let next = Context {
            state,
            element,
            ..Context::default()
        };
        return (next, start + 1);
    }
    let end = match attribute_name(text, start) {
        Ok(end) => end,
        Err(what) => return (Context::error(what), text.len()),
    };
    if end == start {
        let shown = String::from_utf8_lossy(text.get(start..).unwrap_or_default()).into_owned();
        let what = format!("expected space, attr name, or end of tag, but got {shown:?}");
        return (Context::error(what), text.len());
    }
    let name = text
        .get(start..end)
        .unwrap_or_default()
        .to_ascii_lowercase();
    let name = String::from_utf8_lossy(&name);
    let attribute = if context.element == Element::Script && name == "type" {
        Attribute::ScriptType
    } else if context.element == Element::Meta && name == "content" {
        Attribute::MetaContent
    } else {
        match attribute_type(&name) {
            Content::Url => Attribute::Url,
            Content::Css => Attribute::Style,
            Content::Js => Attribute::Script,
            Content::Srcset => Attribute::Srcset,
            _ => Attribute::None,
        }
    };
    let state = if end == text.len() {
        State::AttrName
    } else {
        State::AfterName
    };
    let next = Context {
        state,
        element: context.element,
        attribute,
        ..Context::default()
    };
    (next, end)
}

fn in_attribute_name(context: &Context, text: &[u8]) -> (Context, usize) {
    match attribute_name(text, 0) {
        Err(what) => (Context::error(what), text.len()),
        Ok(end) if end == text.len() => (context.clone(), end),
        Ok(end) => (with(context, State::AfterName), end),
    }
}

fn after_name(context: &Context, text: &[u8]) -> (Context, usize) {
    let at = past_space(text, 0);
    match text.get(at) {
        None => (context.clone(), text.len()),
        Some(b'=') => (with(context, State::BeforeValue), at + 1),
        Some(_) => (with(context, State::Tag), at),
    }
}

fn before_value(context: &Context, text: &[u8]) -> (Context, usize) {
    let at = past_space(text, 0);
    let (delimiter, at) = match text.get(at) {
        None => return (context.clone(), text.len()),
        Some(b'\'') => (Delimiter::SingleQuote, at + 1),
        Some(b'"') => (Delimiter::DoubleQuote, at + 1),
        Some(_) => (Delimiter::SpaceOrTagEnd, at),
    };
    let next = Context {
        state: context.attribute.start(),
        delimiter,
        ..context.clone()
    };
    (next, at)
}

/// Looks for the end tag of an element whose content is no HTML.
fn special_tag_end(context: &Context, text: &[u8]) -> (Context, usize) {
    let name: &[u8] = match context.element {
        Element::None => return (context.clone(), text.len()),
        Element::Script => b"script",
        Element::Style => b"style",
        Element::Textarea => b"textarea",
        Element::Title => b"title",
        Element::Meta => b"",
    };
    // In a literal or comment of a script the end tag is escaped instead.
    if context.element == Element::Script
        && (context.state.is_script_literal() || context.state.is_comment())
    {
        return (context.clone(), text.len());
    }
    match tag_end(text, name) {
        Some(at) => (Context::default(), at),
        None => (context.clone(), text.len()),
    }
}

fn tag_end(text: &[u8], name: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + find(text.get(from..)?, b"</")?;
        let after = at + 2;
        from = after;
        let is_name = text
            .get(after..after + name.len())
            .is_some_and(|it| it.eq_ignore_ascii_case(name));
        if is_name {
            let follows = text.get(after + name.len());
            if follows.is_some_and(|it| b"> \t\n\x0c/".contains(it)) {
                return Some(at);
            }
            from = after + name.len();
        }
    }
}

fn in_url(context: &Context, text: &[u8]) -> (Context, usize) {
    let mut next = context.clone();
    if any(text, b"#?").is_some() {
        next.url_part = UrlPart::QueryOrFragment;
    } else if past_space(text, 0) != text.len() && context.url_part == UrlPart::None {
        next.url_part = UrlPart::PreQuery;
    }
    (next, text.len())
}

fn in_meta_content(context: &Context, text: &[u8]) -> (Context, usize) {
    for at in 0..text.len() {
        let is_url = text
            .get(at..at + 3)
            .is_some_and(|it| it.eq_ignore_ascii_case(b"url"));
        if is_url && at + 3 < text.len() {
            let after = past_space(text, at + 3);
            if text.get(after) == Some(&b'=') {
                return (with(context, State::MetaContentUrl), after + 1);
            }
        }
    }
    (context.clone(), text.len())
}

fn in_js(context: &Context, text: &[u8]) -> (Context, usize) {
    let mut next = context.clone();
    let Some(at) = any(text, b"\"`'/{}<-#") else {
        next.js = next_js(text, context.js);
        return (next, text.len());
    };
    next.js = next_js(text.get(..at).unwrap_or_default(), context.js);
    let here = text.get(at..).unwrap_or_default();
    let after = next_js(here.get(..1).unwrap_or_default(), next.js);
    let length = match here {
        [b'"', ..] => literal(&mut next, State::JsDqStr),
        [b'\'', ..] => literal(&mut next, State::JsSqStr),
        [b'`', ..] => literal(&mut next, State::JsTmplLit),
        [b'/', b'/', ..] | [b'#', b'!', ..] => {
            next.state = State::JsLineCmt;
            2
        }
        [b'/', b'*', ..] => {
            next.state = State::JsBlockCmt;
            2
        }
        [b'/', ..] => match next.js {
            JsContext::Regexp => {
                next.state = State::JsRegexp;
                1
            }
            JsContext::DivOp => {
                next.js = JsContext::Regexp;
                1
            }
            JsContext::Unknown => {
                let shown: String = String::from_utf8_lossy(here).chars().take(32).collect();
                let what = format!("'/' could start a division or regexp: {shown:?}");
                return (Context::error(what), text.len());
            }
        },
        [b'<', b'!', b'-', b'-', ..] => {
            next.state = State::JsHtmlOpenCmt;
            4
        }
        [b'-', b'-', b'>', ..] => {
            next.state = State::JsHtmlCloseCmt;
            3
        }
        [b'{', ..] => {
            if let Some(depth) = next.js_braces.last_mut() {
                *depth += 1;
            }
            next.js = after;
            1
        }
        [b'}', ..] => {
            match next.js_braces.last_mut() {
                None => next.js = after,
                Some(depth) => {
                    *depth -= 1;
                    if *depth >= 0 {
                        next.js = after;
                    } else {
                        next.js_braces.pop();
                        next.state = State::JsTmplLit;
                    }
                }
            }
            1
        }
        _ => 1,
    };
    (next, at + length)
}

const fn literal(next: &mut Context, state: State) -> usize {
    next.state = state;
    next.js = JsContext::Regexp;
    1
}

fn in_js_template(context: &Context, text: &[u8]) -> (Context, usize) {
    let mut from = 0;
    while let Some(found) = any(text.get(from..).unwrap_or_default(), b"`\\$") {
        let mut at = from + found;
        match text.get(at) {
            Some(b'\\') => {
                at += 1;
                if at == text.len() {
                    return (unfinished("JS string", text), text.len());
                }
            }
            Some(b'$') => {
                if text.get(at + 1) == Some(&b'{') {
                    let mut next = with(context, State::Js);
                    next.js_braces.push(0);
                    return (next, at + 2);
                }
            }
            _ => return (with(context, State::Js), at + 1),
        }
        from = at + 1;
    }
    (context.clone(), text.len())
}

fn in_js_literal(context: &Context, text: &[u8]) -> (Context, usize) {
    let specials: &[u8] = match context.state {
        State::JsSqStr => b"\\'",
        State::JsRegexp => b"\\/[]",
        _ => b"\\\"",
    };
    let ended = |at: usize| {
        let mut next = with(context, State::Js);
        next.js = JsContext::DivOp;
        (next, at + 1)
    };
    let (mut from, mut in_set) = (0, false);
    while let Some(found) = any(text.get(from..).unwrap_or_default(), specials) {
        let mut at = from + found;
        match text.get(at) {
            Some(b'\\') => {
                at += 1;
                if at == text.len() {
                    return (unfinished("JS string", text), text.len());
                }
            }
            Some(b'[') => in_set = true,
            Some(b']') => in_set = false,
            Some(b'/') => {
                // "</script" in an expression is escaped later, and does not end it.
                let is_tag = at
                    .checked_sub(1)
                    .and_then(|it| text.get(it..at + 7))
                    .is_some_and(|it| it.eq_ignore_ascii_case(b"</script"));
                if is_tag {
                    at += 1;
                } else if !in_set {
                    return ended(at);
                }
            }
            _ => {
                if !in_set {
                    return ended(at);
                }
            }
        }
        from = at + 1;
    }
    if in_set {
        let shown = String::from_utf8_lossy(text);
        let what = format!("unfinished JS regexp charset: {shown:?}");
        return (Context::error(what), text.len());
    }
    (context.clone(), text.len())
}

fn unfinished(what: &str, text: &[u8]) -> Context {
    let shown = String::from_utf8_lossy(text);
    Context::error(format!("unfinished escape sequence in {what}: {shown:?}"))
}

fn block_comment(context: &Context, text: &[u8], after: State) -> (Context, usize) {
    match find(text, b"*/") {
        Some(at) => (with(context, after), at + 2),
        None => (context.clone(), text.len()),
    }
}

const CSS_SPACE: &[u8] = b"\t\n\x0c\r ";

fn in_css(context: &Context, text: &[u8]) -> (Context, usize) {
    let mut from = 0;
    while let Some(found) = any(text.get(from..).unwrap_or_default(), b"(\"'/") {
        let at = from + found;
        match (text.get(at), text.get(at + 1)) {
            (Some(b'('), _) => {
                let before = text.get(..at).unwrap_or_default();
                let kept = before
                    .iter()
                    .rposition(|it| !CSS_SPACE.contains(it))
                    .map_or(0, |it| it + 1);
                if ends_with_url(before.get(..kept).unwrap_or_default()) {
                    let rest = text.get(at + 1..).unwrap_or_default();
                    let spaces = rest.iter().take_while(|it| CSS_SPACE.contains(it)).count();
                    let start = at + 1 + spaces;
                    let (state, start) = match text.get(start) {
                        Some(b'"') => (State::CssDqUrl, start + 1),
                        Some(b'\'') => (State::CssSqUrl, start + 1),
                        _ => (State::CssUrl, start),
                    };
                    return (with(context, state), start);
                }
            }
            (Some(b'/'), Some(b'/')) => return (with(context, State::CssLineCmt), at + 2),
            (Some(b'/'), Some(b'*')) => return (with(context, State::CssBlockCmt), at + 2),
            (Some(b'"'), _) => return (with(context, State::CssDqStr), at + 1),
            (Some(b'\''), _) => return (with(context, State::CssSqStr), at + 1),
            _ => {}
        }
        from = at + 1;
    }
    (context.clone(), text.len())
}

/// Whether a text ends with the word `url`, and no longer one.
fn ends_with_url(text: &[u8]) -> bool {
    let Some(start) = text.len().checked_sub(3) else {
        return false;
    };
    let (before, word) = text.split_at(start);
    let goes_on = before
        .last()
        .is_some_and(|it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_') || *it >= 0x80);
    !goes_on && word.eq_ignore_ascii_case(b"url")
}

fn in_css_string(context: &Context, text: &[u8]) -> (Context, usize) {
    let specials: &[u8] = match context.state {
        State::CssDqStr | State::CssDqUrl => b"\\\"",
        State::CssSqStr | State::CssSqUrl => b"\\'",
        _ => b"\\\t\n\x0c\r )",
    };
    let mut context = context.clone();
    let mut from = 0;
    loop {
        let rest = text.get(from..).unwrap_or_default();
        let Some(found) = any(rest, specials) else {
            let decoded = decode_css(rest);
            let (next, _) = in_url(&context, &decoded);
            return (next, text.len());
        };
        let mut at = from + found;
        if text.get(at) != Some(&b'\\') {
            return (with(&context, State::Css), at + 1);
        }
        at += 1;
        if at == text.len() {
            return (unfinished("CSS string", text), text.len());
        }
        let decoded = decode_css(text.get(..=at).unwrap_or_default());
        context = in_url(&context, &decoded).0;
        from = at + 1;
    }
}

/// What a slash is after these words of a script.
fn next_js(text: &[u8], before: JsContext) -> JsContext {
    let text = trimmed_js(text);
    let Some((last, rest)) = text.split_last() else {
        return before;
    };
    match last {
        b'+' | b'-' => {
            // x++ / 2, but x + /a/.
            let run = text.iter().rev().take_while(|it| *it == last).count();
            if run % 2 == 1 {
                JsContext::Regexp
            } else {
                JsContext::DivOp
            }
        }
        b'.' => {
            // "42." is a number.
            if rest.last().is_some_and(u8::is_ascii_digit) {
                JsContext::DivOp
            } else {
                JsContext::Regexp
            }
        }
        b',' | b'<' | b'>' | b'=' | b'*' | b'%' | b'&' | b'|' | b'^' | b'?' | b'!' | b'~'
        | b'(' | b'[' | b':' | b';' | b'{' | b'}' => JsContext::Regexp,
        _ => {
            let is_part = |it: &&u8| it.is_ascii_alphanumeric() || matches!(it, b'$' | b'_');
            let length = text.iter().rev().take_while(is_part).count();
            let word = text.get(text.len() - length..).unwrap_or_default();
            let precedes: [&[u8]; 14] = [
                b"break",
                b"case",
                b"continue",
                b"delete",
                b"do",
                b"else",
                b"finally",
                b"in",
                b"instanceof",
                b"return",
                b"throw",
                b"try",
                b"typeof",
                b"void",
            ];
            if precedes.contains(&word) {
                JsContext::Regexp
            } else {
                JsContext::DivOp
            }
        }
    }
}

/// Without the white space of scripts at the end.
fn trimmed_js(text: &[u8]) -> &[u8] {
    let is_space = |it: char| {
        matches!(
            it,
            '\u{c}' | '\n' | '\r' | '\t' | '\u{b}' | ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'
                ..='\u{200a}'
                    | '\u{2028}'
                    | '\u{2029}'
                    | '\u{202f}'
                    | '\u{205f}'
                    | '\u{3000}'
                    | '\u{feff}'
        )
    };
    match str::from_utf8(text) {
        Ok(it) => it.trim_end_matches(is_space).as_bytes(),
        Err(_) => text.trim_ascii_end(),
    }
}

fn attribute_name(text: &[u8], from: usize) -> Result<usize, String> {
    for (at, byte) in text.iter().enumerate().skip(from) {
        match byte {
            b' ' | b'\t' | b'\n' | 0x0c | b'\r' | b'=' | b'>' => return Ok(at),
            b'\'' | b'"' | b'<' => {
                let shown: String = String::from_utf8_lossy(text).chars().take(32).collect();
                let byte = char::from(*byte).to_string();
                return Err(format!("{byte:?} in attribute name: {shown:?}"));
            }
            _ => {}
        }
    }
    Ok(text.len())
}

fn tag_name(text: &[u8], from: usize) -> (usize, Element) {
    if !text.get(from).is_some_and(u8::is_ascii_alphabetic) {
        return (from, Element::None);
    }
    let mut at = from + 1;
    loop {
        match (text.get(at), text.get(at + 1)) {
            (Some(it), _) if it.is_ascii_alphanumeric() => at += 1,
            (Some(b':' | b'-'), Some(it)) if it.is_ascii_alphanumeric() => at += 2,
            _ => break,
        }
    }
    let name = text.get(from..at).unwrap_or_default().to_ascii_lowercase();
    let element = match name.as_slice() {
        b"script" => Element::Script,
        b"style" => Element::Style,
        b"textarea" => Element::Textarea,
        b"title" => Element::Title,
        b"meta" => Element::Meta,
        _ => Element::None,
    };
    (at, element)
}

fn past_space(text: &[u8], from: usize) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    from + rest
        .iter()
        .take_while(|it| matches!(it, b' ' | b'\t' | b'\n' | 0x0c | b'\r'))
        .count()
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|it| it == part)
}

fn any(text: &[u8], some: &[u8]) -> Option<usize> {
    text.iter().position(|it| some.contains(it))
}

/// `<script`, `</script` and `<!--` in a script's literals would confuse where the script ends.
pub(super) fn special_script_tags(text: &[u8]) -> Option<Vec<u8>> {
    let starts: [&[u8]; 3] = [b"<script", b"</script", b"<!--"];
    let is_start = |rest: &[u8]| {
        starts.iter().any(|it| {
            rest.get(..it.len())
                .is_some_and(|rest| rest.eq_ignore_ascii_case(it))
        })
    };
    if !contains(text, b"<") {
        return None;
    }
    let mut out = Vec::with_capacity(text.len());
    let mut changed = false;
    for (at, byte) in text.iter().enumerate() {
        if *byte == b'<' && is_start(text.get(at..).unwrap_or_default()) {
            out.extend_from_slice(b"\\x3C");
            changed = true;
        } else {
            out.push(*byte);
        }
    }
    changed.then_some(out)
}

/// The MIME types of scripts.
fn is_js_type(kind: &[u8]) -> bool {
    let kind = String::from_utf8_lossy(kind).to_lowercase();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    matches!(
        kind,
        "" | "module"
            | "application/ecmascript"
            | "application/javascript"
            | "application/json"
            | "application/ld+json"
            | "application/x-ecmascript"
            | "application/x-javascript"
            | "text/ecmascript"
            | "text/javascript"
            | "text/javascript1.0"
            | "text/javascript1.1"
            | "text/javascript1.2"
            | "text/javascript1.3"
            | "text/javascript1.4"
            | "text/javascript1.5"
            | "text/jscript"
            | "text/livescript"
            | "text/x-ecmascript"
            | "text/x-javascript"
    )
}

/// Entities as what they stand for: numbers, and those names whose character means something to a URL, a script or a style.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let rest = text.get(at + 1..).unwrap_or_default();
        if *byte == b'&'
            && let Some((character, length)) = entity(rest)
        {
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            at += 1 + length;
            continue;
        }
        out.push(*byte);
        at += 1;
    }
    out
}

fn entity(rest: &[u8]) -> Option<(char, usize)> {
    if let Some(number) = rest.strip_prefix(b"#") {
        let (digits, radix) = match number {
            [b'x' | b'X', digits @ ..] => (digits, 16),
            digits => (digits, 10),
        };
        let is_digit = |it: &&u8| char::from(**it).is_digit(radix);
        let count = digits.iter().take_while(is_digit).count();
        let text = str::from_utf8(digits.get(..count)?).ok()?;
        let code = u32::from_str_radix(text, radix).ok()?;
        let end = usize::from(digits.get(count) == Some(&b';'));
        let length = rest.len() - digits.len() + count + end;
        let character = char::from_u32(code).filter(|it| *it != '\0');
        return Some((character.unwrap_or(char::REPLACEMENT_CHARACTER), length));
    }
    let known = [
        ("quot", '"'),
        ("amp", '&'),
        ("lt", '<'),
        ("gt", '>'),
        ("apos", '\''),
        ("nbsp", '\u{a0}'),
        ("num", '#'),
        ("quest", '?'),
        ("sol", '/'),
        ("bsol", '\\'),
        ("colon", ':'),
        ("semi", ';'),
        ("comma", ','),
        ("period", '.'),
        ("equals", '='),
        ("plus", '+'),
        ("excl", '!'),
        ("ast", '*'),
        ("percnt", '%'),
        ("dollar", '$'),
        ("grave", '`'),
        ("lpar", '('),
        ("rpar", ')'),
        ("lsqb", '['),
        ("lbrack", '['),
        ("rsqb", ']'),
        ("rbrack", ']'),
        ("lcub", '{'),
        ("lbrace", '{'),
        ("rcub", '}'),
        ("rbrace", '}'),
        ("vert", '|'),
        ("lowbar", '_'),
        ("Hat", '^'),
        ("commat", '@'),
        ("Tab", '\t'),
        ("NewLine", '\n'),
    ];
    known.iter().find_map(|(name, character)| {
        let after = rest.strip_prefix(name.as_bytes())?;
        let closed = after.first() == Some(&b';');
        // These are known without the semicolon, too.
        let open = matches!(*name, "quot" | "amp" | "lt" | "gt" | "nbsp");
        (closed || open).then_some((*character, name.len() + usize::from(closed)))
    })
}
