//! Streams that were met while rows are read: the labels of each are made once.

use hashbrown::HashMap;
use meshlake_engine::QueryError;
use meshlake_logql::Pipeline;
use meshlake_promql::Labels;

/// Streams that one thread may meet. Each holds its labels, about a kilobyte.
const STREAMS_MAX: usize = 100_000;

/// One stream.
#[derive(Debug)]
pub struct Stream {
    pub labels: Labels,
    /// Whether its lines are asked for.
    pub is_asked: bool,
    /// Stored beside each of its lines: names of labels and their values.
    pub metadata: Vec<(String, String)>,
}

/// Streams by what tells them apart in rows.
#[derive(Debug, Default)]
pub struct Streams {
    places: HashMap<Vec<u8>, usize>,
    found: Vec<Stream>,
    /// What told the last row's stream apart, and its place.
    last: Option<(Vec<u8>, usize)>,
}

impl Streams {
    pub fn found(&self) -> &[Stream] {
        &self.found
    }

    /// The place of a row's stream; `make` gives its labels and what is stored beside its lines.
    ///
    /// # Errors
    /// For too many streams.
    pub fn place(
        &mut self,
        key: &[u8],
        pipeline: &Pipeline<'_>,
        make: impl FnOnce() -> (Labels, Vec<(String, String)>),
    ) -> Result<usize, QueryError> {
        if let Some((last, place)) = &self.last
            && last == key
        {
            return Ok(*place);
        }
        let place = match self.places.get(key) {
            Some(place) => *place,
            None if self.found.len() == STREAMS_MAX => {
                return Err(QueryError::Memory(format!("there are more than {STREAMS_MAX} streams")));
            }
            None => {
                let (labels, metadata) = make();
                let is_asked = pipeline.has_stream(&labels);
                self.found.push(Stream { labels, is_asked, metadata });
                self.places.insert(key.to_vec(), self.found.len() - 1);
                self.found.len() - 1
            }
        };
        let (last, last_place) = self.last.get_or_insert_default();
        last.clear();
        last.extend_from_slice(key);
        *last_place = place;
        Ok(place)
    }
}
