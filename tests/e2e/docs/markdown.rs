//! What a page of documentation asks its reader to type, and where it sends them.

/// A fenced block.
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    /// Line of the page on which the fence opens, from 1.
    pub line: usize,
    /// What stands behind the fence that opens it.
    pub info: String,
    pub text: String,
}

/// All fenced blocks, in order; those in lists are indented, and so are their lines.
pub fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (at, line) in page.lines().enumerate() {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(info), None) => {
                open = Some(Block { line: at + 1, info: info.trim().to_owned(), text: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks.extend(open);
    blocks
}

/// The page without its blocks, on one line.
pub fn text_of(page: &str) -> String {
    let mut text = String::new();
    let mut is_block = false;
    for line in page.lines() {
        let is_fence = line.trim_start().starts_with("```");
        is_block ^= is_fence;
        if !is_block && !is_fence {
            text.push_str(line);
            text.push(' ');
        }
    }
    text
}

/// Code within a text: what stands between single backticks.
pub fn spans(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Every `127.0.0.1:port` with the path behind it, if any.
pub fn addresses(text: &str) -> Vec<(u16, String)> {
    let after = text.match_indices("127.0.0.1:").map(|(at, host)| &text[at + host.len()..]);
    let addresses = after.filter_map(|rest| {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let path = &rest[digits..];
        let end = path.find(|c: char| !(c.is_alphanumeric() || "/_-.?=&%".contains(c))).unwrap_or(path.len());
        let path = path[..end].trim_end_matches('.');
        Some((
            rest[..digits].parse().ok()?,
            if path.starts_with('/') { path.to_owned() } else { String::new() },
        ))
    });
    addresses.collect()
}

/// Files that links lead to, without what is on another machine.
pub fn links(page: &str) -> Vec<String> {
    let targets =
        page.match_indices("](").filter_map(|(at, start)| page[at + start.len()..].split(')').next());
    let files = targets.map(|target| target.split('#').next().unwrap_or_default());
    files.filter(|file| !file.is_empty() && !file.contains("://")).map(str::to_owned).collect()
}

#[test]
fn links_are_those_to_files() {
    assert_eq!(links("[a](docs/a.md#b) [c](#d) [e](https://e.example) ![f](f.png)"), ["docs/a.md", "f.png"]);
}

#[test]
fn blocks_keep_their_line_and_info() {
    let page = "a\n```sql\nSELECT 1\n```\nb\n  ```\n  x\n  ```\n```sh\nlast";
    let found = blocks(page);
    let block = |line, info: &str, text: &str| Block { line, info: info.to_owned(), text: text.to_owned() };
    assert_eq!(found, [block(2, "sql", "SELECT 1\n"), block(6, "", "  x\n"), block(9, "sh", "last\n")]);
}

#[test]
fn spans_are_those_of_the_text() {
    let page = "run `a b`\n```\n`no`\n```\nand `c\nd`, `e`";
    assert_eq!(spans(&text_of(page)), ["a b", "c d", "e"]);
}

#[test]
fn addresses_keep_their_path() {
    let page = "<http://127.0.0.1:7070/>, http://127.0.0.1:4318/v1/traces, 127.0.0.1:4317. http://127.0.0.1:7071/readyz.";
    let found = addresses(page);
    let found: Vec<_> = found.iter().map(|(port, path)| (*port, path.as_str())).collect();
    assert_eq!(found, [(7070, "/"), (4318, "/v1/traces"), (4317, ""), (7071, "/readyz")]);
}
