//! A real Terraform, and the stand-in that it takes for hashicorp/aws.

use std::{fs, path::PathBuf, sync::OnceLock};

use tempfile::TempDir;
use testkit::root;

/// Whose schema it has.
const PROVIDER: &str = "6.25.0";
/// Where Terraform and OpenTofu look for a provider whose source names no registry.
const REGISTRIES: [&str; 2] = ["registry.opentofu.org", "registry.terraform.io"];

/// Terraform's own configuration, which has it take the stand-in for hashicorp/aws.
pub(crate) fn configuration() -> PathBuf {
    static MIRROR: OnceLock<TempDir> = OnceLock::new();
    let mirror = MIRROR.get_or_init(|| {
        let stand_in = root().join("provisioner/tests/provider");
        let stand_in = parts::go_program(&stand_in, "terraform-provider-aws").unwrap();
        let mirror = tempfile::tempdir().unwrap();
        for registry in REGISTRIES {
            let folder = mirror
                .path()
                .join(registry)
                .join("hashicorp/aws")
                .join(PROVIDER)
                .join("linux_amd64");
            fs::create_dir_all(&folder).unwrap();
            let program = folder.join(format!("terraform-provider-aws_v{PROVIDER}_x5"));
            fs::copy(&stand_in, program).unwrap();
        }
        let text = format!(
            "disable_checkpoint = true\nprovider_installation {{\n  filesystem_mirror {{\n    path = {:?}\n  }}\n}}\n",
            mirror.path()
        );
        fs::write(mirror.path().join("terraform.rc"), text).unwrap();
        mirror
    });
    mirror.path().join("terraform.rc")
}
