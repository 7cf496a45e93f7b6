//! The guide in `docs/`: what in it is made of figures, tables and drawings, every command of its pages and of README.md, and every command of
//! the guide of 2019.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::Signal;
use serde_json::{Value, json};
use testkit::{Program, binary, eventually, golden, root};

use crate::environment::Environment;

/// In the order in which a reader runs their commands.
const PAGES: [&str; 8] = [
    "docs/README.md",
    "docs/1-overview.md",
    "docs/2-planning.md",
    "docs/3-configuration.md",
    "docs/4-deployment.md",
    "docs/5-monitoring.md",
    "docs/6-stateless-maintenance.md",
    "docs/from-scalar-terraform.md",
];
const README: &str = "README.md";

/// How a line of a page is known to work.
enum How {
    /// Here, as it stands and with more words, which leave out what needs machines; it ends with one of these codes.
    Here(&'static str, &'static [i32]),
    /// It needs machines, or much time: a file below `provisioner/`, and the test in it that does it.
    By(&'static str, &'static str),
    /// A target of the Makefile.
    Make,
}
use How::{By, Here, Make};

/// For a network to be made.
const PATIENCE: Duration = Duration::from_secs(120);
/// Leaves nodes alone.
const ALONE: &str = "--no-install";
const HOSTS_INSTALL: How = By("tests/hosts/install.rs", "from_nothing_to_nothing");
const HOSTS_OPERATE: How = By("tests/hosts/operate.rs", "recovered_and_restarted");
const HOSTS_SEE: How = By("tests/hosts/see.rs", "well_broken_and_mended");
const LOCAL: How = By("tests/local.rs", "an_alert_from_its_start_to_its_end");
const PIN: How = By("src/artifacts/tests.rs", "pinned_once");

