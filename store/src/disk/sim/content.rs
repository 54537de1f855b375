//! One file of the simulated disk: what is synced, what is not, and which of it a crash leaves.
//!
//! A write is split into sectors only when something can happen to part of it: at a crash, or when a sync
//! gives up. Limits: a length that a failed sync gave up survives or not like any other change.

use crate::disk::sim::coin::Coin;

/// What a disk writes as a whole or not at all.
const SECTOR_BYTES: usize = 512;

#[derive(Clone, Default)]
pub(super) struct Inode {
    /// What the running program reads.
    pub(super) content: Vec<u8>,
    /// What a crash certainly leaves.
    durable: Vec<u8>,
    unsynced: Vec<Change>,
    /// Changes that a failed sync gave up: no later sync writes them, a crash may still find them.
    abandoned: Vec<Change>,
}

#[derive(Clone)]
pub(super) enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Grow { size_bytes: usize },
}

impl Inode {
    /// A file whose whole content is on the disk.
    pub(super) fn synced(content: Vec<u8>) -> Inode {
        Inode { durable: content.clone(), content, ..Inode::default() }
    }

    pub(super) fn change(&mut self, change: Change) {
        change.apply(&mut self.content, |_| true);
        self.unsynced.push(change);
    }

    pub(super) fn sync(&mut self) {
        for change in std::mem::take(&mut self.unsynced) {
            change.apply(&mut self.durable, |_| true);
            // A sector that is written again goes to the disk as it is now; its older version cannot
            // turn up behind it.
            let written = change.sectors();
            self.abandoned.retain(|old| written.is_empty() || !written.contains(&old.sectors().start));
        }
    }

    /// Gives up what a sync could not write, sector by sector.
    pub(super) fn abandon(&mut self) {
        for change in std::mem::take(&mut self.unsynced) {
            match change {
                Change::Grow { .. } => self.abandoned.push(change),
                Change::Write { offset, bytes } => {
                    let mut at = offset;
                    while at < offset + bytes.len() {
                        let end = sector_end(at).min(offset + bytes.len());
                        let bytes = bytes[at - offset..end - offset].to_vec();
                        self.abandoned.push(Change::Write { offset: at, bytes });
                        at = end;
                    }
                }
            }
        }
    }

    pub(super) fn crashed(&self, coin: &mut Coin) -> Inode {
        let mut content = self.durable.clone();
        for change in self.abandoned.iter().chain(&self.unsynced) {
            change.apply(&mut content, |_| coin.flip());
        }
        Inode::synced(content)
    }
}

/// Where the sector of the byte at `at` ends.
fn sector_end(at: usize) -> usize {
    (at / SECTOR_BYTES + 1) * SECTOR_BYTES
}

impl Change {
    /// The numbers of the sectors written; empty for a change of length.
    fn sectors(&self) -> std::ops::Range<usize> {
        match self {
            Change::Grow { .. } => 0..0,
            Change::Write { offset, bytes } => {
                offset / SECTOR_BYTES..(offset + bytes.len()).div_ceil(SECTOR_BYTES)
            }
        }
    }

    /// Applies the sectors that `survives` picks.
    fn apply(&self, content: &mut Vec<u8>, mut survives: impl FnMut(usize) -> bool) {
        match self {
            Change::Grow { size_bytes } => {
                if survives(0) && content.len() < *size_bytes {
                    content.resize(*size_bytes, 0);
                }
            }
            Change::Write { offset, bytes } => {
                let mut at = *offset;
                while at < offset + bytes.len() {
                    let end = sector_end(at).min(offset + bytes.len());
                    if survives(at) {
                        if content.len() < end {
                            content.resize(end, 0);
                        }
                        content[at..end].copy_from_slice(&bytes[at - offset..end - offset]);
                    }
                    at = end;
                }
            }
        }
    }
}
