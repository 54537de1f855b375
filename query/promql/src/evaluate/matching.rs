//! Operators between vectors: which series of both sides belong together.
//!
//! Series are grouped once, by the labels that match. Whether a group is fit, one series on one side at least, is
//! asked step by step: two series that are never there at the same time are no conflict.

use std::collections::{HashMap, HashSet};

use super::element::{Outcome, arithmetic, combine};
use super::{Columns, Evaluator};
use crate::error::Error;
use crate::labels::{Labels, METADATA};
use crate::notes::Note;
use crate::plan::Pair;
use crate::series::{Grid, Point, Series};
use crate::tree::{Cardinality, Matching};

/// Points of a match that compare labels, next to points that are numbers alone. Guess, not measured.
const LABELS_COST: usize = 16;

/// The labels that decide what belongs together.
pub(super) fn signature(labels: &Labels, matching: &Matching) -> Labels {
    let is_named = |name: &str| matching.labels.iter().any(|label| label == name);
    labels
        .keep(|name| if matching.on { is_named(name) } else { !is_named(name) && !METADATA.contains(&name) })
}

/// Whether the values of a result are no longer the metric's own.
pub(super) fn drops_name(pair: &Pair) -> bool {
    let is_arithmetic = arithmetic(pair.operator, 1.0, 1.0).is_some();
    is_arithmetic || pair.returns_bool
}

/// The series of both sides that have one signature.
#[derive(Default)]
struct Group {
    labels: Labels,
    many: Vec<usize>,
    one: Vec<usize>,
}

/// Both sides, turned so that there is one on the right for many on the left.
struct Sides<'s> {
    pair: &'s Pair,
    many: Vec<Series>,
    one: Vec<Series>,
    is_turned: bool,
    fill_many: Option<f64>,
    fill_one: Option<f64>,
    at: usize,
}

/// Results under construction.
struct Results {
    columns: Vec<Series>,
    /// Columns by the series that they come from; one is none where a value was filled in.
    places: HashMap<(Option<usize>, Option<usize>), usize>,
    count: usize,
}

impl Evaluator<'_> {
    pub(super) fn of_vectors(&self, at: usize, pair: &Pair, grid: Grid) -> Columns<'_> {
        let (left, held_left) = self.columns(&pair.left, grid)?;
        let (right, held_right) = self.columns(&pair.right, grid)?;
        let matching = &pair.matching;
        let is_turned = matching.cardinality == Cardinality::OneToMany;
        let fills = (matching.fill_left, matching.fill_right);
        let (many, one) = if is_turned { (right, left) } else { (left, right) };
        let (fill_many, fill_one) = if is_turned { (fills.1, fills.0) } else { fills };
        let sides = Sides { pair, many, one, is_turned, fill_many, fill_one, at };
        let width = sides.many.len() + if fill_many.is_some() { sides.one.len() } else { 0 };
        let held = self.meter.hold_columns(width, grid.count)?;
        let mut results = Results { columns: Vec::new(), places: HashMap::new(), count: grid.count };
        // A step at which one side has nothing at all cannot be ambiguous.
        let is_open = fill_many.is_some() || fill_one.is_some();
        let steps: Vec<bool> = (0..grid.count)
            .map(|step| is_open || (has_point(&sides.many, step) && has_point(&sides.one, step)))
            .collect();
        for group in groups(&sides) {
            self.meter.check_time()?;
            for step in (0..grid.count).filter(|step| steps[*step]) {
                self.meter.look_at(LABELS_COST * (group.many.len() + group.one.len()))?;
                self.match_step(&sides, &group, step, &mut results)?;
            }
        }
        drop((held_left, held_right));
        let mut columns = results.columns;
        let drops = pair.returns_bool;
        columns.iter_mut().for_each(|column| column.drops_name |= drops);
        Ok((self.finished(columns)?, held))
    }

    fn match_step(
        &self,
        sides: &Sides<'_>,
        group: &Group,
        step: usize,
        results: &mut Results,
    ) -> Result<(), Error> {
        let is_there = |columns: &[Series], at: usize| !columns[at].points[step].is_none();
        let mut ones = group.one.iter().copied().filter(|at| is_there(&sides.one, *at));
        let one = ones.next();
        if let (Some(first), Some(second)) = (one, ones.next()) {
            return Err(duplicates(sides, group, [first, second]));
        }
        let mut seen = Seen { count: 0, labels: HashSet::new() };
        for many in group.many.iter().copied().filter(|at| is_there(&sides.many, *at)) {
            let fill = sides.fill_one.map(Point::Float);
            let right = match one {
                Some(one) => &sides.one[one].points[step],
                None => match &fill {
                    Some(fill) => fill,
                    None => continue,
                },
            };
            let left = &sides.many[many].points[step];
            self.put(sides, group, (Some(many), one), (left, right), step, results, &mut seen)?;
        }
        if let (Some(one), Some(fill), 0) = (one, sides.fill_many, seen.count) {
            let right = &sides.one[one].points[step];
            self.put(
                sides,
                group,
                (None, Some(one)),
                (&Point::Float(fill), right),
                step,
                results,
                &mut seen,
            )?;
        }
        Ok(())
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "a match is two series, two points and a place to put the result"
    )]
    fn put(
        &self,
        sides: &Sides<'_>,
        group: &Group,
        series: (Option<usize>, Option<usize>),
        (many, one): (&Point, &Point),
        step: usize,
        results: &mut Results,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let pair = sides.pair;
        let tell = |note: Note| self.notes.tell(note, sides.at);
        let (left, right) = if sides.is_turned { (one, many) } else { (many, one) };
        let Outcome::Value(value, holds) = combine(pair.operator, left, right, &tell) else { return Ok(()) };
        let place = results.place(sides, group, series, self.options.drops_names_last);
        seen.check(pair, &results.columns[place].labels)?;
        let value = match (pair.returns_bool, holds) {
            (true, holds) => Point::Float(f64::from(u8::from(holds))),
            (false, true) => value,
            (false, false) => return Ok(()),
        };
        results.columns[place].points[step] = value;
        Ok(())
    }
}

