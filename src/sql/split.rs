//! Cuts text into statements at the semicolons that end one, and commands at the ends of their lines.
//!
//! A semicolon inside of quotes or a comment ends nothing. Texts are quoted as in SQL: `'it''s'`, `"a name"`; comments are
//! `-- to the end of the line` and `/* nested */`. What begins with a backslash where a statement would is a command of the shell.
//! Limits: texts in dollars (`$$`) are not known, the server knows none
//! in statements that read.

/// The statements and commands of `text` without what ends them, in order; none is empty or only a comment.
pub fn statements(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(length) = first_end(rest) {
        found.push(&rest[..length]);
        rest = &rest[length + 1..];
    }
    found.push(rest);
    found
        .into_iter()
        .filter(|statement| has_more_than_comments(statement))
        .map(|found| found.trim().to_owned())
        .collect()
}

/// Whether `text` ends with a semicolon that ends a statement, so that nothing more needs to be typed.
pub fn is_complete(text: &str) -> bool {
    let mut rest = text;
    while let Some(length) = first_end(rest) {
        rest = &rest[length + 1..];
        if !has_more_than_comments(rest) {
            return true;
        }
    }
    false
}

/// Where the first statement of `text` ends: the place of its semicolon.
fn first_end(text: &str) -> Option<usize> {
    let mut at = start_of(text);
    if text[at..].starts_with('\\') {
        return text[at..].find('\n').map(|length| at + length);
    }
    while let Some(next) = text.as_bytes().get(at) {
        let skipped = skipped(&text[at..]);
        if skipped > 0 {
            at += skipped;
        } else if *next == b';' {
            return Some(at);
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    None
}

/// Whether a piece of a script is a command of the shell, and the command.
pub fn command_of(piece: &str) -> Option<&str> {
    Some(&piece[start_of(piece)..]).filter(|rest| rest.starts_with('\\'))
}

fn has_more_than_comments(text: &str) -> bool {
    start_of(text) < text.len()
}

/// Where `text` begins behind white space and comments.
fn start_of(text: &str) -> usize {
    let mut rest = text.trim_start();
    while is_comment(rest) {
        rest = rest[skipped(rest)..].trim_start();
    }
    text.len() - rest.len()
}

fn is_comment(rest: &str) -> bool {
    rest.starts_with("--") || rest.starts_with("/*")
}

/// The length of the quoted text or comment at the start of `rest`; of one that does not end, all of it; else 0.
fn skipped(rest: &str) -> usize {
    let to_end = |found: Option<usize>, and: usize| found.map_or(rest.len(), |at| at + and);
    match rest.as_bytes() {
        [quote @ (b'\'' | b'"'), ..] => to_end(rest[1..].find(char::from(*quote)), 2),
        [b'-', b'-', ..] => to_end(rest.find('\n'), 1),
        [b'/', b'*', ..] => block_comment(rest),
        _ => 0,
    }
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match &rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += rest[at..].chars().next().map_or(1, char::len_utf8),
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semicolons_end_statements_outside_of_quotes_and_comments() {
        let check = |text: &str, want: &[&str]| assert_eq!(statements(text), want, "{text}");
        check("SELECT 1; SELECT 2 ;", &["SELECT 1", "SELECT 2"]);
        check("SELECT 1", &["SELECT 1"]);
        check("SELECT ';', 'it''s;' AS \"a;b\"; SELECT 2", &["SELECT ';', 'it''s;' AS \"a;b\"", "SELECT 2"]);
        check(
            "-- one; two\nSELECT 1 /* ; /* ; */ ; */; -- end;",
            &["-- one; two\nSELECT 1 /* ; /* ; */ ; */"],
        );
        check(";; ; -- nothing\n", &[]);
        check("SELECT 'open; ", &["SELECT 'open;"]);
        check("SELECT 'größe;'; /* open ;", &["SELECT 'größe;'"]);
    }

    #[test]
    fn commands_end_with_their_line() {
        let text = "\\d spans\n-- c\n\\x\nSELECT '\n\\d';\n\\timing";
        let pieces = statements(text);
        assert_eq!(pieces, ["\\d spans", "-- c\n\\x", "SELECT '\n\\d'", "\\timing"]);
        let commands = pieces.iter().filter_map(|piece| command_of(piece)).collect::<Vec<_>>();
        assert_eq!(commands, ["\\d spans", "\\x", "\\timing"]);
    }

    #[test]
    fn a_statement_is_complete_at_its_semicolon() {
        let check = |text: &str, want: bool| assert_eq!(is_complete(text), want, "{text}");
        check("SELECT 1;", true);
        check("SELECT 1; -- done", true);
        check("SELECT 1;\nSELECT", false);
        check("SELECT ';", false);
        check("SELECT 1 -- ;", false);
        check("", false);
    }
}
