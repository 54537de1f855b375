//! What became of lines, added up and told.

use std::collections::BTreeMap;
use std::fmt;

use indicatif::HumanCount;
use serde::Deserialize;

/// What became of lines, as the server answers it for each part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Counts {
    pub lines: u64,
    /// Those that became calls.
    pub parsed: u64,
    /// Those that are kept as they came, by the first field that could not be read.
    pub unparsed: BTreeMap<String, u64>,
    /// Those that are not kept, by reason.
    pub rejected: BTreeMap<String, u64>,
    pub stored_before: u64,
}

impl Counts {
    pub fn add(&mut self, other: &Counts) {
        self.lines += other.lines;
        self.parsed += other.parsed;
        self.stored_before += other.stored_before;
        for (all, more) in [(&mut self.unparsed, &other.unparsed), (&mut self.rejected, &other.rejected)] {
            for (reason, lines) in more {
                *all.entry(reason.clone()).or_default() += lines;
            }
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.lines + self.stored_before;
        writeln!(out, "{} {}", HumanCount(all), if all == 1 { "line" } else { "lines" })?;
        writeln!(out, "  parsed         {}", HumanCount(self.parsed))?;
        for (name, reasons) in [("kept unparsed", &self.unparsed), ("refused      ", &self.rejected)] {
            let lines: u64 = reasons.values().sum();
            if lines > 0 {
                let by_reason: Vec<_> = reasons
                    .iter()
                    .map(|(reason, lines)| format!("{reason} {}", HumanCount(*lines)))
                    .collect();
                writeln!(out, "  {name}  {}  ({})", HumanCount(lines), by_reason.join(", "))?;
            }
        }
        if self.stored_before > 0 {
            writeln!(out, "  stored before  {}", HumanCount(self.stored_before))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_added_and_told_by_reason() {
        let answer = r#"{"lines": 1500, "parsed": 1200, "unparsed": {"time": 290, "status": 4},
                         "rejected": {"time_out_of_range": 6}, "stored_before": 7}"#;
        let one: Counts = serde_json::from_str(answer).expect("an answer");
        let mut all = Counts::default();
        all.add(&one);
        all.add(&one);
        let want = "3,014 lines\n  parsed         2,400\n  kept unparsed  588  (status 8, time 580)\n  \
                    refused        12  (time_out_of_range 12)\n  stored before  14\n";
        assert_eq!(all.to_string(), want);
        assert_eq!(
            Counts { lines: 1, parsed: 1, ..Counts::default() }.to_string(),
            "1 line\n  parsed         1\n"
        );
    }
}
