//! An IPv4 address that came as a number is written as an address: old clients of Jaeger packed it into 32 bits.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;

use super::spans_mut;

/// Keys that are addresses.
const KEYS: [&str; 2] = ["ip", "peer.ipv4"];

/// Writes numbers under these keys, on spans and on resources, as addresses.
pub fn adjust(trace: &mut [ResourceSpans]) {
    for resource in trace.iter_mut().filter_map(|spans| spans.resource.as_mut()) {
        rewrite(&mut resource.attributes);
    }
    spans_mut(trace).for_each(|span| rewrite(&mut span.attributes));
}

fn rewrite(attributes: &mut [KeyValue]) {
    for attribute in attributes.iter_mut().filter(|attribute| KEYS.contains(&attribute.key.as_str())) {
        let Some(value) = &mut attribute.value else { continue };
        let packed = match value.value {
            // The low 32 bits: Java's are negative from 128.0.0.0 on.
            Some(Value::IntValue(number)) => number as u32,
            Some(Value::DoubleValue(number)) => number as u32,
            _ => continue,
        };
        value.value = Some(Value::StringValue(std::net::Ipv4Addr::from_bits(packed).to_string()));
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{attribute, of, span, text};
    use super::*;

    #[test]
    fn numbers_are_written_as_addresses() {
        let numbers = || {
            vec![
                attribute("ip", Value::IntValue(0x0808_0404)),
                attribute("peer.ipv4", Value::DoubleValue(16_909_060.0)),
                attribute("ip", Value::IntValue(-1)),
                text("ip", "::1"),
                attribute("n", Value::IntValue(1)),
            ]
        };
        let want = vec![
            text("ip", "8.8.4.4"),
            text("peer.ipv4", "1.2.3.4"),
            text("ip", "255.255.255.255"),
            text("ip", "::1"),
            attribute("n", Value::IntValue(1)),
        ];
        let mut spans = vec![span(1, 0, 1, (0, 1))];
        spans[0].attributes = numbers();
        let mut trace = [of(numbers(), spans)];
        adjust(&mut trace);
        assert_eq!(trace[0].resource.as_ref().expect("a resource").attributes, want);
        assert_eq!(trace[0].scope_spans[0].spans[0].attributes, want);
    }
}
