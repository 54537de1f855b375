//! Takes apart a syslog message: when, which host, which program, and the text, which is what the program logged.
//!
//! Both RFCs, and what programs write that keeps to neither: no priority, no host (nginx's `nohostname`), a time of RFC
//! 3339 in front of the older header (rsyslog), a year, a text behind a space. What cannot be told apart stays text: a line
//! is kept whole rather than read wrong. Names and times are the sender's word.
//!
//! Source: RFC 5424, 6; RFC 3164, 4.1; RFC 5424, 6.4 (the byte order mark in front of UTF-8).

/// The largest priority: facility 23, severity 7.
const PRIORITY_MAX: u16 = 191;

/// A message taken apart; names are empty where it has none.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    pub(crate) host: &'a [u8],
    /// The program: `APP-NAME`, or the tag without the process id.
    pub(crate) app: &'a [u8],
    /// When it was logged, as it is written.
    pub(crate) time: &'a [u8],
    pub(crate) text: &'a [u8],
}

impl<'a> Message<'a> {
    /// Takes `message` apart.
    pub(crate) fn of(message: &'a [u8]) -> Message<'a> {
        let message = trimmed(message);
        let behind_priority = behind_priority(message).unwrap_or(message);
        let parsed = rfc_5424(behind_priority).or_else(|| rfc_3164(behind_priority));
        let Message { host, app, time, text } =
            parsed.unwrap_or(Message { text: behind_priority, ..Message::default() });
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        // Written among lines it must not look like several, nor like more than it is.
        let time = if time.contains(&b'\t') || time.contains(&b'\n') { &[] } else { time };
        Message { host, app, time, text: text.trim_ascii_start() }
    }
}

/// Without what ends a message on some transports: line feeds and NULs.
fn trimmed(message: &[u8]) -> &[u8] {
    let kept = message.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r' | 0)).map_or(0, |at| at + 1);
    &message[..kept]
}

fn behind_priority(message: &[u8]) -> Option<&[u8]> {
    let rest = message.strip_prefix(b"<")?;
    let digits = rest.iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
    let priority: u16 = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
    (priority <= PRIORITY_MAX && rest.get(digits) == Some(&b'>')).then(|| &rest[digits + 1..])
}

/// `1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA MSG`
fn rfc_5424(text: &[u8]) -> Option<Message<'_>> {
    let (version, rest) = word(text)?;
    let (time, rest) = word(rest)?;
    if version != b"1" || !(time == b"-" || is_rfc_3339(time)) {
        return None;
    }
    let (host, rest) = word(rest)?;
    let (app, rest) = word(rest)?;
    let (_process, rest) = word(rest)?;
    let (_kind, rest) = word(rest)?;
    let text = behind_structured_data(rest)?;
    Some(Message {
        host: known(host),
        app: known(app),
        time: known(time),
        text: text.strip_prefix(b" ").unwrap_or(text),
    })
}

/// What stands behind `-` or `[id name="value"...]...`, in which `"`, `\` and `]` of values are escaped.
fn behind_structured_data(text: &[u8]) -> Option<&[u8]> {
    if let Some(rest) = text.strip_prefix(b"-") {
        return Some(rest);
    }
    let mut rest = text;
    while rest.first() == Some(&b'[') {
        let (mut is_quoted, mut is_escaped) = (false, false);
        let end = rest.iter().position(|byte| {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = is_quoted,
                b'"' => is_quoted = !is_quoted,
                b']' => return !is_quoted,
                _ => {}
            }
            false
        })?;
        rest = &rest[end + 1..];
    }
    (rest.len() < text.len()).then_some(rest)
}

/// `Nov 23 07:07:07 host tag[1]: text`
fn rfc_3164(text: &[u8]) -> Option<Message<'_>> {
    let rest = behind_time(text)?;
    let time = text[..text.len() - rest.len()].trim_ascii_end();
    // Without a host the first word is the tag, which ends with a colon.
    let (first, behind_first) = word(rest)?;
    let (host, tagged) = if first.ends_with(b":") { (&[][..], rest) } else { (first, behind_first) };
    let Some((app, text)) = tag(tagged) else {
        return Some(Message { host, app: &[], time, text: tagged });
    };
    Some(Message { host, app, time, text })
}

