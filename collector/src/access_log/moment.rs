//! Times as logs write them: one instant, put together from whichever parts a format has.
//!
//! A format may hold a time whole (`2026-11-23T07:00:07.846Z`, `23/Nov/2026:07:07:07 +0000`, `1795417627.948`), as a
//! pattern of `strftime`, or in pieces: date and time apart, milliseconds in a field of their own, the zone in a third.
//! So a field fills in parts of a [`Moment`], and what they come to is asked when the line has been read.
//!
//! Sources: RFC 3339; the Common Log Format of Apache httpd; Howard Hinnant, "chrono-compatible low-level date
//! algorithms" (`days_from_civil`). Limits: zones are offsets, names of zones but `Z`, `UTC` and `GMT` are not known.

use super::numbers::{Unit, nanos, take_digits};

const SECONDS_PER_DAY: i64 = 86_400;
const NANOS_PER_SECOND: i64 = 1_000_000_000;
pub(super) const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The parts of an instant that have been read so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Moment {
    /// Since 1970-01-01, in the calendar of the zone.
    days: Option<i64>,
    seconds_of_day: Option<i64>,
    /// Of a second, and how many digits it was written with.
    nanos: u32,
    digits: u8,
    offset_seconds: Option<i32>,
    /// The whole instant, where it was written as one number, and its digits below a second.
    unix_nano: Option<i64>,
    unix_digits: u8,
}

impl Moment {
    /// Nanoseconds since the epoch, where the parts make an instant. `offset_seconds` east of UTC is for times without
    /// a zone. Of a calendar's time and a number the one with more digits below the second holds.
    pub(super) fn unix_nano(&self, offset_seconds: i32) -> Option<i64> {
        let calendar = self.days.zip(self.seconds_of_day).and_then(|(days, seconds)| {
            let offset = i64::from(self.offset_seconds.unwrap_or(offset_seconds));
            let seconds = days.checked_mul(SECONDS_PER_DAY)?.checked_add(seconds - offset)?;
            seconds.checked_mul(NANOS_PER_SECOND)?.checked_add(i64::from(self.nanos))
        });
        match (calendar, self.unix_nano) {
            (Some(calendar), Some(_)) if self.digits > self.unix_digits => Some(calendar),
            (calendar, unix_nano) => unix_nano.or(calendar),
        }
    }

    /// Sets the whole instant, exact to the nanosecond; `None` says nothing.
    pub(super) fn set_unix_nano(&mut self, unix_nano: Option<i64>) {
        if unix_nano.is_some() {
            (self.unix_nano, self.unix_digits) = (unix_nano, Unit::Nanos.digits());
        }
    }

    pub(super) fn set_date(&mut self, year: i64, month: i64, day: i64) -> Option<()> {
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        // Years begin in March, so that the odd day is the last one.
        let year = if month <= 2 { year - 1 } else { year };
        let era = year.div_euclid(400);
        let year_of_era = year - era * 400;
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        self.days = Some(era * 146_097 + day_of_era - 719_468);
        Some(())
    }

    fn set_fraction(&mut self, digits: &str) {
        let kept = &digits[..digits.len().min(9)];
        let number = kept.bytes().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
        self.nanos = number * 10_u32.pow(9 - kept.len() as u32);
        self.digits = kept.len() as u8;
    }

    fn set_number(&mut self, text: &str, unit: Unit) -> Option<()> {
        self.unix_nano = Some(nanos(text, unit)??);
        let below = text.split_once('.').map_or(0, |(_, fraction)| fraction.len().min(9) as u8);
        self.unix_digits = below + unit.digits();
        Some(())
    }
}

/// How a field writes a time, or part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TimeFormat {
    /// Any of the well-known ways, told by its looks: RFC 3339 with `T` or a space and with or without zone, also with
    /// slashes in its date, the Common Log Format with or without fraction and zone, a date or a time alone, a number of seconds up to
    /// nanoseconds since the epoch by its size.
    Any,
    /// That of the Common Log Format, and no other.
    Common,
    /// A number since the epoch.
    Number(Unit),
    /// Digits below the second.
    Fraction,
    Pattern(Box<[Piece]>),
}

/// One conversion of `strftime`, or text between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    Literal(char),
    Year,
    /// Its last two digits; those below 69 are of this century, as POSIX has it.
    ShortYear,
    Month,
    MonthName,
    Day,
    Hour,
    Hour12,
    HalfDay,
    Minute,
    Second,
    /// Digits below the second.
    Fraction,
    Zone,
    Epoch,
    /// A word that tells nothing more, such as the day of the week.
    Word,
}

