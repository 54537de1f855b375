//! Rows of a payload: where they go, what those of a series and of a target have in common.
//!
//! A row's exemplars are ended when the next row of its series begins, because those of a series stand on the last of
//! its rows and which that is shows at the end.

use std::rc::Rc;

use meshlake_schema::UnixNanos;

use super::exemplars::{self, LABEL_TYPES};
use super::families::FamiliesOfTenant;
use super::histograms::{NativeHistogram, Shape};
use super::labels::{Identity, LabelList};
use super::metadata::{CUMULATIVE, Metadata};
use super::names::SeriesNames;
use super::orphans::Orphans;
use super::samples::{Sample, nanoseconds};
use super::series::{Payload, Series};
use super::{SCOPE_NAME, Version, samples};
use crate::columns::origin::{Resource, Scope};
use crate::metric_rows::numbers::{NumberShape, NumberValue};
use crate::metric_rows::point::{NO_RECORDED_VALUE, PointColumns};
use crate::metric_rows::{Metric, MetricBuilders};
use crate::protobuf::wire::{self, WireError};
use crate::tally::{Arrival, RejectReason, Tally, Warning};

/// Where a row was pushed.
#[derive(Debug, Clone, Copy)]
enum Place {
    Points,
    Histograms,
    ExpHistograms,
}

/// What the rows of a series have in common.
struct Common<'l, 'a> {
    identity: Identity<'l, 'a>,
    series_id: i64,
}

pub(super) struct Rows<'a, 'o> {
    arrival: &'o Arrival<'o>,
    /// What 1.0 has told of metrics.
    told: &'o FamiliesOfTenant,
    out: &'o mut MetricBuilders,
    names: SeriesNames<'a>,
    scope: Scope,
    /// Of the rows that were pushed last.
    resource: Option<Rc<Resource>>,
    /// The row whose exemplars are not ended.
    open: Option<Place>,
    native: NativeHistogram,
    exemplar_labels: LabelList<'a>,
    tally: Tally,
}

impl<'a, 'o> Rows<'a, 'o> {
    pub(super) fn new(
        arrival: &'o Arrival<'o>,
        told: &'o FamiliesOfTenant,
        out: &'o mut MetricBuilders,
    ) -> Self {
        Rows {
            tally: Tally::of(arrival),
            arrival,
            told,
            out,
            names: SeriesNames::default(),
            scope: Scope { name: Some(SCOPE_NAME.to_owned()), ..Scope::default() },
            resource: None,
            open: None,
            native: NativeHistogram::default(),
            exemplar_labels: LabelList::default(),
        }
    }

    /// Pushes the samples and histograms of a series, and its exemplars.
    ///
    /// # Errors
    /// Bytes that are no such messages.
    pub(super) fn push_points(
        &mut self,
        series: &mut Series<'a>,
        payload: &Payload<'a>,
        orphans: &mut Orphans<'a>,
    ) -> Result<(), WireError> {
        let Series { labels, samples, histograms, exemplars, metadata, start } = series;
        let identity = match Identity::of(labels) {
            Ok(identity) => identity,
            Err(reason) => {
                let points = (samples.len() + histograms.len()) as u64;
                self.tally.received += points;
                self.tally.reject(reason, points);
                self.tally.written.exemplars_left_out += exemplars.len() as u64;
                return Ok(());
            }
        };
        let metadata = match payload.version {
            Version::One => self.told.metadata_of(identity.metric_name),
            Version::Two => *metadata,
        };
        let common = self.begin(identity);
        for message in samples.iter() {
            let sample = Sample::read(message, *start)?;
            let accepted = self.push_sample(&sample, &common, metadata.metric_type.shape());
            self.tally.written.samples += u64::from(accepted.is_ok());
            self.tally.count(accepted);
        }
        for message in histograms.iter() {
            self.native.read(message, *start)?;
            let accepted = self.push_histogram(&common);
            self.tally.written.histograms += u64::from(accepted.is_ok());
            self.tally.count(accepted);
        }
        if self.open.is_some() {
            orphans.take(common.series_id, payload, exemplars)?;
        }
        self.end_series(exemplars, payload)?;
        self.end_metric(&identity, &metadata);
        Ok(())
    }

    /// Pushes a row that carries nothing but the exemplars of a series of which the payload has no sample. It is as old
    /// as the latest of them.
    ///
    /// # Errors
    /// Bytes that are no such messages.
    pub(super) fn push_exemplars_alone(
        &mut self,
        series: &mut Series<'a>,
        payload: &Payload<'a>,
    ) -> Result<(), WireError> {
        let Series { labels, exemplars, metadata, .. } = series;
        let mut latest = i64::MIN;
        for message in exemplars.iter() {
            latest = latest.max(samples::exemplar_time(message)?);
        }
        let accepted = Identity::of(labels).and_then(|identity| {
            let time = samples::accepted_time(latest, self.arrival)?;
            let common = self.begin(identity);
            self.out.points.push_own(NumberShape::Unknown, NumberValue::default());
            self.push_common(Place::Points, &common, time, 0, 0);
            Ok(identity)
        });
        self.end_series(exemplars, payload)?;
        if let Ok(identity) = &accepted {
            self.end_metric(identity, metadata);
        }
        self.tally.count(accepted.map(drop));
        Ok(())
    }

