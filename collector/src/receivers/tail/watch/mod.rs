//! Which files are followed, and what of them is read next.
//!
//! ```text
//!  paths --metadata--> files by number --+-- followed: another now? gone? else read on
//!                                        '-- not followed: opened --head--> known, or new
//! ```
//! A file is what it begins with (see `positions`), wherever it lies and whatever it is called:
//! - renamed, it keeps its number and is read on to its end, under a new name or none;
//! - copied and cut, the copy begins as the file did and takes over its position, and what is cut begins anew;
//! - packed, it begins as before, and what was read of it is not read again.
//!
//! Two files that begin alike, as far as both go, cannot be told apart yet: the second one waits until they can, or the
//! first one is gone. All of this blocks on the file system and belongs on a thread that may.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::followed::{FileKey, Followed, Opened, Stamp};
use super::globs::Glob;
use super::names::PathNames;
use crate::access_log::origin::LineOrigin;
use crate::decode::Sender;
use crate::lines::{Packing, Part};
use crate::positions::{FileIdentity, KnownFile, Positions};

/// Files that are followed at once, each of which takes a descriptor; below half of what Linux lets a process have.
const FOLLOWED_MAX: usize = 480;

/// How many looks long a file that no path leads to is read on: writers that are told to open their file anew take a few
/// seconds.
const UNNAMED_LOOKS_MAX: u32 = 10;

/// Problems that are told once each; more are told as often as they are met.
const TOLD_MAX: usize = 10_000;

/// What is followed in one way: a section of the configuration.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) glob: Glob,
    pub(super) names: PathNames,
    /// What is said of every file.
    pub(super) origin: LineOrigin,
    pub(super) tenant: Arc<str>,
}

/// All files that are followed.
pub(super) struct Watch {
    sections: Vec<Section>,
    positions: Positions,
    followed: BTreeMap<FileKey, Followed>,
    /// Read to their end, or not to be read, until they change.
    finished: HashMap<FileKey, Stamp>,
    /// Packed files that may still be written.
    settling: HashMap<FileKey, Stamp>,
    /// Whose turn to be read was last.
    last_read: Option<FileKey>,
    told: HashSet<(PathBuf, String)>,
}

/// A part of a followed file, to be stored.
#[derive(Debug)]
pub(super) struct ReadPart {
    pub(super) key: FileKey,
    pub(super) identity: FileIdentity,
    pub(super) tenant: Arc<str>,
    pub(super) sender: Arc<Sender>,
    pub(super) path: Arc<str>,
    pub(super) part: Part,
}

/// What becomes of a file that was opened.
enum Resolved {
    Follow(KnownFile),
    /// It cannot be told from another one, or is shorter than what is stored of it.
    Wait,
}

impl Watch {
    pub(super) fn new(sections: Vec<Section>, positions: Positions) -> Watch {
        Watch {
            sections,
            positions,
            followed: BTreeMap::new(),
            finished: HashMap::new(),
            settling: HashMap::new(),
            last_read: None,
            told: HashSet::new(),
        }
    }

