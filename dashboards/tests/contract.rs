//! What holds for every dashboard and rule: files are as rendered, house rules, PromQL that parses, metrics that somebody
//! exports, and what promtool says.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use dashboards::{File, RUNBOOKS, Settings, queries, render};
use promql_parser::parser::{self, Expr, LabelModifier, VectorSelector};
use serde_json::Value;
use testkit::{Program, golden, root};

fn files() -> (Vec<File>, Vec<File>) {
    let rendered = render(&Settings::default());
    (rendered.grafana, rendered.rules)
}

fn json(file: &File) -> Value {
    serde_json::from_str(&file.text).unwrap()
}

/// Link 1: what is checked in is what the source renders.
#[test]
fn files_are_as_rendered() {
    let (grafana, rules) = files();
    for (folder, files) in [("grafana", grafana), ("rules", rules)] {
        let there: BTreeSet<_> = fs::read_dir(root().join("dashboards").join(folder))
            .unwrap()
            .map(|it| it.unwrap().file_name().into_string().unwrap())
            .filter(|it| it != "tests")
            .collect();
        assert_eq!(there, files.iter().map(|it| it.name.clone()).collect());
        for file in files {
            golden::check(format!("dashboards/{folder}/{}", file.name), &file.text);
        }
    }
}

/// Every object of a panel list, rows opened.
fn panels(dashboard: &Value) -> Vec<Value> {
    let list = |value: &Value| value["panels"].as_array().cloned().unwrap_or_default();
    list(dashboard)
        .into_iter()
        .flat_map(|it| [vec![it.clone()], list(&it)].concat())
        .collect()
}

