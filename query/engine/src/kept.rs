//! What whoever asks keeps from query to query: one value of each type, made when it is first asked for.
//!
//! What is computed of files stays true as long as they are there, and should live as long as the engine that reads them; what
//! it is, is known above. So the engine holds it without a look at it. Limits: each type bounds what it keeps.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Debug, Default)]
pub struct Kept(Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl Kept {
    /// The value of this type.
    pub fn of<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        // One insertion: whole at any moment.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = kept.entry(TypeId::of::<T>()).or_insert_with(|| Arc::new(T::default()));
        Arc::clone(kept).downcast().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn a_value_is_made_once() {
        let kept = Kept::default();
        kept.of::<AtomicU64>().store(7, Ordering::Relaxed);
        assert_eq!(kept.of::<AtomicU64>().load(Ordering::Relaxed), 7);
        assert_eq!(*kept.of::<u32>(), 0, "of another type");
    }
}
