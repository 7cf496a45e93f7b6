//! A real Terraform, and the stand-in that it takes for hashicorp/aws.

use std::{fs, path::PathBuf, sync::OnceLock};

use serde_json::Value;
use tempfile::TempDir;
use testkit::{Program, root};

/// What the modules and the stand-in are made for.
const AT_LEAST: (u64, u64) = (1, 10);
const PROVIDER: &str = "6.25.0";

/// Terraform on the PATH, new enough; without, the test is skipped.
pub(crate) fn terraform() -> Option<PathBuf> {
    let path = parts::on_path("terraform")?;
    let said = Program::at(&path).args(["version", "-json"]).run().stdout;
    let said: Value = serde_json::from_str(&said).ok()?;
    let mut numbers = said["terraform_version"].as_str()?.split('.');
    let mut next = || numbers.next()?.parse::<u64>().ok();
    ((next()?, next()?) >= AT_LEAST).then_some(path)
}

/// Terraform's own configuration, which has it take the stand-in for hashicorp/aws.
pub(crate) fn configuration() -> PathBuf {
    static MIRROR: OnceLock<TempDir> = OnceLock::new();
    let mirror = MIRROR.get_or_init(|| {
        let stand_in = root().join("provisioner/tests/provider");
        let stand_in = parts::go_program(&stand_in, "terraform-provider-aws").unwrap();
        let mirror = tempfile::tempdir().unwrap();
        let folder = mirror
            .path()
            .join("registry.terraform.io/hashicorp/aws")
            .join(PROVIDER)
            .join("linux_amd64");
        fs::create_dir_all(&folder).unwrap();
        let program = folder.join(format!("terraform-provider-aws_v{PROVIDER}_x5"));
        fs::copy(stand_in, program).unwrap();
        let text = format!(
            "disable_checkpoint = true\nprovider_installation {{\n  filesystem_mirror {{\n    path = {:?}\n  }}\n}}\n",
            mirror.path()
        );
        fs::write(mirror.path().join("terraform.rc"), text).unwrap();
        mirror
    });
    mirror.path().join("terraform.rc")
}
