//! Who the records come from: 20 services of 3 pods, each with 15 resource attributes.

use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::attributes::text;

/// Pods of all services.
pub const PODS: usize = SERVICES.len() * PODS_PER_SERVICE;
const PODS_PER_SERVICE: usize = 3;

const SERVICES: [&str; 20] = [
    "frontend",
    "checkout",
    "cart",
    "payment",
    "shipping",
    "catalog",
    "recommendation",
    "currency",
    "email",
    "ads",
    "inventory",
    "pricing",
    "search",
    "users",
    "sessions",
    "orders",
    "fraud",
    "ledger",
    "notification",
    "gateway",
];

/// Name of the service that a pod (below [`PODS`]) serves.
pub fn service_of(pod: usize) -> &'static str {
    SERVICES[pod / PODS_PER_SERVICE % SERVICES.len()]
}

/// The resource of a pod.
pub fn resource(pod: usize) -> Resource {
    let service = service_of(pod);
    let replica = pod % PODS_PER_SERVICE;
    let hash = (pod as u32 + 1).wrapping_mul(0x9e37_79b9);
    let name = format!("{service}-{:09x}-{:05x}", (u64::from(hash) * 7) & 0xf_ffff_ffff, hash >> 12);
    let attributes = vec![
        text("service.name", service),
        text("service.namespace", "shop"),
        text("service.version", format!("2.{}.{replica}", pod % 7)),
        text("service.instance.id", format!("{hash:08x}-1c3b-4d6e-8f9a-{:012x}", u64::from(hash) << 9)),
        text("telemetry.sdk.name", "opentelemetry"),
        text("telemetry.sdk.language", "java"),
        text("telemetry.sdk.version", "1.54.0"),
        text("k8s.cluster.name", "prod-eu-1"),
        text("k8s.namespace.name", "shop"),
        text("k8s.deployment.name", service),
        text("k8s.pod.name", name),
        text("k8s.node.name", format!("node-{}.prod-eu-1.internal", pod % 12)),
        text("cloud.availability_zone", ["eu-central-1a", "eu-central-1b", "eu-central-1c"][replica]),
        text("host.name", format!("ip-10-20-{}-{}", pod % 12, 10 + pod)),
        text("deployment.environment.name", "production"),
    ];
    Resource { attributes, ..Resource::default() }
}

/// The instrumentation that made the records.
pub fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "io.opentelemetry.tomcat-10.0".to_owned(),
        version: "2.20.0-alpha".to_owned(),
        ..InstrumentationScope::default()
    }
}
