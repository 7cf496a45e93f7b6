//! Files of Traefik's file provider, and whether Traefik has what stands in them: one bad file keeps it from taking any of a folder.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Mutex,
};

use exposition::{Desc, Family, Kind};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::api::rawdata::{Objects, RawData};

const STATES: Desc = Desc::new(
    "traefik_file_files",
    Kind::Gauge,
    "Files of the file provider: read, templates, which are not looked into, those that are no YAML or no TOML, and those that cannot be read.",
)
.labels(&["state"]);
const ERROR: Desc = Desc::new(
    "traefik_file_error_info",
    Kind::Gauge,
    "Why a file of the file provider cannot be used; always 1.",
)
.labels(&["file", "error"]);
const OBJECTS: Desc = Desc::new(
    "traefik_file_objects",
    Kind::Gauge,
    "Routers, services and middlewares that stand in files.",
)
.labels(&["protocol", "kind"]);
const NOT_LOADED: Desc = Desc::new(
    "traefik_file_object_not_loaded",
    Kind::Gauge,
    "1 for each that stands in a file and that Traefik does not have; for longer than some seconds it means that the files were rejected.",
)
.labels(&["protocol", "kind", "object"]);
const STALE: Desc = Desc::new(
    "traefik_file_object_stale",
    Kind::Gauge,
    "1 for each that Traefik has from files and that stands in none; missing while a file is not looked into.",
)
.labels(&["protocol", "kind", "object"]);

#[cfg(test)]
pub(crate) const DESCS: &[Desc] = &[STATES, ERROR, OBJECTS, NOT_LOADED, STALE];

/// Files that are looked at.
const MAX_FILES: usize = 2_000;
/// A larger one is not read.
const MAX_SIZE: u64 = 16 << 20;
/// Folders in folders.
const MAX_DEPTH: usize = 8;
/// Objects that are shown as not loaded or stale, of each.
const MAX_SHOWN: usize = 200;
/// Characters of an error or a name that are shown.
const MAX_TEXT: usize = 256;

/// Kinds, with their words in files and labels.
const KINDS: [&str; 3] = ["router", "service", "middleware"];
const PROTOCOLS: [&str; 3] = ["http", "tcp", "udp"];

/// Places in [`PROTOCOLS`] and [`KINDS`], and the name without its provider.
pub(crate) type Key = (usize, usize, String);

/// A file, or a folder with files and folders.
pub(crate) struct Files {
    paths: Vec<PathBuf>,
    known: Mutex<BTreeMap<PathBuf, Known>>,
}

/// What was made of a file.
struct Known {
    stamp: Stamp,
    content: Content,
}

/// By which it is seen that a file has changed.
#[derive(PartialEq, Eq, Clone, Copy)]
struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

enum Content {
    Names(Vec<Key>),
    /// It has actions of Go's templates.
    Template,
    Wrong(&'static str, String),
}

/// A file of the dynamic configuration.
#[derive(Debug, Deserialize, Default)]
#[serde(default, expecting = "http, tcp and udp")]
pub(crate) struct Dynamic {
    http: Option<Section>,
    tcp: Option<Section>,
    udp: Option<Section>,
}

#[derive(Debug, Deserialize, Default)]
#[serde(default, expecting = "routers, services and middlewares")]
struct Section {
    routers: Option<BTreeMap<String, IgnoredAny>>,
    services: Option<BTreeMap<String, IgnoredAny>>,
    middlewares: Option<BTreeMap<String, IgnoredAny>>,
}

impl Files {
    pub(crate) const fn new(paths: Vec<PathBuf>) -> Self {
        Self {
            paths,
            known: Mutex::new(BTreeMap::new()),
        }
    }

    /// Whether none are to be looked at.
    pub(crate) const fn are_none(&self) -> bool {
        self.paths.is_empty()
    }

