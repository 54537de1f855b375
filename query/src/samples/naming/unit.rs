//! UCUM units as words, which are the ends of metrics' names.

/// Units that have a word of their own; others stay what they are.
const WORDS: [(&str, &str); 24] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
];

/// The same behind a slash, where a month is no metre.
const WORDS_AFTER_PER: [(&str, &str); 7] = [
    ("s", "second"),
    ("m", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("w", "week"),
    ("mo", "month"),
    ("y", "year"),
];

/// The words of a unit, as they stand in names: `bytes` and `per_second` of `By/s`. Either may be empty: a unit of 1 and
/// what stands in braces, which counts things, have no words.
pub fn words(unit: &str) -> (String, String) {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let main = match told(main) {
        "1" => "",
        "%" => "percent",
        told => word(&WORDS, told),
    };
    let per = match word(&WORDS_AFTER_PER, told(per)) {
        "" => String::new(),
        word => format!("per_{word}"),
    };
    (plain(main), plain(&per))
}

/// The unit as metadata has it: `bytes_per_second`; empty for none.
pub fn name(unit: &str) -> String {
    let (main, per) = words(unit);
    let joint = if main.is_empty() || per.is_empty() { "" } else { "_" };
    let name = format!("{main}{joint}{per}");
    let name = name.strip_prefix('_').unwrap_or(&name);
    name.strip_suffix('_').unwrap_or(name).to_owned()
}

/// A part of a unit without what only people read.
fn told(part: &str) -> &str {
    let part = part.trim();
    if part.contains(['{', '}']) { "" } else { part }
}

fn word<'a>(words: &[(&str, &'a str)], unit: &'a str) -> &'a str {
    words.iter().find(|(known, _)| *known == unit).map_or(unit, |(_, word)| word)
}

/// With an underscore for all characters between two that may stand in a name, and none in front.
fn plain(words: &str) -> String {
    let mut name = String::with_capacity(words.len());
    for c in words.chars() {
        if super::is_of_names(c) {
            name.push(c);
        } else if !name.ends_with('_') {
            name.push('_');
        }
    }
    name.strip_prefix('_').map(str::to_owned).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those of otlptranslator's tests, and what its text says of others.
    #[test]
    fn a_unit_is_written_out() {
        let cases = [
            ("ms", "milliseconds"),
            ("By", "bytes"),
            ("1/s", "per_second"),
            ("By/s", "bytes_per_second"),
            ("By/m", "bytes_per_minute"),
            ("custom_unit", "custom_unit"),
            ("{custom}", ""),
            ("By/{custom}", "bytes"),
            ("{request}/s", "per_second"),
            (" s ", "seconds"),
            ("%", "percent"),
            ("1", ""),
            ("", ""),
            ("m/s^2", "meters_per_s_2"),
            ("__", ""),
        ];
        for (unit, want) in cases {
            assert_eq!(name(unit), want, "{unit}");
        }
    }
}
