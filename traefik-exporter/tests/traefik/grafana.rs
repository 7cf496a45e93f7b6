//! Grafana's own dashboard for Traefik, on nothing but what the pass-through gives.

use std::{
    fs,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use serde_json::Value;
use testkit::{Program, eventually, get};

use crate::{
    exporter::{Exporter, PATIENCE},
    network::{NEW, Server, Setup, Traefik, ask, certificate},
};

/// Requests of all kinds, until it is dropped.
struct Traffic {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Traffic {
    fn start(traefik: &Traefik, ca: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (web, secure) = (traefik.ports().web, traefik.ports().secure);
        let repeat = |mut ask: Box<dyn FnMut() + Send>| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                while !stop.load(Ordering::Acquire) {
                    ask();
                    std::thread::park_timeout(Duration::from_millis(50));
                }
            })
        };
        let plain = move || {
            for (method, host, body) in [
                ("GET", "good", ""),
                ("PUT", "good", "a body"),
                ("DELETE", "missing", ""),
                ("GET", "failing", ""),
            ] {
                ask(web, method, &format!("{host}.test"), body);
            }
        };
        // It takes longer than both thresholds.
        let slow = move || {
            ask(web, "GET", "slow.test", "");
        };
        let mut settings = client::Settings::new("test", PATIENCE);
        settings.tls.ca = Some(ca.to_owned());
        let client = client::client(&settings).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let url = format!("https://localhost:{}/", secure.port());
        // Until it has the certificate, Traefik shows another.
        let tls = move || drop(runtime.block_on(async { client.get(&url).send().await }));
        Self {
            threads: vec![
                repeat(Box::new(plain)),
                repeat(Box::new(slow)),
                repeat(Box::new(tls)),
            ],
            stop,
        }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking());
        }
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|it| format!("%{it:02X}")).collect()
}

/// None while it is not ready.
fn answer(prometheus: SocketAddr, path: &str) -> Option<Value> {
    let (status, text) = get(prometheus, path).filter(|it| it.0 != 503)?;
    assert_eq!(status, 200, "{path}: {text}");
    let answer: Value = serde_json::from_str(&text).unwrap();
    Some(answer["data"].clone())
}

/// The values of a variable, as its query and its expression for what is shown of each give them; all of them are chosen.
fn variable(prometheus: SocketAddr, metric: &str, label: &str, end: &str) -> Option<String> {
    let path = format!(
        "/api/v1/label/{label}/values?match%5B%5D={}",
        encoded(metric)
    );
    let values = answer(prometheus, &path)?;
    let values = values.as_array()?.iter().filter_map(Value::as_str);
    let mut values: Vec<_> = values
        .filter_map(|it| it.strip_suffix(end))
        .map(str::to_owned)
        .collect();
    values.dedup();
    (!values.is_empty()).then(|| format!("({})", values.join("|")))
}

/// Panels and their expressions.
fn panels() -> Vec<(String, String)> {
    let path = testkit::root().join("traefik-exporter/tests/grafana/17346.txt");
    let text = fs::read_to_string(path).unwrap();
    let panels = text.split("\n\n").skip(1);
    let panels = panels.map(|it| it.split_once(":\n").unwrap());
    panels
        .map(|(title, expr)| (title.to_owned(), expr.trim().to_owned()))
        .collect()
}

#[test]
fn every_panel_of_17346_has_data() {
    let panels = panels();
    assert_eq!(panels.len(), 14);
    let good = Server::good();
    let missing = Server::start(404, Duration::ZERO);
    let failing = Server::start(503, Duration::ZERO);
    let slow = Server::start(200, Duration::from_millis(1300));
    let keys = tempfile::tempdir().unwrap();
    let (chain, key) = certificate(keys.path(), "web", &["localhost"], 1);
    let mut dynamic = format!(
        "tls: {{certificates: [{{certFile: '{}', keyFile: '{}'}}]}}\nhttp:\n  routers:\n    \
         secure: {{entryPoints: [secure], rule: 'Host(`localhost`)', service: good, tls: {{}}}}\n",
        chain.display(),
        key.display()
    );
    let servers = [
        ("good", &good),
        ("missing", &missing),
        ("failing", &failing),
        ("slow", &slow),
    ];
    for (name, _) in servers {
        dynamic.push_str(&format!(
            "    {name}: {{entryPoints: [web], rule: 'Host(`{name}.test`)', service: {name}}}\n"
        ));
    }
    dynamic.push_str("  services:\n");
    for (name, server) in servers {
        dynamic.push_str(&format!(
            "    {name}: {{loadBalancer: {{servers: [{{url: '{}'}}]}}}}\n",
            server.url()
        ));
    }
    let traefik = Traefik::start(&Setup::new(NEW), &dynamic);
    let exporter = Exporter::start(&traefik.url(), &["--collector.passthrough"]);
    let _traffic = Traffic::start(&traefik, &fs::read_to_string(&chain).unwrap());

    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("prometheus.yml");
    let target = exporter.0.address();
    let text = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n- job_name: traefik\n  metrics_path: /traefik/metrics\n  \
         static_configs: [{{targets: ['{target}']}}]\n"
    );
    fs::write(&config, text).unwrap();
    let prometheus = Program::at(parts::find("prometheus").unwrap().path)
        .args(["--web.listen-address=127.0.0.1:0"])
        .arg_path("--config.file", &config)
        .arg_path("--storage.tsdb.path", &folder.path().join("data"))
        .start();
    let prometheus = prometheus.address();
    let variables = eventually("the variables have values", PATIENCE, || {
        let points = variable(prometheus, "traefik_open_connections", "entrypoint", "")?;
        let services = variable(
            prometheus,
            "traefik_service_requests_total",
            "service",
            "@file",
        )?;
        let has = |all: &str, some: &[&str]| some.iter().all(|it| all.contains(it));
        let all = has(&points, &["web", "secure"])
            && has(&services, &["good", "missing", "failing", "slow"]);
        all.then_some((points, services))
    });
    for (title, expr) in panels {
        let expr = expr
            .replace("$entrypoint", &variables.0)
            .replace("$service", &variables.1)
            .replace("$interval", "1m");
        let path = format!("/api/v1/query?query={}", encoded(&expr));
        eventually(&format!("{title} has data: {expr}"), PATIENCE, || {
            let data = answer(prometheus, &path)?;
            let series = data["result"].as_array().unwrap();
            series
                .iter()
                .any(|it| it["value"][1] != "NaN")
                .then_some(())
        });
    }
}
