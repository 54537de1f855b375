//! Which sources of series there are, the strongest first: where two have one label set, the first is believed.

use std::sync::Arc;

use meshlake_engine::Query;
use tokio::runtime::Handle;

use crate::samples::Stored;
use crate::samples::known::Known;
use crate::series::Source;
use crate::synthesis::Counted;
use crate::synthesis::chunks::Chunks;

/// What sources keep from one question to the next; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    chunks: Arc<Chunks>,
    known: Arc<Known>,
}

impl Kept {
    /// Nothing yet, where resources add these of their attributes to the labels of series.
    pub fn promoting(attributes: Vec<String>) -> Self {
        Kept { known: Arc::new(Known::of(attributes.into())), ..Kept::default() }
    }
}

/// All sources, over the snapshot of one query. They read on `runtime` while they are waited for.
pub fn sources(query: &Query, kept: &Kept, runtime: &Handle) -> Vec<Box<dyn Source>> {
    vec![
        Box::new(Stored::new(query.clone(), Arc::clone(&kept.known), runtime.clone())),
        Box::new(Counted::new(query.clone(), Arc::clone(&kept.chunks), runtime.clone())),
    ]
}
