//! HAProxy's termination state: two characters that say which side ended a session, and when.
//!
//! ```text
//! first   C c  the client went away, or was too slow     S s  the server did, or was      P  the proxy refused
//!         R  no resources   I  an internal error   D  the server was found down   K U  an operator or a backup
//! second  R  request   Q  queue   C  connect   H  header of the response   D  data   T  tarpit   -  none of them
//! ```
//! Each is read as the response flag of Envoy that says the same, so that faults of all proxies are counted alike; the
//! state itself is kept as an attribute.
//!
//! Source: HAProxy, "Configuration Manual", 8.5 (session state at disconnection) and 8.2.3 (`<NOSRV>`, `<BADREQ>`).

use std::borrow::Cow;

use super::reading::Reading;

/// What HAProxy names in place of a server: no server was chosen, or none is needed for its own answers.
const NO_SERVERS: [&str; 3] = ["<NOSRV>", "<STATS>", "<PROMEX>"];

/// Takes in a state of two characters or, with what became of a cookie, four.
pub(super) fn set_state(text: &str, to: &mut Reading<'_>) -> bool {
    let bytes = text.as_bytes();
    if !(2..=4).contains(&bytes.len()) || !text.is_ascii() {
        return false;
    }
    to.termination = Some([bytes[0], bytes[1]]);
    if bytes.iter().any(|byte| *byte != b'-') {
        to.attributes.push_text("", "termination_state", text);
    }
    true
}

pub(super) fn set_server(text: &str, to: &mut Reading<'_>) -> bool {
    to.names_server = !NO_SERVERS.contains(&text);
    if to.names_server {
        to.attributes.push_text("", "upstream_server", text);
    }
    !text.contains([' ', '"'])
}

pub(super) fn set_frontend<'a>(text: Cow<'a, str>, to: &mut Reading<'a>) -> bool {
    to.attributes.push_text("", "frontend", &text);
    to.frontend = text;
    true
}

/// Settles what server, backend and state say together.
pub(super) fn settle(reading: &mut Reading<'_>) {
    let Some(state) = reading.termination else { return };
    let frontend = reading.frontend.strip_suffix('~').unwrap_or(&reading.frontend);
    // Before a backend is chosen the frontend stands in its place.
    if !reading.names_server && reading.seen.upstream_cluster == frontend {
        reading.seen.upstream_cluster = Cow::default();
    }
    let flag = flag_of(state, reading.seen.response_code, reading.names_server);
    reading.add_flags(flag);
}

/// The flag by its short name; empty where the session ended as it should.
fn flag_of([side, phase]: [u8; 2], status: Option<i32>, names_server: bool) -> &'static str {
    match (side, phase) {
        // A client too slow with its request has its answer, a 408.
        (b'c', b'R') => "SI",
        (b'C' | b'c', _) => "DC",
        (b'S' | b's', b'C') if !names_server => "UH",
        (b'S' | b's', b'C') => "UF",
        (b's', b'Q') => "UO",
        (b's', _) => "UT",
        (b'S' | b'D', _) => "UC",
        (b'P', b'H' | b'D') => "UPE",
        (b'P', b'C') | (b'R', _) => "OM",
        (b'P', _) => match status {
            Some(400) => "DPE",
            Some(403) => "UAEX",
            Some(429) => "RL",
            _ => "",
        },
        (b'I' | b'K' | b'U', _) => "LR",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// States and statuses as in the manual's list of combinations (8.5).
    #[test]
    fn a_state_is_the_flag_that_says_the_same() {
        let cases = [
            (*b"--", Some(200), true, ""),
            (*b"CC", None, true, "DC"),
            (*b"CD", Some(200), true, "DC"),
            (*b"cD", Some(200), true, "DC"),
            (*b"cR", Some(408), false, "SI"),
            (*b"SC", Some(503), true, "UF"),
            (*b"SC", Some(503), false, "UH"),
            (*b"sC", Some(503), true, "UF"),
            (*b"sQ", Some(503), false, "UO"),
            (*b"sH", Some(504), true, "UT"),
            (*b"SH", Some(502), true, "UC"),
            (*b"SD", Some(200), true, "UC"),
            (*b"PH", Some(502), true, "UPE"),
            (*b"PR", Some(403), false, "UAEX"),
            (*b"PR", Some(400), false, "DPE"),
            (*b"PR", Some(429), false, "RL"),
            (*b"PR", Some(302), false, ""),
            (*b"PC", Some(503), true, "OM"),
            (*b"RC", Some(503), true, "OM"),
            (*b"LR", Some(302), false, ""),
            (*b"IH", Some(500), false, "LR"),
        ];
        for (state, status, names_server, want) in cases {
            assert_eq!(flag_of(state, status, names_server), want, "{:?} {status:?}", str::from_utf8(&state));
        }
    }
}
