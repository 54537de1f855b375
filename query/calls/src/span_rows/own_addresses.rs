//! Which addresses those who made spans say are theirs, for proxies that know who they call by an address only.
//!
//! The resource of a span tells them: `k8s.pod.ip`, or `host.ip` (`ip` of Jaeger's clients) of a container. A pod and a
//! container have their address alone; that of a machine is shared by all that runs there, so it is not taken. Loopback
//! addresses mean another thing on every machine. What spans tell beside the resource (`net.host.ip`) is not looked at: their
//! attributes are most of their bytes.
//!
//! Source: OpenTelemetry's semantic conventions for resources (host, container, k8s.pod).

use std::net::IpAddr;

use meshlake_schema::attributes::resource_value;
use meshlake_schema::rows::Text;

use crate::addresses::Addresses;
use crate::hashing::{NumberMap, text_hash};
use crate::minutes::minute_of;
use crate::party::PartyId;

/// Its address, which no other pod has.
const POD_ADDRESS: &str = "k8s.pod.ip";

/// Addresses of the machine, or of the container where there is one: text, or a list of it.
const HOST_ADDRESSES: [&str; 2] = ["host.ip", "ip"];

/// What only the resource of a container has.
const OF_A_CONTAINER: [&str; 3] = ["container.id", "k8s.pod.name", "k8s.pod.uid"];

/// Addresses of one container: two versions of the protocol, and a few networks.
const ADDRESSES_MAX: usize = 8;

/// The addresses that the rows of a batch tell.
#[derive(Debug, Default)]
pub struct OwnAddresses {
    /// Hashes of the addresses of one resource. The first place is of those that tell none.
    known: Vec<Vec<u64>>,
    /// Each once a minute, about: rows of one resource and shape come in runs.
    told: Vec<Told>,
}

/// Spans of a shape, one of which began at this time, have the addresses at a place.
#[derive(Debug)]
struct Told {
    place: u32,
    shape: u32,
    time: i64,
}

impl OwnAddresses {
    /// Those of rows with these resources, shapes and times of start.
    pub fn of(resources: &Text<'_>, shapes: &[u32], starts: &[i64]) -> OwnAddresses {
        if !resources.has_values() {
            return OwnAddresses::default();
        }
        let mut known = vec![Vec::new()];
        let mut places: NumberMap<(u64, u64), u32> = NumberMap::default();
        let mut last = ((0, 0), 0);
        let mut place = |row: usize| {
            let code = resources.code(row);
            if code != last.0 {
                let found = *places.entry(code).or_insert_with(|| {
                    let addresses = resources.named(row).map(addresses_of).unwrap_or_default();
                    if addresses.is_empty() {
                        return 0;
                    }
                    known.push(addresses);
                    known.len() as u32 - 1
                });
                last = (code, found);
            }
            last.1
        };
        let mut told = Vec::new();
        let mut told_last: Vec<Option<(i64, u32)>> = Vec::new();
        for (row, (shape, time)) in shapes.iter().zip(starts).enumerate() {
            let place = place(row);
            if place == 0 {
                continue;
            }
            let at = place as usize;
            told_last.resize(told_last.len().max(at + 1), None);
            let says = Some((minute_of(*time), *shape));
            if told_last[at] != says {
                told_last[at] = says;
                told.push(Told { place, shape: *shape, time: *time });
            }
        }
        OwnAddresses { known, told }
    }

    /// Tells whose addresses they are, as `own` says by shape; nobody's where it says so.
    pub fn tell(&self, own: impl Fn(u32) -> Option<PartyId>, addresses: &mut Addresses) {
        for Told { place, shape, time } in &self.told {
            if let Some(own) = own(*shape) {
                self.known[*place as usize].iter().for_each(|address| addresses.tell(*time, *address, own));
            }
        }
    }
}

/// Hashes of the addresses that a resource says are its own.
fn addresses_of(resource: &str) -> Vec<u64> {
    if let Some(pod) = resource_value(resource, POD_ADDRESS) {
        return hashes([pod.as_str()]);
    }
    let is_container = OF_A_CONTAINER.iter().any(|key| resource_value(resource, key).is_some());
    let mut told = HOST_ADDRESSES.iter().filter_map(|key| resource_value(resource, key));
    let Some(told) = told.next().filter(|_| is_container) else { return Vec::new() };
    // Neither brackets, commas nor quotes stand in an address.
    hashes(told.trim_matches(['[', ']']).split(',').map(|text| text.trim().trim_matches('"')))
}

fn hashes<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<u64> {
    let addresses = texts.into_iter().filter_map(|text| text.parse::<IpAddr>().ok());
    let addresses = addresses.filter(|address| !address.is_loopback() && !address.is_unspecified());
    addresses.take(ADDRESSES_MAX).map(|address| text_hash(Some(&address.to_string()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(resource: &str, want: &[&str]) {
        let want: Vec<u64> = want.iter().map(|address| text_hash(Some(address))).collect();
        assert_eq!(addresses_of(resource), want, "{resource}");
    }

    #[test]
    fn a_pod_and_a_container_tell_their_address_and_a_machine_does_not() {
        check(r#"{"k8s.pod.ip":"10.0.0.2","host.ip":["10.0.0.9"]}"#, &["10.0.0.2"]);
        check(r#"{"container.id":"c","host.ip":["10.0.0.3","fe80::3"]}"#, &["10.0.0.3", "fe80::3"]);
        check(r#"{"k8s.pod.name":"b-1","ip":"10.0.0.4"}"#, &["10.0.0.4"]);
        check(r#"{"host.ip":["10.0.0.9"],"host.name":"vm"}"#, &[]);
        check(r#"{"container.id":"c"}"#, &[]);
        check("{}", &[]);
        check("", &[]);
    }

    #[test]
    fn what_is_no_address_of_its_own_is_left_out() {
        check(r#"{"k8s.pod.ip":"127.0.0.1"}"#, &[]);
        check(r#"{"k8s.pod.ip":"::"}"#, &[]);
        check(r#"{"k8s.pod.ip":"a.b"}"#, &[]);
        check(r#"{"container.id":"c","host.ip":["::1",7]}"#, &[]);
        check(r#"{"container.id":"c","host.ip":["::1","10.0.0.3"]}"#, &["10.0.0.3"]);
    }

    #[test]
    fn only_so_many_addresses_are_taken() {
        for (count, want) in [(ADDRESSES_MAX, ADDRESSES_MAX), (ADDRESSES_MAX + 1, ADDRESSES_MAX)] {
            let all: Vec<String> = (0..count).map(|host| format!("\"10.0.0.{}\"", host + 1)).collect();
            let resource = format!("{{\"container.id\":\"c\",\"host.ip\":[{}]}}", all.join(","));
            assert_eq!(addresses_of(&resource).len(), want, "{count}");
        }
    }
}
