//! What every page is asked for beside its own question, all of it in the address: a time range, how often the page loads
//! itself, a language, and whose clock tells times. A link made here keeps them, so that any page can be passed on.
//!
//! Parameters that make no sense never fail a page: it says what is wrong with them, and takes what it would without them.

use std::fmt::Write as _;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use meshlake_query::Range;
use meshlake_schema::UnixNanos;

use super::words::{Language, Words};
use crate::FaceState;
use crate::tenant::{NOT_A_TENANT, tenant_of};

/// The relative ranges that pages offer; any other can be typed.
pub const WINDOWS: [&str; 6] = ["5m", "15m", "1h", "6h", "24h", "7d"];

/// What is shown when nothing is said.
const WINDOW_DEFAULT: &str = "15m";

/// How often a page may load itself, in seconds.
pub const REFRESH_SECONDS: [u64; 2] = [10, 60];

/// The clock of the browser.
const LOCAL: &str = "local";

/// The longest relative range: cells are kept for 13 months. The shortest is a bucket of the finest cells.
const WINDOW_SECONDS_MAX: u64 = 400 * 86_400;
const WINDOW_SECONDS_MIN: u64 = 10;

/// What of the past a page is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Span {
    /// Up to now, as it stands in the address: `15m`.
    Last { text: String, length: Duration },
    /// Always the same.
    Fixed { from: UnixNanos, to: UnixNanos },
}

/// A length of time as addresses have it, `90s`, `15m`, `6h`, `7d`; none where it is too short or too long to be a range.
pub fn length(text: &str) -> Option<Duration> {
    match Span::last(text)? {
        Span::Last { length, .. } => Some(length),
        Span::Fixed { .. } => None,
    }
}

impl Span {
    fn last(text: &str) -> Option<Span> {
        let unit = text.chars().last()?;
        let count: u64 = text[..text.len() - unit.len_utf8()].parse().ok()?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return None,
        };
        let length = count.checked_mul(seconds)?;
        (WINDOW_SECONDS_MIN..=WINDOW_SECONDS_MAX)
            .contains(&length)
            .then(|| Span::Last { text: text.to_owned(), length: Duration::from_secs(length) })
    }
}

/// One request for a page.
#[derive(Debug, Clone)]
pub struct Asked {
    pub tenant: String,
    pub span: Span,
    /// The span at the time of asking.
    pub range: Range,
    pub refresh_seconds: Option<u64>,
    pub language: Language,
    /// Times are told by the browser's clock, where scripts run; else they are UTC.
    pub is_local: bool,
    /// The language stands in the address.
    is_language_chosen: bool,
    path: String,
    parameters: Vec<(String, String)>,
    /// What was wrong with the parameters.
    pub complaints: Vec<String>,
}

impl Asked {
    /// Reads an address. Of a parameter that is there twice the first counts.
    pub fn of(path: &str, query: &str, headers: &HeaderMap, tenant: String, now: UnixNanos) -> Asked {
        let parameters: Vec<(String, String)> =
            form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let chosen = value_of(&parameters, "lang").and_then(Language::named);
        let spoken = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let language = chosen.unwrap_or_else(|| Language::spoken(spoken.unwrap_or_default()));
        let mut complaints = Vec::new();
        let span = span(&parameters, language.words(), &mut complaints);
        let refresh_seconds = value_of(&parameters, "refresh").and_then(|text| text.parse().ok());
        Asked {
            tenant,
            range: range_of(&span, now),
            span,
            refresh_seconds: refresh_seconds.filter(|seconds| REFRESH_SECONDS.contains(seconds)),
            language,
            is_local: value_of(&parameters, "clock") == Some(LOCAL),
            is_language_chosen: chosen.is_some(),
            path: path.to_owned(),
            parameters,
            complaints,
        }
    }

    pub fn words(&self) -> &'static Words {
        self.language.words()
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// A parameter of the page's own; an empty one is none.
    pub fn get(&self, name: &str) -> Option<&str> {
        value_of(&self.parameters, name)
    }

    /// All values of a parameter that may be there several times.
    pub fn every<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let of_name = self.parameters.iter().filter(move |(known, _)| known == name);
        of_name.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// All values of a parameter of the page's own, each also several with commas between.
    pub fn all<'a>(&'a self, name: &'a str) -> Vec<&'a str> {
        self.every(name).flat_map(|value| value.split(',')).filter(|value| !value.is_empty()).collect()
    }

    /// The page's own parameters but for those: what a form has to send along that sets these.
    pub fn others<'a>(&'a self, but: &[&'a str]) -> Vec<(&'a str, &'a str)> {
        self.own(&but.iter().map(|name| (*name, None)).collect::<Vec<_>>())
    }

