//! ztunnel, the proxy of a node in ambient mode: connections, of which each line names both ends.
//!
//! One ztunnel stands beside every workload of its node, so whose side it took is the line's to say (`direction`). What
//! was sent and received is told from that side: outbound the caller's bytes are sent, inbound they are received.
//!
//! Source: ztunnel `src/proxy/metrics.rs` (`ConnectionResult`), whose format its authors call unstable. Limits: the text
//! of an error is all there is to say what failed; what names no cause is taken for a connection that was cut.

use super::field::Field;
use super::json::{Object, object};
use super::moment::TimeFormat;
use super::numbers::Unit;
use super::pairs::Pairs;
use super::peers::PeerFact;
use super::reading::PeerEnd;

const FIRST: &str = "src.addr=";

pub(super) fn text() -> Pairs {
    Pairs::new(FIRST, members())
}

pub(super) fn json() -> Object {
    let required = [("src.addr", Field::Remote), ("direction", Field::Direction)];
    let mut fields: Vec<_> =
        members().into_iter().filter(|(key, _)| *key != "src.addr" && *key != "direction").collect();
    fields.push(("time", Field::End(TimeFormat::Any)));
    object(&required, &fields)
}

fn members() -> [(&'static str, Field); 17] {
    use PeerEnd::{Downstream, Upstream};
    [
        ("src.addr", Field::Remote),
        ("src.workload", Field::Peer(Downstream, PeerFact::Instance)),
        ("src.namespace", Field::Peer(Downstream, PeerFact::Namespace)),
        ("src.cluster", Field::Peer(Downstream, PeerFact::Cluster)),
        ("src.identity", Field::CallerPrincipal),
        ("dst.addr", Field::UpstreamHost),
        ("dst.hbone_addr", Field::Local),
        ("dst.service", Field::Cluster),
        ("dst.workload", Field::Peer(Upstream, PeerFact::Instance)),
        ("dst.namespace", Field::Peer(Upstream, PeerFact::Namespace)),
        ("dst.cluster", Field::Peer(Upstream, PeerFact::Cluster)),
        ("dst.identity", Field::Peer(Upstream, PeerFact::Principal)),
        ("direction", Field::Direction),
        ("bytes_sent", Field::BytesFromOwn),
        ("bytes_recv", Field::BytesToOwn),
        ("duration", Field::Duration(Unit::Millis)),
        ("error", Field::Error),
    ]
}
