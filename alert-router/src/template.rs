//! Users' templates, rendered as Alertmanager renders them: Go's template language, its HTML escaping, and Alertmanager's data and
//! functions.

mod exec;
mod functions;

mod html;
mod json;
mod lex;
mod literal;
mod parse;
mod print;
mod time;
mod value;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de::Error as _};

pub(crate) use self::{parse::ParseError, time::Time as GoTime};
use self::{
    parse::{Id, Tree, is_empty, parse},
    time::Time,
    value::{Bytes, List, Map, Struct, Value},
};
use crate::alert::Pairs;

const DEFAULTS: [&str; 2] = [
    include_str!("template/alertmanager/default.tmpl"),
    include_str!("template/alertmanager/email.tmpl"),
];
/// A larger file is no template.
const MAX_FILE: u64 = 1 << 20;

/// The templates of a configuration, with Alertmanager's own.
#[derive(Debug, Clone)]
pub(crate) struct Templates {
    trees: BTreeMap<String, Arc<Tree>>,
    ids: Id,
    /// Names that users' files define.
    users: BTreeSet<String>,
}

/// Why templates cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TemplateError {
    /// A pattern that names files cannot be read.
    #[error("templates: {pattern:?} is no pattern of files: {reason}")]
    Pattern { pattern: String, reason: String },
    /// A file cannot be read.
    #[error("templates: cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A file is no template.
    #[error("{}", path.display())]
    Parse { path: PathBuf, source: ParseError },
}

/// What a notification's templates are given (Alertmanager's `template.Data`).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Data {
    pub(crate) receiver: String,
    /// `firing` or `resolved`.
    pub(crate) status: String,
    pub(crate) alerts: Vec<DataAlert>,
    #[serde(rename = "notification_reason")]
    pub(crate) notification_reason: String,
    pub(crate) group_labels: Pairs,
    pub(crate) common_labels: Pairs,
    pub(crate) common_annotations: Pairs,
    pub(crate) route_labels: Pairs,
    #[serde(rename = "externalURL")]
    pub(crate) external_url: String,
    /// Whether the labels of the route are what their templates gave: what an alert says in them is no template.
    #[serde(skip)]
    pub(crate) route_labels_rendered: bool,
}

/// An alert in it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DataAlert {
    pub(crate) status: String,
    pub(crate) labels: Pairs,
    pub(crate) annotations: Pairs,
    #[serde(deserialize_with = "moment")]
    pub(crate) starts_at: Timestamp,
    #[serde(deserialize_with = "moment")]
    pub(crate) ends_at: Timestamp,
    #[serde(rename = "generatorURL")]
    pub(crate) generator_url: String,
    pub(crate) fingerprint: String,
}

impl Default for DataAlert {
    fn default() -> Self {
        Self {
            status: String::new(),
            labels: Pairs::new(),
            annotations: Pairs::new(),
            starts_at: time::zero(),
            ends_at: time::zero(),
            generator_url: String::new(),
            fingerprint: String::new(),
        }
    }
}

fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse()
        .map_err(|_error| D::Error::custom(format!("{text:?} is no time of RFC 3339")))
}

