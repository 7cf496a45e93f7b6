//! Makes changes on a node: one stream with all that is new, and the script that puts it into its places. What was there is kept until it is
//! known that the new runs, and a script that puts it back.

use std::{fmt::Write as _, fs, sync::LazyLock, time::Duration};

use anyhow::{Context as _, bail};

use super::{
    changes::{Attach, Changes},
    containers,
    found::JVM,
    volumes,
};
use crate::{
    desired::{Agent, CONFIGURATION, Desired, Folder, Form, JOLOKIA, Move, PROGRAMS, STATE, Unit},
    exec::shell_word,
    remote::Remote,
};

/// For all that is sent and done; a large program over a thin line takes a while.
const PATIENCE: Duration = Duration::from_secs(900);
/// For what is small.
const SHORT: Duration = Duration::from_secs(120);

/// Names what a run leaves on a node until it has ended.
static RUN: LazyLock<String> = LazyLock::new(|| {
    let now = jiff::Timestamp::now().as_millisecond();
    format!("{now}-{}", std::process::id())
});

/// Unpacks the stream and runs what is in it. Only what came whole takes the lock: what comes over a connection that died with its bastion
/// may wait for its rest, and is given up when nobody waits for it any more. What runs left behind that were killed is taken away.
const RECEIVE: &str = r#"
set -eu
umask 077
mkdir -p STATE
cd STATE
mkdir staging-RUN
gives_up() { cd /; rm -rf STATE/staging-RUN; exit $1; }
(cd staging-RUN && timeout PATIENCE tar -xf -) || {
  code=$?
  # tar does not always say so.
  df -Pk . | { read -r _; read -r _ _ _ free _; [ "$free" -gt 1024 ] || echo "the disk is full: no space is left in STATE" >&2; }
  gives_up $code
}
[ -f staging-RUN/whole ] || { echo "not all has come" >&2; gives_up 1; }
exec 9>lock
flock -n 9 || { echo "somebody else changes this machine at the moment" >&2; gives_up 75; }
find . -maxdepth 1 -name 'staging*' ! -name staging-RUN -exec rm -rf {} +
rm -rf previous
cd staging-RUN
# The connection may end; what has begun is brought to its end.
trap '' HUP INT TERM PIPE
sh ./apply.sh >STATE/apply.log 2>&1 || { code=$?; tail -n 5 STATE/apply.log >&2; exit $code; }
cat warnings 2>/dev/null || :
cd /
rm -rf STATE/staging-RUN
"#;

/// Sends and does it. What did not work, and need not, is told.
pub(super) async fn apply(
    remote: &Remote,
    desired: &Desired,
    changes: &Changes<'_>,
) -> anyhow::Result<Vec<String>> {
    let stream = stream(desired, changes)?;
    let script = RECEIVE
        .replace("STATE", STATE)
        .replace("RUN", &RUN)
        .replace("PATIENCE", &PATIENCE.as_secs().to_string());
    let output = remote.script(&script, &stream, PATIENCE).await?;
    if output.code != 0 {
        bail!(
            "{}: the changes could not be made ({}): {}",
            remote.name(),
            output.code,
            output.stderr.trim()
        );
    }
    Ok(output.stdout.lines().map(str::to_owned).collect())
}

/// Puts back what was there before the changes of this run.
pub(super) async fn roll_back(remote: &Remote) -> anyhow::Result<()> {
    // Without it this run has changed nothing yet.
    let way_back = format!("{STATE}/previous/rollback-{}.sh", *RUN);
    let script = format!("[ ! -f {way_back} ] || sh {way_back}");
    let output = remote.script(&script, &[], SHORT).await?;
    if output.code != 0 {
        bail!(
            "{}: what was there before could not be put back: {}",
            remote.name(),
            output.stderr.trim()
        );
    }
    Ok(())
}

/// Starts services anew.
pub(super) async fn restart(remote: &Remote, units: &[&Unit]) -> anyhow::Result<()> {
    let names: Vec<_> = units.iter().map(|it| it.name.as_str()).collect();
    let names = names.join(" ");
    let script = format!("systemctl reset-failed {names} 2>/dev/null; systemctl restart {names}");
    let output = remote.script(&script, &[], SHORT).await?;
    if output.code != 0 {
        bail!("{}: {}", remote.name(), output.stderr.trim());
    }
    Ok(())
}

