//! The state in a bucket, with Terraform's own lock beside it: two people who apply at once, and a lock that somebody left behind.

use std::{fs, net::SocketAddr, thread, time::Duration};

use serde_json::{Value, json};
use testkit::{Program, Running, eventually, request};

use crate::environment::{Environment, PASSWORD};

const LOCK: &str = "/states/sandbox/terraform.tfstate.tflock";

/// moto's server, with a bucket.
fn bucket() -> (Running, SocketAddr) {
    let python = parts::fetch("python3.11").unwrap().path;
    let server = Program::at(python)
        .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", "0"])
        .env("PYTHONPATH", parts::moto().unwrap())
        .start();
    let line = server.line("Running on http://");
    let (_, address) = line.split_once("http://").unwrap();
    let address = address.trim().parse().unwrap();
    let made = request(address, "PUT", "/states", &[], b"").unwrap();
    assert_eq!(made.0, 200, "{}", String::from_utf8_lossy(&made.2));
    (server, address)
}

/// An object of the bucket, as one sees it who may; moto looks whether a request is signed, not by whom.
fn object(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let signed = "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request";
    let headers = [("Authorization", signed)];
    let (status, _, body) = request(address, "GET", path, &headers, b"")?;
    Some((status, String::from_utf8_lossy(&body).into_owned()))
}

/// Puts an environment's state into the bucket.
fn move_state(environment: &Environment, address: SocketAddr) {
    let backend = format!(
        r#"terraform {{
  backend "s3" {{
    bucket       = "states"
    key          = "sandbox/terraform.tfstate"
    region       = "us-east-1"
    use_lockfile = true

    access_key                  = "key"
    secret_key                  = "secret"
    endpoints                   = {{ s3 = "http://{address}" }}
    use_path_style              = true
    skip_credentials_validation = true
    skip_metadata_api_check     = true
    skip_region_validation      = true
    skip_requesting_account_id  = true
  }}
}}
"#
    );
    fs::write(environment.path().join("backend.tf"), backend).unwrap();
    environment.does(&["init"]);
}

/// What one of them has made the other takes over, with nothing to be done but `init`: each has the provider from a registry of its own.
#[test]
fn from_terraform_to_opentofu_and_back() {
    let (terraform, tofu) = (parts::on_path("terraform"), parts::built("tofu"));
    let (Some(terraform), Some(tofu)) = (terraform, tofu) else {
        testkit::skip("there are not both Terraform and OpenTofu");
        return;
    };
    let environment = Environment::applied();
    let both = [
        (&tofu, "registry.opentofu.org"),
        (&terraform, "registry.terraform.io"),
    ];
    for (program, registry) in both {
        let run = |code: i32, arguments: &[&str]| {
            let command = environment.command(arguments);
            let ended = command.env("PROVISIONER_TERRAFORM", program).run();
            let said = ended.stdout + &ended.stderr;
            assert_eq!(ended.status.code(), Some(code), "{registry}: {said}");
            said
        };
        let said = run(0, &["plan", "--no-install"]);
        assert!(said.contains("no resource differs"), "{said}");
        let lock = environment.path().join(".terraform.lock.hcl");
        let lock = fs::read_to_string(lock).unwrap();
        assert!(lock.contains(&format!("provider \"{registry}/")), "{lock}");
        // From here on the state is of the one that changed it.
        run(2, &["plan", "--no-install", "--replace", "scalar.0"]);
        run(0, &["apply", "--no-install"]);
    }
}

