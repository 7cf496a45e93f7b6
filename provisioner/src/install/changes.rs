//! The difference between what should be on a node and what is there. Pure.

use std::collections::BTreeSet;

use super::{found::Found, volumes};
use crate::desired::{
    Agent, Artifact, Desired, File, Folder, Image, ImageSource, Line, Move, PROGRAMS, Package,
    Unit, Volume,
};

/// What has to be done on a node. Parts of what is desired.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes<'a> {
    pub(super) users: Vec<&'a str>,
    /// To be installed by the system's own program.
    pub(super) packages: Vec<&'a Package>,
    /// To be pulled, or sent.
    pub(super) images: Vec<&'a Image>,
    /// To be sent.
    pub(super) programs: Vec<&'a Artifact>,
    /// Links to be set: name and where to.
    pub(super) links: Vec<(String, String)>,
    pub(super) folders: Vec<&'a Folder>,
    /// Disks to be formatted or mounted, and those that may not be touched.
    pub(super) volumes: Vec<(&'a Volume, volumes::Decision)>,
    /// What is brought to them.
    pub(super) moved: Vec<&'a Move>,
    /// Folders on them.
    pub(super) kept: Vec<&'a Folder>,
    pub(super) files: Vec<&'a File>,
    /// Files of ours that should not be there any more.
    pub(super) removed: Vec<String>,
    /// Services of ours that should not run any more.
    pub(super) stopped: Vec<String>,
    /// Services to be restarted, or started.
    pub(super) restarted: Vec<&'a Unit>,
    pub(super) reloaded: Vec<&'a Unit>,
    pub(super) enabled: Vec<&'a str>,
    /// Lines to be added, and the files.
    pub(super) lines_added: Vec<(String, &'a Line)>,
    /// Lines of ours that should not be there any more: file and text.
    pub(super) lines_removed: Vec<(String, String)>,
    /// The agent to be brought into a JVM that runs.
    pub(super) attached: Option<(&'a Agent, Attach)>,
    /// Services of others to be stopped, and those that have their place again.
    pub(super) replaced: Vec<&'a str>,
    pub(super) returned: Vec<String>,
    /// Why Cassandra should be started anew, which is only done when somebody says so.
    pub(super) stateful: Option<String>,
    /// What else is to be known.
    pub(super) notes: Vec<String>,
    /// Whether files of systemd's change.
    pub(super) reloads_systemd: bool,
    /// What is to be known as ours from now on.
    pub(super) manifest: BTreeSet<(String, String)>,
    /// Whether that is another than before.
    pub(super) has_new_manifest: bool,
}

/// How an agent gets into a JVM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attach {
    First,
    /// It is there, with other options.
    Again,
}

impl Changes<'_> {
    pub(super) fn are_none(&self) -> bool {
        let Self {
            users,
            packages,
            images,
            programs,
            links,
            folders,
            volumes,
            moved,
            kept,
            files,
            removed,
            stopped,
            restarted,
            reloaded,
            enabled,
            lines_added,
            lines_removed,
            attached,
            replaced,
            returned,
            stateful: _,
            notes: _,
            reloads_systemd: _,
            manifest: _,
            has_new_manifest,
        } = self;
        users.is_empty()
            && packages.is_empty()
            && images.is_empty()
            && programs.is_empty()
            && links.is_empty()
            && folders.is_empty()
            && volumes.is_empty()
            && moved.is_empty()
            && kept.is_empty()
            && files.is_empty()
            && removed.is_empty()
            && stopped.is_empty()
            && restarted.is_empty()
            && reloaded.is_empty()
            && enabled.is_empty()
            && lines_added.is_empty()
            && lines_removed.is_empty()
            && attached.is_none()
            && replaced.is_empty()
            && returned.is_empty()
            && !has_new_manifest
    }

    /// A line for each, for people.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut say = |what: &str, whom: &str| lines.push(format!("{what} {whom}"));
        for package in &self.packages {
            say("install package", package.name);
        }
        for image in &self.images {
            match image.from {
                ImageSource::Registry { .. } => say("pull image", &image.reference),
                ImageSource::Archive { .. } => say("send image", &image.reference),
            }
        }
        self.users.iter().for_each(|it| say("add user", it));
        for program in &self.programs {
            say("send", &program.folder());
        }
        for (name, target) in &self.links {
            say("switch", &format!("{name} to {target}"));
        }
        self.folders.iter().for_each(|it| say("make", &it.path));
        self.files.iter().for_each(|it| say("write", &it.path));
        for (volume, decision) in &self.volumes {
            say(
                decision.word(),
                &format!("the disk {} as {}", volume.serial, volume.path),
            );
        }
        for Move { from, to, .. } in &self.moved {
            say("move", &format!("{from} to {to}"));
        }
        self.kept.iter().for_each(|it| say("make", &it.path));
        let (added, removed) = (&self.lines_added, &self.lines_removed);
        added.iter().for_each(|it| say("add a line to", &it.0));
        removed
            .iter()
            .for_each(|it| say("take our line from", &it.0));
        self.replaced
            .iter()
            .for_each(|it| say("stop, for ours takes its place:", it));
        self.stopped.iter().for_each(|it| say("stop", it));
        self.removed.iter().for_each(|it| say("remove", it));
        self.enabled.iter().for_each(|it| say("enable", it));
        self.restarted
            .iter()
            .for_each(|it| say("restart", &it.name));
        self.reloaded.iter().for_each(|it| say("reload", &it.name));
        if let Some((agent, how)) = &self.attached {
            let how = match how {
                Attach::First => "attach",
                Attach::Again => "attach again",
            };
            say(how, &format!("{} to Cassandra", agent.program));
        }
        self.returned
            .iter()
            .for_each(|it| say("start again, as it was before us:", it));
        lines
    }
}

