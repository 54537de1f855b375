//! Listeners through real sockets, and HTTP's time limits over pipes whose clock stands until nobody has work.

use std::convert::Infallible;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use meshlake_schema::tenant::TenantError;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tower_service::Service;

use super::*;
use crate::http::{Caller, TIME_LIMITS, TimeLimits};
use crate::principal::Principal;
use crate::stream::Wrapping;

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(60);

fn door(connections: u64) -> Door {
    Door { role: Role::Reader, cap: Cap::new(connections), wrap: None }
}

struct Running {
    served: Served,
    stats: ListenerStats,
    address: SocketAddr,
}

fn start(door: Door, protocol: Protocol) -> Running {
    let listener = Listener::bind("test", "127.0.0.1:0").expect("a free port");
    let (stats, address) = (listener.stats(), listener.address());
    Running { served: listener.serve(door, protocol).expect("in a runtime"), stats, address }
}

/// Answers with the principal that it is given.
fn whoami() -> Protocol {
    Protocol::http(async |_: Request<Incoming>, caller: Caller| told(&caller.principal))
}

fn told(principal: &Result<Principal, TenantError>) -> Response<Full<Bytes>> {
    let text = match principal {
        Ok(Principal { tenant, role }) => format!("{tenant} {role:?}"),
        Err(error) => error.to_string(),
    };
    Response::new(Full::new(text.into()))
}

/// Sends a request for `/` with `header` over HTTP/1.1; the body of the answer.
async fn get(address: SocketAddr, header: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connect");
    let request = format!("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{header}\r\n");
    stream.write_all(request.as_bytes()).await.expect("connected");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("text");
    answer.split_once("\r\n\r\n").expect("a head").1.to_owned()
}

/// Whoever bound the socket never accepts: who connects while nobody serves waits for the one that serves next.
#[tokio::test]
async fn a_socket_that_is_handed_down_keeps_who_waits() {
    let bound = Listener::bind("test", "127.0.0.1:0").expect("a free port");
    for _ in 0..2 {
        let asked = tokio::spawn(get(bound.address(), ""));
        let handed = bound.socket().try_clone_to_owned().expect("a descriptor");
        let listener = Listener::inherited("test", handed).expect("a socket");
        assert_eq!((listener.address(), listener.name()), (bound.address(), "test"));
        let served = listener.serve(door(1), whoami()).expect("in a runtime");
        assert_eq!(asked.await.expect("no panic"), "default Reader");
        assert!(served.stop(Instant::now() + LONG).await);
    }
}

#[test]
fn what_another_process_counts_is_told_as_ones_own() {
    let listener = Listener::bind("test", "127.0.0.1:0").expect("a free port");
    let counted = Connections { open: 1, accepted: 20, refused: 300 };
    listener.stats().set(counted);
    assert_eq!(listener.stats().counted(), counted);
}

/// Sends back each byte that it reads.
fn echo() -> Protocol {
    Protocol::raw(async |mut connection: Connection| {
        loop {
            tokio::select! {
                read = connection.stream.read_u8() => match read {
                    Ok(byte) => connection.stream.write_u8(byte).await.expect("the client reads"),
                    Err(_) => return,
                },
                () = connection.stopping.wait() => return,
            }
        }
    })
}

#[tokio::test]
async fn a_handler_is_told_who_asks() {
    let running = start(door(9), whoami());
    for (header, want) in [
        ("", "default Reader"),
        ("x-scope-orgid: team-a\r\n", "team-a Reader"),
        ("x-scope-orgid: a/b\r\n", "x-scope-orgid has a character outside [A-Za-z0-9!._*'()-]"),
    ] {
        assert_eq!(get(running.address, header).await, want);
    }
    assert!(running.served.stop(Instant::now() + LONG).await);
}

/// What a router is: its answer depends on what lies beside the request.
#[derive(Clone)]
struct Beside;

impl Service<Request<Incoming>> for Beside {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let principal = Principal::beside(request.extensions()).expect("put there by the listener");
        std::future::ready(Ok(told(&principal)))
    }
}