#[test]
fn locks() {
    let environment = Environment::new(&json!({}));
    let (_server, address) = bucket();
    move_state(&environment, address);
    // One resource is enough, and quick.
    let target = "-target=module.network.aws_vpc.vpc";
    environment.plan(&[target]);

    // While the first apply waits for the cloud, a second one is refused, and told who is at it.
    let held = environment.hold_cloud();
    let lock = thread::scope(|scope| {
        let first = scope.spawn(|| environment.terraform(&["apply", "-no-color", "plan.out"]));
        let lock = eventually("the state is locked", Duration::from_secs(60), || {
            let (status, lock) = object(address, LOCK)?;
            (status == 200).then_some(lock)
        });
        let second = environment.terraform(&["apply", "-no-color", "plan.out"]);
        assert_eq!(second.status.code(), Some(1));
        let its: Value = serde_json::from_str(&lock).unwrap();
        for part in ["ID", "Who"] {
            let part = its[part].as_str().unwrap();
            assert!(second.stderr.contains(part), "{part}: {}", second.stderr);
        }
        drop(held);
        let first = first.join().unwrap();
        assert!(first.status.success(), "{}", first.stderr);
        lock
    });
    assert_eq!(object(address, LOCK).unwrap().0, 404);
    assert_eq!(environment.resources("aws_vpc").len(), 1);
    assert_eq!(environment.plan(&[target]).len(), 0);

    // What an apply that was killed leaves behind keeps others out, until somebody says that it is gone.
    let put = request(address, "PUT", LOCK, &[], lock.as_bytes()).unwrap();
    assert_eq!(put.0, 200);
    let ended = environment.try_plan(&[target]);
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.stderr.contains("Error acquiring the state lock"),
        "{}",
        ended.stderr
    );
    let lock: Value = serde_json::from_str(&lock).unwrap();
    environment.does(&["force-unlock", "-force", lock["ID"].as_str().unwrap()]);
    assert_eq!(environment.plan(&[target]).len(), 0);
    // The state is in the bucket, and not here.
    assert!(!environment.path().join("terraform.tfstate").exists());
    let (status, state) = object(address, "/states/sandbox/terraform.tfstate").unwrap();
    assert!(status == 200 && state.contains("aws_vpc"), "{state}");
}

/// The provisioner, with that bucket for S3.
fn command(environment: &Environment, address: SocketAddr, arguments: &[&str]) -> Program {
    let url = format!("http://{address}");
    environment
        .command(arguments)
        .env("AWS_ENDPOINT_URL_S3", &url)
        .env("AWS_ENDPOINT_URL_STS", &url)
        .env("AWS_ACCESS_KEY_ID", "key")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
}

const MOVE: [&str; 9] = [
    "state",
    "init-backend",
    "--bucket",
    "states",
    "--key",
    "sandbox/terraform.tfstate",
    "--region",
    "us-east-1",
    "--path-style",
];