impl TimeFormat {
    /// Compiles a pattern of `strftime`; the error is the conversion that is not known.
    pub(super) fn strftime(pattern: &str) -> Result<TimeFormat, char> {
        let mut pieces = Vec::new();
        let mut chars = pattern.chars();
        while let Some(char) = chars.next() {
            if char != '%' {
                pieces.push(Piece::Literal(char));
                continue;
            }
            let mut conversion = chars.next().unwrap_or('%');
            // Envoy writes the digits that it wants below the second as `%3f`, or a star for all.
            while conversion.is_ascii_digit() || matches!(conversion, '*' | '-' | 'E' | 'O') {
                conversion = chars.next().unwrap_or('%');
            }
            let known: &[Piece] = match conversion {
                'Y' => &[Piece::Year],
                'y' => &[Piece::ShortYear],
                'm' => &[Piece::Month],
                'b' | 'B' | 'h' => &[Piece::MonthName],
                'd' | 'e' => &[Piece::Day],
                'H' | 'k' => &[Piece::Hour],
                'I' | 'l' => &[Piece::Hour12],
                'p' => &[Piece::HalfDay],
                'M' => &[Piece::Minute],
                'S' => &[Piece::Second],
                'f' => &[Piece::Fraction],
                'z' | 'Z' => &[Piece::Zone],
                's' => &[Piece::Epoch],
                'a' | 'A' | 'u' | 'w' | 'j' => &[Piece::Word],
                'F' => &[Piece::Year, Piece::Literal('-'), Piece::Month, Piece::Literal('-'), Piece::Day],
                'T' => &[Piece::Hour, COLON, Piece::Minute, COLON, Piece::Second],
                'R' => &[Piece::Hour, COLON, Piece::Minute],
                'D' => &[Piece::Month, SLASH, Piece::Day, SLASH, Piece::ShortYear],
                'r' => &[
                    Piece::Hour12,
                    COLON,
                    Piece::Minute,
                    COLON,
                    Piece::Second,
                    Piece::Literal(' '),
                    Piece::HalfDay,
                ],
                '%' => &[Piece::Literal('%')],
                'n' | 't' => &[Piece::Literal(' ')],
                other => return Err(other),
            };
            pieces.extend_from_slice(known);
        }
        Ok(TimeFormat::Pattern(pieces.into()))
    }

    /// Fills in what `text` says; `None` where it is no such time.
    pub(super) fn read(&self, text: &str, moment: &mut Moment) -> Option<()> {
        if !text.is_ascii() {
            return None;
        }
        match self {
            TimeFormat::Any => read_any(text, moment),
            TimeFormat::Common if text.as_bytes().get(2) != Some(&b'/') => None,
            TimeFormat::Common => read_any(text, moment),
            TimeFormat::Number(unit) => moment.set_number(text, *unit),
            TimeFormat::Fraction if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                moment.set_fraction(text);
                Some(())
            }
            TimeFormat::Fraction => None,
            TimeFormat::Pattern(pieces) => read_pattern(pieces, text, moment),
        }
    }
}

const COLON: Piece = Piece::Literal(':');
const SLASH: Piece = Piece::Literal('/');

fn read_any(text: &str, moment: &mut Moment) -> Option<()> {
    let text = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let bytes = text.as_bytes();
    match (bytes.get(2), bytes.get(4)) {
        (Some(b'/'), _) => {
            let (date, rest) = text.split_at_checked(11)?;
            let month = MONTHS.iter().position(|month| *month == &date[3..6])? as i64 + 1;
            if &date[6..7] != "/" {
                return None;
            }
            moment.set_date(number(&date[7..])?, month, number(&date[..2])?)?;
            read_clock(rest.strip_prefix(':')?, moment)
        }
        (_, Some(mark @ (b'-' | b'/'))) => {
            let (date, rest) = text.split_at_checked(10)?;
            if date.as_bytes()[7] != *mark {
                return None;
            }
            moment.set_date(number(&date[..4])?, number(&date[5..7])?, number(&date[8..])?)?;
            match rest.as_bytes().first() {
                None => Some(()),
                Some(b'T' | b't' | b' ' | b'_') => read_clock(&rest[1..], moment),
                Some(_) => None,
            }
        }
        (Some(b':'), _) => read_clock(text, moment),
        _ => {
            let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
            moment.set_number(text, Unit::of_epoch(whole.len()))
        }
    }
}

/// Reads `07:00:07`, with or without a fraction and a zone.
pub(super) fn read_clock(text: &str, moment: &mut Moment) -> Option<()> {
    let (clock, rest) = text.split_at_checked(8)?;
    let bytes = clock.as_bytes();
    if bytes[2] != b':' || bytes[5] != b':' {
        return None;
    }
    moment.seconds_of_day =
        Some(seconds_of_day(number(&clock[..2])?, number(&clock[3..5])?, number(&clock[6..])?)?);
    let mut rest = rest;
    if let Some(fraction) = rest.strip_prefix(['.', ',']) {
        let digits;
        (digits, rest) = take_digits(fraction);
        if digits.is_empty() {
            return None;
        }
        moment.set_fraction(digits);
    }
    let rest = rest.strip_prefix(' ').unwrap_or(rest);
    if !rest.is_empty() {
        moment.offset_seconds = Some(read_zone(rest).filter(|(_, rest)| rest.is_empty())?.0);
    }
    Some(())
}

