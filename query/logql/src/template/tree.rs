//! The tree of a template.

use std::collections::BTreeMap;

use super::functions::Function;
use super::value::Value;

/// A template, and those that it defines, by name.
#[derive(Debug, Clone)]
pub struct Tree {
    pub nodes: Vec<Node>,
    pub defined: BTreeMap<String, Vec<Node>>,
}

#[derive(Debug, Clone)]
pub enum Node {
    Text(String),
    Print(Pipe),
    /// A new variable, or another value of one that is there.
    Set {
        variable: String,
        is_new: bool,
        pipe: Pipe,
    },
    /// Goes on with the next item of the innermost range, or ends it.
    Continue,
    Break,
    /// The first branch whose value is no zero; `with` moves the dot to it.
    Choose {
        moves_dot: bool,
        branches: Vec<Branch>,
        otherwise: Vec<Node>,
    },
    /// A defined template, with the dot that it is given.
    Call {
        name: String,
        dot: Option<Pipe>,
    },
    Range {
        variables: Vec<String>,
        pipe: Pipe,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
}

/// What is done where a condition holds.
#[derive(Debug, Clone)]
pub struct Branch {
    /// What the condition's value is called, here and in the branches behind.
    pub variable: Option<String>,
    pub condition: Pipe,
    pub body: Vec<Node>,
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
