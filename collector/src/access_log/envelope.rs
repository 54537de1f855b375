//! What others put around a line on its way into a file, a pipe or a post, and the line in it.
//!
//! ```text
//! Nov 23 07:07:07 lb1 haproxy[912]: 10.0.0.1:4000 [...   rsyslog, syslog-ng and journald, in files
//! 2026-11-23T07:07:07.948Z 10.0.0.1 - - [...             kubectl logs --timestamps, docker logs -t
//! [pod/web-0/nginx] 10.0.0.1 - - [...                    kubectl logs --prefix
//! web-1  | 10.0.0.1 - - [...                             docker compose logs
//! {"date": 1795417627.9, "log": "10.0.0.1 - - [..."}     Fluent Bit; with `message` Vector, Filebeat, Logstash
//! ```
//! Nobody says that it is there, so it is looked for only where a line cannot be read as it is, and then first on the lines
//! that follow. A line that tells no time was logged when its envelope says.
//!
//! Sources: RFC 3164, RFC 5424; kubectl `pkg/cmd/logs` (`addPrefixIfNeeded`); Docker Compose `cmd/formatter/logs.go`. Limits:
//! the names in an envelope are not kept, nor are other members of an object: who logs is said once for a file.

use std::borrow::Cow;

use serde::Deserialize;

use super::syslog::Message;

/// A line in its envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Enclosed<'a> {
    /// When it was logged, as it is written; empty where the envelope has no time.
    pub time: &'a str,
    pub text: Cow<'a, str>,
}

/// What may stand around a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Envelope {
    /// Blanks, or a byte order mark.
    Blank,
    /// Whose it is.
    Name,
    /// When it was logged.
    Time,
    /// Both.
    NameAndTime,
    Syslog,
    /// An object of which one member is the line.
    Member,
}

/// How a byte order mark reads.
const BYTE_ORDER_MARK: char = '\u{feff}';

impl Envelope {
    pub(super) const ALL: [Envelope; 6] = [
        Envelope::Blank,
        Envelope::Name,
        Envelope::Time,
        Envelope::NameAndTime,
        Envelope::Syslog,
        Envelope::Member,
    ];

    /// The line in it; `None` where there is no such envelope.
    pub(super) fn open(self, line: &str) -> Option<Enclosed<'_>> {
        match self {
            Envelope::Blank => {
                let text = line.trim_start_matches([BYTE_ORDER_MARK, ' ', '\t']);
                (text.len() < line.len()).then(|| untimed(text))
            }
            Envelope::Name => behind_name(line).map(untimed),
            Envelope::Time => behind_time(line),
            Envelope::NameAndTime => behind_name(line).and_then(behind_time),
            Envelope::Syslog => {
                let Message { time, text, .. } = Message::of(line.as_bytes());
                let text_of = |bytes| str::from_utf8(bytes).ok();
                let enclosed = Enclosed { time: text_of(time)?, text: text_of(text)?.into() };
                (enclosed.text.len() < line.len()).then_some(enclosed)
            }
            Envelope::Member => member(line).map(|text| Enclosed { time: "", text }),
        }
    }
}

fn untimed(text: &str) -> Enclosed<'_> {
    Enclosed { time: "", text: text.into() }
}

/// Behind `[pod/NAME/CONTAINER] ` or `NAME-1  | `.
fn behind_name(line: &str) -> Option<&str> {
    if line.starts_with("[pod/") {
        return line.split_once("] ").map(|(_, text)| text);
    }
    let (name, text) = line.split_once(" | ").or_else(|| line.split_once("| "))?;
    let name = name.trim_end();
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (!name.is_empty() && name.bytes().all(is_name)).then_some(text)
}

/// Behind a time of RFC 3339 and a space.
fn behind_time(line: &str) -> Option<Enclosed<'_>> {
    let (time, text) = line.split_once(' ')?;
    super::syslog::is_rfc_3339(time.as_bytes()).then_some(Enclosed { time, text: text.into() })
}

/// The member of an object that is the line.
fn member(line: &str) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Object<'a> {
        #[serde(borrow, alias = "message", alias = "msg", alias = "MESSAGE")]
        log: Cow<'a, str>,
    }
    if !line.starts_with('{') {
        return None;
    }
    match serde_json::from_str::<Object<'_>>(line).ok()?.log {
        Cow::Borrowed(text) => Some(text.trim_end().into()),
        Cow::Owned(text) => Some(text.trim_end().to_owned().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(envelope: Envelope, line: &str, want: Option<(&str, &str)>) {
        let want = want.map(|(time, text)| Enclosed { time, text: text.into() });
        assert_eq!(envelope.open(line), want, "{envelope:?} of {line:?}");
    }

    #[test]
    fn a_line_is_what_stands_behind_its_envelope() {
        let time = "2026-11-23T07:07:07.948123456Z";
        check(Envelope::Blank, "\u{feff} \ta b", Some(("", "a b")));
        check(Envelope::Blank, "a b", None);
        check(Envelope::Name, "[pod/web-0/nginx] [a] b", Some(("", "[a] b")));
        check(Envelope::Name, "web-1  | a | b", Some(("", "a | b")));
        check(Envelope::Name, "a_very.long-name-1| a", Some(("", "a")));
        for line in ["[pod/web-0/nginx]", "a b | c", " | c", "a b c", ""] {
            check(Envelope::Name, line, None);
        }
        check(Envelope::Time, &format!("{time} a b"), Some((time, "a b")));
        check(Envelope::Time, "2026-11-23 a b", None);
        check(Envelope::NameAndTime, &format!("web-1  | {time} a b"), Some((time, "a b")));
        check(Envelope::NameAndTime, "web-1  | a b", None);
        check(Envelope::Syslog, "Nov  3 07:07:07 lb1 haproxy[9]: a b", Some(("Nov  3 07:07:07", "a b")));
        check(Envelope::Syslog, &format!("{time} lb1 nginx: é"), Some((time, "é")));
        check(Envelope::Syslog, &format!("<134>1 {time} lb1 nginx - - - a"), Some((time, "a")));
        check(Envelope::Syslog, "10.0.0.1 - - [x]", None);
        check(Envelope::Member, r#"{"date":1.5,"log":"a \"b\"\n","n":{"x":[1]}}"#, Some(("", "a \"b\"")));
        check(Envelope::Member, r#"{"message":"a","host":"b"}"#, Some(("", "a")));
        for line in [r#"{"log":{"a":1}}"#, r#"{"other":"a"}"#, r#"{"log":"a"#, r#"["log"]"#] {
            check(Envelope::Member, line, None);
        }
    }
}
