//! zstd frames, without compressing: blocks as they are, or one byte many times.
//!
//! The format has both, so no library is needed to write what a decoder must read; a body that a real encoder
//! wrote is among the data files. Source: RFC 8878, 3.1.1.

/// A block's content is at most 128 KiB (RFC 8878, 3.1.1.2.4).
const BLOCK_BYTES_MAX: usize = 128 << 10;

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// One segment whose content size follows in eight bytes; no checksum, no dictionary.
const SIZED: u8 = 0b1110_0000;

/// No content size but a window of 128 KiB (exponent 7 above 1 KiB); no checksum, no dictionary.
const WINDOWED: [u8; 2] = [0, 7 << 3];

const RAW: u32 = 0;
const RUN_LENGTH: u32 = 1;

/// A frame whose content is `bytes`.
pub fn frame(bytes: &[u8]) -> Vec<u8> {
    let size = (bytes.len() as u64).to_le_bytes();
    let mut out = [MAGIC.as_slice(), &[SIZED], &size].concat();
    let mut blocks = bytes.chunks(BLOCK_BYTES_MAX).peekable();
    if blocks.peek().is_none() {
        push_block_header(&mut out, true, RAW, 0);
    }
    while let Some(block) = blocks.next() {
        push_block_header(&mut out, blocks.peek().is_none(), RAW, block.len());
        out.extend_from_slice(block);
    }
    out
}

/// A frame whose content is so many zeros.
pub fn zeros(bytes: usize) -> Vec<u8> {
    let mut out = [MAGIC.as_slice(), &WINDOWED].concat();
    let mut left = bytes;
    loop {
        let block = left.min(BLOCK_BYTES_MAX);
        left -= block;
        push_block_header(&mut out, left == 0, RUN_LENGTH, block);
        out.push(0);
        if left == 0 {
            return out;
        }
    }
}

/// Three bytes, little-endian: last block, type, size.
fn push_block_header(out: &mut Vec<u8>, is_last: bool, block_type: u32, bytes: usize) {
    let size = u32::try_from(bytes).expect("a block is small");
    let header = size << 3 | block_type << 1 | u32::from(is_last);
    out.extend_from_slice(&header.to_le_bytes()[..3]);
}
