//! promtool's opinion of every program's metrics.

use std::fs;

use testkit::{Program, get};

#[test]
fn promtool_finds_nothing() {
    let promtool = parts::find("promtool").unwrap().path;
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("router.yml");
    fs::write(&config, "route: {receiver: a}\nreceivers: [{name: a}]\n").unwrap();
    for program in [
        "node-exporter",
        "cassandra-exporter",
        "traefik-exporter",
        "alert-router",
    ] {
        let mut started = Program::new(program).args(["--web.listen-address=127.0.0.1:0"]);
        if program == "alert-router" {
            started = started
                .arg_path("--config.file", &config)
                .arg_path("--storage.path", &folder.path().join("data"));
        }
        let running = started.start();
        let (status, text) = get(running.address(), "/metrics").unwrap();
        assert_eq!(status, 200);
        exposition::parse::text_strict(&text).unwrap();
        let file = folder.path().join(program);
        fs::write(&file, &text).unwrap();
        let ended = Program::at("sh")
            .args(["-c", "exec \"$0\" check metrics <\"$1\""])
            .args([&promtool, &file])
            .run();
        let said: Vec<_> = format!("{}{}", ended.stdout, ended.stderr)
            .lines()
            // The kernel's names of memory, which node_exporter keeps as they are.
            .filter(|it| !(it.starts_with("node_memory_") && it.ends_with("not 'camelCase'")))
            .map(str::to_owned)
            .collect();
        assert_eq!(said, Vec::<String>::new(), "{program}");
        assert!(running.terminate().success());
    }
}
