//! Makes the picture of a range: of cells where it is settled, of rows where it is not.
//!
//! ```text
//! list      calls one by one
//! minutes   calls of minutes that are not settled yet, kept from question to question
//! running   calls of minutes to which spans still come, counted file by file
//! digests   cells of files, kept from question to question
//! feed      rows and cells of a snapshot -> fold
//! reading   which parts of a range are which
//! since     from when on calls could be seen
//! widening  as wide as what is kept of old times
//! ```

pub mod exemplars;
pub mod list;
mod minutes;
mod running;
mod digests;
pub(crate) mod feed;
pub(crate) mod reading;
mod since;
mod widening;

use meshlake_calls::settled::decode;
use meshlake_calls::{Fold, FoldError, Frame, Grain, Parts, PartsFrame, Picture, Question, Range, Shown};
use meshlake_engine::{DataFile, Engine, Fault, Query, QueryError};
use meshlake_schema::{Filter, Table, TimeRange};
use thiserror::Error;

use self::digests::{Found, Wanted};
use self::feed::{Cells, aside, counted, feed, feed_cells};
use self::minutes::Minutes;
use self::reading::Reading;
use self::since::first_row;
use self::widening::{Widened, widened};

/// Cells that are read once, with all that they count: of more, as of a day of a large mesh, only a part finds room, so that their
/// ends and numbers are read first, and then what of them is shown. With latencies these are some 30 MB.
const FEW_CELLS: u64 = 20_000;

/// Why there is no picture.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LoadError {
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    TooManyCells(FoldError),
}

impl LoadError {
    pub fn fault(&self) -> Fault {
        match self {
            LoadError::Query(error) => error.fault(),
            LoadError::TooManyCells(_) => Fault::Asker,
        }
    }

    /// See [`QueryError::told`].
    pub fn told(&self) -> String {
        match self {
            LoadError::Query(error) => error.told(),
            LoadError::TooManyCells(error) => error.to_string(),
        }
    }

    pub(crate) fn of(error: FoldError, query: &Query) -> LoadError {
        match error {
            FoldError::Spent(spent) => query.stopped(spent).into(),
            FoldError::TooManyCells => LoadError::TooManyCells(error),
            FoldError::Rows(error) => LoadError::bug(&error),
        }
    }

    pub(crate) fn bug(error: &dyn std::error::Error) -> LoadError {
        QueryError::Internal(format!("fold calls: {error}")).into()
    }
}

/// The picture of a tenant's calls, from one snapshot of both tables, of what the frame shows. Its range and step are wider
/// than the question's where nothing finer is kept, which a warning says.
///
/// # Errors
/// [`LoadError::Query`] from the engine, also when its time or memory is spent; [`LoadError::TooManyCells`] when the
/// question is too wide. Cancel: dropping the future stops the reading; a pass that has ended reading runs to its end
/// on its own thread, at most until the deadline.
pub async fn load(
    engine: &Engine,
    tenant: &str,
    question: Question,
    frame: Frame,
) -> Result<Picture, LoadError> {
    let query = engine.begin(tenant).await?;
    load_from(&query, question, frame).await
}

/// As [`load`], from the snapshot of a query.
///
/// # Errors
/// As [`load`].
pub async fn load_from(query: &Query, question: Question, frame: Frame) -> Result<Picture, LoadError> {
    let mut plan = Plan::of(query, question);
    plan.minutes = minutes::found(query, &plan.question, &plan.reading.folded).await?;
    if let Some(minutes) = &plan.minutes {
        plan.reading.folded.clone_from(&minutes.folded);
    }
    pictured(query, plan, frame).await
}

async fn pictured(query: &Query, mut plan: Plan, frame: Frame) -> Result<Picture, LoadError> {
    let fold = match counted_as(query, &plan, plan.question, Fold::new(plan.question), &frame).await {
        Err(LoadError::TooManyCells(_)) if frame.is_narrow() => {
            let fold = Fold::new(plan.question).showing(shown(query, &plan, &frame).await?);
            counted_as(query, &plan, plan.question, fold, &frame).await?
        }
        fold => fold?,
    };
    let Plan { question, reading, minutes, .. } = &plan;
    let first_row = first_row(query, question, &fold, &reading.cells).await?;
    let cells = if plan.are_few { &[][..] } else { &reading.cells[..] };
    let picture = drawn(query, question, cells, minutes.as_ref(), fold).await?;
    plan.warnings.splice(0..0, picture.warnings);
    let range = plan.question.range.observed(first_row, query.began());
    Ok(Picture { range, warnings: plan.warnings, ..picture })
}