    /// Looks at the files, those that have changed, and compares with what Traefik has when that is known.
    pub(crate) fn compare(&self, has: Option<&BTreeSet<Key>>, out: &mut Vec<Family>) {
        if self.are_none() {
            return;
        }
        let mut known = self
            .known
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut found = BTreeMap::new();
        let mut errors = Vec::new();
        for path in &self.paths {
            look(path, true, MAX_DEPTH, &mut known, &mut found, &mut errors);
        }
        *known = found;
        let mut states = BTreeMap::from([
            ("read", 0_u32),
            ("template", 0),
            ("no_toml", 0),
            ("no_yaml", 0),
            ("unreadable", 0),
        ]);
        let mut stand = BTreeSet::new();
        let mut is_whole = errors.is_empty();
        for (path, file) in known.iter() {
            let state = match &file.content {
                Content::Names(names) => {
                    stand.extend(names);
                    "read"
                }
                Content::Template => {
                    is_whole = false;
                    "template"
                }
                Content::Wrong(state, error) => {
                    is_whole = false;
                    errors.push((path.clone(), error.clone()));
                    state
                }
            };
            if let Some(count) = states.get_mut(state) {
                *count += 1;
            }
        }
        let mut all = Family::of(&STATES);
        for (state, count) in states {
            all.push(&[state], f64::from(count));
        }
        let mut error_info = Family::of(&ERROR);
        for (path, error) in errors.iter().take(MAX_SHOWN) {
            error_info.push(&[&cut(&path.to_string_lossy()), &cut(error)], 1.0);
        }
        let mut counts = [[0_u32; KINDS.len()]; PROTOCOLS.len()];
        let mut not_loaded = Family::of(&NOT_LOADED);
        for key in &stand {
            if let Some(count) = counts.get_mut(key.0).and_then(|it| it.get_mut(key.1)) {
                *count += 1;
            }
            if has.is_some_and(|it| !it.contains(*key)) {
                push(&mut not_loaded, key);
            }
        }
        let mut stale = Family::of(&STALE);
        // What stands in a file that nobody looks into is not stale.
        for key in has
            .into_iter()
            .flatten()
            .filter(|it| is_whole && !stand.contains(*it))
        {
            push(&mut stale, key);
        }
        let mut objects = Family::of(&OBJECTS);
        for (protocol, counts) in PROTOCOLS.iter().zip(counts) {
            for (kind, count) in KINDS.iter().zip(counts) {
                // There are no middlewares of UDP.
                if (*protocol, *kind) != ("udp", "middleware") {
                    objects.push(&[protocol, kind], f64::from(count));
                }
            }
        }
        out.extend([all, error_info, objects, not_loaded, stale]);
    }
}

fn push(family: &mut Family, (protocol, kind, name): &Key) {
    let words = PROTOCOLS.get(*protocol).zip(KINDS.get(*kind));
    if let Some((protocol, kind)) = words.filter(|_| family.metrics.len() < MAX_SHOWN) {
        family.push(&[protocol, kind, &cut(name)], 1.0);
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

/// What Traefik has from files. None when there is more than was kept.
pub(crate) fn loaded(data: &RawData) -> Option<BTreeSet<Key>> {
    let all = [&data.http, &data.tcp, &data.udp];
    if all
        .iter()
        .any(|it| it.routers.omitted + it.services.omitted + it.middlewares.omitted > 0)
    {
        return None;
    }
    let mut all = BTreeSet::new();
    for (protocol, its) in [&data.http, &data.tcp, &data.udp].into_iter().enumerate() {
        add(&mut all, (protocol, 0), &its.routers);
        add(&mut all, (protocol, 1), &its.services);
        add(&mut all, (protocol, 2), &its.middlewares);
    }
    Some(all)
}

fn add<T>(all: &mut BTreeSet<Key>, (protocol, kind): (usize, usize), objects: &Objects<T>) {
    let names = objects
        .all
        .iter()
        .filter_map(|it| it.name.strip_suffix("@file"));
    all.extend(names.map(|it| (protocol, kind, it.to_owned())));
}

/// A file, or what is in a folder. Traefik takes these three extensions in folders, and any name that it is told.
fn look(
    path: &Path,
    is_named: bool,
    depth: usize,
    known: &mut BTreeMap<PathBuf, Known>,
    found: &mut BTreeMap<PathBuf, Known>,
    errors: &mut Vec<(PathBuf, String)>,
) {
    if found.len() >= MAX_FILES {
        return;
    }
    let its = match fs::metadata(path) {
        Ok(its) => its,
        // It went while the folder was read.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !is_named => return,
        Err(error) => return errors.push((path.to_owned(), error.to_string())),
    };
    if its.is_dir() {
        let Some(depth) = depth.checked_sub(1) else {
            return;
        };
        match fs::read_dir(path) {
            Ok(entries) => {
                let mut entries: Vec<_> = entries.flatten().map(|it| it.path()).collect();
                entries.sort();
                for entry in entries {
                    look(&entry, false, depth, known, found, errors);
                }
            }
            Err(error) => errors.push((path.to_owned(), error.to_string())),
        }
        return;
    }
    let extension = path
        .extension()
        .and_then(|it| it.to_str())
        .unwrap_or_default();
    if !is_named && !matches!(extension, "yml" | "yaml" | "toml") {
        return;
    }
    let stamp = Stamp {
        inode: its.ino(),
        size: its.size(),
        modified: (its.mtime(), its.mtime_nsec()),
    };
    let kept = known.remove(path).filter(|it| it.stamp == stamp);
    let file = kept.unwrap_or_else(|| Known {
        stamp,
        content: content(path, extension, its.len()),
    });
    found.insert(path.to_owned(), file);
}

fn content(path: &Path, extension: &str, size: u64) -> Content {
    if size > MAX_SIZE {
        let error = format!("it has more than {MAX_SIZE} bytes");
        return Content::Wrong("unreadable", error);
    }
    match fs::read_to_string(path) {
        Ok(text) if text.contains("{{") => Content::Template,
        Ok(text) => {
            let (file, state) = if extension == "toml" {
                (toml(&text), "no_toml")
            } else {
                (yaml(&text), "no_yaml")
            };
            file.map_or_else(
                |error| Content::Wrong(state, error),
                |file| Content::Names(file.names()),
            )
        }
        Err(error) => Content::Wrong("unreadable", error.to_string()),
    }
}

pub(crate) fn yaml(text: &str) -> Result<Dynamic, String> {
    let is_empty = text
        .lines()
        .all(|it| it.trim().is_empty() || it.trim_start().starts_with('#'));
    if is_empty {
        return Ok(Dynamic::default());
    }
    serde_saphyr::from_str(text).map_err(|error| {
        // The first line says what and where.
        let error = error.to_string();
        error.lines().next().unwrap_or_default().to_owned()
    })
}

pub(crate) fn toml(text: &str) -> Result<Dynamic, String> {
    toml::from_str(text).map_err(|error| {
        // The first line says where.
        let shown = error.to_string();
        format!(
            "{}: {}",
            shown.lines().next().unwrap_or_default(),
            error.message()
        )
    })
}

impl Dynamic {
    /// The names of what stands in a file.
    pub(crate) fn names(self) -> Vec<Key> {
        let mut all = Vec::new();
        for (protocol, section) in [self.http, self.tcp, self.udp].into_iter().enumerate() {
            let Some(section) = section else { continue };
            let kinds = [section.routers, section.services, section.middlewares];
            for (kind, objects) in kinds.into_iter().enumerate() {
                let names = objects.into_iter().flatten().map(|it| it.0);
                all.extend(names.map(|it| (protocol, kind, it)));
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use exposition::Family;

    use super::{Files, toml, yaml};

    #[test]
    fn names_in_files() {
        let text = "http:\n  routers:\n    a: {rule: x}\n    'b c': {}\n  services: {s: {}}\ntcp: {routers: {t: }}\nudp:\ntls: {options: {}}\n";
        let expect = [(0, 0, "a"), (0, 0, "b c"), (0, 1, "s"), (1, 0, "t")];
        let expect: Vec<_> = expect.map(|(a, b, it)| (a, b, it.to_owned())).into();
        assert_eq!(yaml(text).unwrap().names(), expect);
        for nothing in ["", "# nothing\n\n", "http:\n"] {
            assert_eq!(yaml(nothing).unwrap().names(), [], "{nothing:?}");
        }
        for wrong in ["http: [", "- a", "http: {routers: [a]}", "a: b: c"] {
            assert!(yaml(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_in_toml() {
        let text = "[http.routers.a]\nrule = 'x'\n[http.routers.'b c'.tls]\n[http.services]\ns = {loadBalancer = {}}\n[tcp.routers]\n\
                    t.rule = \"y\"\n[udp]\n[[tls.certificates]]\ncertFile = 'z'\nat = 1979-05-27\n";
        let expect = [(0, 0, "a"), (0, 0, "b c"), (0, 1, "s"), (1, 0, "t")];
        let expect: Vec<_> = expect.map(|(a, b, it)| (a, b, it.to_owned())).into();
        assert_eq!(toml(text).unwrap().names(), expect);
        for nothing in ["", "# nothing\n\n", "[http]\n"] {
            assert_eq!(toml(nothing).unwrap().names(), [], "{nothing:?}");
        }
        for (wrong, error) in [
            (
                "a = 1\n[http",
                "TOML parse error at line 2, column 6: unclosed table, expected `]`",
            ),
            (
                "http = 1",
                "TOML parse error at line 1, column 8: invalid type: integer `1`, expected routers, services and middlewares",
            ),
        ] {
            assert_eq!(toml(wrong).unwrap_err(), error);
        }
    }

    fn get(families: &[Family], name: &str) -> Vec<String> {
        let family = families.iter().find(|it| it.name() == name).unwrap();
        let text = exposition::write(std::slice::from_ref(family), exposition::Format::Text);
        let text = String::from_utf8(text).unwrap();
        let lines = text.lines().filter(|it| !it.starts_with('#'));
        lines
            .map(|it| it.split_once('{').unwrap().1.to_owned())
            .collect()
    }

    #[test]
    fn files_and_what_traefik_has() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("a.yml", "http: {routers: {a: {}, b: {}}}");
        fs::create_dir(folder.path().join("more")).unwrap();
        write("more/c.yaml", "tcp: {services: {c: {}}}");
        write("not.txt", "http: [");
        let files = Files::new(vec![folder.path().to_owned()]);
        let has: BTreeSet<_> = [(0, 0, "a"), (0, 0, "old")]
            .map(|(a, b, it)| (a, b, it.to_owned()))
            .into();
        let look = || {
            let mut out = Vec::new();
            files.compare(Some(&has), &mut out);
            out
        };
        let out = look();
        assert_eq!(
            get(&out, "traefik_file_object_not_loaded"),
            [
                "kind=\"router\",object=\"b\",protocol=\"http\"} 1",
                "kind=\"service\",object=\"c\",protocol=\"tcp\"} 1"
            ]
        );
        assert_eq!(
            get(&out, "traefik_file_object_stale"),
            ["kind=\"router\",object=\"old\",protocol=\"http\"} 1"]
        );
        assert!(get(&out, "traefik_file_error_info").is_empty());
        // One that is not looked into may hold it.
        write("t.yml", "http: {routers: {\"{{ env `X` }}\": {}}}");
        write("u.toml", "[http");
        write("v.toml", "[udp.services.old]");
        write("w.yml", "http: [");
        let out = look();
        assert!(get(&out, "traefik_file_object_stale").is_empty());
        assert_eq!(
            get(&out, "traefik_file_files"),
            [
                "state=\"no_toml\"} 1",
                "state=\"no_yaml\"} 1",
                "state=\"read\"} 3",
                "state=\"template\"} 1",
                "state=\"unreadable\"} 0"
            ]
        );
        let errors = get(&out, "traefik_file_error_info");
        assert!(errors[0].contains("u.toml") && errors[1].contains("w.yml"));
        for name in ["t.yml", "u.toml", "v.toml", "w.yml"] {
            fs::remove_file(folder.path().join(name)).unwrap();
        }
        // What has changed is read anew.
        write("a.yml", "http: {routers: {a: {}, longer: {}}}");
        assert_eq!(get(&look(), "traefik_file_object_not_loaded").len(), 2);
        fs::remove_dir_all(folder.path()).unwrap();
        let out = look();
        assert!(get(&out, "traefik_file_error_info")[0].contains("No such file"));
        assert!(get(&out, "traefik_file_object_stale").is_empty());
    }
}
