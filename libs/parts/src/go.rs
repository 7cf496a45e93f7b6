//! Programs written in Go that Debian has not, or not new enough: built from their modules, with the machine's Go when that
//! is new enough, else with one that comes as a module itself.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Part, PartError, command, debian, on_path, version};

/// A program that is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Module {
    /// The program's file name.
    pub program: &'static str,
    /// The module that holds it.
    pub module: &'static str,
    /// The version that we measure against.
    pub version: &'static str,
    /// Where its main package stands in the module.
    pub package: &'static str,
    /// What the compiler is told besides.
    pub flags: &'static [&'static str],
    /// Whether it is built in a copy of its module, as `go install` does not build those whose go.mod replaces others, nor those that lack files.
    pub is_copied: bool,
    /// Files that it is compiled with and its module has not, as another tool makes them: empty ones take their place in the copy.
    pub stubs: &'static [&'static str],
}

/// Every such program, sorted by name.
pub const MODULES: &[Module] = &[
    Module {
        program: "alertmanager",
        module: "github.com/prometheus/alertmanager",
        version: "v0.34.1",
        package: "./cmd/alertmanager",
        flags: &[],
        is_copied: true,
        // The pages for a browser.
        stubs: &["ui/app/dist/index.html"],
    },
    Module {
        program: "node_exporter",
        module: "github.com/prometheus/node_exporter",
        version: "v1.12.1",
        package: ".",
        flags: &[],
        is_copied: false,
        stubs: &[],
    },
    Module {
        program: "tofu",
        module: "github.com/opentofu/opentofu",
        version: "v1.12.6",
        package: "./cmd/tofu",
        // As it is released, and not for development.
        flags: &["-ldflags=-X=github.com/opentofu/opentofu/version.dev=no"],
        is_copied: true,
        stubs: &[],
    },
];

/// The first Go that fetches a newer one when a module asks for it (its toolchain switch).
const AT_LEAST: (u32, u32) = (1, 21);
/// What Debian 12 has is too old to build, but can fetch modules, of which a newer Go is one.
const DEBIAN: Part = Part {
    program: "go",
    package: "golang-1.19-go",
    needs: &[],
    path: "usr/lib/go-1.19/bin/go",
    at_least: AT_LEAST,
};
const TOOLCHAIN: &str = "v0.0.1-go1.26.8.linux-amd64";

