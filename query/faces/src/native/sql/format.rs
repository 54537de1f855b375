//! Which formats an answer can have, and which of them a request asks for: by name in `?format=`, else by `Accept`.
//!
//! Of what a client accepts the format with the greatest weight wins, of equal ones the first (RFC 9110 section 12.5.1).

use arrow::datatypes::SchemaRef;
use axum::http::{HeaderMap, header};

use super::super::ApiError;
use super::arrow_stream::ArrowStreamEncoder;
use super::csv::CsvEncoder;
use super::encoder::Encoder;
use super::json::JsonEncoder;
use super::ndjson::NdjsonEncoder;
use super::parquet::ParquetEncoder;
use meshlake_query::QueryError;

/// Names of NDJSON beside its own. Source: the media types that jsonlines.org and clients of Elasticsearch use.
const NDJSON_ALIASES: [&str; 3] = ["application/ndjson", "application/jsonl", "application/jsonlines"];

/// A format that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json,
    Ndjson,
    Csv,
    ArrowStream,
    Parquet,
}

impl Format {
    const ALL: [Format; 5] =
        [Format::Json, Format::Ndjson, Format::Csv, Format::ArrowStream, Format::Parquet];

    pub const fn content_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Ndjson => "application/x-ndjson",
            Format::Csv => "text/csv; charset=utf-8; header=present",
            Format::ArrowStream => "application/vnd.apache.arrow.stream",
            Format::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// `Content-Disposition` (RFC 6266) of an answer that a browser shall keep as a file.
    pub const fn attachment(self) -> &'static str {
        match self {
            Format::Json => "attachment; filename=\"meshlake.json\"",
            Format::Ndjson => "attachment; filename=\"meshlake.ndjson\"",
            Format::Csv => "attachment; filename=\"meshlake.csv\"",
            Format::ArrowStream => "attachment; filename=\"meshlake.arrows\"",
            Format::Parquet => "attachment; filename=\"meshlake.parquet\"",
        }
    }

    /// The word for it in `?format=`.
    const fn name(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Ndjson => "ndjson",
            Format::Csv => "csv",
            Format::ArrowStream => "arrow",
            Format::Parquet => "parquet",
        }
    }

    /// The format that `name` names, which is that of `?format=`; without one, that of the `Accept` headers.
    ///
    /// # Errors
    /// 400 for a name that none has, 406 when only other formats are accepted.
    pub fn asked(name: Option<&str>, headers: &HeaderMap) -> Result<Format, ApiError> {
        let Some(name) = name else { return Format::accepted(headers) };
        Format::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| {
            let names = Format::ALL.map(Format::name).join(", ");
            ApiError::bad_request(format!("format: {name:?} is not one of {names}"))
        })
    }

    /// The format in the `Accept` headers that is wanted most; JSON when nothing or anything is asked for.
    ///
    /// # Errors
    /// 406 when only other formats are asked for.
    fn accepted(headers: &HeaderMap) -> Result<Format, ApiError> {
        let mut asked = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(weighted)
            .filter(|(range, _)| !range.is_empty())
            .collect::<Vec<_>>();
        if asked.is_empty() {
            return Ok(Format::Json);
        }
        asked.retain(|(_, weight)| *weight > 0.0);
        asked.sort_by(|(_, left), (_, right)| right.total_cmp(left));
        let known = asked.into_iter().find_map(|(range, _)| match range.as_str() {
            "*/*" | "application/*" => Some(Format::Json),
            "text/*" => Some(Format::Csv),
            alias if NDJSON_ALIASES.contains(&alias) => Some(Format::Ndjson),
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
            Format::Ndjson => Box::new(NdjsonEncoder::new(schema)?),
            Format::Csv => Box::new(CsvEncoder::new(schema)),
            Format::ArrowStream => Box::new(ArrowStreamEncoder::new(schema)?),
            Format::Parquet => Box::new(ParquetEncoder::new(schema)?),
        })
    }
}

/// A range of media types in lower case and its weight, 1 where none is given.
fn weighted(range: &str) -> (String, f64) {
    let mut parts = range.split(';');
    let media = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    let weight = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse().ok())?
    });
    (media, weight.unwrap_or(1.0))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_known_format_that_is_wanted_most_wins() {
        let cases = [
            (None, Some(Format::Json)),
            (Some("*/*"), Some(Format::Json)),
            (Some("text/csv"), Some(Format::Csv)),
            (Some("text/html, application/vnd.apache.parquet, */*;q=0.8"), Some(Format::Parquet)),
            (Some("application/vnd.apache.parquet, text/csv"), Some(Format::Parquet)),
            (Some("text/csv;q=0.5, application/json"), Some(Format::Json)),
            (Some("text/csv; Q=0.5, application/json;q=0.2;x=y"), Some(Format::Csv)),
            (Some("text/csv;q=0"), None),
            (Some("APPLICATION/VND.APACHE.ARROW.STREAM"), Some(Format::ArrowStream)),
            (Some("application/jsonl"), Some(Format::Ndjson)),
            (Some("image/png"), None),
        ];
        for (accept, want) in cases {
            let accept = accept.map(|accept| (header::ACCEPT, HeaderValue::from_static(accept)));
            let headers = HeaderMap::from_iter(accept);
            assert_eq!(Format::asked(None, &headers).ok(), want, "{headers:?}");
            // A format that is named is meant, whatever a client accepts by habit.
            assert_eq!(Format::asked(Some("arrow"), &headers), Ok(Format::ArrowStream));
            assert!(Format::asked(Some("xml"), &headers).is_err());
        }
    }
}
