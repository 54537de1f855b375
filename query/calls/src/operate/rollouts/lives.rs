//! When each instance of a service was called, and whether it came or went.
//!
//! An instance that is there gets its share of the service's calls. It *went* if it got none at the end, of so many that
//! the service received meanwhile that its share of them cannot have been none by chance; it *came* if the same holds of
//! the start. For calls that arrive independently of one another, the chance that none of `n` expected calls comes is
//! `e^-n` (Poisson). The bound is set so that of all instances of an answer none is told wrongly in 99 of 100 answers.
//! Silence of less than a minute tells nothing, for two clocks may be that far apart. Proxies and spans may name one instance
//! differently: those of one kind of evidence are told, and what only the other tells of says nothing of them.
//!
//! An instance whose version or whose proxy's release changes goes as the one and comes as the other, under one name. Calls
//! that tell no release are of the one last told before them: to be silent about it is to have kept it.

use std::collections::BTreeMap;

use meshlake_schema::UnixNanos;

use super::LIVES_MAX;
use super::periods::{Event, Period, count};
use crate::detail::Detail;
use crate::measure::Measure;
use crate::party::OTHER;
use crate::requests::seen::SKEW_MAX;
use crate::{Evidence, Figures, NodeCell, Picture, Range};

/// How likely an answer may name an instance that neither came nor went.
const FALSE_ALARM: f64 = 0.01;

/// An instance while it was called.
#[derive(Debug, Clone, PartialEq)]
pub struct Life {
    pub instance: String,
    pub version: Option<String>,
    /// Release of the proxy beside it; `None` where none is told.
    pub proxy_version: Option<String>,
    /// Start of the step of its first call in the range, and end of that of its last.
    pub first_seen: UnixNanos,
    pub last_seen: UnixNanos,
    pub requests: f64,
    /// Whether it came in the range, and whether it went; `None` where there is not enough to tell.
    pub came: Option<bool>,
    pub went: Option<bool>,
}

/// Who an instance is: its name, its version and the release of its proxy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Identity {
    instance: String,
    version: Option<String>,
    proxy_version: Option<String>,
}

/// The releases of the proxies of instances, each from the first bucket on in which it is told.
#[derive(Default)]
struct Releases(BTreeMap<(String, Option<String>), BTreeMap<u16, String>>);

impl Releases {
    fn of<'a>(picture: &'a Picture, cells: impl Iterator<Item = &'a NodeCell>) -> Releases {
        let mut releases = Releases::default();
        for cell in cells {
            let detail = Detail::read(cell.detail.as_deref().unwrap_or_default());
            let (Some(instance), Some(release)) = (detail.instance, detail.proxy_version) else { continue };
            let version = picture.nodes[cell.node].version.clone();
            let known = releases.0.entry((instance.to_owned(), version)).or_default();
            known.insert(cell.bucket, release.to_owned());
        }
        releases
    }

    /// The release that calls of an instance which tell none were served by.
    fn at(&self, instance: &str, version: Option<&str>, bucket: u16) -> Option<String> {
        let known = self.0.get(&(instance.to_owned(), version.map(str::to_owned)))?;
        let last = known.range(..=bucket).next_back();
        last.or_else(|| known.first_key_value()).map(|(_, release)| release.clone())
    }
}

/// An instance in buckets.
#[derive(Debug, Clone, Copy)]
struct Span {
    first: u16,
    last: u16,
    requests: f64,
}

/// All instances of a service.
pub struct Lives {
    range: Range,
    /// Sorted.
    spans: Vec<(Identity, Span)>,
    /// Calls of the service by bucket, of the evidence that names instances, with those that were refused before they reached
    /// it.
    demand: Vec<f64>,
    received: Vec<(u16, Evidence, Measure)>,
    /// Received calls that name no instance, those of instances too many to be told apart, and those that name instances as
    /// others do not.
    unnamed: f64,
    not_told_apart: f64,
    named_otherwise: f64,
}

/// The evidence that names instances in most calls; proxies where none does.
fn names<'a>(cells: impl Iterator<Item = &'a NodeCell>) -> Evidence {
    let (mut rows, mut spans) = (0.0, 0.0);
    for cell in cells.filter(|cell| instance(cell).is_some()) {
        let calls = if cell.evidence == Evidence::Requests { &mut rows } else { &mut spans };
        *calls += cell.measure.requests();
    }
    if spans > rows { Evidence::Spans } else { Evidence::Requests }
}

fn instance(cell: &NodeCell) -> Option<&str> {
    Detail::read(cell.detail.as_deref()?).instance
}

