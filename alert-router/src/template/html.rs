//! HTML that nothing in an alert can break: before a template is rendered as HTML, each of its actions is given the escapers that
//! its place asks for (Go 1.26, `html/template`: what an attribute, a script, a style or a URL takes differs).

mod context;
mod escapers;
mod transition;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

pub(super) use self::escapers::{escaped, is_escaper};
use self::{
    context::{Attribute, Context, Delimiter, Element, JsContext, State, UrlPart},
    transition::{after_text, special_script_tags},
};
use super::parse::{Branch, Call, Command, Id, Node, Operand, Pipe, Term, Tree};

/// Gives a template and all that it calls their escapers.
///
/// # Errors
/// Where a template is no HTML, or its branches end in different places.
pub(super) fn escape(
    trees: &BTreeMap<String, Arc<Tree>>,
    name: &str,
    ids: &mut Id,
) -> Result<BTreeMap<String, Arc<Tree>>, String> {
    let mut escaper = Escaper {
        trees,
        ids,
        edits: Edits::default(),
        ranges: Vec::new(),
    };
    let (end, _) = escaper.tree(&Context::default(), name);
    let wrong = |what: &str| Err(format!("html/template:{name}: {what}"));
    if let Some(error) = end.error {
        return wrong(&error);
    }
    if end.state != State::Text {
        return wrong(&format!("ends in a non-text context: {:?}", end.state));
    }
    let edits = escaper.edits;
    let mut done = BTreeMap::new();
    for called in &edits.called {
        let Some(tree) = edits.derived.get(called).or_else(|| trees.get(called)) else {
            continue;
        };
        let mut tree = Tree::clone(tree);
        edits.apply(&mut tree.root);
        done.insert(called.clone(), Arc::new(tree));
    }
    Ok(done)
}

/// What is to become of nodes, and what is known of templates by now.
#[derive(Default)]
struct Edits {
    /// The context in which a template ends.
    ends: BTreeMap<String, Context>,
    /// Templates as they are in other places than text.
    derived: BTreeMap<String, Arc<Tree>>,
    called: BTreeSet<String>,
    actions: BTreeMap<Id, Vec<&'static str>>,
    calls: BTreeMap<Id, String>,
    texts: BTreeMap<Id, Vec<u8>>,
}

impl Edits {
    fn apply(&self, nodes: &mut [Node]) {
        for node in nodes {
            match node {
                Node::Text(id, text) => {
                    if let Some(edited) = self.texts.get(id) {
                        text.clone_from(edited);
                    }
                }
                Node::Action(id, pipe) => {
                    if let Some(escapers) = self.actions.get(id) {
                        add_escapers(pipe, escapers);
                    }
                }
                Node::Template(id, call) => {
                    if let Some(name) = self.calls.get(id) {
                        call.name.clone_from(name);
                    }
                }
                Node::If(branch) | Node::Range(branch) | Node::With(branch) => {
                    self.apply(&mut branch.list);
                    self.apply(&mut branch.otherwise);
                }
                Node::Break | Node::Continue => {}
            }
        }
    }
}

struct Escaper<'a> {
    trees: &'a BTreeMap<String, Arc<Tree>>,
    ids: &'a mut Id,
    edits: Edits,
    /// The contexts in which loops are left or begun anew, the innermost loop's last.
    ranges: Vec<Vec<Context>>,
}