/// Every line of the pages, sorted.
const LINES: &[(&str, How)] = &[
    ("cd ..", Here("", &[0])),
    ("cd production", Here("", &[0])),
    ("make test", Make),
    ("make up", Make),
    ("provisioner -e old-network install", HOSTS_INSTALL),
    (
        "provisioner -e old-network install --dry-run",
        HOSTS_INSTALL,
    ),
    (
        "provisioner -e old-network move-in compare",
        By(
            "tests/hosts/moving_in.rs",
            "beside_theirs_in_their_place_and_back",
        ),
    ),
    ("provisioner -e old-network validate", Here("", &[0])),
    ("provisioner -e production alerts test", LOCAL),
    (
        "provisioner -e production alerts test --severity critical",
        HOSTS_SEE,
    ),
    ("provisioner -e production apply", Here(ALONE, &[0])),
    ("provisioner -e production artifacts pin", PIN),
    ("provisioner -e production cost", Here("", &[0])),
    (
        "provisioner -e production cost --price t2.large=0.1216",
        Here("", &[0]),
    ),
    (
        "provisioner -e production destroy --delete-data sdl-production --yes",
        By("tests/terraform/commands.rs", "destroyed_by_intent"),
    ),
    (
        "provisioner -e production destroy --keep-data",
        By("tests/terraform/commands.rs", "destroyed_by_intent"),
    ),
    ("provisioner -e production diagram", Here("", &[0])),
    ("provisioner -e production doctor", HOSTS_SEE),
    (
        "provisioner -e production doctor --alert LedgerDown --instance scalardl-1",
        HOSTS_SEE,
    ),
    ("provisioner -e production init", Here("", &[0])),
    ("provisioner -e production install", HOSTS_INSTALL),
    ("provisioner -e production install monitor", HOSTS_INSTALL),
    (
        "provisioner -e production install scalardl-1",
        HOSTS_INSTALL,
    ),
    (
        "provisioner -e production logs scalardl-1 scalardl",
        HOSTS_SEE,
    ),
    ("provisioner -e production open alerts", HOSTS_SEE),
    // There it is refused, for that monitor has no Grafana: it was never had on a host. The way is that of the others.
    ("provisioner -e production open grafana", HOSTS_SEE),
    ("provisioner -e production open prometheus", HOSTS_SEE),
    ("provisioner -e production output", Here("", &[0])),
    ("provisioner -e production plan", Here(ALONE, &[0, 2])),
    (
        "provisioner -e production recover scalardl-1",
        HOSTS_OPERATE,
    ),
    (
        "provisioner -e production replace monitor 1",
        By("tests/hosts/network.rs", "from_one_config_and_healed"),
    ),
    (
        "provisioner -e production replace scalar 1",
        By("tests/hosts/network.rs", "from_one_config_and_healed"),
    ),
    (
        "provisioner -e production rolling-restart scalar",
        HOSTS_OPERATE,
    ),
    (
        "provisioner -e production rolling-restart traefik",
        HOSTS_OPERATE,
    ),
    (
        "provisioner -e production scale scalar 5",
        Here("--yes --no-install", &[0]),
    ),
    (
        "provisioner -e production selftest --aws",
        By("tests/terraform/guide.rs", "self_test"),
    ),
    (
        "provisioner -e production state init-backend --bucket my-states --key sdl/production/terraform.tfstate --region us-east-1",
        By("tests/terraform/state.rs", "moves_into_a_bucket"),
    ),
    ("provisioner -e production status", HOSTS_SEE),
    (
        "provisioner -e production taint -module=scalar aws_instance.scalar.0",
        Here("", &[0]),
    ),
    ("provisioner -e production taint scalar.0", Here("", &[0])),
    (
        "provisioner -e production taint service.traefik",
        Here("", &[0]),
    ),
    (
        "provisioner -e production untaint -module=scalar aws_instance.scalar.0",
        Here("", &[0]),
    ),
    (
        "provisioner -e production untaint service.traefik",
        Here("", &[0]),
    ),
    ("provisioner -e production validate", Here("", &[0])),
    ("provisioner -e production verify", HOSTS_SEE),
    ("provisioner -e production verify --no-alert", HOSTS_OPERATE),
    ("provisioner -e staging apply", Here(ALONE, &[0])),
    ("provisioner -e staging init", Here("", &[0])),
    ("provisioner -e staging plan", Here(ALONE, &[2])),
    ("provisioner -e staging validate", Here("", &[0])),
    (
        "provisioner capacity --level entry --assets 2 --rate 50 --days 365",
        Here("", &[0]),
    ),
    ("provisioner cost --level medium", Here("", &[0])),
    (
        "provisioner cost --level medium --factor 1.25",
        Here("", &[0]),
    ),
    ("provisioner diff staging production", Here("", &[2])),
    ("provisioner new old-network --target hosts", Here("", &[0])),
    ("provisioner new production --target hosts", Here("", &[0])),
    ("provisioner new staging --level medium", Here("", &[0])),
    ("provisioner schema > config.schema.json", Here("", &[0])),
    ("target/release/provisioner alerts test", LOCAL),
    ("target/release/provisioner local inbox", LOCAL),
    (
        "target/release/provisioner local start node-exporter",
        LOCAL,
    ),
    ("target/release/provisioner local stop node-exporter", LOCAL),
    ("terraform apply plan.out", Here("", &[0])),
    ("terraform init", Here("", &[0])),
    (
        "terraform plan --var-file config.json -out plan.out",
        Here("", &[0]),
    ),
    (
        "terraform plan --var-file config.json -out plan.out -replace='module.scalar.aws_instance.scalar[0]'",
        Here("", &[0]),
    ),
    (
        "terraform taint 'module.scalar.aws_instance.scalar[0]'",
        Here("", &[0]),
    ),
    (
        "terraform untaint 'module.scalar.aws_instance.scalar[0]'",
        Here("", &[0]),
    ),
];

/// Every command of the guide of 2019, in an order in which each has something to do. Where Terraform refuses one today: the address of what is
/// meant.
const OLD: &[(&str, Option<&str>)] = &[
    ("terraform init", None),
    ("terraform plan --var-file config.json -out plan.out", None),
    ("terraform apply plan.out", None),
    (
        "terraform taint -module=scalar aws_instance.scalar.0",
        Some("module.scalar.aws_instance.scalar[0]"),
    ),
    (
        "terraform untaint -module=scalar aws_instance.scalar.0",
        Some("module.scalar.aws_instance.scalar[0]"),
    ),
    (
        "terraform taint -module=scalar aws_instance.scalar.2",
        Some("module.scalar.aws_instance.scalar[2]"),
    ),
    (
        "terraform taint -module=service.prometheus aws_instance.instance",
        Some("module.service.module.prometheus.aws_instance.instance[0]"),
    ),
    (
        "terraform taint -module=service.traefik aws_instance.instance",
        Some("module.service.module.traefik.aws_instance.instance[0]"),
    ),
    (
        "terraform taint -module=service.grafana aws_instance.instance",
        Some("module.service.module.prometheus.aws_instance.instance[0]"),
    ),
];

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The command lines of a page, without what is said of them.
fn lines(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_shell = false;
    for line in text(page).lines().map(str::trim) {
        if let Some(kind) = line.strip_prefix("```") {
            is_shell = !is_shell && matches!(kind, "sh" | "bash" | "shell" | "console");
        } else if is_shell && !line.is_empty() && !line.starts_with('#') {
            let (command, _about) = line.split_once(" #").unwrap_or((line, ""));
            found.push(command.trim().to_owned());
        }
    }
    found
}

