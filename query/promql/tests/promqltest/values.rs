//! Lines of samples: a series, and values that may be repeated and grow.

use std::sync::Arc;

use meshlake_promql::{Buckets, CUSTOM_BUCKETS, Histogram, Labels, ResetHint, parse_selector, stale_marker};
use regex::Regex;

/// One place of a line.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    Omitted,
    Float(f64),
    /// A histogram, and whether its hint was written.
    Histogram(Arc<Histogram>, bool),
}

/// The labels and values of a line.
pub(crate) fn series(line: &str) -> Result<(Labels, Vec<Item>), String> {
    let end = name_end(line);
    let (name, values) = line.split_at(end);
    Ok((labels(name.trim())?, items(values)?))
}

/// The labels of a series' name.
pub(crate) fn labels(name: &str) -> Result<Labels, String> {
    let matchers = parse_selector(name).map_err(|error| format!("{name}: {error}"))?;
    Ok(Labels::from_pairs(matchers.into_iter().map(|matcher| (matcher.name, matcher.value))))
}

/// Where the values begin: at the first space outside of braces and quotes.
fn name_end(line: &str) -> usize {
    let (mut quote, mut depth, mut is_escaped) = (None, 0, false);
    for (at, c) in line.char_indices() {
        match (quote, c) {
            _ if is_escaped => is_escaped = false,
            (Some('"' | '\''), '\\') => is_escaped = true,
            (Some(open), c) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '{') if line[at..].starts_with("{{") && depth == 0 => return at,
            (None, '{') => depth += 1,
            (None, '}') => depth -= 1,
            (None, ' ' | '\t') if depth == 0 && !line[at..].trim_start().starts_with('{') => return at,
            (None, ' ' | '\t') if depth == 0 && line[at..].trim_start().starts_with("{{") => return at,
            _ => {}
        }
    }
    line.len()
}

fn items(values: &str) -> Result<Vec<Item>, String> {
    let mut items = Vec::new();
    let mut rest = values.trim();
    while !rest.is_empty() {
        let end = if rest.starts_with("{{") {
            histogram_end(rest)
        } else {
            rest.find([' ', '\t']).unwrap_or(rest.len())
        };
        let (word, after) = rest.split_at(end);
        rest = after.trim_start();
        items.extend(if word.starts_with("{{") { histograms(word)? } else { floats(word)? });
    }
    Ok(items)
}

/// The end of `{{..}}`, `{{..}}x5` or `{{..}}+{{..}}x5`.
fn histogram_end(text: &str) -> usize {
    let first = text.find("}}").map_or(text.len(), |end| end + 2);
    let end = if text[first..].starts_with(['+', '-']) {
        text[first..].find("}}").map_or(text.len(), |end| first + end + 2)
    } else {
        first
    };
    text[end..].find([' ', '\t']).map_or(text.len(), |space| end + space)
}

fn floats(word: &str) -> Result<Vec<Item>, String> {
    let error = || format!("no value: {word}");
    if let Some(rest) = word.strip_prefix('_') {
        let count = rest.strip_prefix('x').map_or(Ok(1), str::parse::<usize>).map_err(|_| error())?;
        return Ok(vec![Item::Omitted; count]);
    }
    if word == "stale" {
        return Ok(vec![Item::Float(stale_marker())]);
    }
    let number = r"(?:(?i:inf|nan)|[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+\.)";
    let form = Regex::new(&format!("^([+-]?{number})(?:([+-]{number})?x([0-9]+))?$")).expect("a pattern");
    let parts = form.captures(word).ok_or_else(error)?;
    let parse = |at: usize| parts.get(at).map_or(Ok(0.0), |part| part.as_str().parse::<f64>());
    let (mut value, growth) = (parse(1).map_err(|_| error())?, parse(2).map_err(|_| error())?);
    let count = parts.get(3).map_or(Ok(0), |count| count.as_str().parse::<usize>()).map_err(|_| error())?;
    let mut items = vec![Item::Float(value)];
    for _ in 0..count {
        value += growth;
        items.push(Item::Float(value));
    }
    Ok(items)
}

fn histograms(word: &str) -> Result<Vec<Item>, String> {
    let form = Regex::new(r"^\{\{(.*?)\}\}(?:([+-])\{\{(.*?)\}\})?(?:x([0-9]+))?$").expect("a pattern");
    let parts = form.captures(word).ok_or_else(|| format!("no histogram: {word}"))?;
    let (first, mut is_hinted) = histogram(&parts[1])?;
    let count = parts.get(4).map_or(0, |count| count.as_str().parse().unwrap_or(0));
    let growth = parts.get(3).map(|growth| histogram(growth.as_str())).transpose()?;
    if let Some((_, hinted)) = &growth {
        is_hinted = *hinted;
    }
    let mut current = first;
    let mut items = vec![Item::Histogram(Arc::new(current.clone()), is_hinted)];
    for _ in 0..count {
        if let Some((growth, _)) = &growth {
            let next = if &parts[2] == "+" { current.plus(growth) } else { current.minus(growth) };
            current = next.ok_or("no sum")?;
        }
        items.push(Item::Histogram(Arc::new(current.clone()), is_hinted));
    }
    Ok(items)
}

fn histogram(text: &str) -> Result<(Histogram, bool), String> {
    let form = Regex::new(r"([a-z_]+):(\[[^\]]*\]|\S+)").expect("a pattern");
    let mut histogram = Histogram::default();
    let (mut positive, mut negative, mut offsets, mut is_hinted) = (Vec::new(), Vec::new(), (0, 0), false);
    for found in form.captures_iter(text) {
        let value = &found[2];
        let number = || value.parse::<f64>().map_err(|_| format!("no number: {value}"));
        let list = || {
            let words = value.trim_matches(['[', ']']).split_whitespace();
            words
                .map(|word| word.parse::<f64>().map_err(|_| format!("no number: {word}")))
                .collect::<Result<Vec<_>, _>>()
        };
        match &found[1] {
            "schema" => histogram.schema = value.parse().map_err(|_| format!("no schema: {value}"))?,
            "sum" => histogram.sum = number()?,
            "count" => histogram.count = number()?,
            "z_bucket" => histogram.zero_count = number()?,
            "z_bucket_w" => histogram.zero_threshold = number()?,
            "buckets" => positive = list()?,
            "n_buckets" => negative = list()?,
            "offset" => offsets.0 = value.parse().map_err(|_| format!("no offset: {value}"))?,
            "n_offset" => offsets.1 = value.parse().map_err(|_| format!("no offset: {value}"))?,
            "custom_values" => histogram.custom_bounds = list()?.into(),
            "counter_reset_hint" => {
                is_hinted = true;
                histogram.hint = hint(value)?;
            }
            other => return Err(format!("no part of a histogram: {other}")),
        }
    }
    histogram.positive = buckets(positive, offsets.0);
    histogram.negative = buckets(negative, offsets.1);
    if histogram.schema != CUSTOM_BUCKETS {
        histogram.custom_bounds = Arc::new([]);
    }
    Ok((histogram, is_hinted))
}

fn buckets(counts: Vec<f64>, offset: i32) -> Buckets {
    (offset..).zip(counts).filter(|(_, count)| *count != 0.0).collect()
}

fn hint(text: &str) -> Result<ResetHint, String> {
    Ok(match text {
        "unknown" => ResetHint::Unknown,
        "reset" => ResetHint::Reset,
        "not_reset" => ResetHint::NoReset,
        "gauge" => ResetHint::Gauge,
        other => return Err(format!("no hint: {other}")),
    })
}
