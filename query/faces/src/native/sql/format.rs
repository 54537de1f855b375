//! Which formats an answer can have, and which of them a request asks for.
//!
//! Weights (`;q=`) are not read: clients that name two of these formats name the better one first.

use arrow::datatypes::SchemaRef;
use axum::http::{HeaderMap, header};

use super::super::ApiError;
use super::arrow_stream::ArrowStreamEncoder;
use super::csv::CsvEncoder;
use super::encoder::Encoder;
use super::json::JsonEncoder;
use super::parquet::ParquetEncoder;
use meshlake_query::QueryError;

/// A format that `Accept` can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json,
    Csv,
    ArrowStream,
    Parquet,
}

impl Format {
    const ALL: [Format; 4] = [Format::Json, Format::Csv, Format::ArrowStream, Format::Parquet];

    pub const fn content_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Csv => "text/csv; charset=utf-8; header=present",
            Format::ArrowStream => "application/vnd.apache.arrow.stream",
            Format::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// The first format in the `Accept` headers that there is; JSON when nothing or anything is asked for.
    ///
    /// # Errors
    /// 406 when only other formats are asked for.
    pub fn accepted(headers: &HeaderMap) -> Result<Format, ApiError> {
        let mut asked = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|range| range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
            .filter(|range| !range.is_empty())
            .peekable();
        if asked.peek().is_none() {
            return Ok(Format::Json);
        }
        let known = asked.find_map(|range| match range.as_str() {
            "*/*" | "application/*" => Some(Format::Json),
            "text/*" => Some(Format::Csv),
            named => {
                Format::ALL.into_iter().find(|format| format.content_type().split(';').next() == Some(named))
            }
        });
        known.ok_or_else(|| {
            let names = Format::ALL.map(|format| format.content_type().split(';').next().unwrap_or_default());
            ApiError::not_acceptable(format!("answers come as {}", names.join(", ")))
        })
    }

    pub fn encoder(self, schema: &SchemaRef) -> Result<Box<dyn Encoder>, QueryError> {
        Ok(match self {
            Format::Json => Box::new(JsonEncoder::new(schema)),
            Format::Csv => Box::new(CsvEncoder::new(schema)),
            Format::ArrowStream => Box::new(ArrowStreamEncoder::new(schema)?),
            Format::Parquet => Box::new(ParquetEncoder::new(schema)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_first_known_format_wins() {
        let cases = [
            (None, Some(Format::Json)),
            (Some("*/*"), Some(Format::Json)),
            (Some("text/csv"), Some(Format::Csv)),
            (Some("text/html, application/vnd.apache.parquet;q=0.5, */*"), Some(Format::Parquet)),
            (Some("APPLICATION/VND.APACHE.ARROW.STREAM"), Some(Format::ArrowStream)),
            (Some("image/png"), None),
        ];
        for (accept, want) in cases {
            let accept = accept.map(|accept| (header::ACCEPT, HeaderValue::from_static(accept)));
            let headers = HeaderMap::from_iter(accept);
            assert_eq!(Format::accepted(&headers).ok(), want, "{headers:?}");
        }
    }
}
