//! Names the far end of a call by what the near end knows of it, strongest evidence first.
//!
//! ```text
//! peer.service                 what somebody wrote down on purpose
//! the queue, the database      with the host of the data store before the database inside it
//! the proxy's upstream cluster of a proxy's span: it knows where it sent the call, the host is what was asked for
//! url.full, server.address     the host that was asked for
//! network.peer.address         an address, and nothing better
//! ```
//! A database, a queue or another company's API never reports itself, so its caller's words are all there
//! is. Names that mean something else on every host (`localhost`, a bare database product) are marked as
//! belonging to their caller: a shared node for them would join parts of the graph that have nothing to do with
//! each other.

use crate::hosts::{
    HostPort, address, cluster_host, host_of_url, host_port, is_address, is_local, plain_cluster, target,
    telling_port,
};
use crate::party::Naming;

/// How sure a far end's name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// Only an address: no other name can differ from it.
    Address,
    Name,
}

/// The far end of a call, in its caller's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer<'a> {
    pub naming: Naming,
    pub name: &'a str,
    /// 0 where it is not known or tells nothing.
    pub port: u16,
    /// The name means this only to its caller.
    pub is_scoped: bool,
    pub strength: Strength,
}

/// What a span says about its far end.
#[derive(Debug, Clone, Copy, Default)]
pub struct PeerEvidence<'a> {
    pub db_system: Option<&'a str>,
    pub db_namespace: Option<&'a str>,
    /// The span is about a message: its kind, or any `messaging.*`, says so.
    pub is_message: bool,
    pub messaging_destination: Option<&'a str>,
    pub peer_service: Option<&'a str>,
    pub url: Option<&'a str>,
    pub server_address: Option<&'a str>,
    pub server_port: u16,
    pub network_peer_address: Option<&'a str>,
    pub network_peer_port: u16,
    /// Envoy's name for the upstream cluster.
    pub upstream_cluster: Option<&'a str>,
}

/// The far end of a span, or `None` where the span does not tell.
pub fn peer<'a>(evidence: &PeerEvidence<'a>) -> Option<Peer<'a>> {
    if evidence.is_message {
        return queue(evidence);
    }
    if let Some(system) = evidence.db_system {
        return Some(store(evidence, system));
    }
    let (at, strength) = host(evidence)?;
    // A service's name means it at whatever port.
    let is_service = evidence.peer_service.is_some_and(|service| host_port(service).port == 0);
    Some(Peer {
        naming: Naming::Host,
        name: at.host,
        port: if is_service { 0 } else { telling_port(at.port) },
        is_scoped: is_local(at.host),
        strength,
    })
}

/// Destinations that are no names: a broker or a library made them up, for one client or for every one alike.
/// Sources: OpenTelemetry's instrumentation for Java (`(temporary)`), `<default>` and `amq.default` for the exchange of
/// RabbitMQ that routes by the queue's name, its reply queues and those that the server names (RabbitMQ, "Queues",
/// "Direct Reply-to"), those of Spring AMQP and of NATS (`nats.NewInbox`), and temporary queues of ActiveMQ and JMS.
fn is_made_up(destination: &str) -> bool {
    let made_up = ["(temporary)", "(anonymous)", "<default>", "amq.default"];
    let begins = [
        "amq.gen-",
        "amq.rabbitmq.reply-to",
        "spring.gen-",
        "_INBOX.",
        "temp-queue://",
        "temp-topic://",
        "ID:",
    ];
    made_up.contains(&destination)
        || begins.iter().any(|begin| destination.starts_with(begin))
        || is_uuid(destination)
}

/// Whether it is a number that was made up to be nobody else's. Source: RFC 9562, 4.
fn is_uuid(text: &str) -> bool {
    let groups = [8, 4, 4, 4, 12];
    let is_hex = |group: &str| group.bytes().all(|byte| byte.is_ascii_hexdigit());
    text.split('-').map(str::len).eq(groups) && text.split('-').all(is_hex)
}

