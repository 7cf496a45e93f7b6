//! Terraform, or OpenTofu: which of them is here, and whether it is new enough.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::exec;

/// What the modules ask for: the first with locks in S3 itself.
const AT_LEAST: (u64, u64) = (1, 10);
/// Names another one than the first on the PATH.
const VARIABLE: &str = "PROVISIONER_TERRAFORM";

/// One that is new enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) path: PathBuf,
}

/// What `version -json` says, of either.
#[derive(Debug, Deserialize)]
struct Version {
    terraform_version: String,
}

impl Program {
    /// The one that `PROVISIONER_TERRAFORM` names, else Terraform on the PATH, else OpenTofu there.
    pub(super) fn find() -> anyhow::Result<Self> {
        let path = match env::var_os(VARIABLE) {
            Some(named) => PathBuf::from(named),
            None => on_path(env::var_os("PATH").as_deref()).context(
                "neither terraform nor tofu is on the PATH: install Terraform 1.10 or newer (or OpenTofu), or name it with PROVISIONER_TERRAFORM",
            )?,
        };
        let shown = path.display();
        let said = exec::command(&path)
            .args(["version", "-json"])
            .env("CHECKPOINT_DISABLE", "1")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output();
        let said = said.with_context(|| format!("cannot start {shown}"))?;
        check(&String::from_utf8_lossy(&said.stdout)).with_context(|| shown.to_string())?;
        Ok(Self { path })
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

fn check(said: &str) -> anyhow::Result<()> {
    let version: Version = serde_json::from_str(said).context(
        "`version -json` does not say which version it is, as Terraform and OpenTofu do",
    )?;
    let mut numbers = version.terraform_version.split('.').map(str::parse::<u64>);
    let mut next = || numbers.next().and_then(Result::ok);
    let found = (next(), next());
    if !matches!(found, (Some(a), Some(b)) if (a, b) >= AT_LEAST) {
        bail!(
            "it is {}, and 1.10 or newer is needed: install one, or name it with {VARIABLE}",
            version.terraform_version
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::{check, on_path};

    #[test]
    fn versions() {
        for (said, expect) in [
            (
                r#"{"terraform_version": "1.11.4", "platform": "linux_amd64"}"#,
                None,
            ),
            (r#"{"terraform_version": "1.10.0-rc1"}"#, None),
            (r#"{"terraform_version": "2.0.0"}"#, None),
            (
                r#"{"terraform_version": "1.9.8"}"#,
                Some("it is 1.9.8, and 1.10"),
            ),
            (
                r#"{"terraform_version": "0.11.11"}"#,
                Some("it is 0.11.11, and 1.10"),
            ),
            (r#"{"terraform_version": "x"}"#, Some("it is x, and")),
            ("Terraform v0.11.11", Some("does not say")),
            ("", Some("does not say")),
        ] {
            let found = check(said).err().map(|it| it.to_string());
            match expect {
                None => assert_eq!(found, None),
                Some(expect) => assert!(found.unwrap().contains(expect), "{said}"),
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
