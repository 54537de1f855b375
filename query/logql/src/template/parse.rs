//! The text of a template into its tree, and into those of the templates that it defines.

use std::collections::BTreeMap;

use super::pieces::{Piece, pieces};
use super::pipes::{DEPTH_MAX, Pipes};
use super::tree::{Branch, Node, Tree};

/// # Errors
/// What is wrong.
pub fn parse(text: &str) -> Result<Tree, String> {
    let mut parser = Parser { pieces: pieces(text)?, ..Parser::default() };
    let (nodes, end) = parser.nodes()?;
    match end {
        End::Text => Ok(Tree { nodes, defined: parser.defined }),
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

#[derive(Default)]
struct Parser<'t> {
    pieces: Vec<Piece<'t>>,
    at: usize,
    depth: usize,
    /// Bodies of ranges that it is in.
    ranges: usize,
    /// Variables that are there, the innermost last.
    variables: Vec<String>,
    defined: BTreeMap<String, Vec<Node>>,
}

impl<'t> Parser<'t> {
    fn nodes(&mut self) -> Result<(Vec<Node>, End<'t>), String> {
        if self.depth == DEPTH_MAX {
            return Err(format!("it is nested deeper than {DEPTH_MAX} levels"));
        }
        self.depth += 1;
        let outer = self.variables.len();
        let mut nodes = Vec::new();
        let end = loop {
            let Some(piece) = self.pieces.get(self.at) else { break End::Text };
            self.at += 1;
            match *piece {
                Piece::Text("") => {}
                Piece::Text(text) => nodes.push(Node::Text(text.to_owned())),
                Piece::Action(action) if action.starts_with("/*") => {}
                Piece::Action(action) => match word(action) {
                    ("end", "") => break End::Close,
                    ("end", behind) => return Err(format!("unexpected {behind:?} in end")),
                    ("else", behind) => break End::Else(behind),
                    ("define", name) => self.define(name)?,
                    (word, behind) => nodes.push(self.node(action, word, behind)?),
                },
            }
        };
        self.variables.truncate(outer);
        self.depth -= 1;
        Ok((nodes, end))
    }

    fn node(&mut self, action: &'t str, word: &str, behind: &'t str) -> Result<Node, String> {
        match word {
            "if" => self.choose(false, behind),
            "with" => self.choose(true, behind),
            "range" => self.range(behind),
            "template" => self.template(behind),
            "block" => self.block(behind),
            "break" | "continue" if self.ranges == 0 => Err(format!("{{{{{word}}}}} outside {{{{range}}}}")),
            "break" => Ok(Node::Break),
            "continue" => Ok(Node::Continue),
            _ => self.print_or_set(action),
        }
    }

    fn pipes<'p>(&'p self, text: &'p str) -> Pipes<'p> {
        Pipes::new(text, &self.variables)
    }

    fn choose(&mut self, moves_dot: bool, condition: &'t str) -> Result<Node, String> {
        let mut branches = Vec::new();
        let mut condition = condition;
        let own = if moves_dot { "with" } else { "if" };
        let outer = self.variables.len();
        let otherwise = loop {
            let (variable, pipe) = match set(condition) {
                Some((name, true, behind)) => (Some(variable(name)?), behind),
                _ => (None, condition),
            };
            let condition_pipe = self.pipes(pipe).whole()?;
            self.variables.extend(variable.clone());
            let (body, end) = self.nodes()?;
            branches.push(Branch { variable, condition: condition_pipe, body });
            match end {
                End::Close => break Vec::new(),
                End::Text => return Err(format!("{{{{{own}}}}} without its {{{{end}}}}")),
                End::Else("") => break self.last()?,
                End::Else(behind) => match word(behind) {
                    (again, behind) if again == own => condition = behind,
                    _ => return Err(format!("unexpected {behind:?} behind else")),
                },
            }
        };
        self.variables.truncate(outer);
        Ok(Node::Choose { moves_dot, branches, otherwise })
    }

    /// What stands behind an `else`, up to the end.
    fn last(&mut self) -> Result<Vec<Node>, String> {
        match self.nodes()? {
            (nodes, End::Close) => Ok(nodes),
            _ => Err("an {{else}} without its {{end}}".to_owned()),
        }
    }

    fn range(&mut self, over: &str) -> Result<Node, String> {
        let (variables, over) = match set(over) {
            Some((names, true, over)) => {
                let names = names.split(',').map(variable).collect::<Result<Vec<_>, _>>()?;
                (names, over)
            }
            _ => (Vec::new(), over),
        };
        if variables.len() > 2 {
            return Err("range has at most two variables".to_owned());
        }
        let pipe = self.pipes(over).whole()?;
        let outer = self.variables.len();
        self.variables.extend(variables.iter().cloned());
        self.ranges += 1;
        let (body, end) = self.nodes()?;
        self.ranges -= 1;
        let otherwise = match end {
            End::Close => Vec::new(),
            End::Else("") => self.last()?,
            _ => return Err("{{range}} without its {{end}}".to_owned()),
        };
        self.variables.truncate(outer);
        Ok(Node::Range { variables, pipe, body, otherwise })
    }

    /// A template by that name, which is no part of the one that it stands in.
    fn define(&mut self, name: &str) -> Result<(), String> {
        if self.depth > 1 {
            return Err("unexpected <define> in command".to_owned());
        }
        let mut pipes = self.pipes(name);
        let name = pipes.name("define")?;
        pipes.end()?;
        self.body(name, "define")
    }

    /// A template that is defined where it is called first.
    fn block(&mut self, called: &str) -> Result<Node, String> {
        let mut pipes = self.pipes(called);
        let name = pipes.name("block")?;
        let dot = pipes.behind()?.ok_or("missing value for block clause")?;
        self.body(name.clone(), "block")?;
        Ok(Node::Call { name, dot: Some(dot) })
    }

    fn template(&mut self, called: &str) -> Result<Node, String> {
        let mut pipes = self.pipes(called);
        let name = pipes.name("template")?;
        let dot = pipes.behind()?;
        Ok(Node::Call { name, dot })
    }

    /// Keeps what stands up to the end under that name. It knows no variables and no range from around it; of two by one name
    /// what is not blank counts.
    fn body(&mut self, name: String, clause: &str) -> Result<(), String> {
        let (variables, ranges) = (std::mem::take(&mut self.variables), std::mem::take(&mut self.ranges));
        let (nodes, end) = self.nodes()?;
        (self.variables, self.ranges) = (variables, ranges);
        match end {
            End::Close => {}
            End::Text => return Err("unexpected EOF".to_owned()),
            End::Else(_) => return Err(format!("unexpected {{{{else}}}} in {clause} clause")),
        }
        let known = self.defined.get(&name).is_some_and(|known| !is_blank(known));
        match (known, is_blank(&nodes)) {
            (true, false) => return Err(format!("template: multiple definition of template {name:?}")),
            (true, true) => {}
            (false, _) => drop(self.defined.insert(name, nodes)),
        }
        Ok(())
    }

    fn print_or_set(&mut self, action: &str) -> Result<Node, String> {
        let Some((name, is_new, value)) = set(action) else {
            return self.pipes(action).whole().map(Node::Print);
        };
        let (variable, pipe) = (variable(name)?, self.pipes(value).whole()?);
        if is_new {
            self.variables.push(variable.clone());
        } else if !self.variables.contains(&variable) {
            return Err(format!("undefined variable \"${variable}\""));
        }
        Ok(Node::Set { variable, is_new, pipe })
    }
}

/// The word that an action begins with, and what is behind it.
fn word(action: &str) -> (&str, &str) {
    let end = action.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(action.len());
    (&action[..end], action[end..].trim())
}

/// Names of variables that are set, whether they are new, and to what.
fn set(text: &str) -> Option<(&str, bool, &str)> {
    let (names, value) = text.split_once('=').filter(|(names, _)| names.starts_with('$'))?;
    let is_new = names.ends_with(':');
    let names = names.strip_suffix(':').unwrap_or(names);
    let are_names = names.chars().all(|c| c.is_alphanumeric() || c.is_whitespace() || "$_,".contains(c));
    are_names.then_some((names, is_new, value))
}

fn variable(text: &str) -> Result<String, String> {
    let text = text.trim();
    let name = text.strip_prefix('$').unwrap_or_default();
    let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_');
    if is_name && text.starts_with('$') {
        Ok(name.to_owned())
    } else {
        Err(format!("{text:?} is no variable"))
    }
}

/// Whether nodes print nothing but white space.
fn is_blank(nodes: &[Node]) -> bool {
    nodes.iter().all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
}
