//! A real Traefik with servers behind it, on ports that the kernel chose.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use rcgen::{CertificateParams, KeyPair, SerialNumber};
use testkit::{Program, Running, eventually, get};

use crate::exporter::PATIENCE;

/// The newest and the oldest that there is of 3.x by our list.
pub(crate) const NEW: &str = "3.7.15";
pub(crate) const OLD: &str = "3.3.6";

/// A server that answers every request alike, until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stop: Arc<AtomicBool>,
    load: Arc<Load>,
}

/// How many requests there are at a time, and were at most.
#[derive(Default)]
struct Load {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Server {
    pub(crate) fn start(status: u16, pause: Duration) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), status, pause)
    }

    pub(crate) fn good() -> Self {
        Self::start(200, Duration::ZERO)
    }

    /// One that was there before.
    pub(crate) fn at(address: SocketAddr, status: u16, pause: Duration) -> Self {
        let listener = eventually("the port is free", PATIENCE, || {
            TcpListener::bind(address).ok()
        });
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let load = Arc::<Load>::default();
        let its = Arc::clone(&load);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stopped.load(Ordering::Acquire) {
                    return;
                }
                let load = Arc::clone(&its);
                std::thread::spawn(move || {
                    let now = load.now.fetch_add(1, Ordering::AcqRel) + 1;
                    load.most.fetch_max(now, Ordering::AcqRel);
                    answer(stream, status, pause, &load);
                });
            }
        });
        Self {
            address,
            stop,
            load,
        }
    }

    /// Requests that there were at a time.
    pub(crate) fn most(&self) -> usize {
        self.load.most.load(Ordering::Acquire)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Answers one request, as a server without kept connections does.
fn answer(mut stream: TcpStream, status: u16, pause: Duration, load: &Load) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let (mut line, mut length) = (String::new(), 0);
    while line != "\r\n" {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            load.now.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        if let Some(value) = line.strip_prefix("Content-Length:") {
            length = value.trim().parse().ok()?;
        }
    }
    // To leave it unread would break the connection off.
    reader.read_exact(&mut vec![0; length]).ok()?;
    std::thread::park_timeout(pause);
    // Before the answer: after it the next one may come at once.
    load.now.fetch_sub(1, Ordering::AcqRel);
    let head = format!("HTTP/1.1 {status} So\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
    stream.write_all(head.as_bytes()).ok()
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // It waits for a connection.
        drop(TcpStream::connect(self.address));
    }
}

/// An address where nobody listens.
pub(crate) fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// How Traefik is set up.
pub(crate) struct Setup {
    pub(crate) version: &'static str,
    /// More lines of the static configuration.
    pub(crate) more: &'static str,
    /// Of the API's router, as a flow mapping of YAML.
    pub(crate) api_router: &'static str,
    pub(crate) log_format: &'static str,
}

impl Setup {
    pub(crate) const fn new(version: &'static str) -> Self {
        Self {
            version,
            more: "api: {dashboard: false}",
            api_router: "{entryPoints: [api], rule: 'PathPrefix(`/api`)', service: api@internal}",
            log_format: "json",
        }
    }
}

/// A Traefik that runs. Its folder has `dynamic/`, `traefik.yml` and `traefik.log`.
pub(crate) struct Traefik {
    version: &'static str,
    folder: tempfile::TempDir,
    ports: Ports,
    running: Option<Running>,
}

/// Of entry points.
#[derive(Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) api: SocketAddr,
    pub(crate) web: SocketAddr,
    pub(crate) secure: SocketAddr,
    pub(crate) tcp: SocketAddr,
    pub(crate) udp: SocketAddr,
}

impl Ports {
    /// Free ones, each another: they are held until all are chosen.
    fn choose() -> Self {
        let held: [TcpListener; 4] =
            std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let [api, web, secure, tcp] = held.each_ref().map(|it| it.local_addr().unwrap());
        let udp = UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        Self {
            api,
            web,
            secure,
            tcp,
            udp,
        }
    }
}

impl Traefik {
    /// Starts one with this dynamic configuration, and waits until it answers.
    pub(crate) fn start(setup: &Setup, dynamic: &str) -> Self {
        Self::start_with(setup.version, |traefik| {
            traefik.write(
                "api.yml",
                &format!("http: {{routers: {{api: {}}}}}", setup.api_router),
            );
            if !dynamic.is_empty() {
                traefik.write("network.yml", dynamic);
            }
            traefik.configuration(setup)
        })
    }

