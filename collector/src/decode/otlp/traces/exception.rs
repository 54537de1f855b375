//! What an event tells of an exception: its type, and that of what caused it.
//!
//! Applications wrap what a library throws, so that the type of the exception that ended a call is often one that says nothing.
//! The stack trace of the wrapper names its causes, outermost first, in a form that each runtime has kept for decades. Only
//! those of the JVM and of .NET are read; others chain exceptions seldom (Python) or not at all (Go).
//!
//! Sources: `java.lang.Throwable.printStackTrace` (lines that begin with `Caused by: `; those of suppressed exceptions are
//! indented), `System.Exception.ToString` (` ---> `), OpenTelemetry's semantic conventions for exceptions.

use memchr::memmem;

use crate::decode::otlp::any_value::{AnyValue, KeyValue};
use crate::protobuf::wire::{WireError, repeated};

/// The field of `Span.Event` with its attributes.
pub(super) const ATTRIBUTES: u32 = 3;

const TYPE: &[u8] = b"exception.type";
const STACK_TRACE: &[u8] = b"exception.stacktrace";

/// Before the type of a cause, on the JVM and in .NET.
const CAUSES: [&[u8]; 2] = [b"\nCaused by: ", b" ---> "];

/// An exception.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Exception<'a> {
    /// Its type; none where it is empty or no text.
    pub(super) name: Option<&'a [u8]>,
    /// The type of the innermost cause.
    pub(super) cause: Option<&'a [u8]>,
}

impl<'a> Exception<'a> {
    /// The exception that an event tells of.
    ///
    /// # Errors
    /// Bytes that are no event.
    pub(super) fn read(event: &'a [u8]) -> Result<Exception<'a>, WireError> {
        let mut exception = Exception::default();
        for attribute in repeated(event, ATTRIBUTES) {
            match KeyValue::read(attribute?)? {
                KeyValue { key: TYPE, value: AnyValue::String(text) } => {
                    exception.name = Some(text).filter(|text| !text.is_empty());
                }
                KeyValue { key: STACK_TRACE, value: AnyValue::String(text) } => exception.cause = cause(text),
                _ => {}
            }
        }
        Ok(exception)
    }
}

/// The type of the innermost cause in a stack trace.
fn cause(trace: &[u8]) -> Option<&[u8]> {
    let last =
        CAUSES.into_iter().find_map(|before| Some(&trace[memmem::rfind(trace, before)? + before.len()..]))?;
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"._$+`".contains(byte);
    let end = last.iter().position(|byte| !is_name(byte)).unwrap_or(last.len());
    // A message follows after a colon, else the line ends: any other text only looks like a cause.
    let is_type = matches!(last.get(end), None | Some(b':' | b'\n' | b'\r'));
    Some(&last[..end]).filter(|name| is_type && !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(trace: &str, want: Option<&str>) {
        assert_eq!(cause(trace.as_bytes()).map(String::from_utf8_lossy).as_deref(), want, "{trace:?}");
    }

    #[test]
    fn the_innermost_cause_of_a_trace_of_the_jvm_is_found() {
        check(
            "a.Outer: x\n\tat a.B.c(B.java:1)\nCaused by: b.Inner$Kind: no luck\n\tat d\n",
            Some("b.Inner$Kind"),
        );
        check("a.Outer\nCaused by: b.Middle: x\n\t... 3 more\nCaused by: c.Inner\n", Some("c.Inner"));
        check("a.Outer\r\nCaused by: c.Inner\r\n", Some("c.Inner"));
        check("a.Outer\nCaused by: c.Inner", Some("c.Inner"));
        check("a.Outer: x\n\tat b\n\tSuppressed: c.D\n\tCaused by: e.F: of what was suppressed\n", None);
        check("a.Outer: Caused by: b.C\n\tat d", None);
    }

    #[test]
    fn the_innermost_cause_of_a_trace_of_dotnet_is_found() {
        let inner = "System.Exception: x\n ---> Polly.CircuitBreaker.BrokenCircuitException: open\n   at A.B()\n   --- End of inner exception stack trace ---\n";
        check(inner, Some("Polly.CircuitBreaker.BrokenCircuitException"));
        check("A: x ---> B.C`1: y ---> D.E+F: z\n   at G", Some("D.E+F"));
    }

    #[test]
    fn what_only_looks_like_a_cause_is_none() {
        for text in
            ["", "a.B", "a.B: x\nCaused by: ", "a.B\nCaused by: \u{e9}", "step 1 ---> step 2 went wrong"]
        {
            check(text, None);
        }
    }
}
