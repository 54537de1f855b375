//! The functions of templates: names, how many arguments they take, and what they do.
//!
//! Those of Go's templates, those that Loki adds, and their older names.

mod texts;
mod numbers;
mod times;
mod logic;

use super::scope::{BYTES_MAX, Scope};
use super::value::Value;

/// What a function does: arguments as many as it takes.
type Work = fn(&[Value], &dyn Scope) -> Result<Value, String>;

/// One function.
#[derive(Debug, Clone, Copy)]
pub struct Function(&'static Entry);

#[derive(Debug)]
struct Entry {
    name: &'static str,
    least: usize,
    most: usize,
    work: Work,
}

/// Any number of arguments.
const MANY: usize = usize::MAX;

const fn entry(name: &'static str, (least, most): (usize, usize), work: Work) -> Entry {
    Entry { name, least, most, work }
}

impl Function {
    pub fn named(name: &str) -> Option<Function> {
        let tables = [texts::TABLE, numbers::TABLE, times::TABLE, logic::TABLE];
        tables.into_iter().flatten().find(|entry| entry.name == name).map(Function)
    }
}

/// # Errors
/// For a wrong number of arguments, for what the function cannot do, and for a result that is too large.
pub fn call(function: Function, arguments: &[Value], scope: &dyn Scope) -> Result<Value, String> {
    let Entry { name, least, most, work } = *function.0;
    if arguments.len() < least || arguments.len() > most {
        let count = arguments.len();
        return Err(format!("wrong number of args for {name}: want {least} got {count}"));
    }
    let value = work(arguments, scope).map_err(|message| format!("error calling {name}: {message}"))?;
    match &value {
        Value::Text(text) if text.len() > BYTES_MAX => {
            Err(format!("{name} makes more than {BYTES_MAX} bytes"))
        }
        _ => Ok(value),
    }
}
