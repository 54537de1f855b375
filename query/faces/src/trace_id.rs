//! A trace's id as people and programs write it.

/// Digits of a W3C trace id.
const DIGITS: usize = 32;

/// Its 32 digits in lower case, of 1 to 32 in any: zeros that it begins with may be missing, as Jaeger and Zipkin leave out those
/// of an id of 64 bits. None for what is no id; an id of zeros is none.
pub fn parse(text: &str) -> Option<String> {
    let is_digits = (1..=DIGITS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = format!("{:0>DIGITS$}", text.to_ascii_lowercase());
    (is_digits && id.bytes().any(|digit| digit != b'0')).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_hexadecimal_and_filled_up() {
        let whole = "0af7651916cd43dd8448eb211c80319c";
        for text in [whole, &whole.to_uppercase(), &whole[1..]] {
            assert_eq!(parse(text).as_deref(), Some(whole), "{text}");
        }
        for bad in ["", "xyz", "0", &"0".repeat(32), &"a".repeat(33), "a' OR 1=1"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
