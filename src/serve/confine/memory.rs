//! How much memory the query process has of what it may have.
//!
//! An engine counts only some of its memory, so the system bounds all of it; but at the system's bound an allocation fails, and with
//! it the process, whoever asked for how much. So there is a mark before that, at which questions are ended one by one. The mark is of
//! what is there: pages of its own that are in memory. The bound is of what could be written to (`RLIMIT_DATA`), for nothing
//! else stops a process at once; stacks count whole there, though little of them is touched, and so does
//! what the allocator keeps of addresses, so it is far above the mark and has a mark of its own.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use rustix::process::{Resource, Rlimit, setrlimit};

/// What operators hold and do not report is about as much again as what they do (arrays that grow double their room).
const FACTOR: u64 = 2;

/// What the process has beside what queries may take by their own account, as far as questions may go on: its program and
/// threads 150 MiB, kept digests of calls 192 MiB, footers 64 MiB, and what answers, series and texts of statements take.
const RESIDENT_BASE_BYTES: u64 = 1 << 30;

/// The same by the system's count: a thread's stack is 8 MiB of it, of which there are a hundred and forty, a
/// statement's that is planned 64 MiB.
const BOUND_BASE_BYTES: u64 = 3 << 30;

/// How near to the bound questions are ended: what one step of one of them takes at once, before it asks whether to go on.
const BOUND_MARGIN_BYTES: u64 = 768 << 20;

/// Longer than the file is.
const STATUS_BYTES_MAX: usize = 8 << 10;

/// Bounds the private memory of this process that can be written to, whose queries may take `memory_bytes_max` by their own
/// account, and says where.
pub fn bound(memory_bytes_max: usize) -> io::Result<u64> {
    let bytes = bytes(memory_bytes_max, BOUND_BASE_BYTES);
    setrlimit(Resource::Data, Rlimit { current: Some(bytes), maximum: Some(bytes) })?;
    Ok(bytes)
}

fn bytes(memory_bytes_max: usize, base: u64) -> u64 {
    (memory_bytes_max as u64).saturating_mul(FACTOR).saturating_add(base)
}

/// A process has more than it is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    pub bytes: u64,
    pub bytes_max: u64,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "all queries together take {} MiB of {}", self.bytes >> 20, self.bytes_max >> 20)
    }
}

/// Tells when this process has nearly all that it may have.
pub struct Memory {
    /// `/proc/self/status`, which says it all each time it is read.
    status: File,
    resident_bytes_max: u64,
    bound_bytes_max: u64,
}

impl Memory {
    /// # Errors
    /// The system does not tell.
    pub fn of_this_process(memory_bytes_max: usize) -> io::Result<Memory> {
        let bound_bytes_max = bytes(memory_bytes_max, BOUND_BASE_BYTES).saturating_sub(BOUND_MARGIN_BYTES);
        Ok(Memory {
            status: File::open("/proc/self/status")?,
            resident_bytes_max: bytes(memory_bytes_max, RESIDENT_BASE_BYTES),
            bound_bytes_max,
        })
    }

    /// Tells when the process is past a mark.
    pub fn shortage(&self) -> Option<Shortage> {
        let mut text = [0; STATUS_BYTES_MAX];
        let length = self.status.read_at(&mut text, 0).ok()?;
        self.shortage_by(&String::from_utf8_lossy(text.get(..length)?))
    }

    /// Source: proc_pid_status(5). `RssAnon` is what is in memory and no file's, `VmData` what `RLIMIT_DATA` is compared with.
    fn shortage_by(&self, status: &str) -> Option<Shortage> {
        let marks = [("RssAnon:", self.resident_bytes_max), ("VmData:", self.bound_bytes_max)];
        let found =
            marks.map(|(name, bytes_max)| Some(Shortage { bytes: bytes_of(status, name)?, bytes_max }));
        found.into_iter().flatten().find(|found| found.bytes > found.bytes_max)
    }
}

/// Of a line like `VmData:     1234 kB`.
fn bytes_of(status: &str, name: &str) -> Option<u64> {
    let kib = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib = kib.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_above_what_queries_may_take() {
        assert_eq!(bytes(1 << 30, BOUND_BASE_BYTES), 5 << 30);
        assert_eq!(bytes(usize::MAX, BOUND_BASE_BYTES), u64::MAX);
    }

    #[test]
    fn each_mark_is_told_one_kibibyte_beyond() {
        // 2 * 1 MiB + 1 GiB in memory, 2 * 1 MiB + 3 GiB - 768 MiB to be written.
        let memory = Memory::of_this_process(1 << 20).expect("Linux tells");
        let told = |resident: u64, data: u64| {
            memory.shortage_by(&format!("Name:\tmeshlake\nVmData:\t {data} kB\nRssAnon:\t{resident} kB\n"))
        };
        let (resident, data) = (1026 << 10, 2306 << 10);
        assert_eq!(told(resident, data), None);
        let beyond = |kib: u64| Some(Shortage { bytes: (kib + 1) << 10, bytes_max: kib << 10 });
        assert_eq!(told(resident + 1, data), beyond(resident));
        assert_eq!(told(resident, data + 1), beyond(data));
        assert_eq!(memory.shortage_by("VmData: much"), None);
        let words = beyond(data).map(|shortage| shortage.to_string());
        assert_eq!(words.as_deref(), Some("all queries together take 2306 MiB of 2306"));
    }

    #[test]
    fn what_this_process_has_is_read_again_each_time() {
        let mut memory = Memory::of_this_process(1 << 30).expect("Linux tells");
        assert_eq!(memory.shortage(), None);
        memory.resident_bytes_max = 0;
        assert!(memory.shortage().is_some());
        assert!(memory.shortage().is_some(), "once more");
    }
}
