//! Files that are rotated, packed, linked, cut and replaced, look by look, without a clock.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::symlink;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::*;
use crate::intake::testing::StillClock;

/// A watch over a directory, which stores what it reads in memory.
struct Case {
    dir: TempDir,
    watch: Watch,
    positions: Positions,
    patterns: Vec<String>,
}

impl Case {
    fn new(patterns: &[&str]) -> Case {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let positions = Positions::open(None, &[], Arc::new(StillClock)).expect("in memory");
        let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        let watch = Case::watch(&dir, &positions, &patterns);
        Case { dir, watch, positions, patterns }
    }

    fn watch(dir: &TempDir, positions: &Positions, patterns: &[String]) -> Watch {
        let section = |pattern: &String| Section {
            glob: Glob::new(&dir.path().join(pattern).display().to_string()).expect("a pattern"),
            names: PathNames::new("").expect("no expression"),
            origin: LineOrigin::default(),
            tenant: "default".into(),
        };
        Watch::new(patterns.iter().map(section).collect(), positions.clone())
    }

    /// What a process that starts anew reads.
    fn restart(&mut self) {
        self.watch = Case::watch(&self.dir, &self.positions, &self.patterns);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(name)).expect("opened");
        file.write_all(text.as_bytes()).expect("written");
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).expect("renamed");
    }

    fn cut(&self, name: &str) {
        OpenOptions::new().write(true).truncate(true).open(self.path(name)).expect("cut");
    }

    fn pack(&self, name: &str, text: &str) {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).expect("in memory");
        fs::write(self.path(name), encoder.finish().expect("in memory")).expect("written");
    }

    /// Looks once, and stores all that is read then.
    async fn look(&mut self) -> String {
        self.watch.look();
        let mut read = String::new();
        loop {
            let parts = self.watch.next_parts(4);
            if parts.is_empty() {
                return read;
            }
            for ReadPart { key, identity, tenant, part, .. } in parts {
                let claimed = self.positions.claim(&tenant, identity, part.range.clone()).await;
                if let Some(claim) = claimed.expect("known") {
                    read += &String::from_utf8_lossy(&part.slice(claim.part()));
                    claim.stored();
                }
                self.watch.settle(key, true);
            }
        }
    }

    /// The text of so many looks.
    async fn looks(&mut self, count: u32) -> String {
        let mut read = String::new();
        for _ in 0..count {
            read += &self.look().await;
        }
        read
    }
}

/// Files are read in no particular order.
fn sorted(read: &str) -> Vec<&str> {
    let mut lines: Vec<_> = read.lines().collect();
    lines.sort_unstable();
    lines
}

#[tokio::test]
async fn lines_are_read_when_they_have_ended() {
    let mut case = Case::new(&["*.log"]);
    assert_eq!(case.look().await, "");
    case.append("a.log", "one\ntw");
    assert_eq!(case.look().await, "one\n");
    assert_eq!(case.look().await, "");
    case.append("a.log", "o\nthree\n");
    assert_eq!(case.look().await, "two\nthree\n");
}

#[tokio::test]
async fn a_file_that_is_renamed_is_read_to_its_end_once() {
    for pattern in ["a.log", "a.log*"] {
        let mut case = Case::new(&[pattern]);
        case.append("a.log", "one\n");
        assert_eq!(case.look().await, "one\n");
        case.append("a.log", "two\n");
        case.rename("a.log", "a.log.1");
        case.append("a.log", "new\n");
        // The writer still has the old one open.
        case.append("a.log.1", "three\n");
        assert_eq!(sorted(&case.look().await), ["new", "three", "two"], "{pattern}");
        case.append("a.log.1", "four");
        let rest = if pattern == "a.log" { "four" } else { "" };
        assert_eq!(case.looks(UNNAMED_LOOKS_MAX + 2).await, rest, "{pattern}: nobody ends that line");
    }
}

