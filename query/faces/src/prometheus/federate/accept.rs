//! What a scraper accepts: text or messages, and names in UTF-8 or with underscores.
//!
//! ```text
//! application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,
//! text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1
//! ```
//! Of what is known here the one of the largest weight is taken, the first of equal ones; text, where nothing is.

/// How samples are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text,
    Protobuf,
}

/// How names are written that are more than letters, digits and underscores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// As they are, in quotes where it is text.
    Utf8,
    /// Other characters become underscores.
    Underscores,
}

/// What is preferred of a header `Accept`.
pub fn accepted(accept: &str) -> (Format, Names) {
    let mut best = (0.0, Format::Text, Names::Underscores);
    for kind in accept.split(',') {
        let mut parts = kind.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default();
        let parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
        let told =
            |name: &str| parameters.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value);
        let format = match media_type {
            "application/vnd.google.protobuf"
                if told("proto") == "io.prometheus.client.MetricFamily"
                    && matches!(told("encoding"), "" | "delimited") =>
            {
                Format::Protobuf
            }
            "text/plain" => Format::Text,
            _ => continue,
        };
        let names = if told("escaping") == "allow-utf-8" { Names::Utf8 } else { Names::Underscores };
        // Without a weight it is one.
        let weight = told("q").parse().unwrap_or(1.0);
        if weight > best.0 {
            best = (weight, format, names);
        }
    }
    (best.1, best.2)
}

pub fn content_type(format: Format, names: Names) -> &'static str {
    match (format, names) {
        (Format::Text, Names::Utf8) => "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
        (Format::Text, Names::Underscores) => {
            "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
        }
        (Format::Protobuf, Names::Utf8) => {
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; \
             escaping=allow-utf-8"
        }
        (Format::Protobuf, Names::Underscores) => {
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; \
             escaping=underscores"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first two are what Prometheus 3 sends with `scrape_native_histograms` and without.
    #[test]
    fn the_heaviest_kind_that_is_known_is_taken() {
        let cases = [
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;\
                 escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                 text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                (Format::Protobuf, Names::Utf8),
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                 text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.1",
                (Format::Text, Names::Utf8),
            ),
            ("", (Format::Text, Names::Underscores)),
            ("*/*", (Format::Text, Names::Underscores)),
            (
                "text/plain;q=0.9, application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily",
                (Format::Protobuf, Names::Underscores),
            ),
            (
                "application/vnd.google.protobuf;proto=other.Message,text/plain;q=0.1",
                (Format::Text, Names::Underscores),
            ),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
                (Format::Text, Names::Underscores),
            ),
        ];
        for (accept, want) in cases {
            assert_eq!(accepted(accept), want, "{accept}");
        }
    }
}