/// What is counted for `question`, one of the times of the plan.
async fn counted_as(
    query: &Query,
    plan: &Plan,
    question: Question,
    fold: Fold,
    frame: &Frame,
) -> Result<Fold, LoadError> {
    let mut fold = fold.framed(frame.clone()).within(query.budget());
    let surveyed = if plan.are_few { &[][..] } else { &plan.surveyed[..] };
    for (table, times) in plan.reading.cells.iter().filter(|_| plan.are_few) {
        add_cells(query, &question, *table, times, &mut fold).await?;
    }
    if let Some(Minutes { found, times, first_row, .. }) = plan.minutes.clone() {
        let (given, surveyed) = aside(move || {
            let surveyed = found.read(&times, |digested| fold.survey_counted(digested, first_row));
            (fold, surveyed)
        })
        .await?;
        surveyed.map_err(|error| LoadError::of(error, query))?;
        fold = given;
    }
    fed(query, &plan.reading.folded, surveyed, fold, &question).await
}

/// Between whom calls are shown, as nodes alone tell: where all that is told apart does not find room, what is shown of it may.
async fn shown(query: &Query, plan: &Plan, frame: &Frame) -> Result<Shown, LoadError> {
    let Question { range, .. } = plan.question;
    let range = Range::new(range.from(), range.to(), None).map_err(|error| LoadError::bug(&error))?;
    let question = Question { range, grain: Grain::Node, ..plan.question };
    let fold = counted_as(query, plan, question, Fold::new(question), frame).await?;
    let drawing = aside(move || fold.drawing()).await?;
    Ok(drawing.map_err(|error| LoadError::of(error, query))?.into_shown())
}

/// How many cells the files have that hold some of these, as far as statistics tell: those of all tenants, and of times beside.
fn cells_in_files(query: &Query, cells: &[(Table, Vec<TimeRange>)]) -> u64 {
    let in_files = |(table, times): &(Table, Vec<TimeRange>)| {
        let is_met = |file: &&DataFile| {
            let (first, last) = (file.time_min_micros, file.time_max_micros);
            times.iter().any(|times| times.meets(first, last))
        };
        query.files(*table).iter().filter(is_met).map(|file| file.rows).sum::<u64>()
    };
    cells.iter().map(in_files).sum()
}

/// The picture of what a fold counted, with what it shows of these cells and of minutes, which were surveyed.
async fn drawn(
    query: &Query,
    question: &Question,
    cells: &[(Table, Vec<TimeRange>)],
    minutes: Option<&Minutes>,
    fold: Fold,
) -> Result<Picture, LoadError> {
    let minutes = minutes.cloned();
    let drawing = aside(move || {
        let mut drawing = fold.drawing()?;
        if let Some(Minutes { found, times, .. }) = minutes {
            found.read(&times, |digested| drawing.add_digests(digested))?;
        }
        Ok(drawing)
    })
    .await?;
    let mut drawing = drawing.map_err(|error| LoadError::of(error, query))?;
    let filter = drawing.filter();
    for (table, times) in cells {
        if let Some(found) = kept(query, Wanted::of_drawing(*table, question, &filter), times).await? {
            let times = times.clone();
            let (given, added) = aside(move || {
                let added = found.read(&times, |digested| drawing.add_digests(digested));
                (drawing, added)
            })
            .await?;
            added.map_err(|error| LoadError::of(error, query))?;
            drawing = given;
            continue;
        }
        let reading = decode::Reading::Whole(question.grain);
        let cells = Cells { table: *table, times, reading, filter: filter.clone() };
        feed_cells(query, &cells, |batch| drawing.add_cells(*table, batch, times)).await?;
    }
    aside(move || drawing.finish()).await?.map_err(|error| LoadError::of(error, query))
}

/// What is wanted of all that was counted, without a choice among it, for a question whose grain tells parts of what cells tell;
/// see `meshlake_calls::parts`.
///
/// # Errors
/// As [`load`].
pub async fn load_parts(query: &Query, question: Question, wanted: PartsFrame) -> Result<Parts, LoadError> {
    let mut plan = Plan::of(query, question);
    let Plan { question, are_few, .. } = plan;
    let fold = counted_as(query, &plan, question, Fold::new(question), &Frame::whole()).await?;
    let first_row = first_row(query, &question, &fold, &plan.reading.cells).await?;
    let assembly = aside(move || fold.assembly(wanted)).await?;
    let mut assembly = assembly.map_err(|error| LoadError::of(error, query))?;
    if let Some(filter) = assembly.filter().filter(|_| !are_few) {
        let reading = assembly.reading();
        let without_latencies = matches!(reading, decode::Reading::Counted(_));
        for (table, times) in &plan.reading.cells {
            let wanted = Wanted::of_parts(*table, &question, &filter, without_latencies);
            if let Some(found) = kept(query, wanted, times).await? {
                let times = times.clone();
                let (given, added) = aside(move || {
                    let added = found.read(&times, |digested| assembly.add_digests(digested));
                    (assembly, added)
                })
                .await?;
                added.map_err(|error| LoadError::of(error, query))?;
                assembly = given;
                continue;
            }
            let cells = Cells { table: *table, times, reading, filter: filter.clone() };
            feed_cells(query, &cells, |batch| assembly.add_cells(*table, batch, times)).await?;
        }
    }
    let parts = aside(move || assembly.finish()).await?;
    let parts = parts.map_err(|error| LoadError::of(error, query))?;
    plan.warnings.splice(0..0, parts.warnings);
    let range = question.range.observed(first_row, query.began());
    Ok(Parts { range, warnings: plan.warnings, ..parts })
}

