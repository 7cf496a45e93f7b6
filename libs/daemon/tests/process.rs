//! A program as systemd and a shell meet it: start, signals, sockets handed over, mistakes. `cassandra-exporter` stands for all.

use std::{
    net::TcpListener,
    os::unix::net::UnixDatagram,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::Signal;
use testkit::{Program, get};

const NAME: &str = "cassandra-exporter";

#[test]
fn starts_logs_and_ends() {
    let running = Program::new(NAME)
        .args([
            "--web.listen-address=127.0.0.1:0",
            "--web.listen-address=127.0.0.1:0",
        ])
        .start();
    let addresses = [running.nth_address(0), running.nth_address(1)];
    for address in addresses {
        assert_eq!(get(address, "/-/ready").unwrap().0, 200);
    }
    // No configuration to read again, and no reason to end either.
    running.signal(Signal::HUP);
    let line = running.line("SIGHUP");
    assert!(
        line.starts_with("time=20") && line.contains(" level=INFO msg="),
        "{line}"
    );
    assert!(running.terminate().success());
}

#[test]
fn environment_and_json() {
    let running = Program::new(NAME)
        .env("CASSANDRA_EXPORTER_WEB_LISTEN_ADDRESS", "127.0.0.1:0")
        .env("CASSANDRA_EXPORTER_LOG_FORMAT", "json")
        .start();
    let line = running.line("Listening on");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert!(
        line["address"].as_str().unwrap().starts_with("127.0.0.1:"),
        "{line}"
    );
    assert!(running.terminate().success());
}

#[test]
fn systemd_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let running = Program::new(NAME)
        .args(["--web.listen-address=127.0.0.1:0"])
        .env("NOTIFY_SOCKET", &path)
        .start();
    let heard = || {
        let mut buffer = [0; 256];
        let size = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..size]).trim().to_owned()
    };
    assert_eq!(heard(), "READY=1");
    running.signal(Signal::TERM);
    assert_eq!(heard(), "STOPPING=1");
    assert!(running.ended().success());
}

#[test]
fn sockets_of_systemd() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // The shell does what systemd does: descriptor 3 is the socket, and the variables name this process.
    let script =
        "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" --web.systemd-socket";
    #[expect(
        clippy::disallowed_methods,
        reason = "tests start the programs that they test"
    )]
    let mut child = Command::new("sh")
        .args(["-c", script])
        .arg(testkit::binary(NAME))
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(listener)))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let answer = get(address, "/-/healthy");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(answer.unwrap().0, 200);
}

#[test]
fn mistakes_end_it_with_one_message() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("web.yml");
    std::fs::write(&config, "basic_auth_users:\n  a: b\n  c: 1\ntls:\n").unwrap();
    let missing = folder.path().join("missing.yml");
    for (arguments, code, expect) in [
        (vec!["--web.listen-adres=:1".to_owned()], 2, "unexpected argument '--web.listen-adres' found".to_owned()),
        (vec![format!("--web.listen-address={taken}")], 1, format!("cassandra-exporter: cannot listen on {taken}; choose another with --web.listen-address: Address already in use (os error 98)\n")),
        (vec!["--web.listen-address=nowhere".to_owned()], 1, "cassandra-exporter: --web.listen-address=\"nowhere\" is not of the form host:port, [host]:port or :port\n".to_owned()),
        (vec![format!("--web.config.file={}", config.display())], 1, format!("cassandra-exporter: cannot use --web.config.file: {}, line 4: unknown field `tls`, expected one of tls_server_config, http_server_config, basic_auth_users, rate_limit\n", config.display())),
        (vec![format!("--web.config.file={}", missing.display())], 1, format!("cassandra-exporter: cannot use --web.config.file: {}: cannot read the file: No such file or directory (os error 2)\n", missing.display())),
        (vec!["--web.telemetry-path=metrics".to_owned()], 1, "cassandra-exporter: --web.telemetry-path=\"metrics\" must start with / and be longer than that\n".to_owned()),
        (vec!["--web.systemd-socket".to_owned()], 1, "cassandra-exporter: --web.systemd-socket is set, but systemd passed no listening TCP socket: start it by its .socket unit\n".to_owned()),
    ] {
        let ended = Program::new(NAME).args(["--log.level=error"]).args(&arguments).run();
        assert_eq!(ended.status.code(), Some(code), "{arguments:?}");
        assert!(ended.stderr.contains(&expect), "{arguments:?}: {}", ended.stderr);
        if code == 1 {
            assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        }
    }
}

#[test]
fn help_and_version() {
    let help = Program::new(NAME).args(["--help"]).run();
    assert!(help.status.success());
    for flag in [
        "--web.listen-address",
        "--web.config.file",
        "--log.level",
        "CASSANDRA_EXPORTER_LOG_LEVEL",
    ] {
        assert!(help.stdout.contains(flag), "{}", help.stdout);
    }
    let version = Program::new(NAME).args(["--version"]).run();
    assert!(
        version.stdout.starts_with("cassandra-exporter 0."),
        "{}",
        version.stdout
    );
}