/// What stands behind a time as RFC 3164 has it, with or without a year and a fraction, or as RFC 3339 has it.
fn behind_time(text: &[u8]) -> Option<&[u8]> {
    let (first, rest) = word(text)?;
    if is_rfc_3339(first) {
        return Some(rest);
    }
    const MONTHS: &[u8] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    if first.len() != 3 || !MONTHS.chunks(3).any(|month| month == first) {
        return None;
    }
    let (day, rest) = word(rest.trim_ascii_start())?;
    let (mut clock, mut rest) = word(rest)?;
    if clock.len() == 4 && clock.iter().all(u8::is_ascii_digit) {
        (clock, rest) = word(rest)?;
    }
    let is_day = day.len() <= 2 && day.iter().all(u8::is_ascii_digit);
    let is_clock = clock.len() >= 8 && clock[2] == b':' && clock[5] == b':';
    if !is_day || !is_clock {
        return None;
    }
    // `Nov 23 07:07:07 2026 host`, as some write the year.
    match word(rest) {
        Some((year, behind)) if year.len() == 4 && year.iter().all(u8::is_ascii_digit) => Some(behind),
        _ => Some(rest),
    }
}

/// A tag, with or without the process id, and what stands behind its colon.
fn tag(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|byte| matches!(byte, b':' | b'[' | b' '))?;
    let (app, rest) = text.split_at(end);
    let rest = match rest[0] {
        b'[' => {
            let end = rest.iter().position(|byte| *byte == b']')?;
            &rest[end + 1..]
        }
        _ => rest,
    };
    let text = rest.strip_prefix(b":")?;
    (!app.is_empty()).then_some((app, text))
}

fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == b' ')?;
    Some((&text[..at], &text[at + 1..]))
}

fn known(name: &[u8]) -> &[u8] {
    if name == b"-" { &[] } else { name }
}

