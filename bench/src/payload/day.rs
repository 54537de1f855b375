//! Spans and lines of a day, with some among them that are rare: what people search for.
//!
//! The records are those of [`traces`](super::traces) and [`logs`](super::logs), requests even over the day instead of within a
//! minute. Every span has an order of [`ORDERS`], so that each order is of one span in as many; some roots are slow, a trace in
//! [`SLOW`]; [`NEEDLES`] lines say [`NEEDLE`].

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;

use super::attributes::text;
use super::{logs, traces};
use crate::random::Random;

/// Values of the attribute [`ORDER_KEY`].
pub const ORDERS: u64 = 10_000;
pub const ORDER_KEY: &str = "order.id";

/// One root in so many lasts from one second to ten.
const SLOW: u64 = 2_000;
const SLOW_NANOS_MIN: u64 = 1_000_000_001;
const SLOW_NANOS_MAX: u64 = 10_000_000_000;

/// How many lines say what no other does.
pub const NEEDLES: u64 = 10;
pub const NEEDLE: &str = "cancelled by the auditor";

pub const DAY_NANOS: u64 = 86_400_000_000_000;

/// Some requests of a day.
#[derive(Debug, Clone, Copy)]
pub struct Day {
    /// All requests of a signal; at least [`NEEDLES`].
    pub requests: u64,
    pub records_per_request: usize,
    /// The last records begin before this, nanoseconds since the epoch.
    pub until: u64,
}

impl Day {
    /// When the records of a request begin: within a second after this.
    fn start(&self, request: u64) -> u64 {
        let into_day = u128::from(request) * u128::from(DAY_NANOS) / u128::from(self.requests.max(1));
        self.until.saturating_sub(DAY_NANOS) + into_day as u64
    }

    /// One request of spans.
    pub fn spans(&self, random: &mut Random, request: u64) -> ExportTraceServiceRequest {
        let mut made = traces::request(random, self.records_per_request, self.start(request));
        let scopes = made.resource_spans.iter_mut().flat_map(|resource| &mut resource.scope_spans);
        for span in scopes.flat_map(|scope| &mut scope.spans) {
            span.attributes.push(text(ORDER_KEY, order(random.below(ORDERS))));
            if span.parent_span_id.is_empty() && random.below(SLOW) == 0 {
                let nanos = random.log_uniform(SLOW_NANOS_MIN, SLOW_NANOS_MAX);
                span.end_time_unix_nano = span.start_time_unix_nano + nanos;
            }
        }
        made
    }

    /// One request of lines.
    pub fn lines(&self, random: &mut Random, request: u64) -> ExportLogsServiceRequest {
        let mut made = logs::request(random, self.records_per_request, self.start(request));
        let tenth = |request: u64| request * NEEDLES / self.requests.max(1);
        if tenth(request) != tenth(request + 1) {
            let scopes = made.resource_logs.iter_mut().flat_map(|resource| &mut resource.scope_logs);
            let mut bodies =
                scopes.flat_map(|scope| &mut scope.log_records).filter_map(|log| log.body.as_mut());
            if let Some(Value::StringValue(line)) = bodies.next().and_then(|body| body.value.as_mut()) {
                line.push_str(", ");
                line.push_str(NEEDLE);
            }
        }
        made
    }
}

/// A value of [`ORDER_KEY`].
pub fn order(number: u64) -> String {
    format!("order-{number:04}")
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::trace::v1::Span;

    use super::*;

    const DAY: Day = Day { requests: 40, records_per_request: 500, until: 1_700_000_000_000_000_000 };

    fn spans() -> Vec<Span> {
        let mut random = Random::new(1);
        let requests = (0..DAY.requests).map(|request| DAY.spans(&mut random, request));
        let resources = requests.flat_map(|request| request.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    #[test]
    fn spans_are_of_a_day_and_of_orders() {
        let spans = spans();
        assert_eq!(spans.len(), 20_000);
        let hours: std::collections::HashSet<u64> =
            spans.iter().map(|span| (DAY.until - span.start_time_unix_nano) / 3_600_000_000_000).collect();
        assert_eq!(hours.len(), 24);
        let of_order = |span: &&Span| span.attributes.iter().any(|own| *own == text(ORDER_KEY, order(42)));
        // 20,000 spans of 10,000 orders: two of each; more than ten are less likely than one in 100,000.
        assert!((0..=10).contains(&spans.iter().filter(of_order).count()));
        assert!(
            spans.iter().all(|span| span.attributes.iter().filter(|own| own.key == ORDER_KEY).count() == 1)
        );
    }

    #[test]
    fn only_some_roots_are_slow() {
        let is_slow = |span: &&Span| span.end_time_unix_nano - span.start_time_unix_nano > 1_000_000_000;
        let spans = spans();
        assert!(spans.iter().filter(is_slow).all(|span| span.parent_span_id.is_empty()));
    }

    #[test]
    fn ten_lines_say_what_no_other_does() {
        let mut random = Random::new(1);
        let requests = (0..DAY.requests).map(|request| DAY.lines(&mut random, request));
        let scopes =
            requests.flat_map(|request| request.resource_logs).flat_map(|resource| resource.scope_logs);
        let records: Vec<_> = scopes.flat_map(|scope| scope.log_records).collect();
        assert_eq!(records.len(), 20_000);
        let says = records.iter().filter(|record| format!("{:?}", record.body).contains(NEEDLE));
        assert_eq!(says.count() as u64, NEEDLES);
    }
}
