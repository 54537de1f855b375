//! What people narrow requests by, as a filter of scans and, where that cannot say it, as a look at each row.

use std::ops::Bound;

use meshlake_schema::filter::{Place, Test, Value};
use meshlake_schema::response_flags::{FLAGS, ResponseFlags};
use meshlake_schema::{Filter, Outcome};
use thiserror::Error;

/// The bands of bars: what became of a request.
pub const OUTCOMES: [Outcome; 4] = [Outcome::Ok, Outcome::ClientError, Outcome::Aborted, Outcome::Error];

/// What requests can be told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// `namespace/name` of a side: its service's name, or its workload's where it has none.
    Client,
    Server,
    Method,
    /// The authority that was asked for.
    Host,
    Route,
    /// A code of HTTP; also `5xx` for all that begin so.
    Status,
    /// A code of gRPC.
    Grpc,
    /// One response flag of Envoy's; several with commas between are all to be there.
    Flag,
    Outcome,
    Protocol,
    /// Whose proxy told it: the client's, the server's or a gateway's.
    Observer,
}

impl Dimension {
    pub const ALL: [Dimension; 11] = [
        Dimension::Client,
        Dimension::Server,
        Dimension::Outcome,
        Dimension::Status,
        Dimension::Grpc,
        Dimension::Flag,
        Dimension::Method,
        Dimension::Route,
        Dimension::Host,
        Dimension::Protocol,
        Dimension::Observer,
    ];

    /// As it stands in addresses.
    pub const fn name(self) -> &'static str {
        match self {
            Dimension::Client => "client",
            Dimension::Server => "server",
            Dimension::Method => "method",
            Dimension::Host => "host",
            Dimension::Route => "route",
            Dimension::Status => "status",
            Dimension::Grpc => "grpc",
            Dimension::Flag => "flag",
            Dimension::Outcome => "outcome",
            Dimension::Protocol => "protocol",
            Dimension::Observer => "observer",
        }
    }

    /// The column whose text it is; none for what is made of several columns, or of numbers.
    pub(super) const fn column(self) -> Option<&'static str> {
        match self {
            Dimension::Method => Some("method"),
            Dimension::Host => Some("authority"),
            Dimension::Route => Some("route"),
            Dimension::Outcome => Some("outcome"),
            Dimension::Protocol => Some("protocol"),
            Dimension::Observer => Some("observer"),
            _ => None,
        }
    }
}

/// What nothing can be narrowed by.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unfit {
    #[error("{0:?} is no status: 503, or 5xx for all that begin so")]
    Status(String),
    #[error("{0:?} is no status of gRPC: a number from 0 to 16")]
    Grpc(String),
    #[error("{0:?} is no outcome: ok, client_error, aborted or error")]
    Outcome(String),
    #[error("{0:?} is no response flag of Envoy's")]
    Flag(String),
}

/// Which requests are asked for; all of them to begin with.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Narrowing {
    parts: Vec<Filter>,
    /// Flags that are all set.
    flags: u64,
    /// What the path holds, as it is written.
    path: Option<String>,
    has_id: bool,
}

impl Narrowing {
    /// Only requests of that value.
    ///
    /// # Errors
    /// For a value that none can have; nothing is narrowed then.
    pub fn by(&mut self, dimension: Dimension, value: &str) -> Result<(), Unfit> {
        let part = match dimension {
            Dimension::Client => of_peer("source", value),
            Dimension::Server => of_peer("destination", value),
            Dimension::Status => of_status(value)?,
            Dimension::Grpc => {
                let code = value.parse::<i64>().ok().filter(|code| (0..=16).contains(code));
                let code = code.ok_or_else(|| Unfit::Grpc(value.to_owned()))?;
                Filter::equals("grpc_status", Value::Integer(code))
            }
            Dimension::Flag => {
                self.flags |= flags(value)?;
                let zero = Bound::Excluded(Value::Integer(0));
                within("response_flags", zero, Bound::Unbounded)
            }
            Dimension::Outcome if !OUTCOMES.iter().any(|outcome| outcome.name() == value) => {
                return Err(Unfit::Outcome(value.to_owned()));
            }
            Dimension::Outcome => equals("outcome", value),
            Dimension::Method => equals("method", value),
            Dimension::Host => equals("authority", value),
            Dimension::Route => equals("route", value),
            Dimension::Protocol => equals("protocol", value),
            Dimension::Observer => equals("observer", value),
        };
        self.parts.push(part);
        Ok(())
    }

