//! The forms in which a scan hands out columns that would cost more in others.
//!
//! SQL sees one type a column, whatever a file holds, and that is right for statements. A fold that reads millions of rows
//! looks at each text once a batch and not once a row, if it gets the dictionaries that the rows came in.

/// Forms of columns for whoever reads nearly all rows of a table. The footers of all files are read for it before the
/// first row, and columns that have one value in a whole file are not read.
#[derive(Debug, Clone, Copy)]
pub struct Lean<'a> {
    /// Text columns that come as dictionaries, as most files and all batches in memory hold them; other text comes as
    /// views. For few texts in many rows.
    pub dictionaries: &'a [&'a str],
    /// Of columns that are lists of structs, those fields alone.
    pub nested: &'a [(&'a str, &'a [&'a str])],
}
