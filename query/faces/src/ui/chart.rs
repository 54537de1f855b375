//! Lines over time as inline SVG: one small chart for each golden metric. Whoever cannot see is told the last and the largest value
//! of each line.
//!
//! A bucket without calls has no point, because none and zero are not alike: the line is broken there, and a point that
//! stands alone is a dot.

use maud::{Markup, html};
use meshlake_schema::UnixNanos;

use super::text::Text;

/// Sizes in drawing units.
const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 150.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 18.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 24.0;

/// Lines across, and times below.
const LINES: usize = 4;
const TIMES: usize = 4;

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const DAY_SECONDS: i64 = 86_400;

/// One line of a chart.
pub struct Line<'a> {
    pub name: &'a str,
    /// Its colour's class.
    pub class: &'a str,
    /// By bucket, none where there is nothing.
    pub values: Vec<Option<f64>>,
}

/// Something that was at a time, and leads to a page.
pub struct Mark {
    pub from: UnixNanos,
    pub to: UnixNanos,
    pub title: String,
    pub link: String,
}

/// Something with a value at a time, which leads to a page.
pub struct Point {
    pub time: UnixNanos,
    pub value: f64,
    pub title: String,
    pub link: String,
}

/// What a chart shows.
pub struct Chart<'a> {
    pub title: &'a str,
    /// Starts of the buckets, ascending and evenly apart.
    pub times: &'a [UnixNanos],
    pub lines: Vec<Line<'a>>,
    /// Behind the lines, over their whole height.
    pub marks: &'a [Mark],
    /// On top of them; one that is higher than they reach is drawn at the top.
    pub points: &'a [Point],
    /// A value in words.
    pub shown: fn(f64) -> String,
    /// Where its lines stand in the table of numbers, counted from 0.
    pub columns: std::ops::Range<usize>,
}

impl Chart<'_> {
    /// Draws it. `data-` attributes tell scripts what time lies where, and which columns of the table of numbers are shown.
    pub fn draw(&self) -> Markup {
        let values = self.lines.iter().flat_map(|line| line.values.iter().flatten().copied());
        let top = nice(values.fold(0.0, f64::max));
        let y = |value: f64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - value / top);
        let columns = self.columns.clone().map(|column| column.to_string()).collect::<Vec<_>>().join(" ");
        let ends = [self.times.first(), self.times.last()].map(|time| time.map(|time| time.seconds()));
        html! {
            figure class="chart" {
                figcaption {
                    (self.title)
                    @if self.lines.len() > 1 {
                        @for line in &self.lines { span class={ "key " (line.class) } {} (line.name) }
                    }
                }
                svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="group" aria-label=(self.words()) data-part="brush"
                    data-columns=(columns) data-from=[ends[0]] data-to=[ends[1]] data-left=(LEFT) data-right=(WIDTH - RIGHT) {
                    @for mark in self.marks { (self.mark(mark)) }
                    (self.axes(top, y))
                    @for line in &self.lines {
                        @let (path, dots) = self.path(line, y);
                        path class={ "line " (line.class) } d=(path) {}
                        @for (x, y) in dots { circle class={ "line " (line.class) } cx=(units(x)) cy=(units(y)) r="2" {} }
                    }
                    @for point in self.points { (self.point(point, y(point.value.min(top)))) }
                }
            }
        }
    }

    fn axes(&self, top: f64, y: impl Fn(f64) -> f64) -> Markup {
        let levels = (0..=LINES).map(|at| top * at as f64 / LINES as f64);
        html! {
            g aria-hidden="true" {
                @for level in levels {
                    line class="level" x1=(units(LEFT)) x2=(units(WIDTH - RIGHT)) y1=(units(y(level))) y2=(units(y(level))) {}
                    text class="level" x=(units(LEFT - 6.0)) y=(units(y(level) + 4.0)) { ((self.shown)(level)) }
                }
                @for (x, at, time) in self.marks_of_time() {
                    text class="time" x=(units(x)) y=(units(HEIGHT - 6.0)) data-at=(at) { (time) }
                }
            }
        }
    }

    fn mark(&self, mark: &Mark) -> Markup {
        let (left, right) = (self.x_of(mark.from), self.x_of(mark.to));
        // What takes no time is seen as well.
        let width = units((right - left).max(3.0));
        html! {
            a class="mark" href=(mark.link) aria-label=(Text(&mark.title)) {
                title { (Text(&mark.title)) }
                rect x=(units(left)) y=(units(TOP)) width=(width) height=(units(HEIGHT - TOP - BOTTOM)) {}
            }
        }
    }

    fn point(&self, point: &Point, y: f64) -> Markup {
        let x = self.x_of(point.time);
        html! {
            a class="example" href=(point.link) aria-label=(Text(&point.title)) {
                title { (Text(&point.title)) }
                path d={ "M" (units(x)) " " (units(y - 5.0)) "l5 5l-5 5l-5 -5z" } {}
            }
        }
    }

    /// Where a time lies; what is outside is drawn at the edge.
    fn x_of(&self, time: UnixNanos) -> f64 {
        let (Some(first), Some(last)) = (self.times.first(), self.times.last()) else { return LEFT };
        let share = (time.0 - first.0) as f64 / (last.0 - first.0).max(1) as f64;
        LEFT + (WIDTH - LEFT - RIGHT) * share.clamp(0.0, 1.0)
    }

    /// The last value of each line, for whoever is read to.
    fn words(&self) -> String {
        let lines = self.lines.iter().filter_map(|line| {
            let values = line.values.iter().flatten();
            let most = values.clone().copied().fold(f64::NEG_INFINITY, f64::max);
            values
                .last()
                .map(|last| format!("{} {} (max {})", line.name, (self.shown)(*last), (self.shown)(most)))
        });
        format!("{}: {}", self.title, lines.collect::<Vec<_>>().join(", "))
    }

    fn x(&self, at: usize) -> f64 {
        let most = self.times.len().saturating_sub(1).max(1) as f64;
        LEFT + (WIDTH - LEFT - RIGHT) * at as f64 / most
    }

    /// Pieces without a gap as one path, and points that stand alone.
    fn path(&self, line: &Line<'_>, y: impl Fn(f64) -> f64) -> (String, Vec<(f64, f64)>) {
        let (mut path, mut dots) = (String::new(), Vec::new());
        let at = |bucket: usize| line.values.get(bucket).copied().flatten();
        for bucket in 0..line.values.len() {
            let Some(value) = at(bucket) else { continue };
            let (x, y) = (self.x(bucket), y(value));
            let (has_left, has_right) =
                (bucket.checked_sub(1).and_then(at).is_some(), at(bucket + 1).is_some());
            match (has_left, has_right) {
                (false, false) => dots.push((x, y)),
                (true, _) => path.push_str(&format!("L{x:.1} {y:.1}")),
                (false, true) => path.push_str(&format!("M{x:.1} {y:.1}")),
            }
        }
        (path, dots)
    }

    /// Where times are told below, and which, in seconds and in words: the hour, and the day where there is more than one.
    fn marks_of_time(&self) -> Vec<(f64, i64, String)> {
        let (Some(first), Some(last)) = (self.times.first(), self.times.last()) else { return Vec::new() };
        let has_days = (last.0 - first.0) / NANOS_PER_SECOND >= DAY_SECONDS;
        let places = (0..TIMES).map(|mark| mark * (self.times.len() - 1) / (TIMES - 1));
        let mut marks: Vec<(f64, i64, String)> = places
            .map(|at| {
                let text = self.times[at].to_rfc3339();
                // `2026-01-31T12:34:56Z`: the day's and the hour's part.
                let told = if has_days { text[5..16].replace('T', " ") } else { text[11..16].to_owned() };
                (self.x(at), self.times[at].seconds(), told)
            })
            .collect();
        marks.dedup_by(|a, b| a.2 == b.2);
        marks
    }
}

