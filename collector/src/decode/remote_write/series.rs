//! One series after another, read where it lies in the payload; both messages become the same.

use super::Version;
use super::labels::{Label, LabelList};
use super::metadata::{Metadata, MetricType};
use crate::protobuf::wire::{Fields, Value, WireError, packed_varints, repeated};
use crate::tally::RejectReason;

/// A whole message.
pub(super) struct Payload<'a> {
    bytes: &'a [u8],
    pub(super) version: Version,
    /// Empty in 1.0.
    symbols: Vec<&'a [u8]>,
}

impl<'a> Payload<'a> {
    /// # Errors
    /// Bytes that are no such message.
    pub(super) fn read(bytes: &'a [u8], version: Version) -> Result<Self, WireError> {
        let symbols = match version {
            Version::One => Vec::new(),
            Version::Two => repeated(bytes, 4).collect::<Result<_, _>>()?,
        };
        Ok(Payload { bytes, version, symbols })
    }

    /// What the table of symbols takes while it is decoded.
    pub(super) fn symbols_bytes(&self) -> usize {
        size_of_val(self.symbols.as_slice())
    }

    /// The messages of its series, in the order sent.
    pub(super) fn series(&self) -> impl Iterator<Item = Result<&'a [u8], WireError>> + use<'a> {
        repeated(self.bytes, self.version.series_field())
    }

    /// What 2.0 says by a number. The first symbol is empty, as 2.0 asks, lest what is not said become something.
    ///
    /// # Errors
    /// [`RejectReason::BadSymbol`] for a number that has no symbol.
    pub(super) fn symbol(&self, reference: u64) -> Result<&'a [u8], RejectReason> {
        if self.symbols.first().is_some_and(|first| !first.is_empty()) {
            return Err(RejectReason::BadSymbol);
        }
        let at = usize::try_from(reference).map_err(|_| RejectReason::BadSymbol)?;
        self.symbols.get(at).copied().ok_or(RejectReason::BadSymbol)
    }

    /// Adds the label of a field of a series or an exemplar, which is a message in 1.0 and a list of references in 2.0.
    /// `name` keeps a reference to a name until that to its value comes, in another field as well.
    fn push_labels(
        &self,
        field: Value<'a>,
        labels: &mut LabelList<'a>,
        name: &mut Option<&'a [u8]>,
    ) -> Result<(), WireError> {
        match (self.version, field) {
            (Version::One, field) => labels.push(read_label(field.bytes(1)?)?),
            (Version::Two, Value::Bytes(packed)) => {
                for reference in packed_varints(packed) {
                    self.push_reference(reference?, labels, name);
                }
            }
            (Version::Two, field) => self.push_reference(field.varint(1)?, labels, name),
        }
        Ok(())
    }

    fn push_reference(&self, reference: u64, labels: &mut LabelList<'a>, name: &mut Option<&'a [u8]>) {
        match (self.symbol(reference), name.take()) {
            (Ok(value), Some(name)) => labels.push(Label { name, value }),
            (Ok(first), None) => *name = Some(first),
            (Err(reason), _) => labels.broken = Some(reason),
        }
    }

    /// Reads the labels of a series or an exemplar, its field 1.
    ///
    /// # Errors
    /// Bytes that are no such message.
    pub(super) fn read_labels(&self, message: &'a [u8], labels: &mut LabelList<'a>) -> Result<(), WireError> {
        labels.clear();
        let mut name = None;
        for field in Fields::new(message) {
            if let (1, value) = field? {
                self.push_labels(value, labels, &mut name)?;
            }
        }
        if name.is_some() {
            labels.broken = Some(RejectReason::BadSymbol);
        }
        Ok(())
    }
}

impl Version {
    pub(super) fn series_field(self) -> u32 {
        match self {
            Version::One => 1,
            Version::Two => 5,
        }
    }

    pub(super) fn exemplars_field(self) -> u32 {
        match self {
            Version::One => 3,
            Version::Two => 4,
        }
    }

    pub(super) fn histograms_field(self) -> u32 {
        match self {
            Version::One => 4,
            Version::Two => 3,
        }
    }
}

/// The field of samples in both.
pub(super) const SAMPLES_FIELD: u32 = 2;

/// A `TimeSeries` message.
#[derive(Debug, Default)]
pub(super) struct Series<'a> {
    pub(super) labels: LabelList<'a>,
    pub(super) samples: Vec<&'a [u8]>,
    pub(super) histograms: Vec<&'a [u8]>,
    pub(super) exemplars: Vec<&'a [u8]>,
    pub(super) metadata: Metadata<'a>,
    /// When all its samples began to count, in milliseconds; 0 where it does not say.
    pub(super) start: i64,
}

impl<'a> Series<'a> {
    pub(super) fn has_points(&self) -> bool {
        !self.samples.is_empty() || !self.histograms.is_empty()
    }

    /// # Errors
    /// Bytes that are no such message.
    pub(super) fn read(&mut self, message: &'a [u8], payload: &Payload<'a>) -> Result<(), WireError> {
        self.samples.clear();
        self.histograms.clear();
        self.exemplars.clear();
        (self.metadata, self.start) = (Metadata::default(), 0);
        payload.read_labels(message, &mut self.labels)?;
        let (exemplars, histograms) = (payload.version.exemplars_field(), payload.version.histograms_field());
        for field in Fields::new(message) {
            match field? {
                (SAMPLES_FIELD, value) => self.samples.push(value.bytes(SAMPLES_FIELD)?),
                (field, value) if field == exemplars => self.exemplars.push(value.bytes(field)?),
                (field, value) if field == histograms => self.histograms.push(value.bytes(field)?),
                (5, value) if payload.version == Version::Two => {
                    self.read_metadata(value.bytes(5)?, payload)?;
                }
                (6, value) if payload.version == Version::Two => self.start = value.varint(6)? as i64,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_metadata(&mut self, message: &'a [u8], payload: &Payload<'a>) -> Result<(), WireError> {
        let mut text = |reference| {
            payload.symbol(reference).unwrap_or_else(|reason| {
                self.labels.broken = Some(reason);
                b""
            })
        };
        let mut metadata = Metadata::default();
        for field in Fields::new(message) {
            match field? {
                (1, value) => metadata.metric_type = MetricType::of(value.varint(1)?),
                (3, value) => metadata.help = text(value.varint(3)?),
                (4, value) => metadata.unit = text(value.varint(4)?),
                _ => {}
            }
        }
        self.metadata = metadata;
        Ok(())
    }
}

fn read_label(message: &[u8]) -> Result<Label<'_>, WireError> {
    let mut label = Label { name: b"", value: b"" };
    for field in Fields::new(message) {
        match field? {
            (1, value) => label.name = value.bytes(1)?,
            (2, value) => label.value = value.bytes(2)?,
            _ => {}
        }
    }
    Ok(label)
}