impl Lives {
    /// `refused` are calls to the service that reached nobody, by bucket.
    pub fn of(picture: &Picture, service: &str, refused: &[(u16, f64)]) -> Lives {
        let buckets = usize::from(count(&picture.range));
        let mut demand = vec![0.0; buckets];
        let mut spans: BTreeMap<Identity, Span> = BTreeMap::new();
        let mut received = Vec::new();
        let (mut unnamed, mut not_told_apart, mut named_otherwise) = (0.0, 0.0, 0.0);
        let cells = || picture.node_cells.iter().filter(|cell| picture.nodes[cell.node].service == service);
        let names = names(cells());
        let releases = Releases::of(picture, cells().filter(|cell| cell.evidence == names));
        for cell in cells() {
            let requests = cell.measure.requests();
            received.push((cell.bucket, cell.evidence, cell.measure.clone()));
            if cell.evidence != names {
                named_otherwise += requests;
                continue;
            }
            demand[usize::from(cell.bucket)] += requests;
            let detail = Detail::read(cell.detail.as_deref().unwrap_or_default());
            let Some(instance) = detail.instance else {
                let is_other = cell.detail.as_deref() == Some(OTHER);
                *(if is_other { &mut not_told_apart } else { &mut unnamed }) += requests;
                continue;
            };
            let version = picture.nodes[cell.node].version.clone();
            let told = detail.proxy_version.map(str::to_owned);
            let proxy_version = told.or_else(|| releases.at(instance, version.as_deref(), cell.bucket));
            let key = Identity { instance: instance.to_owned(), version, proxy_version };
            let new = Span { first: cell.bucket, last: cell.bucket, requests: 0.0 };
            let span = spans.entry(key).or_insert(new);
            span.first = span.first.min(cell.bucket);
            span.last = span.last.max(cell.bucket);
            span.requests += requests;
        }
        for (bucket, calls) in refused {
            demand[usize::from(*bucket)] += calls;
        }
        let (range, spans) = (picture.range, spans.into_iter().collect());
        Lives { range, spans, demand, received, unnamed, not_told_apart, named_otherwise }
    }

    /// What to say of calls that no instance is known of.
    pub fn warnings(&self) -> Vec<String> {
        let all: f64 = self.received.iter().map(|(.., measure)| measure.requests()).sum();
        let (unnamed, others, otherwise) = (self.unnamed, self.not_told_apart, self.named_otherwise);
        let unnamed = (unnamed > 0.0).then(|| format!("{unnamed} of {all} received calls name no instance"));
        let otherwise = (otherwise > 0.0).then(|| {
            format!(
                "{otherwise} of {all} received calls are told by other evidence, whose names of instances are not \
                 compared; `source` takes one"
            )
        });
        let others = (others > 0.0)
            .then(|| format!("{others} of {all} received calls are of instances that are not told apart"));
        unnamed.into_iter().chain(others).chain(otherwise).collect()
    }

    /// What came and went, in order of time.
    pub fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        for (life, (_, span)) in self.spans.iter().enumerate() {
            if self.came(span) == Some(true) {
                events.push(Event { bucket: span.first, is_coming: true, life });
            }
            if self.went(span) == Some(true) {
                events.push(Event { bucket: span.last, is_coming: false, life });
            }
        }
        events.sort_unstable();
        events
    }

    pub fn life(&self, at: usize) -> Life {
        let (Identity { instance, version, proxy_version }, span) = &self.spans[at];
        Life {
            instance: instance.clone(),
            version: version.clone(),
            proxy_version: proxy_version.clone(),
            first_seen: self.range.bucket_start(span.first),
            last_seen: self.range.bucket_start(span.last + 1).min(self.range.to()),
            requests: span.requests,
            came: self.came(span),
            went: self.went(span),
        }
    }

    /// The [`LIVES_MAX`] last seen, and a word on the others.
    pub fn newest(&self, warnings: &mut Vec<String>) -> Vec<Life> {
        let mut order: Vec<usize> = (0..self.spans.len()).collect();
        order.sort_by_key(|at| std::cmp::Reverse(self.spans[*at].1.last));
        if order.len() > LIVES_MAX {
            warnings.push(format!("{} instances last seen earlier are not shown", order.len() - LIVES_MAX));
            order.truncate(LIVES_MAX);
        }
        order.into_iter().map(|at| self.life(at)).collect()
    }

    /// Figures of the calls received in a period; none where there were none.
    pub fn figures(&self, period: &Period, range: &Range) -> Option<Figures> {
        let cells = || self.received.iter().filter(|(bucket, ..)| period.has(*bucket));
        let evidence = cells().map(|(_, evidence, _)| *evidence).min()?;
        let mut all = Measure::default();
        cells().for_each(|(.., measure)| all.merge(measure));
        let seconds = (period.first..period.end).map(|bucket| range.bucket_seconds(bucket)).sum();
        Some(Figures::of(&all, evidence, seconds))
    }

    fn came(&self, span: &Span) -> Option<bool> {
        if span.first == 0 {
            return Some(false);
        }
        let silence = self.range.bucket_start(span.first).0 - self.range.observed_from().0;
        self.is_no_chance(span, 0..span.first, silence).then_some(true)
    }

    fn went(&self, span: &Span) -> Option<bool> {
        let end = count(&self.range);
        if span.last + 1 >= end {
            return Some(false);
        }
        let silence = self.range.observed_to().0 - self.range.bucket_start(span.last + 1).0;
        self.is_no_chance(span, span.last + 1..end, silence).then_some(true)
    }

    /// Whether the instance cannot have been silent in these buckets, so many nanoseconds, by chance.
    fn is_no_chance(&self, span: &Span, silent: std::ops::Range<u16>, nanos: i64) -> bool {
        let calls = |buckets: std::ops::Range<u16>| -> f64 {
            self.demand[usize::from(buckets.start)..usize::from(buckets.end)].iter().sum()
        };
        // The first and the last call make the span, so that they tell nothing of the share in it.
        let of_service = calls(span.first..span.last + 1) - 1.0;
        let share = if of_service > 0.0 { ((span.requests - 1.0) / of_service).max(0.0) } else { 0.0 };
        let both_ends = 2.0 * self.spans.len() as f64;
        nanos >= SKEW_MAX && share * calls(silent) >= (both_ends / FALSE_ALARM).ln()
    }
}