    /// Only requests that a service made or received.
    pub fn of_service(&mut self, id: &str) {
        self.parts.push(Filter::Or(vec![of_peer("source", id), of_peer("destination", id)]));
    }

    /// Only requests that took at least as long; those whose time nobody told are none.
    pub fn lasted(&mut self, nanos_min: i64) {
        let least = Bound::Included(Value::Integer(nanos_min));
        self.parts.push(within("duration_nano", least, Bound::Unbounded));
        self.parts.push(Filter::equals("is_timed", Value::Boolean(false)).negated());
    }

    /// Only requests of a trace, by its id in lower case.
    pub fn of_trace(&mut self, id: &str) {
        self.parts.push(equals("trace_id", id));
        self.has_id = true;
    }

    /// Only requests of that id.
    pub(super) fn of_request(&mut self, id: &str) {
        self.parts.push(equals("request_id", id));
        self.has_id = true;
    }

    /// Whether an id is asked for, which statistics and Bloom filters leave few files of.
    pub(super) fn has_id(&self) -> bool {
        self.has_id
    }

    /// Only requests whose path holds that text.
    pub fn path(&mut self, part: &str) {
        self.path = Some(part.to_owned());
    }

    /// What scans can leave out: rows that pass it may still fail [`Narrowing::passes`].
    pub(super) fn filter(&self) -> Filter {
        Filter::And(self.parts.clone())
    }

    /// The column that [`Narrowing::passes`] needs beside the flags.
    pub(super) fn needs_path(&self) -> bool {
        self.path.is_some()
    }

    pub(super) fn passes(&self, flags: i64, path: Option<&str>) -> bool {
        let flags = flags as u64;
        flags & self.flags == self.flags
            && self.path.as_deref().is_none_or(|part| path.is_some_and(|path| path.contains(part)))
    }
}

fn equals(column: &str, text: &str) -> Filter {
    Filter::equals(column, Value::Text(text.to_owned()))
}

fn within(column: &str, from: Bound<Value>, to: Bound<Value>) -> Filter {
    Filter::Is(Place::Column(column.to_owned()), Test::IsWithin(from, to))
}

/// Of a side (`source`, `destination`): the name of its service, or of its workload where that has none.
fn of_peer(side: &str, id: &str) -> Filter {
    let (namespace, name) =
        id.rsplit_once('/').map_or((None, id), |(namespace, name)| (Some(namespace), name));
    let service = format!("{side}_service");
    let nameless =
        Filter::Or(vec![Filter::Is(Place::Column(service.clone()), Test::IsNull), equals(&service, "")]);
    let of_workload = nameless.and(equals(&format!("{side}_workload"), name));
    let named = Filter::Or(vec![equals(&service, name), of_workload]);
    match namespace {
        Some(namespace) => named.and(equals(&format!("{side}_namespace"), namespace)),
        None => named,
    }
}

fn of_status(value: &str) -> Result<Filter, Unfit> {
    let unfit = || Unfit::Status(value.to_owned());
    let number = |text: &str| text.parse::<i64>().ok().filter(|code| (0..=999).contains(code));
    if let Some(class) = value.strip_suffix("xx") {
        let class = number(class).filter(|class| (1..=9).contains(class)).ok_or_else(unfit)?;
        let [from, to] = [class * 100, class * 100 + 100].map(Value::Integer);
        return Ok(within("response_code", Bound::Included(from), Bound::Excluded(to)));
    }
    Ok(Filter::equals("response_code", Value::Integer(number(value).ok_or_else(unfit)?)))
}

fn flags(value: &str) -> Result<u64, Unfit> {
    let unknown = value.split(',').find(|name| !FLAGS.iter().any(|flag| flag.short == name.trim()));
    match unknown {
        Some(name) => Err(Unfit::Flag(name.to_owned())),
        None => Ok(ResponseFlags::from_short_names(value).0),
    }
}

/// What counts as an outcome's band.
pub(super) fn band(outcome: &str) -> Option<Outcome> {
    OUTCOMES.into_iter().find(|known| known.name() == outcome)
}
