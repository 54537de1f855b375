//! The page of metrics that is being written: Prometheus' text exposition format, version 0.0.4.
//!
//! Written by hand: the numbers are kept by the parts themselves, and a registry would only hold them twice. Each
//! part writes the families that it owns, so it stands here, below all of them. Limits: no time stamps, no exemplars.
//!
//! Source: Prometheus, "Exposition formats", text-based format.

use std::fmt::{Arguments, Display, Write as _};

/// The media type of a page.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4";

/// A page of families, each with its samples behind it.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
}

impl Page {
    /// Begins a family; its samples follow.
    pub fn family(&mut self, name: &str, kind: &str, help: &str) {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    /// One sample of the family that was begun last. Values of labels are escaped.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<String> =
            labels.iter().map(|(key, text)| format!("{key}=\"{}\"", escaped(text))).collect();
        match labels.is_empty() {
            true => self.line(format_args!("{name} {value}")),
            false => self.line(format_args!("{name}{{{}}} {value}", labels.join(","))),
        }
    }

    /// A family of one sample without labels.
    pub fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    /// The page as it is served.
    pub fn into_text(self) -> String {
        self.text
    }

    fn line(&mut self, line: Arguments<'_>) {
        writeln!(self.text, "{line}").expect("writing to a String cannot fail");
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_follow_the_text_format() {
        let mut page = Page::default();
        page.single("a_total", "counter", "Things.", 3);
        page.sample("b", &[("x", "1"), ("y", "z")], 0.5);
        let want = "# HELP a_total Things.\n# TYPE a_total counter\na_total 3\nb{x=\"1\",y=\"z\"} 0.5\n";
        assert_eq!(page.into_text(), want);
    }

    #[test]
    fn what_would_end_a_value_or_a_line_is_escaped() {
        let mut page = Page::default();
        page.family("a", "gauge", "C:\\ and\nmore \"words\"");
        page.sample("a", &[("path", "C:\\x\n\"y\"")], 1);
        let want =
            "# HELP a C:\\\\ and\\nmore \"words\"\n# TYPE a gauge\na{path=\"C:\\\\x\\n\\\"y\\\"\"} 1\n";
        assert_eq!(page.into_text(), want);
    }
}
