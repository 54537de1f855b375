//! Brings the names that rows use for one service together.
//!
//! The same service is `reviews` in a span, `reviews` in namespace `default` to its proxy, and
//! `reviews.default.svc.cluster.local` to a client:
//! ```text
//! x.ns.svc[.domain], pod.x.ns.svc[.domain]   x in namespace ns
//! x without a namespace                      x in the only namespace in which the name is known, unless an
//!                                            application says of itself that it is x without one, and another that
//!                                            it is x in that namespace
//! a.b                                        a in namespace b, if that is known
//! a data store without a namespace           its host and port
//! a host that nobody says to be              its name, and its port but for HTTP's own
//! anything else                              itself
//! ```
//! This can only be done after all rows were seen: a name is ambiguous or not by the rows of the whole range.
//! A far end that reports itself is that service, whatever its callers take it for; a queue never is a service.
//! Limit: two rows that give one service two different namespaces (an SDK's `service.namespace` that is
//! no Kubernetes namespace) stay two nodes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::hosts::kubernetes;
use crate::party::{Marks, Naming, Parties, Party, PartyId};

/// Number of a service in [`Services`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId(u32);

/// The owner of names that mean something to one caller each.
const NOBODY: ServiceId = ServiceId(u32::MAX);

impl ServiceId {
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A service, or whatever else stands at the end of an edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub naming: Naming,
    pub name: String,
    pub namespace: Option<String>,
    /// 0 where it is not known or tells nothing.
    pub port: u16,
    /// Whose word it is, where it means this only to one.
    pub owner: Option<ServiceId>,
    pub marks: Marks,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    naming: Naming,
    name: String,
    namespace: Option<String>,
    port: u16,
    owner: Option<ServiceId>,
}

/// Every service of one answer, and which party belongs to which.
#[derive(Debug, Default)]
pub struct Services {
    services: Vec<Service>,
    of_party: Vec<ServiceId>,
    numbers: HashMap<Key, ServiceId>,
    /// What parties that mean something else to each caller mean to one.
    scoped: HashMap<(PartyId, ServiceId), ServiceId>,
    names: Names,
}

/// Which names are known.
#[derive(Debug, Default)]
struct Names {
    /// In which namespaces a name is known.
    namespaces: HashMap<String, BTreeSet<String>>,
    /// What an application says to be, with and without a namespace.
    applications: HashSet<(Option<String>, String)>,
    /// What somebody says to be.
    observed: HashSet<(Option<String>, String)>,
    /// Hosts of data stores, by port.
    stores: BTreeMap<String, BTreeSet<u16>>,
}

impl Services {
    /// Reads all parties.
    pub fn resolve(parties: &Parties) -> Services {
        Services::resolve_among(parties, |_| true)
    }

    /// Reads the parties that `is_known`, and those that no row names. Of others nothing may be asked: they are
    /// all one service without a name.
    pub fn resolve_among(parties: &Parties, is_known: impl Fn(PartyId) -> bool) -> Services {
        let is_known = |party: PartyId| party.is_built_in() || is_known(party);
        let known = || parties.iter().filter(|(id, _)| is_known(*id)).map(|(_, party)| party);
        let mut services = Services { names: Names::of(known()), ..Services::default() };
        for (id, party) in parties.iter() {
            if !is_known(id) {
                services.of_party.push(services.of_party[PartyId::NOBODY.index()]);
                continue;
            }
            // Without its other end a scoped name is nobody's, and never a service that really is called so.
            let owner = party.is_scoped.then_some(NOBODY);
            let key = Key { owner, ..services.names.key(party) };
            let number = services.number(key, party.marks);
            services.of_party.push(number);
        }
        services
    }

    /// The service of a party that means the same to all.
    pub fn of(&self, party: PartyId) -> ServiceId {
        self.of_party[party.index()]
    }

    /// The parties that were read.
    pub fn parties(&self) -> impl Iterator<Item = PartyId> + use<> {
        PartyId::first(self.of_party.len())
    }

    /// The service that a party is at the other end of a call with `other`.
    pub fn at(&mut self, party: PartyId, other: ServiceId, parties: &Parties) -> ServiceId {
        let held = parties.party(party);
        if !held.is_scoped {
            return self.of(party);
        }
        if let Some(known) = self.scoped.get(&(party, other)) {
            return *known;
        }
        let key = Key { owner: Some(other), ..self.names.key(held) };
        let number = self.number(key, held.marks);
        self.scoped.insert((party, other), number);
        number
    }

    pub fn service(&self, id: ServiceId) -> &Service {
        &self.services[id.index()]
    }

    /// How many there are so far.
    pub fn len(&self) -> usize {
        self.services.len()
    }

    pub fn is_empty(&self) -> bool {
        self.services.is_empty()
    }

