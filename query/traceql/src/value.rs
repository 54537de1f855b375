//! Values of attributes, intrinsics and literals: how they compare and what is computed with them.
//!
//! Numbers are whole numbers, doubles and durations (whole nanoseconds); all compare with one another, exactly: a whole
//! number is not rounded to a double first. Values of two other kinds do not compare, and neither does nil: no comparison
//! of the two holds, `!=` neither. Of a list `=` and the orders ask for any element, `!=` for none that is equal.
//!
//! Arithmetic on what is no number, a division by zero and a remainder of one give nil. What does not fit into 64 bits
//! goes on as a double. Whole numbers divide into a double, as `5 / 2` is 2.5.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use crate::lex::Quoted;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// There is none.
    Nil,
    Text(Cow<'a, str>),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    /// Nanoseconds.
    Duration(i64),
    Status(Status),
    Kind(Kind),
    /// An attribute that is an array.
    List(Vec<Value<'a>>),
}

/// Declares an enum of words of the language.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$case_doc:meta])* $case:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$case_doc])* $case),+ }

        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$case),+];

            pub fn word(self) -> &'static str {
                match self { $($name::$case => $word),+ }
            }

            pub fn of_word(word: &str) -> Option<$name> {
                match word { $($word => Some($name::$case),)+ _ => None }
            }
        }
    };
}
pub(crate) use words;

words! {
    /// OTLP `StatusCode`.
    Status { Unset = "unset", Ok = "ok", Error = "error" }
}

words! {
    /// OTLP `SpanKind`.
    Kind {
        Unspecified = "unspecified", Internal = "internal", Server = "server", Client = "client",
        Producer = "producer", Consumer = "consumer",
    }
}

impl Status {
    /// Of the number in OTLP; what is none of them is unset.
    pub fn of_code(code: i64) -> Status {
        usize::try_from(code).ok().and_then(|at| Status::ALL.get(at)).copied().unwrap_or(Status::Unset)
    }
}

impl Kind {
    /// Of the number in OTLP; what is none of them is unspecified.
    pub fn of_code(code: i64) -> Kind {
        usize::try_from(code).ok().and_then(|at| Kind::ALL.get(at)).copied().unwrap_or(Kind::Unspecified)
    }
}

words! {
    /// How two values are compared.
    Comparison {
        Equal = "=", NotEqual = "!=", Less = "<", LessOrEqual = "<=", Greater = ">", GreaterOrEqual = ">=",
    }
}

words! {
    /// What is computed of two numbers.
    Arithmetic { Add = "+", Subtract = "-", Multiply = "*", Divide = "/", Remainder = "%", Power = "^" }
}

impl Comparison {
    fn allows(self, order: Ordering) -> bool {
        match self {
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
        }
    }

    /// The same with its sides swapped.
    #[must_use]
    pub fn swapped(self) -> Comparison {
        match self {
            Comparison::Less => Comparison::Greater,
            Comparison::LessOrEqual => Comparison::GreaterOrEqual,
            Comparison::Greater => Comparison::Less,
            Comparison::GreaterOrEqual => Comparison::LessOrEqual,
            same => same,
        }
    }

    /// Whether it holds between two values.
    pub fn holds(self, left: &Value<'_>, right: &Value<'_>) -> bool {
        let of_lists = |comparison: Comparison| match (left, right) {
            (Value::List(items), right) => items.iter().any(|item| comparison.holds(item, right)),
            (left, Value::List(items)) => items.iter().any(|item| comparison.holds(left, item)),
            _ => false,
        };
        if matches!(left, Value::List(_)) || matches!(right, Value::List(_)) {
            let is_nil = matches!(left, Value::Nil) || matches!(right, Value::Nil);
            return match self {
                Comparison::NotEqual => !is_nil && !of_lists(Comparison::Equal),
                other => of_lists(other),
            };
        }
        if is_nan(left) || is_nan(right) {
            return self == Comparison::NotEqual && left.number().is_some() && right.number().is_some();
        }
        order(left, right).is_some_and(|order| self.allows(order))
    }
}

fn is_nan(value: &Value<'_>) -> bool {
    matches!(value, Value::Float(value) if value.is_nan())
}

