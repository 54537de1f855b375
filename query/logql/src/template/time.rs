//! Times written and read by Go's layouts, in UTC.
//!
//! A layout is the instant `Mon Jan 2 15:04:05 MST 2006` written as others are to be.
//!
//! Source: <https://pkg.go.dev/time#pkg-constants>.

use meshlake_schema::UnixNanos;

/// Pieces of layouts; one that begins with another stands before it.
const PIECES: [&str; 30] = [
    "2006", "January", "Jan", "Monday", "Mon", "MST", "Z07:00", "Z0700", "-07:00", "-0700", "-07", "01",
    "02", "03", "04", "05", "06", "15", "PM", "pm", "_2", "1", "2", "3", "4", "5", ".0", ".9", ",0", ",9",
];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// 1970-01-01 was a Thursday.
const DAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];

/// Numbers of a date and time.
struct Parts {
    year: u32,
    month: usize,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
    nanos: u32,
}

fn parts(time: UnixNanos) -> Parts {
    // `YYYY-MM-DDTHH:MM:SS` and what follows.
    let text = time.to_rfc3339();
    let number = |from: usize, to: usize| text.get(from..to).and_then(|part| part.parse().ok()).unwrap_or(0);
    Parts {
        year: number(0, 4),
        month: number(5, 7).clamp(1, 12) as usize,
        day: number(8, 10),
        hour: number(11, 13),
        minute: number(14, 16),
        second: number(17, 19),
        nanos: time.0.rem_euclid(1_000_000_000) as u32,
    }
}

/// What of a layout comes next: a piece with its length, a run of digits of a second's fraction included.
fn piece(layout: &str) -> Option<(&'static str, usize)> {
    let piece = PIECES.into_iter().find(|piece| layout.starts_with(piece))?;
    if !piece.starts_with(['.', ',']) {
        return Some((piece, piece.len()));
    }
    let digit = piece.chars().next_back()?;
    let digits = layout[1..].chars().take_while(|c| *c == digit).count();
    let ends = !layout[1 + digits..].starts_with(|c: char| c.is_ascii_digit());
    ends.then_some((piece, 1 + digits))
}

/// `time` as the layout has it.
pub fn format(time: UnixNanos, layout: &str) -> String {
    let parts = parts(time);
    let weekday = DAYS[time.0.div_euclid(86_400_000_000_000).rem_euclid(7) as usize];
    let hour = match parts.hour % 12 {
        0 => 12,
        hour => hour,
    };
    let mut out = String::new();
    let mut rest = layout;
    while let Some(c) = rest.chars().next() {
        let Some((piece, length)) = piece(rest) else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        match piece {
            "2006" => out += &format!("{:04}", parts.year),
            "06" => out += &format!("{:02}", parts.year % 100),
            "January" => out += MONTHS[parts.month - 1],
            "Jan" => out += &MONTHS[parts.month - 1][..3],
            "01" => out += &format!("{:02}", parts.month),
            "1" => out += &parts.month.to_string(),
            "Monday" => out += weekday,
            "Mon" => out += &weekday[..3],
            "02" => out += &format!("{:02}", parts.day),
            "_2" => out += &format!("{:2}", parts.day),
            "2" => out += &parts.day.to_string(),
            "15" => out += &format!("{:02}", parts.hour),
            "03" => out += &format!("{hour:02}"),
            "3" => out += &hour.to_string(),
            "04" => out += &format!("{:02}", parts.minute),
            "4" => out += &parts.minute.to_string(),
            "05" => out += &format!("{:02}", parts.second),
            "5" => out += &parts.second.to_string(),
            "PM" => out += if parts.hour < 12 { "AM" } else { "PM" },
            "pm" => out += if parts.hour < 12 { "am" } else { "pm" },
            "MST" => out += "UTC",
            "Z07:00" | "Z0700" => out.push('Z'),
            "-07:00" => out += "+00:00",
            "-0700" => out += "+0000",
            "-07" => out += "+00",
            fraction => push_fraction(&mut out, fraction, length - 1, parts.nanos),
        }
        rest = &rest[length..];
    }
    out
}

fn push_fraction(out: &mut String, piece: &str, digits: usize, nanos: u32) {
    let text = format!("{nanos:09}");
    let text = &text[..digits.min(9)];
    let text = if piece.ends_with('9') { text.trim_end_matches('0') } else { text };
    if !text.is_empty() {
        out.push_str(&piece[..1]);
        out.push_str(text);
    }
}

