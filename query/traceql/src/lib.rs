//! TraceQL, pure: text -> syntax tree -> which spans and traces it selects.
