//! Text into tokens, for TraceQL and for languages that look like it.
//!
//! What differs between such languages is data, a [`Dialect`]: signs, comments, whether names have dots. All tokens are
//! made before any is parsed, so that a query's size is known first. A number and the unit behind it are one token, as
//! `1h30m`; a sign never is part of a number, since `1-1` is a difference.
//!
//! In a dialect with paths, a name of dots begins at a dot, or at a word with a dot right behind it, and goes on to white
//! space or one of [`PATH_ENDS`]: keys of attributes hold `-`, `/`, `:` and `*`, so `.a-1` is a name, and `.a - 1` a
//! difference. A part in quotes, right behind a dot, may hold anything.

use std::fmt;

/// What ends a name of dots beside white space.
pub const PATH_ENDS: &[char] = &['(', ')', '{', '}', ',', '=', '~', '!', '<', '>', '&', '|', '^', '"'];

/// What a language has of its own.
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    /// Signs and operators; one that begins with another stands before it.
    pub signs: &'static [&'static str],
    /// Goes on in a word if a letter follows, as in `span:name`.
    pub joins_words: Option<char>,
    pub has_paths: bool,
    /// Whether a number with a unit of bytes is a token.
    pub has_sizes: bool,
    /// What a comment begins with; it ends with its line.
    pub comment: &'static str,
    /// Bytes of a text.
    pub bytes_max: usize,
    /// Tokens of a text, its end not counted.
    pub tokens_max: usize,
    /// Parts of a text inside one another, as its parser counts them.
    pub depth_max: usize,
}

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// Letters, digits and `_`, the first no digit.
    Word,
    /// A name with dots.
    Path,
    /// In double quotes or backquotes.
    Text,
    Integer,
    Float,
    /// Numbers with units of time.
    Duration,
    /// A number with a unit of bytes, as `20MB`.
    Size,
    Sign(&'static str),
    End,
}

/// A token and where it stands, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    pub token: Token,
    pub start: usize,
    pub end: usize,
}

/// Something wrong at a place of the text, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    pub at: usize,
    pub text: String,
}

impl Mistake {
    pub fn new(at: usize, text: impl Into<String>) -> Mistake {
        Mistake { at, text: text.into() }
    }
}

