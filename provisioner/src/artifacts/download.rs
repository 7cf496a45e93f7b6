//! Downloads, kept by what they are: `artifacts/<sha256>/<file>` in the cache. A file gets there when it is whole and right.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use client::{Client, Response, Url};
use ring::digest::{Context, SHA256};

use super::is_sha256;
use crate::output;

/// For all of a download.
const DEADLINE: Duration = Duration::from_secs(30 * 60);
/// Programs are smaller.
const MAX_SIZE: u64 = 1 << 30;
/// A publisher's list of checksums is smaller.
const MAX_CHECKSUMS: usize = 1 << 20;
/// GitHub sends elsewhere once.
const REDIRECTS: usize = 5;

/// Fetches files, and keeps them.
#[derive(Debug)]
pub(crate) struct Downloads {
    folder: PathBuf,
    max_size: u64,
    deadline: Duration,
}

impl Downloads {
    pub(crate) const fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            max_size: MAX_SIZE,
            deadline: DEADLINE,
        }
    }

    /// The same with other bounds, for tests.
    #[cfg(test)]
    pub(super) fn bounded(self, max_size: u64, deadline: Duration) -> Self {
        Self {
            folder: self.folder,
            max_size,
            deadline,
        }
    }

    /// A file that is known, from the cache or from its URL.
    pub(super) fn pinned(&self, url: &str, sha256: &str) -> anyhow::Result<PathBuf> {
        let kept = self.folder.join(sha256).join(file_name(url)?);
        // What has changed on the disk is fetched anew.
        if sha256_of(&kept).is_ok_and(|it| it == sha256) {
            return Ok(kept);
        }
        let (fresh, found) = self.fetch(url)?;
        if found != sha256 {
            bail!("{url} has the sha256 {found}, not {sha256}: it is not what was published");
        }
        keep(fresh, &kept)?;
        Ok(kept)
    }

    /// Fetches a file of which nothing is known: its sha256.
    pub(super) fn unknown(&self, url: &str) -> anyhow::Result<String> {
        let name = file_name(url)?;
        let (fresh, sha256) = self.fetch(url)?;
        keep(fresh, &self.folder.join(&sha256).join(name))?;
        Ok(sha256)
    }

    /// What a publisher's list says of a file.
    pub(super) fn checksum(&self, list: &str, url: &str) -> anyhow::Result<String> {
        let body = self.wait(async |client| {
            let response = ask(client, list).await?;
            let body = client::body(response, MAX_CHECKSUMS).await;
            body.with_context(|| format!("cannot download {list}"))
        })?;
        let name = file_name(url)?;
        checksum_in(&String::from_utf8_lossy(&body), &name)
            .with_context(|| format!("{list} says nothing of {name}"))
    }

    /// Fetches a file into the cache's folder, under no name yet.
    fn fetch(&self, url: &str) -> anyhow::Result<(tempfile::NamedTempFile, String)> {
        let cannot = || format!("cannot write into {}", self.folder.display());
        fs::create_dir_all(&self.folder).with_context(cannot)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder).with_context(cannot)?;
        output::note(format!("downloading {url}"));
        let sha256 = self.wait(async |client| {
            let mut response = ask(client, url).await?;
            let too_large = || format!("{url} has more than {} bytes", self.max_size);
            if response
                .content_length()
                .is_some_and(|it| it > self.max_size)
            {
                bail!(too_large());
            }
            let mut hash = Context::new(&SHA256);
            let mut size = 0;
            loop {
                let chunk = response.chunk().await;
                let chunk = chunk.with_context(|| format!("cannot download {url}"))?;
                let Some(chunk) = chunk else {
                    break;
                };
                size += u64::try_from(chunk.len())?;
                if size > self.max_size {
                    bail!(too_large());
                }
                hash.update(&chunk);
                file.write_all(&chunk).with_context(cannot)?;
            }
            Ok(hex(hash))
        })?;
        file.as_file().sync_all().with_context(cannot)?;
        Ok((file, sha256))
    }

    fn wait<T>(&self, ask: impl AsyncFnOnce(&Client) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let agent = concat!("provisioner/", env!("CARGO_PKG_VERSION"));
        let mut settings = client::Settings::new(agent, self.deadline);
        settings.redirects = REDIRECTS;
        settings.proxy = client::Proxy::from_environment();
        let client = client::client(&settings).context("cannot make an HTTP client")?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start")?;
        runtime.block_on(ask(&client))
    }
}

