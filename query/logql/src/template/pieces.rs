//! The text of a template into what is copied and what stands in braces.

pub enum Piece<'t> {
    Text(&'t str),
    Action(&'t str),
}

/// Texts, and what stands in braces; a dash inside of a brace takes the white space outside of it away.
///
/// # Errors
/// For braces that are not closed.
pub fn pieces(text: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut trims_left = false;
    loop {
        let open = rest.find("{{");
        let mut literal = &rest[..open.unwrap_or(rest.len())];
        if trims_left {
            literal = literal.trim_start();
        }
        let Some(open) = open else {
            pieces.push(Piece::Text(literal));
            return Ok(pieces);
        };
        let mut inside = &rest[open + 2..];
        if inside.starts_with('-') && inside[1..].starts_with(char::is_whitespace) {
            literal = literal.trim_end();
            inside = &inside[1..];
        }
        pieces.push(Piece::Text(literal));
        let end = action_end(inside).ok_or("unclosed action")?;
        let mut action = &inside[..end];
        trims_left = action.ends_with('-') && action[..action.len() - 1].ends_with(char::is_whitespace);
        if trims_left {
            action = &action[..action.len() - 1];
        }
        pieces.push(Piece::Action(action.trim()));
        rest = &inside[end + 2..];
    }
}

/// Where the braces close: not in a quote, nor in a comment.
fn action_end(inside: &str) -> Option<usize> {
    if let Some(comment) = inside.trim_start().strip_prefix("/*") {
        let before = inside.len() - comment.len();
        let end = before + comment.find("*/")? + 2;
        return inside[end..].find("}}").map(|at| end + at);
    }
    let mut quote = None;
    let mut is_escaped = false;
    for (at, c) in inside.char_indices() {
        match quote {
            None if inside[at..].starts_with("}}") => return Some(at),
            None if matches!(c, '"' | '`') => quote = Some(c),
            Some(open) if c == open && !is_escaped => quote = None,
            _ => {}
        }
        is_escaped = c == '\\' && quote == Some('"') && !is_escaped;
    }
    None
}
