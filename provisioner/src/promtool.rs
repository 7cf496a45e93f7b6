//! What is the user's own of Prometheus' files is held against Prometheus' own checker before it is sent anywhere.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use flate2::read::GzDecoder;

use crate::{
    desired::{Artifact, Form},
    exec,
};

const NAME: &str = "promtool";

/// What is checked of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Rules,
    Scrapes,
}

/// Checks files, by their names, with the checker of the Prometheus that is to read them, where it has one beside it.
pub(crate) fn check(
    prometheus: &Artifact,
    kind: Kind,
    files: &[(String, Vec<u8>)],
) -> anyhow::Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    let promtool = find(prometheus)?;
    // Scrape configurations may hold passwords: the folder is ours alone.
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        let words: &[&str] = match kind {
            Kind::Rules => &["check", "rules"],
            // Files that it names are on the node alone.
            Kind::Scrapes => &["check", "config", "--syntax-only"],
        };
        let output = exec::command(&promtool)
            .args(words)
            .arg(name)
            .current_dir(folder.path())
            .output();
        let output = output.with_context(|| format!("cannot start {}", promtool.display()))?;
        if !output.status.success() {
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            let lines = said.lines().map(str::trim).filter(|it| !it.is_empty());
            bail!(
                "{name}: promtool does not take it: {}",
                lines.collect::<Vec<_>>().join(" | ")
            );
        }
    }
    Ok(())
}

fn find(prometheus: &Artifact) -> anyhow::Result<PathBuf> {
    let beside = prometheus.source.with_file_name(NAME);
    if beside.is_file() {
        return Ok(beside);
    }
    if prometheus.form == Form::Archive {
        let source = prometheus.source.display();
        unpack(&prometheus.source, &beside)
            .with_context(|| format!("{source}: no {NAME} of it"))?;
        return Ok(beside);
    }
    Ok(parts::find(NAME)?.path)
}

/// Takes the checker out of Prometheus' archive, once.
fn unpack(archive: &Path, to: &Path) -> anyhow::Result<()> {
    let mut archive = tar::Archive::new(GzDecoder::new(File::open(archive)?));
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.path()?.file_name() != Some(NAME.as_ref()) {
            continue;
        }
        let folder = to.parent().context("it has no folder")?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        io::copy(&mut entry, &mut file)?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        file.as_file().set_permissions(mode)?;
        file.persist(to)?;
        return Ok(());
    }
    bail!("it is not in there")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use flate2::{Compression, write::GzEncoder};

    use super::{Kind, check};
    use crate::desired::{Artifact, Form};

    fn checked(kind: Kind, text: &str, form: Form) -> String {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("prometheus.tar.gz");
        if form == Form::Archive {
            let file = GzEncoder::new(fs::File::create(&source).unwrap(), Compression::fast());
            let mut tar = tar::Builder::new(file);
            let promtool = parts::find("promtool").unwrap().path;
            tar.append_path_with_name(promtool, "prometheus-3/promtool")
                .unwrap();
            tar.into_inner().unwrap().finish().unwrap();
        }
        let prometheus = Artifact {
            name: "prometheus".to_owned(),
            version: "3".to_owned(),
            sha256: String::new(),
            source,
            form,
        };
        let files = [("mine.yml".to_owned(), text.as_bytes().to_vec())];
        match check(&prometheus, kind, &files) {
            Ok(()) => "fine".to_owned(),
            Err(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn own_files() {
        let rules = |expr: &str| {
            format!("groups:\n- name: a\n  rules:\n  - {{record: 'x:y', expr: '{expr}'}}\n")
        };
        for form in [Form::Program, Form::Archive] {
            assert_eq!(checked(Kind::Rules, &rules("up == 0"), form), "fine");
            let said = checked(Kind::Rules, &rules("up =="), form);
            assert!(
                said.starts_with("mine.yml: promtool does not take it: "),
                "{said}"
            );
            assert!(said.contains("parse error"), "{said}");
        }
        let scrapes = "scrape_configs:\n- job_name: mine\n  basic_auth: {username: a, password_file: /nowhere}\n  static_configs: [{targets: ['a:1']}]\n";
        assert_eq!(checked(Kind::Scrapes, scrapes, Form::Program), "fine");
        let said = checked(
            Kind::Scrapes,
            "scrape_configs:\n- {job: mine}\n",
            Form::Program,
        );
        assert!(said.contains("mine.yml"), "{said}");
    }
}
