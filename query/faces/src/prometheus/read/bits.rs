//! Numbers of any number of bits, one after the other, the highest bit first.

/// Bytes that are filled bit by bit; what is left of the last one is zero.
#[derive(Debug, Default)]
pub struct Bits {
    bytes: Vec<u8>,
    /// Bits of the last byte that are not used yet.
    free: u32,
}

impl Bits {
    /// Goes on after whole bytes.
    pub fn after(bytes: Vec<u8>) -> Self {
        Bits { bytes, free: 0 }
    }

    /// Writes the lowest `count` bits of `value`, at most 64.
    pub fn push(&mut self, value: u64, count: u32) {
        let mut left = count;
        while left > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = u8::BITS;
            }
            let taken = left.min(self.free);
            let part = (value >> (left - taken)) & ((1 << taken) - 1);
            if let Some(last) = self.bytes.last_mut() {
                // Lossless: at most eight bits, of which the upper ones are shifted to where they belong.
                *last |= (part << (self.free - taken)) as u8;
            }
            self.free -= taken;
            left -= taken;
        }
    }

    pub fn push_float(&mut self, value: f64) {
        self.push(value.to_bits(), u64::BITS);
    }

    /// Seven bits a byte, the lowest first, as protobuf and Go have it.
    pub fn push_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push(value & 0x7f | 0x80, 8);
            value >>= 7;
        }
        self.push(value, 8);
    }

    /// The same of a signed number, zigzag.
    pub fn push_signed_varint(&mut self, value: i64) {
        self.push_varint((value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned());
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Whether `count` bits hold a number as chunks have it: the highest value is one more than in two's complement.
pub fn fits(value: i64, count: u32) -> bool {
    let half = 1_i64 << (count - 1);
    (-half + 1..=half).contains(&value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_follow_one_another_across_bytes() {
        let mut bits = Bits::after(vec![7]);
        bits.push(0b101, 3);
        bits.push(0b1_1111_0000, 9);
        bits.push(1, 1);
        assert_eq!(bits.into_bytes(), [7, 0b1011_1111, 0b0000_1000]);
        let mut bits = Bits::default();
        bits.push(u64::MAX, 64);
        bits.push(u64::MAX, 1);
        assert_eq!(bits.into_bytes(), [255, 255, 255, 255, 255, 255, 255, 255, 128]);
    }

    /// Examples of protobuf's encoding guide.
    #[test]
    fn varints_have_seven_bits_a_byte() {
        let bytes = |push: &dyn Fn(&mut Bits)| {
            let mut bits = Bits::default();
            push(&mut bits);
            bits.into_bytes()
        };
        assert_eq!(bytes(&|bits| bits.push_varint(150)), [0x96, 0x01]);
        assert_eq!(bytes(&|bits| bits.push_varint(0)), [0]);
        assert_eq!(bytes(&|bits| bits.push_signed_varint(-2)), [3]);
        assert_eq!(bytes(&|bits| bits.push_signed_varint(2)), [4]);
        assert_eq!(bytes(&|bits| bits.push_signed_varint(i64::MIN)).len(), 10);
    }

    #[test]
    fn the_highest_value_of_a_width_is_one_more_than_usual() {
        assert!(fits(4, 3) && fits(-3, 3));
        assert!(!fits(5, 3) && !fits(-4, 3));
    }
}
