//! Files that others write to, followed line by line: rotated, packed, linked, come and gone.
//!
//! ```text
//!  every second: look at what there is -> parts, a few at a time -> store_part -> position moves on
//! ```
//! A look every second and no notification: inotify sees no change behind a link, and a pod that lives for a few seconds must
//! not be missed. Files are read on a thread that may block. Nothing is lost while the store refuses: what was not stored is
//! read again a second later.

mod watch;
mod followed;
mod names;
mod globs;

use std::sync::Arc;
use std::time::{Duration, Instant};

use meshlake_listen::Stopping;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

use super::Receivers;
use crate::admit::refusal::Refusal;
use crate::admit::senders::SenderKey;
use crate::decode::access_log::FORMAT;
use crate::line_origin::LinesConfig;
use crate::signal::Signal;
use followed::FileKey;
use globs::Glob;
use names::PathNames;
use watch::{ReadPart, Section, Watch};

/// The receiver's name in metrics.
const RECEIVER: &str = "tail";

/// Between two looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Parts of all files that are on their way to the disk: one is read while others are decoded and synced.
const PARTS_IN_FLIGHT_MAX: usize = 4;

/// A section `[[collector.tail]]`: files that are followed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TailConfig {
    /// Their paths: `*`, `?` and `[...]` within a name, `**` for any directories. Links are followed.
    pub path: String,
    /// A regular expression on a path whose groups `service`, `namespace`, `workload`, `version`, `instance` and `cluster`
    /// say who logs, where the keys below do not. Default: the paths of Kubernetes.
    pub path_names: String,
    #[serde(flatten)]
    pub lines: LinesConfig,
}

/// Reads the files of `sections` until told to stop; returns when what was read is stored or refused.
pub(crate) async fn follow(receivers: Arc<Receivers>, sections: &[TailConfig], mut stopping: Stopping) {
    let sections: Result<Vec<_>, _> = sections.iter().map(section_of).collect();
    let sections = match sections {
        Ok(sections) => sections,
        // The configuration was checked before.
        Err(why) => return tracing::error!(why, "follow files of access logs"),
    };
    let mut watch = Watch::new(sections, receivers.positions.clone());
    let (settle, mut settled) = mpsc::channel(PARTS_IN_FLIGHT_MAX);
    let mut in_flight = 0;
    while !stopping.has_begun() {
        let Some(looked) = blocking(watch, Watch::look).await else { return };
        (watch, ()) = looked;
        let began = Instant::now();
        while began.elapsed() < LOOK_INTERVAL && !stopping.has_begun() {
            let room = PARTS_IN_FLIGHT_MAX - in_flight;
            let Some(read) = blocking(watch, move |watch| watch.next_parts(room)).await else { return };
            let parts;
            (watch, parts) = read;
            if parts.is_empty() && in_flight == 0 {
                break;
            }
            for part in parts {
                in_flight += 1;
                store(Arc::clone(&receivers), part, settle.clone());
            }
            let Some((key, is_stored)) = settled.recv().await else { return };
            watch.settle(key, is_stored);
            in_flight -= 1;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_INTERVAL.saturating_sub(began.elapsed())) => {}
            () = stopping.wait() => {}
        }
    }
    while in_flight > 0 && settled.recv().await.is_some() {
        in_flight -= 1;
    }
}

/// What is wrong with a section, each as one line that begins with its key.
pub(crate) fn problems(section: &TailConfig) -> Vec<String> {
    let mut problems = section.lines.problems();
    if section.path.is_empty() {
        problems.push("path: it is empty".to_owned());
    }
    if let Err(error) = Glob::new(&section.path) {
        problems.push(format!("path: {:?} is no pattern of paths: {error}", section.path));
    }
    if let Err(error) = PathNames::new(&section.path_names) {
        problems.push(format!("path_names: {error}"));
    }
    problems
}

fn section_of(config: &TailConfig) -> Result<Section, String> {
    let glob = Glob::new(&config.path).map_err(|error| error.to_string())?;
    let names = PathNames::new(&config.path_names).map_err(|error| error.to_string())?;
    let tenant = config.lines.tenant().map_err(|error| error.to_string())?;
    Ok(Section { glob, names, origin: config.lines.origin()?, tenant: tenant.shared() })
}

/// What `work` gives, done where it may block; `None` after a bug, which has been logged.
async fn blocking<T: Send + 'static>(
    mut watch: Watch,
    work: impl FnOnce(&mut Watch) -> T + Send + 'static,
) -> Option<(Watch, T)> {
    let done = spawn_blocking(move || {
        let done = work(&mut watch);
        (watch, done)
    });
    let done = done.await;
    if let Err(error) = &done {
        tracing::error!(%error, "bug: following files panicked, they are not read any more");
    }
    done.ok()
}

fn store(receivers: Arc<Receivers>, read: ReadPart, settle: mpsc::Sender<(FileKey, bool)>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let ReadPart { key, identity, tenant, sender, path, part } = read;
        let heard = SenderKey {
            peer: path,
            tenant: Arc::clone(&tenant),
            signal: FORMAT.signal.name(),
            source: FORMAT.source,
        };
        receivers.senders.hear(heard.clone(), "", receivers.clock.now());
        let stored = receivers.store_part(&tenant, identity, &part, &sender, None).await;
        receivers.count(RECEIVER, Some(Signal::Requests), stored.as_ref());
        match &stored {
            Ok(_) => {}
            Err(Refusal::Panicked) => receivers.senders.refuse(&heard),
            Err(refusal) => {
                receivers.senders.refuse(&heard);
                tracing::debug!(%refusal, "read a part of a file again");
            }
        }
        // The other end is gone when the process stops.
        let _ = settle.send((key, stored.is_ok())).await;
    })
}
