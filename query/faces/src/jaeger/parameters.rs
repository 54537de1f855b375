//! Parameters of an address, as Jaeger reads them: the first of a name counts, and an empty one is not there.

use axum::http::request::Parts;
use meshlake_schema::UnixNanos;

use super::failure::Failure;
use crate::FaceState;
use crate::tenant::{NOT_A_TENANT, tenant_of};

/// Who asks, when, and what.
#[derive(Debug, Clone)]
pub struct Parameters {
    pub tenant: String,
    pub now: UnixNanos,
    pairs: Vec<(String, String)>,
}

impl Parameters {
    /// # Errors
    /// [`Failure::Asker`] when no tenant can be told.
    pub fn of(parts: &Parts, state: &FaceState) -> Result<Parameters, Failure> {
        let tenant = tenant_of(&parts.extensions).ok_or_else(|| Failure::Asker(NOT_A_TENANT.to_owned()))?;
        let query = parts.uri.query().unwrap_or_default();
        let pairs = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Ok(Parameters { tenant, now: state.engine.clock().now(), pairs })
    }

    /// The first of a name; none where it is missing or empty.
    pub fn first(&self, name: &str) -> Option<&str> {
        let value = self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        value.filter(|value| !value.is_empty())
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// As Go's `ParseBool`; a missing one is false.
    ///
    /// # Errors
    /// [`Failure::Asker`]
    pub fn boolean(&self, name: &str) -> Result<bool, Failure> {
        match self.first(name) {
            None => Ok(false),
            Some("1" | "t" | "T" | "TRUE" | "true" | "True") => Ok(true),
            Some("0" | "f" | "F" | "FALSE" | "false" | "False") => Ok(false),
            Some(other) => Err(Failure::unparsed(name, format_args!("{other:?} is neither true nor false"))),
        }
    }

    /// # Errors
    /// [`Failure::Asker`]
    pub fn integer(&self, name: &str) -> Result<Option<i64>, Failure> {
        let Some(text) = self.first(name) else { return Ok(None) };
        let number = text.parse();
        number.map(Some).map_err(|_| Failure::unparsed(name, format_args!("{text:?} is not a whole number")))
    }

    /// A time since the epoch in milliseconds or microseconds, whichever the contract says: by its size, because clients mix
    /// them up (Grafana asks for a trace in milliseconds where Jaeger reads microseconds). As seconds all times since 1973 are
    /// below 10^11 and above 10^8, and each smaller unit is a thousand times that.
    ///
    /// # Errors
    /// [`Failure::Asker`]
    pub fn time(&self, name: &str) -> Result<Option<UnixNanos>, Failure> {
        Ok(self.integer(name)?.map(moment))
    }
}

/// The time that a number means by its size.
fn moment(number: i64) -> UnixNanos {
    let nanos_per_unit = match number.unsigned_abs() {
        0..100_000_000_000 => 1_000_000_000,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    };
    UnixNanos(number.saturating_mul(nanos_per_unit))
}

#[cfg(test)]
impl Parameters {
    /// Of an address's query, at `now`.
    pub fn given(query: &str, now: i64) -> Parameters {
        let pairs = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Parameters { tenant: "default".to_owned(), now: UnixNanos(now), pairs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_by_its_size() {
        let second = 1_700_000_000;
        let want = UnixNanos(second * 1_000_000_000);
        for number in [second, second * 1_000, second * 1_000_000, second * 1_000_000_000] {
            assert_eq!(moment(number), want);
        }
        assert_eq!(moment(0), UnixNanos(0));
        assert_eq!(moment(i64::MIN), UnixNanos(i64::MIN));
    }

    #[test]
    fn the_first_of_a_name_counts_and_an_empty_one_does_not() {
        let given = Parameters::given("a=1&a=2&b=&raw=t&bad=x", 0);
        assert_eq!((given.first("a"), given.first("b"), given.first("c")), (Some("1"), None, None));
        assert_eq!((given.boolean("raw"), given.boolean("b")), (Ok(true), Ok(false)));
        assert!(given.boolean("bad").is_err() && given.integer("bad").is_err());
        assert_eq!((given.integer("a"), given.integer("c")), (Ok(Some(1)), Ok(None)));
    }
}
