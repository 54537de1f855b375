//! The commands of a file: `load`, `clear` and `eval`, with what is expected.

use meshlake_promql::Labels;
use regex::Regex;

use crate::values::{Item, series};

/// One command and the line it begins at.
pub(crate) enum Command {
    Clear,
    /// Samples at multiples of so many milliseconds; whether classic histograms are stored as native ones too.
    Load {
        step: i64,
        lines: Vec<String>,
        with_custom_buckets: bool,
    },
    Eval {
        line: usize,
        eval: Result<Box<Eval>, String>,
    },
}

/// When a query is asked, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Times {
    Instant(i64),
    Range { start: i64, end: i64, step: i64 },
}

/// How a text is recognised.
#[derive(Debug)]
pub(crate) enum Wanted {
    Any,
    Text(String),
    Pattern(Regex),
}

impl Wanted {
    pub(crate) fn fits(&self, text: &str) -> bool {
        match self {
            Wanted::Any => true,
            Wanted::Text(wanted) => wanted == text,
            Wanted::Pattern(pattern) => pattern.is_match(text),
        }
    }
}

/// A query and what it gives.
pub(crate) struct Eval {
    pub query: String,
    pub times: Times,
    pub is_ordered: bool,
    pub fail: Option<Wanted>,
    pub warnings: Vec<Wanted>,
    pub infos: Vec<Wanted>,
    pub no_warnings: bool,
    pub no_infos: bool,
    pub scalar: Option<f64>,
    pub text: Option<String>,
    /// An instant that gives a range of samples has them at these times.
    pub raw_times: Option<Times>,
    pub series: Vec<(Labels, Vec<Item>)>,
}

pub(crate) fn commands(text: &str) -> Vec<Command> {
    let without_comments = |line: &str| {
        let line = line.trim();
        if line.starts_with('#') { String::new() } else { line.to_owned() }
    };
    let lines: Vec<String> = text.lines().map(without_comments).collect();
    let mut commands = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let first = at;
        at += 1;
        if lines[first].is_empty() {
            continue;
        }
        if lines[first] == "clear" {
            commands.push(Command::Clear);
            continue;
        }
        while at < lines.len() && !lines[at].is_empty() {
            at += 1;
        }
        let body = &lines[first + 1..at];
        let head = &lines[first];
        let keyword = head.split_whitespace().next().unwrap_or_default();
        if keyword.starts_with("load") {
            let step = milliseconds(head[keyword.len()..].trim()).expect("a load has a step");
            let with_custom_buckets = keyword == "load_with_nhcb";
            commands.push(Command::Load { step, lines: body.to_vec(), with_custom_buckets });
        } else {
            commands.push(Command::Eval { line: first + 1, eval: eval(head, body).map(Box::new) });
        }
    }
    commands
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern of ours is one")
}

fn eval(head: &str, body: &[String]) -> Result<Eval, String> {
    let instant = pattern(r"^eval(?:_(fail|warn|ordered|info))?\s+instant\s+(?:at\s+(.+?))?\s+(.+)$");
    let range =
        pattern(r"^eval(?:_(fail|warn|info))?\s+range\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+?)\s+(.+)$");
    let (mode, times, query) = if let Some(parts) = instant.captures(head) {
        (parts.get(1), Times::Instant(milliseconds(&parts[2])?), parts[3].to_owned())
    } else if let Some(parts) = range.captures(head) {
        (parts.get(1), range_times(&parts[2], &parts[3], &parts[4])?, parts[5].to_owned())
    } else {
        return Err(format!("no command: {head}"));
    };
    let mode = mode.map_or("", |mode| mode.as_str());
    let mut eval = Eval {
        query,
        times,
        is_ordered: mode == "ordered",
        fail: (mode == "fail").then_some(Wanted::Any),
        warnings: Vec::new(),
        infos: Vec::new(),
        no_warnings: false,
        no_infos: false,
        scalar: None,
        text: None,
        raw_times: None,
        series: Vec::new(),
    };
    match mode {
        "warn" => eval.warnings.push(Wanted::Any),
        "info" => eval.infos.push(Wanted::Any),
        _ => {}
    }
    for line in body {
        expectation(&mut eval, line)?;
    }
    Ok(eval)
}

fn expectation(eval: &mut Eval, line: &str) -> Result<(), String> {
    if let Some(message) = line.strip_prefix("expected_fail_message") {
        eval.fail = Some(Wanted::Text(message.trim().to_owned()));
    } else if let Some(message) = line.strip_prefix("expected_fail_regexp") {
        eval.fail = Some(Wanted::Pattern(Regex::new(message.trim()).map_err(|error| error.to_string())?));
    } else if let Some(text) = line.strip_prefix("expect string ") {
        let text = text.trim();
        let inside = &text[1..text.len() - 1];
        let is_raw = text.starts_with('`');
        let unescaped = || inside.replace("\\\"", "\"").replace("\\\\", "\\");
        eval.text = Some(if is_raw { inside.to_owned() } else { unescaped() });
    } else if let Some(times) = line.strip_prefix("expect range vector from ") {
        let parts: Vec<&str> = times.split_whitespace().collect();
        let [from, "to", to, "step", step] = parts[..] else { return Err(format!("no range: {line}")) };
        eval.raw_times = Some(range_times(from, to, step)?);
    } else if line.starts_with("expect ") {
        return expect(eval, line);
    } else if let Ok(value) = line.parse::<f64>() {
        eval.scalar = Some(value);
    } else {
        eval.series.push(series(line)?);
    }
    Ok(())
}

fn expect(eval: &mut Eval, line: &str) -> Result<(), String> {
    let form = pattern(r"^expect\s+(ordered|fail|warn|no_warn|info|no_info)(?:\s+(regex|msg):(.+))?$");
    let parts = form.captures(line).ok_or_else(|| format!("no expectation: {line}"))?;
    let text = parts.get(3).map_or("", |text| text.as_str()).trim();
    let wanted = match parts.get(2).map(|kind| kind.as_str()) {
        Some("msg") => Wanted::Text(text.to_owned()),
        Some(_) => Wanted::Pattern(Regex::new(text).map_err(|error| error.to_string())?),
        None => Wanted::Any,
    };
    match &parts[1] {
        "ordered" => eval.is_ordered = true,
        "fail" => eval.fail = Some(wanted),
        "warn" => eval.warnings.push(wanted),
        "info" => eval.infos.push(wanted),
        "no_warn" => eval.no_warnings = true,
        _ => eval.no_infos = true,
    }
    Ok(())
}

fn range_times(start: &str, end: &str, step: &str) -> Result<Times, String> {
    Ok(Times::Range { start: milliseconds(start)?, end: milliseconds(end)?, step: milliseconds(step)? })
}

/// A duration as these files write it; zero has no unit.
pub(crate) fn milliseconds(text: &str) -> Result<i64, String> {
    if text == "0" {
        return Ok(0);
    }
    let units =
        [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];
    let part = pattern("([0-9]+)(ms|s|m|h|d|w|y)");
    let mut total = 0;
    let mut length = 0;
    for found in part.captures_iter(text) {
        let unit =
            units.iter().find(|(name, _)| *name == &found[2]).map_or(31_536_000_000, |(_, length)| *length);
        total += found[1].parse::<i64>().map_err(|error| error.to_string())? * unit;
        length += found[0].len();
    }
    if length == text.len() && length > 0 { Ok(total) } else { Err(format!("no duration: {text}")) }
}