fn how(line: &str, page: &str) -> &'static How {
    let found = LINES.iter().find(|it| it.0 == line);
    let found = found.unwrap_or_else(|| panic!("{page}: nothing shows that this works: {line}"));
    &found.1
}

/// Puts a body between two lines of a page, or finds it there.
fn holds(page: &str, what: &str, by: &str, body: &str) {
    let all = text(page);
    let begin = format!("<!-- begin of the {what}, written by {by} -->\n");
    let end = format!("<!-- end of the {what} -->");
    let (head, rest) = all.split_once(&begin).unwrap();
    let (_, tail) = rest.split_once(&end).unwrap();
    golden::check(page, &format!("{head}{begin}{body}{end}{tail}"));
}

const HERE: &str = "provisioner/tests/terraform/guide.rs";

/// The page's example of a configuration.
fn example() -> String {
    let page = text("docs/3-configuration.md");
    let (_, rest) = page.split_once("<!-- the example").unwrap();
    let (_, rest) = rest.split_once("```json\n").unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

/// A program with what the example's references name.
fn named(program: Program) -> Program {
    program
        .env("SLACK_WEBHOOK_URL", "https://hooks.example/secret")
        .env("DOCKER_PASSWORD", "hunter2")
        .env("GRAFANA_PASSWORD", "hunter3")
}

#[track_caller]
fn says(folder: &Path, arguments: &[&str]) -> String {
    let program = Program::new("provisioner").args(["-e".as_ref(), folder.as_os_str()]);
    let ended = named(program.args(arguments)).run();
    assert!(ended.status.success(), "{arguments:?}: {}", ended.stderr);
    ended.stdout
}

/// Nothing in a page is a command that nobody has tried, and what is said to try it is there.
#[test]
fn every_command_is_accounted_for() {
    assert!(LINES.is_sorted_by(|a, b| a.0 < b.0));
    let mut used = BTreeSet::new();
    for page in PAGES.into_iter().chain([README]) {
        for line in lines(page) {
            match how(&line, page) {
                Here(..) => {}
                By(file, test) => {
                    let text = text(&format!("provisioner/{file}"));
                    let all: Vec<_> = text.lines().map(str::trim).collect();
                    let is_it = |it: &[&str]| {
                        it[0] == "#[test]" && it[1].starts_with(&format!("fn {test}()"))
                    };
                    assert!(all.windows(2).any(is_it), "{file} has no test {test}");
                }
                Make => {
                    let target = line.strip_prefix("make ").unwrap();
                    assert!(
                        text("Makefile").contains(&format!("\n{target}:")),
                        "{target}"
                    );
                }
            }
            used.insert(line);
        }
    }
    let unused: Vec<_> = LINES
        .iter()
        .map(|it| it.0)
        .filter(|it| !used.contains(*it))
        .collect();
    assert_eq!(unused, [""; 0], "no page has these");
}

/// Links into pages lead to a heading of theirs.
#[test]
fn links_to_headings() {
    let slug = |heading: &str| -> String {
        let kept = heading.trim().to_lowercase();
        let kept = kept
            .chars()
            .filter(|it| it.is_alphanumeric() || " -_".contains(*it));
        kept.map(|it| if it == ' ' { '-' } else { it }).collect()
    };
    let mut seen = 0;
    for page in PAGES.into_iter().chain([README]) {
        let path = root().join(page);
        for link in text(page).split("](").skip(1) {
            let link = link.split_once(')').unwrap().0;
            let Some((file, anchor)) = link.split_once('#').filter(|_| !link.contains("://"))
            else {
                continue;
            };
            let target = match file {
                "" => path.clone(),
                file => path.parent().unwrap().join(file),
            };
            let target = fs::read_to_string(target).unwrap();
            let mut headings = target.lines().filter_map(|it| it.strip_prefix('#'));
            let is_there = headings.any(|it| slug(it.trim_start_matches('#')) == anchor);
            assert!(is_there, "{page}: {link}");
            seen += 1;
        }
    }
    assert!(seen > 5);
}

/// The overview's picture is that of the guide's example.
#[test]
fn diagram() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.json"), example()).unwrap();
    let drawn = says(folder.path(), &["diagram"]);
    let body = format!("```mermaid\n{drawn}```\n");
    holds("docs/1-overview.md", "diagram", HERE, &body);
}

