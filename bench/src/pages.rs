//! How long pages take on a day that is settled, how large they are, and what all scripts and styles weigh.
//!
//! The day is that of `settled`: calls whose truth is arithmetic, as spans and as access logs, settled by `meshlake maintain`. A fresh
//! server is asked for each page as a browser does it, whole and without what the page loads; each is checked to be whole and to tell
//! what it is about. Pages that read rows, as those of requests do, are asked for the day and for its last quarter of an hour.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Args;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::payload::mesh::{Mesh, name};
use crate::report;
use crate::server::{Place, Server};
use crate::settled::{IN_A_ROW, Stretch, fill, maintain, ms};

const START_TIME_MAX: Duration = Duration::from_secs(300);

/// What is asked of rows, beside the whole day.
const LAST_SECONDS: u64 = 900;

/// What a page says instead of a part that could not be answered.
const NOT_ANSWERED: &str = "The question could not be answered.";

/// What is asked, and how often.
#[derive(Debug, Clone, Args)]
pub struct PagesArgs {
    /// Calls of the day, each of two spans and two access logs.
    #[arg(long, default_value_t = 5_000_000)]
    calls: u64,
    #[arg(long, default_value_t = 200)]
    services: u64,
    #[arg(long, default_value_t = 1_500)]
    operations: u64,
    /// Times that each page is asked for, after one for warmth.
    #[arg(long, default_value_t = 9)]
    times: usize,
}

/// A page, and what has to stand on it.
struct Page {
    label: String,
    path: String,
    wants: Vec<String>,
}

impl Page {
    fn of(label: &str, path: String, wants: &[&str]) -> Page {
        Page { label: label.to_owned(), path, wants: wants.iter().map(|want| (*want).to_owned()).collect() }
    }

    fn check(&self, body: &str) -> anyhow::Result<()> {
        ensure!(body.ends_with("</html>"), "{} is not whole", self.label);
        ensure!(!body.contains(NOT_ANSWERED), "a part of {} is not answered", self.label);
        for want in &self.wants {
            ensure!(body.contains(want), "{want} is not on {}", self.label);
        }
        Ok(())
    }
}

/// Stores and settles the day, asks for everything, and writes the page.
///
/// # Errors
/// When a server cannot be started, or answers wrongly.
pub async fn page(place: &Place, args: &PagesArgs) -> anyhow::Result<String> {
    let mesh =
        Mesh { services: args.services, operations: args.operations, namespaces: 1, in_a_row: IN_A_ROW };
    let directory = place.fresh_directory()?;
    let day = Stretch::day_before_now(mesh, args.calls)?;
    fill(place, directory.path(), &day).await?;
    let settling = maintain(place, directory.path())?;
    let settings = [("MESHLAKE_MAINTAIN__ENABLED", "false".to_owned())];
    let server = Server::start(place, directory.path(), &settings, START_TIME_MAX).await?;
    let mut table = Vec::new();
    for page in pages(&server, &day).await? {
        table.push(asked(&server, &page, args.times).await?);
    }
    let (files, bytes, packed) = loaded(&server).await?;
    let memory = report::peak_memory(&server)?;
    server.stop().await?;
    Ok(format!(
        "# Pages of a settled day\n\n\
         Asked over HTTP one at a time, whole, warm; each is checked.\n\n\
         {}{} services, {} operations, {} spans and as many access logs in 24 hours; CPUs {}.\n\
         {settling}\n{memory}.\n\n{}\n\
         All {files} scripts and styles are {bytes} bytes, {packed} with gzip.\n",
        report::head(),
        args.services,
        args.operations,
        args.calls * 2,
        place.cpus,
        report::table(
            &["page", "first ms", "median ms", "fastest ms", "CPU ms", "bytes", "gzip", "asked"],
            &table
        )
    ))
}

