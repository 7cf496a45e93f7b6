//! The modules that machines are made by: they are a part of this program, and written into an environment's folder, so that Terraform's own
//! commands work there, too. What somebody has changed there is never written over without being told to.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

use crate::artifacts::sha256;

/// What was written, in the form of sha256sum: `sha256sum -c terraform.sha256` says what was changed since.
const MANIFEST: &str = "terraform.sha256";
/// A larger file is none of ours.
const MAX_SIZE: u64 = 1 << 20;
/// What is not to be shared: states and plans hold what stands in no configuration.
const IGNORED: &[&str] = &[
    ".terraform/",
    "*.tfstate",
    "*.tfstate.*",
    ".terraform.tfstate.lock.info",
    "plan.out",
    "pki/",
    "secrets/",
    "journal.log",
    "lock",
];

macro_rules! files {
    ($($path:literal,)*) => {
        /// Every file below `provisioner/terraform`, sorted.
        const FILES: &[(&str, &str)] = &[
            $(($path, include_str!(concat!("../../terraform/", $path))),)*
        ];
    };
}

files![
    "levels.json",
    "levels.tf",
    "main.tf",
    "modules/cassandra/main.tf",
    "modules/cassandra/outputs.tf",
    "modules/cassandra/variables.tf",
    "modules/network/bastion.tf",
    "modules/network/main.tf",
    "modules/network/outputs.tf",
    "modules/network/security.tf",
    "modules/network/variables.tf",
    "modules/scalar/main.tf",
    "modules/scalar/outputs.tf",
    "modules/scalar/variables.tf",
    "modules/service/grafana/main.tf",
    "modules/service/grafana/variables.tf",
    "modules/service/main.tf",
    "modules/service/outputs.tf",
    "modules/service/prometheus/main.tf",
    "modules/service/prometheus/outputs.tf",
    "modules/service/prometheus/role.tf",
    "modules/service/prometheus/variables.tf",
    "modules/service/traefik/balancer.tf",
    "modules/service/traefik/main.tf",
    "modules/service/traefik/outputs.tf",
    "modules/service/traefik/site.tf",
    "modules/service/traefik/variables.tf",
    "modules/service/variables.tf",
    "outputs.tf",
    "variables.tf",
    "versions.tf",
];

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Became {
    Written,
    /// Ours is gone from the modules, and it was as we had written it.
    Removed,
    /// Somebody's own, which is left.
    Kept,
}

/// The text of one of them.
pub(super) fn text(path: &str) -> &'static str {
    let found = FILES.iter().find(|it| it.0 == path);
    found.map_or("", |it| it.1)
}

/// Writes them where they are not, and says what became of each that was not as it is here. Files that somebody changed stay while they are
/// those that we know; when ours are newer, it is an error, but for `force`, which keeps theirs beside as `.orig`.
pub(super) fn write(folder: &Path, force: bool) -> anyhow::Result<BTreeMap<String, Became>> {
    let manifest = manifest(folder)?;
    let mut found = Vec::new();
    for (path, ours) in FILES {
        found.push((*path, *ours, read(&folder.join(path))?));
    }
    let mut became = BTreeMap::new();
    let mut clashes = Vec::new();
    for (path, ours, theirs) in &found {
        let Some(theirs) = theirs.as_deref().filter(|it| it != ours) else {
            continue;
        };
        let (theirs, ours) = (sha256(theirs.as_bytes()), sha256(ours.as_bytes()));
        match manifest.get(*path) {
            // It is as an older provisioner has written it.
            Some(before) if *before == theirs => {}
            Some(before) if *before == ours && !force => {
                became.insert((*path).to_owned(), Became::Kept);
            }
            _ if force => {}
            _ => clashes.push(*path),
        }
    }
    if !clashes.is_empty() {
        bail!(
            "{}: these files are not as the provisioner has written them, and it has newer ones: {}; `init --force` takes those, and keeps yours \
             beside as .orig",
            folder.display(),
            clashes.join(", ")
        );
    }
    for (path, ours, theirs) in &found {
        if theirs.as_deref() == Some(ours) || became.contains_key(*path) {
            continue;
        }
        let at = folder.join(path);
        if let Some(theirs) = theirs
            && manifest.get(*path) != Some(&sha256(theirs.as_bytes()))
        {
            let mut beside = at.clone().into_os_string();
            beside.push(".orig");
            put(&PathBuf::from(beside), theirs)?;
        }
        put(&at, ours)?;
        became.insert((*path).to_owned(), Became::Written);
    }
    for (path, before) in &manifest {
        let is_ours = FILES.iter().any(|it| it.0 == path);
        let at = folder.join(path);
        if is_ours || read(&at)?.is_none_or(|it| sha256(it.as_bytes()) != *before) {
            continue;
        }
        fs::remove_file(&at).with_context(|| format!("cannot remove {}", at.display()))?;
        became.insert(path.clone(), Became::Removed);
    }
    let mut text = String::new();
    for (path, ours) in FILES {
        // Writing to a text does not fail.
        writeln!(text, "{}  {path}", sha256(ours.as_bytes())).unwrap_or_default();
    }
    let path = folder.join(MANIFEST);
    if read(&path)?.as_deref() != Some(text.as_str()) {
        put(&path, &text)?;
    }
    ignore(folder, IGNORED)?;
    Ok(became)
}

