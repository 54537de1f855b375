//! Compares texts that are mostly short.
//!
//! Calling the C library for it, as `==` of slices does, takes longer than comparing some ten bytes, and a row of `requests`
//! is compared forty times, column by column, with what was pushed last.

/// Whether two texts are one.
#[inline]
pub(super) fn is_same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match a.len() {
        0..4 => a.iter().eq(b),
        4..8 => have_same_ends::<4>(a, b),
        8..16 => have_same_ends::<8>(a, b),
        16..32 => have_same_ends::<16>(a, b),
        _ => a == b,
    }
}

/// Of texts of `N` to twice as many bytes, all of them are at the ends.
#[inline]
fn have_same_ends<const N: usize>(a: &[u8], b: &[u8]) -> bool {
    a.first_chunk::<N>() == b.first_chunk() && a.last_chunk::<N>() == b.last_chunk()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_any_length_are_told_apart_by_any_byte() {
        for length in 0..=40 {
            let text: Vec<u8> = (0..length).collect();
            assert!(is_same(&text, &text.clone()), "{length}");
            assert!(!is_same(&text, &[text.as_slice(), b"x"].concat()), "{length}");
            for at in 0..text.len() {
                let mut other = text.clone();
                other[at] ^= 0x80;
                assert!(!is_same(&text, &other), "{length}, {at}");
            }
        }
    }
}
