//! What holds for every dashboard and rule: files are as rendered, house rules, PromQL that parses, metrics that somebody
//! exports, and what promtool says.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use dashboards::{File, RUNBOOKS, Settings, asked, dashboards, grafana::Empty, queries, render};
use promql_parser::parser::{self, Expr, LabelModifier, VectorSelector};
use serde_json::Value;
use testkit::{Answer, Program, Upstream, golden, root};

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

/// Why panels may be empty is there to be read: `empty.tsv`. That they can be at all, and are not without a reason, is held on a real
/// network (`provisioner/tests/local/panels.rs`).
#[test]
fn reasons_to_be_empty_are_listed() {
    let mut lines = BTreeSet::new();
    for it in asked(&dashboards()) {
        let reason = match it.empty {
            None => continue,
            Some(Empty::Rare(why)) => format!("rare\t{why}"),
            Some(Empty::Without { metric, why }) => format!("without {metric}\t{why}"),
        };
        lines.insert(format!("{}\t{}\t{reason}\n", it.dashboard, it.panel));
    }
    let text: String = lines.into_iter().collect();
    golden::check("dashboards/empty.tsv", &text);
}

/// Every object of a panel list, rows opened.
fn panels(dashboard: &Value) -> Vec<Value> {
    let list = |value: &Value| value["panels"].as_array().cloned().unwrap_or_default();
    list(dashboard)
        .into_iter()
        .flat_map(|it| [vec![it.clone()], list(&it)].concat())
        .collect()
}

