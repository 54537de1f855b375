//! `[maintain]`: merging files, and for how long rows are kept.

use meshlake_schema::Table;
use meshlake_store::{MaintainConfig, Retention};
use serde::{Deserialize, Serialize};

/// A century; more is a typing error.
const DAYS_LIMIT: u32 = 36_500;

/// A month of cells of ten seconds, which are as many as rows where traffic is thin; more is a typing error.
const HOURS_LIMIT: u32 = 720;

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
    /// For how many hours cells of ten seconds are kept (`calls_10s`), from which questions of a few hours are answered.
    pub calls_10s_hours: u32,
    /// For how many days cells of a minute are kept (`calls_1m`); 0 keeps for ever.
    pub calls_1m_days: u32,
    /// The same for cells of ten minutes (`calls_10m`), which stay when the rows that they count are gone.
    pub calls_10m_days: u32,
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
            calls_10s_hours: 6,
            calls_1m_days: 7,
            calls_10m_days: 396,
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
            ("calls_1m_days", self.calls_1m_days),
            ("calls_10m_days", self.calls_10m_days),
            ("ledger_days", self.ledger_days),
        ];
        let wrong = days.into_iter().filter(|(_, days)| *days > DAYS_LIMIT);
        let wrong = wrong.map(|(key, days)| format!("maintain.{key}: {days} is more than {DAYS_LIMIT}"));
        let hours = self.calls_10s_hours;
        let wrong_hours = (!(1..=HOURS_LIMIT).contains(&hours))
            .then(|| format!("maintain.calls_10s_hours: {hours} is not from 1 to {HOURS_LIMIT}"));
        wrong.chain(wrong_hours)
    }

    pub fn store_config(&self) -> MaintainConfig {
        let days = |table| match table {
            Table::Spans | Table::Traces => self.spans_days,
            Table::Logs => self.logs_days,
            Table::MetricPoints
            | Table::MetricHistograms
            | Table::MetricExpHistograms
            | Table::MetricSummaries
            | Table::MetricPointsSeries
            | Table::MetricHistogramsSeries
            | Table::MetricExpHistogramsSeries
            | Table::MetricSummariesSeries => self.metrics_days,
            Table::Requests => self.requests_days,
            Table::Ledger => self.ledger_days,
            // By the hour.
            Table::Calls10s => 0,
            Table::Calls1m => self.calls_1m_days,
            Table::Calls10m => self.calls_10m_days,
        };
        let retention = Retention {
            days: Table::ALL.map(|table| Some(days(table)).filter(|days| *days > 0)),
            calls_10s_hours: Some(self.calls_10s_hours),
        };
        MaintainConfig { is_automatic: self.enabled, retention }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_store() {
        let (ours, store) = (MaintainSection::default().store_config(), MaintainConfig::default());
        assert_eq!((ours.is_automatic, ours.retention), (store.is_automatic, store.retention));
    }

    #[test]
    fn a_century_is_the_most() {
        let section = |spans_days| MaintainSection { spans_days, ..MaintainSection::default() };
        assert_eq!(section(36_500).problems().count(), 0);
        let problems: Vec<String> = section(36_501).problems().collect();
        assert_eq!(problems, ["maintain.spans_days: 36501 is more than 36500"]);
    }

    #[test]
    fn the_finest_cells_are_kept_from_an_hour_to_a_month() {
        let problems = |calls_10s_hours| {
            let section = MaintainSection { calls_10s_hours, ..MaintainSection::default() };
            section.problems().collect::<Vec<_>>()
        };
        assert_eq!((problems(1).len(), problems(720).len()), (0, 0));
        assert_eq!(problems(0), ["maintain.calls_10s_hours: 0 is not from 1 to 720"]);
        assert_eq!(problems(721), ["maintain.calls_10s_hours: 721 is not from 1 to 720"]);
    }
}
