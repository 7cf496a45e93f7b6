//! Prometheus' own packages read what is written in protobuf, and choose formats as we do.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use exposition::{
    Desc, Exemplar, Family, Format, Histogram, Kind, Labels, Native, Summary, Value, gather, parse,
    write,
};
use serde_json::{Value as Json, json};
use testkit::{ask, root};

fn question(families: &[Family], accept: &[&str]) -> Json {
    let program = root().join("libs/exposition/tests/oracle");
    let program = parts::go_program(&program, "prometheus-protobuf").unwrap();
    let question = json!({
        "accept": accept,
        "type": Format::Protobuf.content_type(),
        "body": STANDARD.encode(write(families, Format::Protobuf)),
    });
    serde_json::from_str(&ask(&program, &question)).unwrap()
}

fn histogram(name: &'static str, histogram: Histogram) -> Family {
    let mut family = Family::new(name, Kind::Histogram, "Time.").unwrap();
    let value = Value::Histogram(Box::new(histogram));
    family.push_value(Labels::EMPTY, value);
    family
}

/// What text can say, Go's client says of our protobuf in the same bytes as we do.
#[test]
fn text() {
    let mut total = Family::of(
        &Desc::new("jobs_total", Kind::Counter, "Jobs \\ done,\n\"all\".").labels(&["who", "a"]),
    );
    total.push(&["a\\b\nc\"d é", "x"], 3.0);
    total.push(&["", &"long ".repeat(100)], 1e6);
    let gauge = Family::single(&Desc::new("jobs", Kind::Gauge, "A gauge."), -0.25);
    let empty = Family::of(&Desc::new("empty", Kind::Gauge, "Nothing."));
    let classic = histogram(
        "took_seconds",
        Histogram {
            buckets: vec![(0.5, 1.0), (1.0, 2.0)],
            sum: Some(7.5),
            count: 3.0,
            native: None,
        },
    );
    let infinite = histogram(
        "whole_seconds",
        Histogram {
            buckets: vec![(0.5, 1.0), (f64::INFINITY, 2.0)],
            sum: Some(0.75),
            count: 2.0,
            native: None,
        },
    );
    let native = histogram(
        "native_seconds",
        Histogram {
            sum: Some(1.5),
            count: 2.0,
            native: Some(Native::default()),
            ..Histogram::default()
        },
    );
    let mut summary = Family::new("wait", Kind::Summary, "").unwrap();
    summary.push_value(
        Labels::new([("a", "b")]).unwrap(),
        Value::Summary(Box::new(Summary {
            quantiles: vec![(0.5, f64::NAN), (0.99, 2.0)],
            sum: Some(4.0),
            count: 2.0,
        })),
    );
    summary.metrics[0].set_timestamp(-1_500);
    let mut untyped = Family::new("odd", Kind::Untyped, "Odd.").unwrap();
    untyped.push_labels(Labels::EMPTY, f64::INFINITY);
    untyped.metrics[0].set_timestamp(1_700_000_000_000);
    let (families, conflicts) = gather(vec![
        total, gauge, empty, classic, infinite, native, summary, untyped,
    ]);
    assert_eq!(conflicts, []);
    let expect = String::from_utf8(write(&families, Format::Text)).unwrap();
    let answer = question(&families, &[]);
    assert_eq!(answer["text"], expect);
}

/// A sum that is not known is no 0, and a count in fractions stands beside its whole part.
#[test]
fn what_is_not_known() {
    let mut summary = Family::new("wait", Kind::Summary, "W.").unwrap();
    summary.push_value(
        Labels::EMPTY,
        Value::Summary(Box::new(Summary {
            count: 2.0,
            ..Summary::default()
        })),
    );
    let odd = histogram(
        "odd",
        Histogram {
            buckets: vec![(1.0, 0.5)],
            count: 1.5,
            ..Histogram::default()
        },
    );
    let answer = question(&[summary, odd], &[]);
    assert_eq!(
        answer["text"],
        "# HELP wait W.\n# TYPE wait summary\nwait_sum NaN\nwait_count 2\n# HELP odd Time.\n# TYPE odd histogram\nodd_bucket{le=\"1\"} 0.5\nodd_bucket{le=\"+Inf\"} 1.5\nodd_sum NaN\nodd_count 1.5\n"
    );
}

