//! Templates run over one line and its labels.

use super::functions::call;
use super::scope::{BYTES_MAX, Scope};
use super::tree::{Branch, Command, Node, Pipe, Term, Tree};
use super::value::Value;

/// Nodes that one line may take; a loop over a large list is what takes them. Guess, not measured.
const STEPS_MAX: usize = 100_000;

/// Lists of nodes inside one another, those of called templates counted: each takes some kilobytes of stack. Guess, not measured.
const DEPTH_MAX: usize = 200;

/// What nothing is printed as; as an argument it is `<nil>`.
const NO_VALUE: &str = "<no value>";

/// # Errors
/// What is wrong.
pub(super) fn render(tree: &Tree, scope: &dyn Scope) -> Result<String, String> {
    let mut run =
        Run { scope, tree, out: String::new(), root: None, variables: Vec::new(), steps: 0, depth: 0 };
    run.nodes(&tree.nodes, None)?;
    Ok(run.out)
}

/// Where it goes on behind a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Node,
    Item,
    BehindRange,
}

struct Run<'s> {
    scope: &'s dyn Scope,
    tree: &'s Tree,
    out: String,
    /// What `$` is: the dot that a called template began with; none for all labels.
    root: Option<Value>,
    /// The innermost last.
    variables: Vec<(String, Value)>,
    steps: usize,
    depth: usize,
}

