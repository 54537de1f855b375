//! The messages of Envoy's access log service, as far as they are read.
//!
//! Sources: envoy/service/accesslog/v3/als.proto, envoy/data/accesslog/v3/accesslog.proto,
//! envoy/config/core/v3/{base,address}.proto, envoy/type/v3/semantic_version.proto, google/protobuf/{struct,any,timestamp,duration,wrappers}.proto.
//! Left out on purpose: `Node.extensions` (60 KB at the head of every stream, of no use here). What an
//! `Any` wraps is bytes to this table; its reader must cope with broken ones.

use super::FieldType::{Bool, Bytes, Double, Enum, Int32, Int64, Message as Of, Text, Uint32, Uint64};
use super::{Message, many, one};

pub static STREAM_ACCESS_LOGS_MESSAGE: Message = Message::new(
    "StreamAccessLogsMessage",
    false,
    &[
        one(1, "identifier", Of(&IDENTIFIER)),
        one(2, "httpLogs", Of(&HTTP_ENTRIES)),
        one(3, "tcpLogs", Of(&TCP_ENTRIES)),
    ],
);

static IDENTIFIER: Message =
    Message::new("Identifier", false, &[one(1, "node", Of(&NODE)), one(2, "logName", Text)]);

static NODE: Message = Message::new(
    "Node",
    false,
    &[
        one(1, "id", Text),
        one(2, "cluster", Text),
        one(3, "metadata", Of(&STRUCT)),
        one(4, "locality", Of(&LOCALITY)),
        one(6, "userAgentName", Text),
        one(7, "userAgentVersion", Text),
        one(8, "userAgentBuildVersion", Of(&BUILD_VERSION)),
    ],
);

static BUILD_VERSION: Message =
    Message::new("BuildVersion", false, &[one(1, "version", Of(&SEMANTIC_VERSION))]);

static SEMANTIC_VERSION: Message = Message::new(
    "SemanticVersion",
    false,
    &[one(1, "majorNumber", Uint32), one(2, "minorNumber", Uint32), one(3, "patch", Uint32)],
);

static LOCALITY: Message =
    Message::new("Locality", false, &[one(1, "region", Text), one(2, "zone", Text), one(3, "subZone", Text)]);

static HTTP_ENTRIES: Message =
    Message::new("HTTPAccessLogEntries", false, &[many(1, "logEntry", Of(&HTTP_ENTRY))]);

static TCP_ENTRIES: Message =
    Message::new("TCPAccessLogEntries", false, &[many(1, "logEntry", Of(&TCP_ENTRY))]);

static HTTP_ENTRY: Message = Message::new(
    "HTTPAccessLogEntry",
    false,
    &[
        one(1, "commonProperties", Of(&COMMON)),
        one(2, "protocolVersion", Enum),
        one(3, "request", Of(&HTTP_REQUEST)),
        one(4, "response", Of(&HTTP_RESPONSE)),
    ],
)
.with_columns(340);

static TCP_ENTRY: Message = Message::new(
    "TCPAccessLogEntry",
    false,
    &[one(1, "commonProperties", Of(&COMMON)), one(2, "connectionProperties", Of(&CONNECTION))],
)
.with_columns(340);

static CONNECTION: Message = Message::new(
    "ConnectionProperties",
    false,
    &[one(1, "receivedBytes", Uint64), one(2, "sentBytes", Uint64)],
);