async fn ask(client: &Client, url: &str) -> anyhow::Result<Response> {
    let response = client.get(url).send().await;
    let response = response.with_context(|| format!("cannot download {url}"))?;
    if !response.status().is_success() {
        bail!("cannot download {url}: {}", response.status());
    }
    Ok(response)
}

/// Gives a file its name.
fn keep(fresh: tempfile::NamedTempFile, path: &Path) -> anyhow::Result<()> {
    let kept = (|| -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fresh.persist(path)?;
        Ok(())
    })();
    kept.with_context(|| format!("cannot write {}", path.display()))
}

/// The last part of a URL, which says by its ending what the file is.
fn file_name(url: &str) -> anyhow::Result<String> {
    let parsed = Url::parse(url).with_context(|| format!("{url} is no URL"))?;
    let name = parsed.path_segments().and_then(|mut it| it.next_back());
    let is_fine = |it: u8| it.is_ascii_alphanumeric() || b"._+-".contains(&it);
    let name = name.filter(|it| {
        (1..=200).contains(&it.len()) && !it.starts_with('.') && it.bytes().all(is_fine)
    });
    let name = name.with_context(|| format!("{url} does not end in the name of a file"))?;
    Ok(name.to_owned())
}

/// `<sha256>  <file>` in a list of several files, or a sha256 alone.
fn checksum_in(list: &str, name: &str) -> Option<String> {
    let mut lines = list.lines().map(|line| {
        let mut words = line.split_ascii_whitespace();
        let file = |it: &str| it.trim_start_matches(['*', '.', '/']).to_owned();
        (words.next().unwrap_or_default(), words.next().map(file))
    });
    let is_alone = list.lines().filter(|it| !it.trim().is_empty()).count() == 1;
    let found = lines.find(|(_, file)| match file {
        Some(file) => file == name,
        None => is_alone,
    });
    let sha256 = found?.0.to_ascii_lowercase();
    is_sha256(&sha256).then_some(sha256)
}

pub(super) fn sha256_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Context::new(&SHA256);
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(hash)),
            size => hash.update(buffer.get(..size).unwrap_or_default()),
        }
    }
}

/// The SHA-256 of bytes, in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    let mut hash = Context::new(&SHA256);
    hash.update(bytes);
    hex(hash)
}

fn hex(hash: Context) -> String {
    let hash = hash.finish();
    hash.as_ref().iter().map(|it| format!("{it:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::{checksum_in, file_name};

    #[test]
    fn names() {
        for (url, expect) in [
            (
                "https://x.example/a/b-1.0.tar.gz?x=1#y",
                Some("b-1.0.tar.gz"),
            ),
            ("https://x.example/a/", None),
            ("https://x.example", None),
            ("https://x.example/a/..", None),
            ("https://x.example/a/%2e%2e%2fb", None),
            ("https://x.example/.hidden", None),
            ("b.tar.gz", None),
        ] {
            assert_eq!(file_name(url).ok().as_deref(), expect, "{url}");
        }
    }

    #[test]
    fn checksums() {
        let (a, b) = (&"a".repeat(64), &"B".repeat(64));
        for (list, expect) in [
            (
                format!("{a}  x.tar.gz\n{b}  y.tar.gz\n"),
                Some("b".repeat(64)),
            ),
            (format!("{a} *./y.tar.gz\n"), Some(a.clone())),
            (format!("{a}\n"), Some(a.clone())),
            (format!("{a}\n{b}\n"), None),
            (format!("{a}  x.tar.gz\n"), None),
            ("abc  y.tar.gz\n".to_owned(), None),
            ("<html>".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(checksum_in(&list, "y.tar.gz"), expect, "{list}");
        }
    }
}