/// Builds a program of Go in a folder with a `go.mod`, and gives its path. The compiler keeps what it built, so that a second time
/// costs a second.
///
/// # Errors
/// When there is no Go and none can be fetched, or it does not compile.
pub fn program(folder: &Path, name: &'static str) -> Result<PathBuf, PartError> {
    let cache = crate::cache();
    let disk = |source| PartError::Cache {
        path: cache.clone(),
        source,
    };
    let programs = cache.join("go/bin/own");
    fs::create_dir_all(&programs).map_err(disk)?;
    let lock = fs::File::create(cache.join("go/lock")).map_err(disk)?;
    lock.lock().map_err(disk)?;
    let program = programs.join(name);
    let mut build = tool(&find(&cache)?);
    build
        .args(["build", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(folder);
    let part = Part {
        program: name,
        package: name,
        needs: &[],
        path: "",
        at_least: (0, 0),
    };
    debian::run(&part, build)?;
    Ok(program)
}

/// Where the cache keeps it.
pub(crate) fn place(module: &Module, cache: &Path) -> PathBuf {
    let folder = cache.join("go/bin").join(module.version);
    folder.join(module.program)
}

/// Builds a program, unless the cache has it.
pub(crate) fn build(module: &Module, cache: &Path) -> Result<PathBuf, PartError> {
    let program = place(module, cache);
    if program.is_file() {
        return Ok(program);
    }
    let folder = program.parent().unwrap_or(cache);
    let disk = |source| PartError::Cache {
        path: cache.to_owned(),
        source,
    };
    fs::create_dir_all(folder).map_err(disk)?;
    let lock = fs::File::create(cache.join("go/lock")).map_err(disk)?;
    lock.lock().map_err(disk)?;
    if program.is_file() {
        return Ok(program);
    }
    debian::say(&format!(
        "{} is not on this machine: building {} {}",
        module.program, module.module, module.version
    ));
    let part = Part {
        program: module.program,
        package: module.module,
        needs: &[],
        path: "",
        at_least: (0, 0),
    };
    let go = find(cache)?;
    let go = |arguments: &[&str]| {
        let mut go = tool(&go);
        go.args(arguments);
        go
    };
    let named = format!("{}@{}", module.module, module.version);
    if !module.is_copied {
        let mut install = go(&["install"]);
        install.args(module.flags).arg(&named).env("GOBIN", folder);
        debian::run(&part, install)?;
        return Ok(program);
    }
    let source = download(&part, go(&[]), &named, cache)?;
    // A module's folder is not to be written to.
    let copy = cache.join("go/source").join(&named);
    if copy.exists() {
        fs::remove_dir_all(&copy).map_err(disk)?;
    }
    copy_folder(&source, &copy).map_err(disk)?;
    for stub in module.stubs {
        let stub = copy.join(stub);
        fs::create_dir_all(stub.parent().unwrap_or(&copy)).map_err(disk)?;
        fs::write(&stub, "").map_err(disk)?;
    }
    let mut build = go(&["build", "-o"]);
    build.arg(&program).args(module.flags).arg(module.package);
    build.current_dir(&copy);
    debian::run(&part, build)?;
    Ok(program)
}

/// The folder that a module is in, which is not to be written to: for files of it beside its programs.
///
/// # Errors
/// When there is no Go and none can be fetched, or no such module.
pub fn source(module: &'static str, version: &str) -> Result<PathBuf, PartError> {
    let cache = crate::made_cache()?;
    let part = Part {
        program: module,
        package: module,
        needs: &[],
        path: "",
        at_least: (0, 0),
    };
    let go = tool(&find(&cache)?);
    download(&part, go, &format!("{module}@{version}"), &cache)
}

/// Go, which may fetch a newer one of itself, also where somebody said that the machine's own is to do.
fn tool(go: &Path) -> Command {
    let mut tool = command(go);
    tool.env("GOTOOLCHAIN", "auto")
        .env("GOFLAGS", "-modcacherw");
    tool
}

fn download(part: &Part, mut go: Command, named: &str, cache: &Path) -> Result<PathBuf, PartError> {
    go.args(["mod", "download", "-json", named])
        .current_dir(cache);
    let said = debian::run(part, go)?;
    let folder = json_text(&said, "Dir").map(PathBuf::from);
    folder.ok_or_else(|| debian::failure(part, "go mod download names no folder"))
}

/// The text of a key in what `go mod download -json` writes: a key and its value on each line, and paths need no escapes.
fn json_text<'a>(json: &'a str, key: &str) -> Option<&'a str> {
    let start = format!("\"{key}\": \"");
    let mut lines = json.lines().map(str::trim);
    lines.find_map(|it| {
        it.strip_prefix(&start)?
            .trim_end_matches(',')
            .strip_suffix('"')
    })
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn find(cache: &Path) -> Result<PathBuf, PartError> {
    if let Some(path) = on_path("go")
        && version(&path, "version").is_some_and(|it| it >= AT_LEAST)
    {
        return Ok(path);
    }
    let old = cache.join("debian").join(DEBIAN.package).join(DEBIAN.path);
    if !old.is_file() {
        debian::fetch(&DEBIAN, cache)?;
    }
    let modules = cache.join("go/modules");
    let root = modules.join(format!("golang.org/toolchain@{TOOLCHAIN}"));
    let go = root.join("bin/go");
    if !go.is_file() {
        debian::say("the Go on this machine is too old: fetching a newer one");
        let mut download = command(&old);
        download
            .args([
                "mod",
                "download",
                &format!("golang.org/toolchain@{TOOLCHAIN}"),
            ])
            .current_dir(cache)
            .env("GOMODCACHE", &modules)
            .env("GOFLAGS", "-modcacherw")
            // It is not in the database of sums that this old Go knows to ask.
            .env("GONOSUMDB", "golang.org/toolchain");
        debian::run(&DEBIAN, download)?;
    }
    // Modules are unpacked without leave to run.
    for folder in ["bin", "pkg/tool/linux_amd64"] {
        executable(&root.join(folder)).map_err(|source| PartError::Cache {
            path: root.clone(),
            source,
        })?;
    }
    Ok(go)
}

fn executable(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        fs::set_permissions(entry?.path(), fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::json_text;

    #[test]
    fn texts_of_downloads() {
        let json = "{\n\t\"Path\": \"a/b\",\n\t\"Dir\": \"/m/a/b@v1\"\n}\n";
        for (key, expect) in [
            ("Dir", Some("/m/a/b@v1")),
            ("Path", Some("a/b")),
            ("Zip", None),
        ] {
            assert_eq!(json_text(json, key), expect, "{key}");
        }
        assert_eq!(json_text("{\"Dir\": 1}", "Dir"), None);
    }
}
