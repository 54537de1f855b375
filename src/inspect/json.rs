//! What was found as JSON, for programs. Fields may be added, never renamed.

use meshlake_store::inspect::{
    FileSum, Inspection, NamedFile, SegmentInspection, TableInspection, WalInspection,
};
use serde_json::{Value, json};

use super::{header_word, time_text};

/// One object with everything that was found; times in RFC 3339, whole seconds.
pub(super) fn of(inspection: &Inspection) -> Value {
    let findings = inspection.findings();
    let findings = findings.iter().map(|finding| json!({"kind": finding.kind.word(), "text": finding.text}));
    json!({
        "data_dir": inspection.data_dir.display().to_string(),
        "collector_id": format!("{:032x}", inspection.collector_id),
        "pid": inspection.running_pid,
        "next_lsn": inspection.next_lsn,
        "findings": findings.collect::<Vec<_>>(),
        "wal": wal_json(&inspection.wal),
        "tables": inspection.tables.iter().map(table_json).collect::<Vec<_>>(),
    })
}

fn wal_json(wal: &WalInspection) -> Value {
    let files = |files: &[NamedFile]| -> Vec<Value> {
        files.iter().map(|file| json!({"name": file.name, "bytes": file.size_bytes})).collect()
    };
    let voids = wal
        .voids
        .iter()
        .map(|void| json!({"first_lsn": void.first_lsn, "last_lsn": void.last_lsn, "reason": void.reason}));
    let damage = wal.damage.iter().map(|damage| {
        let rows = damage.rows_lost.iter().map(|(table, rows)| (table.name().to_owned(), json!(rows)));
        json!({
            "segment": damage.segment, "first_lsn": damage.first_lsn, "last_lsn": damage.last_lsn,
            "rows_lost": rows.collect::<serde_json::Map<_, _>>(),
        })
    });
    let torn = wal
        .torn
        .as_ref()
        .map(|torn| json!({"segment": torn.segment, "offset": torn.offset, "lsn": torn.lsn}));
    json!({
        "segments": wal.segments.iter().map(segment_json).collect::<Vec<_>>(),
        "spares": files(&wal.spares),
        "requests": files(&wal.exports),
        "quarantine": files(&wal.quarantine),
        "others": files(&wal.others),
        "last_lsn": wal.last_lsn,
        "voids": voids.collect::<Vec<_>>(),
        "damage": damage.collect::<Vec<_>>(),
        "torn": torn,
        "unreadable_bytes": wal.unreadable_bytes,
        "refusal": wal.refusal,
        "is_settled": wal.is_settled,
    })
}

fn segment_json(segment: &SegmentInspection) -> Value {
    let rows = segment.rows.iter().map(|(table, rows)| (table.name().to_owned(), json!(rows)));
    json!({
        "name": segment.name, "bytes": segment.size_bytes, "used_bytes": segment.used_bytes,
        "header": header_word(segment.header), "epoch": segment.epoch,
        "first_lsn": segment.first_lsn, "last_lsn": segment.last_lsn, "records": segment.records,
        "rows": rows.collect::<serde_json::Map<_, _>>(),
    })
}

fn table_json(table: &TableInspection) -> Value {
    let watermarks = table.watermarks.iter().map(|mark| json!({"writer": mark.app_id, "lsn": mark.lsn}));
    let windows = table.windows.iter().map(|window| {
        let mut json = sum_json(window.sum);
        json["date"] = window.date.clone().into();
        json["window"] = window.window.clone().into();
        json
    });
    let other_size = table
        .of_other_size
        .iter()
        .map(|(path, logged, found)| json!({"path": path, "bytes_logged": logged, "bytes_found": found}));
    json!({
        "table": table.table.name(),
        "version": table.version,
        "watermarks": watermarks.collect::<Vec<_>>(),
        "files": sum_json(table.files),
        "mixed": sum_json(table.mixed),
        "time_from": table.time_micros.map(|(from, _)| time_text(from)),
        "time_to": table.time_micros.map(|(_, to)| time_text(to)),
        "windows": windows.collect::<Vec<_>>(),
        "removed": {"files": table.removed.files, "bytes": table.removed.bytes},
        "orphaned": {"files": table.orphaned.files, "bytes": table.orphaned.bytes},
        "log_bytes": table.log_bytes,
        "missing": table.missing,
        "of_other_size": other_size.collect::<Vec<_>>(),
        "problem": table.problem,
    })
}

fn sum_json(sum: FileSum) -> Value {
    json!({"files": sum.files, "bytes": sum.bytes, "rows": sum.rows})
}