/// The name in what some clients say in full: an Amazon resource name, the URL of a queue of Amazon's, a resource of Google's,
/// one partition of a topic of Pulsar's. Others say the name alone, of the same queue.
/// Sources: "Amazon SQS queue and message identifiers", "Pub/Sub resource names", Pulsar's `TopicName.PARTITIONED_TOPIC_SUFFIX`.
fn short_destination(destination: &str) -> &str {
    let last =
        |by: char| destination.rsplit(by).next().filter(|name| !name.is_empty()).unwrap_or(destination);
    let is_google = destination.starts_with("projects/")
        && (destination.contains("/topics/") || destination.contains("/subscriptions/"));
    if destination.starts_with("arn:") {
        last(':')
    } else if is_google || (destination.starts_with("https://sqs.") && destination.contains(".amazonaws.com"))
    {
        last('/')
    } else if destination.starts_with("persistent://") || destination.starts_with("non-persistent://") {
        let partition = destination.rsplit_once("-partition-");
        let is_number = |number: &str| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        partition.filter(|(_, number)| is_number(number)).map_or(destination, |(topic, _)| topic)
    } else {
        destination
    }
}

/// A queue by its destination, else by its broker's address. Its product alone is no name: two queues of
/// one product are as different as two services in one language.
fn queue<'a>(evidence: &PeerEvidence<'a>) -> Option<Peer<'a>> {
    let broker = || host(&PeerEvidence { peer_service: None, upstream_cluster: None, ..*evidence });
    let destination = evidence.messaging_destination.map(short_destination);
    if let Some(name) = destination.filter(|name| !is_made_up(name)) {
        return Some(Peer {
            naming: Naming::Queue,
            name,
            port: 0,
            is_scoped: false,
            strength: Strength::Name,
        });
    }
    if let Some((at, _)) = broker() {
        // A broker has many queues: its name gives way to that of any.
        let (name, is_scoped, strength) = (at.host, is_local(at.host), Strength::Address);
        return Some(Peer { naming: Naming::Queue, name, port: 0, is_scoped, strength });
    }
    let name = evidence.peer_service?;
    Some(Peer { naming: Naming::Host, name, port: 0, is_scoped: false, strength: Strength::Name })
}

/// Databases inside of their callers: those of two services are two, whatever they are called.
const EMBEDDED: [&str; 7] = ["sqlite", "h2", "h2database", "hsqldb", "derby", "duckdb", "rocksdb"];

fn store<'a>(evidence: &PeerEvidence<'a>, system: &'a str) -> Peer<'a> {
    if let Some((HostPort { host, port }, strength)) = host(evidence) {
        let port = if port == 0 { port_of_store(system) } else { port };
        return Peer { naming: Naming::StoreHost, name: host, port, is_scoped: is_local(host), strength };
    }
    // The number of a database inside of Redis is no name.
    let is_name = |name: &&str| !name.bytes().all(|byte| byte.is_ascii_digit());
    let database = evidence.db_namespace.filter(is_name);
    let (name, is_scoped) = database.map_or((system, true), |name| (name, EMBEDDED.contains(&system)));
    Peer { naming: Naming::Store, name, port: 0, is_scoped, strength: Strength::Name }
}

fn host<'a>(evidence: &PeerEvidence<'a>) -> Option<(HostPort<'a>, Strength)> {
    let named = |host: HostPort<'a>, port: u16| {
        let port = if host.port == 0 { port } else { host.port };
        let strength = if is_address(host.host) { Strength::Address } else { Strength::Name };
        Some((HostPort { port, ..host }, strength))
    };
    if let Some(service) = evidence.peer_service {
        return named(host_port(service), evidence.server_port);
    }
    if let Some(cluster) = evidence.upstream_cluster {
        let plain = || plain_cluster(cluster).map(|host| HostPort { host, port: 0 });
        if let Some(at) = cluster_host(cluster).or_else(plain) {
            return named(at, 0);
        }
    }
    if let Some(asked) = evidence.url.and_then(host_of_url) {
        return named(asked, 0);
    }
    if let Some(asked) = evidence.server_address.and_then(target) {
        return named(asked, evidence.server_port);
    }
    let peer = evidence.network_peer_address.and_then(address)?;
    let port = if peer.port == 0 { evidence.network_peer_port } else { peer.port };
    Some((HostPort { port, ..peer }, Strength::Address))
}