/// A leap second is the first of the next minute.
fn seconds_of_day(hour: i64, minute: i64, second: i64) -> Option<i64> {
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3600 + minute * 60 + second)
}

/// Reads `Z`, `+0200`, `-03:30`; gives the seconds east of UTC and what follows.
pub(super) fn read_zone(text: &str) -> Option<(i32, &str)> {
    for name in ["Z", "z", "UTC", "GMT"] {
        if let Some(rest) = text.strip_prefix(name) {
            return Some((0, rest));
        }
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, rest) = text[1..].split_at_checked(2)?;
    let rest = rest.strip_prefix(':').unwrap_or(rest);
    let (minutes, rest) = rest.split_at_checked(2)?;
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60).then(|| (sign * (hours * 3600 + minutes * 60) as i32, rest))
}

/// A number of nothing but digits.
pub(super) fn number(digits: &str) -> Option<i64> {
    let add = |number: i64, digit: u8| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0'));
    if digits.is_empty() || digits.len() > 9 {
        return None;
    }
    digits.bytes().try_fold(0, add)
}

fn read_pattern(pieces: &[Piece], text: &str, moment: &mut Moment) -> Option<()> {
    let mut rest = text;
    let (mut year, mut month, mut day) = (None, None, None);
    let (mut hour, mut minute, mut second, mut afternoon) = (None, None, None, None);
    let mut is_12 = false;
    for (at, piece) in pieces.iter().enumerate() {
        let mut take = |digits_max: usize| {
            let padded = rest.trim_start_matches(' ');
            let digits = take_digits(padded).0;
            let digits = &digits[..digits.len().min(digits_max)];
            rest = &padded[digits.len()..];
            number(digits)
        };
        match piece {
            Piece::Literal(char) => rest = rest.strip_prefix(*char)?,
            Piece::Year => year = Some(take(4)?),
            Piece::ShortYear => year = take(2).map(|year| year + if year < 69 { 2000 } else { 1900 }),
            Piece::Month => month = Some(take(2)?),
            Piece::Day => day = Some(take(2)?),
            Piece::Hour => hour = Some(take(2)?),
            Piece::Hour12 => (hour, is_12) = (Some(take(2)?), true),
            Piece::Minute => minute = Some(take(2)?),
            Piece::Second => second = Some(take(2)?),
            Piece::Zone => {
                let zone;
                (zone, rest) = read_zone(rest)?;
                moment.offset_seconds = Some(zone);
            }
            Piece::Fraction => {
                let digits;
                (digits, rest) = take_digits(rest);
                if digits.is_empty() {
                    return None;
                }
                moment.set_fraction(digits);
            }
            Piece::Epoch => {
                let digits;
                (digits, rest) = take_digits(rest);
                // Digits of the fraction may follow at once: seconds have ten until the year 2286.
                let fraction_follows = pieces.get(at + 1) == Some(&Piece::Fraction);
                let (seconds, fraction) =
                    digits.split_at(if fraction_follows { digits.len().min(10) } else { digits.len() });
                moment.set_number(seconds, Unit::Seconds)?;
                if fraction_follows {
                    rest = &text[text.len() - rest.len() - fraction.len()..];
                }
            }
            Piece::MonthName | Piece::HalfDay | Piece::Word => {
                let letters = rest.len() - rest.trim_start_matches(|char: char| char.is_alphanumeric()).len();
                let word;
                (word, rest) = rest.split_at(letters);
                match piece {
                    Piece::MonthName => {
                        let name = word.get(..3)?;
                        month = Some(MONTHS.iter().position(|month| *month == name)? as i64 + 1);
                    }
                    Piece::HalfDay => afternoon = Some(word.eq_ignore_ascii_case("pm")),
                    _ => {}
                }
            }
        }
    }
    if !rest.is_empty() {
        return None;
    }
    finish_pattern(moment, (year, month, day), (hour, minute, second), (is_12, afternoon))
}

type Three = (Option<i64>, Option<i64>, Option<i64>);

fn finish_pattern(moment: &mut Moment, date: Three, clock: Three, half: (bool, Option<bool>)) -> Option<()> {
    if let (Some(year), Some(month), Some(day)) = date {
        moment.set_date(year, month, day)?;
    }
    if let (Some(hour), Some(minute), second) = clock {
        let hour = match half {
            (true, afternoon) => hour % 12 + if afternoon == Some(true) { 12 } else { 0 },
            (false, _) => hour,
        };
        moment.seconds_of_day = Some(seconds_of_day(hour, minute, second.unwrap_or_default())?);
    }
    // A number of seconds and the digits below it are one.
    if let Some(seconds) = moment.unix_nano.filter(|_| date.0.is_none() && moment.digits > 0) {
        moment.unix_nano = seconds.checked_add(i64::from(moment.nanos));
        moment.unix_digits = moment.digits;
    }
    Some(())
}
