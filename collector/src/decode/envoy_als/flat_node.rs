//! Peer metadata as Istio up to 1.23 encodes it: the FlatBuffer `Wasm.Common.FlatNode`.
//!
//! ```text
//! u32 offset of the table; at the table: i32 distance back to its vtable
//! vtable: u16 bytes of the vtable, u16 bytes of the table, then per field u16 offset in the table, 0 = absent
//! string: u32 offset from here to (u32 length, bytes); vector of tables: u32 offset to (u32 count, u32 offsets)
//! ```
//! All numbers are little-endian. The buffer comes from outside, so every offset is checked before use and
//! whatever does not hold reads as absent.
//!
//! Sources: istio/proxy `extensions/common/node_info.fbs` (fields in order: name, namespace, labels, owner,
//! workload_name, platform_metadata, istio_version, mesh_id, app_containers, cluster_id, instance_ips,
//! identity) and the FlatBuffers internals page.

use std::borrow::Cow;

use crate::normalize::requests::proxy::WorkloadFacts;

/// Labels that are read; a pod has a dozen, and a hostile count must not be a long loop.
const LABELS_MAX: usize = 256;

/// Reads the facts; `None` when the bytes are no FlatNode at all.
pub(super) fn read(buffer: &[u8]) -> Option<WorkloadFacts<'_>> {
    let node = Table { buffer, at: follow(buffer, 0)? };
    node.vtable()?;
    let text = |field| node.text(field).unwrap_or_default();
    let mut facts = WorkloadFacts {
        instance: text(0),
        namespace: text(1),
        owner: text(3),
        workload: text(4),
        cluster: text(9),
        principal: text(11),
        ..WorkloadFacts::default()
    };
    if let Some((addresses, count)) = node.vector(10)
        && count > 0
        && let Some(address) = follow(buffer, addresses).and_then(|at| text_at(buffer, at))
    {
        facts.addresses = address;
    }
    if let Some((labels, count)) = node.vector(2) {
        for index in 0..count.min(LABELS_MAX) {
            let Some(at) = follow(buffer, labels + 4 * index) else { break };
            let label = Table { buffer, at };
            if let (Some(key), Some(value)) = (label.text(0), label.text(1)) {
                facts.set_label(&key, value);
            }
        }
    }
    Some(facts)
}

fn u16_at(buffer: &[u8], at: usize) -> Option<usize> {
    let bytes = buffer.get(at..)?.first_chunk::<2>()?;
    Some(usize::from(u16::from_le_bytes(*bytes)))
}

fn u32_at(buffer: &[u8], at: usize) -> Option<usize> {
    let bytes = buffer.get(at..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_le_bytes(*bytes)).ok()
}

/// Where the offset at `at` leads.
fn follow(buffer: &[u8], at: usize) -> Option<usize> {
    at.checked_add(u32_at(buffer, at)?)
}

fn text_at(buffer: &[u8], at: usize) -> Option<Cow<'_, str>> {
    let length = u32_at(buffer, at)?;
    let start = at.checked_add(4)?;
    Some(String::from_utf8_lossy(buffer.get(start..start.checked_add(length)?)?))
}

#[derive(Clone, Copy)]
struct Table<'a> {
    buffer: &'a [u8],
    at: usize,
}

impl<'a> Table<'a> {
    fn vtable(self) -> Option<usize> {
        let back = i32::from_le_bytes(*self.buffer.get(self.at..)?.first_chunk::<4>()?);
        let vtable = i64::try_from(self.at).ok()?.checked_sub(i64::from(back))?;
        usize::try_from(vtable).ok().filter(|vtable| *vtable < self.buffer.len())
    }

    /// Where the value of a field lies; `None` when it is absent.
    fn field(self, field: usize) -> Option<usize> {
        let vtable = self.vtable()?;
        let slot = 4 + 2 * field;
        if slot + 2 > u16_at(self.buffer, vtable)? {
            return None;
        }
        let offset = u16_at(self.buffer, vtable + slot)?;
        (offset != 0).then(|| self.at.checked_add(offset)).flatten()
    }

