//! Rows of an ambient mesh: what is logged under and behind a waypoint.

use meshlake_schema::Table;

use super::{Logger, connection_only, own};
use crate::mesh::GAP;
use crate::story::{Call, Place, Target, Try};
use crate::telemetry::{Row, Value};

/// A waypoint by its node id, and its address.
pub const WAYPOINT: &str = "waypoint~10.8.0.1~waypoint-1.shop~shop.svc.cluster.local";
const WAYPOINT_ADDRESS: &str = "10.8.0.1";

/// What a row says of its caller if that is a waypoint.
fn from_waypoint(row: &mut Row) {
    let from = format!("{WAYPOINT_ADDRESS}:15008");
    row.text("downstream_remote_address", from.clone());
    row.text("downstream_direct_remote_address", from);
    row.text("source_address", WAYPOINT_ADDRESS);
    row.text("source_service", "waypoint");
    row.text("source_workload", "waypoint");
    row.text("source_namespace", "shop");
    row.text("source_principal", "spiffe://cluster.local/ns/shop/sa/waypoint");
}

impl Logger<'_> {
    /// What a sidecar behind the waypoint logs, which takes the waypoint for its caller. `row` is what both say.
    pub fn behind_waypoint(&mut self, row: &Row, tried: &Try) {
        let instance = self.instance(tried.at);
        let mut row = row.clone();
        row.int("time", (tried.start + instance.skew).div_euclid(1_000));
        row.int("time_unix_nano", tried.start + instance.skew);
        row.int("duration_nano", tried.duration);
        row.text("upstream_cluster", "inbound|80||");
        row.text("downstream_local_address", format!("{}:80", instance.address));
        from_waypoint(&mut row);
        row.text("proxy_id", instance.name.clone());
        self.rows.push(row);
    }

    /// The connection from the waypoint as the tunnel of the callee's node logs it: no further call either.
    pub fn tunnelled_on(&mut self, tried: &Try) {
        let (service, instance) = (self.service(tried.at), self.instance(tried.at));
        let mut row = Row::at(Table::Requests, tried.start - GAP, tried.duration + 2 * GAP, instance);
        row.text("observer", "server");
        row.values.insert("counted", Value::Bool(true));
        row.text("outcome", "ok");
        own(&mut row, "destination", service, instance);
        from_waypoint(&mut row);
        connection_only(&mut row);
        row.text("proxy_id", "ztunnel");
        self.rows.push(row);
    }

    /// The connection under a request through a waypoint: it is there for bytes, and no further call.
    pub fn tunnelled(&mut self, call: &Call, caller: Place) {
        let Target::Service(callee) = call.target else { return };
        if !self.story.mesh.services[callee].logs_received() {
            return;
        }
        let (service, instance) = (self.service(caller), self.instance(caller));
        let mut row = Row::at(Table::Requests, call.start - GAP, call.duration + 2 * GAP, instance);
        row.text("observer", "client");
        self.ids(&mut row, call, None);
        row.text("outcome", "ok");
        row.int("attempts", 1);
        own(&mut row, "source", service, instance);
        self.called(&mut row, call);
        row.text("upstream_local_address", format!("{}:{}", instance.address, self.port(call, 7)));
        connection_only(&mut row);
        row.text("proxy_id", "ztunnel");
        self.rows.push(row);
    }
}
