//! The text of a template into its tree.

use super::functions::Function;
use super::tree::{Command, Node, Pipe, Term};
use super::value::Value;
use meshlake_traceql::lex::unquoted;

/// `if`, `with`, `range` and parentheses inside one another.
const DEPTH_MAX: usize = 32;

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

enum Piece<'t> {
    Text(&'t str),
    Action(&'t str),
}

/// Texts, and what stands in braces; a dash inside of a brace takes the white space outside of it away.
fn pieces(text: &str) -> Result<Vec<Piece<'_>>, String> {
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

/// A whole text as a pipe.
fn pipe(text: &str) -> Result<Pipe, String> {
    let mut terms = Terms { text, at: 0, depth: 0 };
    let pipe = terms.pipe()?;
    terms.space();
    if terms.rest().is_empty() { Ok(pipe) } else { Err(format!("unexpected {:?}", terms.rest())) }
}

struct Terms<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl<'t> Terms<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn pipe(&mut self) -> Result<Pipe, String> {
        if self.depth == DEPTH_MAX {
            return Err(format!("it is nested deeper than {DEPTH_MAX} levels"));
        }
        self.depth += 1;
        let mut commands = vec![self.command()?];
        while self.rest().starts_with('|') {
            self.at += 1;
            commands.push(self.command()?);
        }
        self.depth -= 1;
        Ok(Pipe(commands))
    }

    /// Up to a bar, a closing parenthesis or the end.
    fn command(&mut self) -> Result<Command, String> {
        let mut terms = Vec::new();
        loop {
            self.space();
            if self.rest().is_empty() || self.rest().starts_with(['|', ')']) {
                break;
            }
            terms.push(self.term()?);
        }
        match terms.first() {
            None => Err("missing value for command".to_owned()),
            Some(Term::Call(function)) => {
                let function = Some(*function);
                terms.remove(0);
                Ok(Command { function, terms })
            }
            Some(_) if terms.len() > 1 => Err("can't give argument to non-function".to_owned()),
            Some(_) => Ok(Command { function: None, terms }),
        }
    }

    fn term(&mut self) -> Result<Term, String> {
        let rest = self.rest();
        let first = rest.chars().next().ok_or("missing value")?;
        match first {
            '"' | '`' => self.text_term(first),
            '\'' => self.character_term(),
            '(' => {
                self.at += 1;
                let pipe = self.pipe()?;
                if !self.rest().starts_with(')') {
                    return Err("unclosed left paren".to_owned());
                }
                self.at += 1;
                Ok(Term::Pipe(pipe, self.fields()?))
            }
            '.' if !rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                if !rest[1..].starts_with(|c: char| c.is_alphanumeric() || c == '_') {
                    self.at += 1;
                    return Ok(Term::Dot(Vec::new()));
                }
                self.fields().map(Term::Dot)
            }
            '$' => {
                self.at += 1;
                let name = self.name().to_owned();
                Ok(Term::Variable(name, self.fields()?))
            }
            c if c.is_ascii_digit() || matches!(c, '-' | '+' | '.') => self.number_term(),
            c if c.is_alphabetic() || c == '_' => {
                let name = self.name();
                Ok(match name {
                    "true" => Term::Literal(Value::Boolean(true)),
                    "false" => Term::Literal(Value::Boolean(false)),
                    "nil" => Term::Literal(Value::Nil),
                    name => {
                        Term::Call(Function::named(name).ok_or(format!("function {name:?} not defined"))?)
                    }
                })
            }
            c => Err(format!("unexpected {c:?} in command")),
        }
    }

    fn name(&mut self) -> &'t str {
        let rest = self.rest();
        let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn fields(&mut self) -> Result<Vec<String>, String> {
        let mut fields = Vec::new();
        while self.rest().starts_with('.') {
            self.at += 1;
            let name = self.name();
            if name.is_empty() {
                return Err("a field's name is missing behind the dot".to_owned());
            }
            fields.push(name.to_owned());
        }
        Ok(fields)
    }

    fn text_term(&mut self, quote: char) -> Result<Term, String> {
        let rest = self.rest();
        let mut is_escaped = false;
        for (at, c) in rest.char_indices().skip(1) {
            if c == quote && !is_escaped {
                self.at += at + 1;
                return unquoted(&rest[..=at]).map(|text| Term::Literal(Value::Text(text)));
            }
            is_escaped = c == '\\' && quote == '"' && !is_escaped;
        }
        Err("unterminated quoted string".to_owned())
    }

    fn number_term(&mut self) -> Result<Term, String> {
        let rest = self.rest();
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-' | '_');
        let word = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
        self.at += word.len();
        let plain = word.replace('_', "");
        let number = integer(&plain).map(Value::Integer).or_else(|| plain.parse().ok().map(Value::Float));
        number.map(Term::Literal).ok_or_else(|| format!("bad number syntax: {word:?}"))
    }

    /// A character stands for its code.
    fn character_term(&mut self) -> Result<Term, String> {
        let rest = self.rest();
        let inner = &rest[1..];
        let skipped = if inner.starts_with('\\') { 2 } else { 1 };
        let end = inner.char_indices().skip(skipped).find(|(_, c)| *c == '\'').map(|(at, _)| at);
        let end = end.ok_or("unterminated character constant")?;
        self.at += end + 2;
        let text = match &inner[..end] {
            "\\'" => "'".to_owned(),
            "\"" => "\"".to_owned(),
            inner => unquoted(&format!("\"{inner}\""))?,
        };
        match text.chars().collect::<Vec<_>>().as_slice() {
            [c] => Ok(Term::Literal(Value::Integer(i64::from(u32::from(*c))))),
            _ => Err(format!("malformed character constant: {:?}", &rest[..end + 2])),
        }
    }
}

/// A whole number as Go writes them: with a sign, in base 2, 8, 10 or 16.
fn integer(word: &str) -> Option<i64> {
    let (sign, digits) = match word.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", word.strip_prefix('+').unwrap_or(word)),
    };
    let prefixes = [("0x", 16), ("0X", 16), ("0b", 2), ("0B", 2), ("0o", 8), ("0O", 8)];
    let prefixed = prefixes.into_iter().find_map(|(prefix, base)| Some((digits.strip_prefix(prefix)?, base)));
    let octal = || digits.strip_prefix('0').filter(|digits| !digits.is_empty()).map(|digits| (digits, 8));
    let (digits, base) = prefixed.or_else(octal).unwrap_or((digits, 10));
    i64::from_str_radix(&format!("{sign}{digits}"), base).ok()
}
