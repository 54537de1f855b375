//! Files that a running server follows.

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use anyhow::{Result, ensure};

use super::{lines, rows_and_paths, wait_for_rows};
use crate::harness::Server;

/// Scenario: nginx's log is rotated as logrotate does it, by a new name and by a copy, and a container's log is a link to
/// lines that the runtime has cut. Guarantee: each line is there once, and rows say whose they are.
#[tokio::test(flavor = "multi_thread")]
async fn files_are_followed_through_rotation_and_links() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (logs, pods) = (dir.path().join("logs"), dir.path().join("pods"));
    let pod = pods.join("shop_web-5d4b9c7f6-x7z2q_0c1ad7e6/nginx");
    fs::create_dir_all(&logs)?;
    fs::create_dir_all(&pod)?;
    let sections = format!(
        "[{{ path = \"{}/access.log*\", format = \"nginx_combined\", service = \"edge\" }}, {{ path = \"{}/**/*.log\" }}]",
        logs.display(),
        pods.display()
    );
    let environment = [("MESHLAKE_COLLECTOR__TAIL", sections.as_str())];
    let server = Server::start_with(&["run"], &dir.path().join("data"), &environment).await?;
    let log = logs.join("access.log");
    let append = |text: &str| {
        let mut file = OpenOptions::new().create(true).append(true).open(&log)?;
        file.write_all(text.as_bytes())
    };
    append(&lines(0..100))?;
    wait_for_rows(&server, 100).await?;
    append(&lines(100..150))?;
    fs::rename(&log, logs.join("access.log.1"))?;
    append(&lines(150..200))?;
    wait_for_rows(&server, 200).await?;
    fs::copy(&log, logs.join("access.log.2"))?;
    OpenOptions::new().write(true).truncate(true).open(&log)?;
    append(&lines(200..250))?;
    let cri: String = lines(250..300)
        .lines()
        .flat_map(|line| {
            let (start, end) = line.split_at(20);
            ["P", "F"].into_iter().zip([start, end])
        })
        .map(|(tag, text)| format!("2024-03-01T12:00:00.123456789Z stdout {tag} {text}\n"))
        .collect();
    fs::write(dir.path().join("0"), cri)?;
    std::os::unix::fs::symlink(dir.path().join("0"), pod.join("0.log"))?;
    wait_for_rows(&server, 300).await?;
    ensure!(rows_and_paths(&server).await? == [300, 300]);
    let named = "SELECT count(*) FROM requests WHERE coalesce(destination_service, source_service) = 'edge'";
    ensure!(server.number(named).await? == 250);
    let of_pod =
        "SELECT count(*) FROM requests WHERE coalesce(destination_workload, source_workload) = 'web'";
    ensure!(server.number(of_pod).await? == 50);
    ensure!(server.terminate().await? == Some(0));
    Ok(())
}
