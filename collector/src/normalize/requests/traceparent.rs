//! The header `traceparent`, which proxies pass on and log: ids of the trace and of the span above the one that logs it.
//!
//! Source: W3C Trace Context, level 1.

use super::facts::TraceContext;

/// Reads `<version>-<trace id>-<parent id>-<flags>`; later versions may go on after the flags.
pub fn parse_traceparent(header: &[u8]) -> Option<(TraceContext, u8)> {
    let [v1, v2, b'-', ids @ ..] = header else { return None };
    let (trace_id, rest) = ids.split_at_checked(32)?;
    let (span_id, rest) = rest.strip_prefix(b"-")?.split_at_checked(16)?;
    let (flags, rest) = rest.strip_prefix(b"-")?.split_at_checked(2)?;
    let ([version], [flags]) = (hex(&[*v1, *v2])?, hex(flags)?);
    let (trace_id, span_id) = (hex(trace_id)?, hex(span_id)?);
    let whole = if version == 0 { rest.is_empty() } else { matches!(rest, [] | [b'-', ..]) };
    let valid = version != 0xff && trace_id != [0; 16] && span_id != [0; 8];
    (whole && valid).then_some((TraceContext { trace_id, span_id }, flags))
}

/// `N` bytes from lower-case hex digits.
pub fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let (pairs, rest) = digits.as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    let mut seen = 0;
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let (high, low) = (DIGITS[usize::from(*high)], DIGITS[usize::from(*low)]);
        // Whether all are digits is asked once, at the end.
        seen |= high | low;
        *byte = high << 4 | low;
    }
    (seen != NO_DIGIT).then_some(bytes)
}

/// In [`DIGITS`], of bytes that are none: no digits together have all of its bits.
const NO_DIGIT: u8 = 0xff;

/// The value of each lower-case hex digit.
const DIGITS: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value as usize] as usize] = value;
        value += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traceparents_by_the_specification() {
        // The example of W3C Trace Context, 3.2.
        let example = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let (context, flags) = parse_traceparent(example.as_bytes()).expect("valid");
        assert_eq!((context.trace_id[0], context.trace_id[15]), (0x4b, 0x36));
        assert_eq!((context.span_id[0], context.span_id[7], flags), (0x00, 0xb7, 1));
        let later = example.replacen("00-", "01-", 1) + "-more";
        assert!(parse_traceparent(later.as_bytes()).is_some(), "later versions may add parts");
        for bad in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473600f067aa0ba902b7-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-012",
            "0-04bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902g7-01",
        ] {
            assert_eq!(parse_traceparent(bad.as_bytes()), None, "{bad}");
        }
    }
}