/// The picture of what a fold counted of rows, by names that cells told too.
async fn finished(query: &Query, fold: Fold) -> Result<Picture, LoadError> {
    aside(move || fold.finish()).await?.map_err(|error| LoadError::of(error, query))
}

/// Adds cells whole, with all that is counted.
pub(crate) async fn add_cells(
    query: &Query,
    question: &Question,
    table: Table,
    times: &[TimeRange],
    fold: &mut Fold,
) -> Result<(), LoadError> {
    let reading = decode::Reading::Whole(question.grain);
    let cells = Cells { table, times, reading, filter: Filter::And(Vec::new()) };
    feed_cells(query, &cells, |batch| Ok(fold.add_cells(table, batch, times)?)).await
}

/// How a question is answered.
struct Plan {
    /// As wide as what is kept.
    question: Question,
    reading: Reading,
    /// Cells that tell what everything is called and which evidence counts, of all times that are not folded.
    surveyed: Vec<(Table, Vec<TimeRange>)>,
    /// Cells are read once, all of them.
    are_few: bool,
    /// What is kept of minutes that are not settled.
    minutes: Option<Minutes>,
    warnings: Vec<String>,
}

impl Plan {
    fn of(query: &Query, question: Question) -> Plan {
        let Widened { range, untold, mut warnings } =
            widened(&question, |table, range| query.only_wider(table, range));
        let question = Question { range, ..question };
        let open = |table, range| query.open(table, range);
        let reading = Reading::of(&question, &untold, open);
        let surveyed = Reading::survey(&question, &untold, &reading.folded, open);
        let late = reading
            .cells
            .iter()
            .flat_map(|(table, times)| times.iter().flat_map(|times| query.frozen_late(*table, *times)));
        warnings.extend(widening::late(&late.collect::<Vec<_>>()));
        let are_few = cells_in_files(query, &reading.cells) <= FEW_CELLS;
        Plan { question, reading, surveyed, are_few, minutes: None, warnings }
    }
}

/// The fold, which has its budget, with a survey of the cells and all that rows tell of the times to be folded, every pass counted.
async fn fed(
    query: &Query,
    folded: &[TimeRange],
    surveyed: &[(Table, Vec<TimeRange>)],
    fold: Fold,
    question: &Question,
) -> Result<Fold, LoadError> {
    // While rows are read as many threads decode as a query has, and one folds. What they hold is counted on no more: those that
    // decoded have nothing to do then.
    let threads = query.parallelism() + 1;
    let mut fold = fold.on_threads(threads).fold_only(folded.to_vec());
    for (table, times) in surveyed {
        if let Some(found) = kept(query, Wanted::of_survey(*table, question), times).await? {
            let times = times.clone();
            let (given, surveyed) = aside(move || {
                let surveyed = found.read(&times, |digested| fold.survey_digests(digested));
                (fold, surveyed)
            })
            .await?;
            surveyed.map_err(|error| LoadError::of(error, query))?;
            fold = given;
            continue;
        }
        let reading = decode::Reading::Survey;
        let cells = Cells { table: *table, times, reading, filter: Filter::And(Vec::new()) };
        feed_cells(query, &cells, |batch| fold.survey_cells(batch, times)).await?;
    }
    loop {
        fold = feed(query, question, folded, fold).await?;
        let (counted, more) = counted(fold).await?;
        fold = counted;
        if !more.map_err(|error| LoadError::of(error, query))? {
            return Ok(fold);
        }
    }
}

/// What is kept of the cells that a question reads; none where they are to be read anew.
async fn kept(
    query: &Query,
    wanted: Option<Wanted>,
    times: &[TimeRange],
) -> Result<Option<Found>, LoadError> {
    match wanted {
        Some(wanted) => digests::found(query, &wanted, times).await,
        None => Ok(None),
    }
}