/// Compares. `hash` is SHA-256 in hexadecimal digits.
pub(super) fn changes<'a>(
    desired: &'a Desired,
    found: &Found,
    hash: impl Fn(&[u8]) -> String,
) -> Changes<'a> {
    let mut changes = Changes {
        manifest: manifest(desired),
        ..Changes::default()
    };
    lines(desired, found, &mut changes);
    for unit in &desired.replaced {
        let state = found.units.get(unit).cloned().unwrap_or_default();
        let entry = ("replaced".to_owned(), unit.clone());
        let runs = state.is_active || state.is_enabled;
        if runs {
            changes.replaced.push(unit);
        }
        // What never was there need not come back.
        if runs || found.manifest.contains(&entry) {
            changes.manifest.insert(entry);
        }
    }
    changes.users = desired
        .users
        .iter()
        .map(String::as_str)
        .filter(|it| !found.users.contains(*it))
        .collect();
    let packages = desired.packages.iter();
    changes.packages = packages
        .filter(|it| !found.commands.contains(it.command))
        .collect();
    // Where a tag leads in a registry is not asked: a tag that moves moves nothing here.
    let has = |it: &&Image| match (found.images.get(&it.reference), &it.from) {
        (None, _) => false,
        (Some(_), ImageSource::Registry { .. }) => true,
        (Some(found), ImageSource::Archive { id, .. }) => found == id,
    };
    changes.images = desired.images.iter().filter(|it| !has(it)).collect();
    let mut switched = BTreeSet::new();
    for program in &desired.programs {
        let folder = program.folder();
        if !found.programs.contains(&format!("{PROGRAMS}/{folder}")) {
            changes.programs.push(program);
        }
        let link = format!("{PROGRAMS}/{}", program.name);
        if found.links.get(&link) != Some(&folder) {
            changes.links.push((program.name.clone(), folder));
            switched.insert(program.name.as_str());
        }
    }
    changes.folders = desired
        .folders
        .iter()
        .filter(|it| found.folders.get(&it.path) != Some(&(it.mode, owner(&it.owner))))
        .collect();
    changes.files = desired
        .files
        .iter()
        .filter(|it| {
            let its = (hash(&it.content), it.mode, owner(&it.owner));
            found.files.get(&it.path) != Some(&its)
        })
        .collect();
    let gone = found.manifest.difference(&changes.manifest);
    for (kind, name) in gone {
        match kind.as_str() {
            "file" => changes.removed.push(name.clone()),
            "unit" => changes.stopped.push(name.clone()),
            "line" => {
                let (path, text) = name.split_once(' ').unwrap_or((name, ""));
                let line = (path.to_owned(), text.to_owned());
                changes.lines_removed.push(line);
            }
            "replaced" => changes.returned.push(name.clone()),
            // Folders hold data, and users own them: only uninstall takes them away.
            _ => {}
        }
    }
    let written: Vec<_> = changes.files.iter().map(|it| it.path.as_str()).collect();
    changes.reloads_systemd = written
        .iter()
        .copied()
        .chain(changes.removed.iter().map(String::as_str))
        .any(|it| it.starts_with("/etc/systemd/"));
    for volume in &desired.volumes {
        match volumes::decide(volume, found.disks.get(&volume.serial)) {
            volumes::Decision::Nothing => {}
            decision => changes.volumes.push((volume, decision)),
        }
    }
    let moved = desired.moved.iter();
    changes.moved = moved
        .filter(|it| found.folders.contains_key(&it.from))
        .collect();
    changes.kept = desired
        .kept
        .iter()
        .filter(|it| found.folders.get(&it.path) != Some(&(it.mode, owner(&it.owner))))
        .collect();
    for unit in &desired.units {
        let state = found.units.get(&unit.name).cloned().unwrap_or_default();
        if !state.is_enabled {
            changes.enabled.push(&unit.name);
        }
        let has_new_program = unit
            .program
            .as_deref()
            .is_some_and(|it| switched.contains(it));
        let is_pending = found.pending.contains(&unit.name);
        if unit.is_stateful && state.is_active {
            let is_new = |it: &&str| is_touched(&unit.restarted_by, &[it]);
            let own = format!("/{}", unit.name);
            let touched = written
                .iter()
                .copied()
                .filter(|it| is_new(it) || it.ends_with(&own));
            let mut newer: BTreeSet<String> = touched.map(str::to_owned).collect();
            newer.extend(found.newer.get(&unit.name).into_iter().flatten().cloned());
            let links = unit.program.iter().map(String::as_str).chain(
                unit.restarted_by
                    .iter()
                    .filter_map(|it| it.strip_prefix(&format!("{PROGRAMS}/"))),
            );
            let links = links.filter(|it| switched.contains(it));
            newer.extend(links.map(|it| format!("{PROGRAMS}/{it}")));
            if !newer.is_empty() {
                let newer: Vec<_> = newer.into_iter().collect();
                changes.stateful = Some(format!(
                    "{} does not know yet what is in {}",
                    unit.name,
                    newer.join(", ")
                ));
            }
            continue;
        }
        let is_restarted = !state.is_active
            || is_pending
            || has_new_program
            || is_touched(&unit.restarted_by, &written)
            || written
                .iter()
                .any(|it| it.ends_with(&format!("/{}", unit.name)));
        if is_restarted {
            changes.restarted.push(unit);
        } else if is_touched(&unit.reloaded_by, &written) {
            changes.reloaded.push(unit);
        }
    }
    if let (Some(agent), Some(jvm)) = (&desired.agent, &found.jvm) {
        let has_new_options = is_touched(&agent.renewed_by, &written);
        let is_pending = found.pending.contains(&agent.program);
        changes.attached = match &jvm.agent {
            None => Some((agent, Attach::First)),
            Some(_) if has_new_options || is_pending => Some((agent, Attach::Again)),
            Some(_) => None,
        };
        let program = desired.programs.iter().find(|it| it.name == agent.program);
        let folder = program.map(Artifact::folder).unwrap_or_default();
        let is_other = |it: &&String| {
            let its = it.trim_end_matches(&format!("/{}", agent.program));
            its != format!("{PROGRAMS}/{folder}")
        };
        if let Some(other) = jvm.agent.as_ref().filter(is_other) {
            changes.stateful = Some(format!(
                "Cassandra has {other} in it; {folder} comes with its next start"
            ));
        }
    }
    // What is gone but kept stays known, so that uninstall finds it.
    let kept = found
        .manifest
        .iter()
        .filter(|it| matches!(it.0.as_str(), "folder" | "user"));
    let kept: Vec<_> = kept.cloned().collect();
    changes.manifest.extend(kept);
    changes.has_new_manifest = changes.manifest != found.manifest;
    changes
}

