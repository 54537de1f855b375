//! One file that is followed: read part by part from where it was left, until it is another file or gone.
//!
//! A plain file is kept open, so that it can be read to its end when its name has moved on. A packed one does not grow: it
//! is read once, when it has stopped changing.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::decode::Sender;
use crate::lines::{Packing, Part, PartReader, has_directives, inflating, packing_of};
use crate::positions::{HEAD_BYTES_MAX, KnownFile};

/// Opening must not wait for the other end of a pipe. Source: Linux, `asm-generic/fcntl.h`.
const O_NONBLOCK: i32 = 0o4000;

/// Which file of a file system it is, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct FileKey {
    device: u64,
    number: u64,
}

impl FileKey {
    pub(super) fn of(metadata: &Metadata) -> FileKey {
        FileKey { device: metadata.dev(), number: metadata.ino() }
    }
}

/// Size and time of the last change: while they stay, nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    bytes: u64,
    seconds: i64,
    nanos: i64,
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Stamp {
        Stamp { bytes: metadata.len(), seconds: metadata.mtime(), nanos: metadata.mtime_nsec() }
    }
}

/// A file that was opened.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) path: PathBuf,
    pub(super) key: FileKey,
    pub(super) stamp: Stamp,
    pub(super) packing: Packing,
    /// What it begins with, inflated.
    pub(super) head: Vec<u8>,
    file: File,
}

impl Opened {
    /// Opens the file at `path` and reads what it begins with.
    ///
    /// # Errors
    /// The file system's, or the file is broken; [`ErrorKind::InvalidInput`], with words for a person, where it is no file
    /// that lines can be read from.
    pub(super) fn open(path: &Path) -> io::Result<Opened> {
        let file = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(path)?;
        let metadata = file.metadata()?;
        if let Some(kind) = unreadable_kind(&metadata) {
            return Err(io::Error::new(ErrorKind::InvalidInput, format!("it is {kind} and not a file")));
        }
        let (key, stamp) = (FileKey::of(&metadata), Stamp::of(&metadata));
        let raw = read_head(&file)?;
        let packing = packing_of(&raw);
        let mut opened = Opened { path: path.to_owned(), key, stamp, packing, head: raw, file };
        if packing != Packing::Plain {
            let mut head = Vec::new();
            opened.reader()?.take(HEAD_BYTES_MAX as u64).read_to_end(&mut head)?;
            opened.head = head;
        }
        Ok(opened)
    }

    /// Whether enough of it is there to tell it from others: a line, or as much as files are known by.
    pub(super) fn can_be_known(&self) -> bool {
        self.head.len() == HEAD_BYTES_MAX || self.head.contains(&b'\n')
    }

    /// Its bytes when it was opened, packed as it is.
    pub(super) fn stamp_bytes(&self) -> u64 {
        self.stamp.bytes
    }

    /// What it holds, from its start.
    fn reader(&self) -> io::Result<Box<dyn io::Read + Send>> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        inflating(file, self.packing)
    }

    /// Reads on from `position`. Of a file that says which fields its lines have, what stands before is read for that.
    fn reader_from(&self, position: u64) -> io::Result<PartReader<Box<dyn io::Read + Send>>> {
        if self.packing == Packing::Plain && !has_directives(&self.head) {
            let mut file = self.file.try_clone()?;
            file.seek(SeekFrom::Start(position))?;
            return Ok(PartReader::new(Box::new(file), position));
        }
        PartReader::behind(self.reader()?, position, |_| {})
    }
}

/// A file that is followed.
pub(super) struct Followed {
    opened: Opened,
    pub(super) known: KnownFile,
    /// Which of the configured sections it is of.
    pub(super) section: usize,
    pub(super) sender: Arc<Sender>,
    reader: PartReader<Box<dyn io::Read + Send>>,
    /// Parts that were given out and not settled.
    pub(super) in_flight: usize,
    /// One of them was not stored.
    pub(super) has_failed: bool,
    /// For how many looks no path has led to it.
    pub(super) looks_unnamed: u32,
    /// Nothing more will be read of it.
    pub(super) is_done: bool,
    /// It was found to be cut while it was read.
    is_cut: bool,
}

