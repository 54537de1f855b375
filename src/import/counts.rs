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

impl Counts {
    /// What whoever imported can do about lines that were not read or not kept.
    pub fn advice(&self) -> Vec<&'static str> {
        let unread: u64 = self.unparsed.values().sum();
        let mut advice = Vec::new();
        // A file in a format of its own, not one with odd lines in it.
        if unread > self.parsed {
            advice.push(
                "most lines are in no format that is known, or not in the one that was said: --format takes a name or the\n  \
                 text that the proxy's configuration has for it. A file is stored once, so import it then into another\n  \
                 --data-dir, or as another --tenant",
            );
        } else if unread > 0 {
            advice.push(
                "to see them: SELECT attributes['unread_field'], raw FROM requests WHERE raw IS NOT NULL",
            );
        }
        if self.rejected.contains_key(OUT_OF_RANGE) {
            advice.push("times too far ahead are refused: --zone says of which zone times are that are written without one");
        }
        advice
    }
}

/// The reason for which lines are refused that say times ahead.
const OUT_OF_RANGE: &str = "time_out_of_range";

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
        let advice = all.advice();
        assert!(
            advice.len() == 2 && advice[0].contains("SELECT") && advice[1].contains("--zone"),
            "{advice:?}"
        );
        assert_eq!(
            Counts { lines: 1, parsed: 1, ..Counts::default() }.to_string(),
            "1 line\n  parsed         1\n"
        );
    }

    #[test]
    fn whoever_has_lines_in_another_format_is_told_what_to_say() {
        let unread = |lines: u64, parsed: u64| Counts {
            lines,
            parsed,
            unparsed: BTreeMap::from([("line".to_owned(), lines - parsed)]),
            ..Counts::default()
        };
        let asks = |counts: &Counts| counts.advice().iter().any(|advice| advice.contains("--format"));
        assert!(asks(&unread(9, 0)) && asks(&unread(9, 4)) && !asks(&unread(10, 5)));
        assert_eq!(Counts::default().advice(), [""; 0]);
    }
}
