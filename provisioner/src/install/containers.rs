//! What containers need on a node before anything is changed there: the system's package, and images, pulled from a registry or sent. A
//! registry's password is on standard input and in a file of root's in memory, for as long as the pull takes.

use std::{fs, time::Duration};

use anyhow::{Context as _, bail};

use crate::{
    desired::{Image, ImageSource, Package, STATE},
    exec::shell_word,
    remote::Remote,
};

/// Repositories and registries may be far away.
const PATIENCE: Duration = Duration::from_secs(900);

/// Packages, by their names and commands in turn, are installed by whichever program the system has. Nobody is asked, and locks are waited for.
const INSTALL: &str = r#"
set -eu
umask 077
said=$(mktemp /run/sdl-install.XXXXXX)
trap 'rm -f "$said"' EXIT
trap 'exit 1' HUP INT TERM
names= commands=
while [ $# -gt 0 ]; do names="$names $1" commands="$commands $2"; shift 2; done
fails() { tail -n 3 "$said" >&2; exit 1; }
if command -v apt-get >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  install() { timeout 400 apt-get -q -y -o DPkg::Lock::Timeout=60 --no-install-recommends install $names </dev/null; }
  # Lists may be too old, or not there.
  install >"$said" 2>&1 || { timeout 200 apt-get -q update </dev/null && install; } >"$said" 2>&1 || fails
elif command -v dnf >/dev/null; then
  timeout 800 dnf -q -y install $names </dev/null >"$said" 2>&1 || fails
else
  echo "there is neither apt-get nor dnf" >&2
  exit 1
fi
for command in $commands; do command -v "$command" >/dev/null || { echo "there is no $command after that" >&2; exit 1; }; done
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

/// Reads an archive from standard input. It has the name that is asked for, and not those that the archive has for it.
const LOAD: &str = r#"
set -eu
timeout 850 podman load -q >/dev/null
podman tag "$2" "$1"
podman image inspect --format '{{range .RepoTags}}{{println .}}{{end}}' "$2" </dev/null | while read -r name; do
  [ -z "$name" ] || [ "$name" = "$1" ] || podman untag "$2" "$name" </dev/null
done
"#;

/// Writes down what was brought. Of each name the one before stays, for a way back; those that are older go, but for one that runs.
const KEEP: &str = r#"
mkdir -p STATE
cd STATE
touch images
id=$(podman image inspect --format '{{.Id}}' "$1" </dev/null)
name=${1%:*}
last=$(grep -F " $name" images | grep -v "^$id" | tail -n 1 | cut -d ' ' -f 1)
while read -r old its; do
  case $its,$old in
  "$name,$id" | "$name,$last") ;;
  "$name",*) podman image rm "$old" >/dev/null 2>&1 </dev/null || echo "$old $its" ;;
  *) echo "$old $its" ;;
  esac
done <images >images.new
[ -z "$last" ] || echo "$last $name" >>images.new
echo "$id $name" >>images.new
mv images.new images
"#;

/// What an uninstallation does about images: all that were brought go.
pub(super) const REMOVAL: &str = r#"[ ! -f STATE/images ] || while read -r id _; do podman image rm -f "$id" >/dev/null 2>&1 </dev/null; done <STATE/images"#;

/// Installs packages and brings images.
pub(super) async fn prepare(
    remote: &Remote,
    packages: &[&Package],
    images: &[&Image],
) -> anyhow::Result<()> {
    let name = remote.name();
    if !packages.is_empty() {
        let names: Vec<_> = packages.iter().map(|it| it.name).collect();
        let words: Vec<_> = packages
            .iter()
            .flat_map(|it| [it.name, it.command])
            .collect();
        let done = run(remote, INSTALL, &words, &[]).await;
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
                let done = run(remote, &keeping(PULL), &words, password.as_bytes()).await;
                done.with_context(|| {
                    format!(
                        "{name}: {reference} could not be pulled: are tag, docker_user and docker_password right, and is the registry reached from there? A node without a way to it takes scalar_image_archive"
                    )
                })?;
            }
            ImageSource::Archive { path, id } => {
                let bytes =
                    fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
                let done = run(remote, &keeping(LOAD), &[reference, id], &bytes).await;
                done.with_context(|| format!("{name}: {} could not be loaded", path.display()))?;
            }
        }
    }
    Ok(())
}

fn keeping(script: &str) -> String {
    format!("{script}{}", KEEP.replace("STATE", STATE))
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