/// Adds to an environment's `.gitignore` what is missing there.
pub(crate) fn ignore(folder: &Path, lines: &[&str]) -> anyhow::Result<()> {
    let path = folder.join(".gitignore");
    let mut text = read(&path)?.unwrap_or_default();
    let missing = lines
        .iter()
        .filter(|line| !text.lines().any(|it| it.trim() == **line));
    let missing: Vec<_> = missing.copied().collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text += &missing.join("\n");
    text.push('\n');
    put(&path, &text)
}

/// What was written last, by path.
fn manifest(folder: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let text = read(&folder.join(MANIFEST))?.unwrap_or_default();
    let lines = text.lines().filter_map(|it| it.split_once("  "));
    // A path that leads elsewhere is none that we have written.
    let is_below = |path: &str| {
        let mut parts = Path::new(path).components();
        parts.all(|it| matches!(it, std::path::Component::Normal(_)))
    };
    let lines = lines.filter(|it| is_below(it.1));
    Ok(lines
        .map(|(sum, path)| (path.to_owned(), sum.to_owned()))
        .collect())
}

/// The text of a file; None when there is none.
pub(super) fn read(path: &Path) -> anyhow::Result<Option<String>> {
    let cannot = || format!("cannot read {}", path.display());
    match fs::metadata(path) {
        Ok(meta) if meta.len() > MAX_SIZE => bail!("{} has more than 1 MiB", path.display()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(cannot),
    }
    let bytes = fs::read(path).with_context(cannot)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn put(path: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let mut fresh = path.to_owned().into_os_string();
    fresh.push(".new");
    let written = fs::write(&fresh, text).and_then(|()| fs::rename(&fresh, path));
    written.with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::{Became, FILES, IGNORED, MANIFEST, write};

    fn below(folder: &Path, all: &mut BTreeSet<String>, prefix: &str) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().into_string().unwrap());
            if entry.path().is_dir() {
                below(&entry.path(), all, &format!("{name}/"));
            } else {
                all.insert(name);
            }
        }
    }

    #[test]
    fn none_is_missing() {
        let mut all = BTreeSet::new();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("terraform");
        below(&folder, &mut all, "");
        let ours: Vec<_> = FILES.iter().map(|it| it.0.to_owned()).collect();
        assert_eq!(all.into_iter().collect::<Vec<_>>(), ours);
        assert!(FILES.iter().all(|it| !it.1.is_empty()));
    }

    #[test]
    fn written_once() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::write(folder.join(".gitignore"), "mine\nplan.out").unwrap();
        let became = write(folder, false).unwrap();
        assert_eq!(became.len(), FILES.len());
        assert!(became.values().all(|it| *it == Became::Written));
        assert!(write(folder, false).unwrap().is_empty());
        let ignored = fs::read_to_string(folder.join(".gitignore")).unwrap();
        assert!(
            ignored.starts_with("mine\nplan.out\n.terraform/\n"),
            "{ignored}"
        );
        assert_eq!(ignored.lines().count(), 1 + IGNORED.len());
    }

    #[test]
    fn what_somebody_changed_stays() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let file = folder.join("main.tf");
        // It was there before, and is none of ours.
        fs::write(&file, "theirs").unwrap();
        let error = write(folder, false).unwrap_err().to_string();
        assert!(
            error.contains("it has newer ones: main.tf; `init --force`"),
            "{error}"
        );
        assert!(!folder.join("outputs.tf").exists(), "nothing is written");
        write(folder, true).unwrap();
        let beside = fs::read_to_string(folder.join("main.tf.orig")).unwrap();
        assert_eq!(beside, "theirs");

        // Changed, while ours is the same.
        fs::write(&file, "changed").unwrap();
        let became = write(folder, false).unwrap();
        assert_eq!(
            became.into_iter().collect::<Vec<_>>(),
            [("main.tf".to_owned(), Became::Kept)]
        );
        assert_eq!(fs::read_to_string(&file).unwrap(), "changed");

        // Changed, and ours is newer.
        let manifest = folder.join(MANIFEST);
        let text = fs::read_to_string(&manifest).unwrap();
        let older: Vec<_> = text
            .lines()
            .map(|it| {
                if it.ends_with("  main.tf") {
                    "00  main.tf"
                } else {
                    it
                }
            })
            .collect();
        fs::write(&manifest, older.join("\n")).unwrap();
        write(folder, false).unwrap_err();
        write(folder, true).unwrap();
        assert_eq!(
            fs::read_to_string(folder.join("main.tf.orig")).unwrap(),
            "changed"
        );
    }

    #[test]
    fn older_ones_are_exchanged() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        write(folder, false).unwrap();
        let outside = folder.join("outside.tf");
        fs::write(folder.join("main.tf"), "older").unwrap();
        fs::write(folder.join("gone.tf"), "gone").unwrap();
        fs::write(&outside, "gone").unwrap();
        let (older, gone) = (
            crate::artifacts::sha256(b"older"),
            crate::artifacts::sha256(b"gone"),
        );
        let lines = format!("{older}  main.tf\n{gone}  gone.tf\n{gone}  modules/../outside.tf\n");
        fs::write(folder.join(MANIFEST), lines).unwrap();
        let became = write(folder, false).unwrap();
        assert_eq!(became["main.tf"], Became::Written);
        assert_eq!(became["gone.tf"], Became::Removed);
        assert!(outside.exists() && !folder.join("gone.tf").exists());
        assert!(!folder.join("main.tf.orig").exists());
    }
}
