//! Takes lines out of what a container runtime writes around them.
//!
//! ```text
//! 2026-11-23T07:07:07.948123456Z stdout F [2026-11-23T07:07:07.940Z] "GET / HTTP/1.1" 200 ...
//!  time of writing, RFC 3339     stream tag text
//! {"log":"[2026-11-23T07:07:07.940Z] \"GET / ...\n","stream":"stdout","time":"2026-11-23T07:07:07.948123456Z"}
//! ```
//! The tag is `F` for the last piece of a line and `P` for those before it; Docker's text of the last piece ends with a line
//! feed. Runtimes cut lines at 16 KiB. Pieces of the two streams may alternate. Whether a file is written like that is decided
//! by each line, as long as the first one is.
//!
//! Sources: Kubernetes, `pkg/kubelet/kuberuntime/logs/logs.go` (`parseCRILog`, `parseDockerJSONLog`); containerd,
//! `pkg/cri/io/logger.go`; moby, `daemon/logger/jsonfilelog/jsonlog`.

use std::borrow::Cow;

use serde::Deserialize;

/// A line, or a part of one, as a runtime has written it.
#[derive(Debug, PartialEq, Eq)]
struct Piece<'a> {
    is_stderr: bool,
    is_last: bool,
    text: Cow<'a, [u8]>,
}

/// Lines without what a container runtime has written around them, pieces joined; `lines` itself where it has written
/// nothing. Pieces whose last one is missing end where they end.
pub fn unwrap_container(lines: &[u8]) -> Cow<'_, [u8]> {
    if first_line(lines).and_then(Piece::of).is_none() {
        return Cow::Borrowed(lines);
    }
    let mut out = Vec::with_capacity(lines.len());
    // Of standard output and of standard error.
    let mut pieces = [Vec::new(), Vec::new()];
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let Some(Piece { is_stderr, is_last, text }) = Piece::of(line) else {
            out.extend_from_slice(line);
            out.push(b'\n');
            continue;
        };
        let before = &mut pieces[usize::from(is_stderr)];
        if is_last {
            out.append(before);
            out.extend_from_slice(&text);
            out.push(b'\n');
        } else {
            before.extend_from_slice(&text);
        }
    }
    for mut piece in pieces.into_iter().filter(|piece| !piece.is_empty()) {
        out.append(&mut piece);
        out.push(b'\n');
    }
    Cow::Owned(out)
}

/// How many bytes of `lines`, each of which has ended, are lines whose last piece is there: all, where no container
/// runtime has written around them.
pub fn whole_lines(lines: &[u8]) -> usize {
    if first_line(lines).and_then(Piece::of).is_none() {
        return lines.len();
    }
    let (mut whole, mut at, mut waits) = (0, 0, [false; 2]);
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        at += line.len();
        if let Some(line) = Piece::of(line.strip_suffix(b"\n").unwrap_or(line)) {
            waits[usize::from(line.is_stderr)] = !line.is_last;
        }
        if waits == [false; 2] {
            whole = at;
        }
    }
    whole
}

fn first_line(lines: &[u8]) -> Option<&[u8]> {
    lines.split(|byte| *byte == b'\n').next()
}

impl Piece<'_> {
    fn of(line: &[u8]) -> Option<Piece<'_>> {
        if line.starts_with(DOCKER) { of_docker(line) } else { of_cri(line) }
    }
}

/// How a line begins that Docker has written.
const DOCKER: &[u8] = b"{\"log\":";

fn of_docker(line: &[u8]) -> Option<Piece<'_>> {
    #[derive(Deserialize)]
    struct Entry<'a> {
        #[serde(borrow)]
        log: Cow<'a, str>,
        stream: Stream,
        #[serde(borrow)]
        time: Cow<'a, str>,
    }
    let Entry { log, stream, time } = serde_json::from_slice(line).ok()?;
    if !is_time(time.as_bytes()) {
        return None;
    }
    let mut text = match log {
        Cow::Borrowed(log) => Cow::Borrowed(log.as_bytes()),
        Cow::Owned(log) => Cow::Owned(log.into_bytes()),
    };
    let is_last = text.ends_with(b"\n");
    if is_last {
        text = match text {
            Cow::Borrowed(text) => Cow::Borrowed(&text[..text.len() - 1]),
            Cow::Owned(mut text) => {
                text.pop();
                Cow::Owned(text)
            }
        };
    }
    Some(Piece { is_stderr: stream == Stream::Stderr, is_last, text })
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Stream {
    Stdout,
    Stderr,
}

fn of_cri(line: &[u8]) -> Option<Piece<'_>> {
    let (time, rest) = split_at_space(line)?;
    if !is_time(time) {
        return None;
    }
    let (stream, rest) = split_at_space(rest)?;
    let is_stderr = match stream {
        b"stdout" => false,
        b"stderr" => true,
        _ => return None,
    };
    // The tag ends with the line where the text is empty. It may have more words, joined by colons.
    let (tag, text) = split_at_space(rest).unwrap_or((rest, &[]));
    let is_last = match tag.split(|byte| *byte == b':').next()? {
        b"F" => true,
        b"P" => false,
        _ => return None,
    };
    Some(Piece { is_stderr, is_last, text: Cow::Borrowed(text) })
}
fn split_at_space(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == b' ')?;
    Some((&text[..at], &text[at + 1..]))
}