/// Levels are told with the figures that the commands give.
#[test]
fn levels() {
    let json = |arguments: &[&str]| -> Value {
        serde_json::from_str(&says(Path::new("."), arguments)).unwrap()
    };
    let mut table = "| level | Cassandra, each | ledgers | entry points | bastions | monitors | USD a month | transactions/s | data, GiB | days |\n\
                     |---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for level in ["entry", "medium", "high", "high-nvme"] {
        let bill = json(&["cost", "--level", level, "--json"]);
        let carries = json(&["capacity", "--level", level, "--json"]);
        let of = |what: &str| {
            let lines = bill["lines"].as_array().unwrap();
            let line = lines.iter().find(|it| it["what"] == what).unwrap();
            line["count"].as_str().unwrap().to_owned()
        };
        write!(
            table,
            "| {level} | {}; {} |",
            of("cassandra"),
            of("cassandra volumes")
        )
        .unwrap();
        for role in ["scalardl", "traefik", "bastion", "monitor"] {
            write!(table, " {} |", of(role)).unwrap();
        }
        write!(table, " {:.0} |", bill["usd_per_month"].as_f64().unwrap()).unwrap();
        for key in ["transactions_per_second", "unique_gib", "days_until_full"] {
            write!(table, " {} |", carries[key].as_f64().unwrap()).unwrap();
        }
        table += "\n";
    }
    holds("docs/2-planning.md", "levels", HERE, &table);
}

/// All rules as they are checked in.
fn rules() -> String {
    let files = dashboards::render(&dashboards::Settings::default()).rules;
    files.into_iter().map(|it| it.text).collect()
}

/// Every alert is told of, with its runbook.
#[test]
fn alerts() {
    let mut table = "| alert | severity | |\n|---|---|---|\n".to_owned();
    let rules = rules();
    for rule in rules.split("- alert: ").skip(1) {
        let name = rule.lines().next().unwrap().trim();
        let value = |key: &str| {
            let line = rule
                .lines()
                .map(str::trim)
                .find_map(|it| it.strip_prefix(key));
            let line = line.unwrap_or_else(|| panic!("{name} has no {key}"));
            line.trim().trim_matches('"').to_owned()
        };
        let summary = value("summary:");
        // What stands in braces is filled in when it fires.
        let mut parts = summary.split("{{ $");
        let mut summary = parts.next().unwrap().to_owned();
        for part in parts {
            let (filled, rest) = part.split_once(" }}").unwrap();
            let filled = filled.split(' ').next().unwrap();
            write!(summary, "*{}*{rest}", filled.trim_start_matches("labels.")).unwrap();
        }
        let severity = value("severity:");
        assert!(root().join(format!("docs/runbooks/{name}.md")).exists());
        writeln!(
            table,
            "| [{name}](runbooks/{name}.md) | {severity} | {summary} |"
        )
        .unwrap();
    }
    holds("docs/5-monitoring.md", "alerts", HERE, &table);
}

