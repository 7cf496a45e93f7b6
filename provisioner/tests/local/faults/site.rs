//! The local network with all of its parts, made quick, and what a fault is done to: a second host's processes, a ring of Cassandra, disks,
//! receivers that fail.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use jiff::Timestamp;
use parts::cassandra::{NEWEST, Node, Ports, Running as Cassandra};
use serde_json::{Value, json};
use testkit::{Answer, Disk, Program, Running, Upstream, binary, eventually, request, skip};

use super::super::{
    Network, PORTS, PORTS_OF_CASSANDRA, PORTS_OF_LEDGER, PORTS_OF_TRAEFIK, fetch, kill,
};

/// For anything to come that is not measured.
const PATIENCE: Duration = Duration::from_secs(240);
/// The members of the ring besides the local network's own.
const MEMBERS: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 0, 75), Ipv4Addr::new(127, 0, 0, 76)];
/// Of a disk that is filled.
const DISK: u64 = 16 << 20;
/// How long an alert must be so here, but for those of [`LIMITS`].
pub(super) const FOR: &str = "2s";
/// What is not as in `dashboards/thresholds.toml`, besides `for`: alert, threshold, and why.
pub(super) const LIMITS: &[(&str, &str, &str)] = &[
    (
        "AgentRestarts",
        "0.5",
        "once is enough, three times would take longer",
    ),
    (
        "AlertRouterNotificationsFail",
        "0.5",
        "heals when most arrive, and not when the last failure is ten minutes old",
    ),
    (
        "EntryErrorBudgetBurns",
        "0.4",
        "heals when most requests are answered again",
    ),
    (
        "EntryErrorBudgetBurnsFast",
        "0.9",
        "heals when most requests are answered again",
    ),
    (
        "HostCpuHigh",
        "0.98",
        "the rule's rate is over five minutes, of which the host is there for the last seconds alone",
    ),
    (
        "HostDiskFillingUp",
        "0.02",
        "this machine's own disks may be half full",
    ),
    (
        "HostDiskSpaceCritical",
        "0.01",
        "this machine's own disks may be half full",
    ),
    (
        "HostDiskSpaceLow",
        "0.02",
        "this machine's own disks may be half full",
    ),
    (
        "HostInodesLow",
        "0.01",
        "this machine's own disks may be half full",
    ),
    (
        "ScrapeSlow",
        "1.5",
        "here a scrape is given up after two seconds",
    ),
];
/// What HostCpuHigh has for its `for`: without the load it would not be so any more by then.
pub(super) const FOR_CPU: &str = "10s";

/// A message of the inbox.
#[derive(Debug, Clone, serde::Deserialize)]
pub(super) struct Message {
    id: u64,
    pub(super) time: Timestamp,
    pub(super) channel: String,
    pub(super) status: String,
    pub(super) alerts: Vec<String>,
    pub(super) text: String,
}

/// Everything.
pub(super) struct Site {
    urls: BTreeMap<&'static str, String>,
    prometheus_yml: String,
    router_yml: String,
    /// The configuration of which is nonsense at the moment.
    pub(super) broken: BTreeSet<&'static str>,
    /// Whether Prometheus has alert-router's address right.
    pub(super) reaches_router: bool,
    expected: BTreeMap<&'static str, u32>,
    /// What a job of one's own asks.
    pub(super) own: Upstream,
    /// A third receiver of notifications.
    pub(super) third: Upstream,
    /// Whom the heartbeat goes to.
    pub(super) outside: Upstream,
    /// An alert-router beside the one, which tells nobody; and its address.
    pub(super) second_router: Option<Running>,
    second_address: SocketAddr,
    second: Option<SecondHost>,
    burners: Vec<Running>,
    /// Tells what files say.
    pub(super) third_host: Running,
    third_address: SocketAddr,
    ssh: SocketAddr,
    ssh_listener: Option<TcpListener>,
    ring: Option<JoinHandle<Vec<Cassandra>>>,
    nodes: Vec<Option<Cassandra>>,
    members: Vec<Node>,
    /// Mounted before their devices go.
    pub(super) disks: Vec<Mounted>,
    /// Whether a client asks for the sample service.
    client: Arc<AtomicBool>,
    /// The last message that was looked at.
    last: u64,
    /// What was said of alerts last when they fired, in Slack.
    pub(super) said: BTreeMap<String, String>,
    /// The last to go: its folder has all that the others write to, and what is mounted.
    pub(super) network: Network,
}

