//! What of a Rust file is code: comments, the contents of literals and test modules are taken out.
//!
//! A parser of Rust would know more, and would take longer to build than all rules together take to run. The
//! rules need no more than that a brace is a brace and a name is a name.

/// `text` with comments made blank and the contents of literals made `_`; each line stays a line.
pub fn code_of(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = comment_end(&chars, at).map(|end| (end, ' '));
        let end = end.or_else(|| literal_end(&chars, at).map(|end| (end, '_')));
        match end {
            Some((end, filler)) => {
                code.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { filler }));
                at = end;
            }
            None => {
                code.push(chars[at]);
                at += 1;
            }
        }
    }
    code
}

fn comment_end(chars: &[char], at: usize) -> Option<usize> {
    let starts = |at: usize, pair: [char; 2]| chars.get(at..at + 2) == Some(&pair);
    if starts(at, ['/', '/']) {
        return Some((at..chars.len()).find(|i| chars[*i] == '\n').unwrap_or(chars.len()));
    }
    if !starts(at, ['/', '*']) {
        return None;
    }
    let (mut depth, mut i) = (0, at);
    while i < chars.len() {
        if starts(i, ['/', '*']) {
            depth += 1;
            i += 2;
        } else if starts(i, ['*', '/']) {
            depth -= 1;
            i += 2;
            if depth == 0 {
                return Some(i);
            }
        } else {
            i += 1;
        }
    }
    Some(chars.len())
}

/// The end of a string or of a character; a lifetime is none.
fn literal_end(chars: &[char], at: usize) -> Option<usize> {
    let after_escapes = |quote: char, mut i: usize| {
        while i < chars.len() && chars[i] != quote {
            i += if chars[i] == '\\' { 2 } else { 1 };
        }
        (i + 1).min(chars.len())
    };
    match chars[at] {
        '"' => Some(after_escapes('"', at + 1)),
        '\'' if chars.get(at + 1) == Some(&'\\') => Some(after_escapes('\'', at + 1)),
        '\'' if chars.get(at + 2) == Some(&'\'') => Some(at + 3),
        'r' if at == 0 || !is_name_char(chars[at - 1]) || matches!(chars[at - 1], 'b' | 'c') => {
            let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
            let open = at + 1 + hashes;
            let closes = |i: &usize| {
                chars[*i] == '"'
                    && chars[i + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
            };
            let is_raw = chars.get(open) == Some(&'"');
            is_raw.then(|| (open + 1..chars.len()).find(closes).map_or(chars.len(), |i| i + 1 + hashes))
        }
        _ => None,
    }
}

pub fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The first name of `text`, which may be empty.
pub fn name_at_start(text: &str) -> &str {
    &text[..text.find(|c| !is_name_char(c)).unwrap_or(text.len())]
}

/// What a test module starts with.
pub const TEST_ATTRIBUTE: &str = "#[cfg(test)]";

/// Code without its test modules, wherever they stand: from their attribute to their own closing brace.
pub fn without_tests(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(start) = rest.find(TEST_ATTRIBUTE) {
        let after = start + TEST_ATTRIBUTE.len();
        let end = module_body(&rest[after..]).map(|body| after + body).and_then(|open| block_end(rest, open));
        match end {
            Some(end) => {
                kept.push_str(&rest[..start]);
                rest = rest[end..].strip_prefix('\n').unwrap_or(&rest[end..]);
            }
            None => {
                kept.push_str(&rest[..after]);
                rest = &rest[after..];
            }
        }
    }
    kept + rest
}

/// Where the brace of a module opens that `code` declares next, after further attributes.
fn module_body(code: &str) -> Option<usize> {
    let open = code.find(['{', ';', '}'])?;
    let head = code[..open].rsplit(']').next().unwrap_or_default();
    (code[open..].starts_with('{') && head.split_whitespace().any(|word| word == "mod")).then_some(open)
}

/// The end of the block whose brace opens at `open`.
pub fn block_end(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in code[open..].char_indices() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if depth == 0 {
            return Some(open + at + 1);
        }
    }
    None
}

#[test]
fn comments_and_literals_are_no_code() {
    let check = |text: &str, want: &str| assert_eq!(code_of(text), want, "{text}");
    check("a // b\nc", "a     \nc");
    check("a /* b /* } */ */ c", "a                 c");
    check("f(\"}\\\"{\")", "f(______)");
    check("f(r#\"a\"b\"#)", "f(_________)".replace("_________", "________").as_str());
    check("m('{', '\\'', b'\"')", "m(___, ____, b___)");
    check("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)");
    check("\"a\nb\"", "__\n__");
}

#[test]
fn only_the_test_module_itself_is_cut() {
    let check = |text: &str, want: &str| assert_eq!(without_tests(&code_of(text)), want, "{text}");
    check("a\n#[cfg(test)]\nmod tests {\n  { b }\n}\nc\n", "a\nc\n");
    check("#[cfg(test)]\n#[allow(x)]\npub(crate) mod tests { \"}\" }\nc\n", "c\n");
    check("#[cfg(test)]\nmod tests;\nc\n", "#[cfg(test)]\nmod tests;\nc\n");
    check("#[cfg(test)]\nfn f() { mod }\nc\n", "#[cfg(test)]\nfn f() { mod }\nc\n");
    check("mod a { b }\n", "mod a { b }\n");
}
