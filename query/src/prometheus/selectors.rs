//! Selectors as requests carry them, made into matchers within the budget of the question.
//!
//! A regular expression of a few bytes can take a tenth of a second and megabytes to compile, and a request may hold
//! hundreds. So faces hand on texts and conditions, and they are compiled here, where there is a deadline and a limit.

use meshlake_promql::{Comparison, Error, Matcher, parse_selector_within};
use meshlake_schema::budget::Holding;
use meshlake_schema::go_regex::Unfit;

/// A matcher that is not made yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub name: String,
    pub comparison: Comparison,
    pub value: String,
}

/// The matchers of `match[]`, each of which matches something by a value; none without selectors.
///
/// # Errors
/// [`Error::BadData`] for what is no selector, and those of time and memory.
pub fn sets_of(selectors: &[String], held: &mut Holding<'_>) -> Result<Vec<Vec<Matcher>>, Error> {
    let sets = any_sets_of(selectors, held)?;
    if sets.iter().any(|set| set.iter().all(|matcher| matcher.matches(""))) {
        return Err(Error::BadData("match[] must contain at least one non-empty matcher".to_owned()));
    }
    Ok(sets)
}

/// The same, but any may match all that there is, as federation takes it.
///
/// # Errors
/// As [`sets_of`].
pub fn any_sets_of(selectors: &[String], held: &mut Holding<'_>) -> Result<Vec<Vec<Matcher>>, Error> {
    selectors.iter().map(|text| parse_selector_within(text, held)).collect()
}

/// The matchers of conditions.
///
/// # Errors
/// As [`sets_of`].
pub fn matchers_of(conditions: &[Condition], held: &mut Holding<'_>) -> Result<Vec<Matcher>, Error> {
    let matcher = |condition: &Condition| {
        let Condition { name, comparison, value } = condition;
        Matcher::within(name, *comparison, value, held).map_err(|unfit| match unfit {
            Unfit::Wrong(text) => Error::BadData(text),
            Unfit::Spent(spent) => spent.into(),
        })
    };
    conditions.iter().map(matcher).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use meshlake_schema::budget::Allowance;

    use super::*;

    #[test]
    fn selectors_are_made_and_select_something_where_they_have_to() {
        let sets = |texts: &[&str]| {
            let budget = Allowance::new(1 << 20, None);
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            sets_of(&texts, &mut Holding::new(&budget)).map(|sets| sets.len())
        };
        assert_eq!(sets(&["up", "{job=\"a\"}"]), Ok(2));
        assert_eq!(sets(&[]), Ok(0));
        let empty = "match[] must contain at least one non-empty matcher";
        assert_eq!(sets(&["up", "{job=~\".*\"}"]), Err(Error::BadData(empty.to_owned())));
        assert!(matches!(sets(&["up{"]), Err(Error::BadData(_))));
        let budget = Allowance::new(1 << 20, None);
        let any = any_sets_of(&["{}".to_owned()], &mut Holding::new(&budget)).expect("it is a selector");
        assert_eq!(any, [Vec::new()]);
    }

    #[test]
    fn expressions_take_what_the_question_may_take() {
        let heavy =
            Condition { name: "a".to_owned(), comparison: Comparison::Regex, value: r"\pL{30}".to_owned() };
        let made = |count: usize, bytes: usize, time: Option<Duration>| {
            let budget = Allowance::new(bytes, time);
            matchers_of(&vec![heavy.clone(); count], &mut Holding::new(&budget)).map(|made| made.len())
        };
        assert_eq!(made(3, 24 << 20, None), Ok(3));
        assert!(matches!(made(4, 24 << 20, None), Err(Error::Execution(text)) if text.contains("memory")));
        assert!(matches!(made(1, 24 << 20, Some(Duration::ZERO)), Err(Error::Timeout(_))));
    }
}
