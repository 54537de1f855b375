//! Prometheus's names for what OpenTelemetry calls otherwise: of metrics, units and labels.
//!
//! These are the rules of Prometheus's OTLP receiver as it is configured by default, which it calls
//! `UnderscoreEscapingWithSuffixes`: dashboards are written for the names that come out of it. Where the two sources
//! differ (several underscores in a label stay several, one in front becomes `key_`) it is Prometheus that counts.
//! Names are made when series are read and never stored, so that SQL and other readers see what was sent.
//!
//! Sources: <https://github.com/prometheus/otlptranslator> 1.0.0;
//! <https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/>.

pub mod metric;
pub mod label;
pub mod value;
pub mod unit;

/// Whether a character may stand in a metric's name, between underscores.
pub fn is_of_names(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == ':'
}
