//! What is wrong with a data directory, one sentence each, worst first.

use super::{HeaderState, Inspection};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// A start refuses the directory.
    Unusable,
    /// Acknowledged rows are lost, or a file is not as it was written.
    Damage,
    /// Nothing is lost, and a person may want to know.
    Notice,
}

impl FindingKind {
    /// The word that begins its line.
    pub fn word(self) -> &'static str {
        match self {
            FindingKind::Unusable => "UNUSABLE",
            FindingKind::Damage => "DAMAGE",
            FindingKind::Notice => "NOTICE",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub kind: FindingKind,
    pub text: String,
}

impl Inspection {
    /// Everything that is not as it should be; empty for a healthy directory.
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut say = |kind, text| findings.push(Finding { kind, text });
        self.wal_findings(&mut say);
        for table in &self.tables {
            if let Some(problem) = &table.problem {
                say(FindingKind::Unusable, problem.clone());
            }
            for path in &table.missing {
                say(FindingKind::Damage, format!("{path} is in the table's log and not on disk"));
            }
            for (path, logged, found) in &table.of_other_size {
                say(FindingKind::Damage, format!("{path} has {found} bytes instead of {logged}"));
            }
        }
        findings.sort_by_key(|finding| finding.kind);
        findings
    }

    fn wal_findings(&self, say: &mut impl FnMut(FindingKind, String)) {
        let wal = &self.wal;
        if let Some(refusal) = &wal.refusal {
            say(FindingKind::Unusable, format!("write-ahead log: {refusal}"));
        }
        for damage in &wal.damage {
            let rows = damage.rows_lost.iter().map(|(table, rows)| format!("{rows} of {}", table.name()));
            let rows: Vec<String> = rows.collect();
            let rows = if rows.is_empty() { "not known".to_owned() } else { rows.join(", ") };
            let (first, last, segment) = (damage.first_lsn, damage.last_lsn, &damage.segment);
            say(FindingKind::Damage, format!("LSN {first} to {last} of {segment} are lost; rows: {rows}"));
        }
        if wal.unreadable_bytes > 0 {
            let bytes = wal.unreadable_bytes;
            say(FindingKind::Damage, format!("the disk cannot read {bytes} bytes of the write-ahead log"));
        }
        for segment in &wal.segments {
            let name = &segment.name;
            match segment.header {
                HeaderState::Whole => {}
                HeaderState::OneCopy => {
                    say(FindingKind::Notice, format!("{name}: one of two headers is damaged"));
                }
                HeaderState::Lost => say(FindingKind::Damage, format!("{name}: both headers are damaged")),
            }
        }
        if let Some(torn) = &wal.torn {
            let what = match self.running_pid {
                Some(_) => "is being written",
                None => "is torn: it was never acknowledged, or is the very last and damaged",
            };
            let (lsn, segment, offset) = (torn.lsn, &torn.segment, torn.offset);
            say(FindingKind::Notice, format!("LSN {lsn} at byte {offset} of {segment} {what}"));
        }
        for file in &wal.quarantine {
            let (name, bytes) = (&file.name, file.size_bytes);
            say(
                FindingKind::Notice,
                format!("{name} ({bytes} bytes) is in quarantine since an earlier start"),
            );
        }
        if !wal.is_settled {
            let text = "the write-ahead log changed faster than it could be read: look again";
            say(FindingKind::Notice, text.to_owned());
        }
    }
}