/// Takes everything of ours away.
pub(super) async fn uninstall(remote: &Remote, keeps_data: bool) -> anyhow::Result<()> {
    let script = removal(keeps_data);
    // What Cassandra has in memory is written first.
    let output = remote.script(&script, &[], PATIENCE).await?;
    if output.code != 0 {
        bail!("{}: {}", remote.name(), output.stderr.trim());
    }
    Ok(())
}

/// A tar of the script, the files and the programs.
fn stream(desired: &Desired, changes: &Changes<'_>) -> anyhow::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |path: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o600);
        header.set_size(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        header.set_cksum();
        tar.append_data(&mut header, path, bytes)
    };
    add("apply.sh", script(desired, changes).as_bytes())?;
    add("rollback.sh", rollback(desired, changes).as_bytes())?;
    add("manifest", manifest(changes).as_bytes())?;
    for (at, file) in changes.files.iter().enumerate() {
        add(&format!("f{at}"), &file.content)?;
    }
    for (at, program) in changes.programs.iter().enumerate() {
        let path = &program.source;
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        add(&format!("p{at}"), &bytes)?;
    }
    add("whole", b"")?;
    Ok(tar.into_inner()?)
}

fn manifest(changes: &Changes<'_>) -> String {
    let lines = changes.manifest.iter();
    lines
        .map(|(kind, name)| format!("{kind} {name}\n"))
        .collect()
}

