//! One input: a file, a pipe or standard input, inflated, read in parts of whole lines.

use std::fs::{self, File};
use std::io::{self, Cursor, Read};

use anyhow::{Context as _, Result, ensure};
use hyper::body::Bytes;
use indicatif::{ProgressBar, ProgressBarIter};
use meshlake_collector::lines::{Part, PartReader, inflating, packing_of};
use tokio::sync::mpsc;

/// What a file is known by: as many bytes as the server takes for that.
const HEAD_BYTES: u64 = 4096;

/// What stands for standard input.
const STANDARD_INPUT: &str = "-";

/// An input that was opened.
pub struct Input {
    head: Bytes,
    /// What comes behind the head.
    rest: Box<dyn Read + Send>,
}

/// Says early what cannot be imported.
///
/// # Errors
/// There is nothing of that name, or it is a directory.
pub fn check(name: &str) -> Result<()> {
    if name != STANDARD_INPUT {
        let metadata = fs::metadata(name).with_context(|| name.to_owned())?;
        ensure!(!metadata.is_dir(), "{name}: it is a directory; name the files in it");
    }
    Ok(())
}

/// How many bytes the input has, packed as it is; `None` where only its end will tell.
pub fn packed_bytes(name: &str) -> Option<u64> {
    let metadata = fs::metadata(name).ok().filter(|_| name != STANDARD_INPUT)?;
    metadata.is_file().then_some(metadata.len())
}

impl Input {
    /// Opens an input and reads what it begins with; `bar` moves on by what is read. Blocks.
    ///
    /// # Errors
    /// It cannot be read, or is broken from the start.
    pub fn open(name: &str, bar: &ProgressBar) -> Result<Input> {
        bar.set_message(name.to_owned());
        let raw: Box<dyn Read + Send> = match name {
            STANDARD_INPUT => Box::new(io::stdin()),
            path => Box::new(File::open(path)?),
        };
        let mut raw: ProgressBarIter<_> = bar.wrap_read(raw);
        let packed_head = read_head(&mut raw)?;
        let packing = packing_of(&packed_head);
        let mut rest = inflating(Cursor::new(packed_head).chain(raw), packing)?;
        let head = read_head(&mut rest).context("inflate")?;
        Ok(Input { head: head.into(), rest })
    }

    /// What it begins with, inflated.
    pub fn head(&self) -> Bytes {
        self.head.clone()
    }

    /// Sends the parts behind the first `position` bytes; how many lines are before that. Blocks.
    ///
    /// # Errors
    /// It cannot be read to its end; what was read until then has been sent.
    pub fn read_from(self, position: u64, parts: &mpsc::Sender<Part>) -> io::Result<u64> {
        let mut lines = 0;
        let count = |part: &Part| {
            let said = part.bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
            lines += said.count() as u64;
        };
        let mut reader = PartReader::behind(Cursor::new(self.head).chain(self.rest), position, count)?;
        while let Some(part) = reader.next_part()? {
            if parts.blocking_send(part).is_err() {
                return Ok(lines);
            }
        }
        // A last line without an end is one; whoever receives may have given up.
        if let Some(rest) = reader.rest() {
            let _ = parts.blocking_send(rest);
        }
        Ok(lines)
    }
}

fn read_head(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    reader.by_ref().take(HEAD_BYTES).read_to_end(&mut head)?;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is sent of `text` from `position` on, and how many lines are before that.
    fn sent(text: &[u8], position: u64) -> (Vec<(u64, String)>, u64) {
        let (head, rest) = text.split_at(text.len().min(HEAD_BYTES as usize));
        let input = Input { head: Bytes::copy_from_slice(head), rest: Box::new(Cursor::new(rest.to_vec())) };
        let (send, mut receive) = mpsc::channel(16);
        let lines = input.read_from(position, &send).expect("memory");
        let mut parts = Vec::new();
        while let Ok(part) = receive.try_recv() {
            parts.push((part.range.start, String::from_utf8_lossy(&part.bytes).into_owned()));
        }
        (parts, lines)
    }

    #[test]
    fn what_is_stored_is_counted_and_not_sent() {
        let text = |text: &str| text.to_owned();
        assert_eq!(sent(b"a\nb\nc", 0), (vec![(0, text("a\nb\n")), (4, text("c"))], 0));
        assert_eq!(sent(b"a\n\nb\nc", 3), (vec![(3, text("b\n")), (5, text("c"))], 1));
        assert_eq!(sent(b"a\nb\nc", 5), (vec![], 3));
        assert_eq!(sent(b"a\n", 99), (vec![], 1), "it has become shorter");
        let long = b"0123456\n".repeat(10_000);
        let (parts, lines) = sent(&long, 8 * 9_999);
        assert_eq!((parts, lines), (vec![(79_992, text("0123456\n"))], 9_999));
    }

    #[test]
    fn a_directory_or_nothing_is_refused_at_once() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let told = |name: &str| check(name).expect_err("refused").to_string();
        assert!(told(&dir.path().display().to_string()).contains("directory"));
        let missing = dir.path().join("missing").display().to_string();
        assert_eq!(told(&missing), missing);
        assert!(check("-").is_ok());
    }
}
