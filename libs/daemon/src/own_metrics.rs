//! What a program says about itself: kept with the crate `prometheus`, written like everything else.

use exposition::{Desc, Family, Histogram, Kind, Labels, Summary, Value};
use prometheus::{
    IntCounter, IntCounterVec, IntGauge, Opts,
    proto::{self, MetricType},
};

use crate::{Program, Registry};

/// The metrics of the HTTP handler, named as Prometheus' own handler names them, and of the process.
pub(crate) struct OwnMetrics {
    registry: prometheus::Registry,
    always: prometheus::Registry,
    pub(crate) in_flight: IntGauge,
    pub(crate) requests: IntCounterVec,
    pub(crate) errors: IntCounter,
}

impl OwnMetrics {
    pub(crate) fn new(program: &Program) -> Result<Self, prometheus::Error> {
        let registry = prometheus::Registry::new();
        let always = prometheus::Registry::new();
        registry.register(Box::new(
            prometheus::process_collector::ProcessCollector::for_self(),
        ))?;
        let in_flight = IntGauge::new(
            "promhttp_metric_handler_requests_in_flight",
            "Current number of scrapes being served.",
        )?;
        let requests = IntCounterVec::new(
            Opts::new(
                "promhttp_metric_handler_requests_total",
                "Total number of scrapes by HTTP status code.",
            ),
            &["code"],
        )?;
        for code in ["200", "500", "503"] {
            requests.with_label_values(&[code]);
        }
        let errors = IntCounter::new(
            "promhttp_metric_handler_errors_total",
            "Total number of metrics left out of scrapes because they contradict others.",
        )?;
        registry.register(Box::new(in_flight.clone()))?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(errors.clone()))?;
        let build = prometheus::IntGaugeVec::new(
            Opts::new(
                format!("{}_build_info", program.namespace),
                format!(
                    "A metric with a constant '1' value labeled by version and revision from which {} was built.",
                    program.namespace
                ),
            ),
            &["version", "revision"],
        )?;
        build
            .with_label_values(&[program.version, Program::REVISION])
            .set(1);
        always.register(Box::new(build))?;
        Ok(Self {
            registry,
            always,
            in_flight,
            requests,
            errors,
        })
    }

    /// All of it, or what remains with `--web.disable-exporter-metrics`.
    pub(crate) fn families(&self, disabled: bool) -> Vec<Family> {
        let mut families = families_of(&self.always);
        if !disabled {
            families.extend(families_of(&self.registry));
            families.push(Family::single(&VIRTUAL_MEMORY_MAX, virtual_memory_max()));
        }
        families
    }
}

/// What Go's client has beyond the crate `prometheus`.
const VIRTUAL_MEMORY_MAX: Desc = Desc::new(
    "process_virtual_memory_max_bytes",
    Kind::Gauge,
    "Maximum amount of virtual memory available in bytes.",
);

/// The limit of the process' address space (getrlimit(2)); without one the highest number, as in Go's client.
#[expect(
    clippy::cast_precision_loss,
    reason = "every value of Prometheus is a float"
)]
fn virtual_memory_max() -> f64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::As);
    limit.current.unwrap_or(u64::MAX) as f64
}

/// What a program whose registry has this prefix says about itself at `/metrics` beside what it is for; for its catalogue.
#[must_use]
pub fn own_families(program: &Program, prefix: &str) -> Vec<Family> {
    let own = OwnMetrics::new(program);
    let mut families = own.map_or_else(|_| Vec::new(), |it| it.families(false));
    families.extend(Registry::new(prefix, program.namespace, Vec::new()).described());
    families
}

/// What a registry of the crate `prometheus` holds, in our shape.
#[must_use]
pub fn families_of(registry: &prometheus::Registry) -> Vec<Family> {
    registry.gather().iter().filter_map(family).collect()
}

/// None only for names that the crate itself refuses to register.
fn family(its: &proto::MetricFamily) -> Option<Family> {
    let kind = match its.get_field_type() {
        MetricType::COUNTER => Kind::Counter,
        MetricType::GAUGE => Kind::Gauge,
        MetricType::HISTOGRAM => Kind::Histogram,
        MetricType::SUMMARY => Kind::Summary,
        // The crate has no metric of this type.
        MetricType::UNTYPED => return None,
    };
    let mut family = Family::new(its.name().to_owned(), kind, its.help().to_owned()).ok()?;
    for metric in its.get_metric() {
        let pairs = metric.get_label().iter();
        let pairs = pairs.map(|it| (it.name().to_owned(), it.value().to_owned()));
        #[expect(
            clippy::cast_precision_loss,
            reason = "counts fit 53 bits for centuries"
        )]
        let value = match kind {
            Kind::Counter => Value::Number(metric.get_counter().get_value()),
            Kind::Gauge | Kind::Untyped => Value::Number(metric.get_gauge().get_value()),
            Kind::Histogram => {
                let its = metric.get_histogram();
                let buckets = its.get_bucket().iter();
                Value::Histogram(Box::new(Histogram {
                    buckets: buckets
                        .map(|it| (it.upper_bound(), it.cumulative_count() as f64))
                        .collect(),
                    sum: Some(its.get_sample_sum()),
                    count: its.get_sample_count() as f64,
                    native: None,
                }))
            }
            Kind::Summary => {
                let its = metric.get_summary();
                let quantiles = its.get_quantile().iter();
                Value::Summary(Box::new(Summary {
                    quantiles: quantiles.map(|it| (it.quantile(), it.value())).collect(),
                    sum: Some(its.sample_sum()),
                    count: its.sample_count() as f64,
                }))
            }
        };
        family.push_value(Labels::new(pairs).ok()?, value);
    }
    Some(family)
}

#[cfg(test)]
mod tests {
    use super::{OwnMetrics, families_of};
    use crate::Program;

    #[test]
    fn own_metrics_are_valid() {
        let own = OwnMetrics::new(&Program {
            name: "x-y",
            namespace: "x_y",
            about: "",
            listen: ":1",
            version: "1.2.3",
        })
        .unwrap();
        let (families, conflicts) = exposition::gather(own.families(false));
        assert_eq!(conflicts, []);
        let text = exposition::write(&families, exposition::Format::Text);
        let text = String::from_utf8(text).unwrap();
        exposition::parse::text_strict(&text).unwrap();
        for name in [
            "process_resident_memory_bytes ",
            "process_start_time_seconds ",
            "x_y_build_info{",
        ] {
            assert!(
                text.contains(&format!("\n{name}")),
                "{name} is missing in {text}"
            );
        }
        assert_eq!(own.families(true).len(), 1);
    }

    #[test]
    fn histograms_come_through() {
        let registry = prometheus::Registry::new();
        let options = prometheus::HistogramOpts::new("h_seconds", "H.").buckets(vec![0.1, 1.0]);
        let histogram = prometheus::Histogram::with_opts(options).unwrap();
        histogram.observe(0.5);
        histogram.observe(5.0);
        registry.register(Box::new(histogram)).unwrap();
        let text = exposition::write(&families_of(&registry), exposition::Format::Text);
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "# HELP h_seconds H.\n# TYPE h_seconds histogram\nh_seconds_bucket{le=\"0.1\"} 0\nh_seconds_bucket{le=\"1\"} 1\nh_seconds_bucket{le=\"+Inf\"} 2\nh_seconds_sum 5.5\nh_seconds_count 2\n"
        );
    }
}