#[tokio::test]
async fn a_service_finds_who_asks_beside_the_request() {
    let running = start(door(9), Protocol::service(Beside));
    assert_eq!(get(running.address, "x-scope-orgid: team-a\r\n").await, "team-a Reader");
    assert!(running.served.stop(Instant::now() + LONG).await);
}

#[tokio::test]
async fn one_connection_more_than_the_cap_is_closed_and_counted() {
    let running = start(door(1), echo());
    let mut first = TcpStream::connect(running.address).await.expect("connect");
    first.write_u8(7).await.expect("connected");
    assert_eq!(first.read_u8().await.expect("echoed"), 7);
    let mut second = TcpStream::connect(running.address).await.expect("connect");
    assert!(second.read_u8().await.is_err());
    assert_eq!((running.stats.open(), running.stats.refused()), (1, 1));
    let mut page = Page::default();
    metrics(&[running.stats], &mut page);
    let page = page.into_text();
    for sample in ["connections", "connections_accepted_total", "connections_refused_total"] {
        assert!(
            page.contains(&format!("\nmeshlake_{sample}{{listener=\"test\"}} 1\n")),
            "{sample} in {page}"
        );
    }
    assert!(running.served.stop(Instant::now() + LONG).await, "who listens to the stop ends");
    assert!(first.read_u8().await.is_err());
}

/// Adds one to each byte that is read and takes one off each that is written, once for the whole connection.
struct Shifted;

impl Wrap for Shifted {
    fn wrap(&self, mut stream: Stream) -> Wrapping<'_> {
        Box::pin(async move {
            let (outer, mut inner) = duplex(64);
            tokio::spawn(async move {
                loop {
                    tokio::select! {
                        read = stream.read_u8() => match read {
                            Ok(byte) => inner.write_u8(byte + 1).await.expect("the protocol reads"),
                            Err(_) => return,
                        },
                        read = inner.read_u8() => match read {
                            Ok(byte) => stream.write_u8(byte - 1).await.expect("the client reads"),
                            Err(_) => return,
                        },
                    }
                }
            });
            Ok(Stream::new(outer))
        })
    }
}

/// Sends back the byte that it reads, and a nine behind it.
fn echo_and_nine() -> Protocol {
    Protocol::raw(async |mut connection: Connection| {
        let byte = connection.stream.read_u8().await.expect("one byte");
        assert!(!connection.can_be_wrapped());
        connection.stream.write_all(&[byte, 9]).await.expect("the client reads");
    })
}

#[tokio::test]
async fn a_connection_is_wrapped_before_its_protocol_begins() {
    let wrap: Option<(WrapStart, Arc<dyn Wrap>)> = Some((WrapStart::AtOnce, Arc::new(Shifted)));
    let running = start(Door { wrap, ..door(9) }, echo_and_nine());
    let mut client = TcpStream::connect(running.address).await.expect("connect");
    client.write_u8(4).await.expect("connected");
    let mut answer = [0; 2];
    client.read_exact(&mut answer).await.expect("an answer");
    // 4 is 5 inside; 5 and 9 are 4 and 8 outside.
    assert_eq!(answer, [4, 8]);
    assert!(running.served.stop(Instant::now() + LONG).await);
}

/// As Postgres does: the client asks in the clear, is told yes or no, and goes on behind the wrap or without.
#[tokio::test]
async fn a_protocol_can_ask_for_the_wrap_in_the_middle() {
    let protocol = || {
        Protocol::raw(async |mut connection: Connection| {
            assert_eq!(connection.stream.read_u8().await.expect("a byte"), b'S');
            let word = if connection.can_be_wrapped() { b'Y' } else { b'N' };
            connection.stream.write_u8(word).await.expect("the client reads");
            let mut connection = match word {
                b'Y' => connection.wrapped().await.expect("it can be wrapped"),
                _ => connection,
            };
            let byte = connection.stream.read_u8().await.expect("a byte");
            connection.stream.write_u8(byte).await.expect("the client reads");
            assert!(!connection.can_be_wrapped() && connection.wrapped().await.is_err(), "once is enough");
        })
    };
    let wrap: Option<(WrapStart, Arc<dyn Wrap>)> = Some((WrapStart::WhenAsked, Arc::new(Shifted)));
    for (wrap, word) in [(wrap, b'Y'), (None, b'N')] {
        let running = start(Door { wrap, ..door(9) }, protocol());
        let mut client = TcpStream::connect(running.address).await.expect("connect");
        client.write_u8(b'S').await.expect("connected");
        assert_eq!(client.read_u8().await.expect("a word"), word);
        client.write_u8(4).await.expect("connected");
        assert_eq!(client.read_u8().await.expect("echoed"), 4);
        assert!(running.served.stop(Instant::now() + LONG).await);
    }
}