/// The message is what alert-router makes, configured as by `install`, of that alert with the labels that `install` gives a ledger.
#[test]
fn message() {
    let folder = tempfile::tempdir().unwrap();
    let installed = text("provisioner/tests/golden/monitor-1.txt");
    let files = installed.split("\n=== ");
    let mut files = files.filter_map(|it| it.split_once('\n'));
    let config = files
        .find(|it| it.0.ends_with("/alert-router.yml"))
        .unwrap()
        .1;
    fs::write(folder.path().join("alert-router.yml"), config).unwrap();
    let rules = rules();
    let mut rules = rules.split("- alert: ");
    let rule = rules.find(|it| it.starts_with("LedgerDown\n")).unwrap();
    let (labels, annotations) = rule.split_once("annotations:").unwrap();
    assert!(labels.contains("severity: critical"));
    let pairs = annotations
        .lines()
        .filter_map(|it| it.trim().split_once(": \""));
    let annotations: serde_json::Map<_, _> = pairs
        .map(|(name, it)| {
            let filled = it.replace("{{ $labels.instance }}", "scalardl-1");
            (name.to_owned(), json!(filled.trim_end_matches('"')))
        })
        .collect();
    assert!(annotations.len() > 3, "{annotations:?}");
    let time = "2026-01-02T03:04:05Z";
    let alert = json!({
        "labels": {
            "alertname": "LedgerDown",
            "cluster": "sdl",
            "instance": "scalardl-1",
            "instance_id": "i-0123456789abcdef0",
            "job": "scalardl",
            "role": "scalardl",
            "severity": "critical",
            "zone": "us-east-1a",
        },
        "annotations": annotations,
        "startsAt": time,
        "endsAt": "2126-01-02T03:04:05Z",
        "updatedAt": time,
        "generatorURL": "https://prometheus/graph",
        "fingerprint": "0123456789abcdef",
        "receivers": [{"name": "team"}],
        "status": {"state": "active", "inhibitedBy": [], "silencedBy": []},
    });
    fs::write(
        folder.path().join("alerts.json"),
        json!([alert]).to_string(),
    )
    .unwrap();
    let at = |name: &str| format!("{}/{name}", folder.path().display());
    let rendered = Program::new("alert-router")
        .args(["render", "--receiver=team"])
        .args([format!("--config.file={}", at("alert-router.yml"))])
        .args([format!("--data={}", at("alerts.json"))])
        .run();
    assert!(rendered.status.success(), "{}", rendered.stderr);
    let (_, slack) = rendered.stdout.split_once("==> slack[0]\n").unwrap();
    let slack: Value = serde_json::from_str(slack.trim()).unwrap();
    let of = |it: &Value| it.as_str().unwrap().to_owned();
    let attachment = &slack["attachments"][0];
    let mut lines = vec![of(&slack["text"])];
    lines.extend(of(&attachment["text"]).lines().map(str::to_owned));
    for field in attachment["fields"].as_array().unwrap() {
        let value = of(&field["value"]).replace('\n', ", ");
        lines.push(format!("*{}* {value}", of(&field["title"])));
    }
    let mut body = String::new();
    for line in lines {
        // Slack's marks are others than Markdown's: a link is `<URL|words>`.
        let mut shown = String::new();
        for (at, part) in line.split('<').enumerate() {
            let words = part.split_once('|').and_then(|it| it.1.split_once('>'));
            match words.filter(|_| at > 0) {
                Some((words, rest)) => shown += &format!("{words}{rest}"),
                None => shown += part,
            }
        }
        let shown = shown.replace("```", "`").replace('*', "**");
        writeln!(body, "> {shown}\\").unwrap();
    }
    let body = format!("{}\n", body.trim_end_matches("\\\n"));
    holds("docs/5-monitoring.md", "message", HERE, &body);
}

/// The old guide's commands are told of, each with what it is today.
#[test]
fn table_of_old_commands() {
    let mut table = "| then | today | what is meant |\n|---|---|---|\n".to_owned();
    for (old, address) in OLD {
        let today = match address {
            None => "the same, in the environment's folder".to_owned(),
            Some(_) => format!("`{}`", old.replacen("terraform", "provisioner", 1)),
        };
        let address = address.map_or_else(String::new, |it| format!("`{it}`"));
        writeln!(table, "| `{old}` | {today} | {address} |").unwrap();
    }
    holds(
        "docs/6-stateless-maintenance.md",
        "old commands",
        HERE,
        &table,
    );
}

/// A folder with the environment `production`, and a shell that runs commands there.
struct Desk {
    environment: Environment,
    folder: tempfile::TempDir,
    programs: tempfile::TempDir,
}

impl Desk {
    fn new(environment: Environment) -> Self {
        let folder = tempfile::tempdir().unwrap();
        symlink(environment.path(), folder.path().join("production")).unwrap();
        fs::write(environment.path().join("config.json"), example()).unwrap();
        let programs = tempfile::tempdir().unwrap();
        symlink(binary("provisioner"), programs.path().join("provisioner")).unwrap();
        // OpenTofu takes the same commands.
        symlink(&environment.terraform, programs.path().join("terraform")).unwrap();
        Self {
            environment,
            folder,
            programs,
        }
    }

