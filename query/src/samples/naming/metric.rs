//! The name of a metric: its own, words of its unit, and what its kind ends with.

use super::{is_of_names, unit};

/// What the end of a name depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Gauge,
    /// A sum that only grows.
    Counter,
    /// Anything else.
    Other,
}

/// The name in Prometheus; none where nothing remains of it, as of `@#$%`: such a metric has no series there.
///
/// ```text
/// http.server.request.duration, s, histogram -> http_server_request_duration_seconds
/// ```
pub fn name(metric: &str, unit: &str, kind: Kind) -> Option<String> {
    let (main, per) = unit::words(unit);
    let mut words: Vec<&str> = metric.split(|c| !is_of_names(c)).filter(|word| !word.is_empty()).collect();
    let is_told = words.contains(&main.as_str());
    let main = if per.is_empty() { main.as_str() } else { main.strip_suffix('_').unwrap_or(&main) };
    let per = per.strip_suffix('_').unwrap_or(&per);
    words.extend([main].into_iter().filter(|main| !main.is_empty() && !is_told));
    words.extend([per].into_iter().filter(|per| !per.is_empty()));
    let ending = match kind {
        Kind::Counter => Some("total"),
        // Many senders count things in a unit of 1, so that only of a gauge it means a share.
        Kind::Gauge if unit == "1" => Some("ratio"),
        _ => None,
    };
    if let Some(ending) = ending {
        words.retain(|word| *word != ending);
        words.push(ending);
    }
    let name = words.join("_");
    let is_number = name.starts_with(|c: char| c.is_ascii_digit());
    let name = if is_number { format!("_{name}") } else { name };
    name.contains(|c| c != '_').then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those of otlptranslator's tests for names without UTF-8, with suffixes.
    #[test]
    fn a_metric_is_named_as_prometheus_names_it() {
        let cases = [
            ("requests", "", Kind::Counter, "requests_total"),
            ("cpu_usage", "1", Kind::Gauge, "cpu_usage_ratio"),
            ("items", "1", Kind::Counter, "items_total"),
            ("response_time", "ms", Kind::Gauge, "response_time_milliseconds"),
            ("memory_usage", "By", Kind::Gauge, "memory_usage_bytes"),
            ("requests", "1/s", Kind::Gauge, "requests_per_second"),
            ("throughput", "By/s", Kind::Gauge, "throughput_bytes_per_second"),
            ("custom_metric", "custom_unit", Kind::Gauge, "custom_metric_custom_unit"),
            ("custom_metric", "{custom}", Kind::Gauge, "custom_metric"),
            ("custom_metric", "By/{custom}", Kind::Gauge, "custom_metric_bytes"),
            ("requests_total", "", Kind::Counter, "requests_total"),
            ("cpu_usage_ratio", "1", Kind::Gauge, "cpu_usage_ratio"),
            ("response_time_seconds", "s", Kind::Gauge, "response_time_seconds"),
            ("http.server.request.duration", "s", Kind::Other, "http_server_request_duration_seconds"),
            ("total.time", "s", Kind::Counter, "time_seconds_total"),
            ("123metric", "", Kind::Gauge, "_123metric"),
            ("a__b..c", "", Kind::Gauge, "a_b_c"),
            ("_a_", "", Kind::Gauge, "a"),
            ("a:b", "", Kind::Gauge, "a:b"),
        ];
        for (metric, unit, kind, want) in cases {
            assert_eq!(name(metric, unit, kind).as_deref(), Some(want), "{metric} {unit} {kind:?}");
        }
    }

    #[test]
    fn what_leaves_nothing_has_no_name() {
        for metric in ["", "@#$%", "___", "ようこそ"] {
            assert_eq!(name(metric, "", Kind::Gauge), None, "{metric}");
        }
    }
}