/// `2026-11-23T...`: more is not needed to tell it from what no runtime has written.
fn is_time(text: &[u8]) -> bool {
    let at = |index: usize, byte: u8| text.get(index) == Some(&byte);
    text.len() >= 20 && text[..4].iter().all(u8::is_ascii_digit) && at(4, b'-') && at(7, b'-') && at(10, b'T')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = "2026-11-23T07:07:07.948123456Z";

    /// Lines of (stream, tag and text).
    fn cri(lines: &[(&str, &str)]) -> String {
        lines.iter().map(|(stream, rest)| format!("{TIME} {stream} {rest}\n")).collect()
    }

    #[test]
    fn lines_are_unwrapped_and_pieces_joined() {
        let check = |lines: &str, want: &str| {
            assert_eq!(String::from_utf8_lossy(&unwrap_container(lines.as_bytes())), want, "{lines:?}");
        };
        check("", "");
        check("a b c\n", "a b c\n");
        check(&cri(&[("stdout", "F a b"), ("stderr", "F c")]), "a b\nc\n");
        check(
            &cri(&[("stdout", "P a"), ("stdout", "P b"), ("stdout", "F c"), ("stdout", "F d")]),
            "abc\nd\n",
        );
        check(&cri(&[("stdout", "P a"), ("stderr", "F x"), ("stdout", "F b")]), "x\nab\n");
        check(&cri(&[("stdout", "F"), ("stdout", "F "), ("stdout", "F:x a")]), "\n\na\n");
        check(&cri(&[("stdout", "F a"), ("stdout", "P b")]), "a\nb\n");
        check(&(cri(&[("stdout", "F a")]) + "plain\n"), "a\nplain\n");
        check(&format!("{TIME} stdin F a\n"), &format!("{TIME} stdin F a\n"));
        check(&format!("{TIME} stdout X a\n"), &format!("{TIME} stdout X a\n"));
    }

    /// Docker's lines of (stream and text).
    fn docker(lines: &[(&str, &str)]) -> String {
        let entry = |(stream, log): &(&str, &str)| {
            let entry = serde_json::json!({"log": log, "stream": stream, "time": TIME});
            format!(
                "{{\"log\":{},\"stream\":{},\"time\":{}}}\n",
                entry["log"], entry["stream"], entry["time"]
            )
        };
        lines.iter().map(entry).collect()
    }

    #[test]
    fn dockers_lines_are_unwrapped_and_pieces_joined() {
        let check = |lines: &str, want: &str, whole: usize| {
            assert_eq!(String::from_utf8_lossy(&unwrap_container(lines.as_bytes())), want, "{lines:?}");
            assert_eq!(whole_lines(lines.as_bytes()), whole, "{lines:?}");
        };
        let lines = docker(&[("stdout", "a \"b\"\n"), ("stderr", "é\n"), ("stdout", "\n")]);
        check(&lines, "a \"b\"\né\n\n", lines.len());
        let lines = docker(&[("stdout", "a"), ("stderr", "x\n"), ("stdout", "b\n")]);
        check(&lines, "x\nab\n", lines.len());
        let whole = docker(&[("stdout", "a\n")]);
        check(&(whole.clone() + &docker(&[("stdout", "b")])), "a\nb\n", whole.len());
        // An application's own objects are lines of theirs.
        for own in [
            "{\"log\":\"a\"}\n".to_owned(),
            format!("{{\"log\":\"a\",\"stream\":\"other\",\"time\":\"{TIME}\"}}\n"),
            "{\"log\":\"a\",\"stream\":\"stdout\",\"time\":\"now\"}\n".to_owned(),
        ] {
            check(&own, &own, own.len());
        }
    }

    #[test]
    fn lines_are_whole_where_the_last_piece_of_both_streams_is_there() {
        let line = |stream, rest| cri(&[(stream, rest)]);
        let (out_f, out_p) = (line("stdout", "F a"), line("stdout", "P a"));
        let (err_f, err_p) = (line("stderr", "F a"), line("stderr", "P a"));
        let check = |lines: &[&String], whole: usize| {
            let bytes: usize = lines[..whole].iter().map(|line| line.len()).sum();
            let lines = lines.iter().map(|line| line.as_str()).collect::<String>();
            assert_eq!(whole_lines(lines.as_bytes()), bytes, "{lines}");
        };
        check(&[&out_f, &out_f], 2);
        check(&[&out_f, &out_p], 1);
        check(&[&out_p, &err_f], 0);
        check(&[&out_p, &err_f, &out_f, &err_p], 3);
        check(&[&out_p, &err_p, &out_f, &err_f], 4);
        assert_eq!(whole_lines(b"plain\nlines\n"), 12);
    }
}
