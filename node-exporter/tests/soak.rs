//! What many scrapes leave behind, and what comes and goes between two of them.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
};

use testkit::{Program, Running, get, root};

const SCRAPES: usize = 10_000;

#[test]
fn ten_thousand_scrapes_leave_nothing_behind() {
    let running = Program::new("node-exporter")
        .args(["--web.listen-address=127.0.0.1:0"])
        .start();
    // A few collectors of every kind: of procfs, of sysfs' devices, of netlink, of statfs; all of them every hundredth time.
    let some = "/metrics?collect[]=netclass&collect[]=netdev&collect[]=stat&collect[]=filesystem&collect[]=thermal_zone";
    let mut connection = Connection::open(running.address());
    let mut held = Vec::new();
    for scrape in 0..SCRAPES {
        let path = if scrape % 100 == 0 { "/metrics" } else { some };
        assert!(connection.get(path) > 1000);
        if scrape == 500 || scrape == SCRAPES - 1 {
            held.push((descriptors(&running), threads(&running)));
        }
    }
    let [(files, threads), (files_at_the_end, threads_at_the_end)] = held.as_slice() else {
        panic!("{held:?}")
    };
    assert_eq!(files, files_at_the_end);
    // A host under load may see one of them more, while a mount is slow.
    assert!(threads.max(threads_at_the_end) < &12, "{held:?}");
    assert!(*files < 700, "{files}");
}

#[test]
fn devices_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let tree = root().join("node-exporter/tests/fixtures/linux-6.1-metal.tree");
    testkit::tree::unpack(tree, folder.path());
    let running = Program::new("node-exporter")
        .args(["--web.listen-address=127.0.0.1:0"])
        .arg_path("--path.procfs", &folder.path().join("proc"))
        .arg_path("--path.sysfs", &folder.path().join("sys"))
        .start();
    let scrape = || {
        let (status, text) = get(running.address(), "/metrics").unwrap();
        assert_eq!(status, 200);
        for collector in ["netclass", "hwmon", "thermal_zone", "powersupplyclass"] {
            let line = format!("node_scrape_collector_success{{collector=\"{collector}\"}} 1\n");
            assert!(text.contains(&line), "{collector}: {text}");
        }
        text
    };
    let device = folder.path().join("sys/class/net/eno1");
    let away = folder.path().join("away");
    for _ in 0..3 {
        assert!(scrape().contains("node_network_mtu_bytes{device=\"eno1\"} 1500\n"));
        fs::rename(&device, &away).unwrap();
        assert!(!scrape().contains("eno1"));
        fs::rename(&away, &device).unwrap();
    }
    fs::write(device.join("mtu"), "9000\n").unwrap();
    assert!(scrape().contains("node_network_mtu_bytes{device=\"eno1\"} 9000\n"));
    fs::remove_dir_all(folder.path().join("sys/class/hwmon/hwmon0")).unwrap();
    assert!(!scrape().contains("coretemp"));
}

fn descriptors(running: &Running) -> usize {
    fs::read_dir(format!("/proc/{}/fd", running.pid()))
        .unwrap()
        .count()
}

fn threads(running: &Running) -> usize {
    fs::read_dir(format!("/proc/{}/task", running.pid()))
        .unwrap()
        .count()
}

/// One connection for all scrapes.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    /// The length of an answer.
    fn get(&mut self, path: &str) -> usize {
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let mut length = None;
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().ok();
            }
            if line.is_empty() {
                break;
            }
        }
        let length: usize = length.unwrap();
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        length
    }
}
