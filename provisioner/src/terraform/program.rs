//! Terraform, or OpenTofu: which of them is here, and whether it is new enough.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, bail};

use crate::exec;

/// What the modules ask for: the first with locks in S3 itself.
const AT_LEAST: (u64, u64) = (1, 10);
/// Names another one than the first on the PATH.
const VARIABLE: &str = "PROVISIONER_TERRAFORM";

/// One that is new enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    /// How a person starts it: by its name where it is on the PATH.
    pub(super) name: String,
    /// Where it has a provider from whose source names no registry.
    pub(super) registry: &'static str,
}

/// What each calls itself, and its registry.
const KINDS: [(&str, &str); 2] = [
    ("OpenTofu v", "registry.opentofu.org"),
    ("Terraform v", "registry.terraform.io"),
];

impl Program {
    /// The one that `PROVISIONER_TERRAFORM` names, else Terraform on the PATH, else OpenTofu there.
    pub(super) fn find() -> anyhow::Result<Self> {
        let named = env::var_os(VARIABLE).map(PathBuf::from);
        let is_named = named.is_some();
        let path = named.or_else(|| on_path(env::var_os("PATH").as_deref())).context(
            "neither terraform nor tofu is on the PATH: install Terraform 1.10 or newer (or OpenTofu), or name it with PROVISIONER_TERRAFORM",
        )?;
        let typed = path.file_name().filter(|_| !is_named);
        let typed = typed.unwrap_or(path.as_os_str());
        let name = typed.to_string_lossy().into_owned();
        let shown = path.display();
        let said = exec::command(&path)
            .arg("version")
            .env("CHECKPOINT_DISABLE", "1")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output();
        let said = said.with_context(|| format!("cannot start {shown}"))?;
        let registry = check(&String::from_utf8_lossy(&said.stdout));
        let registry = registry.with_context(|| shown.to_string())?;
        Ok(Self {
            path,
            name,
            registry,
        })
    }
}

fn on_path(folders: Option<&std::ffi::OsStr>) -> Option<PathBuf> {
    let folders: Vec<_> = env::split_paths(folders?).collect();
    let is_program = |it: &PathBuf| {
        fs::metadata(it).is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
    };
    let names = ["terraform", "tofu"].into_iter();
    let mut all = names.flat_map(|name| folders.iter().map(move |it| Path::new(it).join(name)));
    all.find(is_program)
}

/// Whose registry it has, when it is new enough.
fn check(said: &str) -> anyhow::Result<&'static str> {
    // Warnings about its own configuration may stand before.
    let found = said.lines().find_map(|line| {
        let mut kinds = KINDS.iter();
        kinds.find_map(|(name, registry)| Some((line.strip_prefix(name)?.trim(), *registry)))
    });
    let (version, registry) = found
        .context("`version` does not say which version it is, as Terraform and OpenTofu do")?;
    let mut numbers = version.split('.').map(str::parse::<u64>);
    let mut next = || numbers.next().and_then(Result::ok);
    let found = (next(), next());
    if !matches!(found, (Some(a), Some(b)) if (a, b) >= AT_LEAST) {
        bail!(
            "it is {version}, and 1.10 or newer is needed: install one, or name it with {VARIABLE}"
        );
    }
    Ok(registry)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::{check, on_path};

    #[test]
    fn versions() {
        let (tofu, terraform) = (Ok("registry.opentofu.org"), Ok("registry.terraform.io"));
        for (said, expect) in [
            ("Terraform v1.11.4\non linux_amd64\n", terraform),
            ("Terraform v1.10.0-rc1", terraform),
            ("Terraform v2.0.0", terraform),
            ("\nWarning: Unable to open\n\nOpenTofu v1.12.6\n", tofu),
            ("OpenTofu v1.12.6-dev", tofu),
            ("OpenTofu v1.9.4", Err("it is 1.9.4, and 1.10")),
            ("Terraform v1.9.8", Err("it is 1.9.8, and 1.10")),
            ("Terraform v0.11.11\n", Err("it is 0.11.11, and 1.10")),
            ("Terraform vx", Err("it is x, and")),
            ("Terragrunt v1.11.4", Err("does not say")),
            ("", Err("does not say")),
        ] {
            match (check(said), expect) {
                (Ok(found), Ok(expect)) => assert_eq!(found, expect, "{said}"),
                (Err(found), Err(expect)) => {
                    assert!(found.to_string().contains(expect), "{said}: {found}");
                }
                (found, _) => panic!("{said}: {found:?}"),
            }
        }
    }

    #[test]
    fn terraform_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        let make = |path: &std::path::Path, mode| {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        let path = std::env::join_paths([&a, &b]).unwrap();
        assert_eq!(on_path(Some(&path)), None);
        make(&a.join("tofu"), 0o755);
        make(&a.join("terraform"), 0o644);
        assert_eq!(on_path(Some(&path)), Some(a.join("tofu")));
        make(&b.join("terraform"), 0o755);
        assert_eq!(on_path(Some(&path)), Some(b.join("terraform")));
        assert_eq!(on_path(None), None);
    }
}
