//! What matchers ask for, in words of the tables.
//!
//! A series' name is made of a metric's name, unit and kind, which cannot be undone, so names are looked up: those metrics are
//! read that make a name which is asked for. Of labels, `job` and `instance` are asked of the tables; the rest is
//! compared with the labels that are made.

use meshlake_promql::{Comparison, METRIC_NAME, Matcher};
use meshlake_schema::Filter;
use meshlake_schema::filter::{Place, Test, Value};

use super::stems::Stem;

/// Labels that tell the series of one stem apart.
pub const SPREAD: [&str; 2] = ["le", "quantile"];

/// Matchers, by what they are compared with.
#[derive(Debug)]
pub struct Asked<'a> {
    names: Vec<&'a Matcher>,
    spread: Vec<&'a Matcher>,
    labels: Vec<&'a Matcher>,
}

impl<'a> Asked<'a> {
    pub fn of(matchers: &'a [Matcher]) -> Self {
        let (names, others): (Vec<_>, Vec<_>) =
            matchers.iter().partition(|matcher| matcher.name == METRIC_NAME);
        let (spread, labels) =
            others.into_iter().partition(|matcher| SPREAD.contains(&matcher.name.as_str()));
        Asked { names, spread, labels }
    }

    /// Whether every name is asked for.
    pub fn is_of_all_names(&self) -> bool {
        self.names.is_empty()
    }

    pub fn has_name(&self, name: &str) -> bool {
        self.names.iter().all(|matcher| matcher.matches(name))
    }

    /// The matchers of labels, all of them.
    pub fn of_labels(&self) -> impl Iterator<Item = &'a Matcher> + Clone {
        self.labels.clone().into_iter().chain(self.spread.clone())
    }

    /// Whether of a stem that is asked for the series of that ending, and with that label besides, is.
    pub fn has_series(&self, stem: &Stem, ending: &str, more: Option<(&str, &str)>) -> bool {
        self.has_series_of(&stem.family, |name| stem.label(name), ending, more)
    }

    /// The same of a stem of which are known the name of its series and [`SPREAD`].
    pub fn has_series_of<'v>(
        &self,
        family: &str,
        own: impl Fn(&str) -> &'v str,
        ending: &str,
        more: Option<(&'v str, &'v str)>,
    ) -> bool {
        let value = |name: &str| match more {
            Some((label, value)) if label == name => value,
            _ => own(name),
        };
        self.has_name(&format!("{family}{ending}"))
            && self.spread.iter().all(|matcher| matcher.matches(value(&matcher.name)))
    }

    /// Whether a series with these labels is asked for, whatever its name.
    pub fn has_labels<'v>(&self, label: impl Fn(&str) -> &'v str) -> bool {
        self.labels.iter().chain(&self.spread).all(|matcher| matcher.matches(label(&matcher.name)))
    }

    /// What every row of a series that is asked for passes. Columns hold what is text alone, or what stands in for it, so
    /// that rows without a value pass too.
    pub fn filter(&self) -> Filter {
        let equal = |name: &str| {
            let asked = self.labels.iter().find(|m| m.name == name && m.comparison == Comparison::Equal);
            asked.map(|matcher| matcher.value.as_str()).filter(|value| !value.is_empty())
        };
        // A job may be a namespace and a name, and either may have a slash.
        let names = |job: &str| {
            let ends = job.match_indices('/').map(|(at, _)| job[at + 1..].to_owned());
            ends.chain([job.to_owned()]).map(Value::Text).collect::<Vec<_>>()
        };
        let services = equal("job").map(|job| is_in_or_null("service_name", names(job)));
        let instance = |instance: &str| vec![Value::Text(instance.to_owned())];
        let instances = equal("instance").map(|id| is_in_or_null("service_instance_id", instance(id)));
        Filter::And(services.into_iter().chain(instances).collect())
    }
}

fn is_in_or_null(column: &str, values: Vec<Value>) -> Filter {
    let is_null = Filter::Is(Place::Column(column.to_owned()), Test::IsNull);
    Filter::Or(vec![Filter::is_in(column, values), is_null])
}
