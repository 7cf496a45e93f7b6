//! The formats of Prometheus' metrics: families of samples, a writer, and a strict parser for text. Pure: no I/O, no clock.
//!
//! Three formats are meant: the text format 0.0.4 of Prometheus
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>), OpenMetrics 1.0
//! (<https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md>), and Prometheus' protobuf format,
//! which is written alone.

mod desc;
mod exemplar;
mod family;
mod name;
mod negotiate;
mod number;
pub mod parse;
mod protobuf;
mod write;

pub use desc::Desc;
pub use exemplar::{Exemplar, LongExemplar};
pub use family::{
    Conflict, Family, Histogram, Kind, Labels, Metric, Native, Summary, Value, gather,
};
pub use name::{NameError, is_label_name, is_metric_name};
pub use negotiate::Format;
pub use number::go_float;
pub use write::write;
