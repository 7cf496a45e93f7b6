//! Every panel of every dashboard against the whole network on this machine: real programs under load, a real Prometheus.

use std::{collections::BTreeMap, time::Duration};

use dashboards::{Asked, grafana::Empty};
use promql_parser::parser::{self, Expr};
use serde_json::Value;
use testkit::{Program, binary, eventually};

use super::{Network, PORTS, PORTS_OF_CASSANDRA, PORTS_OF_LEDGER, PORTS_OF_TRAEFIK, fetch, others};

/// Seconds of load; the test is done long before.
const LOAD: &str = "600";
/// For a panel to have data under load.
pub(crate) const PATIENCE_OF_PANELS: Duration = Duration::from_secs(120);

/// Whether an expression can be empty though its metrics are there: it compares, leaves out, or asks for what happens at times.
pub(crate) fn leaves_out(expr: &Expr) -> bool {
    match expr {
        Expr::Aggregate(it) => leaves_out(&it.expr),
        Expr::Unary(it) => leaves_out(&it.expr),
        Expr::Binary(it) => {
            (it.op.is_comparison_operator() && !it.return_bool())
                || it.op.is_set_operator()
                || leaves_out(&it.lhs)
                || leaves_out(&it.rhs)
        }
        Expr::Paren(it) => leaves_out(&it.expr),
        Expr::Subquery(it) => leaves_out(&it.expr),
        Expr::Call(it) => it.args.args.iter().any(|it| leaves_out(it)),
        Expr::VectorSelector(it) => is_of_events(it.name.as_deref().unwrap_or_default()),
        Expr::MatrixSelector(it) => is_of_events(it.vs.name.as_deref().unwrap_or_default()),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => false,
    }
}

/// Metrics whose series come with what they tell of, and go with it.
fn is_of_events(metric: &str) -> bool {
    metric.starts_with("ALERTS")
        || metric.contains("_error_")
        || metric.starts_with("cassandra_running_compactions")
        || metric == "cassandra_streams"
        || metric == "cassandra_table_compression_ratio"
        || metric == "cassandra_table_estimated_partition_size_bytes_bucket"
        || metric == "traefik_file_object_not_loaded"
}

/// No target says that it may be empty when it cannot be.
#[test]
fn what_may_be_empty_can_be() {
    let all = dashboards::asked(&dashboards::dashboards());
    let mut reasons = BTreeMap::new();
    for it in &all {
        match it.empty {
            Some(Empty::Rare(why)) => {
                assert!(why.len() > 10, "{}: {}", it.dashboard, it.panel);
                let expr = parser::parse(&it.expr).unwrap();
                assert!(
                    leaves_out(&expr),
                    "{}: {} always has data where its metric is: {}",
                    it.dashboard,
                    it.panel,
                    it.expr
                );
                *reasons.entry(why).or_insert(0) += 1;
            }
            Some(Empty::Without { metric, why }) => {
                assert!(why.len() > 10 && !metric.is_empty());
                *reasons.entry(why).or_insert(0) += 1;
            }
            None => {}
        }
    }
    let marked: usize = reasons.values().sum();
    // They are the exception.
    assert!(
        marked * 5 < all.len(),
        "{marked} of {}: {reasons:?}",
        all.len()
    );
    for (expr, expect) in [
        ("up", false),
        ("sum by (cluster) (rate(x[5m]))", false),
        ("up == bool 1", false),
        ("up == 1", true),
        ("a / (b > 0)", true),
        ("a and b", true),
        ("ALERTS", true),
    ] {
        assert_eq!(leaves_out(&parser::parse(expr).unwrap()), expect, "{expr}");
    }
}

/// What Prometheus answers to an expression: whether there is anything.
fn has_data(prometheus: &str, expr: &str) -> bool {
    let encoded: String = expr.bytes().map(|it| format!("%{it:02X}")).collect();
    let answer = fetch(&format!("{prometheus}/api/v1/query?query={encoded}"));
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["status"], "success", "{expr}: {answer}");
    !answer["data"]["result"].as_array().unwrap().is_empty()
}

/// The whole network, under load.
#[test]
fn every_panel_has_data() {
    for program in ["cassandra-exporter", "traefik-exporter"] {
        assert!(binary(program).is_file());
    }
    let network = Network::new();
    let up = ["local", "up", "--with=all", PORTS];
    let ports = [PORTS_OF_CASSANDRA, PORTS_OF_LEDGER, PORTS_OF_TRAEFIK];
    network.good(&[&up[..], &ports].concat());
    // It ends by itself, and with the test.
    let load = Program::new("provisioner")
        .args(["local", "load", "--seconds", LOAD])
        .env("PROVISIONER_LOCAL_STATE_DIR", network.state())
        .start();
    // Somebody is told something, by both ways.
    network.good(&["alerts", "test", "--timeout", "120"]);

    let prometheus = network.program("prometheus")["url"]
        .as_str()
        .unwrap()
        .to_owned();
    let has = |expr: &str| has_data(&prometheus, expr);
    let must_have = |it: &Asked| {
        let what = format!("{}: {} has data: {}", it.dashboard, it.panel, it.expr);
        eventually(&what, PATIENCE_OF_PANELS, || has(&it.expr).then_some(()));
    };
    let all = dashboards::asked(&dashboards::dashboards());
    for it in all.iter().filter(|it| it.empty.is_none()) {
        must_have(it);
    }
    for it in &all {
        match it.empty {
            // With the metric they have data, and without it they have none.
            Some(Empty::Without { metric, .. }) if has(metric) => must_have(it),
            Some(Empty::Without { metric, why }) => {
                let name = format!("{}: {}", it.dashboard, it.panel);
                assert!(!has(&it.expr), "{name} has data without {metric}: {why}");
            }
            // It must be understood all the same.
            Some(Empty::Rare(_)) => {
                has(&it.expr);
            }
            None => {}
        }
    }
    others::find_theirs(&has);
    drop(load);
}