/// The tokens of `text`, the last being its end.
///
/// # Errors
/// The first piece that is no token, or that the text is larger than the dialect allows.
pub fn tokens(text: &str, dialect: &Dialect) -> Result<Vec<Placed>, Mistake> {
    if text.len() > dialect.bytes_max {
        let (length, most) = (text.len(), dialect.bytes_max);
        return Err(Mistake::new(0, format!("a query of {length} bytes is longer than {most}")));
    }
    let mut reader = Reader { text, at: 0, dialect };
    let mut tokens = Vec::new();
    loop {
        reader.skip_space_and_comments();
        let start = reader.at;
        let token = reader.next()?;
        tokens.push(Placed { token, start, end: reader.at });
        if token == Token::End {
            return Ok(tokens);
        }
        if tokens.len() > dialect.tokens_max {
            let message = format!("a query has at most {} tokens", dialect.tokens_max);
            return Err(Mistake::new(start, message));
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    dialect: &'a Dialect,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take_while(&mut self, is_wanted: impl Fn(char) -> bool) {
        let length = self.rest().find(|c| !is_wanted(c)).unwrap_or(self.rest().len());
        self.at += length;
    }

    fn skip_space_and_comments(&mut self) {
        loop {
            self.take_while(char::is_whitespace);
            if !self.rest().starts_with(self.dialect.comment) {
                return;
            }
            self.take_while(|c| c != '\n');
        }
    }

    fn next(&mut self) -> Result<Token, Mistake> {
        let Some(first) = self.peek() else { return Ok(Token::End) };
        let second = self.rest()[first.len_utf8()..].chars().next();
        if first.is_ascii_digit() || first == '.' && second.is_some_and(|c| c.is_ascii_digit()) {
            return self.number();
        }
        if is_word_start(first) {
            return self.word_or_path();
        }
        if first == '.' && self.dialect.has_paths {
            return self.path();
        }
        if matches!(first, '"' | '`') {
            self.text_in(first)?;
            return Ok(Token::Text);
        }
        let sign = self.dialect.signs.iter().find(|sign| self.rest().starts_with(**sign));
        let Some(sign) = sign else {
            return Err(Mistake::new(self.at, format!("unexpected character {first:?}")));
        };
        self.at += sign.len();
        Ok(Token::Sign(sign))
    }

    fn word_or_path(&mut self) -> Result<Token, Mistake> {
        loop {
            self.take_while(is_word_char);
            let mut next = self.rest().chars();
            let joins = next.next().is_some_and(|c| self.dialect.joins_words == Some(c));
            if !joins || !next.next().is_some_and(is_word_start) {
                break;
            }
            self.at += 1;
        }
        if self.dialect.has_paths && self.peek() == Some('.') { self.path() } else { Ok(Token::Word) }
    }

    /// From a dot on.
    fn path(&mut self) -> Result<Token, Mistake> {
        loop {
            let start = self.at;
            self.take_while(is_path_char);
            if self.text[start..self.at].ends_with('.') && self.peek() == Some('"') {
                self.text_in('"')?;
            }
            if !self.peek().is_some_and(is_path_char) {
                break;
            }
        }
        if self.text[..self.at].ends_with('.') {
            return Err(Mistake::new(self.at, "a name of an attribute is missing behind the dot"));
        }
        if self.peek() == Some('"') {
            return Err(Mistake::new(self.at, "a part of a name in quotes begins right behind a dot"));
        }
        Ok(Token::Path)
    }

    /// A text from its opening quote on.
    fn text_in(&mut self, quote: char) -> Result<(), Mistake> {
        let open = self.at;
        let mut is_escaped = false;
        for (offset, c) in self.text[open + 1..].char_indices() {
            if c == quote && !is_escaped {
                self.at = open + 1 + offset + 1;
                return Ok(());
            }
            is_escaped = c == '\\' && quote == '"' && !is_escaped;
        }
        Err(Mistake::new(open, "a quote is not closed"))
    }

    fn number(&mut self) -> Result<Token, Mistake> {
        let start = self.at;
        let mut token = self.digits();
        while let Some(unit) = unit_at(self.rest()) {
            self.at += unit.len();
            token = Token::Duration;
            if !self.peek().is_some_and(|c| c.is_ascii_digit()) {
                break;
            }
            self.digits();
            if unit_at(self.rest()).is_none() {
                break;
            }
        }
        let is_whole = self.peek().is_none_or(|c| !is_word_char(c) && c != '.');
        let read = &self.text[start..self.at];
        let is_number = match token {
            Token::Duration => duration(read).is_some(),
            _ => true,
        };
        if is_whole && is_number {
            return Ok(token);
        }
        self.take_while(|c| is_word_char(c) || c == '.');
        let written = &self.text[start..self.at];
        if self.dialect.has_sizes && is_size(written) {
            return Ok(Token::Size);
        }
        Err(Mistake::new(start, format!("{written} is neither a number nor a duration, or too large")))
    }

    /// Digits with a fraction and an exponent.
    fn digits(&mut self) -> Token {
        let mut token = Token::Integer;
        self.take_while(|c| c.is_ascii_digit());
        let mut next = self.rest().chars();
        if next.next() == Some('.') && next.next().is_some_and(|c| c.is_ascii_digit()) {
            token = Token::Float;
            self.at += 1;
            self.take_while(|c| c.is_ascii_digit());
        }
        if let Some(exponent) = self.rest().strip_prefix(['e', 'E']) {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if digits.starts_with(|c: char| c.is_ascii_digit()) {
                self.at += 1 + (exponent.len() - digits.len());
                self.take_while(|c| c.is_ascii_digit());
                token = Token::Float;
            }
        }
        token
    }
}

/// Whether a text is a number and a unit of bytes, of 1000 or of 1024, in any case.
fn is_size(text: &str) -> bool {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').to_ascii_lowercase();
    let number = &text[..text.len() - unit.len()];
    let prefix = unit.strip_suffix('b').unwrap_or(&unit);
    let is_unit = matches!(prefix.strip_suffix('i').unwrap_or(prefix), "k" | "m" | "g" | "t" | "p" | "e");
    number.parse::<f64>().is_ok() && (is_unit || unit == "b")
}

fn is_word_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn is_word_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Whether a name of dots goes on with it.
pub fn is_path_char(c: char) -> bool {
    !c.is_whitespace() && !PATH_ENDS.contains(&c)
}

/// Units of time and their nanoseconds; one that begins with another stands before it. Those of Go, and Prometheus's
/// days, weeks and years of 365 days.
const UNITS: [(&str, i64); 11] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
    ("w", 604_800_000_000_000),
    ("y", 31_536_000_000_000_000),
];

