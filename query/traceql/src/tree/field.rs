//! What can be asked of a span: its attributes and its intrinsics.
//!
//! An attribute has a scope, before a dot; without one it is the span's, or if the span lacks it, the resource's. An
//! intrinsic is fundamental to a span, event, link or trace. Those that TraceQL has had from its start have a bare name
//! beside the newer one with a colon; the bare one is written.
//!
//! Source: <https://grafana.com/docs/tempo/latest/traceql/construct-traceql-queries/>, "Intrinsic fields", and the
//! design proposals "TraceQL Concepts" and "TraceQL Extensions" for `parent`, and `nestedSet*`.

use super::kind::Type;
use crate::value::words;

words! {
    /// Where an attribute is.
    Scope {
        /// The span, else the resource.
        Any = "", Span = "span", Resource = "resource", Event = "event", Link = "link",
        Instrumentation = "instrumentation",
    }
}

/// An attribute by its key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Attribute {
    pub scope: Scope,
    /// That of the span's parent, and not its own.
    pub of_parent: bool,
    pub key: String,
}

words! {
    /// What a span has without attributes.
    Intrinsic {
        Name = "name", Duration = "duration", Status = "status", StatusMessage = "statusMessage", Kind = "kind",
        ChildCount = "childCount", SpanId = "span:id", ParentId = "span:parentID",
        /// Numbers of a walk through the trace: a span's descendants have theirs between its left and its right one.
        NestedSetLeft = "nestedSetLeft", NestedSetRight = "nestedSetRight",
        /// The left one of the parent: -1 of a root, 0 if the parent is not there.
        NestedSetParent = "nestedSetParent",
        TraceId = "trace:id", TraceDuration = "traceDuration", RootName = "rootName",
        RootService = "rootServiceName", EventName = "event:name", EventTime = "event:timeSinceStart",
        LinkTraceId = "link:traceID", LinkSpanId = "link:spanID", ScopeName = "instrumentation:name",
        ScopeVersion = "instrumentation:version",
    }
}

/// Other spellings of intrinsics.
const SCOPED: [(&str, Intrinsic); 11] = [
    ("span:name", Intrinsic::Name),
    ("span:duration", Intrinsic::Duration),
    ("span:status", Intrinsic::Status),
    ("span:statusMessage", Intrinsic::StatusMessage),
    ("span:kind", Intrinsic::Kind),
    ("span:childCount", Intrinsic::ChildCount),
    ("trace:duration", Intrinsic::TraceDuration),
    ("trace:rootName", Intrinsic::RootName),
    ("trace:rootService", Intrinsic::RootService),
    ("parent:id", Intrinsic::ParentId),
    ("parent", Intrinsic::ParentId),
];

/// Those that `parent.` has, by their bare names.
const OF_PARENT: [Intrinsic; 6] = [
    Intrinsic::Name,
    Intrinsic::Duration,
    Intrinsic::Status,
    Intrinsic::StatusMessage,
    Intrinsic::Kind,
    Intrinsic::ChildCount,
];

impl Intrinsic {
    /// By any of its spellings.
    pub fn named(word: &str) -> Option<Intrinsic> {
        let scoped = || SCOPED.iter().find(|(name, _)| *name == word).map(|(_, intrinsic)| *intrinsic);
        Intrinsic::of_word(word).or_else(scoped)
    }

    /// Of the parent, by the bare name.
    pub(crate) fn of_parent(word: &str) -> Option<Intrinsic> {
        OF_PARENT.into_iter().find(|intrinsic| intrinsic.word() == word)
    }

    pub fn kind(self) -> Type {
        use Intrinsic as I;
        match self {
            I::Duration | I::TraceDuration | I::EventTime => Type::Duration,
            I::ChildCount | I::NestedSetLeft | I::NestedSetRight | I::NestedSetParent => Type::Number,
            I::Status => Type::Status,
            I::Kind => Type::Kind,
            I::Name | I::StatusMessage | I::SpanId | I::ParentId | I::TraceId | I::RootName => Type::Text,
            I::RootService | I::EventName | I::LinkTraceId | I::LinkSpanId => Type::Text,
            I::ScopeName | I::ScopeVersion => Type::Text,
        }
    }

    /// Hex digits of an id.
    pub(crate) fn id_digits(self) -> Option<usize> {
        match self {
            Intrinsic::TraceId | Intrinsic::LinkTraceId => Some(32),
            Intrinsic::SpanId | Intrinsic::ParentId | Intrinsic::LinkSpanId => Some(16),
            _ => None,
        }
    }
}

/// Something of a span that has a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    Attribute(Attribute),
    Intrinsic {
        intrinsic: Intrinsic,
        /// That of the span's parent, and not its own.
        of_parent: bool,
    },
}

impl Field {
    pub fn intrinsic(intrinsic: Intrinsic) -> Field {
        Field::Intrinsic { intrinsic, of_parent: false }
    }

    pub fn attribute(scope: Scope, key: &str) -> Field {
        Field::Attribute(Attribute { scope, of_parent: false, key: key.to_owned() })
    }

    pub fn kind(&self) -> Type {
        match self {
            Field::Attribute(_) => Type::Any,
            Field::Intrinsic { intrinsic, .. } => intrinsic.kind(),
        }
    }

    /// Whether a span has it once for each of its events.
    pub fn is_of_events(&self) -> bool {
        match self {
            Field::Attribute(attribute) => attribute.scope == Scope::Event,
            Field::Intrinsic { intrinsic, .. } => {
                matches!(intrinsic, Intrinsic::EventName | Intrinsic::EventTime)
            }
        }
    }

    /// Whether a span has it once for each of its links.
    pub fn is_of_links(&self) -> bool {
        match self {
            Field::Attribute(attribute) => attribute.scope == Scope::Link,
            Field::Intrinsic { intrinsic, .. } => {
                matches!(intrinsic, Intrinsic::LinkTraceId | Intrinsic::LinkSpanId)
            }
        }
    }

    /// Whether its value depends on other spans of the trace than the one it is asked of.
    pub fn is_of_trace(&self) -> bool {
        match self {
            Field::Attribute(attribute) => attribute.of_parent,
            Field::Intrinsic { of_parent: true, .. } => true,
            Field::Intrinsic { intrinsic, .. } => matches!(
                intrinsic,
                Intrinsic::ChildCount
                    | Intrinsic::NestedSetLeft
                    | Intrinsic::NestedSetRight
                    | Intrinsic::NestedSetParent
                    | Intrinsic::TraceDuration
                    | Intrinsic::RootName
                    | Intrinsic::RootService
            ),
        }
    }
}
