//! A minute of a mesh of any size is settled within what a fold may take.
//!
//! The mesh is that of `meshlake-bench settled`: 25,000 calls/s of 1,500 operations of 200 services, of two spans each; five
//! minutes of it, of which the middle one is settled, in 256 MiB. All of these are scaled by
//! ```text
//! MESHLAKE_TEST_MESH_PERMILLE=N   2 by default; 1,000 takes minutes, in a release build
//! ```
//! so that rows always take three times what there is, and a cell as many calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use meshlake_schema::budget::Allowance;
use meshlake_schema::{Budget, Spent, Table, UnixNanos};

use super::{Fold, Question};
use crate::choice::Source;
use crate::condense::Beyond;
use crate::error::FoldError;
use crate::fixture::{self, CLIENT, SERVER, SPAN, Span};
use crate::grouping::{By, Grain};
use crate::hashing::mixed_pair;
use crate::range::Range;
use crate::settled::Settled;

const PERMILLE: u64 = 2;
const MINUTE: u64 = 60;

/// Calls of each operation in one batch, in turn.
const TURNS: u64 = 7;

/// An allowance that remembers the most that was granted at once.
#[derive(Debug)]
struct Watched {
    allowance: Allowance,
    most: AtomicUsize,
}

impl Budget for Watched {
    fn grow(&self, bytes: usize) -> Result<(), Spent> {
        self.allowance.grow(bytes)?;
        self.most.fetch_max(self.allowance.bytes(), Ordering::Relaxed);
        Ok(())
    }

    fn shrink(&self, bytes: usize) {
        self.allowance.shrink(bytes);
    }

    fn check_time(&self) -> Result<(), Spent> {
        self.allowance.check_time()
    }
}

struct Mesh {
    services: u64,
    operations: u64,
    calls_a_second: u64,
    /// What a batch says of its calls beside ids and times.
    template: RecordBatch,
}

impl Mesh {
    fn of(permille: u64) -> Mesh {
        let (services, operations) = ((200 * permille / 1_000).max(2), 1_500 * permille / 1_000);
        let name = |service: u64| &*Box::leak(format!("svc-{service:05}").into_boxed_str());
        let names: Vec<&'static str> = (0..services).map(name).collect();
        let operation = |operation: u64| &*Box::leak(format!("GET /{operation}").into_boxed_str());
        let paths: Vec<&'static str> = (0..operations).map(operation).collect();
        let calls = (0..TURNS * operations).flat_map(|number| {
            let operation = number % operations;
            let callee = operation % services;
            let caller = (callee + 1 + operation / services % (services - 1)) % services;
            let http_status = if number % 97 == 0 { 503 } else { 200 };
            let outcome = if number % 97 == 0 { "error" } else { "ok" };
            let made = Span {
                kind: CLIENT,
                service: ("mesh", names[caller as usize]),
                name: "GET",
                method: "GET",
                http_status,
                outcome,
                ..SPAN
            };
            let service = ("mesh", names[callee as usize]);
            [made, Span { kind: SERVER, service, name: paths[operation as usize], ..made }]
        });
        let template = fixture::spans(&calls.collect::<Vec<_>>());
        Mesh { services, operations, calls_a_second: 25_000 * permille / 1_000, template }
    }

    fn batches(&self) -> u64 {
        5 * MINUTE * self.calls_a_second / (TURNS * self.operations)
    }

    /// When a call starts, nanoseconds.
    fn start(&self, number: u64) -> i64 {
        (number * 1_000_000_000 / self.calls_a_second) as i64
    }

    fn calls(&self, batch: u64) -> impl Iterator<Item = u64> + Clone {
        let calls = TURNS * self.operations;
        batch * calls..(batch + 1) * calls
    }

