//! What answers keep between questions, one value a type.
//!
//! An index over files, say, is worth more than one question and belongs to no statement. It lives as long as the engine
//! whose snapshots it is of, so that two engines in one process share nothing. Whoever keeps something bounds it.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// The values, by their types.
#[derive(Default)]
pub struct Kept(Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl Kept {
    /// The value of that type, made when it is first asked for.
    pub fn of<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        // A panic elsewhere leaves the map as it was.
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let value = values.entry(TypeId::of::<T>()).or_insert_with(|| Arc::new(T::default()));
        Arc::clone(value).downcast().expect("a value is kept under its own type")
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_type_has_one_value_for_all_who_ask() {
        let kept = Kept::default();
        kept.of::<AtomicUsize>().store(7, Ordering::Relaxed);
        assert_eq!(kept.of::<Mutex<String>>().lock().map(|text| text.clone()).ok(), Some(String::new()));
        assert_eq!(kept.of::<AtomicUsize>().load(Ordering::Relaxed), 7);
        assert_eq!(Kept::default().of::<AtomicUsize>().load(Ordering::Relaxed), 0);
    }
}
