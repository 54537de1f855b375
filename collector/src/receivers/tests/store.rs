//! The whole road of this crate with the real store behind it: socket, WAL on disk, buffer, restart.

use std::net::SocketAddr;
use std::sync::Arc;

use meshlake_schema::Table;
use meshlake_store::{Store, StoreConfig};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use tokio::net::TcpListener;

use super::STOP_TIME_MAX;
use crate::intake::testing::{StillClock, spans};
use crate::{Collector, CollectorConfig, Listeners};

async fn open(data_dir: &std::path::Path) -> Store {
    let config = StoreConfig { data_dir: data_dir.to_owned(), ..StoreConfig::default() };
    Store::open(config, Arc::new(StillClock)).await.expect("open the store")
}

fn buffered_rows(store: &Store, table: Table) -> u64 {
    store.stats().tables[table.index()].buffered_rows
}

async fn serve(store: &mut Store) -> (Collector, SocketAddr) {
    let bind = || TcpListener::bind("127.0.0.1:0");
    let listeners = Listeners {
        otlp_grpc: bind().await.expect("a free port"),
        otlp_http: bind().await.expect("a free port"),
    };
    let address = listeners.otlp_grpc.local_addr().expect("bound");
    let (config, stored) = (CollectorConfig::default(), store.take_recovered_requests());
    let collector =
        Collector::start(&config, listeners, store.writer(), Arc::new(StillClock), stored).expect("start");
    (collector, address)
}

async fn stop(collector: Collector) {
    let report = collector.stop(STOP_TIME_MAX).await;
    assert!(report.connections_ended && report.intake_drained, "{report:?}");
}

async fn send(address: SocketAddr) -> Option<i64> {
    let mut client = TraceServiceClient::connect(format!("http://{address}")).await.expect("connect");
    let reply = client.export(spans(1, 1)).await.expect("stored").into_inner();
    reply.partial_success.map(|partial| partial.rejected_spans)
}

/// Scenario: one span of two is good; the process ends; the request is sent again. Guarantee: what the answer says
/// is buffered, the ledger with it, and still there after a restart; the repeat adds a line to the
/// ledger and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_rows_are_buffered_and_survive_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut store = open(directory.path()).await;
    let (collector, address) = serve(&mut store).await;
    assert_eq!(send(address).await, Some(1));
    assert_eq!(buffered_rows(&store, Table::Spans), 1);
    // received = 2, accepted = 1, rejected = 1.
    assert_eq!(buffered_rows(&store, Table::Ledger), 3);
    stop(collector).await;
    store.close().await;

    let mut store = open(directory.path()).await;
    let (collector, address) = serve(&mut store).await;
    assert_eq!((buffered_rows(&store, Table::Spans), buffered_rows(&store, Table::Ledger)), (1, 3));
    assert_eq!(send(address).await, None);
    // deduplicated = 1.
    assert_eq!((buffered_rows(&store, Table::Spans), buffered_rows(&store, Table::Ledger)), (1, 4));
    stop(collector).await;
    store.close().await;
}
