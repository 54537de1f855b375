//! Directories of the simulated disk: what the program sees, and what of it a crash leaves.
//!
//! Changes are kept as a list, in the order made, each with what a sync did to it; they are folded into the
//! durable part as soon as all before them are durable.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::disk::sim::coin::Coin;
use crate::disk::{Entry, EntryKind};

/// Which changes of names that were not synced a crash leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamesAfterCrash {
    /// The first few, in the order made: a journalling file system. A sync of one directory makes earlier
    /// changes of others durable, too.
    Prefix,
    /// Any of them, each by itself, and a sync covers one directory: all that POSIX promises.
    Any,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    File(usize),
    Directory,
}

/// A rename is both, so that no crash shows a file under two names or none.
#[derive(Debug, Clone, Default)]
pub(super) struct NameChange {
    added: Option<(PathBuf, Node)>,
    removed: Option<PathBuf>,
    fate: Fate,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Fate {
    #[default]
    Unsynced,
    Synced,
    /// A sync has failed to write it and no later one will.
    Abandoned,
}

#[derive(Default)]
pub(super) struct Names {
    /// As the running program sees them.
    visible: BTreeMap<PathBuf, Node>,
    /// What a crash certainly leaves.
    durable: BTreeMap<PathBuf, Node>,
    /// Changes since, in order; the first is not synced.
    changes: Vec<NameChange>,
}

impl Names {
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.visible.iter().filter(|(_, node)| **node != Node::Directory).map(|(path, _)| path.as_path())
    }

    pub fn file(&self, path: &Path) -> io::Result<usize> {
        match self.visible.get(path) {
            Some(Node::File(inode)) => Ok(*inode),
            Some(Node::Directory) => Err(ErrorKind::IsADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    /// The start of all paths is always there.
    pub fn is_dir(&self, path: &Path) -> bool {
        path.parent().is_none() || self.visible.get(path) == Some(&Node::Directory)
    }

    pub fn entries(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        if !self.is_dir(dir) {
            return Err(ErrorKind::NotFound.into());
        }
        let inside = self.visible.iter().filter(|(path, _)| path.parent() == Some(dir));
        let entry = |(path, node): (&PathBuf, &Node)| {
            let kind = if *node == Node::Directory { EntryKind::Directory } else { EntryKind::File };
            Some(Entry { name: path.file_name()?.to_owned(), kind })
        };
        Ok(inside.filter_map(entry).collect())
    }

    pub fn check_parent(&self, path: &Path) -> io::Result<()> {
        let is_there = path.parent().is_some_and(|parent| self.is_dir(parent));
        if is_there { Ok(()) } else { Err(ErrorKind::NotFound.into()) }
    }

    pub fn check_free(&self, path: &Path) -> io::Result<()> {
        self.check_parent(path)?;
        if self.visible.contains_key(path) { Err(ErrorKind::AlreadyExists.into()) } else { Ok(()) }
    }

    pub fn set_durable(&mut self, path: &Path, node: Node) {
        self.visible.insert(path.to_path_buf(), node);
        self.durable.insert(path.to_path_buf(), node);
    }

    pub fn change(&mut self, change: NameChange) {
        change.apply(&mut self.visible);
        self.changes.push(change);
    }

    pub fn sync(&mut self, dir: &Path) -> io::Result<()> {
        if !self.is_dir(dir) {
            return Err(ErrorKind::NotFound.into());
        }
        self.mark(dir, Fate::Synced);
        let synced = self.changes.iter().take_while(|change| change.fate == Fate::Synced).count();
        for change in self.changes.drain(..synced) {
            change.apply(&mut self.durable);
        }
        Ok(())
    }

    /// Gives up what a sync of `dir` could not write.
    pub fn abandon(&mut self, dir: &Path) {
        self.mark(dir, Fate::Abandoned);
    }

    fn mark(&mut self, dir: &Path, fate: Fate) {
        let unsynced = self.changes.iter_mut().filter(|change| change.fate == Fate::Unsynced);
        unsynced.filter(|change| change.touches(dir)).for_each(|change| change.fate = fate);
    }

    pub fn crashed(&self, coin: &mut Coin, kept: NamesAfterCrash) -> Names {
        let mut names = self.durable.clone();
        let last_synced = self.changes.iter().rposition(|change| change.fate == Fate::Synced);
        let certain = last_synced.map_or(0, |last| last + 1);
        let prefix = certain + coin.below((self.changes.len() - certain) as u64 + 1) as usize;
        for (index, change) in self.changes.iter().enumerate() {
            let survives = match (change.fate, kept) {
                (Fate::Synced, _) => true,
                (Fate::Unsynced, NamesAfterCrash::Prefix) => index < prefix,
                (Fate::Unsynced, NamesAfterCrash::Any) | (Fate::Abandoned, _) => coin.flip(),
            };
            if survives {
                change.apply(&mut names);
            }
        }
        let is_reachable = |path: &Path| {
            let mut above = path.ancestors().skip(1).filter(|dir| dir.parent().is_some());
            above.all(|dir| names.get(dir) == Some(&Node::Directory))
        };
        let reachable = names.iter().filter(|(path, _)| is_reachable(path));
        let durable: BTreeMap<PathBuf, Node> = reachable.map(|(path, node)| (path.clone(), *node)).collect();
        Names { visible: durable.clone(), durable, changes: Vec::new() }
    }
}

impl NameChange {
    pub fn add(path: &Path, node: Node) -> NameChange {
        NameChange { added: Some((path.to_path_buf(), node)), ..NameChange::default() }
    }

    pub fn rename(from: &Path, to: &Path, node: Node) -> NameChange {
        NameChange { removed: Some(from.to_path_buf()), ..NameChange::add(to, node) }
    }

    pub fn remove(path: &Path) -> NameChange {
        NameChange { removed: Some(path.to_path_buf()), ..NameChange::default() }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        if let Some(path) = &self.removed {
            names.remove(path);
        }
        if let Some((path, node)) = &self.added {
            names.insert(path.clone(), *node);
        }
    }

    fn names(&self) -> impl Iterator<Item = &PathBuf> {
        self.added.as_ref().map(|(path, _)| path).into_iter().chain(&self.removed)
    }

    fn touches(&self, dir: &Path) -> bool {
        self.names().any(|path| path.parent() == Some(dir))
    }
}
