//! Reads parts of whole lines, one after another, each with the bytes of the file that it is of.
//!
//! A line without an end is read in steps and not kept beyond [`CUT_LINE_BYTES`], so that a file of 1 GiB without a line
//! feed takes no more memory than any other. What stands behind the last line feed waits: the file may grow. So do lines
//! that say nothing: a part without a row would leave no trace in the log, and what follows it could not be found again
//! after a crash.

use std::io::{self, ErrorKind, Read};
use std::ops::Range;

use bytes::Bytes;

use super::container::whole_lines;
use super::fields::last_fields;
use super::{CUT_LINE_BYTES, PART_BYTES_MAX};

/// Whole lines of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The bytes of the file that it is of; of a packed file, of what it holds.
    pub range: Range<u64>,
    /// Those bytes, or the start of a line that is longer than a part.
    pub bytes: Bytes,
    /// The line of the file that says which fields the first lines of the part have, if one does.
    pub fields: Option<Bytes>,
}

impl Part {
    /// Whether it is a line that was too long to be kept whole.
    pub fn is_cut(&self) -> bool {
        self.bytes.len() as u64 != self.range.end - self.range.start
    }

    /// The line of the file that says which fields the lines from `offset` on have, if one does.
    pub fn fields_at(&self, offset: u64) -> Option<Bytes> {
        let before =
            if offset > self.range.start { self.slice(self.range.start..offset) } else { Bytes::new() };
        last_fields(&before).or_else(|| self.fields.clone())
    }

    /// The piece of it that is of `range`; of a line that was cut, all of it if it starts there and else nothing.
    pub fn slice(&self, range: Range<u64>) -> Bytes {
        if range.is_empty() {
            return Bytes::new();
        }
        if self.is_cut() {
            return if range.start == self.range.start { self.bytes.clone() } else { Bytes::new() };
        }
        let at = |offset: u64| (offset.clamp(self.range.start, self.range.end) - self.range.start) as usize;
        self.bytes.slice(at(range.start)..at(range.end).max(at(range.start)))
    }
}

/// The parts of what `read` gives. Reading on after an end finds what has come since.
#[derive(Debug)]
pub struct PartReader<R> {
    read: R,
    /// Where in the file `buffer` starts.
    offset: u64,
    buffer: Vec<u8>,
    /// Bytes behind `buffer` that belong to its one line and are not kept.
    skipped: u64,
    /// The line before `buffer` that says which fields follow.
    fields: Option<Bytes>,
}

impl<R: Read> PartReader<R> {
    /// `read` gives the file from `offset` on, which is where a line starts.
    pub fn new(read: R, offset: u64) -> Self {
        PartReader { read, offset, buffer: Vec::new(), skipped: 0, fields: None }
    }

    /// Reads on behind the first `bytes` of the file, which `read` gives whole, as one that has read them; each part of
    /// them is shown to `see`.
    ///
    /// # Errors
    /// The reader's.
    pub fn behind(mut read: R, bytes: u64, mut see: impl FnMut(&Part)) -> io::Result<Self> {
        let mut before = PartReader::new(read.by_ref().take(bytes), 0);
        while let Some(part) = before.next_part()? {
            see(&part);
        }
        if let Some(rest) = before.rest() {
            see(&rest);
        }
        let PartReader { offset, fields, .. } = before;
        Ok(PartReader { fields, ..PartReader::new(read, offset) })
    }

