//! `[maintain]`: merging files, and for how long rows are kept.

use meshlake_schema::Table;
use meshlake_store::MaintainConfig;
use serde::{Deserialize, Serialize};

/// A century; more is a typing error.
const DAYS_LIMIT: u32 = 36_500;

/// The section `[maintain]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaintainSection {
    /// Whether small files are merged, old rows dropped and unused files deleted without being asked. On one
    /// data directory there is no reason to turn it off but to run `meshlake maintain` at a time of one's own.
    pub enabled: bool,
    /// For how many days of their `time` spans are kept, and what is derived from them; 0 keeps for ever.
    pub spans_days: u32,
    /// The same for logs.
    pub logs_days: u32,
    /// The same for the four tables of metrics.
    pub metrics_days: u32,
    /// The same for requests.
    pub requests_days: u32,
    /// The same for the ledger, whose totals then count from there. It grows by some thousand rows a day.
    pub ledger_days: u32,
}

impl Default for MaintainSection {
    fn default() -> Self {
        MaintainSection {
            enabled: true,
            spans_days: 30,
            logs_days: 30,
            metrics_days: 30,
            requests_days: 30,
            ledger_days: 0,
        }
    }
}

impl MaintainSection {
    pub fn problems(&self) -> impl Iterator<Item = String> {
        let days = [
            ("spans_days", self.spans_days),
            ("logs_days", self.logs_days),
            ("metrics_days", self.metrics_days),
            ("requests_days", self.requests_days),
            ("ledger_days", self.ledger_days),
        ];
        let wrong = days.into_iter().filter(|(_, days)| *days > DAYS_LIMIT);
        wrong.map(|(key, days)| format!("maintain.{key}: {days} is more than {DAYS_LIMIT}"))
    }

    pub fn store_config(&self) -> MaintainConfig {
        let days = |table: Table| match table {
            Table::Spans | Table::Traces => self.spans_days,
            Table::Logs => self.logs_days,
            Table::MetricPoints
            | Table::MetricHistograms
            | Table::MetricExpHistograms
            | Table::MetricSummaries => self.metrics_days,
            Table::Requests => self.requests_days,
            Table::Ledger => self.ledger_days,
            Table::Calls10s | Table::Calls1m | Table::Calls10m => {
                MaintainConfig::default().retention_days[table.index()].unwrap_or(0)
            }
        };
        let retention_days = Table::ALL.map(|table| Some(days(table)).filter(|days| *days > 0));
        MaintainConfig { is_automatic: self.enabled, retention_days }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_store() {
        let (ours, store) = (MaintainSection::default().store_config(), MaintainConfig::default());
        assert_eq!((ours.is_automatic, ours.retention_days), (store.is_automatic, store.retention_days));
    }

    #[test]
    fn a_century_is_the_most() {
        let section = |spans_days| MaintainSection { spans_days, ..MaintainSection::default() };
        assert_eq!(section(36_500).problems().count(), 0);
        let problems: Vec<String> = section(36_501).problems().collect();
        assert_eq!(problems, ["maintain.spans_days: 36501 is more than 36500"]);
    }
}