    /// The plain id of a node: `namespace/name`, `name` when the namespace is unknown, and `name@owner` for
    /// what only one node knows under this name. Two services may have one plain id; see `nodes.rs`.
    pub fn plain_id(&self, id: ServiceId) -> String {
        let service = self.service(id);
        match (service.owner, &service.namespace) {
            (Some(NOBODY), _) => service.name.clone(),
            (Some(owner), _) => format!("{}@{}", service.name, self.plain_id(owner)),
            (None, Some(namespace)) => format!("{namespace}/{}", service.name),
            (None, None) => service.name.clone(),
        }
    }

    fn number(&mut self, key: Key, marks: Marks) -> ServiceId {
        let next = ServiceId(u32::try_from(self.services.len()).expect("no more services than parties"));
        let number = *self.numbers.entry(key.clone()).or_insert(next);
        if number == next {
            let Key { naming, name, namespace, port, owner } = key;
            self.services.push(Service { naming, name, namespace, port, owner, marks });
        } else {
            let held = &mut self.services[number.index()];
            held.marks = held.marks.with(marks);
        }
        number
    }
}

impl Names {
    fn of<'p>(parties: impl Iterator<Item = &'p Party>) -> Names {
        let mut names = Names::default();
        for party in parties.filter(|party| is_host(party)) {
            let (name, namespace) = split(party);
            let owned = (namespace.map(str::to_owned), name.to_owned());
            if let Some(namespace) = namespace {
                names.namespaces.entry(name.to_owned()).or_default().insert(namespace.to_owned());
            }
            if party.marks.has(Marks::OBSERVED) {
                names.observed.insert(owned.clone());
            }
            if party.marks.has(Marks::APPLICATION) {
                names.applications.insert(owned);
            }
            if party.naming == Naming::StoreHost {
                names.stores.entry(name.to_owned()).or_default().insert(party.port);
            }
        }
        names
    }

    fn key(&self, party: &Party) -> Key {
        let plain = |naming| Key {
            naming,
            name: party.name.clone(),
            namespace: party.namespace.clone(),
            port: 0,
            owner: None,
        };
        if !is_host(party) {
            let naming = if party.is_scoped && party.naming == Naming::StoreHost {
                Naming::Store
            } else {
                party.naming
            };
            return Key { port: if party.is_scoped { party.port } else { 0 }, ..plain(naming) };
        }
        let (name, namespace) = split(party);
        let (name, namespace) = self.unify(name, namespace, party.marks);
        let (name, namespace) = (name.to_owned(), namespace.map(str::to_owned));
        let known = (namespace, name);
        if self.observed.contains(&known) || known.0.is_some() {
            let (namespace, name) = known;
            return Key { name, namespace, ..plain(Naming::Host) };
        }
        let (_, name) = known;
        let stores = self.stores.get(&name);
        let is_store = party.naming == Naming::StoreHost || stores.is_some_and(|s| s.contains(&party.port));
        let naming = if is_store { Naming::StoreHost } else { Naming::Host };
        Key { name, namespace: None, port: party.port, ..plain(naming) }
    }

    fn unify<'a>(
        &'a self,
        name: &'a str,
        namespace: Option<&'a str>,
        marks: Marks,
    ) -> (&'a str, Option<&'a str>) {
        if namespace.is_some() {
            return (name, namespace);
        }
        if let Some(known) = self.namespaces.get(name) {
            let only = known.first().filter(|_| known.len() == 1).map(String::as_str);
            return (name, only.filter(|only| !self.stands_apart(name, only, marks)));
        }
        let dotted = name.split_once('.').filter(|(first, second)| {
            self.namespaces.get(*first).is_some_and(|known| known.contains(*second))
        });
        dotted.map_or((name, None), |(first, second)| (first, Some(second)))
    }

    /// Whether `name` without a namespace is another service than the one in `namespace`: an application of each
    /// name tells of itself.
    fn stands_apart(&self, name: &str, namespace: &str, marks: Marks) -> bool {
        let bare = self.applications.contains(&(None, name.to_owned()));
        let inside = self.applications.contains(&(Some(namespace.to_owned()), name.to_owned()));
        bare && inside && (marks.has(Marks::APPLICATION) || !marks.has(Marks::OBSERVED))
    }
}

/// Whether the name is one of a host, which may be a service's.
fn is_host(party: &Party) -> bool {
    matches!(party.naming, Naming::Host | Naming::StoreHost) && !party.is_scoped && !party.name.is_empty()
}