/// Processes that stand for a host.
struct SecondHost {
    exporter: Option<Running>,
    address: SocketAddr,
}

/// A file system of its own.
pub(super) struct Mounted {
    pub(super) folder: PathBuf,
    _disk: Disk,
}

impl Mounted {
    fn new(folder: &Path) -> Option<Self> {
        fs::create_dir_all(folder.join("at")).unwrap();
        let disk = Disk::new(folder, DISK)?;
        let folder = folder.join("at");
        let made = Program::at("mkfs.ext4")
            .args(["-q", "-N", "64", "-m", "0", "-O", "^has_journal"])
            .args([disk.device()])
            .run();
        assert!(made.status.success(), "{}", made.stderr);
        let mounted = Program::at("mount")
            .args([disk.device().as_ref(), folder.as_os_str()])
            .run();
        mounted.status.success().then_some(Self {
            folder,
            _disk: disk,
        })
    }

    pub(super) fn remount(&self, option: &str) {
        let option = format!("remount,{option}");
        let ended = Program::at("mount")
            .args(["-o".as_ref(), option.as_ref(), self.folder.as_os_str()])
            .run();
        assert!(ended.status.success(), "{}", ended.stderr);
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // It goes with the machine otherwise.
        Program::at("umount").args([&self.folder]).clean_up();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.client.store(false, Ordering::Relaxed);
    }
}

impl Site {
    /// Starts the network, makes it quick, and adds what faults are done to.
    pub(super) fn start(pages: &[(&str, &str)]) -> Self {
        for program in ["cassandra-exporter", "traefik-exporter"] {
            assert!(binary(program).is_file());
        }
        let network = Network::new();
        let folder = network.folder.path().to_owned();
        let config = folder.join("config.json");
        fs::write(&config, thresholds().to_string()).unwrap();
        let config = config.display().to_string();
        let up = [
            "local",
            "up",
            "--with=all",
            "--config",
            &config,
            PORTS,
            PORTS_OF_CASSANDRA,
            PORTS_OF_LEDGER,
            PORTS_OF_TRAEFIK,
        ];
        network.good(&up);
        let read = |name: &str| fs::read_to_string(network.state().join(name)).unwrap();
        let urls: BTreeMap<_, _> = ["alert-router", "prometheus"]
            .into_iter()
            .map(|it| (it, network.program(it)["url"].as_str().unwrap().to_owned()))
            .collect();
        // The name of the file is the metric's alert: one that is wrong says which.
        fs::create_dir(folder.join("told")).unwrap();
        for (alert, text) in pages {
            put(&folder.join(format!("told/{alert}.prom")), text);
        }
        let ssh_listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ssh = ssh_listener.local_addr().unwrap();
        let third_host = Program::new("node-exporter")
            .args(["--web.listen-address=127.0.0.1:0"])
            .args(["--collector.disable-defaults", "--collector.textfile"])
            .args(["--collector.tcp_probe"])
            .args([format!("--collector.tcp_probe.target={ssh}")])
            .arg_path("--collector.textfile.directory", &folder.join("told"))
            .start();
        let second_config = folder.join("second.yml");
        let text = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n";
        fs::write(&second_config, text).unwrap();
        let second_router = second_router(&folder, "127.0.0.1:0");
        let (second_address, third_address) = (second_router.address(), third_host.address());
        let fine = || Upstream::start(vec![Answer::ok("a 1\n")]);
        let mut site = Self {
            prometheus_yml: read("prometheus.yml"),
            router_yml: read("alert-router.yml"),
            urls,
            broken: BTreeSet::new(),
            reaches_router: true,
            expected: BTreeMap::new(),
            own: fine(),
            third: fine(),
            outside: fine(),
            second_router: Some(second_router),
            second_address,
            second: None,
            burners: Vec::new(),
            third_host,
            third_address,
            ssh,
            ssh_listener: Some(ssh_listener),
            ring: None,
            nodes: Vec::new(),
            members: Vec::new(),
            disks: disks(&folder),
            client: Arc::new(AtomicBool::new(false)),
            last: 0,
            said: BTreeMap::new(),
            network,
        };
        site.expect("scalardl", 1);
        site.write_targets();
        site.write_rules();
        site.write_prometheus();
        site.write_router();
        site.ring = Some(site.start_ring());
        site.holds("up{instance=\"host-3\"} == 1");
        site.holds("count(up == 1) == count(up)");
        site
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.network.folder.path().join(name)
    }

