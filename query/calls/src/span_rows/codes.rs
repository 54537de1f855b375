//! A number for each row that stands for everything it says but its ids and times.
//!
//! Spans of one operation say the same thousands of times. What it means is found out once for each number: it takes
//! names apart, and this reads none but those that nearly every row has another of. Equal numbers are equal rows, but for a chance
//! of 2^-64; equal rows may have several numbers.

use std::hash::{BuildHasher, RandomState};

use meshlake_schema::rows::Text;

use super::columns::Columns;
use super::mixing::{mix_meanings, mix_numbers, mix_texts};
use super::proxy_version::proxy_version;
use super::role::NameSays;
use super::tags;
use crate::grouping::{By, Grain, Told};
use crate::hashing::mixed_pair;
use crate::hosts::host_of_url;

/// The numbers of `count` rows, as far as a question with this grouping tells rows apart.
pub fn codes(columns: &Columns<'_>, count: usize, by: By, grain: Grain) -> Vec<u64> {
    let mut codes = vec![0; count];
    own_words(columns, by, grain, &mut codes);
    names(&columns.name, grain, &mut codes);
    plain_tags(columns, &mut codes);
    let mut far_ends = vec![0; count];
    if mix_far_end(columns, &mut far_ends) {
        for (row, (code, far_end)) in codes.iter_mut().zip(far_ends).enumerate() {
            if may_have_far_end(columns, row) {
                *code = mixed_pair(*code, far_end);
            }
        }
    }
    codes
}

/// What a span says of itself.
fn own_words(columns: &Columns<'_>, by: By, grain: Grain, codes: &mut [u64]) {
    let numbers = [
        &columns.kind,
        &columns.http_response_status_code,
        &columns.http_request_resend_count,
        &columns.rpc_grpc_status_code,
    ];
    numbers.into_iter().for_each(|column| mix_numbers(column, codes));
    if !columns.is_proxy.is_uniform() {
        for (row, code) in codes.iter_mut().enumerate() {
            *code = mixed_pair(*code, u64::from(columns.is_proxy.get(row) == Some(true)));
        }
    }
    if !columns.adjusted_count.is_uniform() {
        for (row, code) in codes.iter_mut().enumerate() {
            *code = mixed_pair(*code, columns.adjusted_count.get(row).map_or(0, f64::to_bits));
        }
    }
    let texts = [
        Some(&columns.outcome),
        Some(&columns.service_name),
        Some(&columns.service_namespace),
        Some(&columns.service_version).filter(|_| by.tells_versions()),
        Some(&columns.service_instance_id).filter(|_| grain.tells_instances()),
        Some(&columns.error_type).filter(|_| grain.tells(Told::REFUSAL)),
        Some(&columns.exception_type).filter(|_| grain.tells(Told::REFUSAL)),
        Some(&columns.exception_cause).filter(|_| grain.tells(Told::REFUSAL)),
        Some(&columns.http_request_method),
        Some(&columns.peer_service),
        Some(&columns.rpc_system),
        Some(&columns.db_system_name),
        Some(&columns.messaging_system),
        Some(&columns.messaging_destination_name),
        Some(&columns.messaging_operation_type),
    ];
    texts.into_iter().flatten().for_each(|column| mix_texts(column, codes));
    if grain.tells_proxies() {
        let hasher = RandomState::new();
        mix_meanings(&columns.resource, codes, |resource| hasher.hash_one(proxy_version(resource)));
    }
}

/// What a span says of its far end, with the host of its URL alone: URLs are as many as requests. Whether that tells rows apart.
fn mix_far_end(columns: &Columns<'_>, codes: &mut [u64]) -> bool {
    let texts = [&columns.db_namespace, &columns.server_address, &columns.network_peer_address];
    let numbers = [&columns.server_port, &columns.network_peer_port];
    texts.into_iter().for_each(|column| mix_texts(column, codes));
    numbers.into_iter().for_each(|column| mix_numbers(column, codes));
    let hasher = RandomState::new();
    mix_meanings(&columns.url_full, codes, |url| {
        hasher.hash_one(host_of_url(url).map(|at| (at.host, at.port)))
    });
    let are_uniform = texts.iter().all(|column| column.is_uniform());
    !(are_uniform && numbers.iter().all(|column| column.is_uniform()) && columns.url_full.is_uniform())
}

/// Whether a row can stand for something with a far end. The peer of a call that was received is whoever made it, by
/// another port each time.
fn may_have_far_end(columns: &Columns<'_>, row: usize) -> bool {
    let messaging =
        [&columns.messaging_system, &columns.messaging_destination_name, &columns.messaging_operation_type];
    matches!(columns.kind.get(row), Some(3..=5))
        || columns.is_proxy.get(row) == Some(true)
        || messaging.iter().any(|column| column.named(row).is_some())
}

fn names(name: &Text<'_>, grain: Grain, codes: &mut [u64]) {
    if grain.tells_operations() {
        mix_texts(name, codes);
    } else {
        mix_meanings(name, codes, |name| NameSays::of(name).code());
    }
}

fn plain_tags(columns: &Columns<'_>, codes: &mut [u64]) {
    if columns.attributes.is_absent() {
        return;
    }
    let hasher = RandomState::new();
    for (row, code) in codes.iter_mut().enumerate() {
        for (key, value) in columns.attributes.entries(row) {
            if let Some(place) = tags::KEYS.iter().position(|known| *known == key) {
                *code = mixed_pair(mixed_pair(*code, place as u64), hasher.hash_one(value));
            }
        }
    }
}
