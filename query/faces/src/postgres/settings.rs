//! Settings of one connection, which clients set without being asked.
//!
//! An allow-list: what is on it can be set to what we can keep to, or to anything where nothing depends on it. What is
//! not on it cannot be set at all, so no setting of the engine can be reached. Times are always shown in UTC; a client
//! that asks for another zone is told so by a notice, since many ask for theirs before anything else.
//!
//! Source: PostgreSQL 16, "Server Configuration" and "ParameterStatus".

use std::time::Duration;

use super::failure::{Failure, INVALID_PARAMETER_VALUE, NO_SUCH_SETTING, READ_ONLY_SETTING};

/// Characters of a value. Names of applications have some dozen.
const VALUE_BYTES_MAX: usize = 1_024;

/// The version that we say we are; tools choose their queries of the catalogue by it.
const SERVER_VERSION: &str = "16.4";

/// What a setting can be set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Allowed {
    /// Never.
    Nothing,
    /// Nothing depends on it.
    Anything,
    /// One of these, whatever its case; the first is what it then is.
    Only(&'static [&'static str]),
    /// UTF-8 by any of its names.
    Encoding,
    /// Anything that begins so, whatever its case; it stays as it was.
    Beginning(&'static str),
    /// A zone; it stays UTC.
    Zone,
    /// A number of milliseconds, or one with a unit.
    Time,
}

struct Declared {
    name: &'static str,
    default: &'static str,
    allowed: Allowed,
    /// Whether clients are told of it without asking.
    is_reported: bool,
    doc: &'static str,
}

const fn declared(
    name: &'static str,
    default: &'static str,
    allowed: Allowed,
    is_reported: bool,
    doc: &'static str,
) -> Declared {
    Declared { name, default, allowed, is_reported, doc }
}

const ON: Allowed = Allowed::Only(&["on", "true", "yes", "1"]);
const SWITCH: Allowed = Allowed::Anything;