impl Escaper<'_> {
    fn list(&mut self, context: Context, nodes: &[Node]) -> Context {
        let mut context = context;
        for node in nodes {
            context = self.node(context, node);
            if context.state == State::Dead {
                break;
            }
        }
        context
    }

    fn node(&mut self, context: Context, node: &Node) -> Context {
        match node {
            Node::Text(id, text) => self.text(context, *id, text),
            Node::Action(id, pipe) => self.action(context, *id, pipe),
            Node::If(branch) => self.branch(context, branch, "if"),
            Node::With(branch) => self.branch(context, branch, "with"),
            Node::Range(branch) => self.branch(context, branch, "range"),
            Node::Template(id, call) => self.call(&context, *id, call),
            Node::Break | Node::Continue => {
                if let Some(range) = self.ranges.last_mut() {
                    range.push(context);
                }
                Context {
                    state: State::Dead,
                    ..Context::default()
                }
            }
        }
    }

    fn call(&mut self, context: &Context, id: Id, call: &Call) -> Context {
        let (end, name) = self.tree(context, &call.name);
        if name != call.name {
            self.edits.calls.insert(id, name);
        }
        end
    }

    /// The context in which a template ends that starts in this one, and its name there.
    fn tree(&mut self, context: &Context, name: &str) -> (Context, String) {
        let mangled = context.mangled(name);
        self.edits.called.insert(mangled.clone());
        if let Some(end) = self.edits.ends.get(&mangled) {
            return (end.clone(), mangled);
        }
        let found = self.edits.derived.get(&mangled).cloned();
        let tree = match found.or_else(|| self.trees.get(&mangled).cloned()) {
            Some(tree) => tree,
            None => match self.trees.get(name) {
                Some(tree) => {
                    let mut copy = Tree::clone(tree);
                    renumber(&mut copy.root, self.ids);
                    let copy = Arc::new(copy);
                    self.edits
                        .derived
                        .insert(mangled.clone(), Arc::clone(&copy));
                    copy
                }
                None => {
                    return (
                        Context::error(format!("no such template {name:?}")),
                        mangled,
                    );
                }
            },
        };
        (self.end_of(context, &tree, &mangled), mangled)
    }

    fn end_of(&mut self, context: &Context, tree: &Tree, name: &str) -> Context {
        let (first, good) = self.body(context, tree, name);
        if good {
            return first;
        }
        // Perhaps it ends where it was found to end.
        let (second, good) = self.body(&first, tree, name);
        if good {
            return second;
        }
        if first.state == State::Error {
            return first;
        }
        Context::error(format!("cannot compute output context for template {name}"))
    }

    /// Walks a template, assuming that it ends in a context where it calls itself; whether that was right.
    fn body(&mut self, assumed: &Context, tree: &Tree, name: &str) -> (Context, bool) {
        self.edits.ends.insert(name.to_owned(), assumed.clone());
        self.list_if(assumed.clone(), &tree.root, |edits, end| {
            end.state != State::Error && (!edits.called.contains(name) || *assumed == *end)
        })
    }

    /// Walks a list, and keeps what was found out when it is good.
    fn list_if(
        &mut self,
        context: Context,
        nodes: &[Node],
        good: impl Fn(&Edits, &Context) -> bool,
    ) -> (Context, bool) {
        let mut inner = Escaper {
            trees: self.trees,
            ids: &mut *self.ids,
            edits: Edits {
                ends: self.edits.ends.clone(),
                ..Edits::default()
            },
            ranges: std::mem::take(&mut self.ranges),
        };
        let end = inner.list(context, nodes);
        let Escaper { edits, ranges, .. } = inner;
        self.ranges = ranges;
        let keep = good(&edits, &end);
        if keep {
            let Edits {
                ends,
                derived,
                called,
                actions,
                calls,
                texts,
            } = edits;
            self.edits.ends.extend(ends);
            self.edits.derived.extend(derived);
            self.edits.called.extend(called);
            self.edits.actions.extend(actions);
            self.edits.calls.extend(calls);
            self.edits.texts.extend(texts);
        }
        (end, keep)
    }

    fn branch(&mut self, context: Context, branch: &Branch, word: &str) -> Context {
        let is_range = word == "range";
        if is_range {
            self.ranges.push(Vec::new());
        }
        let mut first = self.list(context.clone(), &branch.list);
        if is_range {
            first = self.end_of_round(first);
            if first.state == State::Error {
                return first;
            }
            // It may run a second time.
            self.ranges.push(Vec::new());
            let (second, _) = self.list_if(first.clone(), &branch.list, |_, _| false);
            first = joined(first, second, word);
            if first.state == State::Error {
                self.ranges.pop();
                let error = first.error.unwrap_or_default();
                return Context::error(format!("on range loop re-entry: {error}"));
            }
            first = self.end_of_round(first);
            if first.state == State::Error {
                return first;
            }
        }
        let otherwise = self.list(context, &branch.otherwise);
        joined(first, otherwise, word)
    }

    /// A round of a loop ends where its list does, or where it was left.
    fn end_of_round(&mut self, end: Context) -> Context {
        let left = self.ranges.pop().unwrap_or_default();
        if end.state == State::Error {
            return end;
        }
        let mut end = end;
        for context in left {
            end = joined(end, context, "range");
            if end.state == State::Error {
                return end;
            }
        }
        end
    }

    fn action(&mut self, context: Context, id: Id, pipe: &Pipe) -> Context {
        if !pipe.variables.is_empty() {
            return context;
        }
        let mut context = context.nudged();
        for (at, command) in pipe.commands.iter().enumerate() {
            let Some(Operand::Function(name)) = command.terms.first().map(|it| &it.kind) else {
                continue;
            };
            let is_predefined = matches!(name.as_str(), "html" | "urlquery");
            let unquoted = context.state == State::Attr
                && context.delimiter == Delimiter::SpaceOrTagEnd
                && name == "html";
            if is_predefined && (at + 1 < pipe.commands.len() || unquoted) {
                return Context::error(format!(
                    "predefined escaper {name:?} disallowed in template"
                ));
            }
        }
        let mut escapers: Vec<&'static str> = Vec::new();
        match context.state {
            State::Error => return context,
            State::Url
            | State::CssDqStr
            | State::CssSqStr
            | State::CssDqUrl
            | State::CssSqUrl
            | State::CssUrl => match context.url_part {
                UrlPart::None | UrlPart::PreQuery => {
                    if context.url_part == UrlPart::None {
                        escapers.push("_url_filter");
                    }
                    let in_string = matches!(context.state, State::CssDqStr | State::CssSqStr);
                    escapers.push(if in_string { "_css" } else { "_url_normal" });
                }
                UrlPart::QueryOrFragment => escapers.push("_url"),
                UrlPart::Unknown => {
                    return Context::error(format!(
                        "{{{{{pipe}}}}} appears in an ambiguous context within a URL"
                    ));
                }
            },
            State::MetaContent | State::Attr => {}
            State::MetaContentUrl => escapers.push("_url_filter"),
            State::Js => {
                escapers.push("_js");
                context.js = JsContext::DivOp;
            }
            State::JsDqStr | State::JsSqStr => escapers.push("_js_string"),
            State::JsTmplLit => escapers.push("_js_template"),
            State::JsRegexp => escapers.push("_js_regexp"),
            State::Css => escapers.push("_css_value"),
            State::Text => escapers.push("_html"),
            State::RcData => escapers.push("_rcdata"),
            State::AttrName | State::Tag => {
                context.state = State::AttrName;
                escapers.push("_name");
            }
            State::Srcset => escapers.push("_srcset"),
            _ => escapers.push("_comment"),
        }
        match context.delimiter {
            Delimiter::None => {}
            Delimiter::SpaceOrTagEnd => escapers.push("_nospace"),
            Delimiter::DoubleQuote | Delimiter::SingleQuote => escapers.push("_attr"),
        }
        self.edits.actions.insert(id, escapers);
        context
    }

    /// Static text: comments go, a `<` that starts nothing is escaped.
    fn text(&mut self, context: Context, id: Id, text: &[u8]) -> Context {
        let mut context = context;
        let mut out = Vec::new();
        let (mut at, mut written) = (0, 0);
        while at < text.len() {
            let rest = text.get(at..).unwrap_or_default();
            let (next, read) = after_text(&context, rest);
            let end = at + read;
            if matches!(context.state, State::Text | State::RcData) {
                let mut stop = end;
                if next.state != context.state {
                    let before = text.get(at..end).unwrap_or_default();
                    stop = before
                        .iter()
                        .rposition(|it| *it == b'<')
                        .map_or(end, |it| at + it);
                }
                for place in at..stop {
                    let here = text.get(place..).unwrap_or_default();
                    if here.first() == Some(&b'<') && !is_doctype(here) {
                        out.extend_from_slice(text.get(written..place).unwrap_or_default());
                        out.extend_from_slice(b"&lt;");
                        written = place + 1;
                    }
                }
            } else if context.state.is_comment() && context.delimiter == Delimiter::None {
                match context.state {
                    State::JsBlockCmt => {
                        // A comment with a line end in it is a line end (ECMAScript, "Comments").
                        let comment = text.get(written..end).unwrap_or_default();
                        let has_end = comment.contains(&b'\n')
                            || comment.contains(&b'\r')
                            || contains(comment, "\u{2028}".as_bytes())
                            || contains(comment, "\u{2029}".as_bytes());
                        out.push(if has_end { b'\n' } else { b' ' });
                    }
                    State::CssBlockCmt => out.push(b' '),
                    _ => {}
                }
                written = end;
            }
            if context.state != next.state
                && next.state.is_comment()
                && next.delimiter == Delimiter::None
            {
                let mark = match next.state {
                    State::HtmlCmt | State::JsHtmlOpenCmt => 4,
                    State::JsHtmlCloseCmt => 3,
                    _ => 2,
                };
                let start = end.saturating_sub(mark);
                out.extend_from_slice(text.get(written..start).unwrap_or_default());
                written = end;
            }
            if context.state.is_script_literal()
                && let Some(changed) = special_script_tags(text.get(at..end).unwrap_or_default())
            {
                out.extend_from_slice(text.get(written..at).unwrap_or_default());
                out.extend_from_slice(&changed);
                written = end;
            }
            if read == 0 && context.state == next.state {
                return Context::error("a place in the template that leads nowhere".to_owned());
            }
            context = next;
            at = end;
        }
        if written != 0 && context.state != State::Error {
            if !context.state.is_comment() || context.delimiter != Delimiter::None {
                out.extend_from_slice(text.get(written..).unwrap_or_default());
            }
            self.edits.texts.insert(id, out);
        }
        context
    }
}