impl Data {
    /// Reads what `toJson .` writes.
    ///
    /// # Errors
    /// What is wrong, with its line and column.
    pub(crate) fn from_json(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// Two alerts, for who tries out a template; those that amtool shows, so that the same words give the same.
    pub(crate) fn example(now: Timestamp) -> Self {
        /// Names with a number at their end, and values with the same.
        fn numbered(names: &[&str]) -> Pairs {
            let pairs = names.iter().flat_map(|name| {
                let (name, value) = (name.replace('*', "key"), name.replace('*', "value"));
                ["1", "2"].map(|it| (format!("{name}{it}"), format!("{value}{it}")))
            });
            pairs.collect()
        }
        let with = |some: Pairs, more: &[(&str, &str)]| -> Pairs {
            let more = more.iter();
            let more = more.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            some.into_iter().chain(more).collect()
        };
        let (labels, annotations) = (
            numbered(&["commonlabel*"]),
            numbered(&["commonannotation*"]),
        );
        let alert = |status: &str, minutes: i64, own: [&[(&str, &str)]; 2], fingerprint: &str| {
            let [own_labels, own_annotations] = own;
            DataAlert {
                status: status.to_owned(),
                labels: with(labels.clone(), own_labels),
                annotations: with(annotations.clone(), own_annotations),
                starts_at: now
                    .saturating_sub(jiff::SignedDuration::from_mins(minutes))
                    .unwrap_or(now),
                ends_at: now,
                generator_url: "https://generatorurl.com".to_owned(),
                fingerprint: fingerprint.to_owned(),
            }
        };
        let first: [&[(&str, &str)]; 2] = [
            &[
                ("instance", "foo.bar:1234"),
                ("label1", "value1"),
                ("label2", "value2"),
            ],
            &[("annotation1", "value1"), ("annotation2", "value2")],
        ];
        let second: [&[(&str, &str)]; 2] = [
            &[("foo", "bar"), ("baz", "qux")],
            &[("aaa", "bbb"), ("ccc", "ddd")],
        ];
        Self {
            receiver: "receiver".to_owned(),
            status: "alertstatus".to_owned(),
            alerts: vec![
                alert("firing", 5, first, "fingerprint1"),
                alert("resolved", 10, second, "fingerprint2"),
            ],
            notification_reason: String::new(),
            group_labels: numbered(&["grouplabel*"]),
            common_labels: labels.clone(),
            common_annotations: annotations.clone(),
            route_labels: Pairs::new(),
            route_labels_rendered: false,
            external_url: "https://example.com".to_owned(),
        }
    }

    fn value(&self) -> Value {
        let alerts = self.alerts.iter().map(|alert| {
            exec::structure(
                Struct::Alert,
                vec![
                    Value::text(&alert.status),
                    kv(&alert.labels),
                    kv(&alert.annotations),
                    Value::Time(Time::utc(alert.starts_at)),
                    Value::Time(Time::utc(alert.ends_at)),
                    Value::text(&alert.generator_url),
                    Value::text(&alert.fingerprint),
                ],
            )
        });
        let fields = vec![
            Value::text(&self.receiver),
            Value::text(&self.status),
            Value::List(List::Alerts, Arc::new(alerts.collect())),
            Value::text(&self.notification_reason),
            kv(&self.group_labels),
            kv(&self.common_labels),
            kv(&self.common_annotations),
            kv(&self.route_labels),
            Value::text(&self.external_url),
            Value::Bool(false),
        ];
        Value::Pointer(Struct::Data, Arc::new(fields))
    }
}

fn kv(pairs: &Pairs) -> Value {
    let pairs = pairs
        .iter()
        .map(|(name, value)| (Bytes::from(name.as_bytes()), Value::text(value)));
    Value::Map(Map::Kv, Arc::new(pairs.collect()))
}

impl Templates {
    /// Alertmanager's own templates.
    ///
    /// # Errors
    /// None, as a test holds.
    pub(crate) fn defaults() -> Result<Self, ParseError> {
        let mut templates = Self {
            trees: BTreeMap::new(),
            ids: 0,
            users: BTreeSet::new(),
        };
        for text in DEFAULTS {
            templates.add("", text)?;
        }
        Ok(templates)
    }

    /// With the files that patterns name, in their order; a pattern may find none.
    ///
    /// # Errors
    /// The first file that cannot be read, or is no template.
    pub(crate) fn load(patterns: &[PathBuf]) -> Result<Self, TemplateError> {
        let mut templates = Self::defaults().map_err(|source| TemplateError::Parse {
            path: PathBuf::from("default.tmpl"),
            source,
        })?;
        for pattern in patterns {
            for path in glob(pattern)? {
                let text = read(&path).map_err(|source| TemplateError::Read {
                    path: path.clone(),
                    source,
                })?;
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let added = templates.add(&name, &text);
                added
                    .map(|names| templates.users.extend(names))
                    .map_err(|source| TemplateError::Parse { path, source })?;
            }
        }
        Ok(templates)
    }

    /// Whether users wrote a template of their own in the place of one that starts so, or of what all of Alertmanager's call.
    pub(crate) fn has_own(&self, start: &str) -> bool {
        let mut names = self.users.iter();
        names.any(|it| it.starts_with(start) || it.starts_with("__"))
    }

    /// Adds what a source defines, and gives the names; a later template takes an earlier one's place, unless it is empty.
    fn add(&mut self, name: &str, text: &str) -> Result<Vec<String>, ParseError> {
        let mut names = Vec::new();
        for (name, tree) in parse(name, text, &is_function, &mut self.ids)? {
            if takes_place(&tree, &self.trees) {
                names.push(name.clone());
                self.trees.insert(name, Arc::new(tree));
            }
        }
        Ok(names)
    }

