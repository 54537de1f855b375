//! What the applications do: whom they call, what they answer, how long their own work takes.
//!
//! They are Bookinfo's (the page survives failures of details and reviews, reviews survive ratings) plus an
//! order that charges a card outside the mesh and leaves a message for shipping.

use super::chances::{self, Times};
use super::{Attempt, Call, Callee, Model, Operation, ProxyReport, UNKNOWN_PRODUCT_ID};
use crate::demo::mesh::{DETAILS, InstanceId, ORDERS, PRODUCTPAGE, QUEUE, RATINGS, REVIEWS, SHIPPING};

/// How an application answered.
pub(super) struct Served {
    pub duration: u64,
    pub status: u16,
    pub response_bytes: u64,
    pub calls: Vec<Call>,
}

impl Model {
    /// The application of a pod answers a request that reached it at `start`.
    pub(super) fn serve(&mut self, server: InstanceId, operation: &Operation, start: u64) -> Served {
        let (service, version) = (self.mesh.instance(server).service, self.mesh.instance(server).version);
        let is_overloaded =
            service == chances::FAVOURS && self.mesh.pods_of(service, None).first() == Some(&server);
        let factor = if is_overloaded { chances::OVERLOAD_FACTOR } else { 1 };
        let work = self.time(chances::work_of(service, version)) * factor;
        // Two fifths of the work come before the calls, the rest after them: a page is rendered at the end.
        let mut calls = Vec::new();
        let mut now = start + work / 5 * 2;
        let (status, response_bytes) = match service {
            PRODUCTPAGE => self.serve_page(server, operation, &mut now, &mut calls),
            DETAILS => self.serve_details(operation, &mut now),
            REVIEWS => self.serve_reviews(server, version, &mut now, &mut calls),
            RATINGS => self.serve_ratings(server, &mut now, &mut calls),
            ORDERS => self.serve_order(server, operation, &mut now, &mut calls),
            _ => (200, 0),
        };
        Served { duration: now - start + (work - work / 5 * 2), status, response_bytes, calls }
    }

    fn serve_page(
        &mut self,
        server: InstanceId,
        operation: &Operation,
        now: &mut u64,
        calls: &mut Vec<Call>,
    ) -> (u16, u64) {
        let product = operation.path.rsplit('/').next().and_then(|id| id.parse().ok()).unwrap_or(0);
        match operation.route {
            "/productpage" => {
                self.follow(server, details(), get("/details/{id}", "/details/0"), now, calls);
                let reviews = self.reviews();
                self.follow(server, reviews, get("/reviews/{id}", "/reviews/0"), now, calls);
                let failed = self.random.happens(chances::PAGE_FAILS);
                if failed { (500, 265) } else { (200, self.random.within(4_000, 5_400)) }
            }
            "/api/v1/products" => (200, 395),
            "/checkout" => {
                let order = Operation {
                    method: "POST",
                    route: "/orders",
                    path: "/orders".to_owned(),
                    ..operation.clone()
                };
                let orders = Callee::Service { name: ORDERS, subset: None };
                let status = self.follow(server, orders, order, now, calls);
                if status >= 500 { (502, 80) } else { (200, self.random.within(200, 420)) }
            }
            _ => {
                let path = format!("/details/{product}");
                let status = self.follow(server, details(), get("/details/{id}", &path), now, calls);
                (if status >= 500 { 502 } else { status }, self.random.within(90, 260))
            }
        }
    }

    /// Calls a service, moves the time to when it answered, and gives back the status the caller saw.
    fn follow(
        &mut self,
        caller: InstanceId,
        callee: Callee,
        operation: Operation,
        now: &mut u64,
        calls: &mut Vec<Call>,
    ) -> u16 {
        let call = self.call(caller, callee, operation, *now);
        let span = call.client_span.expect("applications have spans for their calls");
        *now = span.end();
        calls.push(call);
        span.status.unwrap_or(if span.failed { 500 } else { 200 })
    }

    fn serve_details(&mut self, operation: &Operation, now: &mut u64) -> (u16, u64) {
        if operation.path.ends_with(&format!("/{UNKNOWN_PRODUCT_ID}")) {
            return (404, 33);
        }
        if self.random.happens(chances::DETAILS_HANGS) {
            *now += chances::HANG;
        }
        if self.random.happens(chances::DETAILS_FAILS) { (500, 48) } else { (200, 178) }
    }

    fn reviews(&mut self) -> Callee {
        let version = match self.random.fraction() {
            share if share < chances::CANARY => "v3",
            share if share < (1.0 + chances::CANARY) / 2.0 => "v1",
            _ => "v2",
        };
        Callee::Service { name: REVIEWS, subset: Some(version) }
    }

