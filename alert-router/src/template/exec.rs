//! Walks a template and writes what it says (Go 1.26, `text/template`, exec.go's rules).

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use super::{
    functions,
    parse::{Branch, Call, Command, Node, Operand, Pipe, Source, Term, Tree},
    print::sprint,
    time,
    value::{Int, List, Map, Struct, Text, Type, Value, field, sorted_pairs},
};

/// Bytes that a template may write, and that one text within it may have.
pub(super) const MAX_OUTPUT: usize = 16 << 20;
/// Nodes that one rendering may visit: loops over numbers could go on for ever.
const MAX_STEPS: usize = 5_000_000;
/// Templates that call each other; Go allows 100,000, and has a stack that grows.
const MAX_DEPTH: usize = 100;

/// What a rendering works with.
pub(super) struct Context<'a> {
    pub(super) trees: &'a BTreeMap<String, Arc<Tree>>,
    pub(super) now: Timestamp,
    /// Renders a route's label.
    pub(super) route_label: &'a dyn Fn(&str) -> Result<Vec<u8>, String>,
}

/// Why a walk stops.
enum Stop {
    Error(String),
    Break,
    Continue,
}

type Walked<T = ()> = Result<T, Stop>;

/// Renders a tree with some data.
///
/// # Errors
/// What went wrong, and where, in Go's words.
pub(super) fn execute(context: &Context<'_>, tree: &Tree, data: &Value) -> Result<Vec<u8>, String> {
    let mut walker = Walker {
        context,
        out: Vec::new(),
        variables: vec![("$".to_owned(), data.clone())],
        steps: 0,
        depth: 0,
        name: tree.name.clone(),
        source: Arc::clone(&tree.source),
    };
    match walker.list(data, &tree.root) {
        Ok(()) => Ok(walker.out),
        Err(Stop::Error(error)) => Err(error),
        Err(Stop::Break | Stop::Continue) => Err("template: break outside range".to_owned()),
    }
}

struct Walker<'a> {
    context: &'a Context<'a>,
    out: Vec<u8>,
    variables: Vec<(String, Value)>,
    steps: usize,
    depth: usize,
    /// The template that is walked, for messages.
    name: String,
    source: Arc<Source>,
}

