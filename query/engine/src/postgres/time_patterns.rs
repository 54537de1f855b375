//! Patterns of times as PostgreSQL writes them (`YYYY-MM-DD HH24:MI:SS`), in the engine's spelling (`%Y-%m-%d %H:%M:%S`).
//!
//! A pattern with `%` in it is the engine's own and stays. Source: PostgreSQL 16, "Data Type Formatting Functions".
//! Limits: what the engine cannot write as PostgreSQL does (`Month` with blanks behind, `Q`, `J`) stays as it is, as
//! PostgreSQL leaves what it does not know.

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Value,
};

/// Functions whose second argument is a pattern.
const FUNCTIONS: [&str; 3] = ["to_char", "to_timestamp", "to_date"];

/// PostgreSQL's spelling and the engine's; what begins as another does comes before it.
const PATTERNS: [(&str, &str); 27] = [
    ("FMMonth", "%B"),
    ("FMDay", "%A"),
    ("IYYY", "%G"),
    ("YYYY", "%Y"),
    ("yyyy", "%Y"),
    ("HH24", "%H"),
    ("hh24", "%H"),
    ("HH12", "%I"),
    ("hh12", "%I"),
    ("DDD", "%j"),
    ("Mon", "%b"),
    ("OF", "%:::z"),
    ("TZ", "%Z"),
    ("IW", "%V"),
    ("YY", "%y"),
    ("MM", "%m"),
    ("mm", "%m"),
    ("DD", "%d"),
    ("dd", "%d"),
    ("Dy", "%a"),
    ("HH", "%I"),
    ("MI", "%M"),
    ("mi", "%M"),
    ("SS", "%S"),
    ("ss", "%S"),
    ("MS", "%3f"),
    ("US", "%6f"),
];

/// Rewrites the pattern that `function` is called with, if it is one of [`FUNCTIONS`].
pub fn respell_pattern(function: &mut Function) {
    let name = function.name.to_string().to_ascii_lowercase();
    let FunctionArguments::List(list) = &mut function.args else { return };
    let [_, FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(pattern)))] = list.args.as_mut_slice()
    else {
        return;
    };
    if let Value::SingleQuotedString(pattern) = &mut pattern.value
        && FUNCTIONS.contains(&name.as_str())
        && !pattern.contains('%')
    {
        *pattern = respelled(pattern);
    }
}

fn respelled(pattern: &str) -> String {
    let mut out = String::with_capacity(2 * pattern.len());
    let mut rest = pattern;
    while let Some(next) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let end = quoted.find('"').unwrap_or(quoted.len());
            out.push_str(&quoted[..end]);
            rest = quoted.get(end + 1..).unwrap_or_default();
        } else if let Some((known, ours)) = PATTERNS.iter().find(|(known, _)| rest.starts_with(known)) {
            out.push_str(ours);
            rest = &rest[known.len()..];
        } else if let Some(behind) = rest.strip_prefix("AM").or(rest.strip_prefix("PM")) {
            out.push_str("%p");
            rest = behind;
        } else if let Some(behind) = rest.strip_prefix("am").or(rest.strip_prefix("pm")) {
            out.push_str("%P");
            rest = behind;
        } else {
            out.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_spelled_as_the_engine_reads_them() {
        let cases = [
            ("YYYY-MM-DD HH24:MI:SS.US", "%Y-%m-%d %H:%M:%S.%6f"),
            ("DD Mon YY, HH12:MI am", "%d %b %y, %I:%M %P"),
            ("IYYY-\"W\"IW", "%G-W%V"),
            ("YYYY\"T\"HH24", "%YT%H"),
            ("é", "é"),
        ];
        for (pattern, want) in cases {
            assert_eq!(respelled(pattern), want);
        }
    }
}
