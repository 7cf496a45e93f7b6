//! Templates as trees (Go 1.26, `text/template/parse`).

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::{
    lex::{Kind, LexError, Token, lex},
    literal::{Number, character, unquote},
};

/// More nesting than any template of people has; the walk over a tree needs stack for each level.
const MAX_DEPTH: usize = 200;

/// A named template.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    pub(super) name: String,
    pub(super) source: Arc<Source>,
    pub(super) root: Vec<Node>,
}

/// Where a tree comes from.
#[derive(Debug)]
pub(super) struct Source {
    /// The file's name, or nothing for what stands in the configuration.
    pub(super) name: String,
    pub(super) text: String,
}

impl Source {
    /// `name:line:column` as Go counts: lines from 1, columns in bytes from the line's start.
    pub(super) fn place(&self, at: usize) -> String {
        let before = self.text.get(..at).unwrap_or(&self.text);
        let column = before.rfind('\n').map_or(at, |it| at - it - 1);
        format!("{}:{}:{column}", self.name, self.line(at))
    }

    pub(super) fn line(&self, at: usize) -> usize {
        let before = self.text.get(..at).unwrap_or(&self.text);
        before.matches('\n').count() + 1
    }
}

/// Numbers nodes, so that the HTML pass can note what is to become of each.
pub(super) type Id = usize;

#[derive(Debug, Clone)]
pub(super) enum Node {
    Text(Id, Vec<u8>),
    Action(Id, Pipe),
    If(Branch),
    Range(Branch),
    With(Branch),
    Template(Id, Call),
    Break,
    Continue,
}

#[derive(Debug, Clone)]
pub(super) struct Branch {
    pub(super) at: usize,
    pub(super) pipe: Pipe,
    pub(super) list: Vec<Node>,
    pub(super) otherwise: Vec<Node>,
}

#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) at: usize,
    pub(super) name: String,
    pub(super) pipe: Option<Pipe>,
}

#[derive(Debug, Clone)]
pub(super) struct Pipe {
    pub(super) at: usize,
    pub(super) assigns: bool,
    pub(super) variables: Vec<String>,
    pub(super) commands: Vec<Command>,
}

#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) terms: Vec<Term>,
}

#[derive(Debug, Clone)]
pub(super) struct Term {
    pub(super) at: usize,
    pub(super) kind: Operand,
}

#[derive(Debug, Clone)]
pub(super) enum Operand {
    Dot,
    Nil,
    Bool(bool),
    Number(Number),
    /// As written, and what it means.
    Text(String, Vec<u8>),
    Field(Vec<String>),
    /// The first is the variable, with its `$`.
    Variable(Vec<String>),
    Chain(Box<Term>, Vec<String>),
    Function(String),
    Pipe(Box<Pipe>),
}

/// What is wrong with a template, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template: {name}:{line}: {what}")]
pub(crate) struct ParseError {
    /// The file's name, or nothing for what stands in the configuration.
    pub(crate) name: String,
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) what: String,
}

/// Parses a source: the templates that it defines, by name, with the source itself under its own.
pub(super) fn parse(
    name: &str,
    text: &str,
    is_function: &dyn Fn(&str) -> bool,
    ids: &mut Id,
) -> Result<BTreeMap<String, Tree>, ParseError> {
    let source = Arc::new(Source {
        name: name.to_owned(),
        text: text.to_owned(),
    });
    let (tokens, error) = lex(text);
    let mut parser = Parser {
        source: Arc::clone(&source),
        tokens,
        error,
        next: 0,
        is_function,
        ids,
        variables: vec!["$".to_owned()],
        ranges: 0,
        depth: 0,
        parens: 0,
        trees: BTreeMap::new(),
    };
    let root = parser.source_itself()?;
    parser.add(Tree {
        name: name.to_owned(),
        source,
        root,
    })?;
    Ok(parser.trees)
}

/// Whether there is nothing but white space.
pub(super) fn is_empty(nodes: &[Node]) -> bool {
    nodes.iter().all(|it| match it {
        Node::Text(_, text) => text.trim_ascii().is_empty(),
        _ => false,
    })
}

struct Parser<'a> {
    source: Arc<Source>,
    tokens: Vec<Token<'a>>,
    error: Option<LexError>,
    next: usize,
    is_function: &'a dyn Fn(&str) -> bool,
    ids: &'a mut Id,
    variables: Vec<String>,
    ranges: usize,
    depth: usize,
    parens: usize,
    trees: BTreeMap<String, Tree>,
}

