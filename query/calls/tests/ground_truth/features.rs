//! What may happen in a story, each thing switchable, so that what breaks can be found by leaving things out.

use crate::random::Random;

/// One thing that a story may have in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// Calls fail, by HTTP or gRPC status.
    Errors,
    /// Calls that fail for the callee's span alone, which says ERROR without a code.
    SpanStatus,
    /// Far ends written as URLs.
    Urls,
    /// gRPC calls.
    Grpc,
    /// INTERNAL spans between the received and the made ones.
    Internal,
    /// One call made as several spans: an SDK's operation, its HTTP, its connect, its DNS.
    Layers,
    /// Received spans of one service inside one another.
    Frames,
    /// The two halves of a call share one span id, as Zipkin has it.
    SharedIds,
    /// Rows are stored twice.
    Duplicates,
    /// Clocks of hosts differ by seconds.
    Skew,
    /// Services that call themselves.
    SelfCalls,
    /// Services of one name in two namespaces.
    Namespaces,
    /// Data stores, two of them on one host.
    Stores,
    /// Hosts outside of the mesh, known by an URL or an address.
    Hosts,
    /// Services that report nothing and are known by what their callers say.
    Silent,
    /// Services whose spans of a call are only INTERNAL or made ones.
    Thin,
    /// Tries that are seen: siblings inside one layer, or with a resend count.
    Resends,
    /// Several requests inside one operation, each a call.
    Pages,
    /// Tries that a proxy made: one made span, several received ones.
    HiddenRetries,
    /// Calls given up on while the other side still works.
    Timeouts,
    /// One made span that several services answer.
    Mirrors,
    /// Messages through queues with a name.
    Queues,
    /// Messages through brokers that name no queue, or with neither name.
    Brokers,
    /// Consumers that take several messages of other traces at once.
    Batches,
    /// Queues that deliver by HTTP, calls made over queues, consumers that are called.
    Push,
    /// A queue called like a service.
    Namesakes,
    /// Traces of which only some are kept, and stand for more.
    Sampling,
    /// Sidecars that write access logs.
    SidecarRows,
    /// Sidecars that make spans.
    SidecarSpans,
    /// Sidecars that do not know whom they talk to.
    Plaintext,
    /// Service accounts unlike the names of services.
    Accounts,
    /// Services that are called by another name than they have.
    Aliases,
    /// One request id for all calls of a trace.
    SharedRequestIds,
    /// Calls that the caller's proxy refuses.
    Refusals,
    /// Gateways in front of the mesh.
    Gateways,
    /// Waypoints between services, and connections under their requests.
    Waypoints,
    /// TCP connections, ports of which are used again.
    Connections,
    /// Calls before and after the range.
    OutOfRange,
    /// Half of the spans were lost.
    Missing,
    /// Calls that become a connection: web sockets and tunnels.
    Upgrades,
    /// Gateways that tell only of what they made.
    GatewayClients,
    /// Messages that are created before they are sent, and settled after they were processed.
    Created,
    /// Services that say of sampled traces that they stand for themselves.
    Weights,
    /// Sidecars behind waypoints.
    BehindWaypoints,
    /// Proxies that log what they received only, under no id of a request, as Linkerd's do.
    InboundOnly,
    /// Proxies on one machine, which see each other at its loopback address.
    Loopback,
    /// Tries of proxies that could not connect, of which the callee knows nothing.
    Unconnected,
}

impl Feature {
    pub const ALL: [Feature; 47] = [
        Feature::Errors,
        Feature::SpanStatus,
        Feature::Urls,
        Feature::Grpc,
        Feature::Internal,
        Feature::Layers,
        Feature::Frames,
        Feature::SharedIds,
        Feature::Duplicates,
        Feature::Skew,
        Feature::SelfCalls,
        Feature::Namespaces,
        Feature::Stores,
        Feature::Hosts,
        Feature::Silent,
        Feature::Thin,
        Feature::Resends,
        Feature::Pages,
        Feature::HiddenRetries,
        Feature::Timeouts,
        Feature::Mirrors,
        Feature::Queues,
        Feature::Brokers,
        Feature::Batches,
        Feature::Push,
        Feature::Namesakes,
        Feature::Sampling,
        Feature::SidecarRows,
        Feature::SidecarSpans,
        Feature::Plaintext,
        Feature::Accounts,
        Feature::Aliases,
        Feature::SharedRequestIds,
        Feature::Refusals,
        Feature::Gateways,
        Feature::Waypoints,
        Feature::Connections,
        Feature::OutOfRange,
        Feature::Missing,
        Feature::Upgrades,
        Feature::GatewayClients,
        Feature::Created,
        Feature::Weights,
        Feature::BehindWaypoints,
        Feature::InboundOnly,
        Feature::Loopback,
        Feature::Unconnected,
    ];

    /// Those that change nothing of what happens, only how it is told.
    const TOLD: [Feature; 2] = [Feature::Loopback, Feature::Unconnected];

    pub fn name(self) -> String {
        format!("{self:?}")
    }
}

/// Which features are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features(u64);

impl Features {
    pub const NONE: Features = Features(0);

    /// Each feature with even odds, but for every fourth seed, which has few: what only few features
    /// together break is found there. How a story is told is drawn apart, so that a seed has the story that it had.
    pub fn drawn(random: &mut Random) -> Features {
        let mut apart = Random::new(random.clone().next());
        let few = random.percent(25);
        let on = |random: &mut Random| random.percent(if few { 12 } else { 50 });
        let happens = Feature::ALL.iter().filter(|feature| !Feature::TOLD.contains(feature));
        let mut features = Features::NONE;
        for feature in happens.filter(|_| on(random)) {
            features = features.with(*feature);
        }
        for feature in Feature::TOLD {
            features = if on(&mut apart) { features.with(feature) } else { features };
        }
        features
    }

    pub fn has(self, feature: Feature) -> bool {
        self.0 & (1 << feature as u64) != 0
    }

    #[must_use]
    pub fn with(self, feature: Feature) -> Features {
        Features(self.0 | 1 << feature as u64)
    }

    #[must_use]
    pub fn without(self, feature: Feature) -> Features {
        Features(self.0 & !(1 << feature as u64))
    }

    /// The features that a list of names asks for: `Errors,Layers`; `all`.
    pub fn named(list: &str) -> Features {
        let wanted =
            |feature: &&Feature| list == "all" || list.split(',').any(|name| *name == feature.name());
        Feature::ALL.iter().filter(wanted).fold(Features::NONE, |features, f| features.with(*f))
    }

    #[must_use]
    pub fn and(self, other: Features) -> Features {
        Features(self.0 & other.0)
    }

    pub fn names(self) -> String {
        let on = Feature::ALL.iter().filter(|feature| self.has(**feature));
        on.map(|feature| feature.name()).collect::<Vec<_>>().join(",")
    }
}