impl Followed {
    /// Follows `opened` from the position of `known` on.
    ///
    /// # Errors
    /// As reading it.
    pub(super) fn new(
        opened: Opened,
        known: KnownFile,
        section: usize,
        sender: Arc<Sender>,
    ) -> io::Result<Followed> {
        let reader = opened.reader_from(known.position)?;
        Ok(Followed {
            opened,
            known,
            section,
            sender,
            reader,
            in_flight: 0,
            has_failed: false,
            looks_unnamed: 0,
            is_done: false,
            is_cut: false,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.opened.path
    }

    pub(super) fn set_path(&mut self, path: &Path) {
        if self.opened.path != path {
            path.clone_into(&mut self.opened.path);
        }
    }

    /// What it begins with now, up to what files are known by.
    pub(super) fn head_now(&self) -> io::Result<Vec<u8>> {
        match self.opened.packing {
            Packing::Plain => read_head(&self.opened.file),
            Packing::Gzip | Packing::Zstd => Ok(self.opened.head.clone()),
        }
    }

    /// Whether it no longer begins as the file that it was: it was cut and is written anew.
    ///
    /// # Errors
    /// As reading it.
    pub(super) fn is_another(&mut self) -> io::Result<bool> {
        let stamp = Stamp::of(&self.opened.file.metadata()?);
        if stamp == self.opened.stamp {
            return Ok(self.is_cut);
        }
        let is_cut = self.opened.packing == Packing::Plain && stamp.bytes < self.reader.offset();
        if self.is_cut || is_cut || !self.begins_as_known()? {
            return Ok(true);
        }
        self.opened.stamp = stamp;
        Ok(false)
    }

    fn begins_as_known(&self) -> io::Result<bool> {
        let known = &self.opened.head[..self.known.head_bytes.min(self.opened.head.len())];
        Ok(self.head_now()?.starts_with(known))
    }

    /// What was read, unless the file was cut and has grown anew beyond all that was read of it: then these are bytes from the
    /// middle of another file. Asked after reading, so that no cut falls in between.
    fn own(&mut self, part: Option<Part>) -> io::Result<Option<Part>> {
        self.is_cut |= part.is_some() && !self.begins_as_known()?;
        Ok(part.filter(|_| !self.is_cut))
    }

    /// The next part; `None` when nothing more has come, or the file is another one by now. A packed file is done then.
    ///
    /// # Errors
    /// As reading it.
    pub(super) fn next_part(&mut self) -> io::Result<Option<Part>> {
        if self.is_done || self.has_failed {
            return Ok(None);
        }
        let part = self.reader.next_part()?;
        if part.is_none() && self.opened.packing != Packing::Plain {
            self.is_done = true;
            return Ok(self.reader.rest());
        }
        self.own(part)
    }

    /// What stands behind the last line, when nobody writes to it any more.
    ///
    /// # Errors
    /// As reading it.
    pub(super) fn rest(&mut self) -> io::Result<Option<Part>> {
        if self.is_done || self.has_failed {
            return Ok(None);
        }
        let rest = self.reader.rest();
        self.own(rest)
    }

    /// Reads again from `position`, because what was read from there on was not stored.
    ///
    /// # Errors
    /// As reading it.
    pub(super) fn go_back_to(&mut self, position: u64) -> io::Result<()> {
        self.reader = self.opened.reader_from(position)?;
        self.has_failed = false;
        self.is_done = false;
        Ok(())
    }
}

fn read_head(file: &File) -> io::Result<Vec<u8>> {
    let mut head = vec![0; HEAD_BYTES_MAX];
    let mut length = 0;
    while length < head.len() {
        match file.read_at(&mut head[length..], length as u64) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    head.truncate(length);
    Ok(head)
}

fn unreadable_kind(metadata: &Metadata) -> Option<&'static str> {
    use std::os::unix::fs::FileTypeExt as _;
    let kind = metadata.file_type();
    let kinds = [
        (kind.is_dir(), "a directory"),
        (kind.is_fifo(), "a FIFO"),
        (kind.is_socket(), "a socket"),
        (kind.is_char_device() || kind.is_block_device(), "a device"),
    ];
    kinds.into_iter().find(|(is_it, _)| *is_it).map(|(_, name)| name)
}