    /// Starts one with the static configuration that this gives, which may write files of the dynamic one.
    pub(crate) fn start_with(
        version: &'static str,
        configuration: impl Fn(&Self) -> String,
    ) -> Self {
        // Somebody else may take a port that was free.
        for _ in 0..5 {
            let ports = Ports::choose();
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join("dynamic")).unwrap();
            let mut traefik = Self {
                version,
                folder,
                ports,
                running: None,
            };
            fs::write(traefik.path("traefik.yml"), configuration(&traefik)).unwrap();
            traefik.run();
            if traefik.answers() {
                return traefik;
            }
        }
        panic!("no free ports");
    }

    fn configuration(&self, setup: &Setup) -> String {
        let Ports {
            api,
            web,
            secure,
            tcp,
            udp,
        } = self.ports;
        let (folder, more, format) = (self.folder.path().display(), setup.more, setup.log_format);
        format!(
            "entryPoints:\n  api: {{address: '{api}'}}\n  web: {{address: '{web}'}}\n  secure: {{address: '{secure}'}}\n  \
             tcp: {{address: '{tcp}'}}\n  udp: {{address: '{udp}/udp'}}\nping: {{entryPoint: api}}\n\
             metrics: {{prometheus: {{entryPoint: api, addRoutersLabels: true}}}}\n\
             providers: {{providersThrottleDuration: 100ms, file: {{directory: '{folder}/dynamic', watch: true}}}}\n\
             log: {{level: INFO, format: {format}, filePath: '{folder}/traefik.log'}}\n\
             accessLog: {{format: json, filePath: '{folder}/access.log'}}\n\
             global: {{checkNewVersion: false, sendAnonymousUsage: false}}\n{more}\n"
        )
    }

    /// Starts it, again maybe.
    pub(crate) fn run(&mut self) {
        let program = Program::at(parts::traefik(self.version).unwrap());
        self.running = Some(
            program
                .arg_path("--configFile", &self.path("traefik.yml"))
                .start(),
        );
    }

    /// Whether it does, or else has found a port taken.
    fn answers(&self) -> bool {
        eventually("Traefik answers", PATIENCE, || {
            if get(self.ports.api, "/ping").is_some_and(|it| it.0 == 200) {
                return Some(true);
            }
            let log = fs::read_to_string(self.path("traefik.log")).unwrap_or_default();
            log.contains("address already in use").then_some(false)
        })
    }

    pub(crate) fn wait(&self) {
        assert!(self.answers(), "its ports were taken meanwhile");
    }

    pub(crate) fn end(&mut self) {
        let running = self.running.take().unwrap();
        // Some end with the signal, some well.
        running.terminate();
    }

    /// Tells it to open its access log anew.
    pub(crate) fn signal(&self) {
        self.running
            .as_ref()
            .unwrap()
            .signal(rustix::process::Signal::USR1);
    }

    pub(crate) const fn ports(&self) -> &Ports {
        &self.ports
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.ports.api)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of the dynamic configuration, at once as an editor does.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path("dynamic").join(name);
        let new = self.path(&format!("{name}.new"));
        fs::write(&new, text).unwrap();
        fs::rename(new, path).unwrap();
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path("dynamic").join(name)).unwrap();
    }

    /// The status that a client gets by this Host.
    pub(crate) fn ask(&self, host: &str) -> u16 {
        ask(self.ports.web, "GET", host, "")
    }
}

/// The status of an answer.
pub(crate) fn ask(address: SocketAddr, method: &str, host: &str, body: &str) -> u16 {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = match body.len() {
        0 => String::new(),
        length => format!("Content-Length: {length}\r\n"),
    };
    let request =
        format!("{method} / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{length}\r\n{body}");
    stream.write_all(request.as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line.split(' ').nth(1).unwrap().parse().unwrap()
}

/// A certificate and its key in files of a folder, of these names and this serial number.
pub(crate) fn certificate(
    folder: &Path,
    name: &str,
    names: &[&str],
    serial: u64,
) -> (PathBuf, PathBuf) {
    let names: Vec<_> = names.iter().map(|it| (*it).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.serial_number = Some(SerialNumber::from(serial));
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let paths = (
        folder.join(format!("{name}.crt")),
        folder.join(format!("{name}.key")),
    );
    fs::write(&paths.0, certificate.pem()).unwrap();
    fs::write(&paths.1, key.serialize_pem()).unwrap();
    paths
}