    fn serve_reviews(
        &mut self,
        server: InstanceId,
        version: &str,
        now: &mut u64,
        calls: &mut Vec<Call>,
    ) -> (u16, u64) {
        if version == "v1" {
            return (200, 295);
        }
        let ratings = Callee::Service { name: RATINGS, subset: None };
        let status = self.follow(server, ratings, get("/ratings/{id}", "/ratings/0"), now, calls);
        (200, if status == 200 { 379 } else { 357 })
    }

    fn serve_ratings(&mut self, server: InstanceId, now: &mut u64, calls: &mut Vec<Call>) -> (u16, u64) {
        let statement = get("ratings", "SELECT Rating FROM ratings WHERE ReviewID = ?");
        let status = self.follow(server, Callee::Database, statement, now, calls);
        if status == 200 { (200, 48) } else { (500, 61) }
    }

    fn serve_order(
        &mut self,
        server: InstanceId,
        operation: &Operation,
        now: &mut u64,
        calls: &mut Vec<Call>,
    ) -> (u16, u64) {
        let charge = Operation {
            method: "POST",
            route: "/v1/charges",
            path: "/v1/charges".to_owned(),
            request_bytes: operation.request_bytes / 2,
        };
        if self.follow(server, Callee::External, charge, now, calls) >= 500 {
            return (502, 74);
        }
        let message = Operation { method: "send", route: QUEUE, path: QUEUE.to_owned(), request_bytes: 340 };
        self.follow(server, Callee::Queue, message, now, calls);
        (201, 96)
    }

    /// A call that leaves the mesh or does not go through HTTP.
    pub(super) fn call_outside(
        &mut self,
        caller: InstanceId,
        callee: Callee,
        operation: Operation,
        start: u64,
    ) -> Call {
        match callee {
            Callee::External => self.charge(caller, operation, start),
            Callee::Queue => self.publish(caller, operation, start),
            Callee::Database | Callee::Service { .. } => self.query(caller, operation, start),
        }
    }

    fn query(&mut self, caller: InstanceId, operation: Operation, start: u64) -> Call {
        let failed = self.random.happens(chances::DATABASE_FAILS);
        let span = self.unproxied(start, chances::STATEMENT, failed);
        let callee = Callee::Database;
        Call {
            caller,
            callee,
            operation,
            caller_port: self.port(),
            client_span: Some(span),
            outbound: None,
            attempts: Vec::new(),
        }
    }

    fn unproxied(&mut self, start: u64, times: Times, failed: bool) -> super::AppSpan {
        let end = start + self.time(times);
        self.span(start, end, None, failed)
    }

    /// The message is delivered when it has waited in the queue; the consumer's span is the attempt.
    fn publish(&mut self, caller: InstanceId, operation: Operation, start: u64) -> Call {
        let producer = self.unproxied(start, chances::PUBLISH, false);
        let server = self.pod_of(SHIPPING, None);
        let arrives = producer.end() + self.delay(chances::QUEUE_WAIT);
        let served = self.serve(server, &operation, arrives);
        let consumer = self.span(arrives, arrives + served.duration, None, false);
        let delivery = Attempt {
            server,
            port: self.port(),
            inbound: None,
            server_span: Some(consumer),
            calls: served.calls,
        };
        Call {
            caller,
            callee: Callee::Queue,
            operation,
            caller_port: self.port(),
            client_span: Some(producer),
            outbound: None,
            attempts: vec![delivery],
        }
    }

    fn charge(&mut self, caller: InstanceId, operation: Operation, start: u64) -> Call {
        let sent = (start + self.delay(chances::TO_OWN_PROXY)).next_multiple_of(1_000);
        let connected = self.delay(chances::TO_OTHER_POD);
        let answered = connected + self.time(chances::CHARGE);
        let failed = self.random.happens(chances::EXTERNAL_FAILS);
        let outbound = ProxyReport {
            start: sent,
            duration: answered + self.delay(chances::REFUSAL),
            status: Some(if failed { 503 } else { 200 }),
            flag: None,
            details: "via_upstream",
            attempts: 1,
            upstream_first_sent: Some(connected),
            upstream_last_received: Some(answered),
            request_bytes: operation.request_bytes,
            response_bytes: if failed { 62 } else { 512 },
        };
        let client_span = Some(self.client_span(start, &outbound));
        let callee = Callee::External;
        Call {
            caller,
            callee,
            operation,
            caller_port: self.port(),
            client_span,
            outbound: Some(outbound),
            attempts: Vec::new(),
        }
    }
}

fn details() -> Callee {
    Callee::Service { name: DETAILS, subset: None }
}

fn get(route: &'static str, path: &str) -> Operation {
    Operation { method: "GET", route, path: path.to_owned(), request_bytes: 0 }
}