fn units(value: f64) -> String {
    format!("{value:.1}")
}

/// The least of 1, 2, 5 times a power of ten that is not below `value`; 1 for nothing.
fn nice(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|top| *top >= value).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_ends_at_a_round_number() {
        let tops = [0.0, 0.3, 1.0, 1.1, 2.1, 51.0, 1e6, f64::NAN].map(nice);
        assert_eq!(tops, [1.0, 0.5, 1.0, 2.0, 5.0, 100.0, 1e6, 1.0]);
    }

    /// A gap breaks the line; what stands alone between two is a dot.
    #[test]
    fn no_calls_are_no_zero() {
        let times: Vec<UnixNanos> = (0..6).map(|minute| UnixNanos::from_seconds(minute * 60)).collect();
        let values = vec![Some(1.0), Some(2.0), None, Some(1.0), None, Some(0.0)];
        let chart = Chart {
            title: "rate",
            times: &times,
            lines: vec![Line { name: "all", class: "one", values }],
            marks: &[],
            points: &[],
            shown: |value| value.to_string(),
            columns: 1..2,
        };
        let (path, dots) = chart.path(&chart.lines[0], |value| value);
        assert_eq!(path, format!("M{LEFT:.1} 1.0L{:.1} 2.0", chart.x(1)));
        assert_eq!(dots, [(chart.x(3), 1.0), (WIDTH - RIGHT, 0.0)]);
        assert_eq!(chart.words(), "rate: all 0 (max 2)");
        let marks: Vec<String> = chart.marks_of_time().into_iter().map(|(_, _, text)| text).collect();
        assert_eq!(marks, ["00:00", "00:01", "00:03", "00:05"]);
    }

    #[test]
    fn days_are_told_where_there_are_several() {
        let times: Vec<UnixNanos> = (0..25).map(|hour| UnixNanos::from_seconds(hour * 3_600)).collect();
        let chart = Chart {
            title: "",
            times: &times,
            lines: Vec::new(),
            marks: &[],
            points: &[],
            shown: |value| value.to_string(),
            columns: 0..0,
        };
        let places = [0, 12, 24, 30].map(|hour| chart.x_of(UnixNanos::from_seconds(hour * 3_600)));
        let middle = (LEFT + WIDTH - RIGHT) / 2.0;
        assert_eq!(places, [LEFT, middle, WIDTH - RIGHT, WIDTH - RIGHT]);
        assert_eq!(chart.marks_of_time()[3].2, "01-02 00:00");
        assert_eq!(Chart { times: &[], ..chart }.marks_of_time(), []);
    }
}