    /// A file of Traefik's folder, or none.
    pub(super) fn traefik_reads(&self, name: &str, text: Option<&str>) {
        let path = self.network.state().join("traefik/dynamic").join(name);
        match text {
            Some(text) => put(&path, text),
            None => fs::remove_file(path).unwrap(),
        }
    }

    /// The whole of a file that the third host tells.
    pub(super) fn tell(&self, alert: &str, text: &str) {
        put(&self.path(&format!("told/{alert}.prom")), text);
    }

    pub(super) fn local(&self, command: &str, program: &str) {
        self.network.good(&["local", command, program]);
    }

    /// Waits until an expression has a value.
    pub(super) fn holds(&self, expr: &str) {
        eventually(expr, PATIENCE, || {
            self.network.query(expr).first().map(drop)
        });
    }

    /// The messages that have come since this was asked last, the oldest first.
    pub(super) fn new_messages(&mut self) -> Vec<Message> {
        // Made when the first comes.
        let kept = fs::read_to_string(self.network.state().join("inbox.jsonl")).unwrap_or_default();
        // The last line may be half written.
        let whole = kept.lines().rev();
        let messages = whole.filter_map(|it| serde_json::from_str::<Message>(it).ok());
        let mut new: Vec<_> = messages.take_while(|it| it.id > self.last).collect();
        new.reverse();
        self.last = new.last().map_or(self.last, |it| it.id);
        new
    }

    /// How often somebody was not told of an alert for another one.
    pub(super) fn inhibited(&self) -> f64 {
        let metrics = fetch(&format!("{}/metrics", self.urls["alert-router"]));
        let name = "alertmanager_notifications_suppressed_total{reason=\"inhibition\"} ";
        let line = metrics.lines().find_map(|it| it.strip_prefix(name));
        line.unwrap().parse().unwrap()
    }

    /// Asks a program to read its configuration.
    fn reload(&self, program: &'static str) {
        let address = self.urls[program].strip_prefix("http://").unwrap();
        let (status, _, body) =
            request(address.parse().unwrap(), "POST", "/-/reload", &[], b"").unwrap();
        let is_broken = self.broken.contains(program);
        let said = String::from_utf8_lossy(&body);
        assert_eq!(status == 200, !is_broken, "{program}: {said}");
    }

    /// What else should be there: what the third host's file says, so that nothing has to be read anew. Prometheus knows no alert-router for
    /// some seconds after it has read a configuration, and says what it could not say then a minute later.
    fn write_rules(&self) {
        let mut text = "groups:\n- name: faults\n  interval: 1s\n  rules:\n".to_owned();
        for role in ["cassandra", "scalardl"] {
            text.push_str(&format!(
                "  - record: scalar_dl:expected_hosts\n    expr: max(expected{{what=\"{role}\"}}) > 0\n    labels: {{cluster: local, of: test, role: {role}}}\n"
            ));
        }
        for (instance, target) in [
            ("host-2", self.ssh.to_string()),
            ("host-9", "127.0.0.9:22".to_owned()),
        ] {
            text.push_str(&format!(
                "  - record: scalar_dl:expected_host\n    expr: max(expected{{what=\"{instance}\"}}) > 0\n    labels: {{cluster: local, instance: {instance}, role: test, target: '{target}'}}\n"
            ));
        }
        put(&self.network.state().join("rules/faults.rules.yml"), &text);
    }

