//! Which values the columns of requests have, counted.

use std::collections::HashMap;

use meshlake_schema::response_flags::ResponseFlags;
use meshlake_schema::rows::{Integers, Interned, Text};
use meshlake_schema::{Table, read_columns};

use super::Dimension;
use crate::explore::facets::{Facet, Tally, VALUES_MAX};

read_columns! {
    /// What is counted.
    pub struct Columns of Table::Requests {
        time_unix_nano: Integers,
        response_flags: Integers,
        response_code: Integers,
        grpc_status: Integers,
        outcome: Text,
        observer: Text,
        protocol: Text,
        method: Text,
        authority: Text,
        route: Text,
        source_namespace: Text,
        source_service: Text,
        source_workload: Text,
        destination_namespace: Text,
        destination_service: Text,
        destination_workload: Text,
        path: Text,
    }
}

/// How many of the columns are numbers, and the place of the one that is read only if it is looked at.
pub const NUMBERS: usize = 4;
pub const PATH: usize = 16;

/// What was counted of some rows.
#[derive(Debug)]
pub struct Counts {
    texts: Vec<(Dimension, Tally)>,
    clients: Peers,
    servers: Peers,
    statuses: HashMap<i64, u64>,
    grpc: HashMap<i64, u64>,
    flags: HashMap<i64, u64>,
}

impl Default for Counts {
    fn default() -> Self {
        let texts = Dimension::ALL.into_iter().filter(|dimension| dimension.column().is_some());
        Counts {
            texts: texts.map(|dimension| (dimension, Tally::default())).collect(),
            clients: Peers::default(),
            servers: Peers::default(),
            statuses: HashMap::new(),
            grpc: HashMap::new(),
            flags: HashMap::new(),
        }
    }
}

impl Counts {
    /// Counts these rows of a batch.
    pub fn add(&mut self, columns: &Columns<'_>, rows: &[usize]) {
        for (dimension, tally) in &mut self.texts {
            count(tally, columns.text(*dimension), rows);
        }
        let sides = [
            (&mut self.clients, [columns.source_namespace, columns.source_service, columns.source_workload]),
            (
                &mut self.servers,
                [columns.destination_namespace, columns.destination_service, columns.destination_workload],
            ),
        ];
        for (peers, columns) in sides {
            peers.add(columns, rows);
        }
        let numbers = [
            (&mut self.statuses, columns.response_code),
            (&mut self.grpc, columns.grpc_status),
            (&mut self.flags, columns.response_flags),
        ];
        for (counts, column) in numbers {
            rows.iter().filter_map(|row| column.get(*row)).for_each(|number| count_number(counts, number, 1));
        }
    }

    /// Adds what was counted of other rows.
    pub fn merge(&mut self, other: &Counts) {
        for ((_, own), (_, other)) in self.texts.iter_mut().zip(&other.texts) {
            own.merge(other);
        }
        self.clients.merge(&other.clients);
        self.servers.merge(&other.servers);
        let numbers = [
            (&mut self.statuses, &other.statuses),
            (&mut self.grpc, &other.grpc),
            (&mut self.flags, &other.flags),
        ];
        for (own, other) in numbers {
            other.iter().for_each(|(number, rows)| count_number(own, *number, *rows));
        }
    }

    /// In the order of [`Dimension::ALL`].
    pub fn facets(self, most: usize) -> Vec<(Dimension, Facet)> {
        let numbers = |counts: HashMap<i64, u64>| {
            let is_given_up = counts.len() > VALUES_MAX;
            let told = counts.into_iter().map(|(number, rows)| (number.to_string(), rows));
            if is_given_up { Facet::given_up() } else { Facet::of(told, most) }
        };
        let mut facets: Vec<(Dimension, Facet)> =
            self.texts.into_iter().map(|(dimension, tally)| (dimension, tally.facet(most))).collect();
        facets.push((Dimension::Client, self.clients.facet(most)));
        facets.push((Dimension::Server, self.servers.facet(most)));
        facets.push((Dimension::Status, numbers(self.statuses)));
        facets.push((Dimension::Grpc, numbers(self.grpc)));
        facets.push((Dimension::Flag, by_flag(&self.flags, most)));
        facets.sort_by_key(|(dimension, _)| Dimension::ALL.iter().position(|known| known == dimension));
        facets
    }