/// Lines in files of others. Where none of the files is there, somebody has to see to it.
fn lines<'a>(desired: &'a Desired, found: &Found, changes: &mut Changes<'a>) {
    for line in &desired.lines {
        let place = line
            .places
            .iter()
            .find_map(|it| Some((it, found.lines.get(it)?)));
        let Some((path, has)) = place else {
            changes.notes.push(format!(
                "there is no {}: put the line `{}` at the end of the file that stands for it",
                line.places.join(", and no "),
                line.text
            ));
            continue;
        };
        if !has {
            changes.lines_added.push((path.clone(), line));
        }
        changes
            .manifest
            .insert(("line".to_owned(), format!("{path} {}", line.text)));
    }
}

/// `user:group`; a user alone has a group of its name.
fn owner(owner: &str) -> String {
    if owner.contains(':') {
        owner.to_owned()
    } else {
        format!("{owner}:{owner}")
    }
}

/// Whether one of these files was written.
fn is_touched(by: &[String], written: &[&str]) -> bool {
    by.iter().any(|by| written.iter().any(|it| touches(by, it)))
}

/// A path, or the beginning of some that ends with a slash.
fn touches(by: &str, path: &str) -> bool {
    by == path || (by.ends_with('/') && path.starts_with(by))
}

/// What a node has of ours when all is there.
fn manifest(desired: &Desired) -> BTreeSet<(String, String)> {
    let mut all = BTreeSet::new();
    let mut add = |kind: &str, name: String| {
        all.insert((kind.to_owned(), name));
    };
    for user in &desired.users {
        add("user", user.clone());
    }
    for program in &desired.programs {
        add("link", program.name.clone());
    }
    for folder in &desired.folders {
        add("folder", folder.path.clone());
    }
    for file in &desired.files {
        add("file", file.path.clone());
    }
    for unit in &desired.units {
        add("unit", unit.name.clone());
    }
    all
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{Changes, changes};
    use crate::{
        desired::{
            Artifact, Desired, File, Folder, Form, Health, Image, ImageSource, Move, Package, Unit,
        },
        install::found::{Found, UnitState},
    };

    fn desired(version: &str) -> Desired {
        let file = |path: &str, content: &str| File {
            path: path.to_owned(),
            owner: "root:root".to_owned(),
            mode: 0o644,
            content: content.as_bytes().to_vec(),
        };
        Desired {
            users: vec!["agent".to_owned()],
            programs: vec![Artifact {
                name: "agent".to_owned(),
                version: version.to_owned(),
                sha256: "0123456789abcdef".to_owned(),
                source: PathBuf::from("agent"),
                form: Form::Program,
            }],
            folders: vec![Folder {
                path: "/var/lib/x/agent".to_owned(),
                owner: "agent:agent".to_owned(),
                mode: 0o700,
            }],
            files: vec![
                file("/etc/systemd/system/agent.service", "[Unit]"),
                file("/etc/x/agent.yml", "a: b"),
                file("/etc/x/rules/a.yml", "r"),
            ],
            units: vec![Unit {
                name: "agent.service".to_owned(),
                program: Some("agent".to_owned()),
                restarted_by: vec!["/etc/x/agent.yml".to_owned()],
                reloaded_by: vec!["/etc/x/rules/".to_owned()],
                is_stateful: false,
                health: Health::Get {
                    url: "http://127.0.0.1:9100/-/healthy".to_owned(),
                },
            }],
            ..Desired::default()
        }
    }

    fn hash(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// What a node has after all was done.
    fn after(desired: &Desired) -> Found {
        let done = changes(desired, &Found::default(), hash);
        let mut found = Found {
            manifest: done.manifest,
            ..Found::default()
        };
        found.users.extend(desired.users.iter().cloned());
        for program in &desired.programs {
            let folder = program.folder();
            found
                .programs
                .insert(format!("/opt/scalar-dl-monitoring/{folder}"));
            found
                .links
                .insert("/opt/scalar-dl-monitoring/agent".to_owned(), folder);
        }
        for it in &desired.folders {
            found
                .folders
                .insert(it.path.clone(), (it.mode, it.owner.clone()));
        }
        for it in &desired.files {
            found.files.insert(
                it.path.clone(),
                (hash(&it.content), it.mode, it.owner.clone()),
            );
        }
        let running = UnitState {
            is_active: true,
            is_enabled: true,
            restarts: 0,
        };
        found.units.insert("agent.service".to_owned(), running);
        found
    }

    fn check(changes: &Changes<'_>, expect: &str) {
        assert_eq!(changes.lines().join("; "), expect);
        assert_eq!(changes.are_none(), expect.is_empty());
    }

    #[test]
    fn packages_and_images() {
        let image = |reference: &str, from| Image {
            reference: reference.to_owned(),
            from,
        };
        let archive = ImageSource::Archive {
            path: PathBuf::from("a.tar"),
            id: "abc".to_owned(),
        };
        let desired = Desired {
            packages: vec![Package {
                name: "podman-package",
                command: "podman",
            }],
            images: vec![
                image("r.example/a:1", ImageSource::Registry { login: None }),
                image("r.example/b:1", archive),
            ],
            ..Desired::default()
        };
        let first = changes(&desired, &Found::default(), hash);
        assert_eq!(
            first.lines(),
            [
                "install package podman-package",
                "pull image r.example/a:1",
                "send image r.example/b:1"
            ]
        );
        assert!(!first.are_none());
        let mut found = Found {
            manifest: first.manifest,
            ..Found::default()
        };
        found.commands.insert("podman".to_owned());
        for (name, id) in [
            ("r.example/a:1", "what it led to"),
            ("r.example/b:1", "abc"),
        ] {
            found.images.insert(name.to_owned(), id.to_owned());
        }
        assert!(changes(&desired, &found, hash).are_none());
        // Another archive is another image.
        found
            .images
            .insert("r.example/b:1".to_owned(), "def".to_owned());
        let again = changes(&desired, &found, hash);
        assert_eq!(again.lines(), ["send image r.example/b:1"]);
    }

    #[test]
    fn from_nothing_to_nothing_to_do() {
        let wanted = desired("1");
        let all = changes(&wanted, &Found::default(), hash);
        check(
            &all,
            "add user agent; send agent-1-0123456789ab; switch agent to agent-1-0123456789ab; make /var/lib/x/agent; \
             write /etc/systemd/system/agent.service; write /etc/x/agent.yml; write /etc/x/rules/a.yml; enable agent.service; \
             restart agent.service",
        );
        assert!(all.reloads_systemd);
        check(&changes(&wanted, &after(&wanted), hash), "");
    }

    #[test]
    fn what_changes_is_done_and_no_more() {
        let before = after(&desired("1"));
        let with = |change: fn(&mut Desired)| {
            let mut wanted = desired("1");
            change(&mut wanted);
            wanted
        };
        for (wanted, expect) in [
            (
                with(|it| it.files[1].content = b"c".to_vec()),
                "write /etc/x/agent.yml; restart agent.service",
            ),
            (
                with(|it| it.files[2].content = b"c".to_vec()),
                "write /etc/x/rules/a.yml; reload agent.service",
            ),
            (
                with(|it| it.files[0].content = b"c".to_vec()),
                "write /etc/systemd/system/agent.service; restart agent.service",
            ),
            (
                with(|it| it.files[1].mode = 0o600),
                "write /etc/x/agent.yml; restart agent.service",
            ),
            (
                desired("2"),
                "send agent-2-0123456789ab; switch agent to agent-2-0123456789ab; restart agent.service",
            ),
            (
                with(|it| drop(it.files.remove(2))),
                "remove /etc/x/rules/a.yml",
            ),
            (with(|it| it.units.clear()), "stop agent.service"),
        ] {
            check(&changes(&wanted, &before, hash), expect);
        }
    }

    #[test]
    fn what_keeps_data_is_not_started_anew() {
        let mut wanted = desired("1");
        wanted.units[0].is_stateful = true;
        let before = after(&wanted);
        check(&changes(&wanted, &before, hash), "");
        let said = |wanted: &Desired, found: &Found, expect: &str, why: Option<&str>| {
            let changes = changes(wanted, found, hash);
            check(&changes, expect);
            assert_eq!(changes.stateful.as_deref(), why);
        };
        let mut other = wanted.clone();
        other.files[1].content = b"c".to_vec();
        said(
            &other,
            &before,
            "write /etc/x/agent.yml",
            Some("agent.service does not know yet what is in /etc/x/agent.yml"),
        );
        // The next run knows it by the files' times.
        let mut newer = after(&wanted);
        let files = ["/etc/x/agent.yml".to_owned()].into();
        newer.newer.insert("agent.service".to_owned(), files);
        said(
            &wanted,
            &newer,
            "",
            Some("agent.service does not know yet what is in /etc/x/agent.yml"),
        );
        let mut program = desired("2");
        program.units[0].is_stateful = true;
        said(
            &program,
            &before,
            "send agent-2-0123456789ab; switch agent to agent-2-0123456789ab",
            Some("agent.service does not know yet what is in /opt/scalar-dl-monitoring/agent"),
        );
        // What does not run is started.
        let mut stopped = after(&wanted);
        stopped.units.clear();
        said(
            &wanted,
            &stopped,
            "enable agent.service; restart agent.service",
            None,
        );
    }

    #[test]
    fn what_is_brought_to_a_disk() {
        let mut wanted = desired("1");
        wanted.moved = vec![Move {
            unit: "agent.service".to_owned(),
            from: "/var/lib/x/before".to_owned(),
            to: "/var/lib/x/agent".to_owned(),
        }];
        let mut found = after(&wanted);
        check(&changes(&wanted, &found, hash), "");
        let folder = (0o700, "agent:agent".to_owned());
        found.folders.insert("/var/lib/x/before".to_owned(), folder);
        check(
            &changes(&wanted, &found, hash),
            "move /var/lib/x/before to /var/lib/x/agent",
        );
    }

    #[test]
    fn what_somebody_else_did_is_mended() {
        let wanted = desired("1");
        for (change, expect) in [
            (
                (|it: &mut Found| it.units.clear()) as fn(&mut Found),
                "enable agent.service; restart agent.service",
            ),
            (
                |it| {
                    it.pending.insert("agent.service".to_owned());
                },
                "restart agent.service",
            ),
            (
                |it| it.links.clear(),
                "switch agent to agent-1-0123456789ab; restart agent.service",
            ),
            (|it| it.folders.clear(), "make /var/lib/x/agent"),
        ] {
            let mut found = after(&wanted);
            change(&mut found);
            check(&changes(&wanted, &found, hash), expect);
        }
    }
}