    /// Renders a text.
    ///
    /// # Errors
    /// What is wrong with it, in Go's words.
    pub(crate) fn text(&self, text: &str, data: &Data, now: Timestamp) -> Result<String, String> {
        self.render(text, data, now, false)
    }

    /// Renders HTML, in which every value is escaped for its place.
    ///
    /// # Errors
    /// What is wrong with it, in Go's words.
    pub(crate) fn html(&self, text: &str, data: &Data, now: Timestamp) -> Result<String, String> {
        self.render(text, data, now, true)
    }

    fn render(
        &self,
        text: &str,
        data: &Data,
        now: Timestamp,
        html: bool,
    ) -> Result<String, String> {
        let rendering = Rendering {
            templates: self,
            data,
            value: data.value(),
            now,
            html,
            under_way: RefCell::default(),
            done: RefCell::default(),
        };
        let bytes = rendering.one(text)?;
        Ok(String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }
}

fn is_function(name: &str) -> bool {
    !name.starts_with('_') && functions::signature(name).is_some()
}

/// Whether a tree is to stand for its name: an empty one does only where there is none.
fn takes_place(tree: &Tree, trees: &BTreeMap<String, Arc<Tree>>) -> bool {
    !is_empty(&tree.root) || !trees.contains_key(&tree.name)
}

/// One rendering, with the route's labels that it asks for, which are templates themselves.
struct Rendering<'a> {
    templates: &'a Templates,
    data: &'a Data,
    value: Value,
    now: Timestamp,
    html: bool,
    under_way: RefCell<Vec<String>>,
    done: RefCell<BTreeMap<String, Vec<u8>>>,
}

impl Rendering<'_> {
    fn one(&self, text: &str) -> Result<Vec<u8>, String> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let mut ids = self.templates.ids;
        let mut trees = self.templates.trees.clone();
        let parsed = parse("", text, &is_function, &mut ids).map_err(|error| error.to_string())?;
        for (name, tree) in parsed {
            // A text without anything in it does not take another's place, but is rendered all the same; as HTML it is the other.
            let is_own = name.is_empty() && !self.html;
            if is_own || takes_place(&tree, &trees) {
                trees.insert(name, Arc::new(tree));
            }
        }
        if self.html {
            trees = html::escape(&trees, "", &mut ids)?;
        }
        let route_label = |name: &str| self.route_label(name);
        let context = exec::Context {
            trees: &trees,
            now: self.now,
            route_label: &route_label,
        };
        let tree = trees.get("").ok_or("template: \"\" is not defined")?;
        exec::execute(&context, tree, &self.value)
    }

    fn route_label(&self, name: &str) -> Result<Vec<u8>, String> {
        let Some(text) = self.data.route_labels.get(name) else {
            return Ok(Vec::new());
        };
        if self.data.route_labels_rendered {
            return Ok(text.clone().into_bytes());
        }
        if let Some(done) = self.done.borrow().get(name) {
            return Ok(done.clone());
        }
        if self.under_way.borrow().iter().any(|it| it == name) {
            let mut way = self.under_way.borrow().clone();
            way.push(name.to_owned());
            return Err(format!("route label cycle detected: {}", way.join(" -> ")));
        }
        self.under_way.borrow_mut().push(name.to_owned());
        let rendered = self.one(text);
        self.under_way.borrow_mut().pop();
        let rendered = rendered?;
        self.done
            .borrow_mut()
            .insert(name.to_owned(), rendered.clone());
        Ok(rendered)
    }
}

/// Whether a text is a template; which others it calls is not looked at.
///
/// # Errors
/// What is wrong with it, in Go's words.
pub(crate) fn check_syntax(text: &str) -> Result<(), ParseError> {
    parse("", text, &is_function, &mut 0).map(drop)
}

/// Go's `time.Parse`.
pub(crate) fn go_time(layout: &str, text: &str) -> Result<GoTime, String> {
    time::parse(layout, text)
}

/// A text as Go's source has it (`strconv.Quote`).
pub(crate) fn go_quoted(text: &str) -> String {
    print::quote(text.as_bytes(), '"', false)
}

/// What such a text means (`strconv.Unquote`); None for what Go would not read, and for what is no UTF-8.
pub(crate) fn go_unquoted(text: &str) -> Option<String> {
    String::from_utf8(literal::unquote(text)?).ok()
}

