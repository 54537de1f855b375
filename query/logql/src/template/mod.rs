//! Templates of `line_format` and `label_format`: Go's `text/template` as far as lines need it.
//!
//! Text, `{{ .label }}`, pipes, `if`, `with`, `range`, variables, comments, trimming dashes, `define`, `block`, `template`, and the
//! functions that Loki documents. Templates that call themselves end too: what one line may cost is bounded by its steps, its bytes
//! and how deep it goes.
//!
//! Sources: <https://pkg.go.dev/text/template>; "Template functions",
//! <https://grafana.com/docs/loki/latest/query/template_functions/>.

mod run;
mod parse;
mod pieces;
mod pipes;
mod tree;
mod functions;
mod scope;
mod value;
mod time;

pub use scope::Scope;

use tree::Tree;

/// A template that reads. Equal to another of the same text.
#[derive(Debug, Clone)]
pub struct Template {
    text: String,
    tree: Tree,
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Template {
    /// # Errors
    /// Text that says what is wrong.
    pub fn new(text: String) -> Result<Template, String> {
        let tree = parse::parse(&text).map_err(|message| format!("invalid template: {message}"))?;
        Ok(Template { text, tree })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it makes of a line and its labels.
    ///
    /// # Errors
    /// Text that says what is wrong with the values, or that they make too much.
    pub fn render(&self, scope: &dyn Scope) -> Result<String, String> {
        run::render(&self.tree, scope)
    }
}

#[cfg(test)]
mod tests;