/// A peer that says nothing in the handshake has no time without end.
#[tokio::test]
async fn a_wrap_that_does_not_end_is_an_error() {
    let stuck = within(Duration::ZERO, Box::pin(std::future::pending())).await;
    assert_eq!(stuck.map(drop).map_err(|error| error.kind()), Err(io::ErrorKind::TimedOut));
    let wrapped = within(Duration::ZERO, Box::pin(async { Ok(Stream::new(duplex(1).0)) })).await;
    assert!(wrapped.is_ok());
}

#[tokio::test]
async fn what_does_not_end_in_time_is_cut_off() {
    let deaf = Protocol::raw(async |mut connection: Connection| {
        connection.stream.write_u8(1).await.expect("the client reads");
        std::future::pending::<()>().await;
    });
    let running = start(door(9), deaf);
    let mut client = TcpStream::connect(running.address).await.expect("connect");
    assert_eq!(client.read_u8().await.expect("it is served"), 1);
    assert!(!running.served.stop(Instant::now()).await);
    assert!(client.read_u8().await.is_err());
    while running.stats.open() > 0 {
        tokio::task::yield_now().await;
    }
}

/// Serves the other end of a pipe, and the task that does.
fn over_a_pipe(protocol: &Protocol) -> (DuplexStream, JoinHandle<()>) {
    let (client, server) = duplex(1 << 16);
    // Nobody stops it: its sender is kept for ever.
    let (stop, stopping) = Stopping::channel();
    std::mem::forget(stop);
    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
    let stream = Stream::new(server);
    let connection = Connection { stream, peer, role: Role::Reader, stopping, wrap: None };
    (client, tokio::spawn(protocol.serve(connection)))
}

/// What a minute is on a port.
const SHORT: Duration = Duration::from_millis(40);

const SHORT_LIMITS: TimeLimits =
    TimeLimits { header: SHORT, keep_alive_interval: SHORT, keep_alive: Duration::from_millis(20) };

/// Ends a connection on which `said` was said and nothing more; what was answered.
async fn silent_after(said: &[u8]) -> String {
    let protocol = Protocol::http_within(SHORT_LIMITS, async |_: Request<Incoming>, caller: Caller| {
        told(&caller.principal)
    });
    let begun = Instant::now();
    let (mut client, serving) = over_a_pipe(&protocol);
    client.write_all(said).await.expect("room");
    timeout(LONG, serving).await.expect("it is ended").expect("no panic");
    assert!(begun.elapsed() >= SHORT, "{:?}", String::from_utf8_lossy(said));
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.expect("a pipe");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Nothing, half of a head, a preface that stops: nobody answers, the connection is ended. A spare connection behind an
/// answer is ended as well.
#[tokio::test]
async fn a_connection_that_says_no_more_is_ended() {
    for said in ["", "GET / HT", "PRI * HTTP/2.0\r\n"] {
        assert!(!silent_after(said.as_bytes()).await.contains("200 OK"), "{said:?}");
    }
    assert!(silent_after(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.contains("200 OK"));
}

/// The preface and an empty SETTINGS frame (RFC 9113, 3.4 and 6.5), and no answer to a ping.
#[tokio::test]
async fn a_silent_http2_connection_is_ended_when_it_gives_no_sign_of_life() {
    silent_after(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
}

#[test]
fn the_limits_of_every_port_are_those_that_are_documented() {
    let seconds = Duration::from_secs;
    let TimeLimits { header, keep_alive_interval, keep_alive } = TIME_LIMITS;
    assert_eq!((header, keep_alive_interval, keep_alive), (seconds(60), seconds(60), seconds(20)));
    assert_eq!(WRAP_TIME_MAX, seconds(5));
}
