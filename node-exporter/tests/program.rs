//! The program from outside: its mistakes, and the collectors that ask others than the kernel.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{net::TcpListener, time::Duration};

use testkit::{Answer, Program, Running, Upstream, eventually, get};

const NAME: &str = "node-exporter";

fn start(flags: &[String]) -> Running {
    Program::new(NAME)
        .args([
            "--web.listen-address=127.0.0.1:0",
            "--collector.disable-defaults",
        ])
        .args(flags)
        .start()
}

fn scrape(running: &Running) -> String {
    let (status, text) = get(running.address(), "/metrics").unwrap();
    assert_eq!(status, 200);
    text
}

#[test]
fn mistakes_end_it_with_one_message() {
    for (arguments, code, expect) in [
        (
            &["--collector.filesystem.mount-points-exclude=("][..],
            1,
            "node-exporter: --collector.filesystem.mount-points-exclude=\"(\" is no regular expression: ",
        ),
        (
            &[
                "--collector.netdev.device-include=a",
                "--collector.netdev.device-exclude=b",
            ],
            1,
            "node-exporter: --collector.netdev.device-exclude and --collector.netdev.device-include are mutually exclusive\n",
        ),
        (
            &["--collector.filesystem.mount-timeout=soon"],
            1,
            "node-exporter: --collector.filesystem.mount-timeout=\"soon\" is no duration such as 5s, 500ms or 1m\n",
        ),
        (
            &["--collector.tcp_probe", "--collector.tcp_probe.target=db"],
            1,
            "node-exporter: --collector.tcp_probe.target has \"db\"; there are: ",
        ),
        (
            &["--collector.ec2", "--collector.ec2.endpoint=metadata"],
            1,
            "node-exporter: --collector.ec2.endpoint has \"metadata\"; there are: ",
        ),
        (
            &["--collector.cpus"],
            2,
            "unexpected argument '--collector.cpus' found",
        ),
        (
            &["--no-collector.cpu.thing"],
            2,
            "unexpected argument '--no-collector.cpu.thing' found",
        ),
    ] {
        let ended = Program::new(NAME)
            .args(["--log.level=error", "--web.listen-address=127.0.0.1:0"])
            .args(arguments)
            .run();
        assert_eq!(ended.status.code(), Some(code), "{}", ended.stderr);
        assert!(ended.stderr.contains(expect), "{}", ended.stderr);
        if code == 1 {
            assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        }
    }
}

#[test]
fn ec2_tells_which_instance_this_is() {
    let service = Upstream::start(
        ["token", "i-0123", "m5.large", "eu-west-1a"]
            .map(Answer::ok)
            .to_vec(),
    );
    let endpoint = service.url("");
    let endpoint = endpoint.trim_start_matches("http://").trim_end_matches('/');
    let running = start(&[
        "--collector.ec2".to_owned(),
        format!("--collector.ec2.endpoint={endpoint}"),
    ]);
    let line = "node_ec2_info{availability_zone=\"eu-west-1a\",instance_id=\"i-0123\",instance_type=\"m5.large\"} 1\n";
    eventually("the instance is known", Duration::from_secs(30), || {
        scrape(&running).contains(line).then_some(())
    });
    // It is known for good: no scrape asks.
    for _ in 0..3 {
        assert!(scrape(&running).contains(line));
    }
    assert_eq!(service.heard().len(), 4);
}

#[test]
fn ec2_is_not_waited_for() {
    // It takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let running = start(&[
        "--collector.ec2".to_owned(),
        format!("--collector.ec2.endpoint={}", silent.local_addr().unwrap()),
    ]);
    let text = scrape(&running);
    assert!(!text.contains("node_ec2_info{"), "{text}");
    assert!(text.contains("node_scrape_collector_success{collector=\"ec2\"} 0\n"));
}

#[test]
fn probes_tell_who_takes_connections() {
    let open = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let targets = [&open, &closed].map(|it| it.local_addr().unwrap().to_string());
    drop(closed);
    let [open_target, closed_target] = &targets;
    let unknown = "nobody.invalid:22";
    let running = start(&[
        "--collector.tcp_probe".to_owned(),
        format!("--collector.tcp_probe.target={open_target}"),
        format!("--collector.tcp_probe.target={closed_target}"),
        format!("--collector.tcp_probe.target={unknown}"),
    ]);
    let text = scrape(&running);
    for (target, success) in [(open_target.as_str(), 1), (closed_target, 0), (unknown, 0)] {
        let line = format!("node_tcp_probe_success{{target=\"{target}\"}} {success}\n");
        assert!(text.contains(&line), "{line}{text}");
    }
}