/// Link 2: the rules of the house.
#[test]
fn house_rules() {
    const KINDS: [&str; 8] = [
        "timeseries",
        "stat",
        "gauge",
        "bargauge",
        "table",
        "state-timeline",
        "heatmap",
        "text",
    ];
    for file in files().0 {
        let dashboard = json(&file);
        assert!(dashboard["uid"].as_str().unwrap().starts_with("scalardl-"));
        assert_eq!(dashboard["id"], Value::Null);
        assert_eq!(dashboard["schemaVersion"], 41);
        assert_eq!(dashboard["graphTooltip"], 1);
        assert_eq!(dashboard["refresh"], "30s");
        assert!(!dashboard["tags"].as_array().unwrap().is_empty());
        let variables: Vec<_> = dashboard["templating"]["list"].as_array().unwrap().clone();
        let names: Vec<_> = variables
            .iter()
            .map(|it| it["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["datasource", "cluster", "job", "instance"]);
        for variable in variables.iter().filter(|it| it["name"] != "datasource") {
            assert_eq!(variable["datasource"]["uid"], "${datasource}");
            assert!(
                variable["multi"].as_bool().unwrap() && variable["includeAll"].as_bool().unwrap()
            );
        }
        let annotations = dashboard["annotations"]["list"].as_array().unwrap();
        assert!(annotations.iter().any(|it| {
            it["expr"]
                .as_str()
                .unwrap()
                .contains("ALERTS{alertstate=\"firing\"")
        }));
        assert!(
            annotations
                .iter()
                .all(|it| it["datasource"]["uid"] == "${datasource}")
        );
        let link = &dashboard["links"][0];
        assert!(link["keepTime"].as_bool().unwrap() && link["includeVars"].as_bool().unwrap());
        let rows: Vec<_> = panels(&dashboard)
            .into_iter()
            .filter(|it| it["type"] == "row")
            .collect();
        assert_eq!(rows[0]["title"], "Glance");
        let open: Vec<_> = rows
            .iter()
            .map(|it| !it["collapsed"].as_bool().unwrap())
            .collect();
        assert!(
            open.iter()
                .enumerate()
                .all(|(index, open)| *open == (index < 2)),
            "{open:?}"
        );
        let mut ids = BTreeSet::new();
        let mut places = BTreeSet::new();
        for panel in panels(&dashboard) {
            let title = panel["title"].as_str().unwrap();
            assert!(
                ids.insert(panel["id"].as_u64().unwrap()),
                "{title}: an id twice"
            );
            if panel["type"] == "row" {
                continue;
            }
            let kind = panel["type"].as_str().unwrap();
            assert!(KINDS.contains(&kind), "{title}: {kind} is no core panel");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
            assert!(
                panel["description"].as_str().unwrap().len() > 20,
                "{title} has no description"
            );
            let defaults = &panel["fieldConfig"]["defaults"];
            assert!(
                !defaults["unit"].as_str().unwrap().is_empty(),
                "{title} has no unit"
            );
            let signed = title == "Clock against Prometheus";
            assert_eq!(defaults["min"].is_number(), !signed, "{title}: min");
            if matches!(kind, "stat" | "gauge") {
                // A number that is coloured must be able to look bad; only uptime and names cannot.
                let steps = defaults["thresholds"]["steps"].as_array().unwrap();
                let plain = matches!(title, "Uptime" | "System" | "Distribution");
                assert_eq!(
                    steps.iter().any(|it| it["color"] == "red"),
                    !plain,
                    "{title}"
                );
                assert!(
                    !defaults["thresholds"]["steps"]
                        .as_array()
                        .unwrap()
                        .is_empty(),
                    "{title}"
                );
                assert!(
                    !defaults["links"].as_array().unwrap().is_empty(),
                    "{title} has no data link"
                );
            }
            let place = &panel["gridPos"];
            let place: Vec<_> = ["x", "y", "w"]
                .iter()
                .map(|it| place[*it].as_u64().unwrap())
                .collect();
            assert!(place[0] + place[2] <= 24, "{title} is too wide");
            places.insert(place);
            for target in panel["targets"].as_array().unwrap() {
                assert_eq!(target["datasource"]["type"], "prometheus", "{title}");
                assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
                let expr = target["expr"].as_str().unwrap();
                assert!(
                    expr.contains("$cluster") && expr.contains("$instance"),
                    "{title}: {expr}"
                );
                for window in expr.split('[').skip(1) {
                    let window = window.split(']').next().unwrap();
                    assert!(
                        matches!(window, "$__rate_interval" | "$__range"),
                        "{title}: a fixed window: {expr}"
                    );
                }
            }
        }
        assert!(places.len() > 30);
    }
}

/// The rules of the checked-in files: (name, expression, its text around it).
fn rule_expressions() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for file in files().1 {
        let mut name = String::new();
        for line in file.text.lines().map(str::trim) {
            if let Some(it) = line
                .strip_prefix("- alert: ")
                .or_else(|| line.strip_prefix("- record: "))
            {
                it.clone_into(&mut name);
            }
            if let Some(expr) = line.strip_prefix("expr: ") {
                found.push((name.clone(), serde_json::from_str(expr).unwrap()));
            }
        }
    }
    assert!(found.len() >= 10);
    found
}

/// PromQL of the runbooks, placeholders in angle brackets included: they stand in quotes.
fn runbook_expressions() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (name, text) in RUNBOOKS {
        for block in text.split("```promql\n").skip(1) {
            let block = block.split("```").next().unwrap();
            found.push(((*name).to_owned(), block.trim().to_owned()));
        }
    }
    assert!(found.len() >= RUNBOOKS.len());
    found
}

fn expressions() -> Vec<(String, String)> {
    let panels = files()
        .0
        .iter()
        .flat_map(|it| queries(&json(it)))
        .collect::<Vec<_>>();
    assert!(panels.len() > 50);
    [panels, rule_expressions(), runbook_expressions()].concat()
}

#[test]
fn promql_parses() {
    for (where_, expr) in expressions() {
        if let Err(error) = parser::parse(&expr) {
            panic!("{where_}: {expr}: {error}");
        }
    }
}