    /// The address of a page with the same range, refresh and language, and with these parameters of its own.
    pub fn link(&self, path: &str, own: &[(&str, &str)]) -> String {
        self.address(path, &self.span, self.refresh_seconds, own)
    }

    /// This page, but for `changed`; none takes a parameter away.
    pub fn here(&self, changed: &[(&str, Option<&str>)]) -> String {
        self.address(&self.path, &self.span, self.refresh_seconds, &self.own(changed))
    }

    /// This page over another range, but for `changed`.
    pub fn there(&self, span: &Span, changed: &[(&str, Option<&str>)]) -> String {
        self.address(&self.path, span, self.refresh_seconds, &self.own(changed))
    }

    /// This page over another range.
    pub fn over(&self, span: &Span) -> String {
        self.address(&self.path, span, self.refresh_seconds, &self.own(&[]))
    }

    /// Another page with all that this one is asked.
    pub fn as_page(&self, path: &str) -> String {
        self.address(path, &self.span, self.refresh_seconds, &self.own(&[]))
    }

    /// This page over the relative range of that name.
    pub fn over_last(&self, window: &str) -> String {
        Span::last(window).map(|span| self.over(&span)).unwrap_or_default()
    }

    /// This page, loading itself so often or not at all.
    pub fn refreshed(&self, seconds: Option<u64>) -> String {
        self.address(&self.path, &self.span, seconds, &self.own(&[]))
    }

    /// This page by another clock.
    pub fn by_clock(&self, is_local: bool) -> String {
        Asked { is_local, ..self.clone() }.here(&[])
    }

    /// This page in another language.
    pub fn in_language(&self, language: Language) -> String {
        Asked { language, is_language_chosen: true, ..self.clone() }.here(&[])
    }

    /// What a form has to send along so that range, refresh and language are kept.
    pub fn kept(&self) -> Vec<(&'static str, String)> {
        let mut kept = match &self.span {
            Span::Last { text, .. } => vec![("range", text.clone())],
            Span::Fixed { from, to } => vec![("from", from.to_rfc3339()), ("to", to.to_rfc3339())],
        };
        kept.extend(self.refresh_seconds.map(|seconds| ("refresh", seconds.to_string())));
        kept.extend(self.is_local.then(|| ("clock", LOCAL.to_owned())));
        kept.extend(self.is_language_chosen.then(|| ("lang", self.language.name().to_owned())));
        kept
    }

    /// The page's own parameters with some changed.
    fn own<'a>(&'a self, changed: &[(&'a str, Option<&'a str>)]) -> Vec<(&'a str, &'a str)> {
        const SHARED: [&str; 6] = ["range", "from", "to", "refresh", "clock", "lang"];
        let is_kept =
            |name: &str| !SHARED.contains(&name) && changed.iter().all(|(changed, _)| *changed != name);
        let kept = self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let kept = kept.filter(|(name, value)| is_kept(name) && !value.is_empty());
        kept.chain(changed.iter().filter_map(|(name, value)| Some((*name, (*value)?)))).collect()
    }

    fn address(&self, path: &str, span: &Span, refresh: Option<u64>, own: &[(&str, &str)]) -> String {
        let kept = Asked { span: span.clone(), refresh_seconds: refresh, ..self.clone() }.kept();
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(kept).extend_pairs(own);
        let mut address = path.to_owned();
        write!(address, "?{}", form.finish()).expect("writing to a String cannot fail");
        address
    }
}

impl FromRequestParts<FaceState> for Asked {
    type Rejection = (StatusCode, String);

    async fn from_request_parts(parts: &mut Parts, state: &FaceState) -> Result<Asked, Self::Rejection> {
        let Some(tenant) = tenant_of(&parts.extensions) else {
            return Err((StatusCode::BAD_REQUEST, format!("{NOT_A_TENANT}\n")));
        };
        let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
        Ok(Asked::of(path, query, &parts.headers, tenant, state.engine.clock().now()))
    }
}

fn value_of<'a>(parameters: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = parameters.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
}

/// What the parameters ask for: both ends, or else a length up to now.
fn span(parameters: &[(String, String)], words: &Words, complaints: &mut Vec<String>) -> Span {
    let plain = || Span::last(WINDOW_DEFAULT).expect("the default is a range");
    if let (Some(from), Some(to)) = (value_of(parameters, "from"), value_of(parameters, "to")) {
        if let (Some(from), Some(to)) = (UnixNanos::parse(from), UnixNanos::parse(to))
            && Range::new(from, to, None).is_ok()
        {
            return Span::Fixed { from, to };
        }
        complaints.push(format!("{}: from={from} to={to}", words.no_range));
        return plain();
    }
    let Some(asked) = value_of(parameters, "range") else { return plain() };
    Span::last(asked).unwrap_or_else(|| {
        complaints.push(format!("{}: range={asked}", words.no_range));
        plain()
    })
}

