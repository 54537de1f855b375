//! Finds the service that a question names.

use std::collections::BTreeMap;

use crate::Picture;

/// Names that a warning lists: enough to choose from, and an answer stays short.
const TOLD_MAX: usize = 5;

/// The id of the service called `service`, by id or by name, and what to say where that was not clear: of several of one
/// name the one that received most calls is taken. `None`, with a word on it, where there is none.
pub fn service(picture: &Picture, service: &str) -> (Option<String>, Option<String>) {
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
    use crate::fixture::{Request, SERVED, picture};

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
}
