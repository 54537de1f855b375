//! The scripts of the pages: that their types fit, that nothing in them is unused, and that they stay small.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::process::Command;

use super::modules;
use crate::postgres::clients::output;

/// All scripts and styles together, as they are sent: 120 KiB, what a phone on a bad network takes in two seconds.
const BYTES_MAX: usize = 120 << 10;

/// The file and the text of every script and style.
fn sources() -> Result<BTreeMap<String, String>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards/ui");
    let mut sources = BTreeMap::new();
    for entry in std::fs::read_dir(&directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "js" || kind == "css") {
            let path = path.to_str().context("the path is UTF-8")?.to_owned();
            sources.insert(path.clone(), std::fs::read_to_string(path)?);
        }
    }
    Ok(sources)
}

fn scripts() -> Result<BTreeMap<String, String>> {
    Ok(sources()?.into_iter().filter(|(path, _)| path.ends_with(".js")).collect())
}

#[tokio::test]
async fn types_fit() -> Result<()> {
    let Some(modules) = modules()? else { return Ok(()) };
    let mut compiler = Command::new(modules.join(".bin/tsc"));
    compiler.arg("--project").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards/ui"));
    output(compiler).await?;
    Ok(())
}

#[test]
fn what_is_exported_is_imported() -> Result<()> {
    let scripts = scripts()?;
    for (path, text) in &scripts {
        for exported in text.lines().filter_map(|line| line.strip_prefix("export ")) {
            let name = exported
                .split(|c: char| !(c.is_alphanumeric() || c == '_'))
                .find(|word| !["async", "function", "const", "class", ""].contains(word))
                .with_context(|| format!("no name in {exported}"))?;
            let is_used = scripts.iter().any(|(other, text)| {
                other != path
                    && text.split("import ").skip(1).any(|import| {
                        let names = import.split(';').next().unwrap_or_default();
                        names.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == name)
                    })
            });
            ensure!(is_used, "{path} exports {name}, which nobody imports");
        }
    }
    Ok(())
}

#[test]
fn scripts_and_styles_are_small() -> Result<()> {
    let mut sent = 0;
    for text in sources()?.values() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(text.as_bytes())?;
        sent += gzip.finish()?.len();
    }
    ensure!(sent > 0 && sent <= BYTES_MAX, "{sent} bytes, of at most {BYTES_MAX}");
    Ok(())
}