#[rustfmt::skip]
const SETTINGS: [Declared; 41] = [
    declared("application_name", "", Allowed::Anything, true, "Sets the application name to be reported in statistics and logs."),
    declared("block_size", "8192", Allowed::Nothing, false, "Shows the size of a disk block."),
    declared("bytea_output", "hex", Allowed::Only(&["hex"]), false, "Sets the output format for bytea."),
    declared("client_encoding", "UTF8", Allowed::Encoding, true, "Sets the client's character set encoding."),
    declared("client_min_messages", "notice", Allowed::Anything, false, "Sets the message levels that are sent to the client."),
    declared("DateStyle", "ISO, MDY", Allowed::Beginning("iso"), true, "Sets the display format for date and time values."),
    declared("default_table_access_method", "heap", Allowed::Only(&["heap"]), false, "Sets the default table access method for new tables."),
    declared("default_tablespace", "", Allowed::Anything, false, "Sets the default tablespace to create tables and indexes in."),
    declared("default_transaction_deferrable", "off", SWITCH, false, "Sets the default deferrable status of new transactions."),
    declared("default_transaction_isolation", "read committed", Allowed::Anything, false, "Sets the transaction isolation level of each new transaction."),
    declared("default_transaction_read_only", "on", ON, true, "Sets the default read-only status of new transactions."),
    declared("escape_string_warning", "on", SWITCH, false, "Warn about backslash escapes in ordinary string literals."),
    declared("extra_float_digits", "1", Allowed::Anything, false, "Sets the number of digits displayed for floating-point values."),
    declared("idle_in_transaction_session_timeout", "0", Allowed::Time, false, "Sets the maximum allowed idle time between queries, when in a transaction."),
    declared("in_hot_standby", "off", Allowed::Nothing, true, "Shows whether hot standby is currently active."),
    declared("integer_datetimes", "on", Allowed::Nothing, true, "Shows whether datetimes are integer based."),
    declared("IntervalStyle", "postgres", Allowed::Only(&["postgres"]), true, "Sets the display format for interval values."),
    declared("is_superuser", "off", Allowed::Nothing, true, "Shows whether the current user is a superuser."),
    declared("jit", "off", SWITCH, false, "Allow JIT compilation."),
    declared("lc_collate", "C", Allowed::Nothing, false, "Shows the collation order locale."),
    declared("lc_ctype", "C.UTF-8", Allowed::Nothing, false, "Shows the character classification and case conversion locale."),
    declared("lc_messages", "C", Allowed::Anything, false, "Sets the language in which messages are displayed."),
    declared("lc_monetary", "C", Allowed::Anything, false, "Sets the locale for formatting monetary amounts."),
    declared("lock_timeout", "0", Allowed::Time, false, "Sets the maximum allowed duration of any wait for a lock."),
    declared("max_connections", "100", Allowed::Nothing, false, "Sets the maximum number of concurrent connections."),
    declared("max_identifier_length", "63", Allowed::Nothing, false, "Shows the maximum identifier length."),
    declared("max_index_keys", "32", Allowed::Nothing, false, "Shows the maximum number of index keys."),
    declared("row_security", "on", SWITCH, false, "Enable row security."),
    declared("search_path", "\"$user\", public", Allowed::Anything, false, "Sets the schema search order for names that are not schema-qualified."),
    declared("server_encoding", "UTF8", Allowed::Nothing, true, "Shows the server (database) character set encoding."),
    declared("server_version", SERVER_VERSION, Allowed::Nothing, true, "Shows the server version."),
    declared("server_version_num", "160004", Allowed::Nothing, false, "Shows the server version as an integer."),
    declared("session_authorization", "", Allowed::Nothing, true, "Sets the session user name."),
    declared("standard_conforming_strings", "on", ON, true, "Causes '...' strings to treat backslashes literally."),
    declared("statement_timeout", "0", Allowed::Time, false, "Sets the maximum allowed duration of any statement; the server's own is never exceeded."),
    declared("TimeZone", "UTC", Allowed::Zone, true, "Sets the time zone for displaying and interpreting time stamps."),
    declared("transaction_deferrable", "off", SWITCH, false, "Whether to defer a read-only serializable transaction until it can be executed with no possible serialization failures."),
    declared("transaction_isolation", "read committed", Allowed::Anything, false, "Sets the current transaction's isolation level."),
    declared("transaction_read_only", "on", ON, false, "Sets the current transaction's read-only status."),
    declared("work_mem", "4MB", Allowed::Anything, false, "Sets the maximum memory to be used for query workspaces; the server's own is what counts."),
    declared("xmloption", "content", Allowed::Anything, false, "Sets whether XML data in implicit parsing and serialization operations is to be considered as documents or content fragments."),
];

/// The values of one connection.
#[derive(Debug, Clone)]
pub struct Settings {
    /// In the order of [`SETTINGS`].
    values: Vec<String>,
    /// What comes back without a value: what the client began with.
    defaults: Vec<String>,
    /// Values from before the transaction, of those that were set for it alone.
    outside: Vec<(usize, String)>,
}

/// What a client is told after it set something.
#[derive(Debug, PartialEq, Eq)]
pub struct Told {
    /// To be reported, by name and value.
    pub report: Option<(&'static str, String)>,
    pub notice: Option<String>,
}

impl Settings {
    /// What a connection of `user` begins with.
    pub fn new(user: &str) -> Self {
        let values = SETTINGS.iter().map(|setting| match setting.name {
            "session_authorization" => user.to_owned(),
            _ => setting.default.to_owned(),
        });
        let values: Vec<String> = values.collect();
        Settings { defaults: values.clone(), values, outside: Vec::new() }
    }

    /// Takes what the client begins with as its defaults.
    pub fn keep_as_defaults(&mut self) {
        self.defaults.clone_from(&self.values);
    }

    /// Sets one, by any case of its name; without a value, to what the client began with.
    ///
    /// # Errors
    /// There is no such setting, it cannot be set, or not to this.
    pub fn set(&mut self, name: &str, value: Option<&str>, is_local: bool) -> Result<Told, Failure> {
        let place = place_of(name)?;
        let setting = &SETTINGS[place];
        let (kept, notice) = match value {
            None => (self.defaults[place].clone(), None),
            Some(value) => kept(setting, value, &self.values[place])?,
        };
        if is_local && !self.outside.iter().any(|(set, _)| *set == place) {
            self.outside.push((place, self.values[place].clone()));
        }
        let has_changed = self.values[place] != kept;
        self.values[place] = kept;
        let report = (setting.is_reported && has_changed).then(|| (setting.name, self.values[place].clone()));
        Ok(Told { report, notice })
    }