/// Link 2: the rules of the house, of one dashboard; what is wrong with it.
fn broken_rules(dashboard: &Value, is_neutral: &dyn Fn(&str) -> bool) -> Vec<String> {
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
    const UID: &str = "${datasource}";
    let mut wrong = Vec::new();
    let mut must = |holds: bool, what: String| {
        if !holds {
            wrong.push(what);
        }
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    must(
        text(&dashboard["uid"]).starts_with("scalardl-"),
        "uid".to_owned(),
    );
    must(dashboard["id"] == Value::Null, "id".to_owned());
    for (key, value) in [("schemaVersion", 41), ("graphTooltip", 1)] {
        must(dashboard[key] == value, key.to_owned());
    }
    must(dashboard["refresh"] == "30s", "refresh".to_owned());
    must(!list(&dashboard["tags"]).is_empty(), "tags".to_owned());
    must(
        text(&dashboard["description"]).len() > 20,
        "description".to_owned(),
    );

    let variables = list(&dashboard["templating"]["list"]);
    let names: Vec<_> = variables.iter().map(|it| text(&it["name"])).collect();
    must(
        names.first().is_some_and(|it| it == "datasource"),
        "the data source is not the first variable".to_owned(),
    );
    for name in ["cluster", "job", "instance"] {
        must(
            names.iter().any(|it| it == name),
            format!("no variable {name}"),
        );
    }
    for (at, variable) in variables.iter().enumerate().skip(1) {
        let name = &names[at];
        must(
            variable["datasource"]["uid"] == UID,
            format!("{name}: data source"),
        );
        must(
            variable["multi"] == true && variable["includeAll"] == true,
            format!("{name} does not take several, or all"),
        );
        // What is chosen narrows what is chosen after it.
        let query = text(&variable["query"]["query"]);
        for (place, before) in names.iter().enumerate().skip(1) {
            let is_used = query.contains(&format!("${before}\""));
            must(
                !is_used || place < at,
                format!("{name} is asked with {before}, which comes after it"),
            );
        }
    }
    let annotations = list(&dashboard["annotations"]["list"]);
    for words in ["ALERTS{alertstate=\"firing\"", "start_time_seconds"] {
        must(
            annotations
                .iter()
                .any(|it| text(&it["expr"]).contains(words)),
            format!("no annotation of {words}"),
        );
    }
    must(
        annotations.iter().all(|it| it["datasource"]["uid"] == UID),
        "an annotation's data source".to_owned(),
    );
    let link = &dashboard["links"][0];
    must(
        link["keepTime"] == true && link["includeVars"] == true && link["type"] == "dashboards",
        "no link to the others that keeps time and variables".to_owned(),
    );

    let rows: Vec<_> = panels(dashboard)
        .into_iter()
        .filter(|it| it["type"] == "row")
        .collect();
    must(
        rows.first().is_some_and(|it| it["title"] == "Glance"),
        "it does not begin with a glance".to_owned(),
    );
    for (index, row) in rows.iter().enumerate() {
        must(
            (row["collapsed"] == true) == (index >= 2),
            format!("row {}: two are open, the others collapsed", row["title"]),
        );
    }
    let mut ids = BTreeSet::new();
    for panel in panels(dashboard) {
        let title = text(&panel["title"]);
        let mut must = |holds: bool, what: &str| must(holds, format!("{title}: {what}"));
        must(ids.insert(panel["id"].as_u64()), "an id twice");
        let place = &panel["gridPos"];
        let number = |key: &str| place[key].as_u64().unwrap_or(99);
        must(number("x") + number("w") <= 24, "too wide");
        if panel["type"] == "row" {
            continue;
        }
        let kind = text(&panel["type"]);
        must(KINDS.contains(&kind.as_str()), "no core panel");
        must(panel["datasource"]["uid"] == UID, "data source");
        must(text(&panel["description"]).len() > 20, "no description");
        let defaults = &panel["fieldConfig"]["defaults"];
        must(!text(&defaults["unit"]).is_empty(), "no unit");
        must(
            defaults["min"].is_number()
                || title.starts_with("Clock")
                || MAY_BE_NEGATIVE.contains(&title.as_str()),
            "no min",
        );
        if matches!(kind.as_str(), "stat" | "gauge") {
            // A number that is coloured must be able to look bad.
            let steps = list(&defaults["thresholds"]["steps"]);
            let can_be_bad = steps
                .iter()
                .any(|it| it["color"] == "red" || it["color"] == "orange");
            must(can_be_bad != is_neutral(&title), "no thresholds");
        }
        if matches!(kind.as_str(), "stat" | "gauge" | "bargauge") {
            let url = text(&defaults["links"][0]["url"]);
            must(
                url.contains("${__url_time_range}"),
                "no data link that keeps the time",
            );
        }
        let targets = list(&panel["targets"]);
        must(!targets.is_empty(), "asks nothing");
        for target in targets {
            must(
                target["datasource"]["type"] == "prometheus",
                "a target's kind",
            );
            must(target["datasource"]["uid"] == UID, "a target's data source");
            let expr = text(&target["expr"]);
            // Where alert-router, Prometheus or the other parts of the network are does not hang on the instances that are chosen.
            must(expr.contains("$cluster"), "all clusters at once");
            for window in expr.split('[').skip(1) {
                let window = window.split(']').next().unwrap_or_default();
                must(
                    matches!(
                        window.trim_end_matches(':'),
                        "$__rate_interval" | "$__range"
                    ),
                    "a fixed window",
                );
            }
        }
    }
    wrong
}

/// Time that is left; besides, there are differences of clocks.
const MAY_BE_NEGATIVE: [&str; 2] = ["Time left", "Shown to clients"];

#[test]
fn house_rules() {
    for (file, dashboard) in files().0.iter().zip(dashboards::dashboards()) {
        assert_eq!(file.name, format!("{}.json", dashboard.uid));
        let all: Vec<_> = dashboard.rows.iter().flat_map(|it| &it.panels).collect();
        let is_neutral = |title: &str| all.iter().any(|it| it.title == title && it.is_neutral);
        assert_eq!(
            broken_rules(&json(file), &is_neutral),
            [] as [&str; 0],
            "{}",
            file.name
        );
        assert!(all.len() >= 20, "{}: {}", file.name, all.len());
    }
}

/// Links and drill-downs lead to dashboards that there are.
#[test]
fn links_lead_somewhere() {
    let dashboards = dashboards::dashboards();
    let there: BTreeSet<_> = dashboards.iter().map(|it| it.uid).collect();
    assert_eq!(there.len(), dashboards.len());
    let expect = [
        "alerts",
        "cassandra",
        "cassandra-tables",
        "ledger",
        "monitoring",
        "node",
        "nodes",
        "overview",
        "traefik",
    ];
    assert_eq!(there.iter().copied().collect::<Vec<_>>(), expect);
    for dashboard in &dashboards {
        for panel in dashboard.rows.iter().flat_map(|it| &it.panels) {
            if let Some(uid) = panel.leads_to {
                assert!(
                    there.contains(uid),
                    "{}: {}: {uid}",
                    dashboard.uid,
                    panel.title
                );
            }
        }
    }
}

/// Whether the checker sees what it is there for: a dashboard with one thing changed.
#[test]
fn each_rule_is_held() {
    let good = json(&files().0[0]);
    let all_neutral = dashboards::dashboards();
    let is_neutral = |title: &str| {
        let mut panels = all_neutral[0].rows.iter().flat_map(|it| &it.panels);
        panels.any(|it| it.title == title && it.is_neutral)
    };
    // The first is a row, the second a stat.
    let panel = "/panels/1";
    let target = "/panels/1/targets/0";
    for (place, value, expect) in [
        ("/uid", "mine".into(), "uid"),
        ("/id", 5.into(), "id"),
        ("/schemaVersion", 39.into(), "schemaVersion"),
        ("/graphTooltip", 0.into(), "graphTooltip"),
        ("/refresh", "5s".into(), "refresh"),
        ("/tags", Value::Array(Vec::new()), "tags"),
        ("/description", "".into(), "description"),
        (
            "/templating/list/1/name",
            "clusters".into(),
            "no variable cluster",
        ),
        (
            "/templating/list/1/multi",
            false.into(),
            "cluster does not take several",
        ),
        (
            "/templating/list/1/datasource/uid",
            "abc".into(),
            "cluster: data source",
        ),
        (
            "/templating/list/1/query/query",
            "label_values(up{job=~\"$job\"}, cluster)".into(),
            "cluster is asked with job",
        ),
        (
            "/annotations/list/0/expr",
            "up".into(),
            "no annotation of ALERTS",
        ),
        (
            "/annotations/list/1/datasource/uid",
            "abc".into(),
            "an annotation's data source",
        ),
        ("/links/0/keepTime", false.into(), "no link to the others"),
        (
            "/panels/0/title",
            "Look".into(),
            "it does not begin with a glance",
        ),
        ("/panels/0/collapsed", true.into(), "two are open"),
        ("#/type", "grafana-piechart-panel".into(), "no core panel"),
        ("#/id", 1.into(), "an id twice"),
        ("#/gridPos/x", 22.into(), "too wide"),
        ("#/datasource/uid", "abc".into(), ": data source"),
        ("#/description", "".into(), "no description"),
        ("#/fieldConfig/defaults/unit", "".into(), "no unit"),
        ("#/fieldConfig/defaults/min", Value::Null, "no min"),
        (
            "#/fieldConfig/defaults/thresholds/steps",
            Value::Array(Vec::new()),
            "no thresholds",
        ),
        (
            "#/fieldConfig/defaults/links",
            Value::Array(Vec::new()),
            "no data link",
        ),
        ("#/targets", Value::Array(Vec::new()), "asks nothing"),
        ("@/datasource/type", Value::Null, "a target's kind"),
        ("@/datasource/uid", "abc".into(), "a target's data source"),
        ("@/expr", "sum(up)".into(), "all clusters at once"),
        (
            "@/expr",
            "rate(up{cluster=~\"$cluster\"}[5m])".into(),
            "a fixed window",
        ),
    ] as [(&str, Value, &str); 30]
    {
        let mut bad = good.clone();
        let place = place.replace('#', panel).replace('@', target);
        *bad.pointer_mut(&place).unwrap_or_else(|| panic!("{place}")) = value;
        let found = broken_rules(&bad, &is_neutral);
        assert!(
            found.iter().any(|it| it.contains(expect)),
            "{place}: {found:?}"
        );
    }
}

/// What of a value is not in another, by its place; what is there must be the same.
fn lost(before: &Value, after: &Value, place: &str, found: &mut BTreeSet<String>) {
    match (before, after) {
        // What is null is as good as not there, in Grafana's model too.
        (Value::Null, Value::Null) => {}
        (Value::Object(before), Value::Object(after)) => {
            for (key, value) in before.iter().filter(|it| !it.1.is_null()) {
                let place = format!("{place}/{key}");
                match after.get(key) {
                    Some(after) => lost(value, after, &place, found),
                    None => drop(found.insert(place)),
                }
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            let pairs = before.iter().zip(after);
            pairs.for_each(|(before, after)| lost(before, after, &format!("{place}/*"), found));
        }
        (before, after)
            if before == after || before.as_f64() == after.as_f64() && before.is_number() => {}
        _ => drop(found.insert(place.to_owned())),
    }
}

/// Link 4: the model that Grafana generates knows every key.
#[test]
fn grafanas_model_loses_nothing() {
    // Keys of annotations that Grafana's data source for Prometheus reads, and that the model does not have.
    const OF_PROMETHEUS: [&str; 4] = [
        "/annotations/list/*/step",
        "/annotations/list/*/tagKeys",
        "/annotations/list/*/textFormat",
        "/annotations/list/*/titleFormat",
    ];
    let python = parts::fetch("python3.11").unwrap().path;
    let files: Vec<_> = files().0;
    let folder = root().join("dashboards");
    let ended = Program::at(python)
        .args([folder.join("tests/model/through.py")])
        .args(files.iter().map(|it| folder.join("grafana").join(&it.name)))
        .env("PYTHONPATH", parts::grafana_model().unwrap())
        .run();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_eq!(ended.stdout.lines().count(), files.len());
    for (file, line) in files.iter().zip(ended.stdout.lines()) {
        let after = serde_json::from_str(line).unwrap();
        let mut found = BTreeSet::new();
        lost(&json(file), &after, "", &mut found);
        assert_eq!(
            found.iter().map(String::as_str).collect::<Vec<_>>(),
            OF_PROMETHEUS,
            "{}",
            file.name
        );
        // A key that nobody knows is seen.
        let mut strange = json(file);
        strange["panels"][1]["fieldConfig"]["defaults"]["colour"] = "red".into();
        let mut found = BTreeSet::new();
        lost(&strange, &after, "", &mut found);
        assert!(found.contains("/panels/*/fieldConfig/defaults/colour"));
    }
}

/// Link 7, as far as it goes without a Grafana: what posts dashboards to one (`verify/`) sees it take, refuse or lose them.
#[test]
fn the_poster_says_what_became_of_them() {
    if parts::on_path("curl").is_none() {
        return testkit::skip("no curl on the PATH to post dashboards");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = files()
        .0
        .into_iter()
        .find(|it| it.name == "node.json")
        .unwrap();
    fs::write(folder.path().join(&file.name), &file.text).unwrap();
    let kept = format!("{{\"meta\": {{}}, \"dashboard\": {}}}", file.text);
    let lost = kept.replacen("\"description\":", "\"was\":", 1);
    let saved = || Answer::ok("{\"status\": \"success\"}");
    let refused = Answer::Reply(412, Vec::new(), "{\"status\": \"name-exists\"}".to_owned());
    for (answers, code, expect) in [
        (
            vec![saved(), saved(), Answer::ok(&kept)],
            0,
            "ok   node\n1 passed, 0 failed\n",
        ),
        (
            vec![saved(), refused],
            1,
            "FAIL node: Grafana refuses it: {\"status\": \"name-exists\"}\n412\n",
        ),
        (
            vec![saved(), saved(), Answer::ok(&lost)],
            1,
            "descriptions Grafana has kept",
        ),
        (
            vec![saved(), saved(), Answer::status(404)],
            1,
            "Grafana does not give it back",
        ),
    ] {
        let grafana = Upstream::start(answers);
        let ended = Program::at("sh")
            .args([root().join("dashboards/verify/post.sh")])
            .args([folder.path()])
            .env("GRAFANA_URL", grafana.url(""))
            .env("GRAFANA_TOKEN", "hunter2")
            .run();
        assert_eq!(
            ended.status.code(),
            Some(code),
            "{}{}",
            ended.stdout,
            ended.stderr
        );
        assert!(ended.stdout.contains(expect), "{}", ended.stdout);
        let heard = grafana.heard();
        assert_eq!(heard[1].line, "POST /api/dashboards/db HTTP/1.1");
        let posted: Value = serde_json::from_str(&heard[1].body).unwrap();
        assert_eq!(posted["dashboard"], json(&file));
        let token = ("authorization".to_owned(), "Bearer hunter2".to_owned());
        assert!(heard[1].headers.contains(&token));
    }
    // Nobody is there.
    let ended = Program::at("sh")
        .args([root().join("dashboards/verify/post.sh")])
        .args([folder.path()])
        .env("GRAFANA_URL", "http://127.0.0.1:1")
        .env("PATIENCE", "1")
        .run();
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.stderr.contains("no Grafana answers"),
        "{}",
        ended.stderr
    );
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
    // Of summaries and histograms.
    const OF_KINDS: [&str; 2] = ["quantile", "le"];
    let rows: BTreeMap<String, Vec<String>> = CATALOGUES
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
            let Some(labels) = rows.get(&metric).or_else(|| rows.get(base(&metric))) else {
                continue;
            };
            seen += 1;
            assert!(
                OF_TARGETS.contains(&label.as_str())
                    || OF_KINDS.contains(&label.as_str())
                    || labels.contains(&label),
                "{where_}: {metric} has no label {label}"
            );
        }
    }
    assert!(seen > 1_000, "{seen}");
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

/// Who exports what: name, type, labels.
const CATALOGUES: [&str; 9] = [
    "alert-router/metrics.tsv",
    "cassandra-exporter/metrics.tsv",
    "dashboards/foreign/ec2.tsv",
    "dashboards/foreign/prometheus.tsv",
    "dashboards/foreign/provisioner.tsv",
    "dashboards/foreign/scalardl.tsv",
    "dashboards/foreign/traefik.tsv",
    "node-exporter/metrics.tsv",
    "traefik-exporter/metrics.tsv",
];

/// A histogram's or a summary's name without what its series have at the end.
fn base(metric: &str) -> &str {
    ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|it| metric.strip_suffix(it))
        .unwrap_or(metric)
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
    let mut known: BTreeSet<_> = CATALOGUES.iter().flat_map(|it| catalogue(it)).collect();
    known.extend(rule_expressions().into_iter().map(|(name, _)| name));
    for (where_, expr) in expressions() {
        let (mut found, mut patterns) = (BTreeSet::new(), Vec::new());
        let parsed = parser::parse(&expr).unwrap();
        metrics(&parsed, &mut found);
        named_by_pattern(&expr, &mut patterns);
        for metric in &found {
            assert!(
                known.contains(metric) || known.contains(base(metric)),
                "{where_}: nobody exports {metric}"
            );
        }
        for pattern in &patterns {
            let pattern = regex::Regex::new(&format!("^(?:{pattern})$")).unwrap();
            assert!(
                known.iter().any(|it| pattern.is_match(it)),
                "{where_}: nobody exports what is named like {pattern}"
            );
        }
        assert!(
            !found.is_empty() || !patterns.is_empty() || expr == "vector(1)",
            "{where_}: {expr} asks for nothing"
        );
    }
}

