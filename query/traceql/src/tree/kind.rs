//! What a value is, as far as a query says.

/// What an expression's value is, as far as it is known before a span is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// An attribute's: each span may have another.
    Any,
    Nil,
    Text,
    Number,
    Duration,
    Boolean,
    Status,
    Kind,
}

impl Type {
    pub fn word(self) -> &'static str {
        match self {
            Type::Any => "an attribute",
            Type::Nil => "nil",
            Type::Text => "a text",
            Type::Number => "a number",
            Type::Duration => "a duration",
            Type::Boolean => "a condition",
            Type::Status => "a status",
            Type::Kind => "a kind of span",
        }
    }

    pub fn is_numeric(self) -> bool {
        matches!(self, Type::Any | Type::Number | Type::Duration)
    }
}
