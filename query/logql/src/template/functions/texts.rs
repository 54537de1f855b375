//! Functions of texts.

use meshlake_schema::go_regex::part_regex;
use regex::NoExpand;

use super::super::scope::BYTES_MAX;
use super::super::value::Value;
use super::{Entry, entry};

pub(super) static TABLE: &[Entry] = &[
    entry("ToLower", (1, 1), |v, _| text(v[0].text().to_lowercase())),
    entry("lower", (1, 1), |v, _| text(v[0].text().to_lowercase())),
    entry("ToUpper", (1, 1), |v, _| text(v[0].text().to_uppercase())),
    entry("upper", (1, 1), |v, _| text(v[0].text().to_uppercase())),
    entry("title", (1, 1), |v, _| text(title(&v[0].text()))),
    entry("Replace", (4, 4), |v, _| {
        let (subject, old, new, count) = (v[0].text(), v[1].text(), v[2].text(), v[3].integer());
        text(match usize::try_from(count) {
            Ok(count) => subject.replacen(&old, &new, count),
            Err(_) => subject.replace(&old, &new),
        })
    }),
    entry("replace", (3, 3), |v, _| text(v[2].text().replace(&v[0].text(), &v[1].text()))),
    entry("Trim", (2, 2), |v, _| text(v[0].text().trim_matches(any_of(&v[1])).to_owned())),
    entry("TrimLeft", (2, 2), |v, _| text(v[0].text().trim_start_matches(any_of(&v[1])).to_owned())),
    entry("TrimRight", (2, 2), |v, _| text(v[0].text().trim_end_matches(any_of(&v[1])).to_owned())),
    entry("TrimPrefix", (2, 2), |v, _| text(without_prefix(&v[0].text(), &v[1].text()))),
    entry("TrimSuffix", (2, 2), |v, _| text(without_suffix(&v[0].text(), &v[1].text()))),
    entry("TrimSpace", (1, 1), |v, _| text(v[0].text().trim().to_owned())),
    entry("trim", (1, 1), |v, _| text(v[0].text().trim().to_owned())),
    entry("trimAll", (2, 2), |v, _| text(v[1].text().trim_matches(any_of(&v[0])).to_owned())),
    entry("trimPrefix", (2, 2), |v, _| text(without_prefix(&v[1].text(), &v[0].text()))),
    entry("trimSuffix", (2, 2), |v, _| text(without_suffix(&v[1].text(), &v[0].text()))),
    entry("trunc", (2, 2), |v, _| {
        let (count, subject) = (v[0].integer(), v[1].text());
        let length = subject.chars().count();
        let most = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX).min(length);
        let skipped = if count < 0 { length - most } else { 0 };
        text(subject.chars().skip(skipped).take(most).collect())
    }),
    entry("substr", (3, 3), |v, _| {
        let subject: Vec<char> = v[2].text().chars().collect();
        let start = usize::try_from(v[0].integer()).unwrap_or(0).min(subject.len());
        let end = usize::try_from(v[1].integer()).unwrap_or(subject.len()).clamp(start, subject.len());
        text(subject[start..end].iter().collect())
    }),
    entry("repeat", (2, 2), |v, _| {
        let (count, subject) = (usize::try_from(v[0].integer()).unwrap_or(0), v[1].text());
        match subject.len().checked_mul(count) {
            Some(bytes) if bytes <= BYTES_MAX => text(subject.repeat(count)),
            _ => Err(format!("it makes more than {BYTES_MAX} bytes")),
        }
    }),
    entry("indent", (2, 2), |v, _| indented(v[0].integer(), &v[1].text()).map(Value::Text)),
    entry("nindent", (2, 2), |v, _| {
        Ok(Value::Text(format!("\n{}", indented(v[0].integer(), &v[1].text())?)))
    }),
    entry("alignLeft", (2, 2), |v, _| aligned(&v[0], &v[1].text(), false)),
    entry("alignRight", (2, 2), |v, _| aligned(&v[0], &v[1].text(), true)),
    entry("contains", (2, 2), |v, _| Ok(Value::Boolean(v[1].text().contains(&v[0].text())))),
    entry("hasPrefix", (2, 2), |v, _| Ok(Value::Boolean(v[1].text().starts_with(&v[0].text())))),
    entry("hasSuffix", (2, 2), |v, _| Ok(Value::Boolean(v[1].text().ends_with(&v[0].text())))),
    entry("count", (2, 2), |v, _| {
        let found = part_regex(&v[0].text())?.find_iter(&v[1].text()).count();
        Ok(Value::Integer(found as i64))
    }),
    entry("regexReplaceAll", (3, 3), |v, _| {
        let regex = part_regex(&v[0].text())?;
        text(regex.replace_all(&v[1].text(), v[2].text().as_str()).into_owned())
    }),
    entry("regexReplaceAllLiteral", (3, 3), |v, _| {
        let regex = part_regex(&v[0].text())?;
        text(regex.replace_all(&v[1].text(), NoExpand(&v[2].text())).into_owned())
    }),
    entry("urlencode", (1, 1), |v, _| text(url_encoded(&v[0].text()))),
    entry("urlquery", (1, 1), |v, _| text(url_encoded(&v[0].text()))),
    entry("urldecode", (1, 1), |v, _| url_decoded(&v[0].text()).map(Value::Text)),
    entry("b64enc", (1, 1), |v, _| {
        let mut out = String::new();
        meshlake_schema::attributes::push_bytes(&mut out, v[0].text().as_bytes());
        text(out)
    }),
    entry("b64dec", (1, 1), |v, _| base64_decoded(&v[0].text()).map(Value::Text)),
];