#[test]
fn native_histograms() {
    let buckets = |schema, zero_threshold, zero_count, positive: &[(i32, u64)]| Histogram {
        sum: Some(1.0),
        count: 9.0,
        native: Some(Native {
            schema,
            zero_threshold,
            zero_count,
            positive: positive.to_vec(),
        }),
        ..Histogram::default()
    };
    let families = [
        histogram("none", buckets(3, 0.0, 0, &[])),
        histogram(
            "some",
            buckets(
                -4,
                0.125,
                7,
                &[(-9, 1), (-8, 300), (-5, 2), (4, 1 << 40), (5, 1)],
            ),
        ),
        histogram("unknown", buckets(9, 0.5, 7, &[(1, 1)])),
    ];
    let answer = question(&families, &[]);
    let mut found = answer["native"].clone();
    // Go leaves a 0 out or not, by the field.
    for one in found.as_array_mut().unwrap() {
        for it in one["spans"].as_array_mut().into_iter().flatten() {
            let offset = it["offset"].as_i64().unwrap_or(0);
            let length = it["length"].as_i64().unwrap_or(0);
            *it = json!([offset, length]);
        }
    }
    assert_eq!(
        found,
        json!([
            {"name": "none", "count": 9, "count_float": 0, "schema": 3, "zero_threshold": 0, "zero_count": 0,
             "spans": [[0, 0]], "deltas": null, "exemplars": []},
            {"name": "some", "count": 9, "count_float": 0, "schema": -4, "zero_threshold": 0.125, "zero_count": 7,
             "spans": [[-9, 5], [8, 2]], "deltas": [1, 299, -300, 0, 2, (1_i64 << 40) - 2, 1 - (1_i64 << 40)],
             "exemplars": []},
            {"name": "unknown", "count": 9, "count_float": 0, "schema": null, "zero_threshold": 0, "zero_count": 0,
             "spans": null, "deltas": null, "exemplars": []},
        ])
    );
}

/// With exemplars Go's client says of our protobuf in OpenMetrics what we say ourselves, and knows those of native histograms.
#[test]
fn exemplars() {
    let of = |id: &str, value: f64, timestamp: Option<i64>| {
        let labels = Labels::new([("span_id", "0".to_owned()), ("trace_id", id.to_owned())]);
        Exemplar::new(labels.unwrap(), value, timestamp).unwrap()
    };
    let all = [
        of("a\\b\nc\"d é", 0.25, Some(1_700_000_000_123)),
        of(&"é".repeat(112), 1.5, None),
        of("beyond", 9.5, Some(1_001)),
        of("before", 0.75, Some(-1_001)),
    ];
    let classic = Histogram {
        buckets: vec![(0.5, 1.0), (1.0, 2.0), (2.0, 3.0), (4.0, 3.0)],
        sum: Some(7.5),
        count: 4.0,
        native: None,
    };
    let whole = Histogram {
        buckets: vec![(0.5, 1.0), (f64::INFINITY, 4.0)],
        ..classic.clone()
    };
    let native = Histogram {
        buckets: Vec::new(),
        native: Some(Native::default()),
        ..classic
    };
    let mut families = [
        Family::single(&Desc::new("jobs_total", Kind::Counter, "J."), 3.0),
        Family::single(&Desc::new("level", Kind::Gauge, "L."), 3.0),
        histogram("native_seconds", native),
        histogram("took_seconds", classic),
        histogram("whole_seconds", whole),
    ];
    for metric in families.iter_mut().flat_map(|it| &mut it.metrics) {
        all.iter().for_each(|it| metric.add_exemplar(it.clone()));
    }
    let answer = question(&families, &[]);
    // Numbers are not written alike: what is read is compared.
    let ours = String::from_utf8(write(&families, Format::OpenMetrics)).unwrap();
    let theirs = parse::open_metrics(answer["open"].as_str().unwrap()).unwrap();
    assert_eq!(parse::open_metrics(&ours).unwrap(), theirs);
    let text = String::from_utf8(write(&families, Format::Text)).unwrap();
    assert_eq!(answer["text"], text);
    let timed = all.iter().filter_map(|it| {
        let labels: BTreeMap<_, _> = it.labels().iter().collect();
        Some(json!({"labels": labels, "value": it.value(), "time": it.timestamp()?}))
    });
    assert_eq!(answer["native"][0]["exemplars"], timed.collect::<Json>());
    assert_eq!(answer["native"][1]["exemplars"], json!([]));
}

/// What Prometheus and others send, answered in the format that Go's client answers in.
#[test]
fn negotiation() {
    const PROTOBUF: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
    let rest = "application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    let new = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
    let headers = [
        "".to_owned(),
        "*/*".to_owned(),
        format!("{PROTOBUF},{rest}"),
        rest.to_owned(),
        format!("{PROTOBUF};q=0.6,{new}"),
        new.to_owned(),
        format!("{PROTOBUF};q=0.7,text/plain;version=0.0.4;q=0.3"),
        format!("{PROTOBUF};q=0.3,text/plain;version=0.0.4;q=0.7"),
        format!("application/openmetrics-text;version=1.0.0;q=0.6,{PROTOBUF};q=0.5"),
        "application/vnd.google.protobuf".to_owned(),
        "application/vnd.google.protobuf;proto=other;encoding=delimited".to_owned(),
    ];
    let accept: Vec<_> = headers.iter().map(String::as_str).collect();
    let answer = question(&[], &accept);
    for (at, header) in headers.iter().enumerate() {
        let ours = Format::negotiate(Some(header)).content_type();
        let theirs = answer["formats"][at].as_str().unwrap();
        let theirs = theirs.split("; escaping=").next().unwrap();
        assert_eq!(ours, theirs, "{header}");
    }
}
