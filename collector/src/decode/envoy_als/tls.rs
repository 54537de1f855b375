//! `TLSProperties` of the connection towards the caller.
//!
//! Source: envoy/data/accesslog/v3/accesslog.proto. A SPIFFE identity is a URI among the subject
//! alternative names; certificates of a mesh hold exactly one, so the first counts. Other URIs and the DNS names are
//! one attribute each, their names separated by commas.

use std::borrow::Cow;

use super::fields::{Texts, wrapped_u32};
use crate::normalize::requests::facts::RequestFacts;
use crate::protobuf::wire::{Fields, WireError};
use crate::row_attributes::RowAttributes;

/// Reads version, server name and identities into the facts, the rest into the attributes.
pub(super) fn read_tls<'a>(
    message: &'a [u8],
    seen: &mut RequestFacts<'a>,
    texts: &mut Texts,
    attributes: &mut RowAttributes,
) -> Result<(), WireError> {
    for field in Fields::new(message) {
        match field? {
            (1, value) => seen.tls_version = version(value.varint(1)?),
            (2, value) => attributes.push_int("tls_cipher_suite", u64::from(wrapped_u32(value.bytes(2)?)?)),
            (3, value) => seen.requested_server_name = texts.read(value.bytes(3)?),
            (4, value) => {
                seen.own_principal = read_certificate(value.bytes(4)?, "tls.server.", texts, attributes)?;
            }
            (5, value) => {
                seen.caller_principal = read_certificate(value.bytes(5)?, "tls.client.", texts, attributes)?;
            }
            (6, value) => push_known(attributes, "", "tls_session_id", &texts.read(value.bytes(6)?)),
            (7, value) => push_known(attributes, "", "tls.client.ja3", &texts.read(value.bytes(7)?)),
            _ => {}
        }
    }
    Ok(())
}

fn version(number: u64) -> &'static str {
    match number {
        1 => "TLSv1",
        2 => "TLSv1.1",
        3 => "TLSv1.2",
        4 => "TLSv1.3",
        _ => "",
    }
}

/// Reads `CertificateProperties`: the first URI of the subject alternative names. The rest goes to the attributes.
fn read_certificate<'a>(
    message: &'a [u8],
    prefix: &str,
    texts: &mut Texts,
    attributes: &mut RowAttributes,
) -> Result<Cow<'a, str>, WireError> {
    let mut principal: Cow<'a, str> = Cow::default();
    let (mut uris, mut names) = (String::new(), String::new());
    for field in Fields::new(message) {
        match field? {
            (1, value) => {
                for san in Fields::new(value.bytes(1)?) {
                    match san? {
                        (1, uri) if principal.is_empty() => principal = texts.read(uri.bytes(1)?),
                        (1, uri) => push_listed(&mut uris, &texts.read(uri.bytes(1)?)),
                        (2, dns) => push_listed(&mut names, &texts.read(dns.bytes(2)?)),
                        _ => {}
                    }
                }
            }
            (2, value) => push_known(attributes, prefix, "subject", &texts.read(value.bytes(2)?)),
            (3, value) => push_known(attributes, prefix, "issuer", &texts.read(value.bytes(3)?)),
            _ => {}
        }
    }
    push_known(attributes, prefix, "uri", &uris);
    push_known(attributes, prefix, "dns", &names);
    Ok(principal)
}

fn push_listed(list: &mut String, name: &str) {
    if !list.is_empty() && !name.is_empty() {
        list.push(',');
    }
    list.push_str(name);
}

fn push_known(attributes: &mut RowAttributes, prefix: &str, name: &str, value: &str) {
    if !value.is_empty() {
        attributes.push_text(prefix, name, value);
    }
}