static COMMON: Message = Message::new(
    "AccessLogCommon",
    false,
    &[
        one(1, "sampleRate", Double),
        one(2, "downstreamRemoteAddress", Of(&ADDRESS)),
        one(3, "downstreamLocalAddress", Of(&ADDRESS)),
        one(4, "tlsProperties", Of(&TLS)),
        one(5, "startTime", Of(&SECONDS_AND_NANOS)),
        one(6, "timeToLastRxByte", Of(&SECONDS_AND_NANOS)),
        one(7, "timeToFirstUpstreamTxByte", Of(&SECONDS_AND_NANOS)),
        one(8, "timeToLastUpstreamTxByte", Of(&SECONDS_AND_NANOS)),
        one(9, "timeToFirstUpstreamRxByte", Of(&SECONDS_AND_NANOS)),
        one(10, "timeToLastUpstreamRxByte", Of(&SECONDS_AND_NANOS)),
        one(11, "timeToFirstDownstreamTxByte", Of(&SECONDS_AND_NANOS)),
        one(12, "timeToLastDownstreamTxByte", Of(&SECONDS_AND_NANOS)),
        one(13, "upstreamRemoteAddress", Of(&ADDRESS)),
        one(14, "upstreamLocalAddress", Of(&ADDRESS)),
        one(15, "upstreamCluster", Text),
        one(16, "responseFlags", Of(&RESPONSE_FLAGS)),
        one(17, "metadata", Of(&METADATA)),
        one(18, "upstreamTransportFailureReason", Text),
        one(19, "routeName", Text),
        one(20, "downstreamDirectRemoteAddress", Of(&ADDRESS)),
        many(21, "filterStateObjects", Of(&ANY_BY_NAME)),
        many(22, "customTags", Of(&TEXT_BY_NAME)),
        one(23, "duration", Of(&SECONDS_AND_NANOS)),
        one(24, "upstreamRequestAttemptCount", Uint32),
        one(25, "connectionTerminationDetails", Text),
        one(26, "streamId", Text),
        one(27, "intermediateLogEntry", Bool),
        one(28, "downstreamTransportFailureReason", Text),
        one(29, "downstreamWireBytesSent", Uint64),
        one(30, "downstreamWireBytesReceived", Uint64),
        one(31, "upstreamWireBytesSent", Uint64),
        one(32, "upstreamWireBytesReceived", Uint64),
        one(33, "accessLogType", Enum),
    ],
);

/// Every field is a bool but 13, which is a message whose presence is the flag.
static RESPONSE_FLAGS: Message = Message::new(
    "ResponseFlags",
    false,
    &[
        one(1, "failedLocalHealthcheck", Bool),
        one(2, "noHealthyUpstream", Bool),
        one(3, "upstreamRequestTimeout", Bool),
        one(4, "localReset", Bool),
        one(5, "upstreamRemoteReset", Bool),
        one(6, "upstreamConnectionFailure", Bool),
        one(7, "upstreamConnectionTermination", Bool),
        one(8, "upstreamOverflow", Bool),
        one(9, "noRouteFound", Bool),
        one(10, "delayInjected", Bool),
        one(11, "faultInjected", Bool),
        one(12, "rateLimited", Bool),
        one(13, "unauthorizedDetails", Bytes),
        one(14, "rateLimitServiceError", Bool),
        one(15, "downstreamConnectionTermination", Bool),
        one(16, "upstreamRetryLimitExceeded", Bool),
        one(17, "streamIdleTimeout", Bool),
        one(18, "invalidEnvoyRequestHeaders", Bool),
        one(19, "downstreamProtocolError", Bool),
        one(20, "upstreamMaxStreamDurationReached", Bool),
        one(21, "responseFromCacheFilter", Bool),
        one(22, "noFilterConfigFound", Bool),
        one(23, "durationTimeout", Bool),
        one(24, "upstreamProtocolError", Bool),
        one(25, "noClusterFound", Bool),
        one(26, "overloadManager", Bool),
        one(27, "dnsResolutionFailure", Bool),
        one(28, "downstreamRemoteReset", Bool),
    ],
);

static TLS: Message = Message::new(
    "TLSProperties",
    false,
    &[
        one(1, "tlsVersion", Enum),
        one(2, "tlsCipherSuite", Of(&UINT32_VALUE)),
        one(3, "tlsSniHostname", Text),
        one(4, "localCertificateProperties", Of(&CERTIFICATE)),
        one(5, "peerCertificateProperties", Of(&CERTIFICATE)),
        one(6, "tlsSessionId", Text),
        one(7, "ja3Fingerprint", Text),
    ],
);

static CERTIFICATE: Message = Message::new(
    "CertificateProperties",
    false,
    &[many(1, "subjectAltName", Of(&SUBJECT_ALT_NAME)), one(2, "subject", Text), one(3, "issuer", Text)],
);

static SUBJECT_ALT_NAME: Message =
    Message::new("SubjectAltName", false, &[one(1, "uri", Text), one(2, "dns", Text)]);