    /// Bytes that it takes, about.
    pub fn bytes(&self) -> usize {
        let tallies = self.texts.iter().map(|(_, tally)| tally);
        let tallies = tallies.chain([&self.clients, &self.servers].into_iter().flat_map(Peers::tallies));
        let pairs = [&self.clients, &self.servers].map(|peers| peers.counts.len());
        let numbers = [&self.statuses, &self.grpc, &self.flags].map(HashMap::len);
        let entries: usize = pairs.into_iter().chain(numbers).sum();
        tallies.map(Tally::bytes).sum::<usize>() + entries * ENTRY_BYTES
    }
}

/// What an entry of a map takes, about: a key and a number, and the room that maps keep free.
const ENTRY_BYTES: usize = 32;

impl<'a> Columns<'a> {
    fn text(&self, dimension: Dimension) -> Text<'a> {
        match dimension {
            Dimension::Method => self.method,
            Dimension::Host => self.authority,
            Dimension::Route => self.route,
            Dimension::Protocol => self.protocol,
            Dimension::Observer => self.observer,
            _ => self.outcome,
        }
    }
}

fn count(tally: &mut Tally, column: Text<'_>, rows: &[usize]) {
    if !column.has_values() {
        return;
    }
    let mut places = Interned::new(column);
    for row in rows {
        if let Some(place) = places.get(*row, |text| tally.place(text)) {
            tally.add(place, 1);
        }
    }
}

/// Codes are few, unless somebody makes them up: of too many one more says so.
fn count_number(counts: &mut HashMap<i64, u64>, number: i64, rows: u64) {
    let has_room = counts.len() <= VALUES_MAX;
    match counts.get_mut(&number) {
        Some(count) => *count += rows,
        None if has_room => drop(counts.insert(number, rows)),
        None => {}
    }
}

/// A row counts for each flag that it has.
fn by_flag(sets: &HashMap<i64, u64>, most: usize) -> Facet {
    if sets.len() > VALUES_MAX {
        return Facet::given_up();
    }
    let rows = |bit: u32| -> u64 {
        sets.iter().filter(|(set, _)| (**set as u64) & (1 << bit) != 0).map(|(_, rows)| rows).sum()
    };
    let set = ResponseFlags(sets.keys().fold(0, |all, set| all | *set as u64));
    Facet::of(set.iter().map(|flag| (flag.short.to_owned(), rows(flag.bit))), most)
}

/// One side of requests: names within namespaces.
#[derive(Debug, Default)]
struct Peers {
    namespaces: Tally,
    names: Tally,
    counts: HashMap<(u32, u32), u64>,
}

impl Peers {
    fn add(&mut self, [namespace, service, workload]: [Text<'_>; 3], rows: &[usize]) {
        let Peers { namespaces, names, counts } = self;
        let [mut namespace, mut service, mut workload] = [namespace, service, workload].map(Interned::new);
        for row in rows {
            let of_service = service.get(*row, |text| names.place(text)).filter(|place| names.has(*place));
            let name = of_service.or_else(|| workload.get(*row, |text| names.place(text)));
            let Some(name) = name.filter(|place| names.has(*place)) else { continue };
            let namespace = namespace.get(*row, |text| namespaces.place(text)).unwrap_or(u32::MAX);
            if let Some(count) = counts.get_mut(&(namespace, name)) {
                *count += 1;
            } else if counts.len() <= VALUES_MAX {
                counts.insert((namespace, name), 1);
            }
        }
    }

    fn merge(&mut self, other: &Peers) {
        for ([namespace, name], rows) in other.told() {
            let key = (self.namespaces.place(namespace), self.names.place(name));
            if self.names.has(key.1) {
                *self.counts.entry(key).or_default() += rows;
            }
        }
        self.names.give_up_with(&other.names);
        self.namespaces.give_up_with(&other.namespaces);
    }

    fn tallies(&self) -> [&Tally; 2] {
        [&self.namespaces, &self.names]
    }

    /// Namespace, which may be empty, name, and rows.
    fn told(&self) -> impl Iterator<Item = ([&str; 2], u64)> {
        let (namespaces, names) = (self.namespaces.values(), self.names.values());
        self.counts.iter().map(move |((namespace, name), rows)| {
            let namespace = namespaces.get(*namespace as usize).copied().unwrap_or_default();
            ([namespace, names[*name as usize]], *rows)
        })
    }

    fn facet(self, most: usize) -> Facet {
        let is_given_up =
            self.names.is_given_up() || self.namespaces.is_given_up() || self.counts.len() > VALUES_MAX;
        if is_given_up {
            return Facet::given_up();
        }
        let id = |[namespace, name]: [&str; 2]| match namespace {
            "" => name.to_owned(),
            _ => format!("{namespace}/{name}"),
        };
        Facet::of(self.told().map(|(parts, rows)| (id(parts), rows)), most)
    }
}
