//! What is counted while spans come in is what a fold of all of them counts, bit for bit, after each part of them.
//!
//! Spans come in the order in which they begin, but for some that take longer; in files of any number, after some of which questions
//! are asked while the next are in no file yet. Where it says that it is of no more use, all spans are counted anew.

use std::sync::Arc;
use std::time::Duration;

use meshlake_calls::minutes::{MINUTE, minute_of, rows_of};
use meshlake_calls::running::{Halt, Means, Room};
use meshlake_calls::span_rows::SpanBatch;
use meshlake_calls::{By, Digest, Digested, Fold, Grain, Lines, Picture, Question, Range, Running, Source};
use meshlake_schema::budget::Allowance;
use meshlake_schema::{Table, TimeRange, UnixNanos};

use crate::feeding::{feed, start};
use crate::oracle::{FROM, TO};
use crate::random::Random;
use crate::rows;
use crate::settled::shown;
use crate::telemetry::Row;

/// What is asked, of which cells, in which order of rows.
struct Asked {
    by: By,
    grain: Grain,
    first: i64,
    /// One until spans tell of messages.
    margin: i64,
    open_spans_max: usize,
}

/// How often it was told without beginning anew, and what was told wrongly.
#[derive(Default)]
pub struct Outcome {
    pub told: usize,
    pub anew: usize,
    pub differences: Vec<String>,
}

/// What is told of a story while it comes in.
pub fn outcome(told: &[Row], random: &mut Random) -> Outcome {
    let groupings = [
        (By::Service, Grain::Node),
        (By::Service, Grain::Node),
        (By::Version, Grain::Node),
        (By::Service, Grain::Operation),
        (By::Workload, Grain::Operation),
        (By::Service, Grain::Instance),
    ];
    let (by, grain) = random.pick(&groupings);
    let spans: Vec<Row> = in_order(told, random);
    let first = minute_of(FROM) - 1 + random.below(4) as i64;
    let open_spans_max = random.below(spans.len() / 2 + 2);
    let mut asked = Asked { by, grain, first, margin: 1, open_spans_max };
    let mut outcome = Outcome::default();
    let mut running = asked.begun(&[], random).expect("nothing is too much");
    let mut lines = Lines::default();
    let mut known = 0;
    while known < spans.len() {
        let next = (known + 1 + random.below(spans.len() / 4 + 1)).min(spans.len());
        let passing = (next + random.below(spans.len() / 8 + 1)).min(spans.len());
        running.begin_file();
        let mut came = add(&mut running, &asked, &spans[known..next], false, random);
        running.begin_passing();
        came = came.and_then(|()| add(&mut running, &asked, &spans[next..passing], true, random));
        let digest = came.and_then(|()| count(&mut running, &mut lines));
        known = next;
        let digest = match digest {
            Ok(digest) => {
                outcome.told += 1;
                digest
            }
            Err(Halt::Torn | Halt::Renamed | Halt::Distant) => {
                outcome.anew += 1;
                asked.margin = 2;
                running = asked.begun(&spans[..next], random).expect("a story is small");
                add(&mut running, &asked, &spans[next..passing], true, random)
                    .expect("nothing is counted yet");
                count(&mut running, &mut lines).expect("a story is small")
            }
            Err(error) => panic!("{error}"),
        };
        outcome.differences.extend(asked.difference(digest, &lines, &spans[..passing], random));
        if random.percent(20) && asked.first < minute_of(TO) - 2 {
            asked.first += 1;
            running.begin_at(asked.first);
        }
    }
    outcome
}

/// The spans as they come: a few seconds after they began, or some minutes.
fn in_order(told: &[Row], random: &mut Random) -> Vec<Row> {
    let spans = told.iter().filter(|row| row.table == Table::Spans);
    let mut spans: Vec<(i64, &Row)> = spans
        .map(|row| {
            let seconds = if random.percent(3) { random.between(5, 200) } else { random.between(0, 5) };
            (start(row) + seconds * 1_000_000_000, row)
        })
        .collect();
    spans.sort_by_key(|(came, _)| *came);
    spans.into_iter().map(|(_, row)| row.clone()).collect()
}

fn add(
    running: &mut Running,
    asked: &Asked,
    spans: &[Row],
    is_passing: bool,
    random: &mut Random,
) -> Result<(), Halt> {
    let times = running.times();
    let is_read = |row: &&Row| times.from.0 <= start(row) && start(row) < times.to.0;
    let spans: Vec<Row> = spans.iter().filter(is_read).cloned().collect();
    rows::batches(Table::Spans, &spans, random).into_iter().try_for_each(|batch| {
        let batch = SpanBatch::read(batch, asked.by, asked.grain).expect("columns of the table");
        running.add(&batch, is_passing)
    })
}

fn count(running: &mut Running, lines: &mut Lines) -> Result<Digest, Halt> {
    let budget = Allowance::new(1 << 30, None);
    running.told(lines, Means { threads: 2, budget: &budget })
}

impl Asked {
    fn begun(&self, spans: &[Row], random: &mut Random) -> Result<Running, Halt> {
        let room = Room { open_spans: self.open_spans_max, ..Room::default() };
        let running = Running::holding(self.by, self.grain, self.first, self.margin, room);
        let mut running = running.expect("times are near");
        running.begin_file();
        add(&mut running, self, spans, false, random)?;
        Ok(running)
    }

    /// Whether a question about some of these times is answered otherwise than from all spans.
    fn difference(
        &self,
        digest: Digest,
        lines: &Lines,
        spans: &[Row],
        random: &mut Random,
    ) -> Option<String> {
        let from = (self.first + random.below(2) as i64) * MINUTE;
        let tens = (TO - from) / 10_000_000_000;
        let to = from + (1 + random.below(tens as usize) as i64) * 10_000_000_000;
        // Of whole minutes cells may be as wide.
        let is_wide = to % MINUTE == 0 && random.percent(50);
        let step = if is_wide { 60 } else { random.pick(&[10, 20, 600]) };
        let range =
            Range::new(UnixNanos(from), UnixNanos(to), Some(Duration::from_secs(step))).expect("not empty");
        let question = Question { range, by: self.by, grain: self.grain, source: Source::Spans };
        let digest = if is_wide { digest.widened(Duration::from_secs(60)) } else { digest };
        let told = shown(&picture(question, digest, lines));
        let mut fold = Fold::new(question);
        feed(&mut fold, Source::Spans, spans, &[rows_of(&range)], random);
        let folded = shown(&fold.finish().expect("a story is small"));
        let first = told.lines().zip(folded.lines()).find(|(told, folded)| told != folded);
        (told != folded).then(|| {
            format!("{question:?} from minute {}: what was counted and spans say {first:#?}", self.first)
        })
    }
}

fn picture(question: Question, digest: Digest, lines: &Lines) -> Picture {
    let times = [TimeRange { from: question.range.from(), to: question.range.to() }];
    let digests = [Arc::new(digest)];
    let digested = Digested { lines, digests: &digests, times: &times };
    let mut fold = Fold::new(question).fold_only(Vec::new());
    fold.survey_counted(&digested, None).expect("a story is small");
    let mut drawing = fold.drawing().expect("a story is small");
    drawing.add_digests(&digested).expect("a story is small");
    drawing.finish().expect("a story is small")
}
