//! The attributes that a query asks for, as texts with numbers, for a search that compares numbers.
//!
//! Limits: of more than 64 conjuncts the first ones are searched, and the rows found may be too many.

/// Conjuncts that are told apart, a bit each.
const CONJUNCTS_MAX: usize = 64;

/// A key and a value.
pub type Attribute = (String, String);

/// Of each conjunct a row must have one attribute.
#[derive(Debug)]
pub struct Wanted {
    pub keys: Texts,
    pub values: Texts,
    /// Numbers of value and key, ascending, with a bit for each conjunct that is content with the two.
    attributes: Vec<((u32, u32), u64)>,
    /// The conjuncts that are searched.
    pub conjuncts: u64,
    /// Whether these are all.
    pub is_whole: bool,
}

impl Wanted {
    pub fn new(conjuncts: &[Vec<Attribute>]) -> Self {
        let is_whole = conjuncts.len() <= CONJUNCTS_MAX;
        let conjuncts = &conjuncts[..conjuncts.len().min(CONJUNCTS_MAX)];
        let keys = Texts::new(conjuncts.iter().flatten().map(|(key, _)| key.as_str()));
        let values = Texts::new(conjuncts.iter().flatten().map(|(_, value)| value.as_str()));
        let mut attributes = Vec::new();
        let mut all = 0;
        for (i, conjunct) in conjuncts.iter().enumerate() {
            all |= 1 << i;
            for (key, value) in conjunct {
                let numbers = values.number_of(value.as_bytes()).zip(keys.number_of(key.as_bytes()));
                attributes.extend(numbers.map(|numbers| (numbers, 1 << i)));
            }
        }
        attributes.sort_unstable();
        Wanted { keys, values, attributes, conjuncts: all, is_whole }
    }

    /// The conjuncts that are content with a value and a key, by their numbers.
    pub fn content(&self, value: u32, key: u32) -> u64 {
        let first = self.attributes.partition_point(|(numbers, _)| *numbers < (value, key));
        let same = self.attributes[first..].iter().take_while(|(numbers, _)| *numbers == (value, key));
        same.fold(0, |content, (_, conjunct)| content | conjunct)
    }
}

/// Different texts, each with its number.
#[derive(Debug)]
pub struct Texts {
    /// By length, then bytes. A text's place is its number.
    sorted: Vec<Vec<u8>>,
    /// By [`print_of`]: whether a text has that print. Spares most comparisons.
    has_print: Box<[bool; 256]>,
}

impl Texts {
    pub fn new<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut sorted: Vec<Vec<u8>> = texts.map(|text| text.as_bytes().to_vec()).collect();
        sorted.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
        sorted.dedup();
        let mut has_print = Box::new([false; 256]);
        for text in &sorted {
            has_print[usize::from(print_of(text))] = true;
        }
        Texts { sorted, has_print }
    }

    /// None for another text, as most are.
    pub fn number_of(&self, text: &[u8]) -> Option<u32> {
        if !self.has_print[usize::from(print_of(text))] {
            return None;
        }
        let place = self.sorted.binary_search_by(|other| (other.len(), &**other).cmp(&(text.len(), text)));
        u32::try_from(place.ok()?).ok()
    }
}

/// Of texts of one length, those of different ends differ.
fn print_of(text: &[u8]) -> u8 {
    (text.len() as u8).wrapping_mul(31) ^ text.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_one_print_are_told_apart() {
        let texts = Texts::new(["val_1", "", "w", "val_1"].into_iter());
        let numbers =
            ["", "w", "val_1", "lav_1", "val_2", "v", "1"].map(|text| texts.number_of(text.as_bytes()));
        assert_eq!(numbers, [Some(0), Some(1), Some(2), None, None, None, None]);
    }

    #[test]
    fn a_conjunct_is_content_with_its_own_pairs() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let wanted =
            Wanted::new(&[vec![pair("k", "a"), pair("l", "b")], vec![pair("k", "a"), pair("k", "b")]]);
        let content = |key: &str, value: &str| {
            let numbers =
                wanted.values.number_of(value.as_bytes()).zip(wanted.keys.number_of(key.as_bytes()));
            numbers.map(|(value, key)| wanted.content(value, key))
        };
        assert_eq!(wanted.conjuncts, 0b11);
        assert_eq!([content("k", "a"), content("k", "b")], [Some(0b11), Some(0b10)]);
        assert_eq!([content("l", "a"), content("l", "b")], [Some(0), Some(0b01)]);
        assert_eq!(content("m", "a"), None);
    }

    #[test]
    fn of_many_conjuncts_the_first_ones_are_searched() {
        let conjunct = vec![("k".to_owned(), "v".to_owned())];
        assert_eq!(Wanted::new(&vec![conjunct.clone(); CONJUNCTS_MAX - 1]).conjuncts, u64::MAX >> 1);
        assert_eq!(Wanted::new(&vec![conjunct.clone(); CONJUNCTS_MAX]).conjuncts, u64::MAX);
        assert!(Wanted::new(&vec![conjunct.clone(); CONJUNCTS_MAX]).is_whole);
        let too_many = Wanted::new(&vec![conjunct; CONJUNCTS_MAX + 1]);
        assert_eq!((too_many.conjuncts, too_many.is_whole), (u64::MAX, false));
    }
}