/// Everything in the order in which a stop in the middle does the least harm: a service is restarted by the next run when this one has
/// changed its files and came no further.
fn script(desired: &Desired, changes: &Changes<'_>) -> String {
    let mut text =
        format!("set -eu\numask 077\ninstall -d -m 755 {PROGRAMS} {CONFIGURATION} {STATE}\n");
    let mut line = |it: String| {
        text += &it;
        text.push('\n');
    };
    for user in &changes.users {
        line(format!(
            "id -u {user} >/dev/null 2>&1 || useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin {user}"
        ));
    }
    for (at, program) in changes.programs.iter().enumerate() {
        let folder = format!("{PROGRAMS}/{}", program.folder());
        line(format!(
            "echo {}  p{at} | sha256sum -c --quiet -",
            program.sha256
        ));
        line(format!(
            "rm -rf {folder} {folder}.new\ninstall -d -m 755 {folder}.new"
        ));
        line(match program.form {
            Form::Program => format!("install -m 755 p{at} {folder}.new/{}", program.name),
            Form::Archive => format!(
                "(umask 022; tar -xzf p{at} -C {folder}.new --strip-components=1 --no-same-owner)"
            ),
            Form::Flat => {
                format!("(umask 022; tar -xzf p{at} -C {folder}.new --no-same-owner)")
            }
        });
        line(format!(
            "touch {folder}.new/.complete\nmv {folder}.new {folder}\nrm p{at}"
        ));
    }
    // What rollback.sh puts back.
    line(format!(
        "rm -rf {STATE}/previous\nmkdir {STATE}/previous\ncp rollback.sh {STATE}/previous/rollback-{}.sh",
        *RUN
    ));
    line(format!(
        "if [ -f {STATE}/manifest ]; then cp -p {STATE}/manifest {STATE}/previous/manifest; fi"
    ));
    for (at, file) in changes.files.iter().enumerate() {
        let path = shell_word(&file.path);
        line(format!(
            "if [ -f {path} ]; then cp -p {path} {STATE}/previous/f{at}; fi"
        ));
    }
    for (at, path) in changes.removed.iter().enumerate() {
        let path = shell_word(path);
        line(format!(
            "if [ -f {path} ]; then cp -p {path} {STATE}/previous/r{at}; fi"
        ));
    }
    for (name, _) in &changes.links {
        line(format!(
            "if [ -L {PROGRAMS}/{name} ]; then cp -P {PROGRAMS}/{name} {STATE}/previous/l-{name}; fi"
        ));
    }
    for (at, (path, _)) in changes.lines_added.iter().enumerate() {
        line(format!("cp -p {} {STATE}/previous/e{at}", shell_word(path)));
    }
    let agent = changes.attached.map(|it| it.0.program.as_str());
    let pending = changes.restarted.iter().map(|it| it.name.as_str());
    let pending: String = pending.chain(agent).map(|it| format!("{it}\\n")).collect();
    line(format!(
        "printf '{pending}' >{STATE}/pending.new\nmv {STATE}/pending.new {STATE}/pending"
    ));
    // From here on something is ours: it is known before it is there.
    line(format!(
        "cat manifest {STATE}/previous/manifest 2>/dev/null | sort -u >{STATE}/manifest.new || :\nmv {STATE}/manifest.new {STATE}/manifest"
    ));
    let (on_disks, folders): (Vec<&Folder>, Vec<_>) = changes
        .folders
        .iter()
        .partition(|it| desired.disk(&it.path).is_some());
    for folder in folders {
        line(make(folder));
    }
    for (at, file) in changes.files.iter().enumerate() {
        let (user, group) = owner(&file.owner);
        let path = shell_word(&file.path);
        let new = shell_word(&format!("{}.sdl-new", file.path));
        line(format!(
            "(umask 022; mkdir -p \"$(dirname {path})\")\ninstall -m {:o} -o {user} -g {group} f{at} {new}\nmv -f {new} {path}",
            file.mode
        ));
    }
    for (name, folder) in &changes.links {
        line(format!(
            "ln -sfn {folder} {PROGRAMS}/.{name}.new\nmv -Tf {PROGRAMS}/.{name}.new {PROGRAMS}/{name}"
        ));
    }
    for (path, added) in &changes.lines_added {
        let path = shell_word(path);
        line(format!(
            "[ -z \"$(tail -c 1 {path})\" ] || echo >>{path}\necho {} >>{path}",
            shell_word(&added.text)
        ));
    }
    for (path, text) in &changes.lines_removed {
        line(without_line(&shell_word(path), &shell_word(text)));
    }
    for unit in changes
        .stopped
        .iter()
        .map(String::as_str)
        .chain(changes.replaced.iter().copied())
    {
        line(format!("systemctl disable --now {unit} 2>/dev/null || :"));
    }
    for path in &changes.removed {
        line(format!("rm -f {}", shell_word(path)));
    }
    if changes.reloads_systemd || !changes.stopped.is_empty() {
        line("systemctl daemon-reload".to_owned());
    }
    for (volume, decision) in &changes.volumes {
        line(volumes::script(volume, decision));
    }
    for folder in &changes.moved {
        line(bring(folder));
    }
    for folder in on_disks.iter().chain(&changes.kept) {
        line(make(folder));
    }
    for folder in taken_over(desired, changes) {
        let (user, group) = owner(&folder.owner);
        let path = shell_word(&folder.path);
        line(format!(
            "find {path} -xdev ! -user {user} -exec chown -h {user}:{group} {{}} +"
        ));
    }
    for unit in &changes.enabled {
        line(format!("systemctl enable --quiet {unit}"));
    }
    for unit in &changes.restarted {
        // Restarts are counted from here on. Whether it gets well is for others to say.
        line(format!(
            "systemctl reset-failed {0} 2>/dev/null || :\nsystemctl restart {0} || :",
            unit.name
        ));
    }
    for unit in &changes.reloaded {
        line(format!("systemctl reload {}", unit.name));
    }
    for unit in &changes.returned {
        line(format!(
            "systemctl enable --now {unit} || echo \"$(hostname): {unit} could not be started again\" >>warnings"
        ));
    }
    if let Some((agent, how)) = changes.attached {
        line(attach(agent, how));
    }
    line(format!(
        "cp manifest {STATE}/manifest.new\nmv {STATE}/manifest.new {STATE}/manifest\nrm -f {STATE}/pending"
    ));
    // Of each program, the version before the last stays for a way back.
    for program in &desired.programs {
        let (name, folder) = (&program.name, program.folder());
        line(format!(
            "previous=$(readlink {STATE}/previous/l-{name} 2>/dev/null || :)\n\
             for old in {PROGRAMS}/{name}-[0-9]*; do case ${{old##*/}} in {folder} | \"$previous\") ;; *) rm -rf \"$old\" ;; esac; done"
        ));
    }
    text
}

fn make(folder: &Folder) -> String {
    let (user, group) = owner(&folder.owner);
    format!(
        "install -d -m {:o} -o {user} -g {group} {}",
        folder.mode,
        shell_word(&folder.path)
    )
}