/// The aggregations of an expression that lose the label `cluster`.
fn drops_cluster(expr: &Expr, found: &mut Vec<String>) {
    match expr {
        Expr::Aggregate(it) => {
            let cluster = |labels: &[String]| labels.iter().any(|it| it == "cluster");
            let keeps = match &it.modifier {
                Some(LabelModifier::Include(labels)) => cluster(&labels.labels),
                Some(LabelModifier::Exclude(labels)) => !cluster(&labels.labels),
                None => false,
            };
            if !keeps {
                found.push(it.to_string());
            }
            drops_cluster(&it.expr, found);
        }
        Expr::Unary(it) => drops_cluster(&it.expr, found),
        Expr::Binary(it) => {
            drops_cluster(&it.lhs, found);
            drops_cluster(&it.rhs, found);
        }
        Expr::Paren(it) => drops_cluster(&it.expr, found),
        Expr::Subquery(it) => drops_cluster(&it.expr, found),
        Expr::Call(it) => it.args.args.iter().for_each(|it| drops_cluster(it, found)),
        Expr::VectorSelector(_)
        | Expr::MatrixSelector(_)
        | Expr::NumberLiteral(_)
        | Expr::StringLiteral(_)
        | Expr::Extension(_) => {}
    }
}

/// Two networks in one Prometheus must never be added up.
#[test]
fn every_aggregation_keeps_the_cluster() {
    let check = |expr: &str| {
        let mut found = Vec::new();
        drops_cluster(&parser::parse(expr).unwrap(), &mut found);
        found
    };
    for (expr, expect) in [
        ("sum(up)", 1),
        ("sum by (job) (up)", 1),
        ("sum without (cluster) (up)", 1),
        ("1 + rate(x[5m]) / avg(count by (cluster) (up))", 1),
        ("sum by (cluster) (up)", 0),
        ("sum without (cpu) (up)", 0),
    ] {
        assert_eq!(check(expr).len(), expect, "{expr}");
    }
    for (where_, expr) in expressions() {
        assert_eq!(check(&expr), Vec::<String>::new(), "{where_}");
    }
}

