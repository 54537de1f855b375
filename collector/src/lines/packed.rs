//! What a file is packed with, by its first bytes, and a reader of what it holds.
//!
//! Names say little: `access.log.2` may be packed and `access.log.gz` may not. Inflating goes step by step as it is read, so
//! that what a small file inflates to is bounded by whoever reads it, and never in memory as a whole.
//!
//! Limits: gzip (RFC 1952, several members) and zstd (RFC 8878, several frames, windows up to 8 MiB unless the file
//! was packed for more: `zstd --long` is refused).

use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

/// How a file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    Plain,
    Gzip,
    Zstd,
}

/// What `reader` gives, inflated.
///
/// # Errors
/// The decoder cannot be made; a broken file is an error of reading it.
pub fn inflating<'r>(
    reader: impl Read + Send + 'r,
    packing: Packing,
) -> io::Result<Box<dyn Read + Send + 'r>> {
    Ok(match packing {
        Packing::Plain => Box::new(reader),
        Packing::Gzip => Box::new(MultiGzDecoder::new(BufReader::new(reader))),
        Packing::Zstd => Box::new(zstd::stream::read::Decoder::new(reader)?),
    })
}

/// How a file is packed that begins with `head`.
///
/// Source: RFC 1952, 2.3.1 (the method is always 8); RFC 8878, 3.1.1.
pub fn packing_of(head: &[u8]) -> Packing {
    if head.starts_with(&[0x1f, 0x8b, 8]) {
        Packing::Gzip
    } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Packing::Zstd
    } else {
        Packing::Plain
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn inflated(packed: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        inflating(packed, packing_of(packed))?.read_to_end(&mut out)?;
        Ok(out)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("writing to memory");
        encoder.finish().expect("writing to memory")
    }

    #[test]
    fn what_was_packed_comes_back() {
        let text = b"a line\n".repeat(1000);
        let zstd = zstd::bulk::compress(&text, 1).expect("compressing in memory");
        for packed in [text.clone(), gzip(&text), zstd] {
            assert_eq!(inflated(&packed).expect("whole"), text);
        }
        let members = [gzip(b"a\n"), gzip(b"b\n")].concat();
        assert_eq!(inflated(&members).expect("whole"), b"a\nb\n");
    }

    #[test]
    fn a_file_that_is_cut_is_an_error_and_one_that_looks_packed_is_not_plain() {
        let packed = gzip(&b"a line\n".repeat(1000));
        assert!(inflated(&packed[..packed.len() - 9]).is_err());
        assert!(inflated(b"\x28\xb5\x2f\xfdnot").is_err());
        assert_eq!(inflated(b"\x1f\x8bnot gzip").expect("plain"), b"\x1f\x8bnot gzip");
    }
}