fn has_point(columns: &[Series], step: usize) -> bool {
    columns.iter().any(|column| !column.points[step].is_none())
}

fn groups(sides: &Sides<'_>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut place = |groups: &mut Vec<Group>, labels: &Labels| {
        let labels = signature(labels, &sides.pair.matching);
        *places.entry(labels.clone()).or_insert_with(|| {
            groups.push(Group { labels, ..Group::default() });
            groups.len() - 1
        })
    };
    for (at, series) in sides.many.iter().enumerate() {
        let place = place(&mut groups, &series.labels);
        groups[place].many.push(at);
    }
    for (at, series) in sides.one.iter().enumerate() {
        let place = place(&mut groups, &series.labels);
        groups[place].one.push(at);
    }
    groups
}

/// What a group has matched at one step.
struct Seen {
    count: usize,
    labels: HashSet<Labels>,
}

impl Seen {
    fn check(&mut self, pair: &Pair, labels: &Labels) -> Result<(), Error> {
        self.count += 1;
        if pair.matching.cardinality == Cardinality::OneToOne {
            let is_second = self.count > 1;
            return if is_second {
                Err(ambiguous("many-to-one matching must be explicit (group_left/group_right)"))
            } else {
                Ok(())
            };
        }
        if self.labels.insert(labels.clone()) {
            return Ok(());
        }
        Err(ambiguous("grouping labels must ensure unique matches"))
    }
}

impl Results {
    /// The column of two series' results.
    fn place(
        &mut self,
        sides: &Sides<'_>,
        group: &Group,
        series: (Option<usize>, Option<usize>),
        drops_names_last: bool,
    ) -> usize {
        let (columns, count) = (&mut self.columns, self.count);
        *self.places.entry(series).or_insert_with(|| {
            let of = |columns: &[Series], at: Option<usize>| at.map(|at| columns[at].labels.clone());
            let many = of(&sides.many, series.0).unwrap_or_else(|| group.labels.clone());
            let one = of(&sides.one, series.1).unwrap_or_else(|| group.labels.clone());
            let labels = result_labels(sides.pair, &many, &one, drops_names_last);
            columns.push(Series { labels, drops_name: false, points: vec![Point::None; count] });
            columns.len() - 1
        })
    }
}

/// The labels of a result: the many's, or those that matched; and what the many take from the one.
fn result_labels(pair: &Pair, many: &Labels, one: &Labels, drops_names_last: bool) -> Labels {
    let matching = &pair.matching;
    let is_early = drops_name(pair) && !(pair.returns_bool && drops_names_last);
    let mut labels = if is_early { many.without_metadata() } else { many.clone() };
    if matching.cardinality == Cardinality::OneToOne {
        let is_named = |name: &str| matching.labels.iter().any(|label| label == name);
        labels = labels.keep(|name| is_named(name) == matching.on);
    }
    labels.with_all(matching.include.iter().map(|name| (name.as_str(), one.get(name))))
}

fn duplicates(sides: &Sides<'_>, group: &Group, series: [usize; 2]) -> Error {
    let side = if sides.is_turned { "left" } else { "right" };
    let mut texts = series.map(|at| sides.one[at].labels.to_string());
    texts.sort();
    let [first, second] = texts;
    Error::execution(format!(
        "found duplicate series for the match group {} on the {side} hand-side of the operation: [{first}, {second}]\
         ;many-to-many matching not allowed: matching labels must be unique on one side",
        group.labels
    ))
}

/// A wrong match, as Prometheus words it.
fn ambiguous(text: &str) -> Error {
    Error::execution(format!("multiple matches for labels: {text}"))
}