    /// Ends a transaction: what was set for it alone is as it was before.
    pub fn end_transaction(&mut self) -> Vec<(&'static str, String)> {
        let restored = std::mem::take(&mut self.outside).into_iter().map(|(place, value)| {
            self.values[place].clone_from(&value);
            (SETTINGS[place].is_reported, SETTINGS[place].name, value)
        });
        restored.filter(|(is_reported, ..)| *is_reported).map(|(_, name, value)| (name, value)).collect()
    }

    /// Sets all to what the client began with.
    pub fn reset(&mut self) -> Vec<(&'static str, String)> {
        self.outside.clear();
        let changed = (0..SETTINGS.len())
            .filter(|place| SETTINGS[*place].is_reported && self.values[*place] != self.defaults[*place]);
        let changed = changed.map(|place| (SETTINGS[place].name, self.defaults[place].clone())).collect();
        self.values.clone_from(&self.defaults);
        changed
    }

    /// # Errors
    /// There is no such setting.
    pub fn get(&self, name: &str) -> Result<(&'static str, &str), Failure> {
        let place = place_of(name)?;
        Ok((SETTINGS[place].name, &self.values[place]))
    }

    /// Name, value and what it is, of each.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &str, &'static str)> {
        let values = SETTINGS.iter().zip(&self.values);
        values.map(|(setting, value)| (setting.name, value.as_str(), setting.doc))
    }

    /// What clients are told when they come.
    pub fn reported(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let values = SETTINGS.iter().zip(&self.values).filter(|(setting, _)| setting.is_reported);
        values.map(|(setting, value)| (setting.name, value.as_str()))
    }

    /// How long a statement may take, if the client has said so.
    pub fn statement_timeout(&self) -> Option<Duration> {
        let (_, value) = self.get("statement_timeout").ok()?;
        duration_of(value).filter(|duration| !duration.is_zero())
    }
}

fn place_of(name: &str) -> Result<usize, Failure> {
    let place = SETTINGS.iter().position(|setting| setting.name.eq_ignore_ascii_case(name));
    place.ok_or_else(|| {
        Failure::new(NO_SUCH_SETTING, format!("unrecognized configuration parameter \"{name}\""))
    })
}

/// What `value` comes to, and what there is to say about that.
fn kept(setting: &Declared, value: &str, now: &str) -> Result<(String, Option<String>), Failure> {
    let name = setting.name;
    let wrong = || {
        let message = format!("invalid value for parameter \"{name}\": \"{value}\"");
        Failure::new(INVALID_PARAMETER_VALUE, message)
    };
    if value.len() > VALUE_BYTES_MAX {
        return Err(wrong());
    }
    match setting.allowed {
        Allowed::Nothing if value == now => Ok((now.to_owned(), None)),
        Allowed::Nothing => {
            Err(Failure::new(READ_ONLY_SETTING, format!("parameter \"{name}\" cannot be changed")))
        }
        Allowed::Anything => Ok((value.to_owned(), None)),
        Allowed::Only(values) => {
            let is_known = values.iter().any(|known| known.eq_ignore_ascii_case(value));
            if is_known { Ok((values[0].to_owned(), None)) } else { Err(wrong()) }
        }
        Allowed::Encoding => {
            // As PostgreSQL compares them: letters and digits alone.
            let cleaned = value.chars().filter(char::is_ascii_alphanumeric);
            let cleaned: String = cleaned.map(|c| c.to_ascii_lowercase()).collect();
            let is_known = ["utf8", "unicode", "sqlascii"].contains(&cleaned.as_str());
            if is_known { Ok((now.to_owned(), None)) } else { Err(wrong()) }
        }
        Allowed::Beginning(start) => {
            let has_start = value.to_ascii_lowercase().starts_with(start);
            if has_start { Ok((now.to_owned(), None)) } else { Err(wrong()) }
        }
        Allowed::Zone => {
            let is_utc = ["UTC", "GMT", "Etc/UTC", "Z", "0", "+00", "+00:00", "Universal", "Zulu"];
            let is_utc = is_utc.iter().any(|utc| utc.eq_ignore_ascii_case(value));
            let notice =
                (!is_utc).then(|| "times are shown and read in UTC, whatever the time zone".to_owned());
            Ok((now.to_owned(), notice))
        }
        Allowed::Time => match duration_of(value) {
            Some(_) => Ok((value.to_owned(), None)),
            None => Err(wrong()),
        },
    }
}

