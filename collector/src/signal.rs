//! What kind of telemetry records are.
//!
//! Formats, the ledger and answers speak of it, so it stands below all of them.

/// What kind of telemetry records are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    Traces,
    Logs,
    Metrics,
    /// Calls that a proxy observed and logged.
    Requests,
}

impl Signal {
    /// The name in the ledger and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Signal::Traces => "traces",
            Signal::Logs => "logs",
            Signal::Metrics => "metrics",
            Signal::Requests => "requests",
        }
    }

    /// What one record is called, in the plural.
    pub const fn record_name(self) -> &'static str {
        match self {
            Signal::Traces => "spans",
            Signal::Logs => "log records",
            Signal::Metrics => "data points",
            Signal::Requests => "requests",
        }
    }
}
