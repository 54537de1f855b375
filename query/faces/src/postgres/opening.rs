//! How a connection begins: what it is not encrypted by, who comes, and what it is told of the server.

use meshlake_listen::{Principal, Role, Stream};
use meshlake_schema::tenant::Tenant;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::startup::{Authentication, BackendKeyData, NegotiateProtocolVersion, SecretKey};
use tokio::io::{ReadHalf, WriteHalf};
use tokio::time::Instant;

use super::failure::{FEATURE_NOT_SUPPORTED, Failure, NO_SUCH_DATABASE, PROTOCOL_VIOLATION, Severity};
use super::incoming::{Incoming, Opening, Unreadable};
use super::keys::Keys;
use super::outgoing::Outgoing;
use super::session::Session;
use super::settings::Settings;
use super::state::State;
use crate::FaceState;

/// Requests for encryption before the first message: TLS, then GSSAPI.
const ENCRYPTION_REQUESTS_MAX: usize = 2;

/// The newest minor version of the protocol that we speak.
const MINOR: u16 = 0;

/// What may follow `options` in a start: `-c name=value`.
const SET_OPTION: &str = "-c";

/// Brings a connection to where statements can come; none when it has ended, or was there only to stop another.
pub async fn open(
    mut incoming: Incoming<ReadHalf<Stream>>,
    mut outgoing: Outgoing<WriteHalf<Stream>>,
    role: Role,
    face: &FaceState,
    keys: &Keys,
    deadline: Instant,
) -> Option<Session> {
    let mut requests = 0;
    let (minor, major, parameters) = loop {
        match incoming.opening().await {
            Ok(Opening::Encryption) if requests < ENCRYPTION_REQUESTS_MAX => {
                requests += 1;
                outgoing.push_byte(b'N');
                outgoing.flush(deadline).await.ok()?;
            }
            Ok(Opening::Cancel { process_id, key }) => {
                keys.stop(process_id, &key);
                return None;
            }
            Ok(Opening::Start { major, minor, parameters }) => break (minor, major, parameters),
            Ok(Opening::Encryption) | Err(Unreadable::Gone(_)) => return None,
            Err(error) => {
                let failure = Failure::new(PROTOCOL_VIOLATION, error.to_string());
                return refuse(outgoing, &failure, deadline).await;
            }
        }
    };
    let begun = begin(&parameters, major, role);
    let (principal, user, settings) = match begun {
        Ok(begun) => begun,
        Err(failure) => return refuse(outgoing, &failure, deadline).await,
    };
    let unknown = parameters.iter().map(|(name, _)| name).filter(|name| name.starts_with("_pq_."));
    let unknown: Vec<String> = unknown.cloned().collect();
    if minor > MINOR || !unknown.is_empty() {
        let version = NegotiateProtocolVersion::new(MINOR.into(), unknown);
        outgoing.push(&PgWireBackendMessage::NegotiateProtocolVersion(version));
    }
    let (key, stopped) = keys.issue();
    let engine = face.engine.clone();
    let kept = State::new();
    let mut session =
        Session { engine, principal, user, key, stopped, incoming, outgoing, settings, kept, is_idle: true };
    welcome(&mut session);
    session.ready().await.ok()?;
    Some(session)
}