static HTTP_REQUEST: Message = Message::new(
    "HTTPRequestProperties",
    false,
    &[
        one(1, "requestMethod", Enum),
        one(2, "scheme", Text),
        one(3, "authority", Text),
        one(4, "port", Of(&UINT32_VALUE)),
        one(5, "path", Text),
        one(6, "userAgent", Text),
        one(7, "referer", Text),
        one(8, "forwardedFor", Text),
        one(9, "requestId", Text),
        one(10, "originalPath", Text),
        one(11, "requestHeadersBytes", Uint64),
        one(12, "requestBodyBytes", Uint64),
        many(13, "requestHeaders", Of(&TEXT_BY_NAME)),
        one(14, "upstreamHeaderBytesSent", Uint64),
        one(15, "downstreamHeaderBytesReceived", Uint64),
    ],
);

static HTTP_RESPONSE: Message = Message::new(
    "HTTPResponseProperties",
    false,
    &[
        one(1, "responseCode", Of(&UINT32_VALUE)),
        one(2, "responseHeadersBytes", Uint64),
        one(3, "responseBodyBytes", Uint64),
        many(4, "responseHeaders", Of(&TEXT_BY_NAME)),
        many(5, "responseTrailers", Of(&TEXT_BY_NAME)),
        one(6, "responseCodeDetails", Text),
        one(7, "upstreamHeaderBytesReceived", Uint64),
        one(8, "downstreamHeaderBytesSent", Uint64),
    ],
);

static ADDRESS: Message = Message::new(
    "Address",
    false,
    &[
        one(1, "socketAddress", Of(&SOCKET_ADDRESS)),
        one(2, "pipe", Of(&PIPE)),
        one(3, "envoyInternalAddress", Of(&INTERNAL_ADDRESS)),
    ],
);

static SOCKET_ADDRESS: Message = Message::new(
    "SocketAddress",
    false,
    &[
        one(1, "protocol", Enum),
        one(2, "address", Text),
        one(3, "portValue", Uint32),
        one(4, "namedPort", Text),
        one(5, "resolverName", Text),
    ],
);

static PIPE: Message = Message::new("Pipe", false, &[one(1, "path", Text), one(2, "mode", Uint32)]);

static INTERNAL_ADDRESS: Message = Message::new(
    "EnvoyInternalAddress",
    false,
    &[one(1, "serverListenerName", Text), one(2, "endpointId", Text)],
);

static METADATA: Message = Message::new(
    "Metadata",
    false,
    &[many(1, "filterMetadata", Of(&STRUCT_BY_NAME)), many(2, "typedFilterMetadata", Of(&ANY_BY_NAME))],
);

static STRUCT_BY_NAME: Message =
    Message::new("map<string, Struct>", false, &[one(1, "key", Text), one(2, "value", Of(&STRUCT))]);

static ANY_BY_NAME: Message =
    Message::new("map<string, Any>", false, &[one(1, "key", Text), one(2, "value", Of(&ANY))]);

static TEXT_BY_NAME: Message =
    Message::new("map<string, string>", false, &[one(1, "key", Text), one(2, "value", Text)]);

// google/protobuf

/// What a `google.protobuf.Any` of a `Struct` wraps.
pub static STRUCT: Message = Message::new("Struct", false, &[many(1, "fields", Of(&VALUE_BY_NAME))]);

static VALUE_BY_NAME: Message =
    Message::new("map<string, Value>", false, &[one(1, "key", Text), one(2, "value", Of(&VALUE))]);

static VALUE: Message = Message::new(
    "Value",
    true,
    &[
        one(1, "nullValue", Enum),
        one(2, "numberValue", Double),
        one(3, "stringValue", Text),
        one(4, "boolValue", Bool),
        one(5, "structValue", Of(&STRUCT)),
        one(6, "listValue", Of(&LIST_VALUE)),
    ],
);

static LIST_VALUE: Message = Message::new("ListValue", false, &[many(1, "values", Of(&VALUE))]);

static ANY: Message = Message::new("Any", false, &[one(1, "typeUrl", Text), one(2, "value", Bytes)]);

/// `Timestamp` and `Duration` have the same fields.
static SECONDS_AND_NANOS: Message =
    Message::new("Timestamp or Duration", false, &[one(1, "seconds", Int64), one(2, "nanos", Int32)]);

static UINT32_VALUE: Message = Message::new("UInt32Value", false, &[one(1, "value", Uint32)]);
