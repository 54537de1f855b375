//! Random queries: every function and operator, over the series of `samples`.
//!
//! What is asked has to have one answer. So the grammar makes no `limitk` and `limit_ratio`, which choose as each program
//! likes; chooses and sorts at the top only, or where what is chosen is counted; counts values and asks for parts of
//! dates of whole numbers only; and divides no native histogram by what may be below zero.

use super::question::Question;
use super::samples::{COUNT, STEP};

/// Splitmix64: what matters is that a seed names a sequence. Source: <https://prng.di.unimi.it/splitmix64.c>.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    fn one_of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }
}

pub struct Grammar {
    random: Random,
    begin: i64,
}

/// Functions of a range alone.
pub const OVER_RANGE: [&str; 24] = [
    "avg_over_time",
    "sum_over_time",
    "min_over_time",
    "max_over_time",
    "count_over_time",
    "last_over_time",
    "first_over_time",
    "present_over_time",
    "stddev_over_time",
    "stdvar_over_time",
    "mad_over_time",
    "absent_over_time",
    "ts_of_first_over_time",
    "ts_of_last_over_time",
    "ts_of_max_over_time",
    "ts_of_min_over_time",
    "changes",
    "resets",
    "rate",
    "increase",
    "irate",
    "delta",
    "idelta",
    "deriv",
];
pub const ELEMENTWISE: [&str; 26] = [
    "abs",
    "ceil",
    "floor",
    "exp",
    "ln",
    "log2",
    "log10",
    "sqrt",
    "sgn",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "asinh",
    "acosh",
    "atanh",
    "deg",
    "rad",
    "round",
    "timestamp",
    "absent",
];
const OF_DATES: [&str; 8] =
    ["minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year"];
pub const OF_HISTOGRAMS: [&str; 5] =
    ["histogram_count", "histogram_sum", "histogram_avg", "histogram_stddev", "histogram_stdvar"];
pub const AGGREGATIONS: [&str; 8] = ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"];
pub const NUMBERS: [&str; 14] =
    ["0", "1", "2", "-1", "0.5", "3.75", "-0", "NaN", "Inf", "-Inf", "1e300", "100", "pi()", "time()"];
pub const SHARES: [&str; 8] = ["0.5", "0.9", "0", "1", "-1", "2", "NaN", "0.25"];
pub const ARITHMETIC: [&str; 7] = ["+", "-", "*", "/", "%", "^", "atan2"];
pub const COMPARISONS: [&str; 9] = ["==", "!=", ">", "<", ">=", "<=", "> bool", "== bool", "<= bool"];
const RANGES: [&str; 7] = ["15s", "16s", "1m", "2m30s", "5m", "10m", "1s"];
const STEPS: [i64; 4] = [7_000, 15_000, 30_000, 60_000];

impl Grammar {
    pub fn new(seed: u64, begin: i64) -> Grammar {
        Grammar { random: Random(seed), begin }
    }

    pub fn question(&mut self) -> Question {
        let query = self.top();
        let span = COUNT * STEP / 1_000 + 300;
        // Also before the first sample and after the last.
        let start = self.begin - 60_000 + self.random.below(span as usize) as i64 * 1_000;
        let is_range = self.random.below(2) == 0;
        if !is_range || query.ends_with(']') {
            return Question::new(query, &[start]);
        }
        let step = STEPS[self.random.below(STEPS.len())];
        let end = start + step * self.random.below(20) as i64;
        Question::new(query, &[start, end, step])
    }

    fn top(&mut self) -> String {
        match self.random.below(14) {
            0 => format!("{}({})", self.random.one_of(&["sort", "sort_desc"]), self.distinct()),
            1 => {
                let name = self.random.one_of(&["topk", "bottomk"]);
                let (k, by) = (self.random.one_of(&["1", "2", "0", "5"]), self.by());
                format!("{name}{by}({k}, {})", self.distinct())
            }
            2 => format!("count_values{}(\"v\", {})", self.by(), self.distinct()),
            3 => {
                let range = self.random.one_of(&RANGES);
                format!("{}[{range}]", self.selector())
            }
            4 => self.scalar(2),
            5 => format!(
                "sort_by_label({}, \"zone\", \"pod\", \"code\", \"le\", \"__name__\")",
                self.vector(1)
            ),
            _ => self.vector(3),
        }
    }

