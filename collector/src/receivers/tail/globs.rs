//! Finds the files that a pattern of paths names, again and again, whatever links and directories are in the way.
//!
//! The walk is our own because it runs every second over trees that others write to: it follows links (those of
//! `/var/log/containers` are nothing else) and still ends where they run in circles, and it is bounded by the entries that
//! it looks at.
//!
//! `*`, `?` and `[...]` match within one name, `**` any number of directories. Names that begin with a dot have to be named.

use std::collections::HashSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern, PatternError};

/// Entries of directories that one look takes in. A node's `/var/log/pods` has some thousands; a pattern that takes in
/// more is meant otherwise.
const ENTRIES_MAX: usize = 100_000;

const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// A pattern of paths.
#[derive(Debug, Clone)]
pub(super) struct Glob {
    start: PathBuf,
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
enum Step {
    Name(String),
    Matching(Pattern),
    /// `**`
    AnyDepth,
}

/// What a look has found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Everything that is named, files or not, in the order of names.
    pub(super) paths: Vec<PathBuf>,
    /// Directories that could not be looked into.
    pub(super) failed: Vec<(PathBuf, io::Error)>,
    /// More entries were there than are looked at.
    pub(super) is_cut: bool,
    entries: usize,
}

impl Glob {
    /// # Errors
    /// What is wrong with the pattern.
    pub(super) fn new(pattern: &str) -> Result<Glob, PatternError> {
        let start = if pattern.starts_with('/') { "/" } else { "." };
        let names = pattern.split('/').filter(|name| !matches!(*name, "" | "."));
        let step = |name: &str| match name {
            "**" => Ok(Step::AnyDepth),
            name if name.contains(['*', '?', '[']) => Pattern::new(name).map(Step::Matching),
            name => Ok(Step::Name(name.to_owned())),
        };
        Ok(Glob { start: PathBuf::from(start), steps: names.map(step).collect::<Result<_, _>>()? })
    }

    /// What it names now.
    pub(super) fn look(&self) -> Found {
        let mut found = Found::default();
        walk(&self.start, &self.steps, &mut HashSet::new(), &mut found);
        found.paths.sort();
        found.paths.dedup();
        found
    }
}

/// `seen` are the directories that the `**` which is walked has been in, by device and number.
fn walk(at: &Path, steps: &[Step], seen: &mut HashSet<(u64, u64)>, found: &mut Found) {
    match steps.split_first() {
        None => found.paths.push(at.to_owned()),
        Some((Step::Name(name), rest)) => {
            let path = joined(at, name);
            // What is not there is no fault; what else is wrong shows when the path is opened.
            if fs::symlink_metadata(&path).is_ok() {
                walk(&path, rest, seen, found);
            }
        }
        Some((Step::Matching(pattern), rest)) => {
            for (name, path) in entries(at, found) {
                if pattern.matches_with(&name, OPTIONS) && (rest.is_empty() || path.is_dir()) {
                    walk(&path, rest, seen, found);
                }
            }
        }
        Some((Step::AnyDepth, rest)) => {
            let Ok(directory) = fs::metadata(at) else { return };
            if !seen.insert((directory.dev(), directory.ino())) {
                return;
            }
            walk(at, rest, &mut HashSet::new(), found);
            for (name, path) in entries(at, found) {
                if !name.starts_with('.') && path.is_dir() {
                    walk(&path, steps, seen, found);
                }
            }
        }
    }
}

/// Names and paths in the directory `at`. Names that are no UTF-8 match no pattern and are left out.
fn entries(at: &Path, found: &mut Found) -> Vec<(String, PathBuf)> {
    let listed = match fs::read_dir(at) {
        Ok(listed) => listed,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Vec::new();
        }
        Err(error) => {
            found.failed.push((at.to_owned(), error));
            return Vec::new();
        }
    };
    let mut names = Vec::new();
    for entry in listed.flatten() {
        if found.entries == ENTRIES_MAX {
            found.is_cut = true;
            break;
        }
        found.entries += 1;
        if let Ok(name) = entry.file_name().into_string() {
            let path = joined(at, &name);
            names.push((name, path));
        }
    }
    names
}

fn joined(at: &Path, name: &str) -> PathBuf {
    if at == Path::new(".") { PathBuf::from(name) } else { at.join(name) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// What `pattern`, below a directory with the files `files` and the links `links`, names.
    fn check(files: &[&str], links: &[(&str, &str)], pattern: &str, want: &[&str]) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().expect("below the directory")).expect("made");
            fs::write(path, "").expect("written");
        }
        for (link, to) in links {
            symlink(to, dir.path().join(link)).expect("linked");
        }
        let glob = Glob::new(&format!("{}/{pattern}", dir.path().display())).expect("a pattern");
        let found = glob.look();
        let below = |path: &PathBuf| path.strip_prefix(dir.path()).expect("below").display().to_string();
        assert_eq!(found.paths.iter().map(below).collect::<Vec<_>>(), want, "{pattern}");
        assert!(found.failed.is_empty() && !found.is_cut);
    }

    #[test]
    fn patterns_match_names_and_depths() {
        let files = ["a.log", "b.log", ".hidden.log", "x/a.log", "x/y/a.log", "x/y/b.txt"];
        check(&files, &[], "a.log", &["a.log"]);
        check(&files, &[], "*.log", &["a.log", "b.log"]);
        check(&files, &[], ".*.log", &[".hidden.log"]);
        check(&files, &[], "[b-z].log", &["b.log"]);
        check(&files, &[], "*/a.log", &["x/a.log"]);
        check(&files, &[], "**/a.log", &["a.log", "x/a.log", "x/y/a.log"]);
        check(&files, &[], "x/**/*.???", &["x/a.log", "x/y/a.log", "x/y/b.txt"]);
        check(&files, &[], "x", &["x"]);
        check(&files, &[], "nothing/*.log", &[]);
        check(&files, &[], "a.log/*", &[]);
    }

    #[test]
    fn links_are_followed_and_circles_end() {
        let files = ["pods/p/0.log", "d/a.log"];
        check(&files, &[("c.log", "pods/p/0.log")], "*.log", &["c.log"]);
        check(&files, &[("l", "d")], "l/*.log", &["l/a.log"]);
        check(&files, &[("d/up", "..")], "**/a.log", &["d/a.log"]);
        check(&files, &[("self.log", "self.log")], "*.log", &["self.log"]);
        check(&files, &[("d/x", "y"), ("d/y", "x")], "d/**/a.log", &["d/a.log"]);
    }

    #[test]
    fn what_is_no_pattern_is_told() {
        assert!(Glob::new("/var/log/[a.log").is_err());
        assert!(Glob::new("/var/log/a**.log").is_err());
    }

    #[test]
    fn a_relative_pattern_is_below_the_working_directory() {
        let found = Glob::new("src/**/globs.rs").expect("a pattern").look();
        assert_eq!(found.paths, [PathBuf::from("src/receivers/tail/globs.rs")]);
    }
}
