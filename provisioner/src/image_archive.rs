//! Archives of container images, as `docker save` and `podman save` write them: which image is in one. Its id is the hash of its own
//! configuration, and so the same wherever it is loaded.

use std::{
    fs,
    io::{Read, Seek as _, SeekFrom},
    path::Path,
};

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::artifacts::sha256;

/// Files of an archive that are read have no more bytes.
const MOST: u64 = 16 << 20;
const OCI: &str = "index.json";
const DOCKER: &str = "manifest.json";

/// One of Docker's `manifest.json`.
#[derive(Debug, Deserialize)]
struct Saved {
    #[serde(rename = "Config")]
    config: String,
}

/// OCI's `index.json`.
#[derive(Debug, Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

/// OCI's manifest of an image.
#[derive(Debug, Deserialize)]
struct Manifest {
    config: Descriptor,
}

#[derive(Debug, Deserialize)]
struct Descriptor {
    digest: String,
}

/// The id of the one image in an archive, in hexadecimal digits.
pub(crate) fn id(path: &Path) -> anyhow::Result<String> {
    read(path).with_context(|| format!("{}: it is no archive of one image", path.display()))
}

fn read(path: &Path) -> anyhow::Result<String> {
    if let Some(text) = file(path, DOCKER)? {
        let all: Vec<Saved> = serde_json::from_slice(&text).context(DOCKER)?;
        let [Saved { config }] = all.as_slice() else {
            bail!("{DOCKER} names {} images", all.len());
        };
        let bytes = file(path, config)?;
        return Ok(sha256(
            &bytes.with_context(|| format!("it has no {config}"))?,
        ));
    }
    let index = file(path, OCI)?.with_context(|| format!("it has neither {DOCKER} nor {OCI}"))?;
    let index: Index = serde_json::from_slice(&index).context(OCI)?;
    let [Descriptor { digest }] = index.manifests.as_slice() else {
        bail!("{OCI} names {} images", index.manifests.len());
    };
    let hash = |digest: &str| {
        let hash = digest.strip_prefix("sha256:");
        let hash = hash.with_context(|| format!("{digest} is no sha256"))?;
        anyhow::Ok(hash.to_owned())
    };
    let blob = format!("blobs/sha256/{}", hash(digest)?);
    let bytes = file(path, &blob)?.with_context(|| format!("it has no {blob}"))?;
    let manifest: Manifest = serde_json::from_slice(&bytes).context("its manifest")?;
    hash(&manifest.config.digest)
}

/// The contents of a file of the archive.
fn file(path: &Path, wanted: &str) -> anyhow::Result<Option<Vec<u8>>> {
    let mut archive = fs::File::open(path).context("it cannot be read")?;
    let mut head = [0; 2];
    let is_packed = archive.read_exact(&mut head).is_ok() && head == [0x1f, 0x8b];
    archive.seek(SeekFrom::Start(0))?;
    if is_packed {
        in_tar(
            &mut tar::Archive::new(flate2::read::GzDecoder::new(archive)),
            wanted,
        )
    } else {
        let mut archive = tar::Archive::new(archive);
        let mut entries = archive.entries_with_seek()?;
        found(&mut entries, wanted)
    }
}

fn in_tar(archive: &mut tar::Archive<impl Read>, wanted: &str) -> anyhow::Result<Option<Vec<u8>>> {
    found(&mut archive.entries()?, wanted)
}

fn found<R: Read>(
    entries: &mut tar::Entries<'_, R>,
    wanted: &str,
) -> anyhow::Result<Option<Vec<u8>>> {
    for entry in entries {
        let mut entry = entry?;
        let name = entry.path()?;
        if name.strip_prefix("./").unwrap_or(&name) != Path::new(wanted) {
            continue;
        }
        if entry.size() > MOST {
            bail!("{wanted} has more than 16 MiB");
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        return Ok(Some(bytes));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use super::id;
    use crate::artifacts::sha256;

    fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            tar.append_data(&mut header, name, *bytes).unwrap();
        }
        tar.into_inner().unwrap()
    }

    #[test]
    fn which_image() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image.tar");
        let of = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            id(&path).map_err(|it| format!("{it:#}").split_once(": ").unwrap().1.to_owned())
        };
        let layer = vec![7; 4096];
        let docker = [
            ("layer.tar", layer.as_slice()),
            (
                "./manifest.json",
                br#"[{"Config":"c.json","RepoTags":["a:1"],"Layers":["layer.tar"]}]"#,
            ),
            ("c.json", b"{}"),
        ];
        assert_eq!(of(&tar(&docker)), Ok(sha256(b"{}")));
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&tar(&docker)).unwrap();
        assert_eq!(of(&packed.finish().unwrap()), Ok(sha256(b"{}")));
        let oci: [(&str, &[u8]); 2] = [
            ("index.json", br#"{"manifests":[{"digest":"sha256:aa"}]}"#),
            ("blobs/sha256/aa", br#"{"config":{"digest":"sha256:bb"}}"#),
        ];
        assert_eq!(of(&tar(&oci)), Ok("bb".to_owned()));
        for (files, expect) in [
            (
                &[("a", &b"b"[..])][..],
                "it is no archive of one image: it has neither manifest.json nor index.json",
            ),
            (
                &[("manifest.json", b"[]")],
                "it is no archive of one image: manifest.json names 0 images",
            ),
            (
                &docker[..2],
                "it is no archive of one image: it has no c.json",
            ),
            (
                &oci[..1],
                "it is no archive of one image: it has no blobs/sha256/aa",
            ),
        ] {
            assert_eq!(of(&tar(files)).unwrap_err(), expect);
        }
        assert!(of(b"no tar at all").is_err());
    }
}
