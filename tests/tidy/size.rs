//! How long a file and a function may be. What does not fit hides something.
//!
//! Clippy counts the lines of functions as well (`too_many_lines`), but not of those that a macro has rewritten,
//! as `#[tokio::test]` and `#[async_trait]` do.

use crate::code::{block_end, code_of, is_name_char, name_at_start, without_tests};

/// Lines of a file without its test modules. Longer files are two files.
const FILE_LINES_MAX: usize = 400;

/// Lines of a function with code on them, as clippy counts them: a screen.
const FUNCTION_LINES_MAX: usize = 70;

pub fn too_long(text: &str) -> Vec<String> {
    let lines = without_tests(&code_of(text)).lines().count();
    let complaint = format!("{lines} lines without tests, the ceiling is {FILE_LINES_MAX}");
    Some(complaint).filter(|_| lines > FILE_LINES_MAX).into_iter().collect()
}

pub fn long_functions(text: &str) -> Vec<String> {
    let code = code_of(text);
    let functions = functions(&code).into_iter();
    let long = functions.filter(|(_, lines)| *lines > FUNCTION_LINES_MAX);
    long.map(|(name, lines)| format!("fn {name} has {lines} lines, the ceiling is {FUNCTION_LINES_MAX}"))
        .collect()
}

/// Names and lines of all functions that have a body.
fn functions(code: &str) -> Vec<(&str, usize)> {
    let starts = code.match_indices("fn ").filter(|(at, _)| !code[..*at].ends_with(is_name_char));
    let functions = starts.filter_map(|(at, keyword)| {
        let name = name_at_start(&code[at + keyword.len()..]);
        let open = body_start(code, at)?;
        let body = &code[open + 1..block_end(code, open)? - 1];
        let lines = body.lines().filter(|line| !line.trim().is_empty()).count();
        (!name.is_empty()).then_some((name, lines))
    });
    functions.collect()
}

/// The brace that opens the body of the function declared at `at`; a trait may leave it out.
fn body_start(code: &str, at: usize) -> Option<usize> {
    let mut depth = 0;
    for (offset, c) in code[at..].char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '{' if depth == 0 => return Some(at + offset),
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

#[test]
fn a_file_that_is_too_long_is_found() {
    let lines = |n: usize| "x\n".repeat(n);
    assert_eq!(too_long(&lines(FILE_LINES_MAX)), Vec::<String>::new());
    assert_eq!(too_long(&lines(FILE_LINES_MAX + 1)), ["401 lines without tests, the ceiling is 400"]);
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", lines(500));
    assert_eq!(
        too_long(&(tests.clone() + &lines(FILE_LINES_MAX))),
        Vec::<String>::new(),
        "tests do not count"
    );
    assert_eq!(too_long(&(tests + &lines(FILE_LINES_MAX + 1))).len(), 1, "what stands below them does");
}

#[test]
fn a_function_that_is_too_long_is_found() {
    let function =
        |n: usize| format!("async fn f(a: [u8; 3]) -> T\nwhere A: B,\n{{\n{}}}\n", "x;\n".repeat(n));
    assert_eq!(long_functions(&function(FUNCTION_LINES_MAX)), Vec::<String>::new());
    let long = function(FUNCTION_LINES_MAX + 1);
    assert_eq!(long_functions(&long), ["fn f has 71 lines, the ceiling is 70"]);
    let in_tests = format!("#[cfg(test)]\nmod tests {{\n#[tokio::test]\n{long}}}\n");
    assert_eq!(long_functions(&in_tests).len(), 1, "tests are read as well");
    let with_comments = function(FUNCTION_LINES_MAX).replacen("x;", "x;\n// why\n\n", 5);
    assert_eq!(long_functions(&with_comments), Vec::<String>::new(), "comments explain, they do not count");
}

#[test]
fn functions_are_told_from_what_looks_like_one() {
    assert_eq!(functions("trait T { fn a(&self) -> u8; fn b() { 1 } }"), [("b", 1)]);
    assert_eq!(functions("type F = fn (u8); fn c(f: fn (u8)) {\n1;\n2\n}"), [("c", 2)]);
    assert_eq!(functions("fn outer() {\nfn inner() { }\n}"), [("outer", 1), ("inner", 0)]);
}
