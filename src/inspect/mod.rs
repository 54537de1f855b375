//! `meshlake inspect`: shows what a data directory holds, as text for people or as JSON.
//!
//! Nothing is locked or changed, so it may run beside a server. Damage does not change the exit code: the
//! command has done what it was asked for; who watches for damage reads the first word of each line, or
//! `findings` in the JSON.

mod json;
mod text;

use std::io::{self, Write as _};

use anyhow::{Context as _, Result};
use meshlake_schema::UnixNanos;
use meshlake_store::inspect::{HeaderState, inspect};

use crate::cli::InspectArgs;
use crate::config::Config;

/// Windows that are shown of each table unless all are asked for: an hour, the newest.
const WINDOWS_SHOWN: usize = 4;

/// Looks at the data directory of `config` and prints what is in it.
///
/// # Errors
/// There is no such directory, or it cannot be read.
pub async fn run(config: &Config, args: &InspectArgs) -> Result<()> {
    let inspection = inspect(&config.store.data_dir).await?;
    let mut out = io::stdout().lock();
    let printed = match args.json {
        true => serde_json::to_writer_pretty(&mut out, &json::of(&inspection))
            .map_err(io::Error::from)
            .and_then(|()| writeln!(out)),
        false => text::print(&mut out, &inspection, if args.windows { usize::MAX } else { WINDOWS_SHOWN }),
    };
    match printed {
        // `meshlake inspect | head` has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed.context("print what was found"),
    }
}

fn header_word(header: HeaderState) -> &'static str {
    match header {
        HeaderState::Whole => "whole",
        HeaderState::OneCopy => "one copy",
        HeaderState::Lost => "lost",
    }
}

/// RFC 3339, whole seconds.
fn time_text(micros: i64) -> String {
    UnixNanos::from_seconds(micros.div_euclid(1_000_000)).to_rfc3339()
}
