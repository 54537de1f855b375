//! What is asked, of whom, and how much an answer has.

use anyhow::Context as _;
use form_urlencoded::byte_serialize;
use serde_json::Value;

use crate::payload::day::{NEEDLE, ORDER_KEY, order};
use crate::server::Server;

/// A question, and the milliseconds to reach.
pub struct Question {
    pub label: &'static str,
    pub reach_ms: Option<u32>,
    /// Asked in turn.
    pub paths: Vec<String>,
    /// The same of a Jaeger; none where it cannot be asked.
    pub of_jaeger: Vec<String>,
}

/// What questions name, taken from what is stored.
pub struct Sample {
    pub spans: i64,
    pub lines: i64,
    /// Seconds since the epoch that all records begin in, the last not included.
    from: i64,
    to: i64,
    trace_ids: Vec<String>,
    service: String,
}

/// Traces that are asked for by id.
const TRACES: usize = 50;
/// One of the orders.
const ORDER: u64 = 42;
const HOUR_SECONDS: i64 = 3_600;

impl Sample {
    /// # Errors
    /// When something of it is not stored.
    pub async fn of(server: &Server) -> anyhow::Result<Sample> {
        let bounds = "SELECT count(*), CAST(floor(extract(epoch FROM min(time))) AS BIGINT), \
                      CAST(floor(extract(epoch FROM max(time))) AS BIGINT) + 1, min(service_name) FROM spans";
        let stored = server.sql(bounds).await?;
        let number = |at: usize| stored[0][at].as_i64().context("read the bounds of the spans");
        // Ids are random, so those that begin alike are a fair sample.
        let ids = format!(
            "SELECT DISTINCT trace_id FROM spans WHERE trace_id LIKE '3f%' ORDER BY 1 LIMIT {TRACES}"
        );
        let ids = server.sql(&ids).await?;
        let lines = server.sql("SELECT count(*) FROM logs").await?;
        Ok(Sample {
            spans: number(0)?,
            lines: lines[0][0].as_i64().context("count the lines")?,
            from: number(1)?,
            to: number(2)?,
            trace_ids: ids.iter().filter_map(|id| Some(id[0].as_str()?.to_owned())).collect(),
            service: stored[0][3].as_str().context("find a service")?.to_owned(),
        })
    }

    fn day(&self) -> String {
        format!("start={}&end={}", self.from, self.to)
    }

    fn search(&self, query: &str) -> String {
        format!("/tempo/api/search?limit=20&{}&q={}", self.day(), encoded(query))
    }

    /// Microseconds, as Jaeger's are.
    fn of_jaeger(&self, tags: Option<&str>) -> String {
        let tags =
            tags.map(|value| format!("&tags={}", encoded(&format!("{{\"{ORDER_KEY}\":\"{value}\"}}"))));
        let (service, tags) = (encoded(&self.service), tags.unwrap_or_default());
        format!(
            "/api/traces?service={service}&limit=20&start={}000000&end={}000000{tags}",
            self.from, self.to
        )
    }

    fn lines(&self, query: &str) -> String {
        format!("/loki/loki/api/v1/query_range?limit=100&{}&query={}", self.day(), encoded(query))
    }

    fn count(&self, query: &str) -> String {
        let query = query.replace("RANGE", &format!("{}s", self.to - self.from));
        format!("/loki/loki/api/v1/query?time={}&query={}", self.to, encoded(&query))
    }
}

/// As a value in an address.
fn encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

/// Everything that is asked.
pub fn questions(sample: &Sample) -> Vec<Question> {
    let mut questions = of_traces(sample);
    questions.extend(of_series(sample));
    questions.extend(of_lines(sample));
    questions
}

fn question(label: &'static str, reach_ms: Option<u32>, path: String) -> Question {
    Question { label, reach_ms, paths: vec![path], of_jaeger: Vec::new() }
}

