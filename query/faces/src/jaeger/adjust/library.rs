//! What SDKs tell of themselves on spans moves to the resource, where Jaeger's page shows it once.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};

use super::warnings::warn;

/// Keys of an SDK and of a distribution of one.
const KEYS: [&str; 5] = [
    "telemetry.sdk.language",
    "telemetry.sdk.name",
    "telemetry.sdk.version",
    "telemetry.distro.name",
    "telemetry.distro.version",
];

/// Moves them, unless the resource says otherwise.
pub fn adjust(trace: &mut [ResourceSpans]) {
    for spans in trace {
        let resource = spans.resource.get_or_insert_default();
        for span in spans.scope_spans.iter_mut().flat_map(|scope| &mut scope.spans) {
            move_up(span, &mut resource.attributes);
        }
    }
}

fn move_up(span: &mut Span, resource: &mut Vec<KeyValue>) {
    let (moving, staying): (Vec<_>, Vec<_>) = std::mem::take(&mut span.attributes)
        .into_iter()
        .partition(|attribute| KEYS.contains(&attribute.key.as_str()));
    span.attributes = staying;
    for attribute in moving {
        match resource.iter().find(|held| held.key == attribute.key) {
            None => resource.push(attribute),
            Some(held) if held.value == attribute.value => {}
            Some(_) => {
                let key = attribute.key.clone();
                span.attributes.push(attribute);
                warn(span, format!("conflicting values between Span and Resource for attribute {key}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{of, span, text, told};
    use super::*;

    #[test]
    fn what_the_sdk_tells_moves_unless_the_resource_says_otherwise() {
        let mut one = span(1, 0, 1, (0, 1));
        one.attributes =
            vec![text("k", "v"), text("telemetry.sdk.name", "x"), text("telemetry.sdk.language", "go")];
        let mut two = span(2, 1, 1, (0, 1));
        two.attributes = vec![text("telemetry.sdk.name", "y")];
        let mut trace = [of(vec![text("telemetry.sdk.language", "go")], vec![one, two])];
        adjust(&mut trace);
        let resource = &trace[0].resource.as_ref().expect("a resource").attributes;
        assert_eq!(*resource, [text("telemetry.sdk.language", "go"), text("telemetry.sdk.name", "x")]);
        let conflict = "conflicting values between Span and Resource for attribute telemetry.sdk.name";
        assert_eq!(told(&mut trace), [(1, vec![]), (2, vec![conflict.to_owned()])]);
        let spans = &trace[0].scope_spans[0].spans;
        assert_eq!(
            (&*spans[0].attributes, &*spans[1].attributes),
            (&[text("k", "v")][..], &[text("telemetry.sdk.name", "y")][..])
        );
    }
}
