//! Peer metadata from the filter state, in the three encodings that Istio's proxies use.
//!
//! | since | key | encoding |
//! |---|---|---|
//! | 1.24 | `upstream_peer`, `downstream_peer` | `Struct` with flat keys: workload, namespace, service, ... |
//! | 1.24, ambient | the same | `Struct` with the keys of node metadata: NAME, NAMESPACE, LABELS, ... |
//! | up to 1.23 | `wasm.upstream_peer`, `wasm.downstream_peer` | bytes of the FlatBuffer `FlatNode` |
//!
//! Beside them `wasm.*_peer_id` holds the peer's node id, which names its pod only. Metadata wins over the id.
//! The two vocabularies share no key, so one reader takes both.

use std::borrow::Cow;

use super::fields::{Texts, first_text, map_entry};
use super::flat_node;
use super::values::well_known;
use crate::normalize::requests::proxy::WorkloadFacts;
use crate::protobuf::messages::envoy::STRUCT;
use crate::protobuf::validate::validate;
use crate::protobuf::wire::{Fields, WireError};

/// Which peer an entry of the filter state describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PeerKey {
    Upstream,
    Downstream,
}

/// Tells the keys of peer metadata from others.
pub(super) fn peer_key(key: &[u8]) -> Option<PeerKey> {
    match key {
        b"upstream_peer" | b"wasm.upstream_peer" | b"wasm.upstream_peer_id" => Some(PeerKey::Upstream),
        b"downstream_peer" | b"wasm.downstream_peer" | b"wasm.downstream_peer_id" => {
            Some(PeerKey::Downstream)
        }
        _ => None,
    }
}

/// Reads the `Any` of one such entry; `None` when it is in none of the encodings.
pub(super) fn read<'a>(any: &'a [u8], texts: &mut Texts) -> Option<WorkloadFacts<'a>> {
    let (url, wrapped) = map_entry(any).ok()?;
    match well_known(url)? {
        "Struct" => {
            // Not validated with the payload, to which it is bytes.
            validate(wrapped, &STRUCT).ok()?;
            read_struct(wrapped, texts).ok()
        }
        "BytesValue" => {
            let bytes = first_text(wrapped).ok()?;
            let as_id = std::str::from_utf8(bytes).ok().and_then(WorkloadFacts::from_node_id);
            as_id.or_else(|| flat_node::read(bytes))
        }
        "StringValue" => {
            std::str::from_utf8(first_text(wrapped).ok()?).ok().and_then(WorkloadFacts::from_node_id)
        }
        _ => None,
    }
}

/// The members of an `Any` that is a `Struct`.
pub(super) fn struct_of(any: &[u8]) -> Option<&[u8]> {
    let (url, wrapped) = map_entry(any).ok()?;
    (well_known(url)? == "Struct").then_some(wrapped)
}

/// The labels, if a member of such a `Struct` is those.
pub(super) fn labels_of(entry: &[u8]) -> Result<Option<&[u8]>, WireError> {
    match map_entry(entry)? {
        (b"labels" | b"LABELS", value) => member_struct(value),
        _ => Ok(None),
    }
}

/// Reads a validated `Struct` of either vocabulary; keys that name nothing are passed over.
pub(super) fn read_struct<'a>(message: &'a [u8], texts: &mut Texts) -> Result<WorkloadFacts<'a>, WireError> {
    let mut facts = WorkloadFacts::default();
    for_each_member(message, |key, value| {
        if let b"labels" | b"LABELS" = key {
            if let Some(labels) = member_struct(value)? {
                for_each_member(labels, |key, value| {
                    if let (Ok(key), Some(text)) = (std::str::from_utf8(key), member_text(value, texts)?) {
                        facts.set_label(key, text);
                    }
                    Ok(())
                })?;
            }
            return Ok(());
        }
        let slot = match key {
            b"name" | b"NAME" => &mut facts.instance,
            b"namespace" | b"NAMESPACE" => &mut facts.namespace,
            b"workload" | b"WORKLOAD_NAME" => &mut facts.workload,
            b"OWNER" => &mut facts.owner,
            b"cluster" | b"CLUSTER_ID" => &mut facts.cluster,
            b"identity" | b"IDENTITY" => &mut facts.principal,
            b"INSTANCE_IPS" => &mut facts.addresses,
            b"ISTIO_VERSION" => &mut facts.proxy_version,
            b"service" => &mut facts.canonical_name,
            b"revision" => &mut facts.canonical_revision,
            b"app" => &mut facts.app,
            b"version" => &mut facts.version,
            _ => return Ok(()),
        };
        if let Some(text) = member_text(value, texts)? {
            *slot = text;
        }
        Ok(())
    })?;
    Ok(facts)
}

fn for_each_member<'a>(
    message: &'a [u8],
    mut visit: impl FnMut(&'a [u8], &'a [u8]) -> Result<(), WireError>,
) -> Result<(), WireError> {
    for field in Fields::new(message) {
        if let (1, entry) = field? {
            let (key, value) = map_entry(entry.bytes(1)?)?;
            visit(key, value)?;
        }
    }
    Ok(())
}

/// The text of a `Value` that holds one.
fn member_text<'a>(value: &'a [u8], texts: &mut Texts) -> Result<Option<Cow<'a, str>>, WireError> {
    let mut text = None;
    for field in Fields::new(value) {
        if let (3, value) = field? {
            text = Some(texts.read(value.bytes(3)?));
        }
    }
    Ok(text)
}

/// The object of a `Value` that holds one.
fn member_struct(value: &[u8]) -> Result<Option<&[u8]>, WireError> {
    let mut inner = None;
    for field in Fields::new(value) {
        if let (5, value) = field? {
            inner = Some(value.bytes(5)?);
        }
    }
    Ok(inner)
}