/// A bucket is looked at before a state moves there; what lies there stays; two people are kept apart, and told of each other.
#[test]
fn moves_into_a_bucket() {
    let environment = Environment::applied();
    let (_server, address) = bucket();
    let run = |environment: &Environment, code: i32, arguments: &[&str]| {
        let ended = command(environment, address, arguments).run();
        let said = ended.stdout + &ended.stderr;
        assert_eq!(ended.status.code(), Some(code), "{arguments:?}: {said}");
        said
    };
    let said = run(&environment, 1, &MOVE);
    assert!(
        said.contains("put-bucket-versioning --bucket states"),
        "{said}"
    );
    assert!(
        said.contains("put-bucket-encryption --bucket states"),
        "{said}"
    );
    let signed = "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request";
    let put = |path: &str, body: &str| {
        let done = request(
            address,
            "PUT",
            path,
            &[("Authorization", signed)],
            body.as_bytes(),
        );
        assert_eq!(done.unwrap().0, 200);
    };
    put(
        "/states?versioning",
        "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
    );
    put(
        "/states?encryption",
        "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>",
    );

    // Another environment's state lies there.
    let key = "/states/sandbox/terraform.tfstate";
    let own = fs::read_to_string(environment.path().join("terraform.tfstate")).unwrap();
    let its: Value = serde_json::from_str(&own).unwrap();
    let lineage = its["lineage"].as_str().unwrap();
    put(
        key,
        &own.replace(lineage, "00000000-0000-0000-0000-000000000000"),
    );
    let said = run(&environment, 1, &MOVE);
    assert!(
        said.contains("the state of another environment lies there"),
        "{said}"
    );
    // A newer one of this environment.
    let mut newer = its.clone();
    newer["serial"] = json!(its["serial"].as_u64().unwrap() + 1);
    put(key, &newer.to_string());
    let said = run(&environment, 1, &MOVE);
    assert!(said.contains("a newer state of this environment"), "{said}");
    assert_eq!(object(address, key).unwrap().1, newer.to_string());
    assert!(!environment.path().join("backend.tf").exists());
    let gone = request(address, "DELETE", key, &[("Authorization", signed)], b"");
    assert_eq!(gone.unwrap().0, 204);

    let said = run(&environment, 0, &MOVE);
    assert!(
        said.contains("the state is in s3://states/sandbox/terraform.tfstate"),
        "{said}"
    );
    let there: Value = serde_json::from_str(&object(address, key).unwrap().1).unwrap();
    assert_eq!(there["resources"], its["resources"]);
    run(&environment, 0, &MOVE);
    run(&environment, 0, &["plan", "--no-install"]);

    // A second person, while the first one's apply waits for the cloud, on another machine.
    run(
        &environment,
        2,
        &["plan", "--no-install", "--replace", "scalar.0"],
    );
    let held = environment.hold_cloud();
    let first = command(&environment, address, &["apply", "--no-install", "--json"]).start();
    let lock = eventually("the state is locked", Duration::from_secs(60), || {
        let (status, lock) = object(address, LOCK)?;
        (status == 200).then_some(lock)
    });
    let its: Value = serde_json::from_str(&lock).unwrap();
    let who = its["Who"].as_str().unwrap();
    // The environment's own lock is of this folder alone.
    let elsewhere = environment.again();
    let said = run(&elsewhere, 1, &["plan", "--no-install"]);
    assert!(
        said.contains(&format!(
            "the state is locked by {who} (OperationTypeApply, since "
        )),
        "{said}"
    );
    assert!(said.contains("provisioner state unlock"), "{said}");
    // Whose process lives is not robbed of the lock: not here, not there.
    let unlock = ["state", "unlock", "--yes"];
    let said = run(&environment, 1, &unlock);
    assert!(said.contains("is being changed by"), "{said}");
    let said = run(&elsewhere, 1, &unlock);
    assert!(said.contains(&format!("is locked by {who}")), "{said}");
    let at_work = format!(", in {}) works on this state", environment.path().display());
    assert!(said.contains(&at_work), "{said}");
    assert_eq!(object(address, LOCK).unwrap(), (200, lock.clone()));
    drop(held);
    assert_eq!(first.ended().code(), Some(0));
    assert_eq!(object(address, LOCK).unwrap().0, 404);
    run(&environment, 0, &["plan", "--no-install"]);
    assert!(!object(address, key).unwrap().1.contains(PASSWORD));

    // What is left behind is lifted, when somebody says so; of another machine it is said that nobody can know here.
    let said = run(&environment, 0, &unlock);
    assert!(said.contains("the state is not locked"), "{said}");
    for (lock, seen) in [
        (lock.clone(), "that is this machine, and no process here"),
        (lock.replace(who, "ann@desk"), "can be seen on desk alone"),
    ] {
        put(LOCK, &lock);
        let said = run(&environment, 1, &["plan", "--no-install"]);
        assert!(said.contains("provisioner state unlock"), "{said}");
        let said = run(&environment, 1, &["state", "unlock"]);
        assert!(said.contains(seen) && said.contains("say --yes"), "{said}");
        assert_eq!(object(address, LOCK).unwrap(), (200, lock));
        let said = run(&environment, 0, &unlock);
        assert!(said.contains(seen) && said.contains("is lifted"), "{said}");
        assert_eq!(object(address, LOCK).unwrap().0, 404);
    }
    run(&environment, 0, &["plan", "--no-install"]);
    let journal = fs::read_to_string(environment.path().join("journal.log")).unwrap();
    assert!(journal.contains("of ann@desk"), "{journal}");
}