/// Metrics of an expression with the labels that their selectors ask for.
fn selectors(expr: &Expr, found: &mut Vec<(String, String)>) {
    let mut add = |it: &VectorSelector| {
        let name = it.name.clone().unwrap_or_default();
        found.extend(
            it.matchers
                .matchers
                .iter()
                .map(|it| (name.clone(), it.name.clone())),
        );
    };
    match expr {
        Expr::Aggregate(it) => selectors(&it.expr, found),
        Expr::Unary(it) => selectors(&it.expr, found),
        Expr::Binary(it) => {
            selectors(&it.lhs, found);
            selectors(&it.rhs, found);
        }
        Expr::Paren(it) => selectors(&it.expr, found),
        Expr::Subquery(it) => selectors(&it.expr, found),
        Expr::Call(it) => it.args.args.iter().for_each(|it| selectors(it, found)),
        Expr::VectorSelector(it) => add(it),
        Expr::MatrixSelector(it) => add(&it.vs),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}

/// A matcher for a label that a metric does not have selects nothing, and nobody is told.
#[test]
fn every_label_is_one_of_its_metric() {
    // What Prometheus adds to every scraped series (`local up` and real networks alike).
    const OF_TARGETS: [&str; 4] = ["cluster", "job", "instance", "program"];
    let paths = [
        "node-exporter/metrics.tsv",
        "dashboards/foreign/prometheus.tsv",
        "dashboards/foreign/provisioner.tsv",
    ];
    let rows: BTreeMap<String, Vec<String>> = paths
        .iter()
        .flat_map(|path| {
            let text = fs::read_to_string(root().join(path)).unwrap();
            let rows: Vec<Vec<String>> = text
                .lines()
                .map(|it| it.split('\t').map(str::to_owned).collect())
                .collect();
            rows
        })
        .map(|row| {
            (
                row[0].clone(),
                row[2].split(',').map(str::to_owned).collect(),
            )
        })
        .collect();
    let mut seen = 0;
    for (where_, expr) in expressions() {
        let mut found = Vec::new();
        selectors(&parser::parse(&expr).unwrap(), &mut found);
        for (metric, label) in found {
            let Some(labels) = rows.get(&metric) else {
                continue;
            };
            seen += 1;
            assert!(
                OF_TARGETS.contains(&label.as_str()) || labels.contains(&label),
                "{where_}: {metric} has no label {label}"
            );
        }
    }
    assert!(seen > 100, "{seen}");
}

/// The names of metrics in an expression.
fn metrics(expr: &Expr, found: &mut BTreeSet<String>) {
    match expr {
        Expr::Aggregate(it) => metrics(&it.expr, found),
        Expr::Unary(it) => metrics(&it.expr, found),
        Expr::Binary(it) => {
            metrics(&it.lhs, found);
            metrics(&it.rhs, found);
        }
        Expr::Paren(it) => metrics(&it.expr, found),
        Expr::Subquery(it) => metrics(&it.expr, found),
        Expr::Call(it) => it.args.args.iter().for_each(|it| metrics(it, found)),
        Expr::VectorSelector(it) => found.extend(it.name.clone()),
        Expr::MatrixSelector(it) => found.extend(it.vs.name.clone()),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}

/// The first column of a catalogue.
fn catalogue(path: &str) -> BTreeSet<String> {
    let path = root().join(path);
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines()
        .map(|it| it.split('\t').next().unwrap().to_owned())
        .collect()
}

/// Link 3: every metric that is asked for is exported by somebody, or recorded by a rule.
#[test]
fn every_metric_has_a_producer() {
    let mut known = catalogue("node-exporter/metrics.tsv");
    known.extend(catalogue("alert-router/metrics.tsv"));
    known.extend(catalogue("dashboards/foreign/prometheus.tsv"));
    known.extend(catalogue("dashboards/foreign/provisioner.tsv"));
    known.extend(rule_expressions().into_iter().map(|(name, _)| name));
    for (where_, expr) in expressions() {
        let mut found = BTreeSet::new();
        metrics(&parser::parse(&expr).unwrap(), &mut found);
        for metric in found {
            let base = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|it| metric.strip_suffix(it))
                .unwrap_or(&metric);
            assert!(
                known.contains(&metric) || known.contains(base),
                "{where_}: nobody exports {metric}"
            );
        }
    }
}

fn promtool() -> PathBuf {
    parts::find("promtool").unwrap().path
}

fn run(arguments: &[&str], file: &Path) {
    let ended = Program::at(promtool()).args(arguments).args([file]).run();
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
}

#[test]
fn promtool_takes_the_rules() {
    let others = Settings {
        runbook_base_url: "https://example.com/a'b\"c".to_owned(),
        dashboard_base_url: None,
        agent_down_for: "2m".to_owned(),
        can_start_programs: false,
    };
    for settings in [Settings::default(), others] {
        let folder = tempfile::tempdir().unwrap();
        for file in render(&settings).rules {
            let path = folder.path().join(&file.name);
            fs::write(&path, &file.text).unwrap();
            run(&["check", "rules", "--lint=all", "--lint-fatal"], &path);
            assert_eq!(file.text.contains("repair:"), settings.can_start_programs);
        }
    }
}

/// Every alert fires, does not fire yet, and clears; but for the one that always fires.
#[test]
fn promtool_proves_the_alerts() {
    let tests = root().join("dashboards/rules/tests/host.yml");
    run(&["test", "rules"], &tests);
    let text = fs::read_to_string(tests).unwrap();
    for (alert, _) in RUNBOOKS {
        let cases: Vec<_> = text
            .split("alertname: ")
            .skip(1)
            .filter(|it| {
                it.starts_with(&format!("{alert},")) || it.starts_with(&format!("{alert}\n"))
            })
            .collect();
        let fires = cases
            .iter()
            .filter(|it| it.starts_with(&format!("{alert}\n")))
            .count();
        let needed = if *alert == "Watchdog" { 1 } else { 3 };
        assert!(
            fires >= 1 && cases.len() >= needed,
            "{alert} has {} cases, in {fires} of which it fires",
            cases.len()
        );
    }
}
