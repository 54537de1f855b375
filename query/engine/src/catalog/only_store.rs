//! An object store registry that knows one store under one made-up address.
//!
//! DataFusion's own registry resolves `file://` to the whole disk. This one answers for
//! `meshlake://data/` alone, so no plan, however it came about, can open anything outside the tables.

use std::sync::Arc;

use datafusion::common::{plan_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::execution::object_store::{ObjectStoreRegistry, ObjectStoreUrl};
use object_store::ObjectStore;
use url::Url;

const ADDRESS: &str = "meshlake://data/";

/// How much of a file's end is read at once in search of its footer: holds the footer and page index of a
/// file of a few row groups, so that most files need one read. Guess, not measured.
pub const FOOTER_READ_BYTES: usize = 64 * 1024;

/// The registry of one query.
#[derive(Debug)]
pub struct OnlyStore {
    store: Arc<dyn ObjectStore>,
}

impl OnlyStore {
    /// `store` is where the snapshot's files lie.
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        OnlyStore { store }
    }

    /// The address that scans name.
    pub fn url() -> ObjectStoreUrl {
        ObjectStoreUrl::parse(ADDRESS).expect("the constant is a URL of scheme and host alone")
    }
}

impl ObjectStoreRegistry for OnlyStore {
    /// Registers nothing: hands the store back as if it had been replaced at once.
    fn register_store(&self, _: &Url, store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        Some(store)
    }

    fn deregister_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        plan_err!("{url} cannot be removed")
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        let own = url.as_str().starts_with(ADDRESS);
        own.then(|| Arc::clone(&self.store))
            .ok_or_else(|| plan_datafusion_err!("no such store: {}", url.scheme()))
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    #[test]
    fn only_our_own_address_has_a_store() {
        let registry = OnlyStore::new(Arc::new(InMemory::new()));
        assert!(registry.get_store(OnlyStore::url().as_ref()).is_ok());
        for other in ["file:///etc/passwd", "s3://other/x", "http://169.254.169.254/", "meshlake://dat/"] {
            let url = Url::parse(other).expect("the case is a URL");
            assert!(registry.get_store(&url).is_err(), "{other}");
            assert!(registry.register_store(&url, Arc::new(InMemory::new())).is_some());
            assert!(registry.get_store(&url).is_err(), "{other} after registering");
        }
    }
}