/// Folders whose files may belong to others, as users' numbers are others on another machine: those on a disk that was just mounted, and those
/// that differ. Of what is below another one on the same disk that one takes care.
fn taken_over<'a>(desired: &'a Desired, changes: &Changes<'_>) -> Vec<&'a Folder> {
    let disk = |it: &Folder| desired.disk(&it.path);
    let is_due = |it: &Folder| {
        let mut mounted = changes.volumes.iter();
        let mut differ = changes.folders.iter().chain(&changes.kept);
        disk(it).is_some_and(|disk| {
            mounted.any(|it| it.0 == disk) || differ.any(|other| other.path == it.path)
        })
    };
    let is_below = |it: &Folder, other: &Folder| {
        let below = it.path.strip_prefix(other.path.as_str());
        below.is_some_and(|it| it.starts_with('/')) && disk(it) == disk(other)
    };
    let all = desired.folders.iter().chain(&desired.kept);
    let due: Vec<_> = all.filter(|it| is_due(it)).collect();
    let is_outermost = |it: &&&Folder| !due.iter().any(|other| is_below(it, other));
    due.iter().filter(is_outermost).copied().collect()
}

/// Brings what a service has kept to a disk. It is a copy until it is whole; what was copied goes with the next change.
fn bring(folder: &Move) -> String {
    let Move { unit, from, to } = folder;
    let aside = aside(folder);
    format!(
        r#"rmdir {from} {to} 2>/dev/null || :
if [ -d {from} ]; then
if [ -e {to} ]; then echo "{from} and {to} both have what {unit} keeps: move the one away that is not to be kept, and install again" >&2; exit 1; fi
systemctl stop {unit} 2>/dev/null || :
rm -rf {to}.new
cp -a {from} {to}.new
sync -f {to}.new
mv {to}.new {to}
mv {from} {STATE}/previous/{aside}
fi"#
    )
}

/// The name of what was copied, beside what else is put back.
fn aside(folder: &Move) -> String {
    format!("moved-{}", folder.unit)
}

/// Brings the agent into the JVM that runs, with the JVM's own Java and as its user. Cassandra is well without: a failure is told.
fn attach(agent: &Agent, how: Attach) -> String {
    let Agent {
        program,
        jar,
        options,
        port,
        ..
    } = agent;
    let stop = match how {
        Attach::First => String::new(),
        Attach::Again => {
            format!(
                "launcher stop \"$jvm\" >/dev/null 2>&1 || :\nclosed() {{ ! listens \"$1\"; }}\nuntil_it closed {port} || :"
            )
        }
    };
    let launcher = launcher(jar);
    // What the launcher says is too early: in a JVM that is busy the agent listens a little later.
    format!(
        r#"{JVM}
{launcher}
until_it() {{ for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do "$@" && return; sleep 1; done; return 1; }}
if [ -n "$jvm" ]; then
{stop}
said=$(launcher --config {options} start "$jvm" 2>&1) || :
until_it listens {port} || echo "{program} could not be attached to Cassandra, and comes with its next start: $(echo "$said" | tr -s "\n" " " | cut -c 1-600)" >>warnings
fi"#
    )
}

/// Jolokia's own program, which speaks to a JVM as the JVM's user, in the JVM's own Java. A busy JVM takes more than the 10 s that Java gives it.
fn launcher(jar: &str) -> String {
    format!(
        r#"launcher() {{ (cd / && timeout 90 runuser -u "$(stat -c %U /proc/$jvm)" -- "$(readlink /proc/$jvm/exe)" -Xmx64m -Dsun.tools.attach.attachTimeout=60000 -cp {jar} org.jolokia.jvmagent.client.AgentLauncher "$@"); }}"#
    )
}

/// Takes a line out of a file, which stays the same one. Both are words of a shell.
fn without_line(path: &str, text: &str) -> String {
    format!(
        "if [ -f {path} ]; then grep -vxF -- {text} {path} >{STATE}/line || :; cat {STATE}/line >{path}; rm -f {STATE}/line; fi"
    )
}

