//! The header `traceparent`, which proxies pass on and log: ids of the trace and of the span above the one that logs it.
//!
//! Source: W3C Trace Context, level 1.

use super::facts::TraceContext;

/// Reads `<version>-<trace id>-<parent id>-<flags>`; later versions may go on after the flags.
pub fn parse_traceparent(header: &[u8]) -> Option<(TraceContext, u8)> {
    let mut parts = header.split(|byte| *byte == b'-');
    let [version]: [u8; 1] = hex(parts.next()?)?;
    let (trace_id, span_id) = (hex(parts.next()?)?, hex(parts.next()?)?);
    let [flags] = hex(parts.next()?)?;
    let whole = version != 0 || parts.next().is_none();
    let valid = version != 0xff && trace_id != [0; 16] && span_id != [0; 8];
    (whole && valid).then_some((TraceContext { trace_id, span_id }, flags))
}

/// `N` bytes from lower-case hex digits.
pub fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.len() != 2 * N {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

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
        ] {
            assert_eq!(parse_traceparent(bad.as_bytes()), None, "{bad}");
        }
    }
}
