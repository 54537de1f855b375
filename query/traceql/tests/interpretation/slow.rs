//! What a query means, by definition: every span against every other, sets as sets, values looked up by name.

use std::collections::BTreeSet;

use crate::data::{Keyed, Made, One, Plain};
use crate::language::{Expr, Number, Set, Stage};
use crate::plain::{aggregate, compare, compute, double, matches};

pub type Group = BTreeSet<usize>;

/// Spans, and the values of `by()`.
pub type Groups = Vec<(Group, Vec<Plain>)>;

pub struct Slow<'a>(pub &'a Made);

/// An event and a link.
type At = (Option<usize>, Option<usize>);

impl Slow<'_> {
    fn span(&self, at: usize) -> &One {
        &self.0.spans[at]
    }

    fn parent(&self, at: usize) -> Option<usize> {
        let parent = self.span(at).parent.as_ref()?;
        (0..self.0.spans.len()).find(|other| self.span(*other).id == *parent)
    }

    fn is_below(&self, at: usize, above: usize) -> bool {
        self.parent(at).is_some_and(|parent| parent == above || self.is_below(parent, above))
    }

    fn stands(&self, relation: &str, left: usize, right: usize) -> bool {
        match relation {
            ">" => self.parent(right) == Some(left),
            "<" => self.parent(left) == Some(right),
            ">>" => self.is_below(right, left),
            "<<" => self.is_below(left, right),
            _ => {
                left != right
                    && self.span(left).parent.is_some()
                    && self.span(left).parent == self.span(right).parent
            }
        }
    }

    /// Spans in the order of a walk from the tops, children by start, the longer first, then by id.
    fn walk(&self) -> Vec<(usize, bool)> {
        let mut steps = Vec::new();
        let all: Group = (0..self.0.spans.len()).collect();
        let tops = all.iter().copied().filter(|at| self.parent(*at).is_none()).collect();
        self.walk_from(tops, &mut steps);
        steps
    }

    fn walk_from(&self, mut spans: Vec<usize>, steps: &mut Vec<(usize, bool)>) {
        spans.sort_by_key(|at| (self.span(*at).start, -self.span(*at).duration, self.span(*at).id.clone()));
        for at in spans {
            steps.push((at, true));
            self.walk_from(self.children(at), steps);
            steps.push((at, false));
        }
    }

    fn children(&self, at: usize) -> Vec<usize> {
        (0..self.0.spans.len()).filter(|other| self.parent(*other) == Some(at)).collect()
    }

    fn step(&self, at: usize, is_in: bool) -> i64 {
        self.walk().iter().position(|step| *step == (at, is_in)).expect("every span is walked through") as i64
            + 1
    }

    fn root(&self) -> Option<&One> {
        self.0
            .spans
            .iter()
            .filter(|span| span.parent.is_none())
            .min_by_key(|span| (span.start, span.id.clone()))
    }

    fn field(&self, name: &str, at: usize, (event, link): At) -> Plain {
        if let Some(rest) = name.strip_prefix("parent.") {
            let Some(parent) = self.parent(at) else { return Plain::Nil };
            let is_other =
                ["name", "duration", "childCount"].contains(&rest) || rest.starts_with("resource.");
            let name = if is_other { rest.to_owned() } else { format!(".{rest}") };
            return self.field(&name, parent, (event, link));
        }
        let span = self.span(at);
        let text = |text: &str| Plain::Text(text.to_owned());
        let get = |keyed: &Keyed, key: &str| keyed.get(key).cloned().unwrap_or(Plain::Nil);
        if let Some((scope, key)) = name.split_once('.') {
            return match scope {
                "" if get(&span.attributes, key) != Plain::Nil => get(&span.attributes, key),
                "" | "resource" => get(&span.resource, key),
                "span" => get(&span.attributes, key),
                "instrumentation" => get(&span.instrumentation, key),
                "event" => self.of_event(at, event, |event| get(&event.attributes, key)),
                _ => self.of_link(at, link, |link| get(&link.attributes, key)),
            };
        }
        match name {
            "name" => text(&span.name),
            "statusMessage" => text(&span.message),
            "span:id" => text(&span.id),
            "span:parentID" => span.parent.as_deref().map_or(Plain::Nil, text),
            "rootName" => self.root().map_or(Plain::Nil, |root| text(&root.name)),
            "rootServiceName" => {
                self.root().and_then(|root| root.service.as_deref()).map_or(Plain::Nil, text)
            }
            "instrumentation:name" => text(&span.scope),
            "event:name" => self.of_event(at, event, |event| text(&event.name)),
            "event:timeSinceStart" => self.of_event(at, event, |event| {
                if event.time == 0 { Plain::Nil } else { Plain::Nanos(event.time - span.start) }
            }),
            "link:spanID" => self.of_link(at, link, |link| text(&link.span)),
            "status" => Plain::Status(span.status),
            "kind" => Plain::Kind(span.kind),
            "duration" => Plain::Nanos(span.duration),
            "traceDuration" => {
                let end =
                    self.0.spans.iter().map(|span| span.start + span.duration).max().unwrap_or_default();
                let start = self.0.spans.iter().map(|span| span.start).min().unwrap_or_default();
                Plain::Nanos(end - start)
            }
            "childCount" => Plain::Int(self.children(at).len() as i64),
            "nestedSetLeft" => Plain::Int(self.step(at, true)),
            "nestedSetRight" => Plain::Int(self.step(at, false)),
            "nestedSetParent" => match (self.parent(at), &span.parent) {
                (Some(parent), _) => Plain::Int(self.step(parent, true)),
                (None, None) => Plain::Int(-1),
                (None, Some(_)) => Plain::Int(0),
            },
            other => panic!("{other} is no field"),
        }
    }

    fn of_event(
        &self,
        at: usize,
        event: Option<usize>,
        value: impl Fn(&crate::data::Event) -> Plain,
    ) -> Plain {
        let events = &self.span(at).events;
        match event {
            Some(event) => value(&events[event]),
            None => events.iter().map(value).find(|value| *value != Plain::Nil).unwrap_or(Plain::Nil),
        }
    }

    fn of_link(&self, at: usize, link: Option<usize>, value: impl Fn(&crate::data::Link) -> Plain) -> Plain {
        let links = &self.span(at).links;
        match link {
            Some(link) => value(&links[link]),
            None => links.iter().map(value).find(|value| *value != Plain::Nil).unwrap_or(Plain::Nil),
        }
    }

    fn value(&self, expr: &Expr, at: usize, element: At) -> Plain {
        match expr {
            Expr::Value(value) => value.clone(),
            Expr::Field(name) => self.field(name, at, element),
            Expr::Minus(inner) => match self.value(inner, at, element) {
                Plain::Int(value) => Plain::Int(-value),
                Plain::Float(value) => Plain::Float(-value),
                Plain::Nanos(value) => Plain::Nanos(-value),
                _ => Plain::Nil,
            },
            Expr::Binary(sign @ ("+" | "-" | "*" | "/" | "%"), left, right) => {
                compute(sign, &self.value(left, at, element), &self.value(right, at, element))
            }
            condition => Plain::Bool(self.holds(condition, at)),
        }
    }

    pub fn holds(&self, expr: &Expr, at: usize) -> bool {
        match expr {
            Expr::Not(inner) => return !self.holds(inner, at),
            Expr::Binary("&&", left, right) => return self.holds(left, at) && self.holds(right, at),
            Expr::Binary("||", left, right) => return self.holds(left, at) || self.holds(right, at),
            // Nothing to be had is that no event and no link has it.
            Expr::Binary("=", operand, nil) if matches!(**nil, Expr::Value(Plain::Nil)) => {
                let exists = Expr::Binary("!=", operand.clone(), nil.clone());
                return !self.holds(&exists, at);
            }
            _ => {}
        }
        let text = expr.to_string();
        let range = |is_asked: bool, count: usize| {
            if is_asked { (0..count).map(Some).collect::<Vec<_>>() } else { vec![None] }
        };
        let events = range(text.contains("event"), self.span(at).events.len());
        let links = range(text.contains("link"), self.span(at).links.len());
        let pairs = events.iter().flat_map(|event| links.iter().map(move |link| (*event, *link)));
        pairs.into_iter().any(|element| self.holds_for(expr, at, element))
    }

    fn holds_for(&self, expr: &Expr, at: usize, element: At) -> bool {
        match expr {
            Expr::Binary("!=", operand, nil) if matches!(**nil, Expr::Value(Plain::Nil)) => {
                self.value(operand, at, element) != Plain::Nil
            }
            Expr::Binary(sign, left, right) => {
                compare(sign, &self.value(left, at, element), &self.value(right, at, element))
            }
            Expr::Matches(is_negated, operand, pattern) => match self.value(operand, at, element) {
                Plain::Text(text) => matches(pattern, &text) != *is_negated,
                Plain::List(items) => {
                    let any =
                        items.iter().any(|item| matches!(item, Plain::Text(text) if matches(pattern, text)));
                    any != *is_negated
                }
                _ => false,
            },
            field => self.value(field, at, element) == Plain::Bool(true),
        }
    }

    pub fn stages(&self, stages: &[Stage], spans: &Group) -> Groups {
        let mut groups: Groups = vec![(spans.clone(), Vec::new())];
        for stage in stages {
            groups = match stage {
                Stage::Set(set) => {
                    groups.into_iter().map(|(spans, by)| (self.set(set, &spans), by)).collect()
                }
                Stage::By(expr) => groups.iter().flat_map(|group| self.parted(expr, group)).collect(),
                Stage::Coalesce => vec![(groups.into_iter().flat_map(|group| group.0).collect(), Vec::new())],
                Stage::Select(_) => groups,
            };
            groups.retain(|group| !group.0.is_empty());
        }
        groups
    }

    fn parted(&self, expr: &Expr, (spans, by): &(Group, Vec<Plain>)) -> Groups {
        let mut parts: Groups = Vec::new();
        for at in spans {
            let value = self.value(expr, *at, (None, None));
            let key = [by.as_slice(), &[value]].concat();
            match parts.iter_mut().find(|part| part.1 == key) {
                Some(part) => drop(part.0.insert(*at)),
                None => parts.push((Group::from([*at]), key)),
            }
        }
        parts
    }

    fn set(&self, set: &Set, spans: &Group) -> Group {
        match set {
            Set::Filter(None) => spans.clone(),
            Set::Filter(Some(expr)) => spans.iter().copied().filter(|at| self.holds(expr, *at)).collect(),
            Set::Compare(sign, left, right) => {
                let holds = compare(sign, &self.number(left, spans), &self.number(right, spans));
                if holds { spans.clone() } else { Group::new() }
            }
            Set::Pipeline(stages) => {
                self.stages(stages, spans).into_iter().flat_map(|group| group.0).collect()
            }
            Set::Binary(sign, left, right) => {
                let (left, right) = (self.set(left, spans), self.set(right, spans));
                self.combined(sign, &left, &right)
            }
        }
    }

    fn combined(&self, sign: &str, left: &Group, right: &Group) -> Group {
        let both = || left | right;
        let relation = sign.trim_start_matches(['!', '&']);
        let has_left = |r: &usize| left.iter().any(|l| self.stands(relation, *l, *r));
        let has_right = |l: &usize| right.iter().any(|r| self.stands(relation, *l, *r));
        match sign {
            "&&" => {
                if left.is_empty() || right.is_empty() {
                    Group::new()
                } else {
                    both()
                }
            }
            "||" => both(),
            _ if sign.starts_with('!') => right.iter().copied().filter(|r| !has_left(r)).collect(),
            _ if sign.starts_with('&') => {
                let right = right.iter().copied().filter(has_left);
                right.chain(left.iter().copied().filter(has_right)).collect()
            }
            _ => right.iter().copied().filter(has_left).collect(),
        }
    }

    fn number(&self, number: &Number, spans: &Group) -> Plain {
        match number {
            Number::Value(value) => value.clone(),
            Number::Count => Plain::Int(spans.len() as i64),
            Number::Of(name, expr) => {
                let values: Vec<Plain> = spans.iter().map(|at| self.value(expr, *at, (None, None))).collect();
                aggregate(
                    name,
                    &values.into_iter().filter(|value| double(value).is_some()).collect::<Vec<_>>(),
                )
            }
            Number::Binary(sign, left, right) => {
                compute(sign, &self.number(left, spans), &self.number(right, spans))
            }
            Number::Left(stages, number) => {
                let left = self.stages(stages, spans).into_iter().flat_map(|group| group.0).collect();
                self.number(number, &left)
            }
        }
    }
}
