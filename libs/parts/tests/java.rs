//! Debian's Java and Maven run from where they were unpacked, also on a machine that has its own.

use parts::fetch;
use testkit::Program;

#[test]
fn they_run_from_the_cache() {
    let java = fetch("java").unwrap();
    let ended = Program::at(&java.path).args(["-version"]).run();
    assert!(ended.stderr.contains("17.0."), "{}", ended.stderr);
    let home = java.path.ancestors().nth(2).unwrap();
    // Its files are all there, and it trusts whom the machine trusts.
    assert!(home.join("conf/security/java.security").is_file());
    let list = Program::at(home.join("bin/keytool"))
        .args(["-list", "-cacerts"])
        .run();
    assert!(list.stdout.contains("trustedCertEntry"), "{}", list.stdout);

    let maven = fetch("mvn").unwrap();
    let ended = Program::at(&maven.path)
        .args(["--version"])
        .env("JAVA_HOME", home)
        .run();
    let version = ended.stdout;
    for expect in ["Apache Maven 3.", &format!("runtime: {}", home.display())] {
        assert!(version.contains(expect), "{version}{}", ended.stderr);
    }
    assert!(
        version.contains(&maven.root.unwrap().display().to_string()),
        "{version}"
    );
}
