//! Brings the names of rows together: which parties are the same service, and what its node is called.
//!
//! A sidecar knows `reviews` in namespace `default`, an SDK without `service.namespace` knows `reviews`,
//! a caller knows the host `reviews.default.svc.cluster.local`, and Envoy's tracer is often configured as
//! `reviews.default`. They are one node exactly if that reading is unambiguous:
//! ```text
//! host ending in .svc or .svc.<domain>   the first two labels are name and namespace
//! name without a namespace               the one namespace in which the name is known, if it is only one
//! name of the form a.b                   a in namespace b, if that is known
//! anything else                          itself
//! ```
//! This can only be done after all rows were seen: a name is ambiguous or not by the rows of the whole range.
//! Limit: two rows that give one service two different namespaces (an SDK's `service.namespace` that is
//! no Kubernetes namespace) stay two nodes.

use std::collections::{BTreeSet, HashMap};

use crate::party::{Marks, Parties, PartyId, PartyName};

/// Number of a service in [`Services`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId(u32);

impl ServiceId {
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A service, or whatever else stands at the end of an edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub name: String,
    pub namespace: Option<String>,
    pub scope: Option<String>,
    pub marks: Marks,
}

impl Service {
    /// The id of its node: `namespace/name`, `name` when the namespace is unknown, and `name@caller` for
    /// what only one node knows under this name.
    pub fn id(&self) -> String {
        match (&self.scope, &self.namespace) {
            (Some(scope), _) => format!("{}@{scope}", self.name),
            (None, Some(namespace)) => format!("{namespace}/{}", self.name),
            (None, None) => self.name.clone(),
        }
    }
}

type Key = (String, Option<String>, Option<String>);

/// Every service of one answer, and which party belongs to which.
#[derive(Debug)]
pub struct Services {
    services: Vec<Service>,
    of_party: Vec<ServiceId>,
    numbers: HashMap<Key, ServiceId>,
    /// In which namespaces a name is known.
    namespaces: HashMap<String, BTreeSet<String>>,
}

impl Services {
    /// Reads all parties seen so far, and `hosts`: names that parties added later may have.
    pub fn resolve<'a>(parties: &'a Parties, hosts: impl Iterator<Item = &'a str>) -> Services {
        let mut services = Services {
            services: Vec::new(),
            of_party: Vec::new(),
            numbers: HashMap::new(),
            namespaces: HashMap::new(),
        };
        let named = parties.iter().map(|(_, party)| (party.name.as_str(), party.namespace.as_deref()));
        for (name, namespace) in named.chain(hosts.map(|host| (host, None))) {
            if let (name, Some(namespace)) = split_host(name, namespace) {
                services.namespaces.entry(name.to_owned()).or_default().insert(namespace.to_owned());
            }
        }
        for (_, party) in parties.iter() {
            let name = PartyName {
                name: &party.name,
                namespace: party.namespace.as_deref(),
                scope: party.scope.as_deref(),
                ..PartyName::default()
            };
            let service = services.number(&name, party.marks);
            services.of_party.push(service);
        }
        services
    }

    pub fn service_of(&self, party: PartyId) -> ServiceId {
        self.of_party[party.index()]
    }

    pub fn service(&self, id: ServiceId) -> &Service {
        &self.services[id.index()]
    }

    pub fn iter(&self) -> impl Iterator<Item = (ServiceId, &Service)> {
        let ids = (0u32..).map(ServiceId);
        ids.zip(&self.services)
    }

    pub fn len(&self) -> usize {
        self.services.len()
    }

    pub fn is_empty(&self) -> bool {
        self.services.is_empty()
    }

    /// The id of the node that a party belongs to.
    pub fn node_id(&self, party: PartyId) -> String {
        self.service(self.service_of(party)).id()
    }

    /// Adds a party that became known only after all rows were seen, such as the peer of a call whose
    /// other end never reported.
    pub fn add(&mut self, parties: &mut Parties, name: &PartyName<'_>, marks: Marks) -> PartyId {
        let id = parties.intern(name, marks);
        if id.index() == self.of_party.len() {
            let service = self.number(name, marks);
            self.of_party.push(service);
        } else {
            let service = self.of_party[id.index()];
            let held = &mut self.services[service.index()];
            held.marks = held.marks.with(marks);
        }
        id
    }

    fn number(&mut self, party: &PartyName<'_>, marks: Marks) -> ServiceId {
        let (name, namespace) = match party.scope {
            Some(_) => (party.name, None),
            None => self.unify(party.name, party.namespace),
        };
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let key = (name.to_owned(), owned(namespace), owned(party.scope));
        let next = ServiceId(u32::try_from(self.services.len()).expect("no more services than parties"));
        let number = *self.numbers.entry(key.clone()).or_insert(next);
        if number == next {
            let (name, namespace, scope) = key;
            self.services.push(Service { name, namespace, scope, marks });
        } else {
            let held = &mut self.services[number.index()];
            held.marks = held.marks.with(marks);
        }
        number
    }

    fn unify<'a>(&'a self, name: &'a str, namespace: Option<&'a str>) -> (&'a str, Option<&'a str>) {
        let (name, namespace) = split_host(name, namespace);
        if namespace.is_some() {
            return (name, namespace);
        }
        if let Some(known) = self.namespaces.get(name) {
            let only = known.first().filter(|_| known.len() == 1);
            return (name, only.map(String::as_str));
        }
        let dotted = name.split_once('.').filter(|(first, second)| {
            self.namespaces.get(*first).is_some_and(|known| known.contains(*second))
        });
        dotted.map_or((name, None), |(first, second)| (first, Some(second)))
    }
}

