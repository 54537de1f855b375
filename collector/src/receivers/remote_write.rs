//! Prometheus remote write: POST of series to `/api/v1/write`, in the messages of 1.0 and 2.0.
//!
//! The content type says which message it is, and nothing else does. Senders log the answer to what went wrong, so it is one
//! line of text; they send again what is answered 5xx, and give up what is answered 4xx. To one of 2.0 every answer, also
//! that to the same request once more, says how much of it was written.
//!
//! Source: prometheus.io, "Remote-Write 1.0" and "Remote-Write 2.0".

use http::{Response, Version};

use super::{Call, Port, Route, caught, closing, read_posted_block};
use crate::admit::ReplyBody;
use crate::admit::answer;
use crate::admit::headers::written_as;
use crate::decode::remote_write::{VERSION_1, VERSION_2};

/// The receiver's name in metrics.
const RECEIVER: &str = "remote_write";

pub(super) static ROUTES: [Route; 1] = [Route {
    port: Port::Http,
    path: "/api/v1/write",
    formats: &[
        ("application/x-protobuf;proto=io.prometheus.write.v2.Request", &VERSION_2),
        ("application/x-protobuf;proto=prometheus.WriteRequest", &VERSION_1),
        ("application/x-protobuf", &VERSION_1),
    ],
    receive: |call| Box::pin(receive(call)),
}];

async fn receive(call: Call) -> Response<ReplyBody> {
    let (receivers, signal) = (call.receivers.clone(), call.route.signal());
    let is_http1 = call.request.version() <= Version::HTTP_11;
    let named = written_as(call.request.headers(), call.route.formats);
    let tells_written = named.is_ok_and(|format| std::ptr::eq(format, &raw const VERSION_2));
    let read = caught(read_posted_block(call)).await;
    let closes = is_http1 && read.is_err();
    let result = match read {
        Ok(read) => caught(receivers.store(read)).await,
        Err(refusal) => Err(refusal),
    };
    receivers.count(RECEIVER, signal, result.as_ref());
    let response = match result {
        Ok(tally) => answer::remote_write(&tally, tells_written),
        Err(refusal) => answer::remote_write_refused(refusal, tells_written),
    };
    if closes { closing(response) } else { response }
}
