//! All fields that a query asks about, wherever they stand in it.

use super::expr::Expr;
use super::field::Field;
use super::series::Function;
use super::spans::{Pipeline, Scalar, Spansets, Stage};
use super::{Body, Query};

impl Query {
    /// The fields of conditions, aggregates, groups, `select()` and functions over time, each once, in the order in
    /// which they first come.
    pub fn fields(&self) -> Vec<&Field> {
        let mut fields = Fields::default();
        match &self.body {
            Body::Spans(pipeline) => fields.of_pipeline(pipeline),
            Body::Series(series) => {
                for over_time in series.over_time() {
                    fields.of_pipeline(&over_time.spans);
                    if let Some(measured) = over_time.function.measured() {
                        fields.of(measured);
                    }
                    if let Function::Compare { selection: Some(selection), .. } = &over_time.function {
                        fields.of(selection);
                    }
                    over_time.by.iter().for_each(|field| fields.push(field));
                }
            }
        }
        fields.0
    }
}

#[derive(Default)]
struct Fields<'q>(Vec<&'q Field>);

impl<'q> Fields<'q> {
    fn push(&mut self, field: &'q Field) {
        if !self.0.contains(&field) {
            self.0.push(field);
        }
    }

    fn of(&mut self, expr: &'q Expr) {
        expr.for_each_field(&mut |field| self.push(field));
    }

    fn of_pipeline(&mut self, pipeline: &'q Pipeline) {
        for stage in &pipeline.stages {
            match stage {
                Stage::Spansets(spansets) => self.of_spansets(spansets),
                Stage::By(expr) => self.of(expr),
                Stage::Coalesce => {}
                Stage::Select(fields) => fields.iter().for_each(|field| self.push(field)),
            }
        }
    }

    fn of_spansets(&mut self, spansets: &'q Spansets) {
        match spansets {
            Spansets::Filter(condition) => condition.iter().for_each(|expr| self.of(expr)),
            Spansets::Compare { left, right, .. } => {
                self.of_scalar(left);
                self.of_scalar(right);
            }
            Spansets::Pipeline(pipeline) => self.of_pipeline(pipeline),
            Spansets::And(left, right) | Spansets::Or(left, right) | Spansets::Structure(_, left, right) => {
                self.of_spansets(left);
                self.of_spansets(right);
            }
        }
    }

    fn of_scalar(&mut self, scalar: &'q Scalar) {
        match scalar {
            Scalar::Literal(_) => {}
            Scalar::Aggregate(aggregate) => aggregate.of.iter().for_each(|expr| self.of(expr)),
            Scalar::Pipeline(pipeline, scalar) => {
                self.of_pipeline(pipeline);
                self.of_scalar(scalar);
            }
            Scalar::Negative(inner) => self.of_scalar(inner),
            Scalar::Arithmetic(_, left, right) => {
                self.of_scalar(left);
                self.of_scalar(right);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::parse;

    #[test]
    fn fields_are_found_wherever_they_stand() {
        let check = |query: &str, want: &str| {
            let tree = parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
            let found: Vec<String> = tree.fields().into_iter().map(ToString::to_string).collect();
            assert_eq!(found.join(" "), want, "{query}");
        };
        check("{ }", "");
        check("{ .a = 1 && (.b = .a || !span.c) } >> { name = \"x\" }", ".a .b span.c name");
        check("{ .a } | by(.b) | coalesce() | select(.c, status)", ".a .b .c status");
        check("{ .a } | avg(.b) > max(.c)", ".a .b .c");
        check("({ .a } | sum(.b)) > ({ .c } | count())", ".a .b .c");
        check("{ .a } | rate() by (.b)", ".a .b");
        check("{ .a } | max_over_time(.b) | topk(2)", ".a .b");
        check("({ .a } | rate()) / ({ } | rate() by (.b))", ".a .b");
        check("{ .a } | compare({ .b })", ".a .b");
    }
}
