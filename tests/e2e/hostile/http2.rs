//! HTTP/2 frames written by hand: floods (B20), rules of the protocol that are broken, and what then comes.
//!
//! A client library would not write them. Headers are literals without indexing (RFC 7541, 6.2.2), so that there is
//! no state to keep; of what comes back only the kinds of frames are read, never headers. Source: RFC 9113.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::check_takes_requests;
use crate::exchange::signal::Signal;
use crate::harness::Server;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// RFC 9113, 6: types of frames.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

// RFC 9113, 7: codes of errors.
const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const FRAME_SIZE_ERROR: u32 = 6;
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// What a connection hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    /// GOAWAY with that code.
    GoAway(u32),
    /// GOAWAY with whatever code, or just the end.
    End,
    /// Some stream is reset with that code.
    Reset(u32),
    /// Some stream is answered or reset.
    StreamEnd,
    /// Nothing that ends it.
    Life,
}

struct Input {
    name: &'static str,
    frames: Vec<u8>,
    want: Want,
}

/// # Errors
/// Inputs that are answered otherwise, or after which good requests are not taken.
pub async fn check(server: &Server) -> Result<()> {
    let mut faults = Vec::new();
    for input in floods().into_iter().chain(broken_rules()) {
        let stream = TcpStream::connect(&server.addresses.otlp_grpc).await?;
        let stream = converse(stream, &input).await;
        // While a connection that lives is still there.
        check_takes_requests(server).await.with_context(|| format!("after {}", input.name))?;
        faults.extend(stream.err().map(|fault| format!("{}: {fault:#}", input.name)));
    }
    ensure!(faults.is_empty(), "{} inputs:\n{}", faults.len(), faults.join("\n"));
    Ok(())
}

/// Much of what is allowed.
fn floods() -> Vec<Input> {
    let input = |name, frames, want| Input { name, frames, want };
    let many = |count: u32, one: &dyn Fn(u32) -> Vec<u8>| (0..count).flat_map(one).collect::<Vec<u8>>();
    let stream = |index: u32| 2 * index + 1;
    let opened = |index| frame(HEADERS, END_HEADERS, stream(index), &headers(Signal::Traces.grpc_path()));
    let reset = |index| frame(RST_STREAM, 0, stream(index), &8u32.to_be_bytes());
    let begun = frame(HEADERS, 0, 1, &headers(Signal::Traces.grpc_path()));
    let filler = literal("x", &"y".repeat(100));
    vec![
        input(
            "2,000 streams that are opened and reset at once",
            many(2_000, &|index| [opened(index), reset(index)].concat()),
            Want::GoAway(ENHANCE_YOUR_CALM),
        ),
        input(
            "10,000 CONTINUATION frames",
            [begun.clone(), many(10_000, &|_| frame(CONTINUATION, 0, 1, &filler))].concat(),
            Want::GoAway(ENHANCE_YOUR_CALM),
        ),
        input(
            "10,000 CONTINUATION frames of no bytes",
            [begun, many(10_000, &|_| frame(CONTINUATION, 0, 1, b""))].concat(),
            Want::GoAway(ENHANCE_YOUR_CALM),
        ),
        input(
            "20,000 DATA frames of no bytes",
            [opened(0), many(20_000, &|_| frame(DATA, 0, 1, b""))].concat(),
            Want::GoAway(ENHANCE_YOUR_CALM),
        ),
        input("50,000 PING frames", many(50_000, &|_| frame(PING, 0, 0, b"whatever")), Want::Life),
        input("50,000 SETTINGS frames", many(50_000, &|_| frame(SETTINGS, 0, 0, b"")), Want::Life),
        input("50,000 frames of no known type", many(50_000, &|_| frame(99, 0, 0, b"x")), Want::Life),
        input("200 streams, of which 100 may be open", many(200, &opened), Want::Reset(REFUSED_STREAM)),
        input(
            "answers that nobody has a window for",
            [setting(4, 0), many(50, &|index| [opened(index), ended(stream(index))].concat())].concat(),
            Want::Life,
        ),
        input(
            // RFC 9113, 6.5.2: each counts 32 bytes more than it has, so they fit a frame and not the limit.
            "headers that count as 20 KiB",
            frame(
                HEADERS,
                END_HEADERS | END_STREAM,
                1,
                &[headers("/"), literal("a", &"b".repeat(10_000)), literal("x", "y").repeat(300)].concat(),
            ),
            Want::StreamEnd,
        ),
    ]
}

