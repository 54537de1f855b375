//! Who is in the mesh: workloads, pods, addresses and identities, as Istio's Bookinfo would have them.
//!
//! Fixed rather than drawn from the seed, so that two runs differ in what happens and not in who is there,
//! and so that a dashboard opened twice shows the same names.

use std::net::Ipv4Addr;

/// Index of a pod in [`Mesh::instances`].
pub type InstanceId = usize;

pub const GATEWAY: &str = "istio-ingressgateway";
pub const PRODUCTPAGE: &str = "productpage";
pub const DETAILS: &str = "details";
pub const REVIEWS: &str = "reviews";
pub const RATINGS: &str = "ratings";
pub const ORDERS: &str = "orders";
pub const SHIPPING: &str = "shipping";

/// The database that nothing instruments, by the name that `ratings` dials.
pub const DATABASE: &str = "mysqldb";
pub const DATABASE_PORT: u16 = 3306;
/// The topic between `orders` and `shipping`.
pub const QUEUE: &str = "order-events";
/// The service outside of the mesh, and an address from the range for documentation (RFC 5737).
pub const EXTERNAL: &str = "api.payments.example";
pub const EXTERNAL_ADDRESS: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
pub const EXTERNAL_PORT: u16 = 443;
/// The host name that outside callers use.
pub const PUBLIC_HOST: &str = "bookinfo.example.com";

/// A deployment: one service in one version.
struct Workload {
    service: &'static str,
    namespace: &'static str,
    version: &'static str,
    port: u16,
    pods: u8,
}

const fn workload(service: &'static str, version: &'static str, pods: u8) -> Workload {
    Workload { service, namespace: "default", version, port: 9080, pods }
}

const WORKLOADS: [Workload; 9] = [
    Workload { service: GATEWAY, namespace: "istio-system", version: "latest", port: 8080, pods: 1 },
    workload(PRODUCTPAGE, "v1", 2),
    workload(DETAILS, "v1", 1),
    workload(REVIEWS, "v1", 1),
    workload(REVIEWS, "v2", 1),
    workload(REVIEWS, "v3", 1),
    workload(RATINGS, "v1", 2),
    workload(ORDERS, "v1", 1),
    workload(SHIPPING, "v1", 1),
];

/// How a pod makes way for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacement {
    /// It drains, and its callers lose nothing.
    Drained,
    /// It is killed, without a word to its callers.
    Killed,
    /// It drains, and the proxy beside the new pod is of the next release: sidecars are upgraded with their pods.
    Upgraded,
}

/// A pod.
#[derive(Debug, Clone)]
pub struct Instance {
    pub service: &'static str,
    pub namespace: &'static str,
    pub version: &'static str,
    pub workload: String,
    pub pod: String,
    /// Of the release of the proxy, 1.27: its last number.
    proxy_patch: u32,
    pub ip: Ipv4Addr,
    /// The port that the service listens on.
    pub port: u16,
    /// The service's virtual address.
    pub service_ip: Ipv4Addr,
}

impl Instance {
    /// Whether the pod is the gateway: a proxy alone, without an application beside it.
    pub fn is_gateway(&self) -> bool {
        self.service == GATEWAY
    }

    /// `namespace/name`, the id of the service's node in the graph.
    pub fn node(&self) -> String {
        format!("{}/{}", self.namespace, self.service)
    }

    /// The release of Istio that the proxy is of.
    pub fn proxy_version(&self) -> String {
        format!("1.27.{}", self.proxy_patch)
    }

    /// Whether it calls with TLS. Somebody has turned that off for `reviews` v2, and nobody has noticed.
    pub fn is_protected(&self) -> bool {
        (self.service, self.version) != (REVIEWS, "v2")
    }

    /// The identity in the pod's certificate.
    pub fn principal(&self) -> String {
        format!("spiffe://cluster.local/ns/{}/sa/{}", self.namespace, self.service_account())
    }

    pub fn service_account(&self) -> String {
        let prefix = if self.is_gateway() { "" } else { "bookinfo-" };
        format!("{prefix}{}", self.service)
    }

    /// Fully qualified name of the service.
    pub fn host(&self) -> String {
        format!("{}.{}.svc.cluster.local", self.service, self.namespace)
    }
}

/// The number of the first pod; each later one has the next, which its name and address are made of.
const FIRST_HOST: u8 = 10;

/// All pods that there are and were.
#[derive(Debug, Clone)]
pub struct Mesh {
    instances: Vec<Instance>,
    /// By pod: it made way for another.
    is_gone: Vec<bool>,
}

impl Mesh {
    pub fn bookinfo() -> Self {
        let numbered = (1u8..).zip(&WORKLOADS);
        let pods = numbered.flat_map(|(n, workload)| (0..workload.pods).map(move |pod| (n, workload, pod)));
        let instances = (FIRST_HOST..).zip(pods);
        let instances: Vec<_> = instances.map(|(host, (n, w, pod))| instance(n, w, pod, host)).collect();
        Mesh { is_gone: vec![false; instances.len()], instances }
    }

