//! Random lines and random queries: answers equal those of a slow, direct reading of the language's description, and those of
//! the same lines in parts.
//!
//! The reading below looks at every line for every instant, and knows no cells, no grouping from the start and no PromQL.

use std::collections::BTreeMap;

use meshlake_logql::{Answer, Entry, LabelSet, Partial, Pipeline, Query, Steps, evaluate, parse};
use meshlake_promql::Labels;
use meshlake_schema::UnixNanos;
use meshlake_schema::budget::Allowance;

const BYTES_MAX: usize = 64 << 20;

/// Numbers of a seed: a linear congruence, Knuth's MMIX.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn one_of<'t, T: ?Sized>(&mut self, of: &[&'t T]) -> &'t T {
        of[self.below(of.len() as u64) as usize]
    }
}

/// A line before it is written: what the slow reading looks at.
#[derive(Debug, Clone)]
struct Plain {
    time: i64,
    app: &'static str,
    pod: &'static str,
    level: &'static str,
    code: i64,
    /// Milliseconds; none for a line without.
    took: Option<i64>,
}

impl Plain {
    fn line(&self) -> String {
        let took = self.took.map_or(String::new(), |took| format!(" took={took}ms"));
        format!("level={} code={}{took}", self.level, self.code)
    }
}

fn lines(random: &mut Random) -> Vec<Plain> {
    let count = random.below(60);
    let line = |_| Plain {
        time: random.below(120) as i64,
        app: random.one_of(&["a", "b"]),
        pod: random.one_of(&["p", "q", ""]),
        level: random.one_of(&["info", "warn", "error"]),
        code: 200 + 100 * random.below(4) as i64,
        took: (random.below(4) > 0).then(|| random.below(50) as i64),
    };
    (0..count).map(line).collect()
}

/// A query, and what it means.
#[derive(Debug, Clone)]
struct Asked {
    app: Option<&'static str>,
    contains: Option<&'static str>,
    code_from: Option<i64>,
    has_took: bool,
    function: &'static str,
    range: i64,
    offset: i64,
    /// `sum by (..)` or its like around it.
    around: Option<(&'static str, Vec<&'static str>)>,
    above: Option<i64>,
}