/// What ended a list.
enum Ended {
    End,
    /// With where it stands, and whether `if` or `with` follows it.
    Else(Option<Kind>),
}

type Result<T, E = ParseError> = std::result::Result<T, E>;

impl<'a> Parser<'a> {
    fn source_itself(&mut self) -> Result<Vec<Node>> {
        let mut root = Vec::new();
        loop {
            let start = self.next;
            let token = self.token()?;
            match token.kind {
                Kind::EndOfText => return Ok(root),
                Kind::Open if self.peek_past_space()?.kind == Kind::Define => {
                    self.past_space()?;
                    self.definition()?;
                }
                _ => {
                    self.next = start;
                    match self.text_or_action()? {
                        Item::Node(node) => root.push(node),
                        Item::Ended(Ended::End, _) => {
                            return Err(self.wrong(token.at, "unexpected {{end}}"));
                        }
                        Item::Ended(Ended::Else(_), _) => {
                            return Err(self.wrong(token.at, "unexpected {{else}}"));
                        }
                    }
                }
            }
        }
    }

    fn definition(&mut self) -> Result<()> {
        let token = self.past_space()?;
        if !matches!(token.kind, Kind::Quoted | Kind::Raw) {
            return Err(self.unexpected(&token, "define clause"));
        }
        let name = self.quoted(&token)?;
        self.expect_close("define clause")?;
        self.named(&name, "define clause")
    }

    /// The body of a definition, which has variables of its own.
    fn named(&mut self, name: &[u8], context: &str) -> Result<()> {
        let variables = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let ranges = std::mem::take(&mut self.ranges);
        let (root, ended) = self.list()?;
        self.variables = variables;
        self.ranges = ranges;
        if let (Ended::Else(_), at) = ended {
            return Err(self.wrong(at, &format!("unexpected {{{{else}}}} in {context}")));
        }
        let source = Arc::clone(&self.source);
        let name = String::from_utf8_lossy(name).into_owned();
        self.add(Tree { name, source, root })
    }

    /// Of two templates of one name in one source, one must be empty.
    fn add(&mut self, tree: Tree) -> Result<()> {
        match self.trees.get(&tree.name) {
            Some(old) if !is_empty(&old.root) => {
                if !is_empty(&tree.root) {
                    let what = format!("multiple definition of template {:?}", tree.name);
                    return Err(self.wrong(0, &what));
                }
            }
            _ => {
                self.trees.insert(tree.name.clone(), tree);
            }
        }
        Ok(())
    }

