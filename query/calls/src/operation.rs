//! Names the operation of a proxied request, with few enough names to group by.
//!
//! An access log has no span name. A gRPC path is one already (`/package.Service/Method`); an HTTP path is
//! not, because ids in it make every path its own. Segments that can only be ids are therefore written
//! `{id}`: whole numbers, UUIDs, long hexadecimal. Istio's route name would be the better word but is
//! `default` in almost every mesh. Limit: ids that look like words stay; `cells::DETAILS_MAX` bounds what
//! that can cost.

/// Hexadecimal text of at least this length is an id: the shortest in common use are 64-bit span ids.
const HEX_ID_LENGTH_MIN: usize = 16;

/// Segments kept of a path; deeper ones end as `...`. Guess, not measured.
const SEGMENTS_MAX: usize = 8;

/// Writes `METHOD /path/with/{id}` into `out`. A gRPC path is taken whole; a missing path leaves the method.
pub fn write_operation(out: &mut String, method: Option<&str>, path: Option<&str>, is_grpc: bool) {
    out.clear();
    let path = path.map(|path| path.split(['?', '#']).next().unwrap_or(path));
    if let (true, Some(path)) = (is_grpc, path) {
        out.push_str(path.trim_start_matches('/'));
        return;
    }
    out.push_str(method.unwrap_or("-"));
    let Some(path) = path else { return };
    out.push(' ');
    if path == "/" {
        out.push('/');
        return;
    }
    for (at, segment) in path.split('/').filter(|s| !s.is_empty()).enumerate() {
        out.push('/');
        if at == SEGMENTS_MAX {
            out.push_str("...");
            return;
        }
        out.push_str(if is_id(segment) { "{id}" } else { segment });
    }
}

/// Words that names of streaming methods begin with: what is watched, subscribed to or streamed has no end of its own.
/// A name is all that a log and most spans tell of it.
const STREAMING: [&str; 3] = ["Stream", "Watch", "Subscribe"];

/// Streaming methods of common programs that are called otherwise. Sources: the `.proto` files of Envoy (xDS, load
/// reports), gRPC (reflection), etcd, flagd.
const STREAMS: [&str; 5] =
    ["DeltaAggregatedResources", "ServerReflectionInfo", "LeaseKeepAlive", "EventStream", "SyncFlags"];

/// Whether a gRPC method, by its path or the name of its span, is one that streams.
pub fn is_stream(path: &str) -> bool {
    let method = path.rsplit('/').next().unwrap_or(path);
    // `Streamline` is no stream: another word follows, or nothing.
    let begins = |word: &str| {
        method.strip_prefix(word).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_lowercase()))
    };
    path.contains('/') && (STREAMING.into_iter().any(begins) || STREAMS.contains(&method))
}

fn is_id(segment: &str) -> bool {
    let bytes = segment.as_bytes();
    let digits = bytes.iter().all(u8::is_ascii_digit);
    let hex = bytes.iter().all(|b| b.is_ascii_hexdigit() || *b == b'-');
    digits || (hex && bytes.len() >= HEX_ID_LENGTH_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &str, path: &str, is_grpc: bool, want: &str) {
        let mut got = String::from("left over");
        write_operation(&mut got, Some(method), Some(path), is_grpc);
        assert_eq!(got, want);
    }

    #[test]
    fn ids_in_paths_are_folded() {
        check("GET", "/reviews/17?stars=5", false, "GET /reviews/{id}");
        check("GET", "/carts/0d6f2c1e-8a3b-4f6e-9c57-0242ac120002/items", false, "GET /carts/{id}/items");
        check("GET", "/traces/4bf92f3577b34da6a3ce929d0e0e4736", false, "GET /traces/{id}");
        check("GET", "/cafe/added", false, "GET /cafe/added");
        check("POST", "/", false, "POST /");
    }

    #[test]
    fn a_grpc_path_is_the_operation() {
        check("POST", "/shop.Cart/Add", true, "shop.Cart/Add");
    }

    #[test]
    fn a_deep_path_is_cut() {
        check("GET", "/a/b/c/d/e/f/g/h/i/j", false, "GET /a/b/c/d/e/f/g/h/...");
    }

    #[test]
    fn methods_that_stream_are_known_by_name() {
        for (path, want) in [
            ("/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs", true),
            ("grpc.health.v1.Health/Watch", true),
            ("flagd.evaluation.v1.Service/EventStream", true),
            ("/shop.Orders/SubscribeOrders", true),
            ("/shop.Orders/Streamline", false),
            ("/shop.Orders/GetStream", false),
            ("/shop.WatchService/Get", false),
            ("Watch", false),
        ] {
            assert_eq!(is_stream(path), want, "{path}");
        }
    }

    #[test]
    fn what_is_unknown_is_left_out() {
        let mut got = String::new();
        write_operation(&mut got, None, None, false);
        assert_eq!(got, "-");
    }
}