fn asked(random: &mut Random) -> Asked {
    let functions = [
        "count_over_time",
        "rate",
        "bytes_over_time",
        "sum_over_time",
        "avg_over_time",
        "max_over_time",
        "min_over_time",
        "last_over_time",
        "stdvar_over_time",
    ];
    let function = random.one_of(&functions.each_ref().map(|name| *name));
    let groups: [&[&'static str]; 4] = [&[], &["app"], &["level", "pod"], &["none", "code"]];
    let around = (random.below(3) > 0).then(|| {
        let names = groups[random.below(4) as usize].to_vec();
        (random.one_of(&["sum", "max", "min", "avg", "count"]), names)
    });
    Asked {
        app: (random.below(2) > 0).then(|| random.one_of(&["a", "b"])),
        contains: (random.below(2) > 0).then(|| random.one_of(&["error", "code=5", "took", ""])),
        code_from: (random.below(2) > 0).then(|| 200 + 100 * random.below(4) as i64),
        has_took: !matches!(function, "count_over_time" | "rate" | "bytes_over_time"),
        function,
        range: 1 + random.below(40) as i64,
        offset: random.below(3) as i64 * 7,
        around,
        above: (random.below(4) == 0).then(|| random.below(20) as i64),
    }
}

impl Asked {
    fn text(&self) -> String {
        let app = self.app.map_or(String::new(), |app| format!(r#", app="{app}""#));
        let mut text = format!(r#"{}({{job="j"{app}}}"#, self.function);
        if let Some(contains) = self.contains {
            text += &format!(" |= `{contains}`");
        }
        text += " | logfmt";
        if let Some(code) = self.code_from {
            text += &format!(" | code >= {code}");
        }
        if self.has_took {
            text += " | unwrap duration(took)";
        }
        text += &format!(" [{}s]", self.range);
        if self.offset > 0 {
            text += &format!(" offset {}s", self.offset);
        }
        text += ")";
        if let Some((aggregator, names)) = &self.around {
            text = format!("{aggregator} by ({}) ({text})", names.join(", "));
        }
        if let Some(above) = self.above {
            text = format!("{text} > {above}");
        }
        text
    }

    /// Series and their values at an instant, in seconds.
    fn means(&self, lines: &[Plain], at: i64) -> BTreeMap<String, f64> {
        let end = at - self.offset;
        let is_asked = |line: &&Plain| {
            line.time > end - self.range
                && line.time <= end
                && self.app.is_none_or(|app| app == line.app)
                && self.contains.is_none_or(|text| line.line().contains(text))
                && self.code_from.is_none_or(|code| line.code >= code)
                && (!self.has_took || line.took.is_some())
        };
        let mut series: BTreeMap<Vec<(&str, String)>, Vec<&Plain>> = BTreeMap::new();
        for line in lines.iter().filter(is_asked) {
            let mut labels = vec![
                ("app", line.app.to_owned()),
                ("code", line.code.to_string()),
                ("job", "j".to_owned()),
                ("level", line.level.to_owned()),
                ("pod", line.pod.to_owned()),
            ];
            if !self.has_took {
                labels.extend(line.took.map(|took| ("took", format!("{took}ms"))));
            }
            labels.retain(|(_, value)| !value.is_empty());
            series.entry(labels).or_default().push(line);
        }
        let mut values: BTreeMap<Vec<(&str, String)>, f64> =
            series.into_iter().map(|(labels, lines)| (labels, self.value(&lines))).collect();
        if let Some((aggregator, names)) = &self.around {
            let mut groups: BTreeMap<Vec<(&str, String)>, Vec<f64>> = BTreeMap::new();
            for (mut labels, value) in values {
                labels.retain(|(name, _)| names.contains(name));
                groups.entry(labels).or_default().push(value);
            }
            values = groups
                .into_iter()
                .map(|(labels, values)| (labels, aggregated(aggregator, &values)))
                .collect();
        }
        values.retain(|_, value| self.above.is_none_or(|above| *value > above as f64));
        let text = |labels: Vec<(&str, String)>| Labels::from_pairs(labels).to_string();
        values.into_iter().map(|(labels, value)| (text(labels), value)).collect()
    }

    fn value(&self, lines: &[&Plain]) -> f64 {
        let took: Vec<f64> =
            lines.iter().filter_map(|line| line.took).map(|took| took as f64 / 1e3).collect();
        let count = lines.len() as f64;
        match self.function {
            "count_over_time" => count,
            "rate" => count / self.range as f64,
            "bytes_over_time" => lines.iter().map(|line| line.line().len() as f64).sum(),
            "last_over_time" => {
                let last =
                    lines.iter().max_by_key(|line| (line.time, line.took)).expect("a series has lines");
                last.took.map_or(f64::NAN, |took| took as f64 / 1e3)
            }
            "stdvar_over_time" => {
                let mean = took.iter().sum::<f64>() / count;
                took.iter().map(|took| (took - mean).powi(2)).sum::<f64>() / count
            }
            function => aggregated(function.trim_end_matches("_over_time"), &took),
        }
    }
}

fn aggregated(aggregator: &str, values: &[f64]) -> f64 {
    let sum: f64 = values.iter().sum();
    match aggregator {
        "sum" => sum,
        "avg" => sum / values.len() as f64,
        "count" => values.len() as f64,
        "max" => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        "min" => values.iter().copied().fold(f64::INFINITY, f64::min),
        other => panic!("{other} is no aggregator of this test"),
    }
}

const SECOND: i64 = 1_000_000_000;

/// The answer at each instant, the lines in `parts` parts.
fn answer(text: &str, lines: &[Plain], steps: Steps, parts: usize) -> Vec<BTreeMap<String, f64>> {
    let Query::Metric(metric) = parse(text).expect(text) else { panic!("{text} asks for lines") };
    let budget = Allowance::new(BYTES_MAX, None);
    let mut series = Vec::new();
    for (over_time, grouping) in metric.over_time() {
        let pipeline = Pipeline::new(&over_time.log, UnixNanos(0));
        let mut whole = Partial::new(over_time, grouping, steps, &budget);
        for part in 0..parts {
            let mut partial = Partial::new(over_time, grouping, steps, &budget);
            for line in lines.iter().skip(part).step_by(parts) {
                let stream = Labels::from_pairs([("job", "j"), ("app", line.app), ("pod", line.pod)]);
                let (time, text) = (UnixNanos(line.time * SECOND), line.line());
                let mut entry = Entry { time, line: text.as_str().into(), labels: LabelSet::new(&stream) };
                if pipeline.has_stream(&stream) && pipeline.run(&mut entry) {
                    partial.add(&mut entry).expect("lines without mistakes");
                }
            }
            whole.merge(&partial).expect("parts of one question");
        }
        series.push(whole.finish());
    }
    let answer = evaluate(&metric, series, steps, &budget).expect(text);
    let Answer::Series(series) = answer else { panic!("{text} is a number") };
    let mut found = vec![BTreeMap::new(); steps.count()];
    for (labels, values) in series {
        for (at, value) in values {
            found[at].insert(labels.to_string(), value);
        }
    }
    found
}

fn is_close(left: &BTreeMap<String, f64>, right: &BTreeMap<String, f64>) -> bool {
    let is_near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0);
    left.keys().eq(right.keys()) && left.values().zip(right.values()).all(is_near)
}

#[test]
fn random_queries_mean_what_their_description_says() {
    const SEED: u64 = 20_240_229;
    let mut random = Random(SEED);
    for round in 0..2_000 {
        let (lines, asked) = (lines(&mut random), asked(&mut random));
        let (start, step) = (random.below(60) as i64, 1 + random.below(30) as i64);
        let steps = Steps::range(start * SECOND, 130 * SECOND, step * SECOND).expect("a range");
        let text = asked.text();
        let found = answer(&text, &lines, steps, 1 + random.below(3) as usize);
        for (at, found) in found.iter().enumerate() {
            let time = steps.time(at) / SECOND;
            let want = asked.means(&lines, time);
            assert!(
                is_close(found, &want),
                "seed {SEED} round {round}: {text} at {time}: {found:?}, not {want:?}"
            );
        }
    }
}