/// Rare is one span in 10,000.
fn of_traces(sample: &Sample) -> Vec<Question> {
    let (service, rare) = (&sample.service, order(ORDER));
    let by_id =
        |before: &str| sample.trace_ids.iter().map(|id| format!("{before}/api/traces/{id}")).collect();
    let of_order = |order: &str| sample.search(&format!("{{ span.{ORDER_KEY} = \"{order}\" }}"));
    let jaeger = |label, reach_ms, tags: Option<&str>| {
        let path = sample.of_jaeger(tags);
        Question { of_jaeger: vec![path.clone()], ..question(label, reach_ms, format!("/jaeger{path}")) }
    };
    vec![
        Question {
            label: "trace by id, Tempo's API",
            reach_ms: Some(20),
            paths: by_id("/tempo"),
            of_jaeger: Vec::new(),
        },
        Question {
            label: "trace by id, Jaeger's API",
            reach_ms: Some(20),
            paths: by_id("/jaeger"),
            of_jaeger: by_id(""),
        },
        question(
            "20 traces by service",
            Some(20),
            sample.search(&format!("{{ resource.service.name = \"{service}\" }}")),
        ),
        question("20 traces by a rare attribute", Some(100), of_order(&rare)),
        question("traces by an attribute that nothing has", Some(20), of_order("none")),
        jaeger("20 traces by service, Jaeger's API", Some(20), None),
        jaeger("traces by service and rare attribute, Jaeger's API", Some(100), Some(&rare)),
        jaeger("nothing found, Jaeger's API", Some(20), Some("none")),
        question(
            "`{ duration > 1s } >> { status = error }`, last hour",
            Some(200),
            format!(
                "/tempo/api/search?limit=20&start={}&end={}&q={}",
                sample.to - HOUR_SECONDS,
                sample.to,
                encoded("{ duration > 1s } >> { status = error }")
            ),
        ),
    ]
}

fn of_series(sample: &Sample) -> Vec<Question> {
    let day = sample.day();
    let rate = encoded("{ } | rate() by (resource.service.name)");
    let tag = |name: &str| format!("/tempo/api/v2/search/tag/{name}/values?{day}");
    vec![
        question(
            "rate of spans by service, 24 h (TraceQL)",
            Some(300),
            format!("/tempo/api/metrics/query_range?step=600&{day}&q={rate}"),
        ),
        question("names of attributes", Some(20), format!("/tempo/api/v2/search/tags?{day}")),
        question("values of service.name", Some(20), tag("resource.service.name")),
        question("values of an attribute of spans", Some(20), tag("span.http.request.method")),
    ]
}

fn of_lines(sample: &Sample) -> Vec<Question> {
    vec![
        question(
            "lines by level",
            Some(500),
            sample.count(r#"sum by (level) (count_over_time({source="logs"}[RANGE]))"#),
        ),
        question(
            "a line filter that finds ten",
            Some(300),
            sample.lines(&format!(r#"{{source="logs"}} |= "{NEEDLE}""#)),
        ),
        question("the latest hundred lines", None, sample.lines(r#"{source="logs"}"#)),
        question(
            "errors that match a regular expression",
            None,
            sample.count(r#"sum(count_over_time({level="error"} |~ "retry 2$" [RANGE]))"#),
        ),
    ]
}

/// How many things an answer lists: traces, series, names, values, lines.
pub fn found(answer: &Value) -> usize {
    let list = |path: &str| answer.pointer(path).and_then(Value::as_array);
    if let Some(scopes) = list("/scopes") {
        return scopes.iter().filter_map(|scope| Some(scope["tags"].as_array()?.len())).sum();
    }
    if let Some(results) = list("/data/result") {
        let lines = results.iter().filter(|result| result["stream"].is_object());
        let lines: usize = lines.filter_map(|result| Some(result["values"].as_array()?.len())).sum();
        return if lines > 0 { lines } else { results.len() };
    }
    ["/traces", "/series", "/tagValues", "/data", "/batches"].into_iter().find_map(list).map_or(0, Vec::len)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_an_answer_lists_is_counted() {
        let check = |answer: Value, want: usize| assert_eq!(found(&answer), want, "{answer}");
        check(json!({"traces": [1, 2]}), 2);
        check(json!({"scopes": [{"tags": ["a"]}, {"tags": ["b", "c"]}]}), 3);
        let streams = json!([{"stream": {}, "values": [["1", "a"], ["2", "b"]]}, {"stream": {}, "values": [["3", "c"]]}]);
        check(json!({"data": {"result": streams}}), 3);
        check(json!({"data": {"result": [{"metric": {}, "value": [1, "2"]}]}}), 1);
        check(json!({"data": [{"traceID": "a"}]}), 1);
        check(json!({}), 0);
    }

    #[test]
    fn questions_name_what_is_stored() {
        let sample = Sample {
            spans: 1,
            lines: 1,
            from: 5,
            to: 9,
            trace_ids: vec!["ab".into()],
            service: "s t".into(),
        };
        assert_eq!(sample.search("{ }"), "/tempo/api/search?limit=20&start=5&end=9&q=%7B+%7D");
        assert_eq!(sample.of_jaeger(None), "/api/traces?service=s+t&limit=20&start=5000000&end=9000000");
        assert_eq!(sample.count("RANGE"), "/loki/loki/api/v1/query?time=9&query=4s");
    }
}