fn is_doctype(text: &[u8]) -> bool {
    text.get(..9)
        .is_some_and(|it| it.eq_ignore_ascii_case(b"<!DOCTYPE"))
}

pub(super) fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|it| it == part)
}

/// The context after a branch whose ways end in these.
fn joined(a: Context, b: Context, word: &str) -> Context {
    if a.state == State::Error || b.state == State::Dead {
        return a;
    }
    if b.state == State::Error || a.state == State::Dead {
        return b;
    }
    if a == b {
        return a;
    }
    let by_url = Context {
        url_part: b.url_part,
        ..a.clone()
    };
    if by_url == b {
        return Context {
            url_part: UrlPart::Unknown,
            ..a
        };
    }
    let by_js = Context {
        js: b.js,
        ..a.clone()
    };
    if by_js == b {
        return Context {
            js: JsContext::Unknown,
            ..a
        };
    }
    let (c, d) = (a.clone().nudged(), b.clone().nudged());
    if !(c == a && d == b) {
        let joined = joined(c, d, word);
        if joined.state != State::Error {
            return joined;
        }
    }
    Context::error(format!(
        "{{{{{word}}}}} branches end in different contexts: {:?}, {:?}",
        a.state, b.state
    ))
}

fn renumber(nodes: &mut [Node], ids: &mut Id) {
    for node in nodes {
        match node {
            Node::Text(id, _) | Node::Action(id, _) | Node::Template(id, _) => {
                *ids += 1;
                *id = *ids;
            }
            Node::If(branch) | Node::Range(branch) | Node::With(branch) => {
                renumber(&mut branch.list, ids);
                renumber(&mut branch.otherwise, ids);
            }
            Node::Break | Node::Continue => {}
        }
    }
}

