//! Series as frames of chunks, one after the other.
//!
//! ```text
//! length uvarint | CRC-32C of the message, big-endian | ChunkedReadResponse
//! ```
//! A frame holds chunks of one series; a long series takes several. Chunks of floats and of histograms stand in the order
//! in which they begin.

use axum::body::Bytes;
use meshlake_query::prometheus::ReadSeries;
use meshlake_query::promql::SeriesSamples;
use prost::Message as _;
use prost::encoding::encode_varint;

use super::float_histogram_chunk::float_histogram_chunk;
use super::messages::{Chunk, ChunkEncoding, ChunkedReadResponse, ChunkedSeries, label_pairs};
use super::xor_chunk::{SAMPLES_MAX, xor_chunk};

/// Bytes of the chunks of a frame, after which a new one begins; Prometheus's. Readers refuse frames of 50 MiB.
const FRAME_BYTES: usize = 1 << 20;

/// All frames of what was read, each made when it is asked for.
pub fn frames(mut read: ReadSeries) -> impl Iterator<Item = Bytes> + Send + 'static {
    let lists = std::mem::take(&mut read.lists).into_iter().enumerate();
    let series = lists.flat_map(|(query, list)| list.into_iter().map(move |series| (query, series)));
    series.flat_map(move |(query, series)| {
        // What was charged for the samples is given back with the last of them.
        let _ = &read;
        frames_of(query, &series)
    })
}

fn frames_of(query: usize, series: &SeriesSamples) -> Vec<Bytes> {
    let labels = label_pairs(&series.labels);
    let query_index = i64::try_from(query).unwrap_or(i64::MAX);
    let mut frames = Vec::new();
    let (mut chunks, mut bytes) = (Vec::new(), 0);
    let mut all = chunks_of(series).into_iter().peekable();
    while let Some(chunk) = all.next() {
        bytes += chunk.encoded_len();
        chunks.push(chunk);
        if bytes >= FRAME_BYTES || all.peek().is_none() {
            let chunks = std::mem::take(&mut chunks);
            let chunked_series = vec![ChunkedSeries { labels: labels.clone(), chunks }];
            frames.push(frame(&ChunkedReadResponse { chunked_series, query_index }));
            bytes = 0;
        }
    }
    frames
}

fn frame(message: &ChunkedReadResponse) -> Bytes {
    let message = message.encode_to_vec();
    let mut frame = Vec::with_capacity(message.len() + 16);
    encode_varint(message.len() as u64, &mut frame);
    frame.extend(crc32c::crc32c(&message).to_be_bytes());
    frame.extend(message);
    Bytes::from(frame)
}

fn chunks_of(series: &SeriesSamples) -> Vec<Chunk> {
    let (times, values) = (series.floats.times.chunks(SAMPLES_MAX), series.floats.values.chunks(SAMPLES_MAX));
    let floats = times.zip(values).filter_map(|(times, values)| {
        let ends = (*times.first()?, *times.last()?);
        Some(chunk(ends, ChunkEncoding::Xor, xor_chunk(times, values)))
    });
    let histograms = series.histograms.times.iter().zip(&series.histograms.values);
    let histograms = histograms.map(|(time, histogram)| {
        chunk((*time, *time), ChunkEncoding::FloatHistogram, float_histogram_chunk(*time, histogram))
    });
    let mut chunks: Vec<Chunk> = floats.chain(histograms).collect();
    chunks.sort_by_key(|chunk| chunk.min_time_ms);
    chunks
}

fn chunk((min_time_ms, max_time_ms): (i64, i64), encoding: ChunkEncoding, data: Vec<u8>) -> Chunk {
    Chunk { min_time_ms, max_time_ms, encoding: encoding.into(), data }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use meshlake_query::promql::{Histogram, Labels};

    use super::*;

    fn series(floats: usize) -> SeriesSamples {
        let labels = Labels::from_pairs([("__name__", "m"), ("x", "y")]);
        let mut series = SeriesSamples { labels, ..SeriesSamples::default() };
        // Values whose bits all change, so that they take their whole size.
        let value = |at: i64| f64::from_bits(at.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15));
        (0..floats as i64).for_each(|at| series.floats.push(at * 15_000, value(at)));
        series
    }

    #[test]
    fn a_frame_has_its_length_and_its_checksum() {
        let frames = frames_of(3, &series(1));
        assert_eq!(frames.len(), 1);
        let (length, rest) = frames[0].split_at(1);
        let (checksum, message) = rest.split_at(4);
        assert_eq!(usize::from(length[0]), message.len());
        assert_eq!(checksum, crc32c::crc32c(message).to_be_bytes());
        let message = ChunkedReadResponse::decode(message).expect("it is a message");
        assert_eq!((message.query_index, message.chunked_series[0].labels.len()), (3, 2));
    }

    #[test]
    fn chunks_are_in_order_and_have_a_bounded_number_of_samples() {
        let mut series = series(SAMPLES_MAX + 1);
        series.histograms.push(7, Arc::new(Histogram::default()));
        let chunks = chunks_of(&series);
        let shape: Vec<_> =
            chunks.iter().map(|chunk| (chunk.encoding, chunk.min_time_ms, chunk.max_time_ms)).collect();
        let last = SAMPLES_MAX as i64 * 15_000;
        assert_eq!(shape, [(1, 0, last - 15_000), (3, 7, 7), (1, last, last)]);
    }

    #[test]
    fn a_long_series_takes_several_frames() {
        // More than nine bytes a sample.
        let frames = frames_of(0, &series(FRAME_BYTES / 8));
        assert_eq!(frames.len(), 2);
        let largest = frames.iter().map(Bytes::len).max();
        assert!(largest.is_some_and(|bytes| bytes < FRAME_BYTES + FRAME_BYTES / 64), "{largest:?}");
        assert!(frames_of(0, &series(0)).is_empty());
    }
}
