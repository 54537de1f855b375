//! Functions of labels: they know series and no values.

use meshlake_schema::budget::Holding;
use meshlake_schema::go_regex::{Unfit, whole_value_regex_within};

use super::{Columns, Evaluator};
use crate::error::Error;
use crate::labels::{Labels, METRIC_NAME};
use crate::plan::{Plan, Work};
use crate::series::{Grid, Series};

impl Evaluator<'_> {
    /// `label_replace(v, to, replacement, from, regex)`.
    pub(super) fn label_replace(&self, arguments: &[Plan], grid: Grid) -> Columns<'_> {
        let [to, replacement, from, pattern] = [1, 2, 3, 4].map(|at| text(arguments, at));
        let mut held_regex = Holding::new(self.meter.budget());
        let regex = whole_value_regex_within(pattern, &mut held_regex).map_err(|unfit| match unfit {
            Unfit::Spent(spent) => spent.into(),
            Unfit::Wrong(_) => {
                Error::execution(format!("invalid regular expression in label_replace(): {pattern}"))
            }
        })?;
        check_name(to, "destination label name in label_replace()")?;
        let (mut columns, held) = self.columns(&arguments[0], grid)?;
        for column in &mut columns {
            // An expression of megabytes takes a while over a single value.
            self.meter.check_time()?;
            if let Some(captures) = regex.captures(column.labels.get(from)) {
                let mut value = String::new();
                captures.expand(&template(replacement), &mut value);
                relabel(column, to, &value);
            }
        }
        Ok((self.finished(columns)?, held))
    }

    /// `label_join(v, to, separator, from...)`.
    pub(super) fn label_join(&self, arguments: &[Plan], grid: Grid) -> Columns<'_> {
        let (to, separator) = (text(arguments, 1), text(arguments, 2));
        let sources: Vec<&str> = (3..arguments.len()).map(|at| text(arguments, at)).collect();
        for source in &sources {
            check_name(source, "source label name in label_join()")?;
        }
        check_name(to, "destination label name in label_join()")?;
        let (mut columns, held) = self.columns(&arguments[0], grid)?;
        for column in &mut columns {
            let values: Vec<&str> = sources.iter().map(|source| column.labels.get(source)).collect();
            let value = values.join(separator);
            relabel(column, to, &value);
        }
        Ok((self.finished(columns)?, held))
    }
}

/// Sets a label; a metric's name that is set on purpose stays.
fn relabel(column: &mut Series, to: &str, value: &str) {
    let labels: Labels = column.labels.with(to, value);
    column.labels = labels;
    column.drops_name &= to != METRIC_NAME;
}

/// The text of an argument; only literals can stand there.
pub(super) fn text(arguments: &[Plan], at: usize) -> &str {
    match arguments.get(at).map(|argument| &argument.work) {
        Some(Work::Text(text)) => text,
        _ => "",
    }
}

/// Any text is a name but an empty one.
fn check_name(name: &str, what: &str) -> Result<(), Error> {
    if name.is_empty() { Err(Error::execution(format!("invalid {what}: {name}"))) } else { Ok(()) }
}

/// A template in the spelling of the `regex` crate. Both read `$name` and `${name}` alike but for a `$` that names
/// nothing, which Go takes out of braces as it is.
fn template(replacement: &str) -> String {
    let mut out = String::with_capacity(replacement.len());
    let mut rest = replacement;
    while let Some(dollar) = rest.find('$') {
        out += &rest[..dollar];
        rest = &rest[dollar + 1..];
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        if let Some(escaped) = rest.strip_prefix('$') {
            out += "$$";
            rest = escaped;
        } else if let Some((name, after)) = rest.strip_prefix('{').and_then(|inside| inside.split_once('}'))
            && !name.is_empty()
            && name.chars().all(is_name)
        {
            out += &format!("${{{name}}}");
            rest = after;
        } else {
            let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            let name = &rest[..end];
            out += &if name.is_empty() { "$$".to_owned() } else { format!("${{{name}}}") };
            rest = &rest[end..];
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use meshlake_schema::go_regex::whole_value_regex;

    use super::*;

    #[test]
    fn a_template_means_what_it_means_to_go() {
        let expand = |replacement: &str| {
            let regex = whole_value_regex("(?P<first>a)(b)?").unwrap();
            let mut value = String::new();
            regex.captures("a").unwrap().expand(&template(replacement), &mut value);
            value
        };
        assert_eq!(expand("x-$1-${first}y"), "x-a-ay");
        assert_eq!(expand("$1x"), "", "`1x` is a name, of no group");
        assert_eq!(expand("$2$$1"), "$1");
        assert_eq!(expand("a$"), "a$");
        assert_eq!(expand("${1"), "${1");
    }
}
