//! What was found as text: aligned columns, the sums first and the windows last.

use std::io::{self, Write};

use meshlake_store::inspect::{FileSum, Inspection, TableInspection, WalInspection};

use super::{header_word, time_text};

/// Prints `inspection`; of each table's windows only the newest `windows_max`.
pub(super) fn print(out: &mut dyn Write, inspection: &Inspection, windows_max: usize) -> io::Result<()> {
    let process = inspection.running_pid.map_or("no process".to_owned(), |pid| format!("process {pid}"));
    writeln!(out, "data directory  {}, {process}", inspection.data_dir.display())?;
    writeln!(out, "collector       {:032x}, next LSN {}", inspection.collector_id, inspection.next_lsn)?;
    for finding in inspection.findings() {
        writeln!(out, "{:<15} {}", finding.kind.word(), finding.text)?;
    }
    wal_text(out, &inspection.wal)?;
    tables_text(out, &inspection.tables)?;
    watermarks_text(out, &inspection.tables)?;
    windows_text(out, &inspection.tables, windows_max)
}

fn wal_text(out: &mut dyn Write, wal: &WalInspection) -> io::Result<()> {
    let records: u64 = wal.segments.iter().map(|segment| segment.records).sum();
    writeln!(out, "\nwrite-ahead log: {records} records")?;
    let mut rows =
        vec![columns(["segment", "size", "used", "records", "last LSN", "epoch", "header", "rows"])];
    for segment in &wal.segments {
        let of_table = segment.rows.iter().map(|(table, rows)| format!("{} {rows}", table.name()));
        rows.push(columns([
            &segment.name,
            &size(segment.size_bytes),
            &size(segment.used_bytes),
            &segment.records.to_string(),
            &or_dash(segment.last_lsn),
            &or_dash(segment.epoch),
            header_word(segment.header),
            &of_table.collect::<Vec<_>>().join(", "),
        ]));
    }
    aligned(out, &rows, &[1, 2, 3, 4, 5])?;
    let files = [
        ("spare", &wal.spares),
        ("requests", &wal.exports),
        ("quarantine", &wal.quarantine),
        ("other", &wal.others),
    ];
    for (what, files) in files {
        for file in files {
            writeln!(out, "  {what} {} {}", file.name, size(file.size_bytes))?;
        }
    }
    for void in &wal.voids {
        writeln!(out, "  void LSN {} to {}: {}", void.first_lsn, void.last_lsn, void.reason)?;
    }
    Ok(())
}

fn tables_text(out: &mut dyn Write, tables: &[TableInspection]) -> io::Result<()> {
    writeln!(out, "\ntables")?;
    let head = [
        "table",
        "version",
        "files",
        "windows",
        "rows",
        "size",
        "bytes/row",
        "mixed",
        "removed",
        "orphaned",
        "log",
        "from",
        "to",
    ];
    let mut rows = vec![columns(head)];
    let (mut files, mut log_bytes) = (FileSum::default(), 0);
    for table in tables {
        let sum = table.files;
        files = FileSum {
            files: files.files + sum.files,
            bytes: files.bytes + sum.bytes,
            rows: files.rows + sum.rows,
        };
        log_bytes += table.log_bytes;
        let time = |micros: Option<i64>| or_dash(micros.map(time_text));
        rows.push(columns([
            table.table.name(),
            &or_dash(table.version),
            &sum.files.to_string(),
            &table.windows.len().to_string(),
            &sum.rows.to_string(),
            &size(sum.bytes),
            &bytes_per_row(sum),
            &table.mixed.files.to_string(),
            &count_and_size(table.removed),
            &count_and_size(table.orphaned),
            &size(table.log_bytes),
            &time(table.time_micros.map(|(from, _)| from)),
            &time(table.time_micros.map(|(_, to)| to)),
        ]));
    }
    let (count, row_count) = (files.files.to_string(), files.rows.to_string());
    let (bytes, per_row, log) = (size(files.bytes), bytes_per_row(files), size(log_bytes));
    rows.push(columns(["total", "", &count, "", &row_count, &bytes, &per_row, "", "", "", &log, "", ""]));
    aligned(out, &rows, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
}

fn watermarks_text(out: &mut dyn Write, tables: &[TableInspection]) -> io::Result<()> {
    writeln!(out, "\nwatermarks")?;
    let mut rows = vec![columns(["table", "LSN", "writer"])];
    for table in tables {
        for watermark in &table.watermarks {
            rows.push(columns([table.table.name(), &watermark.lsn.to_string(), &watermark.app_id]));
        }
    }
    aligned(out, &rows, &[1])
}

fn windows_text(out: &mut dyn Write, tables: &[TableInspection], windows_max: usize) -> io::Result<()> {
    writeln!(out, "\nwindows")?;
    let mut rows = vec![columns(["table", "date", "window", "files", "rows", "size"])];
    let mut hidden = 0;
    for table in tables {
        let skipped = table.windows.len().saturating_sub(windows_max);
        hidden += skipped;
        for window in &table.windows[skipped..] {
            let sum = window.sum;
            rows.push(columns([
                table.table.name(),
                &window.date,
                &window.window,
                &sum.files.to_string(),
                &sum.rows.to_string(),
                &size(sum.bytes),
            ]));
        }
    }
    aligned(out, &rows, &[3, 4, 5])?;
    if hidden > 0 {
        writeln!(out, "  and {hidden} older ones: --windows shows all")?;
    }
    Ok(())
}

fn columns<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

/// Prints `rows` as columns two spaces apart, those in `right` flush right.
fn aligned(out: &mut dyn Write, rows: &[Vec<String>], right: &[usize]) -> io::Result<()> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = width(column);
            let padded =
                if right.contains(&column) { format!("{cell:>width$}") } else { format!("{cell:<width$}") };
            line.push_str("  ");
            line.push_str(&padded);
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or("-".to_owned(), |value| value.to_string())
}

fn size(bytes: u64) -> String {
    match bytes {
        0..=9_999 => format!("{bytes} B"),
        10_000..=10_239_999 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        10_240_000..=10_485_759_999 => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", bytes as f64 / 1_073_741_824.0),
    }
}

fn bytes_per_row(sum: FileSum) -> String {
    match sum.rows {
        0 => "-".to_owned(),
        rows => format!("{:.1}", sum.bytes as f64 / rows as f64),
    }
}

fn count_and_size(sum: FileSum) -> String {
    match sum.files {
        0 => "0".to_owned(),
        files => format!("{files} ({})", size(sum.bytes)),
    }
}
