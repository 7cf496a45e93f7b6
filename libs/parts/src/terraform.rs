//! Terraform where the machine has it, else OpenTofu, which can be built.

use std::path::PathBuf;

use crate::{PartError, find, on_path, version};

/// The first with locks in S3 itself.
const AT_LEAST: (u32, u32) = (1, 10);
/// `tofu`: OpenTofu also where Terraform is, so that the same tests run with both.
const VARIABLE: &str = "PARTS_TERRAFORM";

/// Terraform on the PATH, else OpenTofu there, else OpenTofu built from its module, which takes some minutes once.
///
/// # Errors
/// When there is neither, and OpenTofu cannot be built.
pub fn terraform() -> Result<PathBuf, PartError> {
    let wants_tofu = std::env::var_os(VARIABLE).is_some_and(|it| it == "tofu");
    let names = ["terraform", "tofu"]
        .into_iter()
        .skip(usize::from(wants_tofu));
    let mut here = names.filter_map(on_path);
    let found = here.find(|it| version(it, "version").is_some_and(|it| it >= AT_LEAST));
    match found {
        Some(path) => Ok(path),
        None => Ok(find("tofu")?.path),
    }
}