/// Name and namespace out of a Kubernetes service host; other names as they are.
/// Source: Kubernetes "DNS for Services and Pods", `<service>.<namespace>.svc.<cluster domain>`.
fn split_host<'a>(name: &'a str, namespace: Option<&'a str>) -> (&'a str, Option<&'a str>) {
    let mut labels = name.splitn(4, '.');
    let (service, in_namespace, marker) = (labels.next(), labels.next(), labels.next());
    match (service, in_namespace, marker) {
        (Some(service), Some(in_namespace), Some("svc"))
            if !service.is_empty() && !in_namespace.is_empty() =>
        {
            (service, Some(in_namespace))
        }
        _ => (name, namespace),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(names: &[(&str, Option<&str>)]) -> Vec<String> {
        let mut parties = Parties::default();
        let held: Vec<_> = names
            .iter()
            .map(|(name, namespace)| {
                let name = PartyName { name, namespace: *namespace, ..PartyName::default() };
                parties.intern(&name, Marks::NONE)
            })
            .collect();
        let services = Services::resolve(&parties, std::iter::empty());
        held.into_iter().map(|party| services.node_id(party)).collect()
    }

    #[test]
    fn a_name_is_one_node_whoever_names_it() {
        let got = ids(&[
            ("reviews", None),
            ("reviews", Some("default")),
            ("reviews.default", None),
            ("reviews.default.svc.cluster.local", None),
            ("reviews.default.svc", None),
        ]);
        assert_eq!(got, ["default/reviews"; 5]);
    }

    #[test]
    fn a_name_in_two_namespaces_stays_apart() {
        let got = ids(&[("api", Some("shop")), ("api", Some("bank")), ("api", None)]);
        assert_eq!(got, ["shop/api", "bank/api", "api"]);
    }

    #[test]
    fn a_host_outside_the_cluster_stays_whole() {
        assert_eq!(ids(&[("api.payments.example", None)]), ["api.payments.example"]);
        assert_eq!(ids(&[("a.b", None), ("a", Some("c"))]), ["a.b", "c/a"]);
    }

    #[test]
    fn a_late_party_meets_the_service_that_is_known() {
        let mut parties = Parties::default();
        let known = PartyName { name: "mysql", namespace: Some("default"), ..PartyName::default() };
        let known = parties.intern(&known, Marks::NONE);
        let mut services = Services::resolve(&parties, std::iter::empty());
        let late = PartyName { name: "mysql", ..PartyName::default() };
        let late = services.add(&mut parties, &late, Marks::DATABASE);
        assert_eq!(services.service_of(late), services.service_of(known));
        assert!(services.service(services.service_of(known)).marks.has(Marks::DATABASE));
    }

    #[test]
    fn a_scoped_name_belongs_to_its_caller() {
        let mut parties = Parties::default();
        let mut services = Services::resolve(&parties, std::iter::empty());
        let local = |scope| PartyName { name: "localhost", scope: Some(scope), ..PartyName::default() };
        let a = services.add(&mut parties, &local("default/a"), Marks::NONE);
        let b = services.add(&mut parties, &local("default/b"), Marks::NONE);
        assert_eq!([a, b].map(|p| services.node_id(p)), ["localhost@default/a", "localhost@default/b"]);
    }
}