fn text(text: String) -> Result<Value, String> {
    Ok(Value::Text(text))
}

fn any_of(characters: &Value) -> impl Fn(char) -> bool + use<> {
    let characters = characters.text();
    move |c| characters.contains(c)
}

fn without_prefix(subject: &str, prefix: &str) -> String {
    subject.strip_prefix(prefix).unwrap_or(subject).to_owned()
}

fn without_suffix(subject: &str, suffix: &str) -> String {
    subject.strip_suffix(suffix).unwrap_or(subject).to_owned()
}

/// Each word with a capital letter.
fn title(subject: &str) -> String {
    let mut out = String::with_capacity(subject.len());
    let mut is_inside = false;
    for c in subject.chars() {
        if is_inside {
            out.push(c);
        } else {
            out.extend(c.to_uppercase());
        }
        is_inside = c.is_alphanumeric() || c == '_';
    }
    out
}

fn indented(spaces: i64, subject: &str) -> Result<String, String> {
    let spaces = usize::try_from(spaces).unwrap_or(0);
    let lines = subject.matches('\n').count() + 1;
    match spaces.checked_mul(lines) {
        Some(bytes) if bytes <= BYTES_MAX => {
            let padding = " ".repeat(spaces);
            Ok(padding.clone() + &subject.replace('\n', &format!("\n{padding}")))
        }
        _ => Err(format!("it makes more than {BYTES_MAX} bytes")),
    }
}

/// As wide as asked for: padded, or cut at its far end.
fn aligned(count: &Value, subject: &str, is_right: bool) -> Result<Value, String> {
    let width = usize::try_from(count.integer()).unwrap_or(0);
    if width > BYTES_MAX {
        return Err(format!("it makes more than {BYTES_MAX} bytes"));
    }
    let length = subject.chars().count();
    let padding = " ".repeat(width.saturating_sub(length));
    text(match (is_right, length > width) {
        (true, true) => subject.chars().skip(length - width).collect(),
        (false, true) => subject.chars().take(width).collect(),
        (true, false) => padding + subject,
        (false, false) => subject.to_owned() + &padding,
    })
}

/// As Go's `QueryEscape` writes it.
fn url_encoded(subject: &str) -> String {
    let mut out = String::new();
    for byte in subject.bytes() {
        match byte {
            b' ' => out.push('+'),
            b if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) => out.push(char::from(b)),
            b => out += &format!("%{b:02X}"),
        }
    }
    out
}

fn url_decoded(subject: &str) -> Result<String, String> {
    let mut out = Vec::new();
    let mut bytes = subject.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16));
                let code = digit().zip(digit()).ok_or("invalid URL escape")?;
                (code.0 * 16 + code.1) as u8
            }
            other => other,
        });
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn base64_decoded(subject: &str) -> Result<String, String> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for byte in subject.trim_end_matches('=').bytes() {
        let place = ALPHABET.iter().position(|known| *known == byte);
        let place = place.ok_or_else(|| format!("illegal base64 data: {:?}", char::from(byte)))?;
        bits = bits << 6 | place as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}