    pub fn instances(&self) -> &[Instance] {
        &self.instances
    }

    pub fn instance(&self, id: InstanceId) -> &Instance {
        &self.instances[id]
    }

    /// Puts another pod in the place of one: the same workload under a new name and address.
    pub fn replace(&mut self, old: InstanceId, how: Replacement) -> InstanceId {
        let new = self.instances.len();
        let number = u32::from(FIRST_HOST) + u32::try_from(new).expect("a demo ends before 2^32 pods");
        let [.., high, low] = number.to_be_bytes();
        let old_pod = &self.instances[old];
        let template = old_pod.pod.rsplit_once('-').map_or(old_pod.pod.as_str(), |(template, _)| template);
        let suffix = number.wrapping_mul(0x85eb_ca6b) >> 12;
        let pod = format!("{template}-{suffix:05x}");
        let proxy_patch = old_pod.proxy_patch + u32::from(how == Replacement::Upgraded);
        let ip = Ipv4Addr::new(10, 245, high, low);
        self.instances.push(Instance { pod, ip, proxy_patch, ..old_pod.clone() });
        self.is_gone.push(false);
        self.is_gone[old] = true;
        new
    }

    /// The pods of a service that there are, of one version or of all.
    pub fn pods_of(&self, service: &str, version: Option<&str>) -> Vec<InstanceId> {
        let serves = |pod: &Instance| pod.service == service && version.is_none_or(|v| v == pod.version);
        let pods = self.instances.iter().enumerate().filter(|(id, pod)| !self.is_gone[*id] && serves(pod));
        pods.map(|(id, _)| id).collect()
    }
}

fn instance(number: u8, workload: &Workload, pod: u8, host: u8) -> Instance {
    let gateway = workload.service == GATEWAY;
    let name =
        if gateway { GATEWAY.to_owned() } else { format!("{}-{}", workload.service, workload.version) };
    // As Kubernetes makes them: a hash of the pod template, then five characters for the pod.
    let template = u32::from(number).wrapping_mul(0x9e37_79b9);
    let suffix = (u32::from(host)).wrapping_mul(0x85eb_ca6b) >> 12;
    let service_number = WORKLOADS.iter().position(|w| w.service == workload.service).unwrap_or_default();
    Instance {
        service: workload.service,
        namespace: workload.namespace,
        version: workload.version,
        pod: format!("{name}-{template:08x}-{suffix:05x}"),
        workload: name,
        proxy_patch: 1,
        ip: Ipv4Addr::new(10, 244, pod, host),
        port: workload.port,
        service_ip: Ipv4Addr::new(10, 96, 0, 20 + service_number as u8),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn pods_have_names_and_addresses_of_their_own() {
        let mesh = Mesh::bookinfo();
        assert_eq!(mesh.instances().len(), 11);
        assert_eq!(mesh.instances().iter().map(|pod| pod.ip).collect::<HashSet<_>>().len(), 11);
        assert_eq!(mesh.instances().iter().map(|pod| &pod.pod).collect::<HashSet<_>>().len(), 11);
    }

    #[test]
    fn a_new_pod_takes_the_place_of_an_old_one() {
        let mut mesh = Mesh::bookinfo();
        let old = mesh.pods_of(PRODUCTPAGE, None);
        let new = mesh.replace(old[0], Replacement::Drained);
        assert_eq!(mesh.pods_of(PRODUCTPAGE, None), [old[1], new]);
        let upgraded = mesh.replace(new, Replacement::Upgraded);
        let releases = [old[0], new, upgraded].map(|pod| mesh.instance(pod).proxy_version());
        assert_eq!(releases, ["1.27.1", "1.27.1", "1.27.2"]);
        let (old, new) = (mesh.instance(old[0]), mesh.instance(new));
        assert_eq!((&old.workload, old.service_ip), (&new.workload, new.service_ip));
        assert!(old.pod != new.pod && old.ip != new.ip, "{new:?}");
        let names: HashSet<_> = mesh.instances().iter().map(|pod| &pod.pod).collect();
        assert_eq!(names.len(), 13);
    }

    #[test]
    fn a_subset_selects_the_pods_of_a_version() {
        let mesh = Mesh::bookinfo();
        assert_eq!(mesh.pods_of(REVIEWS, None).len(), 3);
        let canary = mesh.pods_of(REVIEWS, Some("v3"));
        assert_eq!(
            canary.iter().map(|id| mesh.instance(*id).workload.as_str()).collect::<Vec<_>>(),
            ["reviews-v3"]
        );
    }

    #[test]
    fn versions_of_a_service_share_its_virtual_address() {
        let mesh = Mesh::bookinfo();
        let addresses: HashSet<_> =
            mesh.pods_of(REVIEWS, None).iter().map(|id| mesh.instance(*id).service_ip).collect();
        assert_eq!(addresses.len(), 1);
    }
}