/// The port that a product listens on unless told otherwise; 0 where this table does not know.
/// Source: the documentation of each product, names of the OpenTelemetry semantic conventions for databases.
pub fn port_of_store(system: &str) -> u16 {
    match system {
        "mysql" | "mariadb" => 3306,
        "postgresql" => 5432,
        "redis" => 6379,
        "mongodb" => 27017,
        "cassandra" => 9042,
        "elasticsearch" | "opensearch" => 9200,
        "memcached" => 11211,
        "mssql" | "microsoft.sql_server" => 1433,
        "oracle" | "oracle.db" => 1521,
        "couchdb" => 5984,
        "neo4j" => 7687,
        "influxdb" => 8086,
        "clickhouse" => 8123,
        "cockroachdb" => 26257,
        "valkey" => 6379,
        "tidb" => 4000,
        "redshift" | "aws.redshift" => 5439,
        "db2" | "ibm.db2" => 50000,
        "firebird" | "firebirdsql" => 3050,
        "etcd" => 2379,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(evidence: PeerEvidence<'_>, want: Option<(Naming, &str, u16, bool)>) {
        let got = peer(&evidence).map(|peer| (peer.naming, peer.name, peer.port, peer.is_scoped));
        assert_eq!(got, want, "{evidence:?}");
    }

    #[test]
    fn a_database_is_named_by_service_then_address_then_database_then_product() {
        let product = PeerEvidence { db_system: Some("mysql"), ..PeerEvidence::default() };
        let database = PeerEvidence { db_namespace: Some("ratings"), ..product };
        let address = PeerEvidence { server_address: Some("mysql.default"), server_port: 3307, ..database };
        let service = PeerEvidence { peer_service: Some("ratings-db"), ..address };
        check(product, Some((Naming::Store, "mysql", 0, true)));
        check(database, Some((Naming::Store, "ratings", 0, false)));
        check(address, Some((Naming::StoreHost, "mysql.default", 3307, false)));
        check(service, Some((Naming::StoreHost, "ratings-db", 3307, false)));
        let local = PeerEvidence { server_address: Some("127.0.0.1"), ..database };
        check(local, Some((Naming::StoreHost, "127.0.0.1", 3306, true)));
    }

    #[test]
    fn a_queue_is_named_by_its_destination_then_its_broker_and_never_by_its_product() {
        let message = PeerEvidence { is_message: true, ..PeerEvidence::default() };
        let broker = PeerEvidence { server_address: Some("mq-1"), server_port: 5672, ..message };
        let orders = PeerEvidence { messaging_destination: Some("orders"), ..broker };
        check(message, None);
        check(broker, Some((Naming::Queue, "mq-1", 0, false)));
        check(orders, Some((Naming::Queue, "orders", 0, false)));
        let logical = PeerEvidence { peer_service: Some("kafka"), ..message };
        check(logical, Some((Naming::Host, "kafka", 0, false)));
        for made_up in [
            "(temporary)",
            "<default>",
            "amq.gen-JzTY20BRgKO-HjmUJj0wLg",
            "_INBOX.Zk3nJd9dMm",
            "temp-queue://ID:host-1",
            "0d6f2c1e-8a3b-4f6e-9c57-0242ac120002",
        ] {
            let reply = PeerEvidence { messaging_destination: Some(made_up), ..broker };
            check(reply, Some((Naming::Queue, "mq-1", 0, false)));
            check(PeerEvidence { server_address: None, ..reply }, None);
        }
    }

    #[test]
    fn a_destination_is_one_however_it_is_written() {
        for (text, name) in [
            ("orders", "orders"),
            ("arn:aws:sqs:us-east-1:123456789012:orders", "orders"),
            ("https://sqs.us-east-1.amazonaws.com/123456789012/orders", "orders"),
            ("projects/shop/topics/orders", "orders"),
            ("persistent://public/default/orders-partition-3", "persistent://public/default/orders"),
            (
                "persistent://public/default/orders-partition-x",
                "persistent://public/default/orders-partition-x",
            ),
            ("orders-partition-3", "orders-partition-3"),
            ("shop/topics/orders", "shop/topics/orders"),
        ] {
            let message = PeerEvidence {
                is_message: true,
                messaging_destination: Some(text),
                ..PeerEvidence::default()
            };
            check(message, Some((Naming::Queue, name, 0, false)));
        }
    }

    /// What is inside the caller, and a number of a database, mean the same to nobody else.
    #[test]
    fn a_database_of_the_caller_alone_is_its_own() {
        let store = |db_system, db_namespace| PeerEvidence {
            db_system: Some(db_system),
            db_namespace: Some(db_namespace),
            ..PeerEvidence::default()
        };
        check(store("sqlite", ":memory:"), Some((Naming::Store, ":memory:", 0, true)));
        check(store("h2", "mem:shop"), Some((Naming::Store, "mem:shop", 0, true)));
        check(store("redis", "0"), Some((Naming::Store, "redis", 0, true)));
        check(store("postgresql", "shop"), Some((Naming::Store, "shop", 0, false)));
    }

    /// The port of a service that somebody named on purpose is none of its name.
    #[test]
    fn a_named_service_is_one_at_all_ports() {
        let service = PeerEvidence { peer_service: Some("payments"), ..PeerEvidence::default() };
        check(service, Some((Naming::Host, "payments", 0, false)));
        check(PeerEvidence { server_port: 8080, ..service }, Some((Naming::Host, "payments", 0, false)));
        let address = PeerEvidence { peer_service: Some("payments:8443"), ..service };
        check(address, Some((Naming::Host, "payments", 8443, false)));
    }

    #[test]
    fn a_host_is_named_by_its_strongest_word() {
        let address = PeerEvidence { network_peer_address: Some("10.0.0.9:8080"), ..PeerEvidence::default() };
        let host = PeerEvidence { server_address: Some("api.example"), server_port: 443, ..address };
        let url = PeerEvidence { url: Some("https://pay.example:8443/v1"), ..host };
        let service = PeerEvidence { peer_service: Some("payments"), ..address };
        check(PeerEvidence::default(), None);
        check(address, Some((Naming::Host, "10.0.0.9", 8080, false)));
        check(host, Some((Naming::Host, "api.example", 0, false)));
        check(url, Some((Naming::Host, "pay.example", 8443, false)));
        check(service, Some((Naming::Host, "payments", 0, false)));
        assert_eq!(peer(&address).map(|peer| peer.strength), Some(Strength::Address));
        assert_eq!(peer(&host).map(|peer| peer.strength), Some(Strength::Name));
        let by_address = PeerEvidence { server_address: Some("10.0.0.9"), ..address };
        assert_eq!(peer(&by_address).map(|peer| peer.strength), Some(Strength::Address));
    }

    /// A front proxy is asked for `localhost:8080` and knows better where it sends the call.
    #[test]
    fn a_proxys_cluster_outranks_the_host_that_was_asked_for() {
        let asked = PeerEvidence { url: Some("http://localhost:8080/"), ..PeerEvidence::default() };
        let cluster = |name| PeerEvidence { upstream_cluster: Some(name), ..asked };
        check(asked, Some((Naming::Host, "localhost", 8080, true)));
        check(cluster("web"), Some((Naming::Host, "web", 0, false)));
        let host = "dead.ns.svc.cluster.local";
        check(cluster("outbound|80||dead.ns.svc.cluster.local;"), Some((Naming::Host, host, 0, false)));
        check(cluster("PassthroughCluster"), Some((Naming::Host, "localhost", 8080, true)));
    }
}
