//! Which parts of all that was counted are wanted.
//!
//! Most answers are about one service, and cells of the others need not be read for them. What everything is called is told by
//! all cells all the same, so that a part is the same whatever else is wanted.

use crate::nodes::{NodeIdentity, NodeKind};

/// What parts have in common that are wanted. Services are named by id or by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartsFrame {
    /// At either end, the caller, the callee.
    pub service: Option<String>,
    pub client: Option<String>,
    pub server: Option<String>,
    /// Only what begins or ends at a gateway.
    pub at_gateways: bool,
    /// Counts alone: latencies are most of what is held of a cell, and few answers tell them.
    pub without_latencies: bool,
}

/// The end of a part by which it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Caller,
    Callee,
}

impl PartsFrame {
    /// Whether a part between these nodes is wanted.
    pub fn wants(&self, source: Option<&NodeIdentity>, target: &NodeIdentity) -> bool {
        self.end(source, target).is_some()
    }

    /// By which end it is; none where it is not. The one that fewer parts have.
    pub(super) fn end(&self, source: Option<&NodeIdentity>, target: &NodeIdentity) -> Option<End> {
        let is = |node: Option<&NodeIdentity>, name: &Option<String>| {
            name.as_deref().is_none_or(|name| node.is_some_and(|node| node.is_of(name)))
        };
        if !is(source, &self.client) || !is(Some(target), &self.server) {
            return None;
        }
        let is_asked = |node: Option<&NodeIdentity>| {
            let is_there = !self.at_gateways || node.is_some_and(|node| node.kind == NodeKind::Gateway);
            is_there && is(node, &self.service)
        };
        let is_by_caller = self.client.is_some() && self.server.is_none();
        match (is_asked(source), is_asked(Some(target))) {
            (false, false) => None,
            (true, true) if is_by_caller => Some(End::Caller),
            (_, true) => Some(End::Callee),
            (true, false) => Some(End::Caller),
        }
    }

    /// Whether it leaves anything out.
    pub(super) fn is_narrow(&self) -> bool {
        let names = [&self.service, &self.client, &self.server];
        self.at_gateways || names.iter().any(|name| name.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, kind: NodeKind) -> NodeIdentity {
        let id = format!("default/{name}");
        NodeIdentity {
            id: id.clone(),
            name: name.to_owned(),
            namespace: Some("default".to_owned()),
            version: None,
            workload: None,
            kind,
            service: id,
        }
    }

    #[test]
    fn a_part_is_wanted_by_the_end_that_is_asked_for() {
        let [a, b] = ["a", "b"].map(|name| node(name, NodeKind::Service));
        let name = |name: &str| Some(name.to_owned());
        let any = PartsFrame::default();
        let cases = [
            (any.clone(), Some(End::Callee)),
            (PartsFrame { service: name("a"), ..any.clone() }, Some(End::Caller)),
            (PartsFrame { service: name("default/b"), ..any.clone() }, Some(End::Callee)),
            (PartsFrame { service: name("c"), ..any.clone() }, None),
            (PartsFrame { client: name("a"), ..any.clone() }, Some(End::Caller)),
            (PartsFrame { server: name("a"), ..any.clone() }, None),
            (PartsFrame { client: name("a"), server: name("b"), ..any.clone() }, Some(End::Callee)),
            (PartsFrame { client: name("a"), service: name("b"), ..any.clone() }, Some(End::Callee)),
            (PartsFrame { at_gateways: true, ..any.clone() }, None),
        ];
        for (wanted, want) in cases {
            assert_eq!(wanted.end(Some(&a), &b), want, "{wanted:?}");
        }
        // Nobody knows who called.
        assert_eq!(any.end(None, &b), Some(End::Callee));
        assert_eq!(PartsFrame { client: name("a"), ..any.clone() }.end(None, &b), None);
        assert_eq!(PartsFrame { service: name("a"), ..any }.end(None, &b), None);
    }

    #[test]
    fn what_begins_or_ends_at_a_gateway_is_found_by_it() {
        let (gateway, b) = (node("ingress", NodeKind::Gateway), node("b", NodeKind::Service));
        let wanted = PartsFrame { at_gateways: true, ..PartsFrame::default() };
        assert_eq!(wanted.end(Some(&gateway), &b), Some(End::Caller));
        assert_eq!(wanted.end(Some(&b), &gateway), Some(End::Callee));
        assert_eq!(wanted.end(Some(&b), &b), None);
        let other = PartsFrame { service: Some("egress".to_owned()), ..wanted };
        assert_eq!(other.end(Some(&gateway), &b), None);
    }
}