impl Run<'_> {
    /// With the dot, or with all labels for it.
    fn nodes(&mut self, nodes: &[Node], dot: Option<&Value>) -> Result<Next, String> {
        if self.depth == DEPTH_MAX {
            return Err(format!("it goes deeper than {DEPTH_MAX} levels"));
        }
        self.depth += 1;
        let outer = self.variables.len();
        let mut next = Next::Node;
        for node in nodes {
            self.step()?;
            match node {
                Node::Text(text) => self.push(text)?,
                Node::Print(pipe) => {
                    let value = self.pipe(pipe, dot)?;
                    let text = if value == Value::Nil { NO_VALUE.to_owned() } else { value.text() };
                    self.push(&text)?;
                }
                Node::Set { variable, is_new, pipe } => {
                    let value = self.pipe(pipe, dot)?;
                    let mut known = self.variables.iter_mut().rev();
                    match known.find(|(known, _)| known == variable && !is_new) {
                        Some((_, known)) => *known = value,
                        None => self.variables.push((variable.clone(), value)),
                    }
                }
                Node::Call { name, dot: given } => self.call(name, given.as_ref(), dot)?,
                Node::Choose { moves_dot, branches, otherwise } => {
                    next = self.choose(*moves_dot, branches, otherwise, dot)?;
                }
                Node::Range { variables, pipe, body, otherwise } => {
                    let over = self.pipe(pipe, dot)?;
                    next = self.range(variables, &over, body, otherwise, dot)?;
                }
                Node::Continue => next = Next::Item,
                Node::Break => next = Next::BehindRange,
            }
            if next != Next::Node {
                break;
            }
        }
        self.variables.truncate(outer);
        self.depth -= 1;
        Ok(next)
    }

    /// Runs a defined template: with the dot that it is given, and with no variables of this one.
    fn call(&mut self, name: &str, given: Option<&Pipe>, dot: Option<&Value>) -> Result<(), String> {
        let tree = self.tree;
        let body = tree.defined.get(name).ok_or_else(|| format!("template {name:?} not defined"))?;
        let given = given.map_or(Ok(Value::Nil), |pipe| self.pipe(pipe, dot))?;
        let variables = std::mem::take(&mut self.variables);
        let root = self.root.replace(given.clone());
        self.nodes(body, Some(&given))?;
        (self.variables, self.root) = (variables, root);
        Ok(())
    }

    fn step(&mut self) -> Result<(), String> {
        self.steps += 1;
        if self.steps > STEPS_MAX { Err(format!("it takes more than {STEPS_MAX} steps")) } else { Ok(()) }
    }

    fn push(&mut self, text: &str) -> Result<(), String> {
        if self.out.len() + text.len() > BYTES_MAX {
            return Err(format!("it makes more than {BYTES_MAX} bytes"));
        }
        self.out.push_str(text);
        Ok(())
    }

    fn choose(
        &mut self,
        moves_dot: bool,
        branches: &[Branch],
        otherwise: &[Node],
        dot: Option<&Value>,
    ) -> Result<Next, String> {
        let outer = self.variables.len();
        let mut chosen = (otherwise, None);
        for Branch { variable, condition, body } in branches {
            let value = self.pipe(condition, dot)?;
            self.variables.extend(variable.clone().map(|variable| (variable, value.clone())));
            if value.is_true() {
                chosen = (body, Some(value).filter(|_| moves_dot));
                break;
            }
        }
        let next = self.nodes(chosen.0, chosen.1.as_ref().or(dot));
        self.variables.truncate(outer);
        next
    }

    fn range(
        &mut self,
        variables: &[String],
        over: &Value,
        body: &[Node],
        otherwise: &[Node],
        dot: Option<&Value>,
    ) -> Result<Next, String> {
        let items: Vec<(Value, Value)> = match over {
            Value::List(list) => {
                list.iter().enumerate().map(|(at, item)| (Value::Integer(at as i64), item.clone())).collect()
            }
            Value::Map(map) => {
                map.iter().map(|(key, item)| (Value::Text(key.clone()), item.clone())).collect()
            }
            Value::Labels(labels) => labels
                .iter()
                .map(|(name, value)| (Value::Text(name.clone()), Value::Text(value.clone())))
                .collect(),
            Value::Nil => Vec::new(),
            other => return Err(format!("range can't iterate over {}", other.text())),
        };
        if items.is_empty() {
            return self.nodes(otherwise, dot);
        }
        let outer = self.variables.len();
        for (key, item) in items {
            self.step()?;
            match variables {
                [item_name] => self.variables.push((item_name.clone(), item.clone())),
                [key_name, item_name] => {
                    self.variables.push((key_name.clone(), key));
                    self.variables.push((item_name.clone(), item.clone()));
                }
                _ => {}
            }
            let next = self.nodes(body, Some(&item))?;
            self.variables.truncate(outer);
            if next == Next::BehindRange {
                break;
            }
        }
        Ok(Next::Node)
    }

    fn pipe(&mut self, pipe: &Pipe, dot: Option<&Value>) -> Result<Value, String> {
        let mut value = None;
        for command in &pipe.0 {
            value = Some(self.command(command, dot, value)?);
        }
        Ok(value.unwrap_or(Value::Nil))
    }

    fn command(
        &mut self,
        command: &Command,
        dot: Option<&Value>,
        piped: Option<Value>,
    ) -> Result<Value, String> {
        self.step()?;
        let mut arguments = Vec::with_capacity(command.terms.len() + 1);
        for term in &command.terms {
            arguments.push(self.term(term, dot)?);
        }
        let Some(function) = command.function else {
            return match piped {
                Some(_) => Err("non executable command in pipeline".to_owned()),
                None => Ok(arguments.pop().unwrap_or(Value::Nil)),
            };
        };
        arguments.extend(piped);
        call(function, &arguments, self.scope)
    }

    fn term(&mut self, term: &Term, dot: Option<&Value>) -> Result<Value, String> {
        let (value, fields) = match term {
            Term::Literal(value) => return Ok(value.clone()),
            Term::Call(function) => return call(*function, &[], self.scope),
            Term::Dot(fields) => match (dot, fields.split_first()) {
                (Some(value), _) => (value.clone(), fields.as_slice()),
                (None, Some((label, rest))) => (Value::Text(self.scope.label(label)), rest),
                (None, None) => return Ok(Value::Labels(self.scope.labels())),
            },
            Term::Variable(name, fields) if name.is_empty() => match (&self.root, fields.split_first()) {
                (Some(root), _) => (root.clone(), fields.as_slice()),
                (None, Some((label, rest))) => (Value::Text(self.scope.label(label)), rest),
                (None, None) => return Ok(Value::Labels(self.scope.labels())),
            },
            Term::Variable(name, fields) => {
                let known = self.variables.iter().rev().find(|(known, _)| known == name);
                let (_, value) = known.ok_or_else(|| format!("undefined variable: ${name}"))?;
                (value.clone(), fields.as_slice())
            }
            Term::Pipe(pipe, fields) => (self.pipe(pipe, dot)?, fields.as_slice()),
        };
        fields.iter().try_fold(value, |value, field| value.field(field))
    }
}
