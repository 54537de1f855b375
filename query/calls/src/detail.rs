//! What a settled cell is told apart by beside its ends, its time and what it counts: as one text while rows are held,
//! so that a row still has a number for it.

use crate::grouping::{Grain, Told};
use crate::party::OTHER;

/// Between the parts; no name has it, for it cannot be typed.
const SEPARATOR: char = '\u{1f}';

/// Whose word latency, bytes and code are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Observer {
    #[default]
    Client,
    Server,
    /// A proxy before the callee, which tells of it what its own proxy would.
    Waypoint,
}

impl Observer {
    pub const fn name(self) -> &'static str {
        match self {
            Observer::Client => "client",
            Observer::Server => "server",
            Observer::Waypoint => "waypoint",
        }
    }

    /// The observer of that name; the caller where it is none.
    pub fn named(name: &str) -> Observer {
        let others = [Observer::Server, Observer::Waypoint];
        others.into_iter().find(|observer| observer.name() == name).unwrap_or_default()
    }

    /// Whether it is the callee's side.
    pub fn is_callees(self) -> bool {
        self != Observer::Client
    }
}

/// See the columns of the settled tables, which have these names. Texts are not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Detail<'a> {
    pub observer: Observer,
    pub operation: Option<&'a str>,
    pub route: Option<&'a str>,
    pub host: Option<&'a str>,
    pub instance: Option<&'a str>,
    /// Release of the proxy beside the instance.
    pub proxy_version: Option<&'a str>,
    pub source_cluster: Option<&'a str>,
    pub source_principal: Option<&'a str>,
    pub destination_cluster: Option<&'a str>,
    pub destination_principal: Option<&'a str>,
    pub response_code: Option<i64>,
    pub grpc_status: Option<i64>,
    pub response_flags: Option<&'a str>,
    pub security: Option<&'a str>,
    pub refusal: Option<&'a str>,
    pub catch_all: Option<&'a str>,
}

impl<'a> Detail<'a> {
    /// What of it is told apart by a question with this grain, and by whose word.
    #[must_use]
    pub fn of_grain(self, grain: Grain) -> Detail<'a> {
        if grain == Grain::Whole {
            return self;
        }
        if grain == Grain::InstanceAndProxy {
            let Detail { instance, proxy_version, .. } = self;
            return Detail { instance, proxy_version, ..Detail::default() };
        }
        if grain.tells_ends() {
            let operation = self.operation.filter(|_| grain.tells_operations());
            return Detail { operation, refusal: None, ..self.of_any_instance() };
        }
        let told = |part, text: Option<&'a str>| text.filter(|_| grain.tells(part));
        let code = |code: Option<i64>| code.filter(|_| grain.tells(Told::CODE));
        Detail {
            observer: self.observer,
            route: told(Told::ROUTE, self.route),
            host: told(Told::HOST, self.host),
            instance: told(Told::INSTANCE, self.instance),
            response_code: code(self.response_code),
            grpc_status: code(self.grpc_status),
            response_flags: told(Told::FLAGS, self.response_flags),
            refusal: told(Told::REFUSAL, self.refusal),
            security: told(Told::SECURITY, self.security),
            catch_all: told(Told::CATCH_ALL, self.catch_all),
            ..Detail::default()
        }
    }

    /// What is left of it where it is one of too many: what takes few values.
    #[must_use]
    pub fn summary(self) -> Detail<'a> {
        Detail { operation: Some(OTHER), ..self.of_any_instance() }
    }

    /// Without what takes as many values as a mesh has pods, routes and hosts.
    #[must_use]
    pub fn of_any_instance(self) -> Detail<'a> {
        Detail { route: None, host: None, instance: None, proxy_version: None, ..self }
    }

    /// Replaces `out` by the text of it.
    pub fn write(&self, out: &mut String) {
        out.clear();
        out.push_str(self.observer.name());
        let texts = [
            self.operation,
            self.route,
            self.host,
            self.instance,
            self.proxy_version,
            self.source_cluster,
            self.source_principal,
            self.destination_cluster,
            self.destination_principal,
            self.response_flags,
            self.security,
            self.refusal,
            self.catch_all,
        ];
        for text in texts {
            out.push(SEPARATOR);
            out.extend(text.unwrap_or_default().chars().filter(|c| *c != SEPARATOR));
        }
        for number in [self.response_code, self.grpc_status] {
            out.push(SEPARATOR);
            out.extend(number.map(|number| number.to_string()));
        }
    }

    /// Reads a text; of one that [`Detail::write`] did not make, as `(other)`, all of it is the operation.
    pub fn read(text: &'a str) -> Detail<'a> {
        let Some((observer, rest)) = text.split_once(SEPARATOR) else {
            let operation = Some(text).filter(|text| !text.is_empty());
            return Detail { operation, ..Detail::default() };
        };
        let mut parts = rest.split(SEPARATOR);
        let mut next = || parts.next().filter(|part| !part.is_empty());
        Detail {
            observer: Observer::named(observer),
            operation: next(),
            route: next(),
            host: next(),
            instance: next(),
            proxy_version: next(),
            source_cluster: next(),
            source_principal: next(),
            destination_cluster: next(),
            destination_principal: next(),
            response_flags: next(),
            security: next(),
            refusal: next(),
            catch_all: next(),
            response_code: next().and_then(|code| code.parse().ok()),
            grpc_status: next().and_then(|status| status.parse().ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let whole = Detail {
            observer: Observer::Waypoint,
            operation: Some("GET /x"),
            host: Some("shop.example"),
            instance: Some("pod-1"),
            proxy_version: Some("1.27.1"),
            destination_principal: Some("spiffe://a/b"),
            response_code: Some(503),
            grpc_status: Some(0),
            response_flags: Some("UF,URX"),
            security: Some("none"),
            refusal: Some("rbac_access_denied"),
            catch_all: Some("passthrough"),
            ..Detail::default()
        };
        for detail in [whole, Detail::default(), Detail { instance: Some("pod-1"), ..Detail::default() }] {
            let mut text = String::from("left over");
            detail.write(&mut text);
            assert_eq!(Detail::read(&text), detail, "{text:?}");
        }
    }

    #[test]
    fn a_question_is_told_what_it_asks_for() {
        let whole = Detail { route: Some("r"), host: Some("h"), response_code: Some(1), ..Detail::default() };
        let asked = Grain::Told(Told::ROUTE.with(Told::CODE));
        assert_eq!(whole.of_grain(asked), Detail { host: None, ..whole });
        assert_eq!(whole.of_grain(Grain::Whole), whole);
        let proxied = Detail { instance: Some("i"), proxy_version: Some("1.27.1"), ..Detail::default() };
        let all = Detail { observer: Observer::Server, route: Some("r"), refusal: Some("x"), ..proxied };
        assert_eq!(all.of_grain(Grain::InstanceAndProxy), proxied);
        assert_eq!(all.summary().proxy_version, None);
        let columns: Vec<_> = Told::ROUTE.with(Told::CODE).columns().collect();
        assert_eq!(columns, ["route", "response_code", "grpc_status"]);
    }

    #[test]
    fn a_separator_in_a_name_moves_nothing() {
        let mut text = String::new();
        Detail { operation: Some("a\u{1f}b"), route: Some("r"), ..Detail::default() }.write(&mut text);
        let read = Detail::read(&text);
        assert_eq!((read.operation, read.route), (Some("ab"), Some("r")));
    }

    #[test]
    fn any_other_text_is_an_operation() {
        assert_eq!(Detail::read("(other)").operation, Some("(other)"));
        assert_eq!(Detail::read("").operation, None);
    }
}