    /// Says what is expected.
    pub(super) fn expect(&mut self, what: &'static str, count: u32) {
        self.expected.insert(what, count);
        let lines = self.expected.iter();
        let lines = lines.map(|(what, count)| format!("expected{{what=\"{what}\"}} {count}\n"));
        put(&self.path("told/expected.prom"), &lines.collect::<String>());
    }

    /// Writes Prometheus' configuration and has it read: as `local up` has it, but quick, and with more jobs.
    pub(super) fn write_prometheus(&self) {
        let mut text = self.prometheus_yml.clone();
        let router = self.urls["alert-router"].strip_prefix("http://").unwrap();
        let routers = if self.reaches_router {
            format!("['{router}', '{}']", self.second_address)
        } else {
            // Nobody listens on it.
            "['127.0.0.1:1']".to_owned()
        };
        for (from, to) in [
            (
                "  scrape_interval: 5s\n  scrape_timeout: 4s\n  evaluation_interval: 5s\n",
                "  scrape_interval: 2s\n  scrape_timeout: 2s\n  evaluation_interval: 1s\n",
            ),
            (
                &format!("['{router}']\nscrape_configs"),
                &format!("{routers}\nscrape_configs"),
            ),
            // It has much to tell.
            (
                "- job_name: cassandra\n",
                "- job_name: cassandra\n  scrape_interval: 5s\n  scrape_timeout: 4s\n",
            ),
        ] {
            assert_eq!(text.matches(from).count(), 1, "{from}: {text}");
            text = text.replace(from, to);
        }
        text.push_str(&format!(
            "- job_name: more\n  file_sd_configs:\n  - files: ['{}']\n",
            self.path("more.json").display()
        ));
        self.write("prometheus", "prometheus.yml", &text);
        if self.reaches_router && !self.broken.contains("prometheus") {
            eventually("Prometheus knows where to send alerts", PATIENCE, || {
                let known = self.network.get("prometheus", "/api/v1/alertmanagers");
                let known: Value = serde_json::from_str(&known).unwrap();
                let active = known["data"]["activeAlertmanagers"].as_array().unwrap();
                (active.len() == 2).then_some(())
            });
        }
    }

    /// The targets besides the local network's own, which Prometheus reads when they change.
    fn write_targets(&self) {
        let exporter = |instance: &str, address: SocketAddr| {
            let labels =
                json!({"cluster": "local", "instance": instance, "program": "node-exporter"});
            json!({"targets": [address.to_string()], "labels": labels})
        };
        let mine = json!({"cluster": "local", "instance": "mine-1", "job": "mine"});
        let own = json!({"targets": [self.own.address().to_string()], "labels": mine});
        let mut all = vec![own, exporter("host-3", self.third_address)];
        all.extend(
            self.second
                .as_ref()
                .map(|it| exporter("host-2", it.address)),
        );
        put(&self.path("more.json"), &json!(all).to_string());
    }

    /// Writes alert-router's configuration and has it read: as `local up` has it, but quick, with a third receiver and a heartbeat.
    pub(super) fn write_router(&self) {
        let mut text = self.router_yml.clone();
        for (from, to) in [
            ("group_wait: 5s", "group_wait: 1s"),
            ("group_interval: 10s", "group_interval: 2s"),
            // Prometheus says once a minute that an alert still fires.
            ("timeout: 5m", "timeout: 65s"),
            (
                "- name: team\n",
                &format!(
                    "- name: team\n  webhook_configs:\n  - url: \"{}\"\n    send_resolved: true\n",
                    self.third.url("/")
                ),
            ),
        ] {
            assert_eq!(text.matches(from).count(), 1, "{from}: {text}");
            text = text.replace(from, to);
        }
        text.push_str(&format!(
            "heartbeat_url: {{url: \"{}\", interval: 1s}}\n",
            self.outside.url("/")
        ));
        self.write("alert-router", "alert-router.yml", &text);
    }