    fn shell(&self, place: &Path, line: &str) -> Program {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let own = [self.programs.path().to_owned()].into_iter();
        let path = std::env::join_paths(own.chain(std::env::split_paths(&path))).unwrap();
        let script = format!("cd '{}' && {line}", place.display());
        let shell = Program::at("sh").args(["-c", &script]).env("PATH", path);
        self.environment.prepared(named(shell))
    }

    /// Its exit code, and all that it says.
    fn does(&self, place: &Path, line: &str) -> (i32, String) {
        let ended = self.shell(place, line).run();
        let code = ended.status.code();
        let code = code.unwrap_or_else(|| panic!("{line}: {}", ended.status));
        (code, ended.stdout + &ended.stderr)
    }

    /// All that a page has its reader do and that can be done here.
    fn follows(&self, page: &str) {
        let mut place = self.folder.path().to_owned();
        for line in lines(page) {
            let Here(more, codes) = how(&line, page) else {
                continue;
            };
            if let Some(to) = line.strip_prefix("cd ") {
                place = match to {
                    ".." => self.folder.path().to_owned(),
                    to => self.folder.path().join(to),
                };
                continue;
            }
            let (code, said) = self.does(&place, &format!("{line} {more}"));
            assert!(
                codes.contains(&code),
                "{page}: {line}: ended with {code}: {said}"
            );
            assert!(!said.contains("hunter"), "{page}: {line}: {said}");
        }
    }
}

/// A reader who begins with nothing and does all that the pages say, one after the other.
#[test]
fn every_command_works() {
    let environment = Environment::new(&json!({}));
    let desk = Desk::new(environment);
    for page in PAGES {
        desk.follows(page);
    }
}

/// README's reader has machines already.
#[test]
fn every_command_of_the_readme_works() {
    let environment = Environment::new(&json!({}));
    let desk = Desk::new(environment);
    fs::remove_file(desk.folder.path().join("production")).unwrap();
    desk.follows(README);
}

/// Each works as it is written, or is answered by the same words of the provisioner, which says Terraform's address of today.
#[test]
fn every_old_command_works_or_is_answered() {
    let environment = Environment::new(&json!({}));
    let desk = Desk::new(environment);
    let place = desk.folder.path().join("production");
    for (old, address) in OLD {
        let (code, said) = desk.does(&place, old);
        let Some(address) = address else {
            assert_eq!(code, 0, "{old}: {said}");
            continue;
        };
        assert_eq!(code, 1, "Terraform takes {old}: {said}");
        let today = old.replacen("terraform", "provisioner", 1);
        let (code, said) = desk.does(&place, &today);
        assert_eq!(code, 0, "{today}: {said}");
        assert!(said.contains(address), "{today}: {said}");
    }
    // The picture is of the machines that there are.
    desk.does(&place, "provisioner output");
    let (_, drawn) = desk.does(&place, "provisioner diagram");
    assert!(drawn.contains("cassandra_3[(\"cassandra-3\")]"), "{drawn}");
    assert!(!drawn.contains("t3.xlarge"), "{drawn}");
    // What they have flagged is planned, and the first of them is not.
    let (_, said) = desk.does(&place, "provisioner plan --no-install");
    for (expect, is_there) in [
        (
            "replace module.scalar.aws_instance.scalar[2] (scalardl-3)",
            true,
        ),
        (
            "replace module.service.module.prometheus.aws_instance.instance[0] (monitor-1)",
            true,
        ),
        (
            "replace module.service.module.traefik.aws_instance.instance[0] (traefik-1)",
            true,
        ),
        ("replace module.scalar.aws_instance.scalar[0]", false),
    ] {
        assert_eq!(said.contains(expect), is_there, "{expect}: {said}");
    }
}

/// What is left in the cloud, but for what somebody terminated: AWS shows it for an hour, and so does the stand-in.
fn left(environment: &Environment) -> Vec<String> {
    let cloud = environment.cloud();
    let kinds = cloud["resources"].as_object().unwrap().iter();
    // Of a machine's state there is nothing but the machine.
    let kinds = kinds.filter(|it| it.0 != "aws_ec2_instance_state");
    let all = kinds.flat_map(|(kind, all)| {
        let all = all.as_object().unwrap().iter();
        all.map(move |(id, it)| (format!("{kind} {id}"), &it["instance_state"]))
    });
    let alive = all.filter(|it| it.1 != "terminated");
    alive.map(|it| it.0).collect()
}