/// What stands where the next part would begin is of another file; whose part it was taken for would seem to have been read further
/// than it goes, and its copy never be read to its end.
#[tokio::test]
async fn a_file_that_is_cut_and_outgrows_what_was_read_is_not_read_on() {
    let mut case = Case::new(&["a.log*"]);
    case.append("a.log", "one\n");
    assert_eq!(case.look().await, "one\n");
    case.append("a.log", "two\n");
    fs::copy(case.path("a.log"), case.path("a.log.1")).expect("copied");
    case.cut("a.log");
    case.append("a.log", "new 1\nnew 2\nnew 3\n");
    assert_eq!(case.watch.next_parts(4).len(), 0, "between two looks");
    assert_eq!(sorted(&case.looks(3).await), ["new 1", "new 2", "new 3", "two"]);
}

#[tokio::test]
async fn a_file_that_is_copied_and_cut_goes_on_in_the_copy() {
    let mut case = Case::new(&["a.log*"]);
    case.append("a.log", "one\n");
    assert_eq!(case.look().await, "one\n");
    case.append("a.log", "two\n");
    fs::copy(case.path("a.log"), case.path("a.log.1")).expect("copied");
    assert_eq!(case.look().await, "two\n", "alike: read once");
    fs::copy(case.path("a.log"), case.path("a.log.1")).expect("copied");
    case.append("a.log.1", "three\n");
    case.cut("a.log");
    case.append("a.log", "new\n");
    assert_eq!(sorted(&case.looks(2).await), ["new", "three"]);
    assert_eq!(case.looks(2).await, "");
}

#[tokio::test]
async fn a_file_that_is_cut_and_grown_past_its_position_is_another() {
    let mut case = Case::new(&["a.log"]);
    case.append("a.log", "one\n");
    assert_eq!(case.look().await, "one\n");
    case.cut("a.log");
    case.append("a.log", "this one is longer\n");
    assert_eq!(case.look().await, "this one is longer\n");
}

#[tokio::test]
async fn a_packed_file_is_read_when_it_has_settled_and_once() {
    let mut case = Case::new(&["a.log*"]);
    let text = "one\ntwo\nthree";
    case.pack("a.log.2.gz", text);
    assert_eq!(case.look().await, "", "it may still be written");
    assert_eq!(case.look().await, text);
    assert_eq!(case.look().await, "");
    case.restart();
    assert_eq!(case.looks(3).await, "");
    case.append("a.log", "four\nfive\n");
    assert_eq!(case.look().await, "four\nfive\n");
    case.pack("a.log.1.gz", "four\nfive\nsix\n");
    fs::remove_file(case.path("a.log")).expect("removed");
    assert_eq!(case.looks(UNNAMED_LOOKS_MAX + 3).await, "six\n", "the rest of what was followed");
}

#[tokio::test]
async fn a_broken_packed_file_is_read_as_far_as_it_goes() {
    let mut case = Case::new(&["*"]);
    let text = "a line\n".repeat(400_000);
    case.pack("a.gz", &text);
    let packed = fs::read(case.path("a.gz")).expect("read");
    fs::write(case.path("a.gz"), &packed[..packed.len() - 9]).expect("written");
    let read = case.looks(3).await;
    assert!(!read.is_empty() && text.starts_with(&read));
}

#[tokio::test]
async fn a_start_goes_on_where_the_last_one_ended() {
    let mut case = Case::new(&["a.log*"]);
    case.append("a.log", "one\ntwo\n");
    assert_eq!(case.look().await, "one\ntwo\n");
    case.append("a.log", "three\n");
    case.rename("a.log", "a.log.1");
    case.append("a.log", "new\n");
    case.restart();
    assert_eq!(sorted(&case.look().await), ["new", "three"]);
}

/// Fields at the head and others in the middle, of a plain file and of a packed one.
#[tokio::test]
async fn a_start_knows_which_fields_a_file_has_said() {
    let mut case = Case::new(&["u_ex*"]);
    let said = "#Fields: a b\n1 2\n#Fields: b a\n2 1\n";
    case.append("u_ex.log", said);
    assert_eq!(case.look().await, said);
    case.restart();
    case.append("u_ex.log", "4 3\n");
    case.watch.look();
    let parts = case.watch.next_parts(4);
    assert_eq!(parts[0].part.fields.as_deref(), Some(b"#Fields: b a".as_slice()));
    case.restart();
    fs::remove_file(case.path("u_ex.log")).expect("removed");
    case.pack("u_ex.1.gz", &[said, "4 3\n"].concat());
    case.watch.look();
    case.watch.look();
    let parts = case.watch.next_parts(4);
    assert_eq!((&parts[0].part.bytes[..], parts[0].part.fields.as_deref()), {
        (b"4 3\n".as_slice(), Some(b"#Fields: b a".as_slice()))
    });
}

