//! Programs that are not part of the repository, and how they are run: with a deadline, and killed when dropped.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

/// For one program over one server; the slowest takes a quarter of it.
const PROGRAM_TIME_MAX: Duration = Duration::from_secs(240);

const HOW: &str = "python3 -m venv ~/.cache/meshlake/test-tools && \
                   ~/.cache/meshlake/test-tools/bin/pip install -r tests/requirements.txt";

/// The directory of the tools.
pub fn directory() -> Result<PathBuf> {
    if let Some(tools) = std::env::var_os("MESHLAKE_TEST_TOOLS") {
        return Ok(PathBuf::from(tools));
    }
    Ok(PathBuf::from(std::env::var_os("HOME").context("HOME")?).join(".cache/meshlake/test-tools"))
}

/// Python with `packages`, as they are imported; none when they are missing and the tests may do without.
pub fn python(packages: &[&str]) -> Result<Option<PathBuf>> {
    let tools = directory()?;
    let libraries = std::fs::read_dir(tools.join("lib")).into_iter().flatten().flatten();
    let mut sites = libraries.map(|library| library.path().join("site-packages"));
    let has_all = sites.any(|site| packages.iter().all(|name| site.join(name).exists()));
    available(
        has_all.then(|| tools.join("bin/python")),
        &format!("{} are not installed: {HOW}", packages.join(", ")),
    )
}

/// `tool`, unless it is missing and the tests may do without.
///
/// # Errors
/// It is missing and may not be, with `how` to get it.
pub fn available(tool: Option<PathBuf>, how: &str) -> Result<Option<PathBuf>> {
    if tool.is_none() {
        ensure!(std::env::var_os("MESHLAKE_TEST_REQUIRE_TOOLS").is_none(), "{how}");
        eprintln!("SKIPPED: {how}");
    }
    Ok(tool)
}

/// The program of that name, from Debian's package. Its absence is a failure where tools are required (CI), else a notice.
pub fn program(name: &str, package: &str) -> Result<Option<PathBuf>> {
    let directories = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&directories)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|directory| directory.join(name))
        .find(|path| path.exists());
    if found.is_none() {
        let how = format!("apt-get install {package}");
        ensure!(std::env::var_os("MESHLAKE_TEST_REQUIRE_TOOLS").is_none(), "{name} is not installed: {how}");
        eprintln!("SKIPPED: a test with a real {name} needs it: {how}");
    }
    Ok(found)
}

/// Files under a directory that statements spill to.
pub fn spilled_files(temporary: &Path) -> Result<Vec<PathBuf>> {
    let mut left = Vec::new();
    let mut directories = vec![temporary.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            match entry.file_type()?.is_dir() {
                true => directories.push(entry.path()),
                false => left.push(entry.path()),
            }
        }
    }
    Ok(left)
}

/// A file beside the tests.
pub fn beside(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/sql").join(name)
}

/// Runs a program to its end.
///
/// # Errors
/// It fails or takes too long, with all that it printed.
pub async fn run<A: AsRef<OsStr>>(program: &Path, arguments: impl IntoIterator<Item = A>) -> Result<String> {
    let mut command = Command::new(program);
    command.args(arguments).kill_on_drop(true);
    let Output { status, stdout, stderr } =
        tokio::time::timeout(PROGRAM_TIME_MAX, command.output())
            .await
            .with_context(|| format!("{} did not end in time", program.display()))??;
    let [out, said] = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    ensure!(status.success(), "{} ended with {status}:\n{out}\n{said}", program.display());
    Ok(out)
}
