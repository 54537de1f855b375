//! Floating-point numbers as PostgreSQL writes them: the fewest digits that read back as the same number.
//!
//! Source: PostgreSQL 16, `src/common/d2s.c` and `f2s.c`, "fixed-point output": an exponent is written below 10^-4 and
//! from 10^15 on, of a `real` from 10^6 on, with a sign and at least two digits.

use std::fmt::{LowerExp, Write as _};

use bytes::{BufMut as _, BytesMut};

const SMALLEST_PLAIN: i32 = -4;
const FLOAT8_PLAIN: i32 = 15;
const FLOAT4_PLAIN: i32 = 6;

pub fn push_float8(out: &mut BytesMut, value: f64) {
    match special(value) {
        Some(name) => out.put_slice(name),
        None => push_finite(out, &value, FLOAT8_PLAIN),
    }
}

pub fn push_float4(out: &mut BytesMut, value: f32) {
    match special(value.into()) {
        Some(name) => out.put_slice(name),
        None => push_finite(out, &value, FLOAT4_PLAIN),
    }
}

fn special(value: f64) -> Option<&'static [u8]> {
    match value {
        _ if value.is_nan() => Some(b"NaN"),
        f64::INFINITY => Some(b"Infinity"),
        f64::NEG_INFINITY => Some(b"-Infinity"),
        _ => None,
    }
}

fn push_finite(out: &mut BytesMut, value: &dyn LowerExp, plain_below: i32) {
    // Rust's are the fewest digits too, as d.ddde-n.
    let shortest = format!("{value:e}");
    let (mantissa, exponent) = shortest.split_once('e').expect("an exponent is always written");
    let exponent: i32 = exponent.parse().expect("the exponent of a float");
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |digits| ("-", digits));
    out.put_slice(sign.as_bytes());
    if !(SMALLEST_PLAIN..plain_below).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(out, "{mantissa}e{sign}{:02}", exponent.abs()).expect("writing to a buffer cannot fail");
        return;
    }
    let digits: Vec<u8> = mantissa.bytes().filter(|byte| *byte != b'.').collect();
    match usize::try_from(exponent) {
        // 0.00ddd
        Err(_) => {
            out.put_slice(b"0.");
            out.put_bytes(b'0', exponent.unsigned_abs() as usize - 1);
            out.put_slice(&digits);
        }
        Ok(exponent) if digits.len() <= exponent + 1 => {
            out.put_slice(&digits);
            out.put_bytes(b'0', exponent + 1 - digits.len());
        }
        Ok(exponent) => {
            out.put_slice(&digits[..=exponent]);
            out.put_u8(b'.');
            out.put_slice(&digits[exponent + 1..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `SELECT value::float8` shows them on a PostgreSQL 16.
    #[test]
    fn float8_is_written_as_postgresql_writes_it() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (100_000.0, "100000"),
            (123_456_789_012_345.0, "123456789012345"),
            (1e15, "1e+15"),
            (1.5e300, "1.5e+300"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, want) in cases {
            let mut out = BytesMut::new();
            push_float8(&mut out, value);
            assert_eq!(str::from_utf8(&out), Ok(want));
        }
    }

    #[test]
    fn float4_has_its_own_digits_and_bounds() {
        for (value, want) in [(0.1_f32, "0.1"), (123_456.0, "123456"), (1e6, "1e+06"), (1e-5, "1e-05")] {
            let mut out = BytesMut::new();
            push_float4(&mut out, value);
            assert_eq!(str::from_utf8(&out), Ok(want));
        }
    }
}
