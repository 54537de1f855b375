//! How a client stops a statement that it waits for: by a connection of its own, which names the key of the first.
//!
//! Source: PostgreSQL 16, "Canceling Requests in Progress".

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// Every open connection. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Keys {
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    last: i32,
    /// By process id: the secret, and the word to stop.
    stops: HashMap<i32, (i32, watch::Sender<()>)>,
    /// Makes secrets: a hash under keys that the system chose at random, which nobody outside can foresee.
    secrets: RandomState,
}

/// The key of one connection, good while this lives.
pub struct Key {
    pub process_id: i32,
    pub secret: i32,
    keys: Keys,
}

impl Keys {
    /// A key for a new connection, and what tells it to stop a statement.
    pub fn issue(&self) -> (Key, watch::Receiver<()>) {
        let (stop, stopped) = watch::channel(());
        let mut open = self.open();
        let process_id = loop {
            open.last = open.last.checked_add(1).unwrap_or(1);
            if !open.stops.contains_key(&open.last) {
                break open.last;
            }
        };
        // Half of the hash: the protocol has four bytes for it.
        let secret = open.secrets.hash_one(process_id) as i32;
        open.stops.insert(process_id, (secret, stop));
        (Key { process_id, secret, keys: self.clone() }, stopped)
    }

    /// Stops the statement that runs on the connection with this key; nothing happens when there is none.
    pub fn stop(&self, process_id: i32, key: &[u8]) {
        if let Some((secret, stop)) = self.open().stops.get(&process_id)
            && secret.to_be_bytes() == key
        {
            stop.send_replace(());
        }
    }

    /// What a panic leaves behind is whole: each change is one step.
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.keys.open().stops.remove(&self.process_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_key_stops_and_only_its_own_connection() {
        let keys = Keys::default();
        let (first, first_stopped) = keys.issue();
        let (second, second_stopped) = keys.issue();
        keys.stop(first.process_id, &second.secret.to_be_bytes());
        keys.stop(first.process_id, &[]);
        keys.stop(99, &first.secret.to_be_bytes());
        assert!(!first_stopped.has_changed().expect("open") && !second_stopped.has_changed().expect("open"));
        keys.stop(first.process_id, &first.secret.to_be_bytes());
        assert!(first_stopped.has_changed().expect("open") && !second_stopped.has_changed().expect("open"));
    }

    #[test]
    fn a_key_is_gone_with_its_connection() {
        let keys = Keys::default();
        let (key, mut stopped) = keys.issue();
        drop(key);
        assert!(stopped.has_changed().is_err() && stopped.borrow_and_update().eq(&()));
    }
}
