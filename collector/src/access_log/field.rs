//! What a field of a log means, and how its text becomes a fact.
//!
//! Languages and known formats say which [`Field`] stands where; matchers cut a line into texts. `-` and nothing are no
//! value in any format. A text that cannot be what its field means makes the line unread: silently left out it would be
//! a call without status, or of zero length.

use std::borrow::Cow;

use super::addresses::address;
use super::moment::TimeFormat;
use super::numbers::{Unit, count, nanos};
use super::peers::{PeerFact, set_peer, set_peer_object};
use super::reading::{PeerEnd, Reading, Timer};
use super::{lists, request_line, termination, words};

/// What a field means. Where a comment is missing it is the fact of that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Field {
    /// Nothing that is kept.
    Skip,
    /// A fact without a column, kept under this name.
    Attribute(Box<str>),
    /// Who the caller says it is; kept as the attribute `remote_user`.
    RemoteUser,
    Start(TimeFormat),
    /// When the call was over, or the line was written.
    End(TimeFormat),
    Duration(Unit),
    /// W3C's: seconds if it has a fraction, else milliseconds, as IIS writes it.
    TimeTaken,
    Timer(Timer, Unit),
    UpstreamDuration(Unit),
    /// Method, path and protocol as one text.
    RequestLine,
    Method,
    Path,
    /// What the path was before it was rewritten, whatever another field says of it.
    OriginalPath,
    /// What the path was rewritten to.
    RewrittenPath,
    /// What follows the path, with or without its question mark.
    Query,
    /// Scheme, authority and path as one text.
    Url,
    Protocol,
    Scheme,
    Authority,
    /// Apache's name of the server that was asked, which is an authority and nothing that only looks like a word.
    VirtualHost,
    Route,
    Status,
    /// nginx's of a connection: how it ended, in numbers of HTTP, and what it was of.
    SessionStatus,
    Transport,
    GrpcStatus,
    Flags,
    Details,
    RequestBytes,
    ResponseBytes,
    Attempts,
    /// Attempts but the first.
    Retries,
    Remote,
    RemotePort,
    DirectRemote,
    Local,
    LocalPort,
    DirectRemotePort,
    UpstreamLocal,
    UpstreamLocalPort,
    UpstreamHost,
    UpstreamPort,
    Cluster,
    FailureReason,
    TerminationDetails,
    ServerName,
    ForwardedFor,
    StreamId,
    RequestId,
    Traceparent,
    TraceId,
    SpanId,
    TlsVersion,
    UserAgent,
    CallerPrincipal,
    OwnPrincipal,
    LogType,
    Peer(PeerEnd, PeerFact),
    /// All of it as one JSON object.
    PeerObject(PeerEnd),
    /// nginx's lists, a member for each upstream tried.
    UpstreamHosts,
    UpstreamStatuses,
    UpstreamDurations(Unit),
    UpstreamConnectTimes,
    UpstreamHeaderTimes,
    UpstreamBytes,
    /// Kong's list of upstreams, in JSON.
    Tries,
    /// Apache's, of the connection when the response was complete.
    ConnectionStatus,
    /// ztunnel's.
    Direction,
    BytesFromOwn,
    BytesToOwn,
    /// An error in words.
    Error,
    /// HAProxy's.
    TerminationState,
    Server,
    Frontend,
}

/// The text of a field that cannot be what the field means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unfit;

