//! What containers need on a node before anything is changed there: the system's package, and images, pulled from a registry or sent. A
//! registry's password is on standard input and in a file of root's in memory, for as long as the pull takes.

use std::{fs, time::Duration};

use anyhow::{Context as _, bail};

use crate::{
    desired::{Image, ImageSource, Package},
    exec::shell_word,
    remote::Remote,
};

/// Repositories and registries may be far away.
const PATIENCE: Duration = Duration::from_secs(900);

/// Names that are given are installed by whichever program the system has. Nobody is asked, and locks are waited for.
const INSTALL: &str = r#"
set -eu
if command -v apt-get >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  install() { timeout 400 apt-get -q -y -o DPkg::Lock::Timeout=60 --no-install-recommends install "$@"; }
  # Lists may be too old, or not there.
  install "$@" >/dev/null 2>&1 || { timeout 200 apt-get -q update && install "$@"; } >/run/sdl-install.log 2>&1 ||
    { tail -n 3 /run/sdl-install.log >&2; rm -f /run/sdl-install.log; exit 1; }
  rm -f /run/sdl-install.log
elif command -v dnf >/dev/null; then
  timeout 800 dnf -q -y install "$@" >/dev/null
else
  echo "there is neither apt-get nor dnf" >&2
  exit 1
fi
"#;

/// Reads a password from standard input, if there is a user.
const PULL: &str = r#"
set -eu
umask 077
folder=$(mktemp -d /run/sdl-pull.XXXXXX)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
[ -z "$2" ] || podman login --authfile "$folder/auth.json" --username "$2" --password-stdin "$3" >/dev/null
[ -e "$folder/auth.json" ] || echo '{}' >"$folder/auth.json"
timeout 850 podman pull -q --authfile "$folder/auth.json" "$1" >/dev/null </dev/null
"#;

/// Reads an archive from standard input.
const LOAD: &str = r#"
set -eu
timeout 850 podman load -q >/dev/null
podman tag "$2" "$1"
"#;

/// What an uninstallation does about images, with the manifest in `$list`.
pub(super) const REMOVAL: &str = r#"command -v podman >/dev/null && while read -r kind name; do case $kind in image) podman image rm -f "$name" >/dev/null 2>&1 </dev/null ;; esac; done <"$list""#;

/// Installs packages and brings images.
pub(super) async fn prepare(
    remote: &Remote,
    packages: &[&Package],
    images: &[&Image],
) -> anyhow::Result<()> {
    let name = remote.name();
    if !packages.is_empty() {
        let names: Vec<_> = packages.iter().map(|it| it.name).collect();
        let done = run(remote, INSTALL, &names, &[]).await;
        done.with_context(|| {
            format!(
                "{name}: {} could not be installed: do it by hand, or let the node reach its repositories",
                names.join(", ")
            )
        })?;
    }
    for Image { reference, from } in images {
        match from {
            ImageSource::Registry { login } => {
                let (user, password) = match login {
                    Some((user, password)) => (user.as_str(), password.expose()),
                    None => ("", ""),
                };
                let words = [reference, user, registry(reference)];
                let done = run(remote, PULL, &words, password.as_bytes()).await;
                done.with_context(|| {
                    format!(
                        "{name}: {reference} could not be pulled: are tag, docker_user and docker_password right, and is the registry reached from there? A node without a way to it takes scalar_image_archive"
                    )
                })?;
            }
            ImageSource::Archive { path, id } => {
                let bytes =
                    fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
                let done = run(remote, LOAD, &[reference, id], &bytes).await;
                done.with_context(|| format!("{name}: {} could not be loaded", path.display()))?;
            }
        }
    }
    Ok(())
}

/// Runs a script with words.
async fn run(remote: &Remote, script: &str, words: &[&str], input: &[u8]) -> anyhow::Result<()> {
    let words: Vec<_> = words.iter().map(|it| shell_word(it)).collect();
    let script = format!("set -- {}\n{script}", words.join(" "));
    let output = remote.script(&script, input, PATIENCE).await?;
    if output.code != 0 {
        let said = output.stderr.trim().replace('\n', " | ");
        bail!("{}", said.chars().take(500).collect::<String>());
    }
    Ok(())
}

/// The registry in an image's name.
fn registry(reference: &str) -> &str {
    match reference.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => "docker.io",
    }
}

#[cfg(test)]
mod tests {
    use super::registry;

    #[test]
    fn registries() {
        for (reference, expect) in [
            ("ghcr.io/scalar-labs/scalardl-ledger:1", "ghcr.io"),
            ("scalarlabs/scalar-ledger:2.0.7", "docker.io"),
            ("localhost/a:1", "localhost"),
            ("127.0.0.1:5000/a:1", "127.0.0.1:5000"),
            ("a:1", "docker.io"),
        ] {
            assert_eq!(registry(reference), expect);
        }
    }
}
