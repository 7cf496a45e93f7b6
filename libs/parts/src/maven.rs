//! Maven: the machine's, else Debian's; and fetching with it what stands in one of our lists (`maven/*.xml`).

use std::{fs, path::Path};

use crate::{Part, PartError, debian, find, java};

/// Debian's Maven is a package for each of its libraries.
pub(crate) const MAVEN: Part = Part {
    program: "mvn",
    package: "maven",
    needs: &[
        "libaopalliance-java",
        "libatinject-jsr330-api-java",
        "libcdi-api-java",
        "libcommons-cli-java",
        "libcommons-io-java",
        "libcommons-lang3-java",
        "libgeronimo-annotation-1.3-spec-java",
        "libguava-java",
        "libguice-java",
        "libjansi-java",
        "libmaven-resolver-java",
        "libmaven-shared-utils-java",
        "libmaven3-core-java",
        "libplexus-cipher-java",
        "libplexus-classworlds-java",
        "libplexus-component-annotations-java",
        "libplexus-interpolation-java",
        "libplexus-sec-dispatcher-java",
        "libplexus-utils2-java",
        "libsisu-inject-java",
        "libsisu-plexus-java",
        "libslf4j-java",
        "libwagon-file-java",
        "libwagon-http-shaded-java",
        "libwagon-provider-api-java",
    ],
    path: "usr/share/maven/bin/mvn",
    at_least: (3, 6),
};

/// Fetches what a list says into a folder that is made whole or not at all. Nothing is done when it has `sign` already. Those
/// that want the same wait for each other.
pub(crate) fn fetch(
    what: &str,
    list: &str,
    arguments: &[&str],
    folder: &Path,
    sign: &str,
) -> Result<(), PartError> {
    if folder.join(sign).exists() {
        return Ok(());
    }
    let disk = |source| PartError::Cache {
        path: folder.to_owned(),
        source,
    };
    let parent = folder.parent().unwrap_or(folder);
    fs::create_dir_all(parent).map_err(disk)?;
    let lock = fs::File::create(parent.join("lock")).map_err(disk)?;
    lock.lock().map_err(disk)?;
    if folder.join(sign).exists() {
        return Ok(());
    }
    let java = java::home(&find(java::JAVA.program)?.path)?;
    let maven = find(MAVEN.program)?;
    debian::say(&format!(
        "{what} is not on this machine: fetching it by Maven"
    ));
    let work = parent.join("work");
    // What an interrupted fetch left behind.
    drop(fs::remove_dir_all(&work));
    fs::create_dir_all(work.join("fetched")).map_err(disk)?;
    fs::write(work.join("pom.xml"), list).map_err(disk)?;
    let mut command = crate::command(maven.path);
    command
        .current_dir(&work)
        .env("JAVA_HOME", java)
        .args(["--batch-mode", "--quiet", "-Dfetched=fetched"])
        .args(arguments);
    debian::output(command).map_err(|reason| PartError::Maven {
        what: what.to_owned(),
        reason,
    })?;
    if !work.join("fetched").join(sign).exists() {
        return Err(PartError::Maven {
            what: what.to_owned(),
            reason: format!("it left no {sign}"),
        });
    }
    drop(fs::remove_dir_all(folder));
    fs::rename(work.join("fetched"), folder).map_err(disk)?;
    drop(fs::remove_dir_all(&work));
    debian::say(&format!("{what} is in {}", folder.display()));
    Ok(())
}
