//! Inflates gzip, zstd and blocks of Snappy with a cap on what comes out, paying for every step before it is taken.
//!
//! The ready-made layers for HTTP and gRPC inflate first and look at the size later, or never. Here the
//! output grows in steps that the byte budget has granted, and stops one byte above the limit, whatever the
//! input claims; what zstd frames claim above the limit is taken at its word, without inflating. Limits: gzip
//! (RFC 1952), several members allowed as gzip(1) writes them; zstd (RFC 8878), several frames allowed, no
//! dictionaries, windows up to [`ZSTD_WINDOW_LOG_MAX`]; bytes after the last member or frame are refused.

use std::io::Read;

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use zstd::zstd_safe::{find_frame_compressed_size, get_frame_content_size};

use super::media::Encoding;
use super::refusal::Refusal;
use crate::intake::Tickets;

/// The first step of output in bytes. Small telemetry exports inflate to some tens of KiB.
const STEP_BYTES_MIN: usize = 64 * 1024;

/// The largest window of a zstd frame, as a power of two: 8 MiB. The decoder allocates what a frame asks for,
/// up to 2 GiB; 8 MiB is what RFC 9659 allows for HTTP, and what the highest levels of zstd(1) stay below
/// unless asked.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// The most bytes that come of one: a copy of 64 bytes takes three. Source: google/snappy, format_description.txt, 2.2.2.
const SNAPPY_RATIO_MAX: usize = 64_usize.div_ceil(3);

/// The bytes that `packed` holds in `encoding`; `tickets` has grown by what they occupy, unless they are `packed`
/// itself.
///
/// # Errors
/// [`Refusal::TooLarge`] above `limit_bytes`, [`Refusal::Overloaded`] when the budget is used up,
/// [`Refusal::Undecodable`] for a broken, cut or wrongly summed stream.
pub fn inflate(
    packed: Bytes,
    encoding: Encoding,
    limit_bytes: usize,
    tickets: &mut Tickets,
) -> Result<Bytes, Refusal> {
    let inflated = match encoding {
        Encoding::Identity => return Ok(packed),
        Encoding::Gzip => read_within(&mut MultiGzDecoder::new(&packed[..]), "gzip", limit_bytes, tickets),
        // To the decoder nothing is a stream of no frames, and a sender that says zstd means at least one.
        Encoding::Zstd if packed.is_empty() => return Err(Refusal::Undecodable("zstd: no frame".to_owned())),
        Encoding::Zstd => {
            let declared = declared_bytes(&packed);
            if declared > limit_bytes as u64 {
                return Err(Refusal::TooLarge { limit_bytes, when: "after inflating" });
            }
            let broken = |error| Refusal::Undecodable(format!("zstd: {error}"));
            let mut decoder = zstd::stream::read::Decoder::with_buffer(&packed[..]).map_err(broken)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(broken)?;
            let inflated = read_within(&mut decoder, "zstd", limit_bytes, tickets);
            // The decoder does not notice when the last block is empty.
            if inflated.as_ref().is_ok_and(|inflated| (inflated.len() as u64) < declared) {
                return Err(Refusal::Undecodable(format!("zstd: less than the {declared} bytes declared")));
            }
            inflated
        }
        Encoding::Snappy => unsnap(&packed, limit_bytes, tickets),
    };
    inflated.map(Bytes::from)
}

/// A block says at its beginning how many bytes it holds. That is held against the limit, and against what so many bytes can
/// hold, before there is memory for them.
fn unsnap(packed: &[u8], limit_bytes: usize, tickets: &mut Tickets) -> Result<Vec<u8>, Refusal> {
    let broken = |error: snap::Error| Refusal::Undecodable(format!("snappy: {error}"));
    let declared = snap::raw::decompress_len(packed).map_err(broken)?;
    if declared > packed.len().saturating_mul(SNAPPY_RATIO_MAX) {
        let why = format!("snappy: {} bytes cannot hold the {declared} that they claim", packed.len());
        return Err(Refusal::Undecodable(why));
    }
    if declared > limit_bytes {
        return Err(Refusal::TooLarge { limit_bytes, when: "after inflating" });
    }
    tickets.grow(declared)?;
    snap::raw::Decoder::new().decompress_vec(packed).map_err(broken)
}