/// Names of metrics that are patterns: `{__name__=~"…"}`.
fn named_by_pattern(expr: &str, found: &mut Vec<String>) {
    let mut parts = expr.split("__name__=~\"");
    parts.next();
    found.extend(parts.map(|it| it.split('"').next().unwrap().to_owned()));
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
        repairs: Vec::new(),
        without: vec!["ledger"],
        ..Settings::default()
    };
    for settings in [Settings::default(), others] {
        let folder = tempfile::tempdir().unwrap();
        let rules = render(&settings).rules;
        for file in &rules {
            let path = folder.path().join(&file.name);
            fs::write(&path, &file.text).unwrap();
            run(&["check", "rules", "--lint=all", "--lint-fatal"], &path);
        }
        let has = |text| rules.iter().any(|it| it.text.contains(text));
        assert_eq!(has("repair:"), !settings.repairs.is_empty());
        assert_eq!(has("LedgerDown"), settings.without.is_empty());
    }
}

/// A case of promtool's: when it is evaluated, in seconds, and whether the alert fires then.
type Case = (u64, bool);

/// The cases of a file, by its tests and their alerts.
fn cases(text: &str) -> Vec<BTreeMap<&str, Vec<Case>>> {
    let tests = text.split("\n- name: ").skip(1);
    let cases = |test| {
        let mut found: BTreeMap<_, Vec<Case>> = BTreeMap::new();
        for case in str::split(test, "eval_time: ").skip(1) {
            let time = case.split([',', '\n']).next().unwrap();
            let Some(alert) = case.split("alertname: ").nth(1) else {
                // Of an expression.
                continue;
            };
            let alert = alert.split([',', '\n']).next().unwrap();
            let fires = case.contains("exp_labels: {") || case.contains("- exp_annotations:");
            assert_ne!(fires, case.contains("exp_alerts: []"), "{alert}: {case}");
            let of_alert = found.entry(alert).or_default();
            of_alert.push((seconds(time), fires));
            assert!(of_alert.is_sorted_by(|a, b| a.0 < b.0), "{alert}: {time}");
        }
        found
    };
    tests.map(cases).collect()
}