async fn pages(server: &Server, day: &Stretch) -> anyhow::Result<Vec<Page>> {
    let range = day.range();
    let end = day.from + day.seconds;
    let last = format!("from={}&to={end}", end - LAST_SECONDS.min(day.seconds));
    let [caller, callee] = day.mesh.ends(0).map(|service| format!("mesh/{}", name(service)));
    let rows = server.sql("SELECT trace_id FROM spans LIMIT 1").await?;
    let trace = rows.first().and_then(|row| row[0].as_str()).context("the day has a trace")?.to_owned();
    let whole = |label: &str, path: &str, wants: &[&str]| {
        let joint = if path.contains('?') { '&' } else { '?' };
        Page::of(label, format!("{path}{joint}{range}"), wants)
    };
    let of_rows = |label: &str, path: &str, wants: &[&str]| {
        let over = |label: String, range: &str| Page::of(&label, format!("{path}?{range}"), wants);
        [over(format!("{label}, 24 h"), &range), over(format!("{label}, 15 min"), &last)]
    };
    let mut pages = vec![
        whole("mesh", "/", &["id=\"wrong\"", "id=\"timeline\"", "id=\"graph\"", "id=\"golden\"", &callee]),
        whole("mesh, compared", "/?compare=24h", &["id=\"changes\""]),
        whole("mesh, by version", "/?by=version", &["id=\"graph\""]),
        whole(
            "service",
            &format!("/service?name={callee}"),
            &[
                "id=\"time\"",
                "id=\"operations\"",
                "id=\"versions\"",
                "id=\"saturation\"",
                "id=\"policies\"",
                "UT",
            ],
        ),
        whole(
            "edge",
            &format!("/edge?client={caller}&server={callee}"),
            &["id=\"sides\"", "id=\"heat\"", "id=\"policies\"", "UT"],
        ),
    ];
    pages.extend(of_rows("traces", "/traces", &["/trace/"]));
    pages.push(Page::of("trace", format!("/trace/{trace}"), &["id=\"waterfall\""]));
    // Those of the last minutes are of any service.
    pages.extend(of_rows("requests", "/requests", &["mesh/svc-"]));
    pages.extend(of_rows("logs", "/logs", &["<main"]));
    pages.push(whole("SQL", "/sql", &["<textarea"]));
    pages.push(Page::of(
        "operate",
        "/operate".to_owned(),
        &["id=\"alerts\"", "id=\"received\"", "id=\"tables\""],
    ));
    pages.push(Page::of("get started", "/start".to_owned(), &["id=\"send\"", "id=\"read\""]));
    Ok(pages)
}

async fn asked(server: &Server, page: &Page, times: usize) -> anyhow::Result<Vec<String>> {
    let get = async || -> anyhow::Result<(Duration, String)> {
        let begin = Instant::now();
        let body = server.text(&page.path).await.with_context(|| format!("ask for {}", page.label))?;
        page.check(&body)?;
        Ok((begin.elapsed(), body))
    };
    let (first, body) = get().await?;
    let (mut taken, cpu) = (Vec::new(), server.cpu_time()?);
    for _ in 0..times.max(1) {
        taken.push(get().await?.0);
    }
    let cpu = (server.cpu_time()? - cpu) / taken.len() as u32;
    taken.sort_unstable();
    Ok(vec![
        page.label.clone(),
        ms(first),
        ms(taken[taken.len() / 2]),
        ms(taken[0]),
        ms(cpu),
        body.len().to_string(),
        gzipped(&body)?.to_string(),
        taken.len().to_string(),
    ])
}

fn gzipped(text: &str) -> anyhow::Result<usize> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(text.as_bytes()).context("pack in memory")?;
    Ok(gzip.finish().context("pack in memory")?.len())
}

/// How many scripts and styles a page loads, their bytes, and those with each of them packed.
async fn loaded(server: &Server) -> anyhow::Result<(usize, usize, usize)> {
    let page = server.text("/start").await?;
    let mut waiting: Vec<String> = named(&page, "\"/ui/", &[".js", ".css"]);
    let (mut seen, mut bytes, mut packed) = (BTreeSet::new(), 0, 0);
    while let Some(path) = waiting.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let text = server.text(&path).await?;
        bytes += text.len();
        packed += gzipped(&text)?;
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        let imports = named(&text, "'./", &[".js"]);
        waiting.extend(imports.iter().map(|name| format!("{directory}/{}", name.trim_start_matches("./"))));
    }
    Ok((seen.len(), bytes, packed))
}

/// Texts in quotes that begin so, quote included, and end with one of these.
fn named(text: &str, begin: &str, ends: &[&str]) -> Vec<String> {
    let quote = &begin[..1];
    let quoted = text.split(begin).skip(1).filter_map(|rest| rest.split_once(quote));
    let named = quoted.map(|(name, _)| format!("{}{name}", &begin[1..]));
    named.filter(|name| ends.iter().any(|end| name.ends_with(end))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_page_loads_is_found() {
        let page = "<link href=\"/ui/ab/style.css\"><script src=\"/ui/ab/main.js\"></script><a href=\"/ui/ab/icon.svg\">";
        assert_eq!(named(page, "\"/ui/", &[".js", ".css"]), ["/ui/ab/style.css", "/ui/ab/main.js"]);
        let script = "import { a } from './a.js';\nimport { b } from './b.js';\nfetch('./c.txt');";
        assert_eq!(named(script, "'./", &[".js"]), ["./a.js", "./b.js"]);
    }

    #[test]
    fn a_page_that_lacks_something_is_found_out() {
        let page = Page::of("mesh", "/".to_owned(), &["id=\"graph\""]);
        assert!(page.check("<h2 id=\"graph\"></html>").is_ok());
        for wrong in
            ["<h2 id=\"graph\">", "</html>", "<h2 id=\"graph\">The question could not be answered.</html>"]
        {
            assert!(page.check(wrong).is_err(), "{wrong}");
        }
    }
}