/// The time that `text` says in a layout; none if it says none.
pub fn parse(layout: &str, text: &str) -> Option<UnixNanos> {
    let mut parts = Parts { year: 1970, month: 1, day: 1, hour: 0, minute: 0, second: 0, nanos: 0 };
    let mut is_afternoon = None;
    let mut zone = "Z".to_owned();
    let (mut layout, mut text) = (layout, text);
    while let Some(c) = layout.chars().next() {
        let Some((piece, length)) = piece(layout) else {
            text = text.strip_prefix(c)?;
            layout = &layout[c.len_utf8()..];
            continue;
        };
        layout = &layout[length..];
        match piece {
            "2006" => parts.year = digits(&mut text, 4, 4)?,
            "06" => {
                let year = digits(&mut text, 2, 2)?;
                parts.year = if year >= 69 { 1900 + year } else { 2000 + year };
            }
            "January" => parts.month = 1 + named(&mut text, &MONTHS, None)?,
            "Jan" => parts.month = 1 + named(&mut text, &MONTHS, Some(3))?,
            "Monday" => drop(named(&mut text, &DAYS, None)?),
            "Mon" => drop(named(&mut text, &DAYS, Some(3))?),
            "01" => parts.month = digits(&mut text, 2, 2)? as usize,
            "1" => parts.month = digits(&mut text, 1, 2)? as usize,
            "02" => parts.day = digits(&mut text, 2, 2)?,
            "_2" | "2" => {
                text = text.trim_start_matches(' ');
                parts.day = digits(&mut text, 1, 2)?;
            }
            "15" | "03" => parts.hour = digits(&mut text, 2, 2)?,
            "3" => parts.hour = digits(&mut text, 1, 2)?,
            "04" => parts.minute = digits(&mut text, 2, 2)?,
            "4" => parts.minute = digits(&mut text, 1, 2)?,
            "05" => {
                parts.second = digits(&mut text, 2, 2)?;
                // As Go does: a fraction may follow also where the layout has none.
                if !layout.starts_with(['.', ',']) {
                    parts.nanos = fraction(&mut text).unwrap_or(0);
                }
            }
            "5" => parts.second = digits(&mut text, 1, 2)?,
            "PM" | "pm" => is_afternoon = Some(named(&mut text, &["AM", "PM", "am", "pm"], None)? % 2 == 1),
            "MST" => {
                let rest = text.strip_prefix("UTC").or_else(|| text.strip_prefix("GMT"))?;
                text = rest;
            }
            "Z07:00" | "Z0700" if text.starts_with('Z') => text = &text[1..],
            "Z07:00" | "Z0700" | "-07:00" | "-0700" | "-07" => zone = offset(&mut text)?,
            _ => parts.nanos = fraction(&mut text).or(piece.ends_with('9').then_some(0))?,
        }
    }
    if let Some(is_afternoon) = is_afternoon {
        parts.hour = parts.hour % 12 + if is_afternoon { 12 } else { 0 };
    }
    let Parts { year, month, day, hour, minute, second, nanos } = parts;
    let written = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}{zone}");
    UnixNanos::parse(&written).filter(|_| text.is_empty())
}

fn digits(text: &mut &str, least: usize, most: usize) -> Option<u32> {
    let length = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    let number = (length >= least).then(|| text[..length].parse().ok()).flatten()?;
    *text = &text[length..];
    Some(number)
}

/// Which of `names` comes, whole or its first letters.
fn named(text: &mut &str, names: &[&str], letters: Option<usize>) -> Option<usize> {
    let short = |name: &str| name[..letters.unwrap_or(name.len())].len();
    let place = names.iter().position(|name| text.starts_with(&name[..short(name)]))?;
    *text = &text[short(names[place])..];
    Some(place)
}

fn fraction(text: &mut &str) -> Option<u32> {
    let inside = text.strip_prefix(['.', ','])?;
    let length = inside.bytes().take_while(u8::is_ascii_digit).count();
    let number =
        (1..=9).contains(&length).then(|| format!("{:0<9}", &inside[..length]).parse().ok()).flatten()?;
    *text = &inside[length..];
    Some(number)
}

/// A distance to UTC as RFC 3339 writes it.
fn offset(text: &mut &str) -> Option<String> {
    let sign = text.chars().next().filter(|c| matches!(c, '+' | '-'))?;
    *text = &text[1..];
    let hours = digits(text, 2, 2)?;
    *text = text.strip_prefix(':').unwrap_or(text);
    let minutes = digits(text, 2, 2).unwrap_or(0);
    Some(format!("{sign}{hours:02}:{minutes:02}"))
}
