//! What the query process renounces before it reads its first statement.
//!
//! Statements are checked before they run; this is for the day when a check fails. Files are there to be read in the data
//! directory and written in the spill directory, sockets are those that were handed down, and no other program can be
//! started, looked into or signalled. Memory is bounded by the system as well, because an engine counts only some of its
//! own: what goes beyond ends the query process, and the collector's goes on. It is also the first that the system ends
//! when memory is short.
//!
//! All of it is the kernel's, where it has it: what it has not is told in words and does not keep the process from
//! serving. Limits: threads that were there before are not bound, so it is called when there are none but the first.

mod files;
mod calls;
mod memory;

use std::path::{Path, PathBuf};

use crate::config::Config;

pub use memory::{Memory, Shortage};

/// The range of proc_pid_oom_score_adj(5) ends at 1,000, which would end the query process whoever takes the memory. Half
/// of that outweighs half of the machine's memory in the collector.
const OOM_SCORE: &str = "500";

/// What is left to the query process.
#[derive(Debug)]
pub struct Left {
    /// To be read.
    pub data_dir: PathBuf,
    /// To be written.
    pub spill_dir: PathBuf,
    /// Whether it connects to the socket of a collector.
    pub connects_to_collector: bool,
    /// The TCP port that its own traces are sent to.
    pub telemetry_port: Option<u16>,
}

impl Left {
    pub fn of(config: &Config, data_dir: &Path, spill_dir: &Path) -> Left {
        Left {
            data_dir: data_dir.to_owned(),
            spill_dir: spill_dir.to_owned(),
            connects_to_collector: false,
            telemetry_port: port_of(&config.telemetry.otlp_endpoint),
        }
    }
}

/// What holds of a process that was confined.
pub struct Confined {
    /// For people.
    pub words: String,
    /// None where the system does not tell.
    pub memory: Option<Memory>,
}

/// Renounces all but what is `left`, for this thread and those that it starts, and bounds the memory of the process,
/// whose queries may take `memory_bytes_max` by their own account.
pub fn confine(left: &Left, memory_bytes_max: usize) -> Confined {
    // Files that tell of it can be opened no more afterwards.
    let memory = Memory::of_this_process(memory_bytes_max);
    let bound = match memory::bound(memory_bytes_max) {
        Ok(bytes) => format!("memory bounded at {} MiB", bytes >> 20),
        Err(error) => format!("memory not bounded: {error}"),
    };
    let ended_first = match std::fs::write("/proc/self/oom_score_adj", OOM_SCORE) {
        Ok(()) => String::new(),
        Err(error) => format!(" and not the first to be ended for it: {error}"),
    };
    let (files, calls) = (files::restrict(left), calls::filter(left));
    let words = format!("{bound}{ended_first}; files and ports: {files}; system calls: {calls}");
    let memory = memory.inspect_err(|error| tracing::warn!(%error, "watch the memory of this process")).ok();
    Confined { words, memory }
}

/// The port of an endpoint like `http://host:4317`; none for none.
fn port_of(endpoint: &str) -> Option<u16> {
    let uri: http::Uri = endpoint.parse().ok()?;
    uri.host()?;
    Some(uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 }))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::ErrorKind;
    use std::net::{TcpListener, TcpStream};
    use std::process::Command;

    use super::*;

    #[test]
    fn the_port_of_an_endpoint_is_found() {
        let check = |endpoint: &str, want: Option<u16>| assert_eq!(port_of(endpoint), want, "{endpoint}");
        check("http://127.0.0.1:4317", Some(4317));
        check("https://collector.example/v1", Some(443));
        check("http://collector", Some(80));
        check("", None);
    }

    /// On a thread of its own, which alone is bound. Where the kernel has no Landlock the words say so, and files are not
    /// looked at.
    #[test]
    fn only_what_is_left_can_be_done() {
        let dir = tempfile::tempdir().expect("a directory");
        let [data_dir, spill_dir, elsewhere] =
            ["data", "spill", "elsewhere"].map(|name| dir.path().join(name));
        for dir in [&data_dir, &spill_dir, &elsewhere] {
            fs::create_dir(dir).expect("it is new");
            fs::write(dir.join("file"), "text").expect("it is new");
        }
        let port = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = port.local_addr().expect("bound");
        let bound = std::thread::spawn(move || {
            let left = Left {
                data_dir: data_dir.clone(),
                spill_dir: spill_dir.clone(),
                connects_to_collector: false,
                telemetry_port: None,
            };
            let words = (files::restrict(&left), calls::filter(&left));
            assert!(fs::read(data_dir.join("file")).is_ok());
            fs::write(spill_dir.join("new"), "text").expect("it may spill");
            fs::remove_file(spill_dir.join("new")).expect("and clear away");
            if words.0 != files::ABSENT {
                for denied in [
                    fs::write(data_dir.join("new"), "text"),
                    fs::write(data_dir.join("file"), "text"),
                    fs::remove_file(data_dir.join("file")),
                    fs::read(elsewhere.join("file")).map(drop),
                    fs::read("/etc/hostname").map(drop),
                    fs::read_dir(&elsewhere).map(drop),
                ] {
                    assert_eq!(denied.err().map(|error| error.kind()), Some(ErrorKind::PermissionDenied));
                }
            }
            if words.1 == calls::FILTERED {
                let denied = TcpStream::connect(address).err().map(|error| error.kind());
                assert_eq!(denied, Some(ErrorKind::PermissionDenied), "connect");
                let denied = Command::new("/bin/true").status().err().map(|error| error.kind());
                assert_eq!(denied, Some(ErrorKind::PermissionDenied), "start a program");
            }
            std::thread::spawn(|| ()).join().expect("threads can be started");
            words
        });
        println!("{:?}", bound.join().expect("no panic"));
        assert!(TcpStream::connect(address).is_ok(), "other threads are as they were");
    }
}