    fn text(self, field: usize) -> Option<Cow<'a, str>> {
        text_at(self.buffer, follow(self.buffer, self.field(field)?)?)
    }

    /// Where a vector's first element lies, and how many it claims to have.
    fn vector(self, field: usize) -> Option<(usize, usize)> {
        let at = follow(self.buffer, self.field(field)?)?;
        Some((at.checked_add(4)?, u32_at(self.buffer, at)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A FlatNode with name, namespace, one label, workload name and identity, laid out by hand.
    fn flat_node() -> Vec<u8> {
        let mut buffer = Vec::new();
        let u16s = |buffer: &mut Vec<u8>, numbers: &[u16]| {
            numbers.iter().for_each(|number| buffer.extend(number.to_le_bytes()));
        };
        // 0: offset of the root table. 4: vtable with 12 fields (28 bytes). 32: the table.
        buffer.extend(32u32.to_le_bytes());
        u16s(&mut buffer, &[28, 24, 4, 8, 12, 0, 16, 0, 0, 0, 0, 0, 0, 20]);
        buffer.extend(28i32.to_le_bytes());
        // Five offsets at 36, 40, 44, 48, 52, filled in as their targets are written.
        let slots = [36usize, 40, 44, 48, 52];
        buffer.extend([0; 20]);
        let point = |buffer: &mut Vec<u8>, slot: usize| {
            let offset = (buffer.len() - slot) as u32;
            buffer[slot..slot + 4].copy_from_slice(&offset.to_le_bytes());
        };
        let text = |buffer: &mut Vec<u8>, slot: usize, text: &str| {
            point(buffer, slot);
            buffer.extend((text.len() as u32).to_le_bytes());
            buffer.extend(text.as_bytes());
            buffer.push(0);
        };
        text(&mut buffer, slots[0], "reviews-v1-545db77b95-2xq9k");
        text(&mut buffer, slots[1], "default");
        text(&mut buffer, slots[3], "reviews-v1");
        text(&mut buffer, slots[4], "spiffe://cluster.local/ns/default/sa/reviews");
        // labels: a vector of one table {key, value}; its vtable first.
        let vtable = buffer.len();
        u16s(&mut buffer, &[8, 12, 4, 8]);
        point(&mut buffer, slots[2]);
        buffer.extend(1u32.to_le_bytes());
        let element = buffer.len();
        buffer.extend([0; 4]);
        point(&mut buffer, element);
        let table = buffer.len();
        buffer.extend(((table - vtable) as i32).to_le_bytes());
        buffer.extend([0; 8]);
        text(&mut buffer, table + 4, "service.istio.io/canonical-name");
        text(&mut buffer, table + 8, "reviews");
        buffer
    }

    #[test]
    fn a_node_is_read() {
        let buffer = flat_node();
        let facts = read(&buffer).expect("a FlatNode");
        assert_eq!(facts.instance, "reviews-v1-545db77b95-2xq9k");
        assert_eq!((&*facts.namespace, &*facts.workload), ("default", "reviews-v1"));
        assert_eq!(facts.canonical_name, "reviews");
        assert_eq!(facts.principal, "spiffe://cluster.local/ns/default/sa/reviews");
        assert_eq!((&*facts.owner, &*facts.addresses), ("", ""));
    }

    #[test]
    fn broken_buffers_are_absent_or_partial_and_never_panic() {
        assert_eq!(read(b""), None);
        assert_eq!(read(b"not a flat buffer"), None);
        let buffer = flat_node();
        for end in 0..buffer.len() {
            read(&buffer[..end]);
        }
        for at in 0..buffer.len() {
            for with in [0x00, 0x01, 0x7f, 0x80, 0xff] {
                let mut changed = buffer.clone();
                changed[at] = with;
                read(&changed);
            }
        }
    }
}