fn unit_at(text: &str) -> Option<&'static str> {
    UNITS.into_iter().map(|(unit, _)| unit).find(|unit| text.starts_with(unit))
}

/// Nanoseconds of a [`Token::Duration`]; none beyond 64 bits.
pub fn duration(text: &str) -> Option<i64> {
    let mut nanos = 0_i64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, behind) = rest.split_at(digits);
        let (unit, unit_nanos) = UNITS.into_iter().find(|(unit, _)| behind.starts_with(unit))?;
        let part = match number.parse::<i64>() {
            Ok(whole) => whole.checked_mul(unit_nanos)?,
            Err(_) => {
                let part = number.parse::<f64>().ok()? * unit_nanos as f64;
                (part < i64::MAX as f64).then_some(part.round() as i64)?
            }
        };
        nanos = nanos.checked_add(part)?;
        rest = &behind[unit.len()..];
    }
    Some(nanos)
}

/// The text inside of the quotes of a [`Token::Text`], escapes resolved as Go resolves them.
///
/// # Errors
/// What is wrong with an escape.
pub fn unquoted(text: &str) -> Result<String, String> {
    let inside = &text[1..text.len() - 1];
    if text.starts_with('`') || !inside.contains('\\') {
        return Ok(inside.to_owned());
    }
    let mut out = String::with_capacity(inside.len());
    let mut chars = inside.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        out.push(match chars.next() {
            Some('a') => '\u{7}',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('v') => '\u{b}',
            Some(c @ ('\\' | '"' | '\'')) => c,
            Some('x') => code(&mut chars, 2)?,
            Some('u') => code(&mut chars, 4)?,
            Some('U') => code(&mut chars, 8)?,
            Some(c) => return Err(format!("unknown escape \\{c}")),
            None => return Err("an escape is not finished".to_owned()),
        });
    }
    Ok(out)
}

fn code(chars: &mut std::str::Chars<'_>, digits: usize) -> Result<char, String> {
    let text: String = chars.take(digits).collect();
    let code = (text.len() == digits).then(|| u32::from_str_radix(&text, 16).ok()).flatten();
    code.and_then(char::from_u32).ok_or_else(|| format!("{text:?} is no code of a character"))
}