/// Name and namespace out of a Kubernetes service host; other names as they are.
fn split(party: &Party) -> (&str, Option<&str>) {
    match kubernetes(&party.name) {
        Some((name, namespace)) => (name, Some(namespace)),
        None => (&party.name, party.namespace.as_deref()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::party::PartyName;

    /// The plain ids of these (name, namespace), and how many services they are.
    fn ids(names: &[(&str, Option<&str>, Marks)]) -> Vec<String> {
        let mut parties = Parties::default();
        let held: Vec<_> = names
            .iter()
            .map(|(name, namespace, marks)| {
                let name = PartyName { name, namespace: *namespace, ..PartyName::default() };
                parties.intern(&name, *marks)
            })
            .collect();
        let services = Services::resolve(&parties);
        held.into_iter().map(|party| services.plain_id(services.of(party))).collect()
    }

    #[test]
    fn a_name_is_one_node_whoever_names_it() {
        let got = ids(&[
            ("reviews", None, Marks::NONE),
            ("reviews", Some("default"), Marks::NONE),
            ("reviews.default", None, Marks::NONE),
            ("reviews.default.svc.cluster.local", None, Marks::NONE),
            ("reviews-0.reviews.default.svc", None, Marks::NONE),
        ]);
        assert_eq!(got, ["default/reviews"; 5]);
    }

    #[test]
    fn a_name_in_two_namespaces_stays_apart() {
        let got = ids(&[
            ("api", Some("shop"), Marks::NONE),
            ("api", Some("bank"), Marks::NONE),
            ("api", None, Marks::NONE),
        ]);
        assert_eq!(got, ["shop/api", "bank/api", "api"]);
    }

    /// What an SDK leaves out its proxy tells; but two applications that tell of themselves are two.
    #[test]
    fn an_application_without_a_namespace_is_not_another_one_with_one() {
        let application = Marks::OBSERVED.with(Marks::APPLICATION);
        let proxy = ids(&[("web", None, application), ("web", Some("shop"), Marks::OBSERVED)]);
        assert_eq!(proxy, ["shop/web"; 2]);
        let two = ids(&[("web", None, application), ("web", Some("bank"), application)]);
        assert_eq!(two, ["web", "bank/web"]);
    }

    #[test]
    fn a_host_outside_the_cluster_stays_whole() {
        assert_eq!(ids(&[("api.payments.example", None, Marks::NONE)]), ["api.payments.example"]);
        assert_eq!(ids(&[("a.b", None, Marks::NONE), ("a", Some("c"), Marks::NONE)]), ["a.b", "c/a"]);
    }

    fn services_of(names: &[(Naming, &str, u16, Marks)]) -> Vec<ServiceId> {
        let mut parties = Parties::default();
        let held: Vec<_> = names
            .iter()
            .map(|(naming, name, port, marks)| {
                let name = PartyName { naming: *naming, name, port: *port, ..PartyName::default() };
                parties.intern(&name, *marks)
            })
            .collect();
        let services = Services::resolve(&parties);
        held.into_iter().map(|party| services.of(party)).collect()
    }

    #[test]
    fn a_queue_and_a_service_of_one_name_are_two() {
        let got = services_of(&[
            (Naming::Queue, "orders", 0, Marks::MESSAGING),
            (Naming::Host, "orders", 0, Marks::OBSERVED),
            (Naming::Store, "orders", 0, Marks::DATABASE),
        ]);
        assert!(got[0] != got[1] && got[1] != got[2] && got[0] != got[2], "{got:?}");
    }

    #[test]
    fn ports_tell_data_stores_and_outside_hosts_apart_but_not_services() {
        let stores = services_of(&[
            (Naming::StoreHost, "10.0.0.5", 6379, Marks::DATABASE),
            (Naming::StoreHost, "10.0.0.5", 5432, Marks::DATABASE),
            (Naming::Host, "10.0.0.5", 5432, Marks::OUTSIDE),
        ]);
        assert!(stores[0] != stores[1] && stores[1] == stores[2], "{stores:?}");
        let hosts = services_of(&[
            (Naming::Host, "maps.example", 0, Marks::OUTSIDE),
            (Naming::Host, "maps.example", 8443, Marks::OUTSIDE),
        ]);
        assert_ne!(hosts[0], hosts[1]);
        let service = services_of(&[
            (Naming::Host, "b", 8080, Marks::OUTSIDE),
            (Naming::Host, "b", 0, Marks::OBSERVED),
            (Naming::StoreHost, "b", 3306, Marks::DATABASE),
        ]);
        assert!(service.iter().all(|id| *id == service[0]), "what reports itself is that: {service:?}");
    }

    #[test]
    fn a_scoped_name_belongs_to_its_caller() {
        let mut parties = Parties::default();
        let host = |name| PartyName { name, ..PartyName::default() };
        let callers = ["a", "b"].map(|name| parties.intern(&host(name), Marks::OBSERVED));
        let local = parties.intern(&PartyName { is_scoped: true, ..host("localhost") }, Marks::OUTSIDE);
        let mut services = Services::resolve(&parties);
        let ids = callers.map(|caller| {
            let caller = services.of(caller);
            let local = services.at(local, caller, &parties);
            services.plain_id(local)
        });
        assert_eq!(ids, ["localhost@a", "localhost@b"]);
    }
}
