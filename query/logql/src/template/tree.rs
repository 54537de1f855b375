//! The tree of a template.

use super::functions::Function;
use super::value::Value;

#[derive(Debug, Clone)]
pub enum Node {
    Text(String),
    Print(Pipe),
    Set {
        variable: String,
        pipe: Pipe,
    },
    /// Goes on with the next item of the innermost range, or ends it.
    Continue,
    Break,
    /// The first branch whose value is no zero; `with` moves the dot to it.
    Choose {
        moves_dot: bool,
        branches: Vec<(Pipe, Vec<Node>)>,
        otherwise: Vec<Node>,
    },
    Range {
        variables: Vec<String>,
        pipe: Pipe,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
}

/// Commands, each given the value of the one before as its last argument.
#[derive(Debug, Clone)]
pub struct Pipe(pub Vec<Command>);

/// A function with arguments, or one term that is a value.
#[derive(Debug, Clone)]
pub struct Command {
    pub function: Option<Function>,
    pub terms: Vec<Term>,
}

#[derive(Debug, Clone)]
pub enum Term {
    Literal(Value),
    /// The dot, and fields of it.
    Dot(Vec<String>),
    Variable(String, Vec<String>),
    Pipe(Pipe, Vec<String>),
    /// A function without arguments, among arguments.
    Call(Function),
}
