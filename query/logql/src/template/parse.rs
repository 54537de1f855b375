//! The text of a template into its tree.

use super::pieces::{Piece, pieces};
use super::pipes::{DEPTH_MAX, pipe};
use super::tree::Node;

/// # Errors
/// What is wrong.
pub fn parse(text: &str) -> Result<Vec<Node>, String> {
    let mut parser = Parser { pieces: pieces(text)?, at: 0, depth: 0, ranges: 0 };
    let (nodes, end) = parser.nodes()?;
    match end {
        End::Text => Ok(nodes),
        End::Close => Err("unexpected {{end}}".to_owned()),
        End::Else(_) => Err("unexpected {{else}}".to_owned()),
    }
}

/// What ended a list of nodes.
enum End<'t> {
    Text,
    Close,
    /// With what stands behind the word.
    Else(&'t str),
}

struct Parser<'t> {
    pieces: Vec<Piece<'t>>,
    at: usize,
    depth: usize,
    /// Bodies of ranges that it is in.
    ranges: usize,
}

impl<'t> Parser<'t> {
    fn nodes(&mut self) -> Result<(Vec<Node>, End<'t>), String> {
        if self.depth == DEPTH_MAX {
            return Err(format!("it is nested deeper than {DEPTH_MAX} levels"));
        }
        self.depth += 1;
        let mut nodes = Vec::new();
        let end = loop {
            let Some(piece) = self.pieces.get(self.at) else { break End::Text };
            self.at += 1;
            let action = match *piece {
                Piece::Text("") => continue,
                Piece::Text(text) => {
                    nodes.push(Node::Text(text.to_owned()));
                    continue;
                }
                Piece::Action(action) => action,
            };
            let (word, behind) = action.split_once(char::is_whitespace).unwrap_or((action, ""));
            match word {
                _ if action.starts_with("/*") => {}
                "end" => break End::Close,
                "else" => break End::Else(behind.trim()),
                "if" => nodes.push(self.choose(false, behind)?),
                "with" => nodes.push(self.choose(true, behind)?),
                "range" => nodes.push(self.range(behind)?),
                "break" | "continue" if self.ranges == 0 => {
                    return Err(format!("{{{{{word}}}}} outside {{{{range}}}}"));
                }
                "break" => nodes.push(Node::Break),
                "continue" => nodes.push(Node::Continue),
                "define" | "template" | "block" => return Err(format!("{word} is not supported")),
                _ => nodes.push(print_or_set(action)?),
            }
        };
        self.depth -= 1;
        Ok((nodes, end))
    }

    fn choose(&mut self, moves_dot: bool, condition: &str) -> Result<Node, String> {
        let mut branches = Vec::new();
        let mut condition = condition;
        let word = if moves_dot { "with" } else { "if" };
        loop {
            let pipe = pipe(condition)?;
            let (body, end) = self.nodes()?;
            branches.push((pipe, body));
            match end {
                End::Close => return Ok(Node::Choose { moves_dot, branches, otherwise: Vec::new() }),
                End::Text => return Err(format!("{{{{{word}}}}} without its {{{{end}}}}")),
                End::Else("") => {
                    let otherwise = self.last()?;
                    return Ok(Node::Choose { moves_dot, branches, otherwise });
                }
                End::Else(behind) => {
                    condition = behind
                        .strip_prefix(word)
                        .ok_or_else(|| format!("unexpected {behind:?} behind else"))?;
                }
            }
        }
    }

    /// What stands behind an `else`, up to the end.
    fn last(&mut self) -> Result<Vec<Node>, String> {
        match self.nodes()? {
            (nodes, End::Close) => Ok(nodes),
            _ => Err("an {{else}} without its {{end}}".to_owned()),
        }
    }

    fn range(&mut self, over: &str) -> Result<Node, String> {
        let (variables, over) = match over.split_once(":=") {
            Some((names, over)) if names.trim_start().starts_with('$') => {
                let names =
                    names.split(',').map(|name| variable(name.trim())).collect::<Result<Vec<_>, _>>()?;
                (names, over)
            }
            _ => (Vec::new(), over),
        };
        if variables.len() > 2 {
            return Err("range has at most two variables".to_owned());
        }
        let pipe = pipe(over)?;
        self.ranges += 1;
        let (body, end) = self.nodes()?;
        self.ranges -= 1;
        let otherwise = match end {
            End::Close => Vec::new(),
            End::Else("") => self.last()?,
            _ => return Err("{{range}} without its {{end}}".to_owned()),
        };
        Ok(Node::Range { variables, pipe, body, otherwise })
    }
}

fn print_or_set(action: &str) -> Result<Node, String> {
    if action.starts_with('$')
        && let Some((name, value)) = action.split_once('=')
        && let name = name.strip_suffix(':').unwrap_or(name).trim()
        && let Ok(variable) = variable(name)
    {
        return Ok(Node::Set { variable, pipe: pipe(value)? });
    }
    pipe(action).map(Node::Print)
}

fn variable(text: &str) -> Result<String, String> {
    let name = text.strip_prefix('$').unwrap_or_default();
    let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_');
    if is_name && text.starts_with('$') {
        Ok(name.to_owned())
    } else {
        Err(format!("{text:?} is no variable"))
    }
}
