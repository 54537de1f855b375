//! Several tests in one answer: the chance that any of them cries wolf stays what one's is.
//!
//! Of twenty versions that are all alike one differs by chance at 5 %. Holm's correction is used, as it assumes nothing
//! of how the tests depend on each other and is never weaker than Bonferroni's.

/// Each p-value as if it were the only one, in the order given.
///
/// Source: Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979).
pub fn adjusted(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest: f64 = 0.0;
    for (place, at) in order.into_iter().enumerate() {
        let left = (p_values.len() - place) as f64;
        largest = largest.max((p_values[at] * left).min(1.0));
        adjusted[at] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 4 * 0.01, 3 * 0.013, which may not be less than the one before, 2 * 0.04 and 1 * 0.9.
    #[test]
    fn the_smallest_is_multiplied_the_most_and_order_is_kept() {
        assert_eq!(adjusted(&[0.9, 0.01, 0.04, 0.013]), [0.9, 0.04, 0.08, 0.04]);
        assert_eq!(adjusted(&[0.7, 0.6]), [1.0, 1.0]);
        assert_eq!(adjusted(&[]), [0.0; 0]);
        assert_eq!(adjusted(&[0.03]), [0.03]);
    }
}