    fn write(&self, program: &'static str, name: &str, text: &str) {
        let is_broken = self.broken.contains(program);
        let text = if is_broken { "nonsense: [" } else { text };
        put(&self.network.state().join(name), text);
        self.reload(program);
    }

    /// The second host, whose processors have nothing but work.
    pub(super) fn start_busy_host(&mut self) {
        let processors = std::thread::available_parallelism().unwrap().get();
        for _ in 0..processors {
            // Others come first.
            let busy = Program::at("nice").args(["-n19", "sh", "-c", "while :; do :; done"]);
            self.burners.push(busy.start());
        }
        let exporter = Program::new("node-exporter")
            .args(["--web.listen-address=127.0.0.1:0"])
            .start();
        self.second = Some(SecondHost {
            address: exporter.address(),
            exporter: Some(exporter),
        });
        self.write_targets();
        self.expect("host-2", 1);
    }

    pub(super) fn end_load(&mut self) {
        self.burners.clear();
    }

    /// None of the second host's processes is there any more.
    pub(super) fn kill_second_host(&mut self) {
        self.ssh_listener = None;
        self.second.as_mut().unwrap().exporter = None;
    }

    pub(super) fn boot_second_host(&mut self) {
        self.ssh_listener = Some(TcpListener::bind(self.ssh).unwrap());
        let second = self.second.as_mut().unwrap();
        let exporter = Program::new("node-exporter")
            .args([format!("--web.listen-address={}", second.address)])
            .start();
        assert_eq!(exporter.address(), second.address);
        second.exporter = Some(exporter);
    }

    pub(super) fn start_second_router(&mut self) {
        let folder = self.network.folder.path();
        let router = second_router(folder, &self.second_address.to_string());
        assert_eq!(router.address(), self.second_address);
        self.second_router = Some(router);
    }

    /// Two more members for the local node's ring, one after the other, meanwhile.
    fn start_ring(&mut self) -> JoinHandle<Vec<Cassandra>> {
        let named = fs::read_to_string(self.network.state().join("network.json")).unwrap();
        let named: Value = serde_json::from_str(&named).unwrap();
        let programs = named["programs"].as_array().unwrap();
        let local = programs
            .iter()
            .find(|it| it["name"] == "cassandra")
            .unwrap();
        let storage = local["further_ports"]["cassandra-storage"]
            .as_u64()
            .unwrap();
        self.members = MEMBERS
            .into_iter()
            .map(|address| {
                let ports = Ports {
                    storage: u16::try_from(storage).unwrap(),
                    ..Ports::free(address).unwrap()
                };
                let folder = self.path(&address.to_string());
                Node::new(NEWEST, &address.to_string(), folder, ports)
                    .address(address)
                    .seeds(&[Ipv4Addr::LOCALHOST])
                    .heap_mib(192)
                    // For a seed to answer on a machine that does much else.
                    .ring_delay(Duration::from_secs(8))
                    .jolokia(None)
            })
            .collect();
        let members = self.members.clone();
        std::thread::spawn(move || members.into_iter().map(joined).collect())
    }

    /// Waits until the ring has three members, and expects so many from then on.
    pub(super) fn form_ring(&mut self) {
        let nodes = self.ring.take().unwrap().join().unwrap();
        self.nodes = nodes.into_iter().map(Some).collect();
        self.holds("cassandra_endpoints{state=\"UN\"} == 3");
        self.expect("cassandra", 3);
        self.holds("max(scalar_dl:expected_hosts{role=\"cassandra\"}) == 3");
    }

