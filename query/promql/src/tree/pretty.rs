//! A tree written over several lines, as Prometheus's `format_query` answers it: what fits on a line of 100 characters
//! stays on one, anything longer is split at its parentheses or its operator, two spaces a level.

use super::{Aggregation, Binary, Expr, Node, Sign};

/// Characters of a line; Prometheus's.
const LINE_CHARS_MAX: usize = 100;

impl Expr {
    /// The text over as many lines as it needs.
    pub fn pretty(&self) -> String {
        self.at_level(0)
    }

    fn at_level(&self, level: usize) -> String {
        let indent = indent(level);
        let line = self.to_string();
        // Prometheus counts bytes.
        let fits = line.len() <= LINE_CHARS_MAX;
        match &self.node {
            Node::Subquery(_) if fits => line,
            Node::Subquery(subquery) => {
                // What stands behind the operand is the same however it is written.
                let suffix = &line[subquery.operand.to_string().len()..];
                format!("{}{suffix}", subquery.operand.at_level(level))
            }
            Node::Sign(sign, operand) => {
                let sign = if *sign == Sign::Minus { '-' } else { '+' };
                format!("{indent}{sign}{}", operand.at_level(level).trim())
            }
            _ if fits => format!("{indent}{line}"),
            Node::Aggregation(aggregation) => aggregation.split(level),
            Node::Binary(binary) => binary.split(level),
            Node::Call(function, arguments) => {
                let arguments: Vec<String> =
                    arguments.iter().map(|argument| argument.at_level(level + 1)).collect();
                format!("{indent}{}(\n{}\n{indent})", function.name, arguments.join(",\n"))
            }
            Node::Parenthesis(inner) => format!("{indent}(\n{}\n{indent})", inner.at_level(level + 1)),
            Node::Number(_) | Node::Text(_) | Node::Selector(_) | Node::Range(..) => {
                format!("{indent}{line}")
            }
        }
    }
}

impl Aggregation {
    fn split(&self, level: usize) -> String {
        let indent = indent(level);
        let parameter = self.parameter.as_ref();
        let parameter = parameter.map_or_else(String::new, |parameter| parameter.at_level(level + 1) + ",\n");
        let operand = self.operand.at_level(level + 1);
        format!("{indent}{}(\n{parameter}{operand}\n{indent})", self.head())
    }
}

impl Binary {
    fn split(&self, level: usize) -> String {
        let (left, right) = (self.left.at_level(level + 1), self.right.at_level(level + 1));
        format!("{left}\n{}{}\n{right}", indent(level), self.between())
    }
}

fn indent(level: usize) -> String {
    "  ".repeat(level)
}

#[cfg(test)]
mod tests {
    use crate::parse::parse;

    fn check(query: &str, want: &str) {
        let tree = parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
        let pretty = tree.pretty();
        assert_eq!(pretty, want, "{query}");
        assert_eq!(parse(&pretty).unwrap().to_string(), tree.to_string(), "it reads back as itself");
    }

    /// As `promtool promql format` of Prometheus 0.316.0 answers.
    #[test]
    fn long_queries_are_split_as_prometheus_splits_them() {
        check("sum( foo )by(x)", "sum by (x) (foo)");
        let selector =
            "http_requests_total{job=\"a-rather-long-job-name\",namespace=\"and-a-long-namespace\"}";
        check(
            &format!("sum by (job, namespace) (rate({selector}[5m])) / sum by (job) (rate({selector}[5m]))"),
            &format!(
                "  sum by (job, namespace) (\n    rate({selector}[5m])\n  )\n/\n  sum by (job) (\n    rate({selector}[5m])\n  )"
            ),
        );
        check(
            &format!("topk(5, -({selector} > on (job) group_left () other_metric_of_the_same_job))"),
            &format!(
                "topk(\n  5,\n  -(\n      {selector}\n    > on (job) group_left ()\n      other_metric_of_the_same_job\n  )\n)"
            ),
        );
        check(
            &format!("max_over_time(sum by (namespace_of_it) (rate({selector}[5m]))[1h:1m] offset 5m)"),
            &format!(
                "max_over_time(\n  sum by (namespace_of_it) (\n    rate({selector}[5m])\n  )[1h:1m] offset 5m\n)"
            ),
        );
        // A subquery that fits is not indented there either.
        check(
            &format!("max_over_time({selector}[1h:1m] offset 5m) + 1"),
            &format!("  max_over_time(\n{selector}[1h:1m] offset 5m\n  )\n+\n  1"),
        );
    }

    #[test]
    fn a_line_has_a_hundred_characters() {
        let line = format!("abs({})", "m".repeat(95));
        assert_eq!(line.len(), 100);
        check(&line, &line);
        check(&format!("abs({})", "m".repeat(96)), &format!("abs(\n  {}\n)", "m".repeat(96)));
    }
}
