//! Addresses as logs write them: an IP address or a host with or without its port, a URL, and nothing that only might be one.

use std::borrow::Cow;

use crate::address::Address;

/// Of each byte, whether no address has it.
const IS_ODD_IN_ADDRESS: [bool; 256] = {
    let mut is_odd = [true; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        is_odd[byte as usize] = matches!(byte, b'"' | b'|');
        byte += 1;
    }
    is_odd
};

/// Reads an address, which has neither quotes nor spaces, nor anything but ASCII; so quotes that were not escaped make none
/// of another field's text.
pub(super) fn address(text: Cow<'_, str>) -> Option<Address<'_>> {
    // Each is looked at, which takes less than asking after each whether to go on.
    if text.bytes().fold(false, |is_odd, byte| is_odd | IS_ODD_IN_ADDRESS[usize::from(byte)]) {
        return None;
    }
    Some(match text {
        Cow::Borrowed(text) => Address::parse(without_scheme(text)),
        Cow::Owned(text) => {
            let Address { host, port } = Address::parse(without_scheme(&text));
            Address { host: host.into_owned().into(), port }
        }
    })
}

/// Go's proxies name an upstream by its URL, and old Envoys wrote `tcp://` in front of an address.
fn without_scheme(text: &str) -> &str {
    // Most begin with a digit.
    if !matches!(text.as_bytes().first(), Some(b'h' | b't')) {
        return text;
    }
    let rest = ["http://", "https://", "tcp://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    rest.map_or(text, |rest| rest.split('/').next().unwrap_or(rest))
}