/// Folders of self tests.
fn trials(environment: &Environment) -> Vec<PathBuf> {
    let all = fs::read_dir(environment.path()).unwrap().flatten();
    let all = all.map(|it| it.path());
    let is_trial = |it: &PathBuf| {
        it.file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("selftest-")
    };
    all.filter(is_trial).collect()
}

/// As far as it goes without machines: it costs, asks, makes, loses a machine, mends and destroys; and destroys what a failure leaves.
#[test]
fn self_test() {
    let environment = Environment::new(&json!({}));
    let desk = Desk::new(environment);
    let environment = &desk.environment;
    let place = desk.folder.path();
    let command = "provisioner -e production selftest --aws --no-install";

    // Nobody has said yes.
    let (code, said) = desk.does(place, command);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("USD for each hour") && said.contains("say --yes"),
        "{said}"
    );
    assert!(trials(environment).is_empty());
    assert!(!environment.path().join("cloud.json").exists());

    // A machine is terminated by a stand-in for AWS' own program, which asks this test to do it.
    let aws = desk.programs.path().join("aws");
    let asked = place.join("asked");
    let done = place.join("done");
    let script = format!(
        "#!/bin/sh\necho \"$@\" >> '{0}.all'\ncase \"$2\" in terminate-instances) echo \"$4\" > '{0}.new'; mv '{0}.new' '{0}';\n\
         until [ -e '{1}' ]; do sleep 0.1; done;; esac\n",
        asked.display(),
        done.display()
    );
    executable(&aws, &script);
    let (code, said) = std::thread::scope(|scope| {
        let running = scope.spawn(|| desk.does(place, &format!("{command} --yes")));
        let id = eventually("a machine is to be terminated", PATIENCE, || {
            assert!(!running.is_finished(), "it ended before");
            fs::read_to_string(&asked).ok()
        });
        environment.change_cloud(|it| {
            it["resources"]["aws_instance"][id.trim()]["instance_state"] = json!("terminated");
        });
        fs::write(&done, "").unwrap();
        running.join().unwrap()
    });
    assert_eq!(code, 0, "{said}");
    let id = fs::read_to_string(&asked).unwrap();
    assert!(
        said.contains(&format!("scalardl-1: {} is gone, i-", id.trim())),
        "{said}"
    );
    assert!(said.contains("nothing is left"), "{said}");
    let calls = fs::read_to_string(place.join("asked.all")).unwrap();
    assert!(
        calls.contains("ec2 wait instance-terminated --instance-ids i-"),
        "{calls}"
    );
    assert_eq!(left(environment), [""; 0]);
    assert!(trials(environment).is_empty());

    // AWS refuses: what was made is destroyed all the same, and the folder stays.
    executable(&aws, "#!/bin/sh\necho 'not authorized' >&2\nexit 254\n");
    let (code, said) = desk.does(place, &format!("{command} --yes"));
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("terminate a ledger's machine") && said.contains("not authorized"),
        "{said}"
    );
    assert!(said.contains("nothing is left in AWS"), "{said}");
    assert_eq!(left(environment), [""; 0]);
    assert_eq!(trials(environment).len(), 1);
}

/// Ctrl-C while something is waited for: what was made is destroyed, then it ends.
#[test]
fn self_test_interrupted() {
    let environment = Environment::new(&json!({}));
    let desk = Desk::new(environment);
    let asked = desk.folder.path().join("asked");
    let script = format!("#!/bin/sh\n: > '{}'\nexec sleep 300\n", asked.display());
    executable(&desk.programs.path().join("aws"), &script);
    let line = "exec provisioner -e production selftest --aws --no-install --yes";
    let running = desk.shell(desk.folder.path(), line).start();
    eventually("a machine is to be terminated", PATIENCE, || {
        asked.exists().then_some(())
    });
    assert!(!left(&desk.environment).is_empty());
    running.signal(Signal::INT);
    running.line("it destroys what was made");
    running.line("nothing is left in AWS");
    assert_eq!(running.ended().code(), Some(130));
    assert_eq!(left(&desk.environment), [""; 0]);
}

fn executable(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
