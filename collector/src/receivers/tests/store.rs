//! The whole road of this crate with the real store behind it: socket, WAL on disk, buffer, restart.

use std::net::SocketAddr;
use std::sync::Arc;

use meshlake_listen::Served;
use meshlake_schema::Table;
use meshlake_store::{Store, StoreConfig};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;

use super::STOP_TIME_MAX;
use crate::intake::testing::{StillClock, spans};
use crate::{Collector, CollectorConfig};

async fn open(data_dir: &std::path::Path) -> Store {
    let config = StoreConfig { data_dir: data_dir.to_owned(), ..StoreConfig::default() };
    Store::open(config, Arc::new(StillClock)).await.expect("open the store")
}

fn buffered_rows(store: &Store, table: Table) -> u64 {
    store.stats().tables[table.index()].buffered_rows
}

struct Serving {
    collector: Collector,
    served: Vec<Served>,
    address: SocketAddr,
}

fn serve(store: &mut Store) -> Serving {
    let (listeners, ports) = super::bind();
    let address = listeners[0].address();
    let (config, stored) = (CollectorConfig::default(), store.take_recovered_exports());
    let collector =
        Collector::start(&config, ports, store.writer(), Arc::new(StillClock), stored, None).expect("start");
    let served = super::serve(&collector, listeners);
    Serving { collector, served, address }
}

async fn stop(serving: Serving) {
    let report = super::stop(serving.collector, serving.served, STOP_TIME_MAX, STOP_TIME_MAX).await;
    assert!(report.connections_ended && report.intake_drained, "{report:?}");
}

async fn send(address: SocketAddr) -> Option<i64> {
    let mut client = TraceServiceClient::connect(format!("http://{address}")).await.expect("connect");
    let reply = client.export(spans(1, 1)).await.expect("stored").into_inner();
    reply.partial_success.map(|partial| partial.rejected_spans)
}

/// Scenario: one span of two is good; the process ends; the export is sent again. Guarantee: what the answer says
/// is buffered, the ledger with it, and still there after a restart; the repeat adds a line to the
/// ledger and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_rows_are_buffered_and_survive_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut store = open(directory.path()).await;
    let serving = serve(&mut store);
    let address = serving.address;
    assert_eq!(send(address).await, Some(1));
    assert_eq!(buffered_rows(&store, Table::Spans), 1);
    // received = 2, accepted = 1, rejected = 1.
    assert_eq!(buffered_rows(&store, Table::Ledger), 3);
    stop(serving).await;
    store.close().await;

    let mut store = open(directory.path()).await;
    let serving = serve(&mut store);
    let address = serving.address;
    assert_eq!((buffered_rows(&store, Table::Spans), buffered_rows(&store, Table::Ledger)), (1, 3));
    assert_eq!(send(address).await, None);
    // deduplicated = 1.
    assert_eq!((buffered_rows(&store, Table::Spans), buffered_rows(&store, Table::Ledger)), (1, 4));
    stop(serving).await;
    store.close().await;
}