/// Milliseconds, or a number with a unit. Source: PostgreSQL 16, "Parameter Names and Values".
fn duration_of(value: &str) -> Option<Duration> {
    let value = value.trim();
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim_end();
    let number: u64 = digits.parse().ok()?;
    let micros_each = match value[digits.len()..].trim() {
        "us" => 1,
        "ms" | "" => 1_000,
        "s" => 1_000_000,
        "min" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return None,
    };
    number.checked_mul(micros_each).map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(settings: &mut Settings, name: &str, value: &str) -> Result<Told, &'static str> {
        settings.set(name, Some(value), false).map_err(|failure| failure.code)
    }

    #[test]
    fn what_is_not_on_the_list_cannot_be_set() {
        let mut settings = Settings::new("x");
        let unknown = Err(NO_SUCH_SETTING);
        assert_eq!(set(&mut settings, "datafusion.runtime.memory_limit", "100G"), unknown);
        assert_eq!(set(&mut settings, "server_version", "9.1"), Err(READ_ONLY_SETTING));
        assert_eq!(set(&mut settings, "DateStyle", "German"), Err(INVALID_PARAMETER_VALUE));
        assert_eq!(set(&mut settings, "client_encoding", "LATIN1"), Err(INVALID_PARAMETER_VALUE));
        let longest = "x".repeat(VALUE_BYTES_MAX);
        assert!(set(&mut settings, "application_name", &longest).is_ok());
        let longer = longest + "x";
        assert_eq!(set(&mut settings, "application_name", &longer), Err(INVALID_PARAMETER_VALUE));
    }

    #[test]
    fn what_is_set_is_reported_where_clients_keep_track_of_it() {
        let mut settings = Settings::new("x");
        let told = set(&mut settings, "APPLICATION_NAME", "psql").expect("may be set");
        assert_eq!(told.report, Some(("application_name", "psql".to_owned())));
        for name in ["UTF8", "'utf-8'", "Unicode"] {
            assert!(set(&mut settings, "client_encoding", name).is_ok(), "{name}");
        }
        let told = set(&mut settings, "jit", "on").expect("may be set");
        assert_eq!(told, Told { report: None, notice: None });
        let told = set(&mut settings, "timezone", "Europe/Berlin").expect("may be set");
        assert!(told.notice.is_some() && settings.get("TimeZone").expect("there").1 == "UTC");
    }

    #[test]
    fn a_local_value_ends_with_its_transaction() {
        let mut settings = Settings::new("x");
        for value in ["1s", "2s"] {
            settings.set("statement_timeout", Some(value), true).expect("may be set");
        }
        assert_eq!(settings.statement_timeout(), Some(Duration::from_secs(2)));
        settings.end_transaction();
        assert_eq!(settings.statement_timeout(), None);
    }

    #[test]
    fn reset_gives_back_what_the_client_began_with() {
        let mut settings = Settings::new("x");
        set(&mut settings, "application_name", "mine").expect("may be set");
        settings.keep_as_defaults();
        set(&mut settings, "application_name", "other").expect("may be set");
        assert_eq!(settings.reset(), [("application_name", "mine".to_owned())]);
        assert_eq!(settings.get("application_name").expect("there").1, "mine");
    }

    #[test]
    fn times_are_milliseconds_or_have_a_unit() {
        let cases = [
            ("250", Some(250_000)),
            ("250ms", Some(250_000)),
            ("2 s", Some(2_000_000)),
            ("1min", Some(60_000_000)),
            ("-1", None),
            ("1 fortnight", None),
            ("18446744073709551615d", None),
        ];
        for (text, micros) in cases {
            assert_eq!(duration_of(text), micros.map(Duration::from_micros), "{text}");
        }
    }
}
