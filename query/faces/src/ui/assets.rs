//! What pages load: scripts, style and icon, which the content security policy allows from here and from nowhere else.
//!
//! Addresses hold a hash of all of them, so that a browser keeps them for good and takes those of a new version at once; modules
//! import one another by relative addresses and so stay within one version. An address with another hash, of a page that was
//! open while Meshlake was replaced, is answered with what there is now, and to be asked for again: by a tag, so that it is sent
//! again only where it changed.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// A file that is part of the binary.
struct Asset {
    name: &'static str,
    text: &'static str,
}

macro_rules! asset {
    ($name:literal) => {
        Asset { name: $name, text: include_str!(concat!("../../../../dashboards/ui/", $name)) }
    };
}

/// Colours, and all that drawings look like: what a drawing needs that is saved as a file.
pub const GRAPH_STYLE: &str = include_str!("../../../../dashboards/ui/graph.css");

/// All of them, by name.
const ASSETS: [Asset; 15] = [
    asset!("bars.js"),
    asset!("brush.js"),
    asset!("chart.js"),
    asset!("clock.js"),
    asset!("graph.css"),
    asset!("graph.js"),
    asset!("icon.svg"),
    asset!("main.js"),
    asset!("morph.js"),
    asset!("names.js"),
    asset!("refresh.js"),
    asset!("sql.js"),
    asset!("style.css"),
    asset!("tail.js"),
    asset!("waterfall.js"),
];

/// The route of all of them.
pub const ROUTE: &str = "/ui/{version}/{name}";

/// Browsers need not ask again for a year, the most that is usual (RFC 8246 for `immutable`).
const KEPT: &str = "public, max-age=31536000, immutable";

/// A hash of every asset. It tells versions apart and nothing more, so any hash does.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = DefaultHasher::new();
    ASSETS.iter().for_each(|asset| (asset.name, asset.text).hash(&mut hasher));
    format!("{:016x}", hasher.finish())
});

/// The address of an asset.
pub fn address(name: &str) -> String {
    format!("/ui/{}/{name}", *VERSION)
}

/// Answers with an asset.
pub async fn asset(Path((version, name)): Path<(String, String)>, asked: HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return (StatusCode::NOT_FOUND, "there is no such part of the pages\n").into_response();
    };
    let kept = if version == *VERSION { KEPT } else { "no-cache" };
    let tag = format!("W/\"{}\"", *VERSION);
    let is_known = asked.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let headers = [(header::CACHE_CONTROL, kept), (header::ETAG, &tag)];
    if is_known {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, [(header::CONTENT_TYPE, content_type(asset.name))], asset.text).into_response()
}

/// The icon, where browsers look for one when what they show has no page to name it.
pub async fn icon(asked: HeaderMap) -> Response {
    asset(Path((String::new(), "icon.svg".to_owned())), asked).await
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        _ => "image/svg+xml",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::Write as _;
    use std::path::Path;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::ASSETS;

    const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../dashboards/ui");

    /// What the first look at a page may cost, as it would go over a network.
    const GZIP_BYTES_MAX: usize = 120 * 1024;

    #[test]
    fn every_file_of_the_pages_is_served() {
        let files = std::fs::read_dir(Path::new(DIRECTORY)).expect("the directory of the pages");
        let names = files.map(|file| file.expect("a file").file_name().into_string().expect("a plain name"));
        let is_served = |name: &String| [".js", ".css", ".svg"].iter().any(|end| name.ends_with(end));
        let files: BTreeSet<String> = names.filter(is_served).collect();
        assert_eq!(files, ASSETS.iter().map(|asset| asset.name.to_owned()).collect());
    }

    #[test]
    fn scripts_and_styles_are_small() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        for asset in &ASSETS {
            encoder.write_all(asset.text.as_bytes()).expect("writing to memory");
        }
        let bytes = encoder.finish().expect("writing to memory").len();
        assert!(bytes <= GZIP_BYTES_MAX, "{bytes} bytes");
    }

    /// A module that imports one that is not served would stop all of them.
    #[test]
    fn imports_between_modules_are_served() {
        let names: BTreeSet<&str> = ASSETS.iter().map(|asset| asset.name).collect();
        for asset in ASSETS.iter().filter(|asset| asset.name.ends_with(".js")) {
            for import in asset.text.lines().filter_map(|line| line.split_once(" from '")) {
                let module = import.1.trim_end_matches("';").trim_start_matches("./");
                assert!(names.contains(module), "{} imports {module}", asset.name);
            }
        }
    }
}