    /// Looks at what there is: new files, those that have another name or none, those that are written anew.
    pub(super) fn look(&mut self) {
        let named = self.named();
        self.drop_what_changed(&named);
        self.finished.retain(|key, _| named.contains_key(key));
        self.settling.retain(|key, _| named.contains_key(key));
        for (key, (path, section, stamp)) in &named {
            if self.followed.contains_key(key) || self.finished.get(key) == Some(stamp) {
                continue;
            }
            if self.followed.len() >= FOLLOWED_MAX {
                let why = format!("not followed: {FOLLOWED_MAX} files are followed already");
                self.tell(path, &why);
                continue;
            }
            match self.begin(*key, path, *section) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    self.tell(path, &format!("cannot be followed: {error}"));
                    if error.kind() == ErrorKind::InvalidInput || error.kind() == ErrorKind::InvalidData {
                        self.finished.insert(*key, *stamp);
                    }
                }
            }
        }
    }

    /// Up to `most` parts that can be stored, of each file in its turn.
    pub(super) fn next_parts(&mut self, most: usize) -> Vec<ReadPart> {
        let keys: Vec<FileKey> = self.followed.keys().copied().collect();
        let first = self.last_read.map_or(0, |last| keys.partition_point(|key| *key <= last));
        let mut parts = Vec::new();
        for key in keys[first..].iter().chain(&keys[..first]) {
            if parts.len() == most {
                break;
            }
            if let Some(part) = self.read(*key) {
                self.last_read = Some(*key);
                parts.push(part);
            }
        }
        parts
    }

    /// Says what became of a part of the file `key`.
    pub(super) fn settle(&mut self, key: FileKey, is_stored: bool) {
        if let Some(followed) = self.followed.get_mut(&key) {
            followed.in_flight -= 1;
            followed.has_failed |= !is_stored;
        }
    }

    /// What the sections name now: files by number, with the first path and section that lead to each.
    fn named(&mut self) -> BTreeMap<FileKey, (PathBuf, usize, Stamp)> {
        let mut named = BTreeMap::new();
        for section in 0..self.sections.len() {
            let found = self.sections[section].glob.look();
            if found.is_cut {
                self.tell(
                    Path::new("."),
                    "a pattern of [[collector.tail]] leads through more entries than are looked at",
                );
            }
            for (path, error) in found.failed {
                self.tell(&path, &format!("cannot be looked into: {error}"));
            }
            for path in found.paths {
                match fs::metadata(&path) {
                    Ok(metadata) => {
                        let place = (path, section, Stamp::of(&metadata));
                        named.entry(FileKey::of(&metadata)).or_insert(place);
                    }
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => self.tell(&path, &format!("cannot be followed: {error}")),
                }
            }
        }
        named
    }

    fn drop_what_changed(&mut self, named: &BTreeMap<FileKey, (PathBuf, usize, Stamp)>) {
        let mut dropped = Vec::new();
        for (key, followed) in &mut self.followed {
            match named.get(key) {
                Some((path, ..)) => {
                    followed.set_path(path);
                    followed.looks_unnamed = 0;
                }
                None => followed.looks_unnamed += 1,
            }
            // What is in flight is settled by its key.
            if followed.in_flight > 0 {
                continue;
            }
            if followed.has_failed {
                let position = self.positions.position(followed.known.identity);
                let again = position.map(|position| followed.go_back_to(position));
                if !matches!(again, Some(Ok(()))) {
                    dropped.push(*key);
                }
            } else if followed.is_done {
                // Its descriptor is given back.
                if let Some((.., stamp)) = named.get(key) {
                    self.finished.insert(*key, *stamp);
                }
                dropped.push(*key);
            } else if followed.is_another().unwrap_or(true) {
                dropped.push(*key);
            }
        }
        for key in dropped {
            self.followed.remove(&key);
        }
    }

    /// Begins to follow the file at `path`, if it can be told which one it is.
    fn begin(&mut self, key: FileKey, path: &Path, section: usize) -> io::Result<()> {
        let opened = Opened::open(path)?;
        if opened.key != key || !opened.can_be_known() {
            return Ok(());
        }
        if opened.packing != Packing::Plain && self.settling.insert(key, opened.stamp) != Some(opened.stamp) {
            return Ok(());
        }
        let Resolved::Follow(known) = self.resolve(&opened, section)? else { return Ok(()) };
        let Section { origin, names, .. } = &self.sections[section];
        let path_text = path.to_string_lossy();
        let mut origin = origin.clone();
        names.name(&path_text, &mut origin);
        origin.log_path = path_text.into_owned();
        let sender = Arc::new(Sender::Lines(origin));
        tracing::info!(path = %path.display(), position = known.position, "follow");
        self.followed.insert(key, Followed::new(opened, known, section, sender)?);
        Ok(())
    }

    fn resolve(&mut self, opened: &Opened, section: usize) -> io::Result<Resolved> {
        let tenant = Arc::clone(&self.sections[section].tenant);
        let Some(known) = self.positions.find(&tenant, &opened.head) else {
            return self.positions.add(&tenant, &opened.head).map(Resolved::Follow);
        };
        let other = self.followed.values().find(|other| other.known.identity == known.identity);
        if let Some(other) = other {
            let others = other.head_now()?;
            // One that was cut gives its position away at the next look.
            let is_cut = !others.starts_with(&opened.head[..known.head_bytes]);
            let common = others.len().min(opened.head.len());
            if is_cut || others[..common] == opened.head[..common] {
                return Ok(Resolved::Wait);
            }
            return self.positions.add(&tenant, &opened.head).map(Resolved::Follow);
        }
        if opened.packing == Packing::Plain && opened.stamp_bytes() < known.position {
            let why = "is shorter than what is stored of a file that begins alike: a copy that is being made, or the \
                       same lines anew, which are not stored twice";
            self.tell(&opened.path, why);
            return Ok(Resolved::Wait);
        }
        Ok(Resolved::Follow(known))
    }

    fn read(&mut self, key: FileKey) -> Option<ReadPart> {
        let followed = self.followed.get_mut(&key)?;
        let is_over = followed.looks_unnamed > UNNAMED_LOOKS_MAX;
        let read = match followed.next_part() {
            Ok(None) if is_over => followed.rest(),
            read => read,
        };
        let part = match read {
            Ok(part) => part,
            Err(error) => {
                followed.is_done = true;
                let path = followed.path().to_owned();
                self.tell(&path, &format!("cannot be read on: {error}"));
                return None;
            }
        };
        let Some(part) = part else {
            if is_over && followed.in_flight == 0 && !followed.has_failed {
                self.followed.remove(&key);
            }
            return None;
        };
        followed.in_flight += 1;
        Some(ReadPart {
            key,
            identity: followed.known.identity,
            tenant: Arc::clone(&self.sections[followed.section].tenant),
            sender: Arc::clone(&followed.sender),
            path: followed.path().to_string_lossy().into(),
            part,
        })
    }

    /// Logs a problem, once.
    fn tell(&mut self, path: &Path, why: &str) {
        if self.told.len() >= TOLD_MAX || self.told.insert((path.to_owned(), why.to_owned())) {
            tracing::warn!(path = %path.display(), "a file of access logs {why}");
        }
    }
}

#[cfg(test)]
mod tests;
