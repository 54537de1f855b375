//! Every page over a mesh with a past, as people may have it before them.

use anyhow::{Context as _, Result, ensure};

use super::{lines, modules, told};
use crate::demo::{self, range};

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_whole_in_every_light() -> Result<()> {
    let Some(modules) = modules()? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let (server, truth) = demo::finished_with_restarts(&dir.path().join("data")).await?;
    let base = format!("http://{}", server.addresses.query);
    let range = range(&truth)?;
    let pictures = std::env::var("MESHLAKE_TEST_PICTURES").unwrap_or_default();

    let looks = told(&modules, "looks.js", &[&base, &range, &pictures]).await?;
    let mut wrong = Vec::new();
    for (look, seen) in looks.as_object().context("looks")? {
        wrong.extend(lines(&seen["complaints"]));
        for (page, found) in seen["pages"].as_object().context("pages")? {
            let is_whole = found["status"] == 200 && found["overflow"].as_f64().is_some_and(|px| px <= 0.0);
            if !is_whole || found["axe"] != serde_json::json!([]) {
                wrong.push(format!("{page}, {look}: {found}"));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));

    let walk = told(&modules, "walk.js", &[&base, &range]).await?;
    ensure!(walk["count"].as_u64() > Some(30), "every page leads to others: {walk}");
    for complaint in ["broken", "changed", "complaints"] {
        ensure!(lines(&walk[complaint]).is_empty(), "{complaint}: {}", lines(&walk[complaint]).join("\n"));
    }
    ensure!(walk["only"] == serde_json::json!({}), "facts that only scripts show: {}", walk["only"]);
    let keyboard = told(&modules, "keyboard.js", &[&base, &range]).await?;
    for complaint in ["wrong", "complaints"] {
        ensure!(
            lines(&keyboard[complaint]).is_empty(),
            "{complaint}: {}",
            lines(&keyboard[complaint]).join("\n")
        );
    }
    for (page, stops) in keyboard["stops"].as_object().context("stops")? {
        ensure!(stops.as_u64() > Some(10), "the bar alone has as many stops as {page}: {stops}");
    }
    super::tasks::check(&modules, &base, &range, &truth).await?;
    server.check_for_panics()
}
