//! A scrape ends at its deadline whatever its collectors do.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use daemon::{CollectError, Collector, Filter, FilterError, Registry, Scrape};
use exposition::{Desc, Family, Kind};

const VALUE: Desc = Desc::new("test_value", Kind::Gauge, "A value.").labels(&["from"]);

/// A collector made of a closure.
struct Made<F>(&'static str, F);

impl<F> Collector for Made<F>
where
    F: Fn(&mut Vec<Family>) -> Result<(), CollectError> + Send + Sync + 'static,
{
    fn name(&self) -> &'static str {
        self.0
    }

    fn collect(&self, _scrape: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        (self.1)(out)
    }
}

fn value(name: &'static str) -> Box<dyn Collector> {
    Box::new(Made(name, move |out: &mut Vec<Family>| {
        push(out, name);
        Ok(())
    }))
}

fn push(out: &mut Vec<Family>, name: &str) {
    let mut family = Family::of(&VALUE);
    family.push(&[name], 1.0);
    out.push(family);
}

/// A door that a collector stands before until it is opened.
#[derive(Default)]
struct Door(Mutex<bool>, Condvar);

impl Door {
    fn wait(&self) {
        let open = self.0.lock().unwrap();
        drop(self.1.wait_while(open, |it| !*it).unwrap());
    }

    fn open(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }
}

fn registry(collectors: Vec<Box<dyn Collector>>) -> Registry {
    Registry::new("test", "test_exporter", collectors).with_disabled(["off"])
}

/// Values and successes by collector, as one line.
async fn scrape(registry: &Registry, deadline: Duration) -> String {
    let families = registry
        .scrape(&Filter::default(), Instant::now() + deadline)
        .await
        .families;
    summary(families)
}

fn summary(families: Vec<Family>) -> String {
    let (families, conflicts) = exposition::gather(families);
    assert_eq!(conflicts, []);
    let text = exposition::write(&families, exposition::Format::Text);
    let text = String::from_utf8(text).unwrap();
    let lines = text
        .lines()
        .filter(|it| !it.starts_with('#') && !it.contains("duration"));
    lines
        .map(|it| {
            it.replace("test_scrape_collector_", "")
                .replace("test_", "")
        })
        .collect::<Vec<_>>()
        .join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_cost_their_own_metrics() {
    let registry = registry(vec![
        value("good"),
        Box::new(Made("none", |_: &mut Vec<Family>| {
            Err(CollectError::NoData)
        })),
        Box::new(Made("partial", |out: &mut Vec<Family>| {
            push(out, "partial");
            Err(CollectError::failed("half of it is missing"))
        })),
        Box::new(Made("panics", |out: &mut Vec<Family>| {
            push(out, "panics");
            panic!("on purpose")
        })),
    ]);
    let expect = r#"success{collector="good"} 1 success{collector="none"} 0 success{collector="panics"} 0 success{collector="partial"} 0 value{from="good"} 1 value{from="partial"} 1"#;
    assert_eq!(scrape(&registry, Duration::from_secs(30)).await, expect);
    assert_eq!(scrape(&registry, Duration::from_secs(30)).await, expect);
}

#[tokio::test(flavor = "multi_thread")]
async fn hanging_collectors_are_left_behind_and_come_back() {
    let door = Arc::new(Door::default());
    let calls = Arc::new(AtomicUsize::new(0));
    // More than there are workers: the good one at the end must not starve behind them.
    let mut collectors = Vec::new();
    for name in ["h1", "h2", "h3", "h4", "h5"] {
        let (door, calls) = (Arc::clone(&door), Arc::clone(&calls));
        collectors.push(Box::new(Made(name, move |out: &mut Vec<Family>| {
            calls.fetch_add(1, Ordering::SeqCst);
            door.wait();
            push(out, name);
            Ok(())
        })) as Box<dyn Collector>);
    }
    collectors.push(value("good"));
    let registry = registry(collectors);
    let hung = r#"success{collector="good"} 1 success{collector="h1"} 0 success{collector="h2"} 0 success{collector="h3"} 0 success{collector="h4"} 0 success{collector="h5"} 0 value{from="good"} 1"#;
    let begin = Instant::now();
    assert_eq!(scrape(&registry, Duration::from_secs(1)).await, hung);
    let first = begin.elapsed();
    assert!(
        first < Duration::from_secs(3),
        "a deadline of 1 s took {first:?}"
    );
    for _ in 0..10 {
        let begin = Instant::now();
        assert_eq!(scrape(&registry, Duration::from_secs(30)).await, hung);
        assert!(
            begin.elapsed() < Duration::from_secs(10),
            "hung ones are waited for"
        );
    }
    assert_eq!(
        calls.load(Ordering::SeqCst),
        5,
        "a hung collector was called again"
    );
    door.open();
    // They come back when their threads get to run.
    let patience = Instant::now() + Duration::from_secs(30);
    let last = loop {
        let last = scrape(&registry, Duration::from_secs(30)).await;
        if !last.contains("} 0") {
            break last;
        }
        assert!(Instant::now() < patience, "they do not come back: {last}");
        tokio::task::yield_now().await;
    };
    assert_eq!(last.matches("value{").count(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_takes_its_scrape_along() {
    let door = Arc::new(Door::default());
    let calls = Arc::new(AtomicUsize::new(0));
    let (its_door, its_calls) = (Arc::clone(&door), Arc::clone(&calls));
    let registry = registry(vec![Box::new(Made("slow", move |_: &mut Vec<Family>| {
        its_calls.fetch_add(1, Ordering::SeqCst);
        its_door.wait();
        Ok(())
    }))]);
    for _ in 0..5 {
        let all = Filter::default();
        let left = registry.scrape(&all, Instant::now() + Duration::from_secs(60));
        drop(tokio::time::timeout(Duration::from_millis(50), left).await);
    }
    assert_eq!(
        calls.load(Ordering::SeqCst),
        1,
        "one outstanding call, whoever asks"
    );
    door.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn filters() {
    let registry = registry(vec![value("a"), value("b"), value("c")]);
    let list = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    for (collect, exclude, expect) in [
        (&[][..], &[][..], Ok("a b c")),
        (&["b"], &[], Ok("b")),
        (&[], &["b"], Ok("a c")),
        (&["a"], &["b"], Err(FilterError::Both)),
        (&["x"], &[], Err(FilterError::Missing("x".to_owned()))),
        (&[], &["off"], Err(FilterError::Disabled("off".to_owned()))),
    ] {
        let filter = Filter {
            collect: list(collect),
            exclude: list(exclude),
        };
        let found = match registry.check(&filter) {
            Err(error) => Err(error),
            Ok(()) => {
                let deadline = Instant::now() + Duration::from_secs(30);
                let families = registry.scrape(&filter, deadline).await.families;
                let values = families.iter().filter(|it| it.name() == "test_value");
                let mut names: Vec<_> = values
                    .flat_map(|it| &it.metrics)
                    .filter_map(|it| it.labels.get("from").map(str::to_owned))
                    .collect();
                names.sort();
                Ok(names.join(" "))
            }
        };
        assert_eq!(found, expect.map(str::to_owned), "{filter:?}");
    }
}
