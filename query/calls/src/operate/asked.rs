//! Finds the service that a question names.

use std::collections::BTreeMap;

use crate::Picture;

/// Names that a warning lists: enough to choose from, and an answer stays short.
const TOLD_MAX: usize = 5;

/// The id of the service called `service`, by id, or else by name, and what to say where that was not clear: of several of one
/// name the one that received most calls is taken. `None`, with a word on it, where there is none.
pub fn service(picture: &Picture, service: &str) -> (Option<String>, Option<String>) {
    // A queue may be called like the id of a service that has no namespace.
    if picture.nodes.iter().any(|node| node.service == service) {
        return (Some(service.to_owned()), None);
    }
    let mut calls: BTreeMap<&str, f64> = BTreeMap::new();
    for node in picture.nodes.iter().filter(|node| node.is_of(service)) {
        calls.entry(&node.service).or_default();
    }
    for cell in &picture.node_cells {
        if let Some(calls) = calls.get_mut(picture.nodes[cell.node].service.as_str()) {
            *calls += cell.measure.requests();
        }
    }
    let busiest = calls.iter().max_by(|a, b| a.1.total_cmp(b.1)).map(|(id, _)| (*id).to_owned());
    let told = match calls.len() {
        0 => Some(format!("no node is called `{service}` in this range")),
        1 => None,
        count => {
            let ids: Vec<&str> = calls.keys().take(TOLD_MAX).copied().collect();
            let more = if count > TOLD_MAX { ", ..." } else { "" };
            Some(format!(
                "{count} services are called `{service}`, the busiest is told of: {}{more}",
                ids.join(", ")
            ))
        }
    };
    (busiest, told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{CONSUMER, PRODUCER, Request, SERVED, SERVER, SPAN, Span, picture};

    #[test]
    fn a_service_is_found_by_id_or_by_name_and_doubt_is_told() {
        let of = |namespace| Request { destination: (namespace, "b"), ..SERVED };
        let picture = picture(&[of("x"), of("y"), of("y")], &[]);
        assert_eq!(service(&picture, "x/b"), (Some("x/b".to_owned()), None));
        let told = "2 services are called `b`, the busiest is told of: x/b, y/b".to_owned();
        assert_eq!(service(&picture, "b"), (Some("y/b".to_owned()), Some(told)));
        let (found, told) = service(&picture, "c");
        assert_eq!((found, told.as_deref()), (None, Some("no node is called `c` in this range")));
        assert_eq!(service(&picture, "a").0.as_deref(), Some("default/a"), "who only calls is known");
    }

    /// Two messages to a queue called `cart`, and a call to a service of that id.
    #[test]
    fn an_id_outranks_a_name() {
        let sent = Span { kind: PRODUCER, queue: "cart", messaging_system: "kafka", ..SPAN };
        let taken = Span { id: 2, parent: 1, kind: CONSUMER, service: ("", "b"), ..sent };
        let again = [sent, taken].map(|span| Span { trace: 2, ..span });
        let called = Span { trace: 3, kind: SERVER, service: ("", "cart"), ..SPAN };
        let picture = picture(&[], &[&[sent, taken, called][..], &again].concat());
        assert_eq!(picture.nodes.iter().filter(|node| node.name == "cart").count(), 2);
        assert_eq!(service(&picture, "cart"), (Some("cart".to_owned()), None));
        assert_eq!(service(&picture, "messaging:cart"), (Some("messaging:cart".to_owned()), None));
    }
}
