//! Functions of single values and of times.

use crate::calendar::Date;

/// The function of a float by that name.
pub(crate) fn of_float(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "acos" => f64::acos,
        "acosh" => f64::acosh,
        "asin" => f64::asin,
        "asinh" => f64::asinh,
        "atan" => f64::atan,
        "atanh" => f64::atanh,
        "ceil" => f64::ceil,
        "cos" => f64::cos,
        "cosh" => f64::cosh,
        "deg" => |value| value * (180.0 / std::f64::consts::PI),
        "exp" => f64::exp,
        "floor" => f64::floor,
        "ln" => f64::ln,
        "log10" => f64::log10,
        "log2" => f64::log2,
        "rad" => |value| value * (std::f64::consts::PI / 180.0),
        "sgn" => |value| if value == 0.0 || value.is_nan() { value } else { value.signum() },
        "sin" => f64::sin,
        "sinh" => f64::sinh,
        "sqrt" => f64::sqrt,
        "tan" => f64::tan,
        "tanh" => f64::tanh,
        _ => return None,
    })
}

/// The part of a date by that name.
pub(crate) fn of_date(name: &str) -> Option<fn(Date) -> i64> {
    Some(match name {
        "day_of_month" => |date| date.day,
        "day_of_week" => |date| date.weekday,
        "day_of_year" => |date| date.year_day,
        "days_in_month" => |date| date.days_in_month,
        "hour" => |date| date.hour,
        "minute" => |date| date.minute,
        "month" => |date| date.month,
        "year" => |date| date.year,
        _ => return None,
    })
}

/// The nearest multiple, a tie going up. By the inverse, which costs fewer digits for tenths and hundredths.
pub(crate) fn rounded(value: f64, to_nearest: f64) -> f64 {
    let inverse = 1.0 / to_nearest;
    (value * inverse + 0.5).floor() / inverse
}

/// Between two bounds. What is not a number is neither above nor below any, but for infinity, as in [`larger`].
pub(crate) fn clamped(value: f64, least: f64, most: f64) -> f64 {
    larger(least, smaller(most, value))
}

/// The larger of two; NaN if any of them is, infinity before that.
pub(crate) fn larger(a: f64, b: f64) -> f64 {
    match (a, b) {
        (f64::INFINITY, _) | (_, f64::INFINITY) => f64::INFINITY,
        (a, b) if a.is_nan() || b.is_nan() => f64::NAN,
        (a, b) => a.max(b),
    }
}

pub(crate) fn smaller(a: f64, b: f64) -> f64 {
    -larger(-a, -b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_round_up_and_bounds_hold() {
        assert_eq!([rounded(2.5, 1.0), rounded(-2.5, 1.0), rounded(0.123, 0.01)], [3.0, -2.0, 0.12]);
        assert_eq!([clamped(5.0, 1.0, 3.0), clamped(0.0, 1.0, 3.0)], [3.0, 1.0]);
        assert!(clamped(1.0, f64::NAN, 3.0).is_nan() && clamped(f64::NAN, 1.0, 3.0).is_nan());
        let infinite = f64::INFINITY;
        assert_eq!(clamped(f64::NAN, infinite, infinite), infinite, "Go's math.Max has infinity first");
        assert_eq!(clamped(f64::NAN, -infinite, -infinite), -infinite);
        assert_eq!([larger(f64::NAN, f64::INFINITY), smaller(1.0, -2.0)], [f64::INFINITY, -2.0]);
    }
}