/// A text as it is written in double quotes.
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing of it is TraceQL's: a language of selectors over log lines.
    const SELECTORS: Dialect = Dialect {
        signs: &["=~", "!~", "!=", "|=", "|~", "|", "=", "{", "}", ",", "(", ")", "[", "]"],
        joins_words: None,
        has_paths: false,
        has_sizes: true,
        comment: "#",
        bytes_max: 100,
        tokens_max: 14,
        depth_max: 1,
    };

    const PATHS: Dialect = Dialect { has_paths: true, joins_words: Some(':'), comment: "//", ..SELECTORS };

    fn read(text: &str, dialect: &Dialect) -> Vec<String> {
        let tokens = tokens(text, dialect).unwrap_or_else(|mistake| panic!("{text}: {mistake:?}"));
        tokens.iter().map(|t| format!("{:?} {}", t.token, &text[t.start..t.end])).collect()
    }

    #[test]
    fn a_selector_of_another_language_is_read() {
        let found = read("{app=\"a b\",n!~`x|y`} |= \"\\\"\" # all\n[5m]", &SELECTORS);
        let texts: Vec<&str> = found.iter().map(|token| token.split_once(' ').expect("a kind").1).collect();
        let want =
            ["{", "app", "=", "\"a b\"", ",", "n", "!~", "`x|y`", "}", "|=", "\"\\\"\"", "[", "5m", "]"];
        assert_eq!(texts[..want.len()], want);
        assert!(tokens(&"a ".repeat(14), &SELECTORS).is_ok());
        assert_eq!(tokens(&"a ".repeat(15), &SELECTORS).map_err(|mistake| mistake.at), Err(28));
        assert!(tokens(&" ".repeat(100), &SELECTORS).is_ok());
        assert_eq!(tokens(&" ".repeat(101), &SELECTORS).map_err(|mistake| mistake.at), Err(0));
    }

    #[test]
    fn a_size_is_a_token_where_there_are_any() {
        let sizes = ["20MB", "1.5KiB", "3B", "7g", "1eb"];
        let found = read(&sizes.join(" "), &SELECTORS);
        assert_eq!(found[..sizes.len()], sizes.map(|size| format!("Size {size}")));
        for wrong in ["20MX", "1.2.3MB", "1ib"] {
            assert!(tokens(wrong, &SELECTORS).is_err(), "{wrong}");
        }
        assert!(tokens("20MB", &Dialect { has_sizes: false, ..SELECTORS }).is_err());
    }

    #[test]
    fn a_name_of_dots_goes_on_to_an_end() {
        let check = |text: &str, want: &[&str]| assert_eq!(read(text, &PATHS), want, "{text}");
        check(".a.b-c/d:e*1 = 1", &["Path .a.b-c/d:e*1", "Sign(\"=\") =", "Integer 1", "End "]);
        check("span.a=1", &["Path span.a", "Sign(\"=\") =", "Integer 1", "End "]);
        check("span.\"a b\".c", &["Path span.\"a b\".c", "End "]);
        check(".\"a\\\"}b\"c", &["Path .\"a\\\"}b\"c", "End "]);
        check("span:name .5", &["Word span:name", "Float .5", "End "]);
    }

    #[test]
    fn numbers_and_durations() {
        let kind = |text: &str| tokens(text, &PATHS).map(|tokens| tokens[0].token);
        for (text, want) in [("12", Token::Integer), ("1.5", Token::Float), (".5", Token::Float)] {
            assert_eq!(kind(text), Ok(want), "{text}");
        }
        for text in ["1e3", "1E-3", "2.5e+1"] {
            assert_eq!(kind(text), Ok(Token::Float), "{text}");
        }
        for (text, nanos) in [
            ("10ns", 10),
            ("1us", 1_000),
            ("1µs", 1_000),
            ("1.5ms", 1_500_000),
            ("1h30m", 5_400_000_000_000),
            ("1d1s", 86_401_000_000_000),
            ("292y", 292 * 31_536_000_000_000_000),
        ] {
            assert_eq!((kind(text), duration(text)), (Ok(Token::Duration), Some(nanos)), "{text}");
        }
        for text in ["1x", "1h30", "1.2.3", "300y", "5s5", "0x1F"] {
            assert!(kind(text).is_err(), "{text}");
        }
    }

    #[test]
    fn texts_are_resolved_as_go_does() {
        let check = |text: &str, want: Result<&str, &str>| {
            assert_eq!(unquoted(text), want.map(str::to_owned).map_err(str::to_owned), "{text}");
        };
        check(r#""a\n\"\\\x41\u00e4""#, Ok("a\n\"\\Aä"));
        check(r"`a\n`", Ok("a\\n"));
        check(r#""\q""#, Err("unknown escape \\q"));
        check(r#""\u00""#, Err("\"00\" is no code of a character"));
        check(r#""\ud800""#, Err("\"d800\" is no code of a character"));
        for text in ["", "a\"b\\c\n\u{1}ä"] {
            assert_eq!(unquoted(&Quoted(text).to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_is_no_token_is_placed() {
        let check =
            |text: &str, at: usize| assert_eq!(tokens(text, &PATHS).map_err(|m| m.at), Err(at), "{text}");
        check("a \"b", 2);
        check("a ;", 2);
        check("span. a", 5);
        check(".\"a", 1);
        check(".a\"b\"", 2);
        check("` ", 0);
    }
}
