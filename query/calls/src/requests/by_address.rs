//! Names ends that rows know by an address only, as others tell of having it.
//!
//! A callee keeps its address and gets an alias, like one that answered to a name: what calls of one minute tell then names
//! those of the same answer that nothing else does. A caller has no name to be an alias of, so it is named at once.

use super::seen::{Seen, Side};
use crate::addresses::Addresses;
use crate::cell_key::Evidence;
use crate::cells::Book;
use crate::minutes::Counted;
use crate::party::PartyId;

/// Brings in the owners of addresses; aliases are learnt of calls that are counted.
pub fn name(rows: &mut [Seen], counted: Counted, addresses: &Addresses, book: &mut Book) {
    if addresses.is_empty() {
        return;
    }
    for row in rows {
        match row.side {
            Side::Made if row.far != 0 && counted.has(row.start) => {
                if let Some(own) = addresses.owner(row.start, [row.to, row.far], &book.parties) {
                    book.learn(Evidence::Requests, row.start, row.destination, own);
                }
            }
            Side::Received if row.source == PartyId::NOBODY && row.caller != 0 => {
                let own = addresses.owner(row.start, [row.caller], &book.parties);
                // What calls a service from its own address may be anything that runs there.
                let other = own.filter(|own| !is_same(*own, row.destination, book));
                row.source = other.unwrap_or(PartyId::NOBODY);
            }
            Side::Made | Side::Received => {}
        }
    }
}

fn is_same(first: PartyId, second: PartyId, book: &Book) -> bool {
    let (first, second) = (book.parties.party(first), book.parties.party(second));
    (&first.name, &first.namespace) == (&second.name, &second.namespace)
}
