//! Inflates gzip with a cap on what comes out, paying for every step before it is taken.
//!
//! The ready-made layers for HTTP and gRPC inflate first and look at the size later, or never. Here the
//! output grows in steps that the byte budget has granted, and stops one byte above the limit, whatever the
//! input claims. Limits: gzip only (RFC 1952), several members allowed as gzip(1) writes them; bytes after
//! the last member are refused.

use std::io::Read as _;

use flate2::bufread::MultiGzDecoder;

use super::refusal::Refusal;
use crate::intake::Tickets;

/// The first step of output in bytes. Small telemetry requests inflate to some tens of KiB.
const STEP_BYTES_MIN: usize = 64 * 1024;

/// The inflated bytes of `packed`; `tickets` has grown by what they occupy.
///
/// # Errors
/// [`Refusal::TooLarge`] above `limit_bytes`, [`Refusal::Overloaded`] when the budget is used up,
/// [`Refusal::Undecodable`] for a broken, cut or wrongly summed stream.
pub fn inflate(packed: &[u8], limit_bytes: usize, tickets: &mut Tickets) -> Result<Vec<u8>, Refusal> {
    let mut decoder = MultiGzDecoder::new(packed);
    let mut inflated: Vec<u8> = Vec::new();
    loop {
        // Doubling keeps copying linear. One byte above the limit tells "full" from "too large".
        let room = (limit_bytes + 1).saturating_sub(inflated.len());
        let step = inflated.len().max(STEP_BYTES_MIN).min(room);
        tickets.grow(step)?;
        inflated.reserve_exact(step);
        let mut part = decoder.by_ref().take(step as u64);
        let read = part.read_to_end(&mut inflated);
        let read = read.map_err(|error| Refusal::Undecodable(format!("gzip: {error}")))?;
        if inflated.len() > limit_bytes {
            return Err(Refusal::TooLarge { limit_bytes, when: "after inflating" });
        }
        if read < step {
            return Ok(inflated);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::intake::Budget;

    const LIMIT: usize = 1 << 20;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("writing to memory");
        encoder.finish().expect("writing to memory")
    }

    fn run(packed: &[u8]) -> Result<Vec<u8>, Refusal> {
        let mut tickets = Budget::new(16 << 20).take(packed.len()).expect("free");
        let inflated = inflate(packed, LIMIT, &mut tickets)?;
        assert!(tickets.bytes() >= inflated.len(), "every inflated byte is paid for");
        Ok(inflated)
    }

    #[test]
    fn what_was_packed_comes_back_up_to_the_limit() {
        for bytes in [0, 1, STEP_BYTES_MIN - 1, STEP_BYTES_MIN, STEP_BYTES_MIN + 1, LIMIT - 1, LIMIT] {
            assert_eq!(run(&gzip(&vec![7; bytes])).as_deref(), Ok(vec![7; bytes].as_slice()), "{bytes}");
        }
        let one_more = run(&gzip(&vec![7; LIMIT + 1]));
        assert_eq!(one_more, Err(Refusal::TooLarge { limit_bytes: LIMIT, when: "after inflating" }));
    }

    #[test]
    fn a_bomb_costs_no_more_than_the_limit() {
        // 64 MiB of zeros in about 64 KiB: the limit and the byte that tells "too large" may be taken.
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        for _ in 0..1024 {
            encoder.write_all(&[0; 1 << 16]).expect("writing to memory");
        }
        let bomb = encoder.finish().expect("writing to memory");
        let budget = Budget::new(bomb.len() + LIMIT + 1);
        let mut tickets = budget.take(bomb.len()).expect("free");
        let result = inflate(&bomb, LIMIT, &mut tickets);
        assert_eq!(result, Err(Refusal::TooLarge { limit_bytes: LIMIT, when: "after inflating" }));
    }

    #[test]
    fn members_are_joined() {
        assert_eq!(run(&[gzip(b"ab"), gzip(b"cd")].concat()).as_deref(), Ok(b"abcd".as_slice()));
    }

    #[test]
    fn broken_streams_are_undecodable() {
        let good = gzip(&[1, 2, 3].repeat(1000));
        let mut wrong_sum = good.clone();
        let crc_at = wrong_sum.len() - 8;
        wrong_sum[crc_at] ^= 1;
        let trailing = [good.as_slice(), b"x"].concat();
        for (what, bytes) in
            [("plain", b"plain".as_slice()), ("empty", b""), ("crc", &wrong_sum), ("trailing", &trailing)]
        {
            assert!(matches!(run(bytes), Err(Refusal::Undecodable(_))), "{what}");
        }
        for end in 0..good.len() {
            assert!(matches!(run(&good[..end]), Err(Refusal::Undecodable(_))), "cut at {end}");
        }
    }

    #[test]
    fn an_empty_budget_refuses_before_inflating() {
        let packed = gzip(&[0; 100]);
        let mut tickets = Budget::new(packed.len()).take(packed.len()).expect("free");
        assert!(matches!(inflate(&packed, LIMIT, &mut tickets), Err(Refusal::Overloaded(_))));
    }
}
