//! Threads that fill the buffer give way to the one that empties it, those that settle to all, as the system sees them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use crate::harness::Server;

/// Niceness by the name of the thread; of several of one name, all.
fn niceness(pid: u32) -> Result<BTreeMap<String, Vec<i64>>> {
    let mut threads: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let stat = std::fs::read_to_string(task?.path().join("stat"))?;
        // proc_pid_stat(5): the name is in parentheses, niceness is the 19th field, the 17th behind it.
        let (head, rest) = stat.rsplit_once(") ").context("a name in parentheses")?;
        let name = head.split_once('(').context("a name in parentheses")?.1;
        let nice = rest.split(' ').nth(16).context("a niceness")?.parse()?;
        threads.entry(name.to_owned()).or_default().push(nice);
    }
    Ok(threads)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fills_the_buffer_gives_way_to_what_empties_it() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path()).await?;
    let threads = niceness(server.pid()?)?;
    let of = |name: &str| threads.get(name).with_context(|| format!("no thread {name} in {threads:?}"));
    let [flush] = of("flush")?[..] else { panic!("one thread: {threads:?}") };
    for name in ["intake", "ingest"] {
        // The kernel's largest is 19, where the tests may run themselves.
        assert!(of(name)?.iter().all(|nice| *nice == (flush + 4).min(19)), "{name} in {threads:?}");
    }
    assert!(of("settle")?.iter().all(|nice| *nice == (flush + 14).min(19)), "cells wait: {threads:?}");
    assert_eq!(of("wal")?, &[flush], "acknowledgements wait for it");
    Ok(())
}
