//! An image of the ledger's stand-in, made of this repository's own program, and a registry that gives it to whoever has the password. Scalar
//! DL's own image cannot be had without a licence.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::Engine as _;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::json;
use testkit::{Program, binary};

/// What an image is made of.
pub(crate) struct Image {
    layer: Vec<u8>,
    config: Vec<u8>,
}

impl Image {
    /// One that runs the stand-in with these words.
    pub(crate) fn new(words: &[&str]) -> Self {
        let own = binary("provisioner");
        let mut tar = tar::Builder::new(Vec::new());
        let mut add = |path: &Path, name: &str| {
            let bytes = fs::read(path).unwrap();
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o755);
            header.set_size(bytes.len() as u64);
            header.set_cksum();
            tar.append_data(&mut header, name, bytes.as_slice())
                .unwrap();
        };
        add(&own, "provisioner");
        for library in libraries(&own) {
            let name = library
                .strip_prefix("/")
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            add(&library, &name);
        }
        let layer = tar.into_inner().unwrap();
        let entry: Vec<_> = ["/provisioner", "local"].iter().chain(words).collect();
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": {"Entrypoint": entry},
            "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]},
        });
        let config = config.to_string().into_bytes();
        Self { layer, config }
    }

    /// As `docker save` writes it.
    pub(crate) fn save(&self, path: &Path) {
        let mut tar = tar::Builder::new(fs::File::create(path).unwrap());
        let manifest =
            json!([{"Config": "config.json", "RepoTags": ["any:1"], "Layers": ["layer.tar"]}]);
        for (name, bytes) in [
            ("manifest.json", manifest.to_string().as_bytes()),
            ("config.json", &self.config),
            ("layer.tar", &self.layer),
        ] {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_size(bytes.len() as u64);
            header.set_cksum();
            tar.append_data(&mut header, name, bytes).unwrap();
        }
        tar.finish().unwrap();
    }
}

/// What a program is linked with, as ldd tells.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let said = Program::at("ldd").args([program]).run().stdout;
    let paths = said.split_whitespace().filter(|it| it.starts_with('/'));
    paths.map(PathBuf::from).collect()
}

fn digest(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    let hex = digest.as_ref().iter().map(|it| format!("{it:02x}"));
    format!("sha256:{}", hex.collect::<String>())
}

/// A registry in the network of a machine, without TLS. It is there until the test ends.
pub(crate) struct Registry {
    /// Who asked for what: 401 or 200 and the path.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Registry {
    /// Serves one image, by every tag, at an address of the namespace's.
    pub(crate) fn start(
        namespace: &Path,
        address: (Ipv4Addr, u16),
        login: &str,
        image: &Image,
    ) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let registry = Self {
            asked: Arc::clone(&asked),
        };
        let manifest = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "size": image.config.len(), "digest": digest(&image.config)},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "size": image.layer.len(), "digest": digest(&image.layer)}],
        });
        let manifest = manifest.to_string().into_bytes();
        let files: Vec<(String, Vec<u8>)> = [&image.config, &image.layer]
            .into_iter()
            .map(|it| (format!("/blobs/{}", digest(it)), it.clone()))
            .chain([("/manifests/".to_owned(), manifest)])
            .collect();
        let files = Arc::new(files);
        let login = base64::engine::general_purpose::STANDARD.encode(login);
        let login: Arc<str> = format!("basic {login}").to_lowercase().into();
        let namespace = fs::File::open(namespace).unwrap();
        let (ready, is_ready) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let network = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace.as_fd(), network).unwrap();
            let listener = TcpListener::bind(address).unwrap();
            ready.send(()).unwrap();
            for stream in listener.incoming() {
                let (login, asked) = (Arc::clone(&login), Arc::clone(&asked));
                let files = Arc::clone(&files);
                // A client that goes away is none of a test's matter.
                std::thread::spawn(move || serve(stream.ok()?, &login, &asked, &files).ok());
            }
        });
        is_ready.recv().unwrap();
        registry
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Requests of one connection.
fn serve(
    mut stream: TcpStream,
    login: &str,
    asked: &Mutex<Vec<String>>,
    files: &[(String, Vec<u8>)],
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.extend(byte);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let is_known = head
            .to_lowercase()
            .contains(&format!("authorization: {login}\r\n"));
        let empty = Vec::new();
        let file = match path {
            "/v2/" => Some(&empty),
            _ => files.iter().find(|it| path.contains(&it.0)).map(|it| &it.1),
        };
        let (status, body) = match file {
            _ if !is_known => ("401 Unauthorized", &empty),
            Some(file) => ("200 OK", file),
            None => ("404 Not Found", &empty),
        };
        let code = status.split(' ').next().unwrap_or_default();
        let line = format!("{code} {path}");
        asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
        let kind = if path.contains("/manifests/") {
            "application/vnd.oci.image.manifest.v1+json"
        } else {
            "application/octet-stream"
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nWWW-Authenticate: Basic realm=\"test\"\r\nDocker-Distribution-Api-Version: registry/2.0\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        if method != "HEAD" {
            stream.write_all(body)?;
        }
    }
}