fn rollback(desired: &Desired, changes: &Changes<'_>) -> String {
    let mut text = format!("set -u\ncd {STATE}/previous || exit 1\n");
    let mut line = |it: String| {
        // Writing to a text does not fail.
        writeln!(text, "{it}").unwrap_or(());
    };
    for (at, file) in changes.files.iter().enumerate() {
        let path = shell_word(&file.path);
        line(format!(
            "if [ -f f{at} ]; then cp -p f{at} {path}.sdl-new && mv -f {path}.sdl-new {path}; else rm -f {path}; fi"
        ));
    }
    for (at, path) in changes.removed.iter().enumerate() {
        let path = shell_word(path);
        line(format!("if [ -f r{at} ]; then cp -p r{at} {path}; fi"));
    }
    for (at, (path, _)) in changes.lines_added.iter().enumerate() {
        let path = shell_word(path);
        line(format!("if [ -f e{at} ]; then cat e{at} >{path}; fi"));
    }
    for (name, _) in &changes.links {
        line(format!(
            "if [ -L l-{name} ]; then cp -Pf l-{name} {PROGRAMS}/.{name}.new && mv -Tf {PROGRAMS}/.{name}.new {PROGRAMS}/{name}; else rm -f {PROGRAMS}/{name}; fi"
        ));
    }
    line(format!(
        "if [ -f manifest ]; then cp -p manifest {STATE}/manifest; fi"
    ));
    line("systemctl daemon-reload".to_owned());
    for folder in &changes.moved {
        let (Move { unit, from, to }, aside) = (folder, aside(folder));
        line(format!(
            "if [ -d {aside} ]; then systemctl stop {unit}; rm -rf {to}; mv {aside} {from}; fi"
        ));
    }
    for unit in &changes.restarted {
        let name = &unit.name;
        line(format!(
            "systemctl reset-failed {name} 2>/dev/null\nif [ -f /etc/systemd/system/{name} ]; then systemctl restart {name}; else systemctl stop {name} 2>/dev/null; systemctl disable {name} 2>/dev/null; fi"
        ));
    }
    for unit in changes.reloaded.iter().copied().chain(
        desired
            .units
            .iter()
            .filter(|it| changes.stopped.contains(&it.name)),
    ) {
        line(format!("systemctl reload-or-restart {}", unit.name));
    }
    for unit in &changes.replaced {
        line(format!("systemctl enable --now {unit}"));
    }
    line(format!("rm -f {STATE}/pending"));
    text
}

/// Whatever the manifest names. Data go with it, unless they are to be kept.
fn removal(keeps_data: bool) -> String {
    let data = if keeps_data {
        format!(
            "rm -rf {STATE}/previous {STATE}/staging* {STATE}/manifest {STATE}/pending {STATE}/apply.log {STATE}/images {STATE}/lock"
        )
    } else {
        format!(
            "while read -r kind name; do case $kind in folder) rm -rf \"$name\" ;; esac; done <\"$list\"\nrm -rf {STATE}"
        )
    };
    let users = if keeps_data {
        String::new()
    } else {
        "while read -r kind name; do case $kind in user) [ \"$name\" = cassandra ] && [ -d /var/lib/cassandra ] || userdel \"$name\" 2>/dev/null ;; esac; done <\"$list\"\n".to_owned()
    };
    let line = without_line("\"$path\"", "\"$text\"");
    let images = containers::REMOVAL.replace("STATE", STATE);
    let launcher = launcher(JOLOKIA);
    format!(
        "set -u\n[ -f {STATE}/manifest ] || exit 0\nlist=$(mktemp)\ncp {STATE}/manifest \"$list\"\n{JVM}\n{launcher}\n\
         if [ -f {JOLOKIA} ] && [ -n \"$jvm\" ]; then launcher stop \"$jvm\" >/dev/null 2>&1; fi\n\
         while read -r kind name; do case $kind in unit) systemctl disable --now \"$name\" 2>/dev/null; systemctl reset-failed \"$name\" 2>/dev/null ;; esac; done <\"$list\"\n\
         while read -r kind name; do case $kind in file) rm -f \"$name\" ;; esac; done <\"$list\"\n\
         while read -r kind name; do case $kind in line) path=${{name%% *}} text=${{name#* }}; {line} ;; esac; done <\"$list\"\n\
         while read -r kind name; do case $kind in replaced) systemctl enable --now \"$name\" ;; esac; done <\"$list\"\n\
         systemctl daemon-reload\n{images}\n{data}\n{users}rm -rf {PROGRAMS} {CONFIGURATION}\nrm -f \"$list\"\n"
    )
}

