//! How much of the calls of each edge came by mutual TLS, by the word of the callee's proxy.
//!
//! The caller's proxy cannot tell whether its certificate was asked for, and spans know nothing of connections, so that edges
//! without a row of the callee's proxy are not in the answer: unknown is not plaintext. What is not protected is told by
//! `dark` as well, which looks at whole traffic instead of at edges.

use std::collections::BTreeMap;

use crate::detail::Detail;
use crate::entry::Entry;
use crate::{By, Evidence, Grain, Parts, Question, Range, Source, Told};

/// As cells tell it, see their column `connection_security_policy`.
const MUTUAL_TLS: &str = "mutual_tls";

/// The question whose parts tell of certificates.
pub fn question(range: Range) -> Question {
    Question { range, by: By::Service, grain: Grain::Told(Told::SECURITY), source: Source::Auto }
}

/// Of the calls between two of which a proxy told how they came, the share that came by mutual TLS, 0..=1; by the ids of
/// caller and callee.
pub fn protection(parts: &Parts) -> BTreeMap<(String, String), f64> {
    let mut told: BTreeMap<(usize, usize), [f64; 2]> = BTreeMap::new();
    for part in parts.parts.iter().filter(|part| part.evidence == Evidence::Requests) {
        // Connections that carry calls told of otherwise are none themselves, and an alias counts nothing.
        let is_call = !matches!(part.entry, Entry::Carrying | Entry::CarryingTraced | Entry::Alias);
        let Some(source) = part.source.filter(|_| is_call) else { continue };
        if let Some(security) = Detail::read(&part.detail).security {
            let [mutual, all] = told.entry((source, part.target)).or_default();
            let requests = part.measure.requests();
            *all += requests;
            *mutual += if security == MUTUAL_TLS { requests } else { 0.0 };
        }
    }
    let id = |node: usize| parts.nodes[node].id.clone();
    let known = told.into_iter().filter(|(_, [_, all])| *all > 0.0);
    known.map(|((source, target), [mutual, all])| ((id(source), id(target)), mutual / all)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fold;
    use crate::fixture::{self, CALL, Request, SERVED};

    /// Three of four calls of a to b came with a certificate; of those to c only the caller's side is known.
    #[test]
    fn the_share_is_of_calls_that_the_callees_proxy_told_of() {
        let secured = Request { tls: "TLSv1.3", principal: "spiffe://mesh/a", ..SERVED };
        let rows = [secured, secured, secured, SERVED, Request { destination: ("default", "c"), ..CALL }];
        let mut fold = Fold::new(question(fixture::range()));
        fold.add_requests(&fixture::requests(&rows));
        let found = protection(&fold.finish_parts().expect("a few cells"));
        let want = [(("default/a".to_owned(), "default/b".to_owned()), 0.75)];
        assert_eq!(found.into_iter().collect::<Vec<_>>(), want);
    }
}
