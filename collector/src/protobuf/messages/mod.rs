//! The protobuf messages that are read, as tables: field numbers, JSON names, types.
//!
//! One description serves both first passes: `validate` walks wire bytes by it, `json` writes wire bytes by
//! it. The alternative, generated structs, would build every message once more only to throw it away.
//!
//! Sources: opentelemetry-proto (`*.proto` of release 1.9), envoy/service/accesslog/v3/als.proto,
//! envoy/data/accesslog/v3/accesslog.proto, envoy/config/core/v3/{base,address}.proto, and
//! google/protobuf/{struct,any,timestamp,duration,wrappers}.proto, and those of Prometheus that `remote_write` names. Limits: a field that no decoder reads
//! may be left out (it is then skipped like any unknown field); `Node.extensions`, 60 KB of every Envoy
//! stream, is left out on purpose.

pub mod otlp;
pub mod envoy;
pub mod remote_write;

/// A message type.
pub struct Message {
    /// Its name in the `.proto`, for error messages.
    pub name: &'static str,
    /// Ascending by number.
    pub fields: &'static [Field],
    /// Whether values of this type may hold values of this type, so that depth must be bounded.
    pub nests: bool,
    /// Bytes that its numbers, offsets and keys take in columns, whatever it says; 0 for what is no row or element of
    /// a list in a row.
    pub column_bytes: usize,
    /// What to do at a field, by the one byte that its tag is when its number is below 16.
    steps: [Step; 128],
}

/// A field of a message.
#[derive(Clone, Copy)]
pub struct Field {
    /// 1 and up.
    pub number: u32,
    /// Its name in the JSON encoding, lowerCamelCase.
    pub json_name: &'static str,
    pub field_type: FieldType,
    pub repeated: bool,
}

/// The type of a field, which gives its wire type and its JSON form.
#[derive(Clone, Copy)]
pub enum FieldType {
    Message(&'static Message),
    Text,
    Bytes,
    /// Bytes that OTLP/JSON writes as hex digits: trace and span ids.
    HexId,
    Bool,
    /// An enum; OTLP/JSON knows only its number.
    Enum,
    Int32,
    Sint32,
    Uint32,
    Int64,
    Uint64,
    Fixed32,
    Fixed64,
    Sfixed64,
    Double,
}

/// How a walk goes on after a tag.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Not declared for this message with this wire type, or a number of 16 and above: look closer.
    Other,
    Varint,
    Fixed64,
    Fixed32,
    /// Text or bytes: skip over them.
    Skip,
    /// The field at this index holds a message: go into it.
    Enter(u8),
    PackedVarints,
    PackedFixed64,
}

/// The wire types of protobuf.dev, "Encoding".
pub(crate) mod wire_type {
    pub const VARINT: u32 = 0;
    pub const FIXED64: u32 = 1;
    pub const LENGTH: u32 = 2;
    pub const FIXED32: u32 = 5;
}

impl FieldType {
    /// The wire type of one value.
    pub(crate) const fn wire_type(self) -> u32 {
        match self {
            FieldType::Message(_) | FieldType::Text | FieldType::Bytes | FieldType::HexId => {
                wire_type::LENGTH
            }
            FieldType::Fixed64 | FieldType::Sfixed64 | FieldType::Double => wire_type::FIXED64,
            FieldType::Fixed32 => wire_type::FIXED32,
            _ => wire_type::VARINT,
        }
    }

    /// Whether a value is a number, enums included.
    pub(crate) const fn is_number(self) -> bool {
        !matches!(
            self,
            FieldType::Message(_) | FieldType::Text | FieldType::Bytes | FieldType::HexId | FieldType::Bool
        )
    }
}

impl Message {
    const fn new(name: &'static str, nests: bool, fields: &'static [Field]) -> Message {
        Message { name, fields, nests, column_bytes: 0, steps: steps_of(fields) }
    }

    const fn with_columns(self, column_bytes: usize) -> Message {
        Message { column_bytes, ..self }
    }

    pub(crate) fn field(&self, number: u32) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.number == number)
    }

    pub(crate) fn field_by_json_name(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.json_name == name)
    }

    /// Whether messages of this type are no records but hold them, directly or not. Values hold none.
    pub(crate) fn is_above_records(&self) -> bool {
        let holds = |message: &Message| message.column_bytes > 0 || message.is_above_records();
        self.column_bytes == 0
            && self.fields.iter().any(|field| match field.field_type {
                FieldType::Message(message) => !message.nests && holds(message),
                _ => false,
            })
    }

    /// The step for a tag of one byte, which must be below 128.
    #[inline]
    pub(crate) fn step(&self, tag: u8) -> Step {
        self.steps[usize::from(tag & 0x7f)]
    }
}

const fn steps_of(fields: &[Field]) -> [Step; 128] {
    let mut steps = [Step::Other; 128];
    let mut index = 0;
    while index < fields.len() {
        let field = fields[index];
        assert!(index == 0 || fields[index - 1].number < field.number, "fields ascend by number");
        if field.number < 16 {
            let wire = field.field_type.wire_type();
            steps[(field.number << 3 | wire) as usize] = match field.field_type {
                FieldType::Message(_) => Step::Enter(index as u8),
                FieldType::Text | FieldType::Bytes | FieldType::HexId => Step::Skip,
                _ if wire == wire_type::FIXED64 => Step::Fixed64,
                _ if wire == wire_type::FIXED32 => Step::Fixed32,
                _ => Step::Varint,
            };
            if field.repeated && wire != wire_type::LENGTH {
                steps[(field.number << 3 | wire_type::LENGTH) as usize] = match wire {
                    wire_type::VARINT => Step::PackedVarints,
                    wire_type::FIXED64 => Step::PackedFixed64,
                    _ => Step::Other,
                };
            }
        }
        index += 1;
    }
    steps
}

const fn one(number: u32, json_name: &'static str, field_type: FieldType) -> Field {
    Field { number, json_name, field_type, repeated: false }
}

const fn many(number: u32, json_name: &'static str, field_type: FieldType) -> Field {
    Field { number, json_name, field_type, repeated: true }
}