    /// Whole numbers, no two alike at one time.
    fn distinct(&mut self) -> String {
        let matcher = self.random.one_of(&["", "{zone=\"b\"}", "{pod!=\"0\"}", "{zone=~\"a|b\"}"]);
        format!("t{matcher}")
    }

    fn by(&mut self) -> &'static str {
        self.random.one_of(&["", "", " by (zone)", " without (pod)", " by (zone, pod, code)", " by ()"])
    }

    fn selector(&mut self) -> String {
        let name =
            self.random.one_of(&["g", "g", "c_total", "c_total", "t", "h_bucket", "h_count", "n", "k"]);
        let matcher = match self.random.below(8) {
            0 => "{zone=\"a\"}",
            1 => "{zone=~\"a|b\"}",
            2 => "{zone!=\"odd\"}",
            3 => "{zone=\"odd\"}",
            4 => "{pod!~\"[0-9]\"}",
            5 => "{job=\"shop\",zone=~\".*d.*\"}",
            _ => "",
        };
        match self.random.below(30) {
            0 => "nothing".to_owned(),
            1 => "{__name__=~\"[gt]\",zone=\"a\"}".to_owned(),
            _ => format!("{name}{matcher}"),
        }
    }

    /// Floats only.
    fn floats(&mut self) -> String {
        let name = self.random.one_of(&["g", "c_total", "t", "h_count"]);
        let matcher = self.random.one_of(&["", "{zone=\"a\"}", "{zone!=\"odd\"}", "{zone=\"odd\"}"]);
        format!("{name}{matcher}")
    }

    fn moved(&mut self) -> String {
        let at = self.begin / 1_000 + self.random.below((COUNT * STEP / 1_000) as usize) as i64;
        match self.random.below(10) {
            0 => " offset 1m".to_owned(),
            1 => " offset -2m".to_owned(),
            2 => format!(" @ {at}"),
            3 => format!(" @ {at} offset 37s"),
            4 => self.random.one_of(&[" @ start()", " @ end()"]).to_owned(),
            _ => String::new(),
        }
    }

    /// A range of a selector, or a subquery.
    fn range(&mut self, depth: usize) -> String {
        let length = self.random.one_of(&RANGES);
        if depth > 0 && self.random.below(4) == 0 {
            let step = self.random.one_of(&["", "30s", "15s", "1m"]);
            let moved = self.moved();
            return format!("({})[{length}:{step}]{moved}", self.vector(depth - 1));
        }
        let edges = self.random.one_of(&["", "", "", "", "", "", "", "", " anchored", " smoothed"]);
        format!("{}[{length}]{edges}{}", self.selector(), self.moved())
    }

    fn scalar(&mut self, depth: usize) -> String {
        match self.random.below(if depth == 0 { 1 } else { 5 }) {
            1 => format!("scalar({})", self.vector(depth - 1)),
            2 => format!(
                "({} {} {})",
                self.scalar(depth - 1),
                self.random.one_of(&ARITHMETIC),
                self.scalar(depth - 1)
            ),
            3 => {
                let comparison = self.random.one_of(&["> bool", "== bool", "!= bool"]);
                format!("({} {comparison} {})", self.scalar(depth - 1), self.scalar(depth - 1))
            }
            4 => format!("-({})", self.scalar(depth - 1)),
            _ => self.random.one_of(&NUMBERS).to_owned(),
        }
    }

    fn vector(&mut self, depth: usize) -> String {
        if depth == 0 {
            return format!("{}{}", self.selector(), self.moved());
        }
        let depth = depth - 1;
        match self.random.below(24) {
            0 => format!("{}{}", self.selector(), self.moved()),
            1..6 => self.over_range(depth),
            6..8 => format!("{}({})", self.random.one_of(&ELEMENTWISE), self.vector(depth)),
            8..13 => self.aggregation(depth),
            13..16 => self.between_vectors(depth),
            16 => format!(
                "({} {} {})",
                self.vector(depth),
                self.random.one_of(&["and", "or", "unless"]),
                self.vector(depth)
            ),
            17 | 18 => self.with_scalar(depth),
            19..22 => self.of_histograms(depth),
            22 => self.of_labels(depth),
            _ => self.other(depth),
        }
    }

    fn over_range(&mut self, depth: usize) -> String {
        match self.random.below(10) {
            0 => format!("quantile_over_time({}, {})", self.random.one_of(&SHARES), self.range(depth)),
            1 => format!(
                "predict_linear({}, {})",
                self.range(depth),
                self.random.one_of(&["60", "-60", "0", "1e9"])
            ),
            2 => format!("double_exponential_smoothing({}, 0.5, 0.25)", self.range(depth)),
            _ => format!("{}({})", self.random.one_of(&OVER_RANGE), self.range(depth)),
        }
    }

    fn aggregation(&mut self, depth: usize) -> String {
        let (by, operand) = (self.by(), self.vector(depth));
        match self.random.below(8) {
            0 => format!("quantile{by}({}, {operand})", self.random.one_of(&SHARES)),
            1 => format!("count(topk(2, {operand}))"),
            _ => format!("{}{by}({operand})", self.random.one_of(&AGGREGATIONS)),
        }
    }

    fn operator(&mut self) -> &'static str {
        let is_arithmetic = self.random.below(2) == 0;
        self.random.one_of(if is_arithmetic { &ARITHMETIC } else { &COMPARISONS })
    }

    fn between_vectors(&mut self, depth: usize) -> String {
        let (left, right) = (self.vector(depth), self.vector(depth));
        let operator = self.operator();
        let matching = self.random.one_of(&[
            "",
            "",
            " on (zone)",
            " ignoring (pod)",
            " on (zone) group_left",
            " on (zone, pod) group_right (job)",
            " ignoring (pod, code) group_left (le)",
            " on ()",
            " fill (0)",
            " fill_left (1)",
        ]);
        format!("({left} {operator}{matching} {right})")
    }

    fn with_scalar(&mut self, depth: usize) -> String {
        let operator = self.operator();
        let (vector, scalar) = (self.vector(depth), self.scalar(1));
        // What a native histogram is divided by is not to be below zero.
        if operator == "/" || operator == "*" {
            return format!("({} {operator} {scalar})", self.floats());
        }
        if self.random.below(2) == 0 {
            format!("({vector} {operator} {scalar})")
        } else {
            format!("({scalar} {operator} {vector})")
        }
    }

    fn of_histograms(&mut self, depth: usize) -> String {
        let native = self.random.one_of(&[
            "n",
            "k",
            "n{zone=\"a\"}",
            "rate(n[5m])",
            "increase(k[2m])",
            "sum by (zone) (n)",
        ]);
        let classic =
            self.random.one_of(&["h_bucket", "rate(h_bucket[5m])", "sum by (le) (rate(h_bucket[1m]))", "g"]);
        match self.random.below(7) {
            0 => format!("histogram_quantile({}, {classic})", self.random.one_of(&SHARES)),
            1 => format!("histogram_quantile({}, {native})", self.random.one_of(&SHARES)),
            2 => format!(
                "histogram_fraction({}, {}, {native})",
                self.random.one_of(&NUMBERS[..10]),
                self.random.one_of(&NUMBERS[..10])
            ),
            3 => format!("histogram_fraction(0, {}, {classic})", self.random.one_of(&NUMBERS[..10])),
            4 => format!(
                "({native} {} {})",
                self.random.one_of(&["+", "-", "==", "!="]),
                self.random.one_of(&["n", "k", "n offset 1m"])
            ),
            5 => format!("{}({})", self.random.one_of(&OF_HISTOGRAMS), self.vector(depth)),
            _ => format!("{}({native})", self.random.one_of(&OF_HISTOGRAMS)),
        }
    }

    fn of_labels(&mut self, depth: usize) -> String {
        let vector = self.vector(depth);
        match self.random.below(3) {
            0 => format!("label_join({vector}, \"x\", \"-\", \"zone\", \"pod\")"),
            1 => format!("label_replace({vector}, \"zone\", \"$1\", \"pod\", \"([a-z]+)\")"),
            _ => format!("label_replace({vector}, \"x\", \"is-${{1}}\", \"zone\", \"(.).*\")"),
        }
    }

    fn other(&mut self, depth: usize) -> String {
        match self.random.below(6) {
            0 => format!("vector({})", self.scalar(1)),
            1 => format!(
                "clamp({}, {}, {})",
                self.vector(depth),
                self.random.one_of(&NUMBERS),
                self.random.one_of(&NUMBERS)
            ),
            2 => format!(
                "{}({}, {})",
                self.random.one_of(&["clamp_min", "clamp_max", "round"]),
                self.vector(depth),
                self.random.one_of(&NUMBERS)
            ),
            3 => format!("{}(timestamp({}))", self.random.one_of(&OF_DATES), self.floats()),
            4 => format!("{}()", self.random.one_of(&OF_DATES)),
            _ => format!("-{}", self.floats()),
        }
    }
}
