//! Ledgers and the entry point before them, from nothing: a real Traefik, and containers by a real podman. The ledger in them is a stand-in,
//! for Scalar DL's image cannot be had without a licence; it does without Cassandra here.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

use http_body_util::{BodyExt as _, Full};
use hyper::{Request, body::Bytes, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, KeyPair};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer};
use serde_json::{Value, json};
use testkit::eventually;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    cassandra::Ring,
    containers::{Image, Registry},
    operator::Operator,
};

const PATIENCE: Duration = Duration::from_secs(40);
const HEALTH: &str = "/grpc.health.v1.Health/Check";
const EXECUTE: &str = "/rpc.Ledger/ExecuteContract";
const PASSWORD: &str = "a-password-of-a-registry-0123456789";
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 91, 0, 21);
/// The entry point's port for TLS, and its name.
const SECURE: u16 = 443;
const NAME: &str = "ledger.example";
const ENTRY: Ipv4Addr = Ipv4Addr::new(10, 91, 0, 23);

/// A client in the network of a machine, which calls when it is told to.
struct Client {
    calls: Sender<(SocketAddr, &'static str, Vec<u8>)>,
    answers: Receiver<Result<Vec<u8>, String>>,
}

impl Client {
    fn start(namespace: &Path) -> Self {
        Self::trusting(namespace, None)
    }

    fn trusting(namespace: &Path, trusted: Option<CertificateDer<'static>>) -> Self {
        let namespace = fs::File::open(namespace).unwrap();
        let (calls, todo) = channel::<(SocketAddr, &'static str, Vec<u8>)>();
        let (done, answers) = channel();
        std::thread::spawn(move || {
            let network = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace.as_fd(), network).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            while let Ok((address, method, message)) = todo.recv() {
                let answer = runtime.block_on(async {
                    let call = call(address, method, message, trusted.clone());
                    tokio::time::timeout(Duration::from_secs(10), call).await
                });
                let answer = answer.unwrap_or_else(|_| Err("late".to_owned()));
                if done.send(answer).is_err() {
                    return;
                }
            }
        });
        Self { calls, answers }
    }

    fn call(
        &self,
        address: (Ipv4Addr, u16),
        method: &'static str,
        message: &[u8],
    ) -> Result<Vec<u8>, String> {
        let call = (address.into(), method, message.to_vec());
        self.calls.send(call).map_err(|it| it.to_string())?;
        self.answers.recv().map_err(|it| it.to_string())?
    }