/// How two values of one kind stand to each other.
fn order(left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
    match (left, right) {
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        (Value::Boolean(a), Value::Boolean(b)) => Some(a.cmp(b)),
        (Value::Status(a), Value::Status(b)) => Some(a.cmp(b)),
        (Value::Kind(a), Value::Kind(b)) => Some(a.cmp(b)),
        _ => match (whole(left), whole(right)) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            (Some(a), None) => order_of_mixed(a, right.number()?),
            (None, Some(b)) => order_of_mixed(b, left.number()?).map(Ordering::reverse),
            (None, None) => left.number()?.partial_cmp(&right.number()?),
        },
    }
}

fn whole(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::Integer(value) | Value::Duration(value) => Some(*value),
        _ => None,
    }
}

/// A whole number beside a double, without rounding the whole one.
fn order_of_mixed(whole: i64, double: f64) -> Option<Ordering> {
    const BEYOND: f64 = 9_223_372_036_854_775_808.0; // 2^63
    if double.is_nan() {
        return None;
    }
    if double >= BEYOND {
        return Some(Ordering::Less);
    }
    if double < -BEYOND {
        return Some(Ordering::Greater);
    }
    let floor = double.floor();
    let has_fraction = if double > floor { Ordering::Less } else { Ordering::Equal };
    Some(whole.cmp(&(floor as i64)).then(has_fraction))
}

impl<'a> Value<'a> {
    pub fn text(text: &'a str) -> Value<'a> {
        Value::Text(Cow::Borrowed(text))
    }

    /// The number as a double, durations in nanoseconds; none of what is no number.
    pub fn number(&self) -> Option<f64> {
        match self {
            Value::Integer(value) | Value::Duration(value) => Some(*value as f64),
            Value::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// The number without its sign, or with it; nil of what is no number.
    #[must_use]
    pub fn negated(&self) -> Value<'static> {
        match self {
            Value::Integer(value) => {
                value.checked_neg().map_or(Value::Float(-(*value as f64)), Value::Integer)
            }
            Value::Duration(value) => Value::Duration(value.saturating_neg()),
            Value::Float(value) => Value::Float(-value),
            _ => Value::Nil,
        }
    }

    /// Borrows nothing any more.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Value::Nil => Value::Nil,
            Value::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Value::Integer(value) => Value::Integer(value),
            Value::Float(value) => Value::Float(value),
            Value::Boolean(value) => Value::Boolean(value),
            Value::Duration(value) => Value::Duration(value),
            Value::Status(value) => Value::Status(value),
            Value::Kind(value) => Value::Kind(value),
            Value::List(items) => Value::List(items.into_iter().map(Value::into_owned).collect()),
        }
    }

    /// A total order over all values, which says nothing of the language: for what has to come in some order.
    pub fn total_order(&self, other: &Value<'_>) -> Ordering {
        let rank = |value: &Value<'_>| match value {
            Value::Nil => 0,
            Value::Boolean(_) => 1,
            Value::Integer(_) => 2,
            Value::Float(_) => 3,
            Value::Duration(_) => 4,
            Value::Status(_) => 5,
            Value::Kind(_) => 6,
            Value::Text(_) => 7,
            Value::List(_) => 8,
        };
        let by_rank = rank(self).cmp(&rank(other));
        by_rank.then_with(|| match (self, other) {
            (Value::Float(a), Value::Float(b)) => a.total_cmp(b),
            (Value::List(a), Value::List(b)) => {
                let first = a.iter().zip(b).map(|(a, b)| a.total_order(b)).find(|order| order.is_ne());
                first.unwrap_or_else(|| a.len().cmp(&b.len()))
            }
            _ => order(self, other).unwrap_or(Ordering::Equal),
        })
    }
}

/// A value that series and groups are told apart by: a number and a duration of the same size are two.
#[derive(Debug, Clone)]
pub struct Key<'a>(pub Value<'a>);

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.total_order(&other.0).is_eq()
    }
}

impl Eq for Key<'_> {}

impl Hash for Key<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(&self.0).hash(state);
        match &self.0 {
            Value::Nil => {}
            Value::Text(text) => text.hash(state),
            Value::Integer(value) | Value::Duration(value) => value.hash(state),
            Value::Float(value) => value.to_bits().hash(state),
            Value::Boolean(value) => value.hash(state),
            Value::Status(value) => value.hash(state),
            Value::Kind(value) => value.hash(state),
            Value::List(items) => items.iter().for_each(|item| item.hash_as_key(state)),
        }
    }
}

