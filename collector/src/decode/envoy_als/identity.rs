//! The head of a stream: `Identifier` and its `Node` as a [`ProxyIdentity`].
//!
//! Source: envoy/config/core/v3/base.proto. Region, zone and log name have no column; they go to the attributes of every row
//! under their OpenTelemetry names (`log_name` is Envoy's own), and so does Istio's release, which Envoy's own stands in for
//! in `proxy_version` where there is none (`istio.version` is ours).

use super::fields::{Texts, map_entry};
use super::peer::read_struct;
use crate::normalize::requests::proxy::{ProxyIdentity, WorkloadFacts};
use crate::protobuf::wire::{Fields, WireError};

/// Reads a validated `Identifier`.
pub(super) fn read(identifier: &[u8]) -> Result<ProxyIdentity, WireError> {
    let mut texts = Texts::default();
    let (mut node, mut log_name) = ([].as_slice(), [].as_slice());
    for field in Fields::new(identifier) {
        match field? {
            (1, value) => node = value.bytes(1)?,
            (2, value) => log_name = value.bytes(2)?,
            _ => {}
        }
    }
    let (mut id, mut cluster) = ([].as_slice(), [].as_slice());
    let (mut region, mut zone) = ([].as_slice(), [].as_slice());
    let mut facts = WorkloadFacts::default();
    let mut envoy_version = String::new();
    for field in Fields::new(node) {
        match field? {
            (1, value) => id = value.bytes(1)?,
            (2, value) => cluster = value.bytes(2)?,
            (3, value) => facts = read_struct(value.bytes(3)?, &mut texts)?,
            (4, value) => (region, zone) = map_entry(value.bytes(4)?)?,
            (7, value) => envoy_version = texts.read(value.bytes(7)?).into_owned(),
            (8, value) => envoy_version = read_build(value.bytes(8)?)?,
            _ => {}
        }
    }
    let istio_version = facts.proxy_version.clone();
    if istio_version.is_empty() {
        facts.proxy_version = envoy_version.into();
    }
    let proxy = ProxyIdentity::new(&texts.read(id), &texts.read(cluster), facts);
    Ok(proxy
        .with_attribute("log_name", &texts.read(log_name))
        .with_attribute("cloud.region", &texts.read(region))
        .with_attribute("cloud.availability_zone", &texts.read(zone))
        .with_attribute("istio.version", &istio_version))
}

/// The release in a `BuildVersion`; empty where it has none.
fn read_build(build: &[u8]) -> Result<String, WireError> {
    let mut version = None;
    for field in Fields::new(build) {
        if let (1, value) = field? {
            version = Some(value.bytes(1)?);
        }
    }
    let Some(version) = version else { return Ok(String::new()) };
    let mut numbers = [0; 3];
    for field in Fields::new(version) {
        let (number, value) = field?;
        if let 1..=3 = number {
            numbers[number as usize - 1] = value.varint(number)? as u32;
        }
    }
    let [major, minor, patch] = numbers;
    Ok(format!("{major}.{minor}.{patch}"))
}
