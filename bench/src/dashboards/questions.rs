//! What both pages ask, as paths of Prometheus's API.
//!
//! Variables of a dashboard are replaced as Grafana would for one service and everything else chosen. Kiali's queries are
//! those of its namespace graph in sidecar mode, six a namespace. Source: Kiali, `graph/telemetry/istio/istio.go`.

use anyhow::ensure;
use serde_json::Value;

/// Four times the interval of scrapes, as Grafana has it for a source whose interval is 15 s.
const RATE_INTERVAL: &str = "60s";

/// Of a panel that shows an hour.
const STEP_SECONDS: u64 = 15;

/// What edges of Kiali's graph are told apart by.
const GROUPING: &str = "source_cluster,source_workload_namespace,source_workload,source_canonical_service,\
                        source_canonical_revision,destination_cluster,destination_service_namespace,destination_service,\
                        destination_service_name,destination_workload_namespace,destination_workload,\
                        destination_canonical_service,destination_canonical_revision";

/// One query.
pub struct Question {
    /// With its parameters.
    pub path: String,
}

impl Question {
    fn at(query: &str, time: u64) -> Question {
        let parameters = encoded(&[("query", query), ("time", &time.to_string())]);
        Question { path: format!("/api/v1/query?{parameters}") }
    }

    fn over(query: &str, from: u64, to: u64) -> Question {
        let (start, end, step) = (from.to_string(), to.to_string(), STEP_SECONDS.to_string());
        let parameters = [("query", query), ("start", &start), ("end", &end), ("step", &step)];
        Question { path: format!("/api/v1/query_range?{}", encoded(&parameters)) }
    }
}

fn encoded(parameters: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

/// All queries of the panels of a dashboard, for one service.
///
/// # Errors
/// When there is none: the file is no dashboard.
pub fn of_dashboard(dashboard: &Value, host: &str, from: u64, to: u64) -> anyhow::Result<Vec<Question>> {
    let mut found = Vec::new();
    collect(&dashboard["panels"], &mut |target| {
        let Some(text) = target["expr"].as_str() else { return };
        let query = replaced(text, host);
        let is_instant = target["instant"] == true;
        found.push(if is_instant { Question::at(&query, to) } else { Question::over(&query, from, to) });
    });
    ensure!(!found.is_empty(), "the dashboard has no query");
    Ok(found)
}

fn collect(panels: &Value, take: &mut impl FnMut(&Value)) {
    for panel in panels.as_array().into_iter().flatten() {
        panel["targets"].as_array().into_iter().flatten().for_each(&mut *take);
        collect(&panel["panels"], take);
    }
}

/// The query without variables: the service is `host`, and of everything else all is chosen.
fn replaced(query: &str, host: &str) -> String {
    let mut out = String::new();
    let mut rest = query;
    while let Some((before, after)) = rest.split_once('$') {
        out += before;
        let (name, after) = variable(after);
        out += match name {
            "service" => host,
            "__rate_interval" => RATE_INTERVAL,
            _ => ".*",
        };
        rest = after;
    }
    out + rest
}

/// The variable's name, with or without braces and a format, and what follows.
fn variable(text: &str) -> (&str, &str) {
    if let Some((inside, after)) = text.strip_prefix('{').and_then(|inside| inside.split_once('}')) {
        return (inside.split(':').next().unwrap_or_default(), after);
    }
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    text.split_at(end)
}

/// What Kiali asks for a graph of these namespaces, one after the other.
pub fn of_kiali(namespaces: &[String], time: u64) -> Vec<Question> {
    let mut found = Vec::new();
    for namespace in namespaces {
        let unserved = format!(
            "reporter=\"source\",source_workload_namespace!=\"{namespace}\",destination_workload_namespace=\"unknown\",\
             destination_workload=\"unknown\",destination_service=~\"^.+\\\\.{namespace}\\\\..+$\""
        );
        let incoming = format!("reporter=\"destination\",destination_workload_namespace=\"{namespace}\"");
        let outgoing = format!("reporter=\"source\",source_workload_namespace=\"{namespace}\"");
        for selector in [&unserved, &incoming, &outgoing] {
            let ended = "request_protocol,response_code,grpc_response_status,response_flags";
            found.push(rate("istio_requests_total", selector, &format!("{GROUPING},{ended}"), time));
        }
        for selector in [&unserved, &incoming, &outgoing] {
            let by = format!("app,{GROUPING},response_flags");
            found.push(rate("istio_tcp_sent_bytes_total", selector, &by, time));
        }
    }
    found
}

fn rate(metric: &str, selector: &str, by: &str, time: u64) -> Question {
    Question::at(&format!("round(sum(rate({metric}{{{selector}}} [60s])) by ({by}) > 0,0.001)"), time)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn variables_are_replaced() {
        let query = "irate(m{a=\"$service\",b=~\"${cluster:regex}\",c=~\"$ns\"}[$__rate_interval]) > $x";
        let want = "irate(m{a=\"a.b\",b=~\".*\",c=~\".*\"}[60s]) > .*";
        assert_eq!(replaced(query, "a.b"), want);
    }

    #[test]
    fn panels_in_rows_are_asked_for_too() {
        let dashboard = json!({"panels": [
            {"targets": [{"expr": "up", "instant": true}]},
            {"panels": [{"targets": [{"expr": "a b"}, {"refId": "none"}]}]},
        ]});
        let found = of_dashboard(&dashboard, "h", 10, 70).expect("there are queries");
        let paths: Vec<&str> = found.iter().map(|question| question.path.as_str()).collect();
        let range = "/api/v1/query_range?query=a+b&start=10&end=70&step=15";
        assert_eq!(paths, ["/api/v1/query?query=up&time=70", range]);
        assert!(of_dashboard(&json!({}), "h", 10, 70).is_err());
    }

    #[test]
    fn kiali_asks_six_queries_of_each_namespace() {
        assert_eq!(of_kiali(&["a".to_owned(), "b".to_owned()], 7).len(), 12);
    }
}