impl Value<'_> {
    fn hash_as_key<H: Hasher>(&self, state: &mut H) {
        Key(self.clone()).hash(state);
    }
}

impl Arithmetic {
    /// The result for two values.
    pub fn apply(self, left: &Value<'_>, right: &Value<'_>) -> Value<'static> {
        let (Some(a), Some(b)) = (left.number(), right.number()) else { return Value::Nil };
        let is_duration =
            self.gives_duration(matches!(left, Value::Duration(_)), matches!(right, Value::Duration(_)));
        if let (Some(a), Some(b)) = (whole(left), whole(right))
            && let Some(result) = self.of_whole(a, b)
        {
            return if is_duration { Value::Duration(result) } else { Value::Integer(result) };
        }
        match self.of_doubles(a, b) {
            None => Value::Nil,
            Some(nanos) if is_duration && nanos.abs() < i64::MAX as f64 => Value::Duration(nanos as i64),
            Some(result) => Value::Float(result),
        }
    }

    /// Whether the result is a duration, by whether the sides are.
    pub fn gives_duration(self, left: bool, right: bool) -> bool {
        match self {
            Arithmetic::Add | Arithmetic::Subtract | Arithmetic::Remainder => left || right,
            Arithmetic::Multiply => left != right,
            Arithmetic::Divide => left && !right,
            Arithmetic::Power => false,
        }
    }

    /// None if it is no whole number of 64 bits.
    fn of_whole(self, a: i64, b: i64) -> Option<i64> {
        match self {
            Arithmetic::Add => a.checked_add(b),
            Arithmetic::Subtract => a.checked_sub(b),
            Arithmetic::Multiply => a.checked_mul(b),
            Arithmetic::Remainder => a.checked_rem(b),
            Arithmetic::Power => a.checked_pow(u32::try_from(b).ok()?),
            Arithmetic::Divide => None,
        }
    }

    fn of_doubles(self, a: f64, b: f64) -> Option<f64> {
        match self {
            Arithmetic::Add => Some(a + b),
            Arithmetic::Subtract => Some(a - b),
            Arithmetic::Multiply => Some(a * b),
            Arithmetic::Divide => (b != 0.0).then(|| a / b),
            Arithmetic::Remainder => (b != 0.0).then(|| a % b),
            Arithmetic::Power => Some(a.powf(b)),
        }
    }
}

impl fmt::Display for Value<'_> {
    /// As it is written in a query; what cannot be written there (a list, no number) as people read it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Nil => f.write_str("nil"),
            Value::Text(text) => Quoted(text).fmt(f),
            Value::Integer(i64::MIN) => f.write_str("minInt"),
            Value::Integer(value) => write!(f, "{value}"),
            Value::Float(value) => write!(f, "{value:?}"),
            Value::Boolean(value) => write!(f, "{value}"),
            Value::Duration(nanos) => write_duration(f, *nanos),
            Value::Status(status) => f.write_str(status.word()),
            Value::Kind(kind) => f.write_str(kind.word()),
            Value::List(items) => {
                f.write_str("[")?;
                for (at, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if at > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
        }
    }
}