    pub(super) fn kill_member(&mut self, at: usize) {
        // Dropped is killed.
        drop(self.nodes[at].take().unwrap());
    }

    pub(super) fn start_member(&mut self, at: usize) {
        self.nodes[at] = Some(self.members[at].clone().start().unwrap());
    }

    /// The ring is one of one node again.
    pub(super) fn end_ring(&mut self) {
        self.nodes.clear();
        self.expect("cassandra", 1);
    }

    /// A client asks for the sample service, a hundred times a second, until the test is over.
    pub(super) fn start_client(&self) {
        let named = fs::read_to_string(self.network.state().join("network.json")).unwrap();
        let named: Value = serde_json::from_str(&named).unwrap();
        let programs = named["programs"].as_array().unwrap();
        let traefik = programs.iter().find(|it| it["name"] == "traefik").unwrap();
        let port = traefik["further_ports"]["traefik-ledger"].as_u64().unwrap();
        let address = format!("127.0.0.1:{port}").parse().unwrap();
        let goes_on = Arc::clone(&self.client);
        goes_on.store(true, Ordering::Relaxed);
        std::thread::spawn(move || {
            while goes_on.load(Ordering::Relaxed) {
                // What it is answered is Traefik's to count.
                drop(request(address, "GET", "/", &[], b""));
                std::thread::park_timeout(Duration::from_millis(10));
            }
        });
    }

    /// The command of a message, as somebody pastes it.
    pub(super) fn paste(&self, alert: &str) {
        let text = &self.said[alert];
        let mut lines = text.lines().map(str::trim);
        let line = lines.find(|it| it.contains(" local start ")).unwrap();
        let ended = Program::at("sh").args(["-c", line]).run();
        assert!(ended.status.success(), "{line}: {}", ended.stderr);
    }

    /// The monitor with all that it is made of.
    pub(super) fn kill_monitor(&self) {
        let path = self.network.state().join("processes.json");
        let processes: Vec<Value> =
            serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        // Its children die with it.
        kill(&processes[0]["pid"]);
    }

    /// By the command, and with the heartbeat that the local network has not by itself.
    pub(super) fn start_monitor(&mut self) {
        self.network.good(&["local", "up", PORTS]);
        self.write_router();
    }
}

/// The thresholds of the test, in the form of config.json.
fn thresholds() -> Value {
    let names = dashboards::thresholds();
    let mut alerts: BTreeMap<&str, Value> = names
        .keys()
        .map(|it| (it.as_str(), json!({"for": FOR})))
        .collect();
    for (alert, threshold, _) in LIMITS {
        alerts.get_mut(alert).unwrap()["threshold"] = json!(threshold);
    }
    alerts.get_mut("HostCpuHigh").unwrap()["for"] = json!(FOR_CPU);
    json!({"alerts": alerts})
}

fn second_router(folder: &Path, address: &str) -> Running {
    Program::new("alert-router")
        .arg_path("--config.file", &folder.join("second.yml"))
        .arg_path("--storage.path", &folder.join("second"))
        .args([format!("--web.listen-address={address}")])
        .start()
}

fn joined(node: Node) -> Cassandra {
    let mut node = node.start().unwrap();
    node.wait_ready(PATIENCE).unwrap();
    node
}

/// One to fill, one to lose the right to write to.
fn disks(folder: &Path) -> Vec<Mounted> {
    let mut disks = Vec::new();
    if rustix::process::geteuid().is_root() {
        disks.extend(
            ["filled", "kept"]
                .map(|it| Mounted::new(&folder.join(it)))
                .into_iter()
                .flatten(),
        );
    }
    if disks.len() < 2 {
        skip("a full disk of one's own needs root to mount it");
        disks.clear();
    }
    disks
}

/// Whole or not at all: programs look at any time.
fn put(path: &Path, text: &str) {
    let fresh = path.with_extension("fresh");
    fs::write(&fresh, text).unwrap();
    fs::rename(fresh, path).unwrap();
}