    /// Where the next part starts.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    pub fn get_ref(&self) -> &R {
        &self.read
    }

    /// The next part; `None` when no further line has ended yet.
    ///
    /// # Errors
    /// The reader's; what was read before stays.
    pub fn next_part(&mut self) -> io::Result<Option<Part>> {
        loop {
            if self.skipped > 0 {
                return self.skip_line();
            }
            let is_full = self.fill()?;
            let end = self
                .buffer
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map(|at| whole_lines(&self.buffer[..=at]));
            match end {
                // Lines of which none is whole are joined as far as they go: there is no room for more.
                Some(0) if is_full => return Ok(Some(self.take(self.buffer.len()))),
                Some(0) => return Ok(None),
                Some(end) if !is_full && is_empty(&self.buffer[..end]) => return Ok(None),
                Some(end) => return Ok(Some(self.take(end))),
                None if is_full => {
                    self.skipped = (self.buffer.len() - CUT_LINE_BYTES) as u64;
                    self.buffer.truncate(CUT_LINE_BYTES);
                }
                None => return Ok(None),
            }
        }
    }

    /// What stands behind the last line that has ended, as a line, when no more will come.
    pub fn rest(&mut self) -> Option<Part> {
        (!self.buffer.is_empty()).then(|| self.take(self.buffer.len()))
    }

    /// Whether something stands behind the last line that has ended.
    pub fn has_rest(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Reads until a part is full or nothing more comes; whether it is full.
    fn fill(&mut self) -> io::Result<bool> {
        let room = PART_BYTES_MAX - self.buffer.len();
        self.read.by_ref().take(room as u64).read_to_end(&mut self.buffer)?;
        Ok(self.buffer.len() == PART_BYTES_MAX)
    }

    /// Reads on to the end of a line that is too long.
    fn skip_line(&mut self) -> io::Result<Option<Part>> {
        let mut step = vec![0; CUT_LINE_BYTES];
        loop {
            let read = match self.read.read(&mut step) {
                Ok(0) => return Ok(None),
                Ok(read) => &step[..read],
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let Some(end) = read.iter().position(|byte| *byte == b'\n') else {
                self.skipped += read.len() as u64;
                continue;
            };
            self.skipped += end as u64 + 1;
            let part = self.take(self.buffer.len());
            self.buffer.extend_from_slice(&read[end + 1..]);
            return Ok(Some(part));
        }
    }

    fn take(&mut self, bytes: usize) -> Part {
        let rest = self.buffer.split_off(bytes);
        let bytes = Bytes::from(std::mem::replace(&mut self.buffer, rest));
        let start = self.offset;
        self.offset += bytes.len() as u64 + std::mem::take(&mut self.skipped);
        let said = last_fields(&bytes).or_else(|| self.fields.clone());
        Part { range: start..self.offset, bytes, fields: std::mem::replace(&mut self.fields, said) }
    }
}

/// Whether no line says anything: all are blank, or comments as W3C's format has them.
fn is_empty(lines: &[u8]) -> bool {
    lines.split(|byte| *byte == b'\n').all(|line| line.starts_with(b"#") || line.trim_ascii().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(file: &[u8], offset: u64) -> (Vec<Part>, Option<Part>) {
        let mut reader = PartReader::new(&file[offset as usize..], offset);
        let mut parts = Vec::new();
        while let Some(part) = reader.next_part().expect("memory") {
            parts.push(part);
        }
        (parts, reader.rest())
    }

    fn part(range: Range<u64>, bytes: &[u8]) -> Part {
        Part { range, bytes: Bytes::copy_from_slice(bytes), fields: None }
    }

    #[test]
    fn a_part_ends_with_a_line_and_the_rest_waits() {
        assert_eq!(parts(b"", 0), (vec![], None));
        assert_eq!(parts(b"a\nb\n", 0), (vec![part(0..4, b"a\nb\n")], None));
        assert_eq!(parts(b"a\nb\nc", 2), (vec![part(2..4, b"b\n")], Some(part(4..5, b"c"))));
        assert_eq!(parts(b"\0\xff", 0), (vec![], Some(part(0..2, b"\0\xff"))));
    }

    #[test]
    fn lines_that_say_nothing_wait_for_one_that_does() {
        assert_eq!(parts(b"\n \t\r\n#x\n", 0), (vec![], Some(part(0..8, b"\n \t\r\n#x\n"))));
        assert_eq!(parts(b"\n#x\na\n", 0), (vec![part(0..6, b"\n#x\na\n")], None));
        let blank = vec![b'\n'; PART_BYTES_MAX];
        assert_eq!(parts(&blank, 0).0[0].range, 0..PART_BYTES_MAX as u64, "but not for ever");
    }

    #[test]
    fn reading_on_finds_what_has_come_since() {
        let mut file = io::Cursor::new(b"a\nb".to_vec());
        let mut reader = PartReader::new(&mut file, 0);
        assert_eq!(reader.next_part().expect("memory"), Some(part(0..2, b"a\n")));
        assert_eq!(reader.next_part().expect("memory"), None);
        reader.read.get_mut().extend_from_slice(b"c\nd");
        assert_eq!(reader.next_part().expect("memory"), Some(part(2..5, b"bc\n")));
        assert_eq!((reader.offset(), reader.has_rest()), (5, true));
    }

    /// Lines of 16 bytes do not divide a part's bytes less 7; each byte is in one part.
    #[test]
    fn parts_are_full_and_follow_on_one_another() {
        let line = b"0123456789abcde\n";
        let file = [b"123456\n".as_slice(), &line.repeat(2 * PART_BYTES_MAX / 16)].concat();
        let (parts, rest) = parts(&file, 0);
        assert_eq!(rest, None);
        assert_eq!(parts[0].range, 0..(PART_BYTES_MAX - 9) as u64);
        assert_eq!(parts.iter().map(|part| &part.bytes[..]).collect::<Vec<_>>().concat(), file);
        assert!(parts.windows(2).all(|two| two[0].range.end == two[1].range.start));
        assert!(parts.iter().all(|part| !part.is_cut()));
    }

    #[test]
    fn a_line_longer_than_a_part_is_kept_cut() {
        for (line_bytes, cut) in
            [(PART_BYTES_MAX - 1, false), (PART_BYTES_MAX, true), (3 * PART_BYTES_MAX, true)]
        {
            let file = [vec![b'x'; line_bytes], b"\nnext\n".to_vec()].concat();
            let (parts, rest) = parts(&file, 0);
            assert_eq!((parts[0].range.clone(), parts[0].is_cut()), (0..line_bytes as u64 + 1, cut));
            let kept = if cut { CUT_LINE_BYTES } else { line_bytes + 1 };
            assert_eq!(parts[0].bytes.len(), kept);
            assert_eq!((&parts[1].bytes[..], rest), (b"next\n".as_slice(), None));
        }
        // Without an end it waits, in bounded memory.
        let file = vec![b'x'; 5 * PART_BYTES_MAX];
        let mut reader = PartReader::new(&file[..], 0);
        assert_eq!(reader.next_part().expect("memory"), None);
        assert!(reader.buffer.capacity() <= 2 * PART_BYTES_MAX);
        assert_eq!(reader.rest().map(|rest| rest.range), Some(0..file.len() as u64));
    }

    /// Fields at the head, and others in the middle of the second part.
    #[test]
    fn a_part_takes_along_which_fields_its_lines_have() {
        let lines = b"1 2 345\n".repeat(PART_BYTES_MAX / 8);
        let (first, second) = (b"#Fields: a b c\n".as_slice(), b"#Fields: d\n".as_slice());
        let file = [first, &lines, second, &lines, b"rest"].concat();
        let (parts, rest) = parts(&file, 0);
        let of = |part: &Part| part.fields.as_ref().map(|line| String::from_utf8_lossy(line).into_owned());
        let (a, d) = (Some("#Fields: a b c".to_owned()), Some("#Fields: d".to_owned()));
        let fields: Vec<_> = parts.iter().chain(&rest).map(of).collect();
        assert_eq!(fields, [None, a.clone(), d.clone(), d.clone()]);
        let change = (first.len() + lines.len()) as u64;
        let at =
            |offset: u64| parts[1].fields_at(offset).map(|line| String::from_utf8_lossy(&line).into_owned());
        assert_eq!((at(parts[1].range.start), at(change)), (a.clone(), a.clone()));
        assert_eq!(at(change + second.len() as u64), d);
        // Whoever begins behind what is stored knows what stands before it.
        for (position, want) in [(0, None), (first.len() as u64, a.clone()), (change, a), (change + 19, d)] {
            let mut seen = 0;
            let see = |part: &Part| seen += part.bytes.len();
            let mut reader = PartReader::behind(&file[..], position, see).expect("memory");
            let part = reader.next_part().expect("memory").expect("a part");
            assert_eq!((part.range.start, of(&part), seen as u64), (position, want, position));
        }
    }

    #[test]
    fn a_slice_of_a_part_is_by_bytes_of_the_file() {
        let whole = part(10..14, b"a\nb\n");
        for (range, want) in [
            (10..14, b"a\nb\n".as_slice()),
            (12..14, b"b\n"),
            (12..99, b"b\n"),
            (0..12, b"a\n"),
            (20..30, b""),
        ] {
            assert_eq!(whole.slice(range.clone()), want, "{range:?}");
        }
        let cut = part(10..99, b"a");
        assert_eq!((&cut.slice(10..99)[..], &cut.slice(50..99)[..]), (b"a".as_slice(), b"".as_slice()));
        assert_eq!(&cut.slice(10..10)[..], b"", "nothing stands before its start");
    }
}