impl Walker<'_> {
    fn list(&mut self, dot: &Value, nodes: &[Node]) -> Walked {
        nodes.iter().try_for_each(|it| self.node(dot, it))
    }

    fn node(&mut self, dot: &Value, node: &Node) -> Walked {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            let what = format!("template: {}: more than {MAX_STEPS} steps", self.name);
            return Err(Stop::Error(what));
        }
        match node {
            Node::Text(_, text) => self.write(text),
            Node::Action(_, pipe) => {
                let value = self.pipe(dot, pipe)?;
                if !pipe.variables.is_empty() {
                    return Ok(());
                }
                let text = printed(value);
                self.write(&text)
            }
            Node::If(branch) => {
                let mark = self.variables.len();
                let truth = self.pipe(dot, &branch.pipe)?.truth();
                let list = if truth {
                    &branch.list
                } else {
                    &branch.otherwise
                };
                self.list(dot, list)?;
                self.variables.truncate(mark);
                Ok(())
            }
            Node::With(branch) => {
                let mark = self.variables.len();
                let value = self.pipe(dot, &branch.pipe)?;
                if value.truth() {
                    self.list(&value, &branch.list)?;
                } else {
                    self.list(dot, &branch.otherwise)?;
                }
                self.variables.truncate(mark);
                Ok(())
            }
            Node::Range(branch) => self.range(dot, branch),
            Node::Template(_, call) => self.template(dot, call),
            Node::Break => Err(Stop::Break),
            Node::Continue => Err(Stop::Continue),
        }
    }

    fn write(&mut self, text: &[u8]) -> Walked {
        if self.out.len() + text.len() > MAX_OUTPUT {
            let what = format!("template: {}: more than {MAX_OUTPUT} bytes", self.name);
            return Err(Stop::Error(what));
        }
        self.out.extend_from_slice(text);
        Ok(())
    }

    fn range(&mut self, dot: &Value, branch: &Branch) -> Walked {
        let mark = self.variables.len();
        let value = self.pipe(dot, &branch.pipe)?;
        let value = match value {
            Value::Pointer(kind, fields) => Value::Struct(kind, fields),
            other => other,
        };
        let inner = self.variables.len();
        let mut any = false;
        let mut each = |walker: &mut Self, index: Value, item: Value| -> Walked<bool> {
            any = true;
            walker.bind(branch, index, &item)?;
            let walked = walker.list(&item, &branch.list);
            walker.variables.truncate(inner);
            match walked {
                Ok(()) | Err(Stop::Continue) => Ok(true),
                Err(Stop::Break) => Ok(false),
                Err(error) => Err(error),
            }
        };
        match &value {
            Value::Int(kind, end) => {
                if branch.pipe.variables.len() > 1 {
                    let shown = String::from_utf8_lossy(&printed(value.clone())).into_owned();
                    let what = format!("can't use {shown} to iterate over more than one variable");
                    return Err(self.wrong(branch.at, &branch.pipe, &what));
                }
                for number in 0..*end {
                    if !each(self, Value::Invalid, Value::Int(*kind, number))? {
                        break;
                    }
                }
            }
            Value::Byte(end) => {
                for number in 0..*end {
                    if !each(self, Value::Invalid, Value::Byte(number))? {
                        break;
                    }
                }
            }
            Value::List(_, items) => {
                for (at, item) in items.iter().enumerate() {
                    if !each(self, Value::int(at), item.clone())? {
                        break;
                    }
                }
            }
            Value::Map(_, map) => {
                for (key, item) in map.iter() {
                    let key = Value::Text(Text::String, Arc::clone(key));
                    if !each(self, key, item.clone())? {
                        break;
                    }
                }
            }
            Value::Invalid => {}
            other => {
                let shown = String::from_utf8_lossy(&printed(other.clone())).into_owned();
                let what = format!("range can't iterate over {shown}");
                return Err(self.wrong(branch.at, &branch.pipe, &what));
            }
        }
        if !any {
            self.list(dot, &branch.otherwise)?;
        }
        self.variables.truncate(mark);
        Ok(())
    }

    /// Gives a loop's variables their values.
    fn bind(&mut self, branch: &Branch, index: Value, item: &Value) -> Walked {
        let pipe = &branch.pipe;
        let (index_name, item_name) = match pipe.variables.as_slice() {
            [] => return Ok(()),
            [item] => (None, item),
            [index, item, ..] => (Some(index), item),
        };
        if pipe.assigns {
            if let Some(name) = index_name {
                self.assign(pipe, name, index)?;
            }
            return self.assign(pipe, item_name, item.clone());
        }
        // They were declared by the pipeline, the index first.
        let last = self.variables.len();
        if let Some(slot) = last
            .checked_sub(1)
            .and_then(|it| self.variables.get_mut(it))
        {
            slot.1 = item.clone();
        }
        if index_name.is_some()
            && let Some(slot) = last
                .checked_sub(2)
                .and_then(|it| self.variables.get_mut(it))
        {
            slot.1 = index;
        }
        Ok(())
    }

    fn template(&mut self, dot: &Value, call: &Call) -> Walked {
        let context = self.context;
        let Some(tree) = context.trees.get(&call.name) else {
            let what = format!("template {:?} not defined", call.name);
            return Err(self.wrong_at(
                call.at,
                &format!("{{{{template {:?}}}}}", call.name),
                &what,
            ));
        };
        if self.depth >= MAX_DEPTH {
            let what = format!("exceeded maximum template depth ({MAX_DEPTH})");
            return Err(self.wrong_at(
                call.at,
                &format!("{{{{template {:?}}}}}", call.name),
                &what,
            ));
        }
        let data = match &call.pipe {
            Some(pipe) => self.pipe(dot, pipe)?,
            None => Value::Invalid,
        };
        let variables =
            std::mem::replace(&mut self.variables, vec![("$".to_owned(), data.clone())]);
        let name = std::mem::replace(&mut self.name, tree.name.clone());
        let source = std::mem::replace(&mut self.source, Arc::clone(&tree.source));
        self.depth += 1;
        let walked = self.list(&data, &tree.root);
        self.depth -= 1;
        self.variables = variables;
        self.name = name;
        self.source = source;
        match walked {
            // A template's own loops see to their ends; there are none for others.
            Ok(()) | Err(Stop::Break | Stop::Continue) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn pipe(&mut self, dot: &Value, pipe: &Pipe) -> Walked<Value> {
        let mut value = None;
        for command in &pipe.commands {
            let found = self.command(dot, command, value)?;
            value = Some(found.concrete());
        }
        let value = value.unwrap_or(Value::Invalid);
        for name in &pipe.variables {
            if pipe.assigns {
                self.assign(pipe, name, value.clone())?;
            } else {
                self.variables.push((name.clone(), value.clone()));
            }
        }
        Ok(value)
    }

    fn assign(&mut self, pipe: &Pipe, name: &str, value: Value) -> Walked {
        let slot = self.variables.iter_mut().rev().find(|it| it.0 == name);
        match slot {
            Some(slot) => {
                slot.1 = value;
                Ok(())
            }
            None => Err(self.wrong(pipe.at, pipe, &format!("undefined variable: {name}"))),
        }
    }

    fn command(&mut self, dot: &Value, command: &Command, last: Option<Value>) -> Walked<Value> {
        let Some((first, rest)) = command.terms.split_first() else {
            return Ok(Value::Invalid);
        };
        match &first.kind {
            Operand::Field(names) => {
                return self.chain(dot, dot.clone(), first, names, rest, last);
            }
            Operand::Chain(inner, names) => {
                let receiver = self.chained(dot, first, inner)?;
                return self.chain(dot, receiver, first, names, rest, last);
            }
            Operand::Function(name) => return self.function(dot, first, name, rest, last),
            Operand::Variable(names) => {
                let value = self.variable(first, names)?;
                let more = names.get(1..).unwrap_or_default();
                if more.is_empty() {
                    self.no_function(first, rest, last.is_some())?;
                    return Ok(value);
                }
                return self.chain(dot, value, first, more, rest, last);
            }
            Operand::Pipe(pipe) => {
                self.no_function(first, rest, last.is_some())?;
                return self.inner_pipe(dot, pipe);
            }
            _ => {}
        }
        self.no_function(first, rest, last.is_some())?;
        match &first.kind {
            Operand::Bool(it) => Ok(Value::Bool(*it)),
            Operand::Dot => Ok(dot.clone()),
            Operand::Number(_) => self.ideal(first),
            Operand::Text(_, text) => Ok(Value::text(text)),
            _ => Err(self.wrong_term(first, "nil is not a command")),
        }
    }

    /// A pipeline in parentheses: what it declares stays, as in Go.
    fn inner_pipe(&mut self, dot: &Value, pipe: &Pipe) -> Walked<Value> {
        self.pipe(dot, pipe)
    }

    fn chained(&mut self, dot: &Value, whole: &Term, inner: &Term) -> Walked<Value> {
        if let Operand::Nil = inner.kind {
            let what = format!("indirection through explicit nil in {whole}");
            return Err(self.wrong_term(whole, &what));
        }
        self.argument(dot, inner, None)
    }

    fn no_function(&self, first: &Term, rest: &[Term], has_last: bool) -> Walked {
        if rest.is_empty() && !has_last {
            return Ok(());
        }
        let what = format!("can't give argument to non-function {first}");
        Err(self.wrong_term(first, &what))
    }

    fn variable(&self, term: &Term, names: &[String]) -> Walked<Value> {
        let name = names.first().map_or("$", String::as_str);
        let found = self.variables.iter().rev().find(|it| it.0 == name);
        found
            .map(|it| it.1.clone())
            .ok_or_else(|| self.wrong_term(term, &format!("undefined variable: {name}")))
    }

    /// A number where nothing says what type it is of.
    fn ideal(&self, term: &Term) -> Walked<Value> {
        let Operand::Number(number) = &term.kind else {
            return Ok(Value::Invalid);
        };
        if let Some((real, imaginary)) = number.complex {
            return Ok(Value::Complex(real, imaginary));
        }
        match (number.float, number.int) {
            (Some(it), _) if number.looks_like_float() => Ok(Value::Float(it)),
            (_, Some(it)) => Ok(Value::Int(Int::Plain, it)),
            _ => {
                let what = format!("{} overflows int", number.source);
                Err(self.wrong_term(term, &what))
            }
        }
    }

    fn chain(
        &mut self,
        dot: &Value,
        receiver: Value,
        term: &Term,
        names: &[String],
        rest: &[Term],
        last: Option<Value>,
    ) -> Walked<Value> {
        let mut receiver = receiver;
        let Some((end, before)) = names.split_last() else {
            return Ok(receiver);
        };
        for name in before {
            receiver = self.field(dot, &receiver, term, name, &[], None)?;
        }
        self.field(dot, &receiver, term, end, rest, last)
    }

    fn field(
        &mut self,
        dot: &Value,
        receiver: &Value,
        term: &Term,
        name: &str,
        rest: &[Term],
        last: Option<Value>,
    ) -> Walked<Value> {
        match receiver {
            Value::Invalid => return Ok(Value::Invalid),
            Value::Nil => {
                let what = format!("nil pointer evaluating interface {{}}.{name}");
                return Err(self.wrong_term(term, &what));
            }
            _ => {}
        }
        if let Some(parameters) = method_parameters(receiver, name) {
            let arguments = self.arguments(dot, term, name, parameters, None, rest, last)?;
            let called = call_method(receiver, name, &arguments);
            return called
                .map_err(|error| self.wrong_term(term, &format!("error calling {name}: {error}")));
        }
        let has_arguments = !rest.is_empty() || last.is_some();
        match receiver {
            Value::Struct(kind, fields) | Value::Pointer(kind, fields) => {
                let at = kind.fields().iter().position(|it| it.0 == name);
                if let Some(at) = at {
                    if name.starts_with(|it: char| it.is_lowercase()) {
                        let what = format!(
                            "{name} is an unexported field of struct type {}",
                            receiver.type_name()
                        );
                        return Err(self.wrong_term(term, &what));
                    }
                    if has_arguments {
                        let what =
                            format!("{name} has arguments but cannot be invoked as function");
                        return Err(self.wrong_term(term, &what));
                    }
                    return Ok(fields.get(at).cloned().unwrap_or(Value::Invalid));
                }
            }
            Value::Map(kind, map) => {
                if has_arguments {
                    let what = format!("{name} is not a method but has arguments");
                    return Err(self.wrong_term(term, &what));
                }
                return Ok(match (map.get(name.as_bytes()), kind) {
                    (Some(found), _) => found.clone(),
                    (None, Map::Kv) => Value::text(""),
                    (None, Map::Any) => Value::Nil,
                });
            }
            _ => {}
        }
        let what = format!(
            "can't evaluate field {name} in type {}",
            receiver.type_name()
        );
        Err(self.wrong_term(term, &what))
    }

    fn function(
        &mut self,
        dot: &Value,
        term: &Term,
        name: &str,
        rest: &[Term],
        last: Option<Value>,
    ) -> Walked<Value> {
        let Some(signature) = functions::signature(name) else {
            let what = format!("{name:?} is not a defined function");
            return Err(self.wrong_term(term, &what));
        };
        if matches!(name, "and" | "or") {
            return self.and_or(dot, term, name, rest, last);
        }
        let fixed = signature.fixed;
        let arguments = self.arguments(dot, term, name, fixed, signature.more, rest, last)?;
        let called = if name == "routeLabels" {
            let label = arguments.first().map(printed_text).unwrap_or_default();
            (self.context.route_label)(&label).map(Value::text)
        } else {
            functions::call(name, arguments, self.context.now)
        };
        called.map_err(|error| self.wrong_term(term, &format!("error calling {name}: {error}")))
    }

    /// These do not evaluate what they do not need.
    fn and_or(
        &mut self,
        dot: &Value,
        term: &Term,
        name: &str,
        rest: &[Term],
        last: Option<Value>,
    ) -> Walked<Value> {
        if rest.is_empty() && last.is_none() {
            let what = format!("wrong number of args for {name}: want at least 1 got 0");
            return Err(self.wrong_term(term, &what));
        }
        let mut value = Value::Invalid;
        for argument in rest {
            value = self.argument(dot, argument, Some(Type::Reflect))?;
            if value.truth() == (name == "or") {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    #[expect(clippy::too_many_arguments, reason = "what a call is made of")]
    fn arguments(
        &mut self,
        dot: &Value,
        term: &Term,
        name: &str,
        fixed: &[Type],
        more: Option<Type>,
        rest: &[Term],
        last: Option<Value>,
    ) -> Walked<Vec<Value>> {
        let count = rest.len() + usize::from(last.is_some());
        if more.is_some() && count < fixed.len() {
            let what = format!(
                "wrong number of args for {name}: want at least {} got {}",
                fixed.len(),
                rest.len()
            );
            return Err(self.wrong_term(term, &what));
        }
        if more.is_none() && count != fixed.len() {
            let what = format!(
                "wrong number of args for {name}: want {} got {count}",
                fixed.len()
            );
            return Err(self.wrong_term(term, &what));
        }
        let types = fixed
            .iter()
            .copied()
            .chain(std::iter::repeat(more.unwrap_or(Type::Any)));
        let mut arguments = Vec::with_capacity(count);
        let mut types = types.into_iter();
        for argument in rest {
            let wanted = types.next().unwrap_or(Type::Any);
            arguments.push(self.argument(dot, argument, Some(wanted))?);
        }
        if let Some(value) = last {
            let wanted = types.next().unwrap_or(Type::Any);
            arguments.push(self.fitted(term, value, wanted)?);
        }
        Ok(arguments)
    }

    /// Evaluates an argument for a parameter; without a type it may be anything.
    fn argument(&mut self, dot: &Value, term: &Term, wanted: Option<Type>) -> Walked<Value> {
        let value = match &term.kind {
            Operand::Dot => dot.clone(),
            Operand::Nil => {
                let wanted = wanted.unwrap_or(Type::Any);
                return wanted.nil().ok_or_else(|| {
                    self.wrong_term(term, &format!("cannot assign nil to {}", wanted.name()))
                });
            }
            Operand::Field(names) => self.chain(dot, dot.clone(), term, names, &[], None)?,
            Operand::Variable(names) => {
                let value = self.variable(term, names)?;
                let more = names.get(1..).unwrap_or_default();
                self.chain(dot, value, term, more, &[], None)?
            }
            Operand::Pipe(pipe) => self.inner_pipe(dot, pipe)?,
            Operand::Function(name) => self.function(dot, term, name, &[], None)?,
            Operand::Chain(inner, names) => {
                let receiver = self.chained(dot, term, inner)?;
                self.chain(dot, receiver, term, names, &[], None)?
            }
            Operand::Bool(_) | Operand::Number(_) | Operand::Text(..) => {
                return self.literal(term, wanted.unwrap_or(Type::Any));
            }
        };
        match wanted {
            Some(wanted) => self.fitted(term, value, wanted),
            None => Ok(value),
        }
    }

    /// A literal as the type that is wanted.
    fn literal(&self, term: &Term, wanted: Type) -> Walked<Value> {
        match (wanted, &term.kind) {
            (Type::Any | Type::Reflect, Operand::Bool(it)) => Ok(Value::Bool(*it)),
            (Type::Any | Type::Reflect, Operand::Number(_)) => self.ideal(term),
            (Type::Any | Type::Reflect | Type::String, Operand::Text(_, text)) => {
                Ok(Value::text(text))
            }
            (Type::Int | Type::Duration, Operand::Number(number)) => {
                let kind = if wanted == Type::Int {
                    Int::Plain
                } else {
                    Int::Duration
                };
                let found = number.int.map(|it| Value::Int(kind, it));
                found.ok_or_else(|| {
                    self.wrong_term(term, &format!("expected integer; found {term}"))
                })
            }
            (Type::String, _) => {
                Err(self.wrong_term(term, &format!("expected string; found {term}")))
            }
            (Type::Int | Type::Duration, _) => {
                Err(self.wrong_term(term, &format!("expected integer; found {term}")))
            }
            (other, _) => {
                let what = format!("can't handle {term} for arg of type {}", other.name());
                Err(self.wrong_term(term, &what))
            }
        }
    }

    /// A value as a parameter's type, where that is allowed.
    fn fitted(&self, term: &Term, value: Value, wanted: Type) -> Walked<Value> {
        if let Value::Invalid = value {
            return wanted.nil().ok_or_else(|| {
                self.wrong_term(term, &format!("invalid value; expected {}", wanted.name()))
            });
        }
        if wanted.takes(&value) {
            return Ok(value);
        }
        let what = format!(
            "wrong type for value; expected {}; got {}",
            wanted.name(),
            value.type_name()
        );
        Err(self.wrong_term(term, &what))
    }

    fn wrong(&self, at: usize, pipe: &Pipe, what: &str) -> Stop {
        self.wrong_at(at, &pipe.to_string(), what)
    }

    fn wrong_term(&self, term: &Term, what: &str) -> Stop {
        self.wrong_at(term.at, &term.to_string(), what)
    }

    fn wrong_at(&self, at: usize, shown: &str, what: &str) -> Stop {
        let mut shown = shown.to_owned();
        if shown.chars().count() > 20 {
            shown = shown.chars().take(20).collect::<String>() + "...";
        }
        Stop::Error(format!(
            "template: {}: executing {:?} at <{shown}>: {what}",
            self.source.place(at),
            self.name
        ))
    }
}

/// What an action writes of its value.
fn printed(value: Value) -> Vec<u8> {
    match value {
        Value::Invalid => b"<no value>".to_vec(),
        Value::Text(_, text) => text.to_vec(),
        // The value that a pointer points to.
        Value::Pointer(kind, fields) => sprint(&[Value::Struct(kind, fields)]),
        other => sprint(&[other]),
    }
}

fn printed_text(value: &Value) -> String {
    String::from_utf8_lossy(&printed(value.clone())).into_owned()
}

/// The parameters of a method; None when the type has none of that name.
fn method_parameters(receiver: &Value, name: &str) -> Option<&'static [Type]> {
    match (receiver, name) {
        (Value::Map(Map::Kv, _), "SortedPairs" | "Names" | "Values" | "String")
        | (Value::List(List::Pairs, _), "Names" | "Values" | "String")
        | (Value::List(List::Alerts, _), "Firing" | "Resolved")
        | (Value::Location(_), "String")
        | (Value::Int(Int::Month | Int::Weekday, _), "String") => Some(&[]),
        (Value::Map(Map::Kv, _), "Remove") => Some(&[Type::Strings]),
        (Value::List(List::NamedStrings, _), "Join") => Some(&[Type::String]),
        (Value::Int(Int::Duration, _), _) => match name {
            "String" | "Hours" | "Minutes" | "Seconds" | "Milliseconds" | "Microseconds"
            | "Nanoseconds" | "Abs" => Some(&[]),
            "Truncate" | "Round" => Some(&[Type::Duration]),
            _ => None,
        },
        (Value::Time(_), _) => match name {
            "String" | "GoString" | "Unix" | "UnixMilli" | "UnixMicro" | "UnixNano" | "UTC"
            | "Local" | "Location" | "Year" | "Month" | "Day" | "Hour" | "Minute" | "Second"
            | "Nanosecond" | "Weekday" | "YearDay" | "IsZero" | "IsDST" => Some(&[]),
            "Format" => Some(&[Type::String]),
            "In" => Some(&[Type::Location]),
            "After" | "Before" | "Equal" | "Compare" | "Sub" => Some(&[Type::Time]),
            "Add" | "Truncate" | "Round" => Some(&[Type::Duration]),
            "AddDate" => Some(&[Type::Int, Type::Int, Type::Int]),
            _ => None,
        },
        _ => None,
    }
}

fn call_method(receiver: &Value, name: &str, arguments: &[Value]) -> Result<Value, String> {
    let texts = |pairs: &[Value], at: usize| {
        Value::strings(List::NamedStrings, pairs.iter().map(|it| field(it, at)))
    };
    if name == "String"
        && let Some(text) = receiver.stringer()
    {
        return Ok(Value::text(text));
    }
    match receiver {
        Value::Map(_, map) => {
            let pairs = sorted_pairs(map);
            Ok(match name {
                "Names" => texts(&pairs, 0),
                "Values" => texts(&pairs, 1),
                "Remove" => {
                    let removed = match arguments.first() {
                        Some(Value::List(_, items)) => items.as_slice(),
                        _ => &[],
                    };
                    let is_removed = |key: &[u8]| {
                        removed
                            .iter()
                            .any(|it| matches!(it, Value::Text(_, it) if **it == *key))
                    };
                    let kept = map.iter().filter(|(key, _)| !is_removed(key));
                    let kept = kept.map(|(key, value)| (Arc::clone(key), value.clone()));
                    Value::Map(Map::Kv, Arc::new(kept.collect()))
                }
                _ => Value::List(List::Pairs, Arc::new(pairs)),
            })
        }
        Value::List(List::Alerts, alerts) => {
            let wanted: &[u8] = if name == "Firing" {
                b"firing"
            } else {
                b"resolved"
            };
            let some = alerts.iter().filter(|it| *field(it, 0) == *wanted);
            Ok(Value::List(
                List::SomeAlerts,
                Arc::new(some.cloned().collect()),
            ))
        }
        Value::List(List::Pairs, pairs) => Ok(texts(pairs, usize::from(name == "Values"))),
        Value::List(..) => match arguments.first() {
            Some(Value::Text(_, separator)) => functions::join(separator, receiver),
            _ => Ok(Value::text("")),
        },
        Value::Int(_, nanos) => {
            time::duration_call(*nanos, name, arguments).unwrap_or(Ok(Value::Invalid))
        }
        Value::Time(time) => time.call(name, arguments).unwrap_or(Ok(Value::Invalid)),
        _ => Ok(Value::Invalid),
    }
}

/// The kinds of structs that templates are given, for the caller that builds them.
pub(super) fn structure(kind: Struct, fields: Vec<Value>) -> Value {
    Value::Struct(kind, Arc::new(fields))
}