/// How many bytes the frames of a zstd stream say that they hold, those that say it. Frames are stepped over by the
/// sizes of their blocks; behind one that is broken the decoder does not get.
fn declared_bytes(mut packed: &[u8]) -> u64 {
    let mut declared = 0u64;
    while let Ok(content_bytes) = get_frame_content_size(packed) {
        declared = declared.saturating_add(content_bytes.unwrap_or(0));
        let Ok(frame_bytes) = find_frame_compressed_size(packed) else { break };
        packed = packed.get(frame_bytes..).unwrap_or_default();
    }
    declared
}

fn read_within(
    decoder: &mut impl Read,
    name: &str,
    limit_bytes: usize,
    tickets: &mut Tickets,
) -> Result<Vec<u8>, Refusal> {
    let mut inflated: Vec<u8> = Vec::new();
    loop {
        // Doubling keeps copying linear. One byte above the limit tells "full" from "too large".
        let room = (limit_bytes + 1).saturating_sub(inflated.len());
        let step = inflated.len().max(STEP_BYTES_MIN).min(room);
        tickets.grow(step)?;
        inflated.reserve_exact(step);
        let read = decoder.by_ref().take(step as u64).read_to_end(&mut inflated);
        let read = read.map_err(|error| Refusal::Undecodable(format!("{name}: {error}")))?;
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

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::bulk::compress(bytes, 1).expect("compressing in memory")
    }

    fn run(packed: &[u8], encoding: Encoding) -> Result<Vec<u8>, Refusal> {
        let mut tickets = Budget::new(16 << 20).take(packed.len()).expect("free");
        let inflated = inflate(Bytes::copy_from_slice(packed), encoding, LIMIT, &mut tickets)?;
        assert!(tickets.bytes() >= inflated.len(), "every inflated byte is paid for");
        Ok(inflated.into())
    }

    #[test]
    fn what_was_packed_comes_back_up_to_the_limit() {
        for encoding in [Encoding::Gzip, Encoding::Zstd] {
            let pack = |bytes: &[u8]| if encoding == Encoding::Gzip { gzip(bytes) } else { zstd(bytes) };
            for bytes in [0, 1, STEP_BYTES_MIN - 1, STEP_BYTES_MIN, STEP_BYTES_MIN + 1, LIMIT - 1, LIMIT] {
                let inflated = run(&pack(&vec![7; bytes]), encoding);
                assert_eq!(inflated.as_deref(), Ok(vec![7; bytes].as_slice()), "{encoding:?} {bytes}");
            }
            let one_more = run(&pack(&vec![7; LIMIT + 1]), encoding);
            assert_eq!(one_more, Err(Refusal::TooLarge { limit_bytes: LIMIT, when: "after inflating" }));
        }
    }

    #[test]
    fn a_bomb_costs_no_more_than_the_limit() {
        // 64 MiB of zeros in about 64 KiB: the limit and the byte that tells "too large" may be taken.
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        for _ in 0..1024 {
            encoder.write_all(&[0; 1 << 16]).expect("writing to memory");
        }
        let gzip_bomb = encoder.finish().expect("writing to memory");
        // Written as a stream, so that its frame does not say how much comes.
        let zstd_bomb = zstd::stream::encode_all(std::io::repeat(0).take(64 << 20), 1).expect("in memory");
        assert_eq!(declared_bytes(&zstd_bomb), 0);
        for (bomb, encoding) in [(gzip_bomb, Encoding::Gzip), (zstd_bomb, Encoding::Zstd)] {
            let budget = Budget::new(bomb.len() + LIMIT + 1);
            let mut tickets = budget.take(bomb.len()).expect("free");
            let result = inflate(bomb.into(), encoding, LIMIT, &mut tickets);
            assert_eq!(result, Err(Refusal::TooLarge { limit_bytes: LIMIT, when: "after inflating" }));
        }
    }

    fn snappy(bytes: &[u8]) -> Vec<u8> {
        snap::raw::Encoder::new().compress_vec(bytes).expect("compressing in memory")
    }

    #[test]
    fn a_block_of_snappy_comes_back_up_to_the_limit() {
        for bytes in [0, 1, LIMIT - 1, LIMIT] {
            let inflated = run(&snappy(&vec![7; bytes]), Encoding::Snappy);
            assert_eq!(inflated.as_deref(), Ok(vec![7; bytes].as_slice()), "{bytes}");
        }
        let one_more = run(&snappy(&vec![7; LIMIT + 1]), Encoding::Snappy);
        assert_eq!(one_more, Err(Refusal::TooLarge { limit_bytes: LIMIT, when: "after inflating" }));
        let whole = snappy(b"a text of some length, a text of some length");
        for end in 1..whole.len() {
            let cut = run(&whole[..end], Encoding::Snappy);
            assert!(matches!(cut, Err(Refusal::Undecodable(_))), "cut at {end}: {cut:?}");
        }
    }

    /// Lengths as varints: 2^32 - 1, 2^35 - 1, one that does not end, 2^20 of five bytes. The budget has no byte for any
    /// of them. A literal of one byte and a copy of 64 are 65 bytes in six, which is taken.
    #[test]
    fn a_block_that_claims_more_than_it_can_hold_is_refused_before_there_is_memory() {
        let claims: [&[u8]; 4] = [
            b"\xff\xff\xff\xff\x0f",
            b"\xff\xff\xff\xff\x7f",
            b"\xff\xff\xff\xff\xff\xff",
            b"\x80\x80\x40\x00a",
        ];
        for claim in claims {
            let budget = Budget::new(claim.len());
            let mut tickets = budget.take(claim.len()).expect("free");
            let refused = inflate(Bytes::from_static(claim), Encoding::Snappy, 64 << 20, &mut tickets);
            assert!(matches!(refused, Err(Refusal::Undecodable(_))), "{claim:?}: {refused:?}");
        }
        let densest = [b"\x41\x00a".as_slice(), b"\xfe\x01\x00"].concat();
        assert_eq!(run(&densest, Encoding::Snappy).as_deref(), Ok([b'a'; 65].as_slice()));
    }

    #[test]
    fn members_are_joined() {
        let two = run(&[gzip(b"ab"), gzip(b"cd")].concat(), Encoding::Gzip);
        assert_eq!(two.as_deref(), Ok(b"abcd".as_slice()));
        // RFC 8878, 3.1.2: magic 0x184D2A50 to 5F, length, bytes that a decoder skips.
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9];
        let two = run(&[&zstd(b"ab"), skippable.as_slice(), &zstd(b"cd")].concat(), Encoding::Zstd);
        assert_eq!(two.as_deref(), Ok(b"abcd".as_slice()));
    }

    /// RFC 8878, 3.1.1.1: magic, then a frame header descriptor of 0 (no single segment, no content size, no
    /// checksum, no dictionary id), then a window descriptor whose upper five bits are the exponent above 10;
    /// then a last, empty, raw block.
    #[test]
    fn a_window_above_8_mib_is_refused_and_not_allocated() {
        let frame = |exponent: u8| [0x28, 0xb5, 0x2f, 0xfd, 0, (exponent - 10) << 3, 1, 0, 0];
        assert_eq!(run(&frame(23), Encoding::Zstd).as_deref(), Ok(b"".as_slice()));
        for exponent in [24, 31, 41] {
            let refused = run(&frame(exponent), Encoding::Zstd);
            assert!(matches!(refused, Err(Refusal::Undecodable(_))), "2^{exponent}: {refused:?}");
        }
    }

    /// A frame of one segment with a content size of eight bytes (descriptor 0xe0), and one raw block.
    fn frame_that_claims(content_bytes: u64, content: &[u8]) -> Vec<u8> {
        let block = u32::try_from(content.len()).expect("small") << 3 | 1;
        let (size, block) = (content_bytes.to_le_bytes(), block.to_le_bytes());
        [&[0x28, 0xb5, 0x2f, 0xfd, 0xe0], size.as_slice(), &block[..3], content].concat()
    }

    #[test]
    fn a_claimed_size_is_taken_at_its_word_and_held_to_it() {
        let too_large = Err(Refusal::TooLarge { limit_bytes: LIMIT, when: "after inflating" });
        let limit = LIMIT as u64;
        assert_eq!(run(&frame_that_claims(3, b"abc"), Encoding::Zstd).as_deref(), Ok(b"abc".as_slice()));
        for claim in [limit + 1, 1 << 62, u64::MAX - 2] {
            assert_eq!(run(&frame_that_claims(claim, b"abc"), Encoding::Zstd), too_large, "{claim}");
            let cut = &frame_that_claims(claim, b"abc")[..14];
            assert_eq!(run(cut, Encoding::Zstd), too_large, "{claim}, of which nothing came");
        }
        // Together they are one byte more.
        let two = [zstd(&vec![7; LIMIT]), frame_that_claims(1, b"a")].concat();
        assert_eq!(run(&two, Encoding::Zstd), too_large);
        for claim in [0, 2, 4, limit] {
            let wrong = run(&frame_that_claims(claim, b"abc"), Encoding::Zstd);
            assert!(matches!(wrong, Err(Refusal::Undecodable(_))), "{claim}: {wrong:?}");
            // The same with an empty raw block behind it, which is the last.
            let mut two_blocks = frame_that_claims(claim, b"abc");
            two_blocks[13] &= !1;
            two_blocks.extend_from_slice(&[1, 0, 0]);
            let wrong = run(&two_blocks, Encoding::Zstd);
            assert!(matches!(wrong, Err(Refusal::Undecodable(_))), "{claim}: {wrong:?}");
        }
    }

    #[test]
    fn broken_streams_are_undecodable() {
        let bytes = [1, 2, 3].repeat(1000);
        let mut summed = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("an encoder");
        summed.include_checksum(true).expect("a parameter");
        summed.write_all(&bytes).expect("writing to memory");
        // The sums: CRC32 and length of a gzip member end it, the checksum of a zstd frame.
        let good = [
            (Encoding::Gzip, gzip(&bytes), 8),
            (Encoding::Zstd, summed.finish().expect("writing to memory"), 4),
        ];
        for (encoding, good, sum_bytes) in good {
            let mut wrong_sum = good.clone();
            let sum_at = wrong_sum.len() - sum_bytes;
            wrong_sum[sum_at] ^= 1;
            let trailing = [good.as_slice(), b"x"].concat();
            for (what, bytes) in
                [("plain", b"plain".as_slice()), ("empty", b""), ("sum", &wrong_sum), ("trailing", &trailing)]
            {
                assert!(matches!(run(bytes, encoding), Err(Refusal::Undecodable(_))), "{encoding:?}: {what}");
            }
            for end in 0..good.len() {
                let cut = run(&good[..end], encoding);
                assert!(matches!(cut, Err(Refusal::Undecodable(_))), "{encoding:?} cut at {end}");
            }
        }
    }

    #[test]
    fn an_empty_budget_refuses_before_inflating() {
        for (packed, encoding) in [(gzip(&[0; 100]), Encoding::Gzip), (zstd(&[0; 100]), Encoding::Zstd)] {
            let budget = Budget::new(LIMIT);
            let _others = budget.take(LIMIT - packed.len()).expect("free");
            let mut tickets = budget.take(packed.len()).expect("free");
            let refused = inflate(packed.into(), encoding, LIMIT, &mut tickets);
            assert!(matches!(refused, Err(Refusal::Overloaded(_))));
        }
    }
}
