//! Caller and callee of a cell, as columns.

use crate::cells::Book;
use crate::party::{Marks, Naming, Party, PartyId, PartyName};

/// What kind of name an end has, by text; nobody has none.
const NAMINGS: [(&str, Naming); 4] = [
    ("host", Naming::Host),
    ("store_host", Naming::StoreHost),
    ("store", Naming::Store),
    ("queue", Naming::Queue),
];

/// Ends that no row names.
const BUILT_IN: [(&str, PartyId); 3] =
    [("caller", PartyId::CALLERS), ("callee", PartyId::UNKNOWN), ("other", PartyId::OTHER)];

/// The columns of one end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct End<'a> {
    pub name: Option<&'a str>,
    pub namespace: Option<&'a str>,
    pub workload: Option<&'a str>,
    pub version: Option<&'a str>,
    pub naming: Option<&'a str>,
    pub port: Option<i64>,
    pub is_scoped: Option<bool>,
    pub marks: Option<i64>,
}

impl<'a> End<'a> {
    pub fn of(id: PartyId, party: &'a Party) -> End<'a> {
        if id == PartyId::NOBODY {
            return End::default();
        }
        let built_in = BUILT_IN.iter().find(|(_, known)| *known == id).map(|(name, _)| *name);
        let naming = NAMINGS.iter().find(|(_, naming)| *naming == party.naming).map(|(name, _)| *name);
        End {
            name: Some(&party.name),
            namespace: party.namespace.as_deref(),
            workload: party.workload.as_deref(),
            version: party.version.as_deref(),
            naming: built_in.or(naming),
            port: Some(i64::from(party.port)),
            is_scoped: Some(party.is_scoped),
            marks: Some(i64::from(party.marks.bits())),
        }
    }

    /// The party in `book`, as far as its grouping tells parties apart.
    pub fn intern(&self, book: &mut Book) -> PartyId {
        let (Some(naming), Some(name)) = (self.naming, self.name) else { return PartyId::NOBODY };
        if let Some((_, built_in)) = BUILT_IN.iter().find(|(text, _)| *text == naming) {
            return *built_in;
        }
        let naming = NAMINGS.iter().find(|(text, _)| *text == naming).map(|(_, naming)| *naming);
        let name = PartyName {
            naming: naming.unwrap_or_default(),
            name,
            namespace: self.namespace,
            workload: self.workload,
            version: self.version,
            port: self.port.and_then(|port| u16::try_from(port).ok()).unwrap_or(0),
            is_scoped: self.is_scoped.unwrap_or(false),
        };
        book.intern(&name, Marks::of_bits(self.marks.and_then(|bits| u8::try_from(bits).ok()).unwrap_or(0)))
    }
}