/// Who comes, and with which settings.
fn begin(
    parameters: &[(String, String)],
    major: u16,
    role: Role,
) -> Result<(Principal, String, Settings), Failure> {
    if major != 3 {
        let message = format!("unsupported frontend protocol {major}: server supports 3.{MINOR}");
        return Err(Failure::new(FEATURE_NOT_SUPPORTED, message));
    }
    let find = |wanted: &str| parameters.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
    let user = find("user").filter(|user| !user.is_empty());
    let user = user.ok_or_else(|| Failure::new("28000", "no user name is given"))?.clone();
    let database = find("database").filter(|database| !database.is_empty()).unwrap_or(&user);
    let tenant = Tenant::named_by([database.as_bytes()]).map_err(|_| {
        Failure::new(NO_SUCH_DATABASE, format!("database \"{database}\" cannot be the name of a tenant"))
    })?;
    if find("replication").is_some_and(|value| !matches!(value.as_str(), "false" | "off" | "no" | "0")) {
        return Err(Failure::new(FEATURE_NOT_SUPPORTED, "there is nothing to replicate here"));
    }
    let mut settings = Settings::new(&user);
    for (name, value) in parameters {
        match name.as_str() {
            "user" | "database" | "replication" => {}
            "options" => set_options(&mut settings, value)?,
            name if name.starts_with("_pq_.") => {}
            name => drop(settings.set(name, Some(value), false)?),
        }
    }
    settings.keep_as_defaults();
    Ok((Principal { tenant, role }, user, settings))
}

/// `-c name=value --other=value`, as PGOPTIONS has them.
fn set_options(settings: &mut Settings, options: &str) -> Result<(), Failure> {
    let mut words = options.split_ascii_whitespace();
    while let Some(word) = words.next() {
        let option = match word.strip_prefix("--").or(word.strip_prefix(SET_OPTION)) {
            Some("") => words.next(),
            option => option,
        };
        let option = option.and_then(|option| option.split_once('='));
        let (name, value) = option.ok_or_else(|| {
            Failure::new("42601", format!("invalid command-line argument for server process: {word}"))
        })?;
        settings.set(name, Some(value), false)?;
    }
    Ok(())
}

fn welcome(session: &mut Session) {
    session.push(&PgWireBackendMessage::Authentication(Authentication::Ok));
    let reported = session.settings.reported();
    let reported: Vec<_> = reported.map(|(name, value)| (name, value.to_owned())).collect();
    for (name, value) in reported {
        session.report(name, &value);
    }
    let secret = SecretKey::I32(session.key.secret);
    let key = BackendKeyData::new(session.key.process_id, secret);
    session.push(&PgWireBackendMessage::BackendKeyData(key));
}

async fn refuse(
    mut outgoing: Outgoing<WriteHalf<Stream>>,
    failure: &Failure,
    deadline: Instant,
) -> Option<Session> {
    outgoing.push(&failure.response(Severity::Fatal));
    outgoing.flush(deadline).await.ok()?;
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(parameters: &[(&str, &str)]) -> Result<(String, String, Settings), &'static str> {
        let owned: Vec<_> =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let begun = begin(&owned, 3, Role::Reader).map_err(|failure| failure.code)?;
        Ok((begun.0.tenant.as_str().to_owned(), begun.1, begun.2))
    }

    #[test]
    fn the_database_is_the_tenant_and_else_the_user_is() {
        let tenant = |parameters: &[_]| begun(parameters).map(|(tenant, ..)| tenant);
        assert_eq!(tenant(&[("user", "x"), ("database", "team-a")]).as_deref(), Ok("team-a"));
        assert_eq!(tenant(&[("user", "x")]).as_deref(), Ok("x"));
        assert_eq!(tenant(&[("user", "x"), ("database", "a/b")]), Err(NO_SUCH_DATABASE));
        assert_eq!(tenant(&[("database", "default")]), Err("28000"));
    }

    #[test]
    fn what_a_client_begins_with_is_set() {
        let options = "-c statement_timeout=5s --application_name=x";
        let (.., settings) = begun(&[("user", "x"), ("options", options)]).expect("it may begin");
        assert_eq!(settings.get("statement_timeout").expect("there").1, "5s");
        assert_eq!(settings.get("application_name").expect("there").1, "x");
        assert_eq!(begun(&[("user", "x"), ("options", "-c nonsense=1")]).err(), Some("42704"));
        assert_eq!(begun(&[("user", "x"), ("options", "-c")]).err(), Some("42601"));
    }
}