    fn batch(&self, number: u64) -> RecordBatch {
        let sides = || self.calls(number).flat_map(|call| [(call, 0), (call, 1)]);
        let text = |of: fn((u64, u64)) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(sides().map(of)))
        };
        // Nine octaves from half a millisecond on, evenly by their logarithms.
        let duration = |(call, _): (u64, u64)| {
            (500_000.0 * 2_f64.powf(9.0 * (mixed_pair(call, 7) % 65_536) as f64 / 65_536.0)) as i64
        };
        let columns: [(&str, ArrayRef); 5] = [
            (
                "time_unix_nano",
                Arc::new(Int64Array::from_iter_values(sides().map(|side| self.start(side.0)))),
            ),
            ("duration_nano", Arc::new(Int64Array::from_iter_values(sides().map(duration)))),
            ("trace_id", text(|(call, _)| format!("{:016x}{:016x}", mixed_pair(call, 1), call + 1))),
            ("span_id", text(|(call, side)| format!("{:016x}", 2 * call + side + 1))),
            ("parent_span_id", text(|(call, side)| format!("{:016x}", side * (2 * call + 1)))),
        ];
        let schema = self.template.schema();
        let fields = schema.fields().iter().zip(self.template.columns());
        let replaced = fields.map(|(field, column)| {
            let new = columns.iter().find(|(name, _)| name == field.name());
            new.map_or_else(|| Arc::clone(column), |(_, new)| Arc::clone(new))
        });
        RecordBatch::try_new(Arc::clone(&schema), replaced.collect()).expect("as many rows")
    }

    /// The third minute, with the passes that it took.
    fn settled(&self, budget: Arc<dyn Budget>) -> Result<(Settled, u64), FoldError> {
        let at = |minute: u64| UnixNanos((minute * MINUTE * 1_000_000_000) as i64);
        let range = Range::new(at(2), at(3), Some(Duration::from_secs(10))).expect("not empty");
        let question = Question { range, by: By::Whole, grain: Grain::Whole, source: Source::Auto };
        let mut fold = Fold::new(question).settling(Beyond::OthersOfNames).within(budget);
        let mut passes = 0;
        loop {
            passes += 1;
            (0..self.batches()).for_each(|batch| fold.add_spans(&self.batch(batch)));
            if !fold.end_pass()? {
                return Ok((fold.settle()?, passes));
            }
        }
    }
}

/// Every call of the minute is in cells once, nothing is summed up, and rows were read more than once.
#[test]
fn a_minute_of_a_large_mesh_is_settled_within_its_memory() {
    let permille = std::env::var("MESHLAKE_TEST_MESH_PERMILLE");
    let permille = permille.map_or(PERMILLE, |text| text.parse().expect("a number"));
    let mesh = Mesh::of(permille);
    let bytes_max = (256 << 20) / 1_000 * permille as usize;
    let budget = Arc::new(Watched { allowance: Allowance::new(bytes_max, None), most: AtomicUsize::new(0) });
    let (settled, passes) = mesh
        .settled(Arc::clone(&budget) as Arc<dyn Budget>)
        .expect("there is room for some rows beside cells");
    assert!(!settled.is_cut() && passes > 2, "{passes} passes");
    let cells = settled.rows(Table::Calls10s, "default", UnixNanos(0)).expect("columns of the table");
    let column = |name: &str| cells.rows().column_by_name(name).expect("a column").clone();
    let milli = column("requests_milli").as_primitive::<Int64Type>().clone();
    // Edges and received sides, of which each tells of every call.
    let is_inside =
        |call: &u64| (2 * MINUTE..3 * MINUTE).contains(&(mesh.start(*call) as u64 / 1_000_000_000));
    let calls = (0..mesh.batches()).flat_map(|batch| mesh.calls(batch)).filter(is_inside).count();
    assert_eq!(milli.values().iter().sum::<i64>(), 2_000 * calls as i64);
    println!(
        "{passes} passes over {} spans of {} services, {} cells, at most {} of {bytes_max} bytes",
        2 * mesh.batches() * TURNS * mesh.operations,
        mesh.services,
        cells.row_count(),
        budget.most.load(Ordering::Relaxed)
    );
    drop(settled);
    assert_eq!(budget.allowance.bytes(), 0, "all is given back");
}
