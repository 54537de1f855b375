//! One line at a time through the stages of a query.
//!
//! A stage that cannot work on a line leaves it as it is and says so in the label `__error__`; what happens to such lines is
//! the asker's choice, as a filter can leave them out. The first mistake of a line stays.
//!
//! Source: "Log queries" and "Pipeline errors", <https://grafana.com/docs/loki/latest/query/>.

mod wanted;
mod stages;
mod parsers;
mod conditions;
mod entry;
mod labels;

pub use conditions::passes;
pub use entry::Entry;
pub use labels::{ERROR, ERROR_DETAILS, LabelSet, Origin};
pub use stages::Pipeline;
pub use wanted::{Wanted, wanted};