    /// Ends the rows.
    pub(super) fn end(mut self) -> Tally {
        self.end_resource();
        self.tally
    }

    fn begin<'l>(&mut self, identity: Identity<'l, 'a>) -> Common<'l, 'a> {
        let series_id = self.names.series_id(&identity);
        let resource = self.names.resource(&identity);
        if self.resource.as_ref().is_none_or(|last| last.id != resource.id) {
            self.end_resource();
            self.out.begin_resource();
            self.resource = Some(resource);
        }
        Common { identity, series_id }
    }

    fn end_resource(&mut self) {
        if let Some(resource) = self.resource.take() {
            self.out.end_scope(self.arrival, &resource, &self.scope);
        }
    }

    fn push_sample(
        &mut self,
        sample: &Sample,
        common: &Common<'_, 'a>,
        shape: NumberShape,
    ) -> Result<(), RejectReason> {
        let time = samples::accepted_time(sample.time, self.arrival)?;
        let value = (!sample.is_stale()).then_some(sample.value);
        let flags = if sample.is_stale() { NO_RECORDED_VALUE } else { 0 };
        self.out.points.push_own(shape, NumberValue { value, value_int: None });
        self.push_common(Place::Points, common, time, sample.start, flags);
        Ok(())
    }

    fn push_histogram(&mut self, common: &Common<'_, 'a>) -> Result<(), RejectReason> {
        let time = samples::accepted_time(self.native.time, self.arrival)?;
        let temporality = (!self.native.is_gauge()).then_some(CUMULATIVE);
        let place = match self.native.shape()? {
            Shape::Exponential(histogram) => {
                self.out.exp_histograms.push_own(temporality, histogram);
                Place::ExpHistograms
            }
            Shape::Custom(histogram) => {
                self.out.histograms.push_own(temporality, histogram);
                Place::Histograms
            }
        };
        let flags = if self.native.is_stale() { NO_RECORDED_VALUE } else { 0 };
        self.push_common(place, common, time, self.native.start, flags);
        Ok(())
    }

    /// Pushes what rows of every table have. `start` is in milliseconds, 0 where it is not said.
    fn push_common(
        &mut self,
        place: Place,
        common: &Common<'_, 'a>,
        time: UnixNanos,
        start: i64,
        flags: u32,
    ) {
        if let Some(open) = self.open.replace(place) {
            columns_at(self.out, open).exemplars.end_row();
        }
        let columns = columns_at(self.out, place);
        columns.push_head(time, (start != 0).then(|| nanoseconds(start)), i64::from(flags));
        columns.series_id.push(common.series_id);
        let mut count = 0;
        for (name, value) in common.identity.labels() {
            columns.attributes.push_entry(name, value);
            count += 1;
        }
        columns.attributes.end_row();
        columns.attribute_types.push(&LABEL_TYPES[..count]);
    }

    /// Puts the exemplars on the open row and ends it; without one they are left out.
    fn end_series(&mut self, exemplars: &[&'a [u8]], payload: &Payload<'a>) -> Result<(), WireError> {
        let Some(place) = self.open.take() else {
            self.tally.written.exemplars_left_out += exemplars.len() as u64;
            return Ok(());
        };
        let column = &mut columns_at(self.out, place).exemplars;
        for message in exemplars {
            if exemplars::push(column, message, payload, &mut self.exemplar_labels)? {
                self.tally.written.exemplars += 1;
            } else {
                self.tally.written.exemplars_left_out += 1;
            }
        }
        column.end_row();
        Ok(())
    }

    fn end_metric(&mut self, identity: &Identity<'_, '_>, metadata: &Metadata<'_>) {
        let (help, unit) = (wire::text(metadata.help), wire::text(metadata.unit));
        for text in [&help, &unit] {
            let is_mended = matches!(text, std::borrow::Cow::Owned(_));
            self.tally.warnings.add(Warning::TextReplaced, u64::from(is_mended));
        }
        self.out.end_metric(&Metric {
            name: identity.metric_name,
            description: Some(&*help).filter(|help| !help.is_empty()),
            unit: Some(&*unit).filter(|unit| !unit.is_empty()),
            metadata: metadata.metric_type.json(),
        });
    }
}

fn columns_at(out: &mut MetricBuilders, place: Place) -> &mut PointColumns {
    match place {
        Place::Points => &mut out.points.columns,
        Place::Histograms => &mut out.histograms.columns,
        Place::ExpHistograms => &mut out.exp_histograms.columns,
    }
}