/// Prometheus' spelling of a time, `1h30m`.
fn seconds(text: &str) -> u64 {
    let (mut all, mut digits) = (0, String::new());
    for it in text.chars() {
        if it.is_ascii_digit() {
            digits.push(it);
            continue;
        }
        let unit = match it {
            'd' => 86_400,
            'h' => 3_600,
            'm' => 60,
            's' => 1,
            _ => panic!("{text}"),
        };
        all += digits.parse::<u64>().unwrap() * unit;
        digits.clear();
    }
    assert!(digits.is_empty(), "{text}");
    all
}

/// Whether an alert does not fire yet, fires, and clears.
fn is_whole(cases: &[Case]) -> bool {
    let fires = cases.iter().position(|it| it.1);
    fires.is_some_and(|at| at > 0 && cases.iter().skip(at).any(|it| !it.1))
}

#[test]
fn cases_of_an_alert() {
    let text = "tests:
- name: A, B
  alert_rule_test:
  - {eval_time: 90s, alertname: A, exp_alerts: []}
  - eval_time: 1h2m
    alertname: A
    exp_alerts:
    - exp_labels: {severity: info}
  - {eval_time: 2d, alertname: A, exp_alerts: []}
  - {eval_time: 0s, alertname: B, exp_alerts: []}
- name: of an expression
  promql_expr_test:
  - {expr: up, eval_time: 4m}
";
    let found = cases(text);
    let a = vec![(90, false), (3_720, true), (172_800, false)];
    assert_eq!(
        found,
        [
            BTreeMap::from([("A", a.clone()), ("B", vec![(0, false)])]),
            BTreeMap::new()
        ]
    );
    assert!(is_whole(&a));
    for lacks in [&a[..2], &a[1..], &a[..1], &a[1..2], &[]] {
        assert!(!is_whole(lacks), "{lacks:?}");
    }
}

/// Every alert does not fire yet, fires, and clears, in one test; but for the one that always fires.
#[test]
fn promtool_proves_the_alerts() {
    let mut proved = BTreeSet::new();
    for tests in fs::read_dir(root().join("dashboards/rules/tests")).unwrap() {
        let tests = tests.unwrap().path();
        run(&["test", "rules"], &tests);
        let text = fs::read_to_string(tests).unwrap();
        for (alert, cases) in cases(&text).into_iter().flatten() {
            assert!(RUNBOOKS.iter().any(|it| it.0 == alert), "{alert}");
            let always = alert == "Watchdog" && cases.iter().all(|it| it.1);
            if always || is_whole(&cases) {
                proved.insert(alert.to_owned());
            }
        }
    }
    for (alert, _) in RUNBOOKS {
        assert!(proved.contains(*alert), "{alert} lacks one of three cases");
    }
}
