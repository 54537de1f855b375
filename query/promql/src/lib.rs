//! PromQL, pure: text -> syntax tree -> plan -> evaluation over a trait that gives samples.