impl Field {
    /// The column that it fills, or its attribute's; what a line is counted by that is unread because of it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Field::Skip | Field::Attribute(_) | Field::RemoteUser | Field::Frontend => "attributes",
            Field::Start(_) | Field::End(_) => "time",
            Field::Duration(_) | Field::TimeTaken | Field::Timer(..) => "duration_nano",
            Field::UpstreamDuration(_)
            | Field::UpstreamDurations(_)
            | Field::UpstreamConnectTimes
            | Field::UpstreamHeaderTimes => "upstream_duration_nano",
            Field::RequestLine | Field::Method => "method",
            Field::Path | Field::OriginalPath | Field::RewrittenPath | Field::Query | Field::Url => "path",
            Field::Protocol | Field::Transport => "protocol",
            Field::Scheme => "scheme",
            Field::Authority | Field::VirtualHost => "authority",
            Field::Route => "route",
            Field::Status | Field::SessionStatus | Field::UpstreamStatuses => "response_code",
            Field::GrpcStatus => "grpc_status",
            Field::Flags | Field::TerminationState | Field::ConnectionStatus => "response_flags",
            Field::Details => "response_code_details",
            Field::RequestBytes | Field::BytesFromOwn => "request_bytes",
            Field::ResponseBytes | Field::UpstreamBytes | Field::BytesToOwn => "response_bytes",
            Field::Direction => "observer",
            Field::Attempts | Field::Retries => "attempts",
            Field::Remote | Field::RemotePort => "downstream_remote_address",
            Field::DirectRemote | Field::DirectRemotePort => "downstream_direct_remote_address",
            Field::Local | Field::LocalPort => "downstream_local_address",
            Field::UpstreamLocal | Field::UpstreamLocalPort => "upstream_local_address",
            Field::UpstreamHost
            | Field::UpstreamPort
            | Field::UpstreamHosts
            | Field::Server
            | Field::Tries => "upstream_host",
            Field::Cluster => "upstream_cluster",
            Field::FailureReason | Field::Error => "upstream_transport_failure_reason",
            Field::TerminationDetails => "connection_termination_details",
            Field::ServerName => "requested_server_name",
            Field::ForwardedFor => "forwarded_for",
            Field::StreamId => "stream_id",
            Field::RequestId => "request_id",
            Field::Traceparent | Field::TraceId => "trace_id",
            Field::SpanId => "span_id",
            Field::TlsVersion => "tls_version",
            Field::UserAgent => "user_agent",
            Field::CallerPrincipal => "source_principal",
            Field::OwnPrincipal => "destination_principal",
            Field::LogType => "access_log_type",
            Field::Peer(PeerEnd::Upstream, _) | Field::PeerObject(PeerEnd::Upstream) => {
                "destination_workload"
            }
            Field::Peer(PeerEnd::Downstream, _) | Field::PeerObject(PeerEnd::Downstream) => "source_workload",
        }
    }

    /// Whether a text is what the field mostly holds; of two ways to read a line the one is taken whose texts all are.
    pub(super) fn is_likely(&self, text: &str) -> bool {
        match self {
            Field::RequestId | Field::Authority | Field::ServerName | Field::StreamId | Field::Cluster => {
                !text.contains(['"', ' '])
            }
            Field::ForwardedFor | Field::Route => !text.contains('"'),
            _ => true,
        }
    }

    /// Whether only a request has it. A format without any such field is of connections.
    pub(super) fn is_of_requests(&self) -> bool {
        matches!(
            self,
            Field::RequestLine | Field::Method | Field::Path | Field::Url | Field::Status | Field::GrpcStatus
        )
    }

    /// Whether it begins with a slash, where it is there.
    pub(super) fn is_path(&self) -> bool {
        matches!(self, Field::Path | Field::OriginalPath | Field::RewrittenPath | Field::Url)
    }

    /// Whether a query that follows at once is a part of it.
    pub(super) fn takes_query(&self) -> bool {
        self.is_path() || *self == Field::Query
    }

    /// Whether its text may hold what stands before a port.
    pub(super) fn may_hold_colons(&self) -> bool {
        matches!(
            self,
            Field::Remote
                | Field::DirectRemote
                | Field::Local
                | Field::UpstreamLocal
                | Field::UpstreamHost
                | Field::Authority
                | Field::VirtualHost
        )
    }

    /// Whether a line that ends before it has been cut.
    pub(super) fn is_needed(&self) -> bool {
        self.is_of_requests() || matches!(self, Field::Start(_) | Field::End(_))
    }

    /// Whether its text is digits and nothing else.
    pub(super) fn is_digits(&self) -> bool {
        match self {
            Field::Start(format) | Field::End(format) => {
                matches!(format, TimeFormat::Fraction | TimeFormat::Number(_))
            }
            Field::Status | Field::RemotePort | Field::LocalPort | Field::UpstreamPort | Field::Attempts => {
                true
            }
            _ => false,
        }
    }

    /// Whether its text may be a list with spaces in it, though it stands between spaces.
    pub(super) fn is_list(&self) -> bool {
        matches!(
            self,
            Field::UpstreamHosts
                | Field::UpstreamStatuses
                | Field::UpstreamDurations(_)
                | Field::UpstreamConnectTimes
                | Field::UpstreamHeaderTimes
                | Field::UpstreamBytes
                | Field::ForwardedFor
        )
    }

    /// Takes in what the field says.
    ///
    /// # Errors
    /// The text cannot be what the field means; something may have been taken in.
    pub(super) fn set<'a>(&self, text: Cow<'a, str>, to: &mut Reading<'a>) -> Result<(), Unfit> {
        if matches!(&*text, "" | "-") && !self.means_something_when_missing(to) {
            return Ok(());
        }
        match self {
            Field::Skip => {}
            Field::Attribute(name) => to.attributes.push_text("", name, &text),
            Field::Start(format) => format.read(&text, &mut to.start).ok_or(Unfit)?,
            Field::End(format) => format.read(&text, &mut to.end).ok_or(Unfit)?,
            Field::Duration(unit) => to.duration_nano = nanos(&text, *unit).ok_or(Unfit)?,
            Field::TimeTaken => {
                let unit = if text.contains('.') { Unit::Seconds } else { Unit::Millis };
                to.duration_nano = nanos(&text, unit).ok_or(Unfit)?;
            }
            Field::Timer(timer, unit) => to.set_timer(*timer, nanos(&text, *unit).ok_or(Unfit)?),
            Field::UpstreamDuration(unit) => {
                to.seen.upstream_duration_nano = nanos(&text, *unit).ok_or(Unfit)?;
            }
            Field::Status => to.seen.response_code = words::status(&text).ok_or(Unfit)?,
            Field::GrpcStatus => to.seen.grpc_status = words::grpc_status(&text).ok_or(Unfit)?,
            Field::RequestBytes => to.seen.request_bytes = count(&text).ok_or(Unfit)?.unwrap_or_default(),
            Field::ResponseBytes => to.seen.response_bytes = count(&text).ok_or(Unfit)?.unwrap_or_default(),
            Field::BytesFromOwn => to.own_sent = count(&text).ok_or(Unfit)?.unwrap_or_default(),
            Field::BytesToOwn => to.own_received = count(&text).ok_or(Unfit)?.unwrap_or_default(),
            Field::Attempts => to.seen.attempts = count(&text).ok_or(Unfit)?.unwrap_or_default(),
            Field::Retries => to.retries = count(&text).ok_or(Unfit)?,
            Field::RemotePort => to.ports.remote = port(&text)?,
            Field::DirectRemotePort => to.ports.direct_remote = port(&text)?,
            Field::LocalPort => to.ports.local = port(&text)?,
            Field::UpstreamLocalPort => to.ports.upstream_local = port(&text)?,
            Field::UpstreamPort => to.ports.upstream = port(&text)?,
            Field::Remote => to.seen.downstream_remote = address(text).ok_or(Unfit)?,
            Field::DirectRemote => to.seen.downstream_direct_remote = address(text).ok_or(Unfit)?,
            Field::Local => to.seen.downstream_local = address(text).ok_or(Unfit)?,
            Field::UpstreamLocal => to.seen.upstream_local = address(text).ok_or(Unfit)?,
            Field::UpstreamHost => to.seen.upstream_host = address(text).ok_or(Unfit)?,
            Field::Peer(end, fact) => set_peer(*end, *fact, text, to),
            Field::PeerObject(end) => set_peer_object(*end, &text, to),
            _ => return self.set_text(text, to),
        }
        Ok(())
    }

    /// An upstream's times are missing where it could not be reached. That a format tells requests from connections shows
    /// in a field that a connection leaves out.
    fn means_something_when_missing(&self, to: &mut Reading<'_>) -> bool {
        to.has_protocol_field |= *self == Field::Protocol;
        matches!(self, Field::UpstreamConnectTimes | Field::UpstreamHeaderTimes)
    }

    fn set_text<'a>(&self, text: Cow<'a, str>, to: &mut Reading<'a>) -> Result<(), Unfit> {
        let slot = match self {
            Field::Scheme => &mut to.seen.scheme,
            Field::Authority => &mut to.seen.authority,
            Field::Route => &mut to.seen.route,
            Field::FailureReason => &mut to.seen.upstream_transport_failure_reason,
            Field::TerminationDetails => &mut to.seen.connection_termination_details,
            Field::ServerName => &mut to.seen.requested_server_name,
            Field::ForwardedFor => &mut to.seen.forwarded_for,
            Field::StreamId => &mut to.seen.stream_id,
            Field::RequestId => &mut to.seen.request_id,
            Field::UserAgent => &mut to.seen.user_agent,
            Field::CallerPrincipal => &mut to.seen.caller_principal,
            Field::OwnPrincipal => &mut to.seen.own_principal,
            _ => return self.set_word(text, to),
        };
        *slot = text;
        Ok(())
    }

    /// Facts out of a closed set of words, ids, and texts of several facts.
    fn set_word<'a>(&self, text: Cow<'a, str>, to: &mut Reading<'a>) -> Result<(), Unfit> {
        let is_fit = match self {
            Field::RequestLine => request_line::set_line(text, to),
            Field::Method => request_line::set_method(text, to),
            Field::Path => request_line::set_path(text, to),
            Field::OriginalPath => request_line::set_original(text, to),
            Field::RewrittenPath => request_line::set_rewritten(&text, to),
            Field::Query => request_line::set_query(&text, to),
            Field::Url => request_line::set_url(text, to),
            Field::VirtualHost => request_line::set_virtual_host(text, to),
            Field::Protocol => request_line::set_protocol(&text, to),
            Field::RemoteUser => words::set_remote_user(&text, to),
            Field::ConnectionStatus => words::set_connection_status(&text, to),
            Field::SessionStatus => words::set_session_status(&text, to),
            Field::Transport => words::set_transport(&text, to),
            Field::Flags => words::set_flags(&text, to),
            Field::TlsVersion => words::set_tls_version(&text, to),
            Field::LogType => words::set_log_type(&text, to),
            Field::Traceparent => words::set_traceparent(&text, to),
            Field::TraceId => words::set_trace_id(&text, to),
            Field::SpanId => words::set_span_id(&text, to),
            Field::UpstreamHosts => lists::set_hosts(text, to),
            Field::UpstreamStatuses => lists::set_statuses(&text, to),
            Field::UpstreamDurations(unit) => lists::set_durations(&text, *unit, to),
            Field::UpstreamConnectTimes => lists::set_connect_times(&text, to),
            Field::UpstreamHeaderTimes => lists::set_header_times(&text, to),
            Field::UpstreamBytes => lists::set_bytes(&text, to),
            Field::Cluster => words::set_cluster(text, to),
            Field::Tries => lists::set_tries(&text, to),
            Field::Details => words::set_details(text, to),
            Field::Direction => words::set_direction(&text, to),
            Field::Error => words::set_error(text, to),
            Field::Frontend => termination::set_frontend(text, to),
            Field::TerminationState => termination::set_state(&text, to),
            Field::Server => termination::set_server(&text, to),
            _ => true,
        };
        if is_fit { Ok(()) } else { Err(Unfit) }
    }
}

fn port(text: &str) -> Result<Option<u16>, Unfit> {
    text.parse().map(Some).map_err(|_| Unfit)
}
