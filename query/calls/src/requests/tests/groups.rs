//! The same calls in other groups.

use super::*;

#[test]
fn operations_and_instances_are_told_apart_when_asked() {
    let rows = [
        Request { path: "/reviews/1", instance: "b-0", ..SERVED },
        Request { path: "/reviews/2?x=1", instance: "b-1", ..SERVED },
        Request { path: "/health", instance: "b-1", ..SERVED },
    ];
    let details = |grain| {
        let picture = picture_of(&rows, &[], Source::Auto, By::Service, grain);
        let cells = picture.node_cells.into_iter();
        cells.map(|cell| (cell.detail.unwrap_or_default(), cell.measure.requests())).collect::<Vec<_>>()
    };
    assert_eq!(
        details(Grain::Operation),
        [("GET /health".to_owned(), 1.0), ("GET /reviews/{id}".to_owned(), 2.0)]
    );
    assert_eq!(details(Grain::Instance), [("b-0".to_owned(), 1.0), ("b-1".to_owned(), 2.0)]);
}

#[test]
fn versions_come_from_the_side_that_knows_them() {
    // The caller's proxy does not know which version answered, the callee's does.
    let picture = |client_version| {
        let client = Request { source_version: "v1", version: client_version, ..CALL };
        let server = Request { source_version: "v1", version: "v2", ..SERVED };
        picture_of(&[client, server], &[], Source::Auto, By::Version, Grain::Node)
    };
    for known_to_the_client in ["", "v2"] {
        let picture = picture(known_to_the_client);
        assert_eq!(edges(&picture), ["default/a:v1 -> default/b:v2 1/0"]);
        assert_eq!(nodes(&picture), ["default/b:v2 1/0"]);
    }
}

/// 15 calls, 5 of them refused before anybody could tell of a version: 15 calls with 5 errors, whoever asks.
#[test]
fn every_grouping_has_the_same_total() {
    let made = |request_id| Request { source_version: "v1", request_id, ..CALL };
    let received = |request_id| Request {
        version: "v1",
        workload: "b-v1",
        ..Request { source_version: "v1", request_id, ..SERVED }
    };
    let ids = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    let refused = Request { flags: "UF", outcome: "error", ..made("") };
    let rows: Vec<Request> =
        ids.into_iter().flat_map(|id| [made(id), received(id)]).chain([refused; 5]).collect();
    for by in [By::Service, By::Workload, By::Version] {
        let picture = picture_of(&rows, &[], Source::Auto, by, Grain::Node);
        let sum = |of: fn(&crate::EdgeCell) -> f64| picture.edge_cells.iter().map(of).sum::<f64>();
        assert_eq!(sum(|edge| edge.measure.requests()), 15.0, "{by:?}");
        assert_eq!(sum(|edge| edge.measure.errors()), 5.0, "{by:?}");
        assert_eq!(sum(|edge| edge.refused), 5.0, "{by:?}");
        let received: f64 = picture.node_cells.iter().map(|cell| cell.measure.requests()).sum();
        assert_eq!(received, 10.0, "{by:?}");
    }
    for grain in [Grain::Operation, Grain::Instance] {
        let picture = picture_of(&rows, &[], Source::Auto, By::Service, grain);
        let received: f64 = picture.node_cells.iter().map(|cell| cell.measure.requests()).sum();
        assert_eq!(received, 10.0, "{grain:?}");
    }
}