/// In the largest unit that has no fraction.
fn write_duration(f: &mut fmt::Formatter<'_>, nanos: i64) -> fmt::Result {
    const UNITS: [(&str, i64); 6] = [
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
        ("ns", 1),
    ];
    let (unit, size) =
        UNITS.into_iter().find(|(_, size)| nanos != 0 && nanos % size == 0).unwrap_or(("s", 1_000_000_000));
    write!(f, "{}{unit}", nanos / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_TO_53: i64 = 1 << 53;

    #[test]
    fn numbers_of_all_kinds_compare_exactly() {
        let check = |left: Value<'_>, right: Value<'_>, want: Ordering| {
            for comparison in Comparison::ALL {
                assert_eq!(comparison.holds(&left, &right), comparison.allows(want), "{left} {comparison:?}");
                let swapped = comparison.swapped();
                assert_eq!(swapped.holds(&right, &left), comparison.allows(want), "{right} {swapped:?}");
            }
        };
        check(Value::Integer(2), Value::Float(2.0), Ordering::Equal);
        check(Value::Integer(2), Value::Float(2.5), Ordering::Less);
        check(Value::Integer(-2), Value::Float(-2.5), Ordering::Greater);
        check(Value::Integer(TWO_TO_53 + 1), Value::Float(TWO_TO_53 as f64), Ordering::Greater);
        check(Value::Integer(i64::MAX), Value::Float(i64::MAX as f64), Ordering::Less);
        check(Value::Integer(i64::MIN), Value::Float(i64::MIN as f64), Ordering::Equal);
        check(Value::Integer(0), Value::Float(f64::INFINITY), Ordering::Less);
        check(Value::Duration(1_000), Value::Integer(1_000), Ordering::Equal);
        check(Value::Duration(1), Value::Float(0.5), Ordering::Greater);
        check(Value::text("10"), Value::text("9"), Ordering::Less);
    }

    #[test]
    fn other_kinds_and_nil_never_compare() {
        let values = [Value::Nil, Value::text("1"), Value::Integer(1), Value::Boolean(true)];
        for (at, left) in values.iter().enumerate() {
            for (other, right) in values.iter().enumerate() {
                let holds = Comparison::ALL.iter().filter(|comparison| comparison.holds(left, right));
                // Equal values are equal, at most and at least one another.
                assert_eq!(holds.count(), if at == other && at > 0 { 3 } else { 0 }, "{left} {right}");
            }
        }
        let not_a_number = Value::Float(f64::NAN);
        assert!(Comparison::NotEqual.holds(&not_a_number, &Value::Integer(1)));
        assert!(!Comparison::NotEqual.holds(&not_a_number, &Value::text("1")));
        assert!(!Comparison::Equal.holds(&not_a_number, &not_a_number));
    }

    /// Tempo's documentation, "Find traces with arrays".
    #[test]
    fn of_a_list_any_element_is_equal_or_none() {
        let list = Value::List(vec![Value::text("foo"), Value::text("bar")]);
        assert!(Comparison::Equal.holds(&list, &Value::text("bar")));
        assert!(!Comparison::NotEqual.holds(&list, &Value::text("bar")));
        assert!(Comparison::NotEqual.holds(&list, &Value::text("baz")));
        assert!(!Comparison::NotEqual.holds(&list, &Value::Nil));
        assert!(Comparison::Greater.holds(&list, &Value::text("coo")));
        assert!(Comparison::Less.holds(&Value::text("c"), &list));
    }

    #[test]
    fn arithmetic_keeps_whole_numbers_and_durations() {
        let check = |a: Value<'_>, operator: Arithmetic, b: Value<'_>, want: Value<'_>| {
            assert_eq!(operator.apply(&a, &b), want, "{a} {} {b}", operator.word());
        };
        let (int, float, nanos) = (Value::Integer, Value::Float, Value::Duration);
        check(int(7), Arithmetic::Add, int(2), int(9));
        check(int(7), Arithmetic::Divide, int(2), float(3.5));
        check(int(7), Arithmetic::Remainder, int(2), int(1));
        check(int(2), Arithmetic::Power, int(10), int(1024));
        check(int(2), Arithmetic::Power, int(-1), float(0.5));
        check(int(i64::MAX), Arithmetic::Add, int(1), float(9_223_372_036_854_775_808.0));
        check(int(1), Arithmetic::Divide, int(0), Value::Nil);
        check(int(1), Arithmetic::Remainder, int(0), Value::Nil);
        check(nanos(10), Arithmetic::Subtract, nanos(4), nanos(6));
        check(nanos(10), Arithmetic::Multiply, int(3), nanos(30));
        check(nanos(10), Arithmetic::Multiply, float(0.5), nanos(5));
        check(nanos(10), Arithmetic::Divide, nanos(4), float(2.5));
        check(nanos(10), Arithmetic::Divide, int(4), nanos(2));
        check(Value::text("1"), Arithmetic::Add, int(1), Value::Nil);
        check(Value::Nil, Arithmetic::Add, int(1), Value::Nil);
        assert_eq!(int(i64::MIN).negated(), float(9_223_372_036_854_775_808.0));
    }
}
