//! `by()`: spansets parted by a value.

use std::collections::HashMap;

use super::{Evaluation, Spanset};
use crate::error::Error;
use crate::tree::Expr;
use crate::value::Key;

impl<'a> Evaluation<'_, 'a> {
    /// One spanset for each value, in the order in which the values come; spans without one are together.
    pub(super) fn grouped(&self, by: &Expr, spansets: Vec<Spanset<'a>>) -> Result<Vec<Spanset<'a>>, Error> {
        let name = format!("by({by})");
        let mut groups: Vec<Spanset<'a>> = Vec::new();
        for spanset in spansets {
            let mut places: HashMap<Key<'a>, usize> = HashMap::new();
            for at in spanset.spans {
                self.step()?;
                let key = Key(self.trace.value(by, at));
                let place = *places.entry(key).or_insert_with_key(|key| {
                    let mut attributes = spanset.attributes.clone();
                    attributes.push((name.clone(), key.0.clone()));
                    groups.push(Spanset { spans: Vec::new(), attributes });
                    groups.len() - 1
                });
                groups[place].spans.push(at);
            }
        }
        Ok(groups)
    }
}