/// What is not allowed at all.
fn broken_rules() -> Vec<Input> {
    let input = |name, frames, want| Input { name, frames, want };
    let path = Signal::Traces.grpc_path();
    let request = |block: Vec<u8>| frame(HEADERS, END_HEADERS | END_STREAM, 1, &block);
    let without_path = pseudo(&[(":method", "POST"), (":scheme", "http"), (":authority", "x")]);
    let path_twice = [headers(path), literal(":path", "/")].concat();
    vec![
        input("DATA on no stream", frame(DATA, 0, 0, b"x"), Want::GoAway(PROTOCOL_ERROR)),
        input("DATA on a stream that is not open", frame(DATA, 0, 1, b"x"), Want::GoAway(PROTOCOL_ERROR)),
        input(
            "a stream of the server's",
            frame(HEADERS, END_HEADERS, 2, &headers(path)),
            Want::GoAway(PROTOCOL_ERROR),
        ),
        input("CONTINUATION of nothing", frame(CONTINUATION, 0, 1, b"x"), Want::GoAway(PROTOCOL_ERROR)),
        input(
            "PING in between headers",
            [frame(HEADERS, 0, 1, b""), frame(PING, 0, 0, b"whatever")].concat(),
            Want::GoAway(PROTOCOL_ERROR),
        ),
        input("a PING of seven bytes", frame(PING, 0, 0, b"whateve"), Want::End),
        input(
            "a frame that claims 16 MiB",
            vec![0xff, 0xff, 0xff, DATA, 0, 0, 0, 0, 1],
            Want::GoAway(FRAME_SIZE_ERROR),
        ),
        input("a setting that is cut", frame(SETTINGS, 0, 0, b"xxxxx"), Want::End),
        input(
            "settings that nobody sent are acknowledged with bytes",
            frame(SETTINGS, ACK, 0, b"xxxxxx"),
            Want::End,
        ),
        input(
            "a window that overflows",
            frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffff_u32.to_be_bytes()),
            Want::GoAway(FLOW_CONTROL_ERROR),
        ),
        input("a window that does not grow", frame(WINDOW_UPDATE, 0, 0, &[0; 4]), Want::End),
        input("a window of 2^32 - 1 from the start", setting(4, u32::MAX), Want::End),
        input("frames of no bytes from the start", setting(5, 0), Want::End),
        input("headers that are no HPACK", request(vec![0xff; 100]), Want::End),
        input("no path", request(without_path), Want::StreamEnd),
        input("a path without a slash before it", request(headers(&path[1..])), Want::StreamEnd),
        input("an empty path", request(headers("")), Want::StreamEnd),
        input("two paths", request(path_twice), Want::Reset(PROTOCOL_ERROR)),
        input("a header in capitals", request([headers(path), literal("Upper", "x")].concat()), Want::End),
        input(
            "a header of HTTP/1.1",
            request([headers(path), literal("transfer-encoding", "chunked")].concat()),
            Want::Reset(PROTOCOL_ERROR),
        ),
        input(
            "a length that is not kept",
            [
                frame(HEADERS, END_HEADERS, 1, &[headers(path), literal("content-length", "6")].concat()),
                ended(1),
            ]
            .concat(),
            Want::Reset(PROTOCOL_ERROR),
        ),
    ]
}

/// Sends the preface and `input`, and reads until what is wanted has come.
async fn converse(stream: TcpStream, input: &Input) -> Result<TcpStream> {
    let (mut reading, mut writing) = stream.into_split();
    let bytes = [PREFACE, &frame(SETTINGS, 0, 0, b""), &input.frames].concat();
    let writer = tokio::spawn(async move {
        // The server may have hung up long before the last byte.
        let _ = writing.write_all(&bytes).await;
        writing
    });
    if input.want != Want::Life {
        let judged = until_heard(&mut reading, input.want);
        tokio::time::timeout(ANSWER_TIMEOUT, judged).await.context("nothing of it came in time")??;
    }
    let writing = tokio::time::timeout(ANSWER_TIMEOUT, writer).await.context("not read on")??;
    Ok(reading.reunite(writing)?)
}

async fn until_heard(reading: &mut tokio::net::tcp::OwnedReadHalf, want: Want) -> Result<()> {
    let mut heard = Vec::new();
    loop {
        let mut head = [0; 9];
        if reading.read_exact(&mut head).await.is_err() {
            ensure!(want == Want::End, "the connection ended after frames of types {heard:?}");
            return Ok(());
        }
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        reading.read_exact(&mut payload).await.context("a frame that is cut")?;
        let (kind, flags) = (head[3], head[4]);
        heard.push(kind);
        let code =
            |at: usize| payload.get(at..at + 4).and_then(|code| code.try_into().ok()).map(u32::from_be_bytes);
        match (kind, want) {
            (GOAWAY, Want::End) => return Ok(()),
            (GOAWAY, Want::GoAway(want)) if code(4) == Some(want) => return Ok(()),
            (GOAWAY, _) => bail!("GOAWAY with code {:?}", code(4)),
            (RST_STREAM, Want::Reset(want)) if code(0) == Some(want) => return Ok(()),
            (RST_STREAM, Want::StreamEnd) => return Ok(()),
            (HEADERS | DATA, Want::StreamEnd) if flags & END_STREAM != 0 => return Ok(()),
            _ => {}
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("frames here are short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The end of a stream's body.
fn ended(stream: u32) -> Vec<u8> {
    frame(DATA, END_STREAM, stream, b"\0\0\0\0\0")
}

fn setting(id: u16, value: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[id.to_be_bytes().as_slice(), &value.to_be_bytes()].concat())
}

/// The headers of a gRPC call.
fn headers(path: &str) -> Vec<u8> {
    let pseudo = pseudo(&[(":method", "POST"), (":scheme", "http"), (":authority", "x"), (":path", path)]);
    [pseudo, literal("content-type", "application/grpc"), literal("te", "trailers")].concat()
}

fn pseudo(headers: &[(&str, &str)]) -> Vec<u8> {
    headers.iter().flat_map(|(name, value)| literal(name, value)).collect()
}

/// A header as a literal without indexing and with a new name.
fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut out = vec![0];
    for text in [name, value] {
        push_length(&mut out, text.len());
        out.extend_from_slice(text.as_bytes());
    }
    out
}

/// An integer with a prefix of seven bits (RFC 7541, 5.1); the bit above them says that there is no Huffman code.
fn push_length(out: &mut Vec<u8>, length: usize) {
    const PREFIX_MAX: usize = 127;
    if length < PREFIX_MAX {
        out.push(length as u8);
        return;
    }
    out.push(PREFIX_MAX as u8);
    prost::encoding::encode_varint((length - PREFIX_MAX) as u64, out);
}