    /// The status in an answer about health.
    fn health(&self, address: (Ipv4Addr, u16)) -> Option<u8> {
        self.call(address, HEALTH, &[]).ok()?.last().copied()
    }
}

/// With TLS where it is meant for it, then as long as the one who answers is [`NAME`] by this certificate.
async fn call(
    address: SocketAddr,
    method: &str,
    message: Vec<u8>,
    trusted: Option<CertificateDer<'static>>,
) -> Result<Vec<u8>, String> {
    let stream = tokio::net::TcpStream::connect(address).await;
    let stream = stream.map_err(|it| it.to_string())?;
    if address.port() != SECURE {
        return exchange(stream, address, method, message).await;
    }
    let mut roots = RootCertStore::empty();
    roots.add(trusted.unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector.connect(NAME.try_into().unwrap(), stream).await;
    let stream = stream.map_err(|it| it.to_string())?;
    exchange(stream, address, method, message).await
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    address: SocketAddr,
    method: &str,
    message: Vec<u8>,
) -> Result<Vec<u8>, String> {
    let said = |it: &dyn std::fmt::Display| it.to_string();
    let stream = TokioIo::new(stream);
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream)
        .await
        .map_err(|it| said(&it))?;
    let connection = tokio::spawn(connection);
    let mut bytes = vec![0];
    bytes.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    bytes.extend(message);
    let request = Request::post(format!("http://{address}{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(Bytes::from(bytes)))
        .unwrap();
    let response = sender.send_request(request).await.map_err(|it| said(&it))?;
    let (head, body) = response.into_parts();
    #[expect(clippy::disallowed_methods, reason = "a test's own server")]
    let body = body.collect().await.map_err(|it| said(&it))?;
    connection.abort();
    let status = body.trailers().and_then(|it| it.get("grpc-status"));
    let status = status.or_else(|| head.headers.get("grpc-status"));
    if head.status != 200 || status.is_none_or(|it| it != "0") {
        return Err(format!("{} {status:?}", head.status));
    }
    Ok(body.to_bytes().get(5..).unwrap_or_default().to_vec())
}

/// The network of a machine.
fn namespace(operator: &Operator, host: &str) -> PathBuf {
    let name = operator.hosts.namespace().display().to_string();
    name.replace("-operator", &format!("-{host}")).into()
}

#[test]
fn from_nothing_to_ledgers_behind_an_entry_point() {
    let Some(operator) = Operator::start(&["scalardl", "scalardl", "traefik"]) else {
        return;
    };
    let traefik = operator.path("traefik_v3.7.15_linux_amd64.tar.gz");
    release(&parts::traefik("3.7.15").unwrap(), &traefik);
    let serve = ["serve-ledger", "--address=0.0.0.0", "--alone"];
    let image = |words: &[&str]| Image::new(&[&serve[..], words].concat());
    // Long enough for Traefik to see that it is not serving.
    let first = image(&["--decommissioning=9"]);
    let login = format!("somebody:{PASSWORD}");
    let registry = Registry::start(&namespace(&operator, "n1"), (FIRST, 5000), &login, &first);
    for host in ["n1", "n2"] {
        operator.shell(host, "mkdir -p /etc/containers/registries.conf.d && printf '[[registry]]\\nlocation = \"10.91.0.21:5000\"\\ninsecure = true\\n' >/etc/containers/registries.conf.d/test.conf");
        // Everything that any process was started with, as long as the test lasts.
        operator.shell(host, "systemd-run -q --unit=watch sh -c 'while :; do cat /proc/[0-9]*/cmdline 2>/dev/null | tr \"\\0\" \" \" | tr -c \"[:print:]\" \"\\n\" | grep -a 0123456789 >>/run/seen; sleep 0.02; done'");
    }
    let configure = |more: &Value| {
        let mut config = json!({
            "services": ["scalardl", "traefik"],
            "scalar_properties": {"scalar.db.storage": "jdbc"},
            "artifacts": {"traefik": {"path": traefik, "version": "3.7.15"}},
            "scalar_image": "10.91.0.21:5000/scalar/ledger",
            "tag": "1",
            "docker_user": "somebody",
            "docker_password": PASSWORD,
        });
        let keys = config.as_object_mut().unwrap();
        keys.extend(more.as_object().unwrap().clone());
        operator.configure(&config);
    };

    // A wrong password: what is wrong is said, and nothing was changed.
    configure(&json!({"docker_password": "another"}));
    let said = operator.ends(&["install", "n1"], 1);
    assert!(said.contains("could not be pulled"), "{said}");
    assert!(said.contains("docker_password"), "{said}");
    let (is_there, _) = operator
        .hosts
        .shell("n1", "test -e /etc/systemd/system/scalardl.service");
    assert!(!is_there);

    configure(&json!({}));
    let said = operator.ends(&["install"], 0);
    assert!(said.contains("4 of 4 nodes changed"), "{said}");
    assert!(said.contains("is not kept by Cassandra"), "{said}");
    let asked = registry.asked();
    assert!(asked.iter().any(|it| it.starts_with("401 ")), "{asked:?}");
    let manifest = "200 /v2/scalar/ledger/manifests/1".to_owned();
    assert!(asked.contains(&manifest), "{asked:?}");
    // The second node knew it from the registry, too.
    assert!(asked.iter().filter(|it| **it == manifest).count() >= 2);

    let client = Client::start(&namespace(&operator, "bastion"));
    for port in [50051, 50052] {
        eventually(
            "the entry point knows a ledger that serves",
            PATIENCE,
            || (client.health((ENTRY, port)) == Some(1)).then_some(()),
        );
    }
    let executes = || client.call((ENTRY, 50051), EXECUTE, b"something");
    assert_eq!(executes(), Ok(b"something".to_vec()));
    // What is for operators and Prometheus is at the ledgers alone.
    let outside = Client::start(&namespace(&operator, "bastion"));
    assert!(
        outside
            .call((FIRST, 50053), "/rpc.Admin/CheckPaused", &[])
            .is_ok()
    );
    for port in [50053, 8080] {
        let said = outside.call((ENTRY, port), "/rpc.Admin/CheckPaused", &[]);
        assert!(said.unwrap_err().contains("refused"), "{port}");
    }
    let said = operator.shell("n1", "cat /proc/$(pgrep -f '^/provisioner')/status");
    assert!(said.contains("Uid:\t201\t201"), "{said}");
    assert!(said.contains("CapEff:\t0000000000000000"), "{said}");

    let begin = operator.shell("n1", "systemctl show -p MainPID -p NRestarts scalardl");
    let said = operator.ends(&["install"], 0);
    assert!(said.contains("4 nodes looked at, 0 differ"), "{said}");
    assert_eq!(
        operator.shell("n1", "systemctl show -p MainPID -p NRestarts scalardl"),
        begin
    );

    let said = operator.ends(&["status", "--json"], 0);
    let status: Value = serde_json::from_str(&said).unwrap();
    for (node, service) in [(1, "scalardl"), (2, "scalardl"), (3, "traefik")] {
        let services = status[0]["nodes"][node]["services"].as_array().unwrap();
        let service = services.iter().find(|it| it["name"] == service);
        assert_eq!(service.unwrap()["is_healthy"], true, "{said}");
    }
    let said = operator.run(&["doctor", "--json"]).stdout;
    let doctor: Value = serde_json::from_str(&said).unwrap();
    for check in doctor["checks"].as_array().unwrap() {
        let is_ours = ["drift", "ports", "services"]
            .iter()
            .any(|it| check["check"] == *it);
        assert!(!is_ours || check["is_problem"] == false, "{check}");
    }

    // A ledger dies: it comes back by itself.
    operator.shell("n1", "podman kill --signal KILL scalardl");
    eventually("the ledger was started again", PATIENCE, || {
        let said = operator.shell("n1", "systemctl show -p NRestarts scalardl");
        (said.trim() != "NRestarts=0" && client.health((FIRST, 50051)) == Some(1)).then_some(())
    });

    // One is stopped: clients do not notice.
    let up = |count: &str| {
        let metrics = operator.shell("n3", "cat /etc/traefik/dynamic/scalardl.yml");
        assert_eq!(metrics.matches("50051\n").count(), 4, "{metrics}");
        let count = count.to_owned();
        eventually("the entry point sees it", PATIENCE, || {
            let said = raw(&operator);
            (said.matches(r#""h2c://10.91.0.2"#).count() > 0
                && said.matches(":50051\":\"UP\"").count().to_string() == count)
                .then_some(())
        });
    };
    up("2");
    operator.shell("n1", "systemctl stop --no-block scalardl");
    let mut calls = 0;
    loop {
        assert_eq!(executes(), Ok(b"something".to_vec()), "after {calls} calls");
        calls += 1;
        let (is_active, _) = operator.hosts.shell("n1", "systemctl is-active scalardl || systemctl show -p ActiveState scalardl | grep deactivating");
        if !is_active {
            break;
        }
    }
    assert!(calls > 10, "{calls}");
    let said = operator.ends(&["install"], 0);
    assert!(said.contains("1 of 4 nodes changed"), "{said}");
    up("2");

    // Another tag, by a file: one after the other, and clients do not notice.
    let archive = operator.path("second.tar");
    image(&["--decommissioning=8"]).save(&archive);
    let second = json!({"tag": "2", "scalar_image_archive": archive});
    configure(&second);
    let (running, said) = operator.begin(&["install"], "second");
    let mut calls = 0;
    while !fs::read_to_string(&said)
        .unwrap_or_default()
        .contains("nodes changed")
    {
        assert_eq!(executes(), Ok(b"something".to_vec()), "after {calls} calls");
        calls += 1;
        assert!(calls < 100_000, "it comes to no end");
    }
    assert!(running.ended().success());
    let said = fs::read_to_string(&said).unwrap();
    assert!(said.contains("2 of 4 nodes changed"), "{said}");
    let runs = |host: &str| operator.shell(host, "podman inspect --format '{{.Image}}' scalardl");
    let now = runs("n1");
    assert_eq!(now, runs("n2"));
    up("2");

    // One that does not run: the first is put back, the other was not touched.
    let wrong = operator.path("wrong.tar");
    Image::new(&["no-such-word"]).save(&wrong);
    let before = operator.shell("n2", "systemctl show -p MainPID scalardl");
    configure(&json!({"tag": "2", "scalar_image_archive": wrong}));
    let said = operator.ends(&["install"], 1);
    assert!(said.contains("n1: scalardl.service"), "{said}");
    assert!(said.contains("It has what it had before again"), "{said}");
    assert_eq!((runs("n1"), runs("n2")), (now.clone(), now));
    assert_eq!(
        operator.shell("n2", "systemctl show -p MainPID scalardl"),
        before
    );
    eventually("the one that was put back serves", PATIENCE, || {
        (client.health((FIRST, 50051)) == Some(1)).then_some(())
    });
    configure(&second);
    operator.ends(&["install"], 0);
    let said = operator.ends(&["install"], 0);
    assert!(said.contains("0 differ"), "{said}");

    secured(&operator, &|more| {
        let keys = second.as_object().unwrap().iter();
        let mut all = more.as_object().unwrap().clone();
        all.extend(keys.map(|(key, value)| (key.clone(), value.clone())));
        configure(&all.into());
    });

    // The registry's password is nowhere: no process had it, no file has it, nobody wrote it down.
    for host in ["n1", "n2"] {
        let said = operator.shell(
            host,
            &format!("cat /run/seen | grep -v grep | grep -aF {PASSWORD} || :; journalctl -q --no-pager | grep -aF {PASSWORD} || :; grep -rlF {PASSWORD} /etc /opt /var/lib/scalar-dl-monitoring /root /home /run --exclude=seen || :; ls -d /run/sdl-* 2>/dev/null || :"),
        );
        assert_eq!(said, "", "{host}");
    }

    // Everything goes; the system's package stays.
    operator.ends(&["uninstall", "--yes"], 0);
    let said = operator.shell(
        "n1",
        "podman ps -aq; podman images -q; ls /etc/systemd/system/scalardl.service 2>/dev/null || :",
    );
    assert_eq!(said, "");
}

/// Packs Traefik as its releases are: nothing is around the program and the papers beside it.
fn release(program: &Path, path: &Path) {
    let file = fs::File::create(path).unwrap();
    let packed = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    let mut tar = tar::Builder::new(packed);
    for (name, bytes) in [
        ("LICENSE.md", b"MIT\n".to_vec()),
        ("traefik", fs::read(program).unwrap()),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        tar.append_data(&mut header, name, bytes.as_slice())
            .unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap();
}

/// Makes a repository with a package of crun, which is the one that was there.
const REPOSITORY: &str = r#"set -e
mkdir -p /srv/repository/crun/DEBIAN /srv/repository/crun/usr/bin
cd /srv/repository
printf 'Package: crun\nVersion: 99\nArchitecture: amd64\nMaintainer: nobody <nobody@example.com>\nDescription: a test\n' >crun/DEBIAN/control
ln -s crun-itself crun/usr/bin/crun
dpkg-deb --build crun crun.deb >/dev/null
{ dpkg-deb -f crun.deb; echo "Filename: ./crun.deb"; echo "Size: $(stat -c %s crun.deb)"; echo "SHA256: $(sha256sum <crun.deb | cut -d ' ' -f 1)"; } >Packages
echo 'deb [trusted=yes] file:/srv/repository ./' >/etc/apt/sources.list"#;

/// A real Cassandra that is somebody else's: its schema is loaded once, and until then no ledger is started.
#[test]
fn the_schema() {
    let Some(ring) = Ring::start_with(&["cassandra", "scalardl"]) else {
        return;
    };
    let operator = &ring.operator;
    let (ledger, loader) = (operator.path("ledger.tar"), operator.path("loader.tar"));
    Image::new(&["serve-ledger", "--address=0.0.0.0", "--decommissioning=0"]).save(&ledger);
    let configure = |loader: &Path| {
        operator.configure(&json!({
            "services": ["scalardl"],
            "cassandra_user": "a-ledger",
            "cassandra_password": PASSWORD,
            "scalar_image_archive": ledger,
            "scalar_schema_image_archive": loader,
        }));
    };

    // A package that is missing comes from the system's repositories, when they are there.
    operator.shell(
        "n2",
        "cp /usr/bin/crun /usr/bin/crun-itself && dpkg --force-depends --purge crun >/dev/null 2>&1 && : >/etc/apt/sources.list",
    );
    Image::new(&["load-schema"]).save(&loader);
    configure(&loader);
    let said = operator.ends(&["install", "n2"], 1);
    assert!(
        said.contains("n2: crun could not be installed: do it by hand"),
        "{said}"
    );
    operator.shell("n2", REPOSITORY);

    // A loader that does not work: no ledger is started, and it is said why.
    Image::new(&["no-such-word"]).save(&loader);
    configure(&loader);
    let said = operator.ends(&["install", "n2"], 1);
    assert!(
        said.contains("n2: the ledger's schema could not be loaded"),
        "{said}"
    );
    let (is_there, _) = operator
        .hosts
        .shell("n2", "test -e /etc/systemd/system/scalardl.service");
    assert!(!is_there);

    Image::new(&["load-schema"]).save(&loader);
    configure(&loader);
    let said = operator.ends(&["install", "n2", "--dry-run"], 2);
    assert!(
        said.contains("n2: load the ledger's schema by ")
            && said.contains("Cassandra has no keyspace coordinator, scalar"),
        "{said}"
    );
    let said = operator.ends(&["install", "n2"], 0);
    assert!(
        said.contains("n2: the ledger's schema was loaded, 1 copies"),
        "{said}"
    );
    let client = Client::start(&namespace(operator, "bastion"));
    let ledger = (Ipv4Addr::new(10, 91, 0, 22), 50051);
    assert_eq!(client.health(ledger), Some(1));
    // It is there: a second time nothing is done.
    let said = operator.ends(&["scalardl", "schema", "load"], 0);
    assert!(said.contains("Cassandra has the ledger's schema"), "{said}");

    // Without Cassandra it is not serving, and says so.
    operator.shell("n1", "systemctl stop cassandra");
    eventually("it is not serving", PATIENCE, || {
        (client.health(ledger) == Some(2)).then_some(())
    });
    let said = operator.ends(&["scalardl", "schema", "load"], 1);
    assert!(said.contains("Cassandra could not be asked"), "{said}");
    let said = operator.shell(
        "n2",
        &format!("ls -d /run/sdl-* 2>/dev/null; grep -rlF {PASSWORD} /etc /opt /run /var/log --exclude-dir=crun || :"),
    );
    assert_eq!(said.trim(), "/etc/scalar-dl-monitoring/scalardl/ledger.env");
}

/// Another password of the ledgers' user takes the place of the one before, one ledger after the other: at all times one serves.
#[test]
fn another_password() {
    let folder = tempfile::tempdir().unwrap();
    let Some(archives) = crate::ring::archives(folder.path()) else {
        return;
    };
    let Some(operator) = Operator::start(&["cassandra", "scalardl", "scalardl"]) else {
        return;
    };
    crate::ring::prepare(&operator, "n1");
    let (ledger, loader) = (operator.path("ledger.tar"), operator.path("loader.tar"));
    Image::new(&["serve-ledger", "--address=0.0.0.0", "--decommissioning=1"]).save(&ledger);
    Image::new(&["load-schema"]).save(&loader);
    let [cassandra, java] = &archives;
    operator.configure(&json!({
        "services": ["cassandra", "scalardl"],
        "cassandra_heap_mb": 192,
        "scalar_image_archive": ledger,
        "scalar_schema_image_archive": loader,
        "artifacts": {
            "cassandra": {"path": cassandra, "version": parts::cassandra::NEWEST},
            "java": {"path": java, "version": "17"},
            "jolokia": {"path": parts::cassandra::Agent::Jolokia26.jar().unwrap()},
        },
    }));
    operator.ends(&["install"], 0);
    let secret = operator.path("env/secrets/scalardl");
    let process = |host: &str| operator.shell(host, "systemctl show -p MainPID --value scalardl");
    let before = ["n2", "n3"].map(process);
    let client = Client::start(&namespace(&operator, "bastion"));
    let serves = |last: u8| client.health((Ipv4Addr::new(10, 91, 0, last), 50051)) == Some(1);
    assert!(serves(22) && serves(23));

    // Not for some of them: the others would be left behind.
    fs::write(&secret, "another-password-0123456789").unwrap();
    let said = operator.ends(&["install", "n2"], 1);
    assert!(
        said.contains("`install` of all nodes exchanges it"),
        "{said}"
    );
    assert_eq!(["n2", "n3"].map(process), before);

    let (running, said) = operator.begin(&["install"], "exchange");
    while !running.log().contains("(end of output)") {
        assert!(serves(22) || serves(23), "neither serves");
    }
    assert!(running.ended().success());
    let said = fs::read_to_string(&said).unwrap();
    assert!(
        said.contains("Cassandra: another password of the ledgers' user"),
        "{said}"
    );
    assert!(said.contains("2 of 4 nodes changed"), "{said}");
    let after = ["n2", "n3"].map(process);
    assert!(before[0] != after[0] && before[1] != after[1]);
    assert!(serves(22) && serves(23));
    let said = operator.ends(&["install"], 0);
    assert!(said.contains("0 differ"), "{said}");
}

/// A certificate of the user's own: clients have TLS with it, and nothing of it is left when it is taken away.
fn secured(operator: &Operator, configure: &dyn Fn(&Value)) {
    let certified = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let made = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
        let made = made.self_signed(&key).unwrap();
        let [crt, pem] = ["crt", "key"].map(|it| operator.path(&format!("{name}.{it}")));
        fs::write(&crt, made.pem()).unwrap();
        fs::write(&pem, key.serialize_pem()).unwrap();
        let client = Client::trusting(&namespace(operator, "bastion"), Some(made.der().clone()));
        (
            json!({"traefik_certificate_file": crt, "traefik_key_file": pem}),
            client,
        )
    };
    let [(first, client), (second, other)] = ["first", "second"].map(certified);
    let call = |client: &Client| client.call((ENTRY, SECURE), EXECUTE, b"something");
    assert!(call(&client).unwrap_err().contains("refused"));

    let mixed = json!({"traefik_certificate_file": first["traefik_certificate_file"], "traefik_key_file": second["traefik_key_file"]});
    configure(&mixed);
    let said = operator.ends(&["install"], 1);
    assert!(said.contains("the key is not the certificate's"), "{said}");

    configure(&first);
    let said = operator.ends(&["install"], 0);
    assert!(said.contains("1 of 4 nodes changed"), "{said}");
    eventually("TLS", PATIENCE, || call(&client).ok());
    assert!(call(&other).is_err());
    let answers = client.call(
        (ENTRY, SECURE),
        "/rpc.LedgerPrivileged/RegisterCertificate",
        &[],
    );
    assert!(answers.is_err(), "{answers:?}");

    // Another one is shown at once, and the process is the same.
    let process = || operator.shell("n3", "systemctl show -p MainPID traefik");
    let before = process();
    configure(&second);
    operator.ends(&["install"], 0);
    eventually("the other certificate", PATIENCE, || call(&other).ok());
    assert!(call(&client).is_err());
    assert_eq!(process(), before);

    // One that has ended is not put there; and it keeps nobody from working on other nodes.
    let key = KeyPair::generate().unwrap();
    let mut ended = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    ended.not_after = rcgen::date_time_ymd(2026, 1, 1);
    let [crt, pem] = ["crt", "key"].map(|it| operator.path(&format!("ended.{it}")));
    fs::write(&crt, ended.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(&pem, key.serialize_pem()).unwrap();
    configure(&json!({"traefik_certificate_file": crt, "traefik_key_file": pem}));
    let said = operator.ends(&["install"], 1);
    assert!(said.contains("ended on 2026-01-01T00:00:00Z"), "{said}");
    operator.ends(&["install", "n1", "n2"], 0);
    operator.ends(&["status"], 0);
    assert!(call(&other).is_ok());

    configure(&json!({}));
    operator.ends(&["install"], 0);
    assert!(call(&other).unwrap_err().contains("refused"));
    operator.shell("n3", "! grep -r 'PRIVATE KEY' /etc/traefik");
}

/// What Traefik's API tells of services, which its own machine alone may ask.
fn raw(operator: &Operator) -> String {
    let (_, said) = operator.hosts.shell(
        "n3",
        "python3 -c 'import socket; s = socket.create_connection((\"127.0.0.1\", 8080)); s.sendall(b\"GET /api/http/services HTTP/1.0\\r\\n\\r\\n\"); print(b\"\".join(iter(lambda: s.recv(65536), b\"\")).decode())'",
    );
    said
}