fn range_of(span: &Span, now: UnixNanos) -> Range {
    let (from, to) = match span {
        Span::Last { length, .. } => (now.minus(*length), now),
        Span::Fixed { from, to } => (*from, *to),
    };
    Range::new(from, to, None).expect("a relative range has a length, and a fixed one was tried")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixNanos = UnixNanos(1_700_000_000_000_000_000);

    fn asked(query: &str) -> Asked {
        Asked::of("/service", query, &HeaderMap::new(), "default".to_owned(), NOW)
    }

    #[test]
    fn a_range_is_a_length_or_both_ends() {
        let seconds = |query: &str| {
            let range = asked(query).range;
            (range.to().0 - range.from().0) / 1_000_000_000
        };
        assert_eq!(["", "range=90s", "range=6h", "range=7d"].map(seconds), [900, 90, 21_600, 604_800]);
        assert_eq!(seconds("from=1700000000&to=1700000061"), 70, "widened to whole ten seconds");
    }

    #[test]
    fn a_range_that_is_none_is_complained_of() {
        for query in [
            "range=5x",
            "range=m",
            "range=%E2%82%AC",
            "range=9s",
            "range=999999d",
            "from=5&to=5",
            "from=x&to=y",
        ] {
            let asked = asked(query);
            assert_eq!((asked.complaints.len(), asked.over_last("15m")), (1, asked.here(&[])), "{query}");
        }
    }

    #[test]
    fn links_keep_range_refresh_and_a_chosen_language() {
        let clock = asked("range=1h&clock=local&name=a");
        assert_eq!(clock.link("/sql", &[]), "/sql?range=1h&clock=local");
        assert_eq!(clock.by_clock(false), "/service?range=1h&name=a");
        let asked = asked("range=1h&refresh=10&lang=zh&name=a%2Fb&by=x");
        let kept = "range=1h&refresh=10&lang=zh";
        assert_eq!(asked.link("/sql", &[("q", "a&b")]), format!("/sql?{kept}&q=a%26b"));
        assert_eq!(asked.here(&[("by", Some("y"))]), format!("/service?{kept}&name=a%2Fb&by=y"));
        assert_eq!(asked.here(&[("by", None)]), format!("/service?{kept}&name=a%2Fb"));
        assert_eq!(asked.over_last("5m"), "/service?range=5m&refresh=10&lang=zh&name=a%2Fb&by=x");
        assert_eq!(asked.refreshed(None), "/service?range=1h&lang=zh&name=a%2Fb&by=x");
        assert_eq!(asked.as_page("/graph.svg"), format!("/graph.svg?{kept}&name=a%2Fb&by=x"));
    }

    #[test]
    fn a_parameter_may_be_there_several_times() {
        let asked = asked("open=a&open=&open=b");
        assert_eq!((asked.get("open"), asked.every("open").collect::<Vec<_>>()), (Some("a"), vec!["a", "b"]));
        let added = asked.here(&[("open", Some("b")), ("open", Some("c"))]);
        assert_eq!(added, "/service?range=15m&open=b&open=c");
    }

    #[test]
    fn a_parameter_may_have_several_values() {
        let asked = asked("columns=a,b&x=1&columns=c&columns=&y=2&range=1h");
        assert_eq!(asked.all("columns"), ["a", "b", "c"]);
        assert_eq!(asked.others(&["columns"]), [("x", "1"), ("y", "2")]);
        let from = UnixNanos::from_seconds(1_700_000_000);
        let span = Span::Fixed { from, to: UnixNanos::from_seconds(1_700_000_060) };
        let there = asked.there(&span, &[("columns", None), ("x", Some("3"))]);
        let want = "/service?from=2023-11-14T22%3A13%3A20Z&to=2023-11-14T22%3A14%3A20Z&y=2&x=3";
        assert_eq!(there, want);
    }

    #[test]
    fn the_language_is_the_browsers_unless_it_is_chosen() {
        let language = |query: &str, spoken: &'static str| {
            let headers = [(header::ACCEPT_LANGUAGE, spoken.parse().expect("a header"))];
            Asked::of("/", query, &headers.into_iter().collect(), "default".to_owned(), NOW).language
        };
        assert_eq!(language("", "de, zh-CN;q=0.8, en;q=0.5"), Language::Chinese);
        assert_eq!(language("", "en-GB, zh;q=0.9"), Language::English);
        assert_eq!(language("lang=en", "zh"), Language::English);
        assert_eq!(language("lang=tlh", "fr"), Language::English);
    }
}