/// `user:group`.
fn owner(owner: &str) -> (&str, &str) {
    owner.split_once(':').unwrap_or((owner, owner))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use testkit::Program;

    use super::{bring, rollback, taken_over};
    use crate::{
        desired::{Desired, Folder, Move, STATE, Volume},
        install::{changes::Changes, volumes::Decision},
    };

    /// Runs it on folders of ours, where systemd does nothing, and gives what there is then, or what it says.
    fn after(folder: &Path, script: &str) -> String {
        let text = script.replace(STATE, "state");
        let text = format!(
            "cd {}\nsystemctl() {{ :; }}\n{text}\ncd {0}; find . -type f | sort | tr '\\n' ' '",
            folder.display()
        );
        let ended = Program::at("sh").args(["-ec", &text]).run();
        let said = if ended.status.success() {
            ended.stdout
        } else {
            ended.stderr
        };
        said.trim().to_owned()
    }

    #[test]
    fn files_of_users_with_other_numbers() {
        let folder = |path: &str| Folder {
            path: path.to_owned(),
            owner: "a".to_owned(),
            mode: 0o700,
        };
        let volume = |path: &str| Volume {
            serial: path.to_owned(),
            uuid: String::new(),
            path: path.to_owned(),
            unit: String::new(),
        };
        let desired = Desired {
            folders: ["/other", "/m/a", "/m/b"].map(folder).to_vec(),
            volumes: ["/m", "/c", "/c/log"].map(volume).to_vec(),
            kept: ["/c", "/c/data", "/c/log"].map(folder).to_vec(),
            ..Desired::default()
        };
        let check = |mounted: &[usize], differ: &[usize], expect: &[&str]| {
            let volumes = mounted.iter().map(|it| &desired.volumes[*it]);
            let folders = differ.iter().map(|it| &desired.folders[*it]);
            let changes = Changes {
                volumes: volumes.map(|it| (it, Decision::Mount)).collect(),
                folders: folders.collect(),
                ..Changes::default()
            };
            let found = taken_over(&desired, &changes);
            let found: Vec<_> = found.iter().map(|it| it.path.as_str()).collect();
            assert_eq!(found, expect);
        };
        check(&[], &[], &[]);
        check(&[0], &[], &["/m/a", "/m/b"]);
        check(&[1], &[], &["/c"]);
        check(&[1, 2], &[], &["/c", "/c/log"]);
        check(&[], &[0, 1], &["/m/a"]);
    }

    #[test]
    fn what_was_kept_before_there_was_a_disk() {
        let moved = Move {
            unit: "a.service".to_owned(),
            from: format!("{STATE}/a"),
            to: "disk/a".to_owned(),
        };
        let changes = Changes {
            moved: vec![&moved],
            ..Changes::default()
        };
        let back = rollback(&Desired::default(), &changes);
        let back = back.replace("disk/a", "../../disk/a");
        let back = back.replace(&moved.from, "../../state/a");
        for (there, brought, put_back) in [
            (
                "state/a/x/y",
                "./disk/a/x/y ./state/previous/moved-a.service/x/y",
                "./state/a/x/y",
            ),
            // A copy that was broken off is no hindrance.
            (
                "state/a/x disk/a.new/z",
                "./disk/a/x ./state/previous/moved-a.service/x",
                "./state/a/x",
            ),
            // It was there already, and nothing is where it was.
            ("disk/a/x", "./disk/a/x", "./disk/a/x"),
            ("disk/a/x state/a/", "./disk/a/x", "./disk/a/x"),
            (
                "disk/a/ state/a/x",
                "./disk/a/x ./state/previous/moved-a.service/x",
                "./state/a/x",
            ),
            ("", "", ""),
            // Neither is lost.
            (
                "disk/a/x state/a/x",
                "state/a and disk/a both have what a.service keeps: move the one away that is not to be kept, and install again",
                "./disk/a/x ./state/a/x",
            ),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path();
            fs::create_dir_all(folder.join("state/previous")).unwrap();
            fs::create_dir_all(folder.join("disk")).unwrap();
            for path in there.split_whitespace() {
                let (below, name) = path.rsplit_once('/').unwrap();
                fs::create_dir_all(folder.join(below)).unwrap();
                if !name.is_empty() {
                    fs::write(folder.join(path), there).unwrap();
                }
            }
            assert_eq!(after(folder, &bring(&moved)), brought, "{there}");
            assert_eq!(after(folder, &back), put_back, "{there}");
        }
    }
}
