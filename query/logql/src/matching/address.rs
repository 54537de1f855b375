//! IP addresses: one, a range with both its ends, or a block as `10.0.0.0/8`; of version 4 or 6.
//!
//! A line holds an address wherever characters of one stand together, as in `10.0.0.1:8080` or `[::1]:80`. Whatever parses
//! and is no part of a longer run of such characters is looked at.
//!
//! Source: "Matching IP addresses", <https://grafana.com/docs/loki/latest/query/ip/>.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Equal to another of the same text.
#[derive(Debug, Clone, PartialEq)]
pub struct Addresses {
    text: String,
    first: IpAddr,
    last: IpAddr,
}

impl Addresses {
    /// # Errors
    /// Text that says that it is none.
    pub fn new(text: String) -> Result<Addresses, String> {
        let ends =
            ends(text.trim()).filter(|(first, last)| first.is_ipv4() == last.is_ipv4() && first <= last);
        let (first, last) =
            ends.ok_or_else(|| format!("{text:?} is neither an address nor a range or block of addresses"))?;
        Ok(Addresses { text, first, last })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether `value` as a whole is one of them.
    pub fn has(&self, value: &str) -> bool {
        value.trim().parse().is_ok_and(|address| self.has_address(address))
    }

    /// Whether one of them stands in `line`.
    pub fn is_in(&self, line: &str) -> bool {
        if self.first.is_ipv4() {
            let mut runs = line.split(|c: char| !c.is_ascii_digit() && c != '.');
            return runs.any(|run| run.len() >= "0.0.0.0".len() && self.has(run.trim_matches('.')));
        }
        let mut runs = line.split(|c: char| !c.is_ascii_hexdigit() && c != ':' && c != '.');
        runs.any(|run| run.contains(':') && self.has(run.trim_end_matches('.')))
    }

    fn has_address(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.first.is_ipv4() && self.first <= address && address <= self.last
    }
}

fn ends(text: &str) -> Option<(IpAddr, IpAddr)> {
    if let Some((first, last)) = text.split_once('-') {
        return Some((first.trim().parse().ok()?, last.trim().parse().ok()?));
    }
    let Some((address, bits)) = text.split_once('/') else {
        let address = text.parse().ok()?;
        return Some((address, address));
    };
    let bits: u32 = bits.parse().ok()?;
    match address.parse().ok()? {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.checked_sub(bits)?).unwrap_or(0);
            let first = address.to_bits() & mask;
            Some((Ipv4Addr::from_bits(first).into(), Ipv4Addr::from_bits(first | !mask).into()))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.checked_sub(bits)?).unwrap_or(0);
            let first = address.to_bits() & mask;
            Some((Ipv6Addr::from_bits(first).into(), Ipv6Addr::from_bits(first | !mask).into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_lines() {
        let check = |text: &str, line: &str, want: bool| {
            let addresses = Addresses::new(text.to_owned()).expect(text);
            assert_eq!(addresses.is_in(line), want, "{text} in {line}");
        };
        check("192.168.4.5", "from 192.168.4.5:80 to x", true);
        check("192.168.4.5", "from 192.168.4.50", false);
        check("192.168.4.5-192.168.4.20", "a 192.168.4.20.", true);
        check("192.168.4.5-192.168.4.20", "a 192.168.4.21", false);
        check("10.0.0.0/8", "[10.255.255.255]", true);
        check("10.0.0.0/8", "11.0.0.0 and 1.10.0.0.1", false);
        check("0.0.0.0/0", "x 1.2.3.4", true);
        check("2001:db8::/32", "peer [2001:db8::ff]:443", true);
        check("2001:db8::/32", "peer [2001:db9::ff]:443", false);
        check("::1", "12:34:56 ::1", true);
        for wrong in ["", "x", "1.2.3", "1.2.3.4/33", "9.9.9.9-1.1.1.1", "1.1.1.1-::1", "::1/129"] {
            assert!(Addresses::new(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