pub(crate) fn is_rfc_3339(text: &[u8]) -> bool {
    let at = |index: usize, byte: u8| text.get(index) == Some(&byte);
    text.len() >= 20 && text[..4].iter().all(u8::is_ascii_digit) && at(4, b'-') && at(7, b'-') && at(10, b'T')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &str, [host, app, text]: [&str; 3]) {
        let Message { host: has_host, app: has_app, text: has_text, .. } = Message::of(message.as_bytes());
        let want = [host, app, text].map(str::as_bytes);
        assert_eq!([has_host, has_app, has_text], want, "{message:?}");
    }

    #[test]
    fn the_time_is_kept_as_it_is_written() {
        for (message, want) in [
            ("<190>Nov  3 07:07:07 vm nginx: x", "Nov  3 07:07:07"),
            ("<13>Nov 23 2026 07:07:07.123 vm tag: x", "Nov 23 2026 07:07:07.123"),
            ("<13>Nov 23 07:07:07 2026 vm tag: x", "Nov 23 07:07:07 2026"),
            ("<13>2026-11-23T07:07:07.1+01:00 vm tag[1]: x", "2026-11-23T07:07:07.1+01:00"),
            ("<190>1 2026-11-23T07:07:07+00:00 vm nginx - - - x", "2026-11-23T07:07:07+00:00"),
            ("<190>1 - vm nginx - - - x", ""),
            ("<190>1 2026-11-23T07:07:07\tZZ vm nginx - - - x", ""),
            ("10.0.0.1 - - [x]", ""),
        ] {
            assert_eq!(Message::of(message.as_bytes()).time, want.as_bytes(), "{message:?}");
        }
    }

    /// What rsyslog 8.2302 relays, nginx 1.22 and HAProxy 2.6 send, and the examples of RFC 5424, 6.5.
    #[test]
    fn both_headers_are_taken_apart() {
        check("<190>Nov 23 07:07:07 vm nginx: 127.0.0.1 - -", ["vm", "nginx", "127.0.0.1 - -"]);
        check("<134>Nov  3 07:07:07 vm haproxy[912]: 10.0.0.1:1 [", ["vm", "haproxy", "10.0.0.1:1 ["]);
        check("<190>1 2026-11-23T07:07:07+00:00 vm nginx - - -  127.0.0.1 -", ["vm", "nginx", "127.0.0.1 -"]);
        check(
            "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \u{feff}'su root' failed\n",
            ["mymachine.example.com", "su", "'su root' failed"],
        );
        check(
            "<165>1 2003-10-11T22:14:15.003Z host evntslog - ID47 [a@1 b=\"3\" c=\"x\\\"]\\\\\"][d e=\"]\"] text ]",
            ["host", "evntslog", "text ]"],
        );
        check("<165>1 - - - - - [a@1] x", ["", "", "x"]);
        // Fluent Bit 2: `plugins/out_syslog/syslog.c`, with the preset and the key of `deploy/fluent-bit`.
        check(
            "<14>1 2026-11-23T07:07:07.123456Z - nginx - - - \u{feff}127.0.0.1 - -\n",
            ["", "nginx", "127.0.0.1 - -"],
        );
        check("<34>1 - - su - - -", ["", "su", ""]);
    }

    #[test]
    fn what_keeps_to_neither_is_taken_apart_as_far_as_it_goes() {
        check("<190>Nov 23 07:07:07 nginx: {\"a\": 1}", ["", "nginx", "{\"a\": 1}"]);
        check("<13>2026-11-23T07:07:07.1+01:00 vm tag[1]: x", ["vm", "tag", "x"]);
        check("<13>Nov 23 2026 07:07:07.123 vm tag: x", ["vm", "tag", "x"]);
        check("<13>Nov 23 07:07:07 2026 vm tag: x", ["vm", "tag", "x"]);
        check("Nov 23 07:07:07 vm tag: x", ["vm", "tag", "x"]);
        check("<13>Nov 23 07:07:07 vm no tag here", ["vm", "", "no tag here"]);
        for text in ["10.0.0.1 - - [x]", "Nov", "Nov 23", "Nox 23 07:07:07 vm tag: x", "", "1 x y z"] {
            check(text, ["", "", text]);
            check(&format!("<0>{text}\r\n\0"), ["", "", text]);
        }
    }

    #[test]
    fn a_priority_that_is_none_stays_in_the_text() {
        check("<191>x", ["", "", "x"]);
        for text in ["<192>x", "<999>x", "<-1>x", "<>x", "<1", "<00001>x", "<1 >x"] {
            check(text, ["", "", text]);
        }
    }

    /// Whatever comes, what is taken out of it lies in it.
    #[test]
    fn any_bytes_are_taken_apart() {
        let pieces: [&[u8]; 14] = [
            b"<190>",
            b"<",
            b">",
            b"1 ",
            b"- ",
            b"[a b=\"",
            b"\"]",
            b"\\",
            b"Nov 23 07:07:07 ",
            b"vm ",
            b"tag[1]: ",
            b"2026-11-23T07:07:07Z ",
            b"\xff\0",
            b"\xef\xbb\xbf",
        ];
        let mut state = 42_u64;
        let mut below = |end: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % end
        };
        for _ in 0..20_000 {
            let message: Vec<u8> =
                (0..below(12)).flat_map(|_| pieces[below(pieces.len())].to_vec()).collect();
            let Message { host, app, time, text } = Message::of(&message);
            assert!(host.len() + app.len() + time.len() + text.len() <= message.len(), "{message:?}");
        }
    }

    #[test]
    fn structured_data_without_an_end_makes_no_header() {
        let text = "1 - host app - - [a b=\"] x";
        check(&format!("<1>{text}"), ["", "", text]);
        let text = "1 - host app - - x";
        check(&format!("<1>{text}"), ["", "", text]);
    }
}