    fn list(&mut self) -> Result<(Vec<Node>, (Ended, usize))> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let at = self.place();
            return Err(self.wrong(at, "too many blocks inside each other"));
        }
        let mut nodes = Vec::new();
        loop {
            if self.peek_past_space()?.kind == Kind::EndOfText {
                let at = self.place();
                return Err(self.wrong(at, "unexpected EOF"));
            }
            match self.text_or_action()? {
                Item::Node(node) => nodes.push(node),
                Item::Ended(ended, at) => {
                    self.depth -= 1;
                    return Ok((nodes, (ended, at)));
                }
            }
        }
    }

    fn text_or_action(&mut self) -> Result<Item> {
        let token = self.past_space()?;
        match token.kind {
            Kind::Text => {
                let id = self.id();
                let text = token.text.as_bytes().to_vec();
                Ok(Item::Node(Node::Text(id, text)))
            }
            Kind::Open => self.action(),
            _ => Err(self.unexpected(&token, "input")),
        }
    }

    fn action(&mut self) -> Result<Item> {
        let token = self.past_space()?;
        let at = token.at;
        Ok(Item::Node(match token.kind {
            Kind::Block => self.block()?,
            Kind::Break | Kind::Continue => {
                let word = token.text;
                let close = self.past_space()?;
                if close.kind != Kind::Close {
                    return Err(self.unexpected(&close, &format!("{{{{{word}}}}}")));
                }
                if self.ranges == 0 {
                    return Err(self.wrong(at, &format!("{{{{{word}}}}} outside {{{{range}}}}")));
                }
                if token.kind == Kind::Break {
                    Node::Break
                } else {
                    Node::Continue
                }
            }
            Kind::Else => {
                let follows = self.peek_past_space()?.kind;
                if matches!(follows, Kind::If | Kind::With) {
                    return Ok(Item::Ended(Ended::Else(Some(follows)), at));
                }
                self.expect_close("else")?;
                return Ok(Item::Ended(Ended::Else(None), at));
            }
            Kind::End => {
                self.expect_close("end")?;
                return Ok(Item::Ended(Ended::End, at));
            }
            Kind::If => Node::If(self.branch(at, "if")?),
            Kind::Range => Node::Range(self.branch(at, "range")?),
            Kind::With => Node::With(self.branch(at, "with")?),
            Kind::Template => {
                let name = self.past_space()?;
                let name = self.template_name(&name, "template clause")?;
                let pipe = if self.peek_past_space()?.kind == Kind::Close {
                    self.past_space()?;
                    None
                } else {
                    Some(self.pipeline("template clause", Kind::Close)?)
                };
                Node::Template(self.id(), Call { at, name, pipe })
            }
            _ => {
                self.next -= 1;
                let pipe = self.pipeline("command", Kind::Close)?;
                Node::Action(self.id(), pipe)
            }
        }))
    }

    fn block(&mut self) -> Result<Node> {
        let token = self.past_space()?;
        let name = self.template_name(&token, "block clause")?;
        let pipe = self.pipeline("block clause", Kind::Close)?;
        self.named(name.as_bytes(), "block clause")?;
        let call = Call {
            at: token.at,
            name,
            pipe: Some(pipe),
        };
        Ok(Node::Template(self.id(), call))
    }

    fn template_name(&self, token: &Token<'_>, context: &str) -> Result<String> {
        if !matches!(token.kind, Kind::Quoted | Kind::Raw) {
            return Err(self.unexpected(token, context));
        }
        let name = self.quoted(token)?;
        Ok(String::from_utf8_lossy(&name).into_owned())
    }

    fn quoted(&self, token: &Token<'_>) -> Result<Vec<u8>> {
        unquote(token.text).ok_or_else(|| self.wrong(token.at, "invalid syntax"))
    }

    fn branch(&mut self, at: usize, word: &str) -> Result<Branch> {
        let variables = self.variables.len();
        let pipe = self.pipeline(word, Kind::Close)?;
        let is_range = word == "range";
        self.ranges += usize::from(is_range);
        let (list, ended) = self.list()?;
        self.ranges -= usize::from(is_range);
        let otherwise = match ended {
            (Ended::End, _) => Vec::new(),
            (Ended::Else(Some(follows)), place)
                if (follows == Kind::If && word == "if")
                    || (follows == Kind::With && word == "with") =>
            {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(self.wrong(place, "too many blocks inside each other"));
                }
                self.past_space()?;
                let inner = self.branch(place, word)?;
                self.depth -= 1;
                vec![if word == "if" {
                    Node::If(inner)
                } else {
                    Node::With(inner)
                }]
            }
            (Ended::Else(_), _) => {
                let (list, ended) = self.list()?;
                if let (Ended::Else(_), place) = ended {
                    return Err(self.wrong(place, "expected end; found {{else}}"));
                }
                list
            }
        };
        self.variables.truncate(variables);
        Ok(Branch {
            at,
            pipe,
            list,
            otherwise,
        })
    }

    fn pipeline(&mut self, context: &str, end: Kind) -> Result<Pipe> {
        let at = self.peek_past_space()?.at;
        let mut pipe = Pipe {
            at,
            assigns: false,
            variables: Vec::new(),
            commands: Vec::new(),
        };
        self.declarations(context, &mut pipe)?;
        loop {
            let token = self.past_space()?;
            match token.kind {
                it if it == end => break,
                Kind::Bool
                | Kind::Character
                | Kind::Complex
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::Raw
                | Kind::Quoted
                | Kind::Variable
                | Kind::OpenParen => {
                    self.next -= 1;
                    let command = self.command()?;
                    pipe.commands.push(command);
                }
                _ => return Err(self.unexpected(&token, context)),
            }
        }
        if pipe.commands.is_empty() {
            return Err(self.wrong(at, &format!("missing value for {context}")));
        }
        for (stage, command) in pipe.commands.iter().enumerate().skip(1) {
            let first = command.terms.first().map(|it| &it.kind);
            if let Some(
                Operand::Bool(_)
                | Operand::Dot
                | Operand::Nil
                | Operand::Number(_)
                | Operand::Text(..),
            ) = first
            {
                let what = format!("non executable command in pipeline stage {}", stage + 1);
                return Err(self.wrong(at, &what));
            }
        }
        Ok(pipe)
    }

    fn declarations(&mut self, context: &str, pipe: &mut Pipe) -> Result<()> {
        loop {
            let token = self.peek_past_space()?;
            if token.kind != Kind::Variable {
                return Ok(());
            }
            let before = self.next;
            self.past_space()?;
            let follows = self.peek_past_space()?;
            match follows.kind {
                Kind::Assign | Kind::Declare => {
                    pipe.assigns = follows.kind == Kind::Assign;
                    self.past_space()?;
                    pipe.variables.push(token.text.to_owned());
                    self.variables.push(token.text.to_owned());
                    return Ok(());
                }
                Kind::Comma => {
                    self.past_space()?;
                    pipe.variables.push(token.text.to_owned());
                    self.variables.push(token.text.to_owned());
                    if context == "range" && pipe.variables.len() < 2 {
                        let next = self.peek_past_space()?;
                        if matches!(next.kind, Kind::Variable | Kind::Close | Kind::CloseParen) {
                            continue;
                        }
                        return Err(self.wrong(next.at, "range can only initialize variables"));
                    }
                    let what = format!("too many declarations in {context}");
                    return Err(self.wrong(token.at, &what));
                }
                _ => {
                    self.next = before;
                    return Ok(());
                }
            }
        }
    }

    fn command(&mut self) -> Result<Command> {
        let mut terms = Vec::new();
        loop {
            self.peek_past_space()?;
            if let Some(term) = self.operand()? {
                terms.push(term);
            }
            let token = self.token()?;
            match token.kind {
                Kind::Space => {}
                Kind::Close | Kind::CloseParen => {
                    self.next -= 1;
                    break;
                }
                Kind::Pipe => break,
                _ => return Err(self.unexpected(&token, "operand")),
            }
        }
        if terms.is_empty() {
            let at = self.place();
            return Err(self.wrong(at, "empty command"));
        }
        Ok(Command { terms })
    }

    fn operand(&mut self) -> Result<Option<Term>> {
        let Some(mut term) = self.term()? else {
            return Ok(None);
        };
        let mut fields = Vec::new();
        while self.peek()?.kind == Kind::Field {
            let token = self.token()?;
            fields.push(token.text.trim_start_matches('.').to_owned());
        }
        if fields.is_empty() {
            return Ok(Some(term));
        }
        match &mut term.kind {
            Operand::Field(names) | Operand::Variable(names) => names.append(&mut fields),
            Operand::Bool(_)
            | Operand::Text(..)
            | Operand::Number(_)
            | Operand::Nil
            | Operand::Dot => {
                let what = format!("unexpected . after term {:?}", term.to_string());
                return Err(self.wrong(term.at, &what));
            }
            Operand::Chain(..) | Operand::Function(_) | Operand::Pipe(_) => {
                term = Term {
                    at: term.at,
                    kind: Operand::Chain(Box::new(term), fields),
                };
            }
        }
        Ok(Some(term))
    }

    fn term(&mut self) -> Result<Option<Term>> {
        let token = self.past_space()?;
        let kind = match token.kind {
            Kind::Identifier => {
                if !(self.is_function)(token.text) {
                    let what = format!("function {:?} not defined", token.text);
                    return Err(self.wrong(token.at, &what));
                }
                Operand::Function(token.text.to_owned())
            }
            Kind::Dot => Operand::Dot,
            Kind::Nil => Operand::Nil,
            Kind::Variable => {
                if !self.variables.iter().any(|it| it == token.text) {
                    let what = format!("undefined variable {:?}", token.text);
                    return Err(self.wrong(token.at, &what));
                }
                Operand::Variable(vec![token.text.to_owned()])
            }
            Kind::Field => Operand::Field(vec![token.text.trim_start_matches('.').to_owned()]),
            Kind::Bool => Operand::Bool(token.text == "true"),
            Kind::Character => {
                let value = character(token.text).ok_or_else(|| {
                    self.wrong(
                        token.at,
                        &format!("malformed character constant: {}", token.text),
                    )
                })?;
                Operand::Number(Number::of_character(token.text, value))
            }
            Kind::Number | Kind::Complex => {
                let number =
                    Number::parse(token.text).map_err(|what| self.wrong(token.at, &what))?;
                Operand::Number(number)
            }
            Kind::OpenParen => {
                self.parens += 1;
                if self.parens > MAX_DEPTH {
                    return Err(self.wrong(token.at, "max expression depth exceeded"));
                }
                let pipe = self.pipeline("parenthesized pipeline", Kind::CloseParen)?;
                self.parens -= 1;
                Operand::Pipe(Box::new(pipe))
            }
            Kind::Quoted | Kind::Raw => Operand::Text(token.text.to_owned(), self.quoted(&token)?),
            _ => {
                self.next -= 1;
                return Ok(None);
            }
        };
        Ok(Some(Term { at: token.at, kind }))
    }

    fn expect_close(&mut self, context: &str) -> Result<()> {
        let token = self.past_space()?;
        if token.kind == Kind::Close {
            Ok(())
        } else {
            Err(self.unexpected(&token, context))
        }
    }

    /// The next word; what the lexer could not read is the last.
    fn token(&mut self) -> Result<Token<'a>> {
        let Some(token) = self.tokens.get(self.next).cloned() else {
            let (what, at) = match &self.error {
                Some(error) => (error.what.clone(), error.at),
                None => ("unexpected EOF".to_owned(), self.source.text.len()),
            };
            return Err(self.wrong(at, &what));
        };
        self.next += 1;
        Ok(token)
    }

    fn past_space(&mut self) -> Result<Token<'a>> {
        loop {
            let token = self.token()?;
            if token.kind != Kind::Space {
                return Ok(token);
            }
        }
    }

    fn peek(&mut self) -> Result<Token<'a>> {
        let token = self.token()?;
        self.next -= 1;
        Ok(token)
    }

    /// The next word that is no space, without going past it.
    fn peek_past_space(&mut self) -> Result<Token<'a>> {
        let token = self.past_space()?;
        self.next -= 1;
        Ok(token)
    }

    fn id(&mut self) -> Id {
        *self.ids += 1;
        *self.ids
    }

    fn place(&self) -> usize {
        self.tokens.get(self.next).map_or(0, |it| it.at)
    }

    fn unexpected(&self, token: &Token<'_>, context: &str) -> ParseError {
        let shown = match token.kind {
            Kind::EndOfText => "EOF".to_owned(),
            Kind::Block
            | Kind::Break
            | Kind::Continue
            | Kind::Dot
            | Kind::Define
            | Kind::Else
            | Kind::End
            | Kind::If
            | Kind::Nil
            | Kind::Range
            | Kind::Template
            | Kind::With => format!("<{}>", token.text),
            _ if token.text.chars().count() > 10 => {
                let start: String = token.text.chars().take(10).collect();
                format!("{start:?}...")
            }
            _ => format!("{:?}", token.text),
        };
        self.wrong(token.at, &format!("unexpected {shown} in {context}"))
    }

    fn wrong(&self, at: usize, what: &str) -> ParseError {
        ParseError {
            name: self.source.name.clone(),
            line: self.source.line(at),
            what: what.to_owned(),
        }
    }
}

enum Item {
    Node(Node),
    Ended(Ended, usize),
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            let sign = if self.assigns { "=" } else { ":=" };
            write!(f, "{} {sign} ", self.variables.join(", "))?;
        }
        for (at, command) in self.commands.iter().enumerate() {
            if at > 0 {
                f.write_str(" | ")?;
            }
            for (at, term) in command.terms.iter().enumerate() {
                if at > 0 {
                    f.write_str(" ")?;
                }
                write!(f, "{term}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Operand::Dot => f.write_str("."),
            Operand::Nil => f.write_str("nil"),
            Operand::Bool(it) => write!(f, "{it}"),
            Operand::Number(it) => f.write_str(&it.source),
            Operand::Text(source, _) => f.write_str(source),
            Operand::Field(names) => write!(f, ".{}", names.join(".")),
            Operand::Variable(names) => f.write_str(&names.join(".")),
            Operand::Chain(term, names) => match &term.kind {
                Operand::Pipe(pipe) => write!(f, "({pipe}).{}", names.join(".")),
                _ => write!(f, "{term}.{}", names.join(".")),
            },
            Operand::Function(name) => f.write_str(name),
            Operand::Pipe(pipe) => write!(f, "({pipe})"),
        }
    }
}