/// Of escapers that do the same, the one that a template names itself stays.
fn normal(name: &str) -> &str {
    match name {
        "_attr" | "_html" | "_rcdata" => "html",
        "_url" | "_url_normal" => "urlquery",
        other => other,
    }
}

/// Whether an escaper has nothing to do after another.
fn is_redundant(last: &str, next: &str) -> bool {
    match last {
        "_comment" => matches!(next, "_attr" | "_html"),
        "_css" | "_js_regexp" | "_js_string" | "_js_template" => next == "_attr",
        "_url" => next == "_url_normal",
        _ => false,
    }
}

fn function(command: &Command) -> Option<&str> {
    match &command.terms.first()?.kind {
        Operand::Function(name) => Some(name),
        _ => None,
    }
}

fn named(name: &str, at: usize) -> Command {
    let kind = Operand::Function(name.to_owned());
    Command {
        terms: vec![Term { at, kind }],
    }
}

fn push(commands: &mut Vec<Command>, name: &str, at: usize) {
    let redundant = commands
        .last()
        .and_then(function)
        .is_some_and(|last| is_redundant(last, name));
    if !redundant {
        commands.push(named(name, at));
    }
}

/// Ends a pipeline with escapers; `html` or `urlquery` at its end takes the place of one that does the same.
fn add_escapers(pipe: &mut Pipe, escapers: &[&'static str]) {
    if escapers.is_empty() {
        return;
    }
    let at = pipe.at;
    let mut escapers: Vec<String> = escapers.iter().map(|it| (*it).to_owned()).collect();
    let mut kept = pipe.commands.len();
    let last = pipe.commands.last().and_then(function).map(str::to_owned);
    if let Some(name) = last.filter(|it| matches!(it.as_str(), "html" | "urlquery")) {
        let alone = pipe.commands.len() == 1;
        if let Some(command) = pipe
            .commands
            .last_mut()
            .filter(|it| alone && it.terms.len() > 1)
        {
            // {{html a b}} is {{_args a b | html}}.
            if let Some(term) = command.terms.first_mut() {
                term.kind = Operand::Function("_args".to_owned());
            }
            pipe.commands.push(named(&name, at));
            kept += 1;
        }
        let mut same = false;
        for escaper in &mut escapers {
            if normal(escaper) == normal(&name) {
                escaper.clone_from(&name);
                same = true;
            }
        }
        if same {
            kept -= 1;
        }
    }
    pipe.commands.truncate(kept);
    let there: BTreeSet<String> = pipe
        .commands
        .iter()
        .filter_map(function)
        .map(|it| normal(it).to_owned())
        .collect();
    for escaper in escapers {
        if !there.contains(normal(&escaper)) {
            push(&mut pipe.commands, &escaper, at);
        }
    }
}
