//! Makes the write-ahead log of a stopped server longer, by appending the groups that are in it again and again.
//!
//! A log of many gigabytes only comes about when flushes fail, and a server that buffers as much is no
//! way to make one. So its log is taken with the store's own reader and writer: every record is as a server
//! would have written it, and memory holds what one round appends. The rows of a round are the same as
//! those of the round before, so a round should be longer than a flush is.

use std::path::Path;
use std::sync::{Arc, mpsc};

use anyhow::{Context as _, ensure};
use meshlake_schema::Table;
use meshlake_store::disk::{Disk, StdDisk};
use meshlake_store::wal::{Wal, WalConfig, recover};
use meshlake_store::writer::Writer;
use meshlake_store::{AppendError, Group, Lsn};

/// What the log holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Grown {
    pub records: u64,
    pub spans: u64,
    /// Bytes of records that were appended.
    pub bytes: u64,
}

/// Appends to the log of the data directory until it has grown by this many bytes.
///
/// # Errors
/// When the directory holds no log, or an empty one, or the disk refuses.
pub fn grow(data_dir: &Path, bytes: u64) -> anyhow::Result<Grown> {
    let disk: Arc<dyn Disk> = Arc::new(StdDisk);
    let config = WalConfig {
        dir: data_dir.join("wal"),
        collector_id: collector_id(data_dir)?,
        segment_bytes: WalConfig::SEGMENT_BYTES,
    };
    let mut groups = Vec::new();
    let recovery = recover(disk.as_ref(), &config, &mut |record| {
        groups.push(Group { batches: record.batches, exports: record.exports });
    })
    .context("read the log")?;
    ensure!(!groups.is_empty(), "the log of {} is empty", data_dir.display());
    let mut grown = Grown::default();
    groups.iter().for_each(|group| grown.count(group));
    let first_lsn = recovery.last_lsn + 1;
    let wal = Wal::open(disk, config, recovery, first_lsn).context("open the log")?;
    // Nothing is kept of what is written.
    let (writer, thread) = Writer::start(wal, Box::new(|_, _| {})).context("start the log's thread")?;
    let (done, outcomes) = mpsc::channel::<Result<Lsn, AppendError>>();
    for group in groups.iter().cycle() {
        if writer.stats().bytes >= bytes {
            break;
        }
        let done = done.clone();
        // The receiver lives to the end of this function.
        let tell = Box::new(move |outcome| drop(done.send(outcome)));
        writer.append(group.clone(), tell).context("append to the log")?;
        grown.count(group);
    }
    thread.stop();
    drop(done);
    outcomes.iter().collect::<Result<Vec<_>, _>>().context("append to the log")?;
    Ok(Grown { bytes: writer.stats().bytes, ..grown })
}

impl Grown {
    fn count(&mut self, group: &Group) {
        self.records += 1;
        let spans = group.batches.iter().filter(|batch| batch.table() == Table::Spans);
        self.spans += spans.map(|batch| batch.row_count() as u64).sum::<u64>();
    }
}

fn collector_id(data_dir: &Path) -> anyhow::Result<[u8; 16]> {
    let path = data_dir.join("collector_id");
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let id = u128::from_str_radix(text.trim(), 16).with_context(|| format!("read {}", path.display()))?;
    Ok(id.to_be_bytes())
}