fn read(path: &Path) -> io::Result<String> {
    use io::Read as _;
    let mut text = String::new();
    fs::File::open(path)?
        .take(MAX_FILE + 1)
        .read_to_string(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|it| it > MAX_FILE) {
        return Err(io::Error::other("it has more than 1 MiB"));
    }
    Ok(text)
}

/// The files that a pattern of Go's `filepath.Glob` names, sorted.
fn glob(pattern: &Path) -> Result<Vec<PathBuf>, TemplateError> {
    let text = pattern.to_string_lossy();
    let wrong = |reason: &str| TemplateError::Pattern {
        pattern: text.clone().into_owned(),
        reason: reason.to_owned(),
    };
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let part = part.as_os_str();
        let name = part.to_string_lossy();
        if !name.contains(['*', '?', '[', '\\']) {
            for path in &mut found {
                path.push(part);
            }
            continue;
        }
        let regex = pattern_regex(&name).ok_or_else(|| wrong("a bracket is not closed"))?;
        let mut next = Vec::new();
        for folder in &found {
            let listed = if folder.as_os_str().is_empty() {
                Path::new(".")
            } else {
                folder
            };
            let Ok(entries) = fs::read_dir(listed) else {
                continue;
            };
            let names = entries.flatten().map(|it| it.file_name());
            next.extend(
                names
                    .filter(|it| regex.is_match(&it.to_string_lossy()))
                    .map(|it| folder.join(it)),
            );
        }
        next.sort();
        found = next;
    }
    found.retain(|it| it.exists());
    Ok(found)
}

fn pattern_regex(pattern: &str) -> Option<regex::Regex> {
    let mut out = String::from("^");
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '*' => out.push_str("[^/]*"),
            '?' => out.push_str("[^/]"),
            '\\' => out.push_str(&regex::escape(&characters.next()?.to_string())),
            '[' => {
                out.push('[');
                let mut closed = false;
                for (at, it) in characters.by_ref().enumerate() {
                    match it {
                        ']' if at > 0 => {
                            closed = true;
                            break;
                        }
                        '^' if at == 0 => out.push('^'),
                        '-' => out.push('-'),
                        other => out.push_str(&regex::escape(&other.to_string())),
                    }
                }
                if !closed {
                    return None;
                }
                out.push(']');
            }
            other => out.push_str(&regex::escape(&other.to_string())),
        }
    }
    out.push('$');
    regex::Regex::new(&out).ok()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::{Data, Templates};

    fn read(name: &str) -> String {
        let path = testkit::root()
            .join("alert-router/tests/templates")
            .join(name);
        std::fs::read_to_string(path).unwrap()
    }

    fn data() -> Data {
        Data::from_json(&read("data.json")).unwrap()
    }

    #[derive(Deserialize)]
    struct Expected {
        output: Option<String>,
        #[serde(default)]
        error: String,
    }

    /// What Alertmanager's own package says of the same templates and data (`tests/oracle/` writes it).
    #[test]
    fn as_alertmanager_renders_them() {
        let cases = read("cases.txt");
        let cases = cases.trim_end_matches('\n');
        let cases: Vec<_> = cases
            .split("\n==> ")
            .map(|it| it.trim_start_matches("==> ").split_once('\n').unwrap())
            .collect();
        let expected: Vec<Expected> = serde_json::from_str(&read("expected.json")).unwrap();
        assert_eq!(cases.len(), expected.len());
        let (templates, data) = (Templates::defaults().unwrap(), data());
        let now = "2026-02-03T04:05:06Z".parse().unwrap();
        let mut differ = Vec::new();
        for ((kind, text), expected) in cases.iter().zip(&expected) {
            let found = match *kind {
                "html" => templates.html(text, &data, now),
                _ => templates.text(text, &data, now),
            };
            let same = match (&found, &expected.output) {
                (Ok(found), Some(expected)) => found == expected,
                (Err(_), None) => true,
                _ => false,
            };
            if !same {
                let expected = expected.output.as_ref().unwrap_or(&expected.error);
                differ.push(format!(
                    "{kind}: {text}\n expected: {expected:?}\n    found: {found:?}\n"
                ));
            }
        }
        assert!(
            differ.is_empty(),
            "{} of {} differ\n{}",
            differ.len(),
            cases.len(),
            differ.join("\n")
        );
    }
}