#[tokio::test]
async fn files_that_begin_alike_wait_until_they_differ() {
    let mut case = Case::new(&["*.log"]);
    case.append("a.log", "same\n");
    case.append("b.log", "same\n");
    assert_eq!(case.look().await, "same\n");
    case.append("b.log", "b\n");
    assert_eq!(case.look().await, "", "a may go on like that, too");
    case.append("a.log", "a\n");
    assert_eq!(sorted(&case.looks(2).await), ["a", "b", "same"]);
    assert_eq!(case.look().await, "");
}

#[tokio::test]
async fn links_lead_to_files_once_and_their_targets_may_change() {
    let mut case = Case::new(&["*.log"]);
    case.append("0", "one\n");
    symlink(case.path("0"), case.path("a.log")).expect("linked");
    symlink(case.path("0"), case.path("b.log")).expect("linked");
    symlink(case.path("c.log"), case.path("c.log")).expect("a circle");
    symlink(case.path("missing"), case.path("d.log")).expect("linked to nothing");
    assert_eq!(case.look().await, "one\n");
    case.append("1", "two\n");
    fs::remove_file(case.path("a.log")).expect("removed");
    symlink(case.path("1"), case.path("a.log")).expect("linked");
    assert_eq!(case.look().await, "two\n");
    assert!(case.watch.told.iter().any(|(path, _)| path.ends_with("c.log")), "{:?}", case.watch.told);
}

#[tokio::test]
async fn what_is_no_file_is_refused_with_a_reason() {
    let mut case = Case::new(&["*"]);
    fs::create_dir(case.path("dir.log")).expect("made");
    let fifo = case.path("fifo.log");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo runs");
    assert!(made.success());
    assert_eq!(case.looks(2).await, "");
    let mut told: Vec<_> = case.watch.told.iter().map(|(_, why)| why.as_str()).collect();
    told.sort_unstable();
    let want = [
        "cannot be followed: it is a FIFO and not a file",
        "cannot be followed: it is a directory and not a file",
    ];
    assert_eq!(told, want);
}

#[tokio::test]
async fn what_was_not_stored_is_read_again() {
    let mut case = Case::new(&["a.log"]);
    case.append("a.log", "one\n");
    case.watch.look();
    let parts = case.watch.next_parts(4);
    assert_eq!(parts.len(), 1);
    case.append("a.log", "two\n");
    case.watch.settle(parts[0].key, false);
    assert_eq!(case.watch.next_parts(4).len(), 0, "not before the next look");
    assert_eq!(case.look().await, "one\ntwo\n");
}

/// A line of 3 MiB without an end, then its end.
#[tokio::test]
async fn a_line_without_an_end_waits_in_bounded_memory() {
    let mut case = Case::new(&["a.log"]);
    case.append("a.log", "first\n");
    case.append("a.log", &"x".repeat(3 << 20));
    assert_eq!(case.looks(2).await, "first\n");
    case.append("a.log", "y\nlast\n");
    let read = case.look().await;
    assert_eq!((read.len(), read.ends_with("xlast\n")), (crate::lines::CUT_LINE_BYTES + 5, true));
}

#[tokio::test]
async fn no_more_files_are_followed_than_may_be() {
    let mut case = Case::new(&["*.log"]);
    for n in 0..=FOLLOWED_MAX {
        case.append(&format!("{n}.log"), &format!("file {n}\n"));
    }
    assert_eq!(case.look().await.lines().count(), FOLLOWED_MAX);
    assert!(case.watch.told.iter().any(|(_, why)| why.contains("480 files")));
    for n in 0..10 {
        fs::remove_file(case.path(&format!("{n}.log"))).expect("removed");
    }
    assert_eq!(case.looks(UNNAMED_LOOKS_MAX + 3).await.lines().count(), 1);
}
