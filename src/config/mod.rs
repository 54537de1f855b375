//! The configuration: defaults < file < environment < flags, checked as a whole before anything starts.
//!
//! Every key has a default that works on a laptop without a file. Each key has an environment form:
//! `MESHLAKE_` + sections and key, in capitals, joined by `__` (`MESHLAKE_COLLECTOR__OTLP_GRPC`). Variables
//! without `__` are none of ours (Kubernetes injects `MESHLAKE_SERVICE_HOST` and the like into every pod), unless
//! one is exactly a key with too few underscores.

mod overlay;
mod paths;
mod maintain;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use meshlake_collector::{LIVE_KEYS, SyslogAppConfig, TailConfig};
use meshlake_listen::check_address;
use meshlake_query::samples::{PROMOTED, can_be_label};
use serde::{Deserialize, Serialize};
use toml::Table;

pub use maintain::MaintainSection;
use overlay::Overlay;
use paths::{differences, key_paths};

/// What the names of our variables start with.
const VARIABLE_START: &str = "MESHLAKE_";

/// Joins sections and key in the name of a variable; keys have single underscores of their own.
const JOINED_BY: &str = "__";

/// The section that has the keys which take no restart.
const LIVE_SECTION: &str = "collector";

/// All of it. Field docs are the reference; `deploy/meshlake.toml` shows every key with its default.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub collector: meshlake_collector::CollectorConfig,
    pub store: StoreSection,
    pub maintain: MaintainSection,
    pub query: QuerySection,
    pub admin: AdminSection,
    pub telemetry: TelemetrySection,
}

/// `[store]`: where and how rows are kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSection {
    /// Directory of the WAL and the tables; made when missing.
    pub data_dir: PathBuf,
    /// Rows that are in the WAL but not yet in files may use this much memory over all tables, in bytes.
    pub buffer_bytes_max: u64,
    /// Rows are written to files at the latest this many seconds after they came in.
    pub flush_age_max_seconds: u64,
    /// Senders are told to come back while no more than this many bytes are free on the disk of
    /// `data_dir`. The default is room for one more segment of the WAL (64 MiB) and for files with all
    /// that `buffer_bytes_max` allows, should it not shrink at all; raise it with that.
    pub free_bytes_min: u64,
}

impl Default for StoreSection {
    fn default() -> Self {
        StoreSection {
            data_dir: PathBuf::from("meshlake-data"),
            buffer_bytes_max: 192 * 1024 * 1024,
            flush_age_max_seconds: 60,
            free_bytes_min: 256 * 1024 * 1024,
        }
    }
}

/// `[query]`: the web page and the APIs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuerySection {
    /// Address of the web page and of `/api/v1`.
    pub http: String,
    /// Address of Arrow Flight SQL; empty for none.
    pub flight_sql: String,
    /// Address of the protocol of PostgreSQL; empty for none.
    pub postgres: String,
    /// Address of `/healthz`, `/readyz` and `/metrics` of `meshlake query`; empty for none. Apart from `admin.http`, because
    /// the collector that it asks runs beside it.
    pub admin: String,
    /// Memory that all running queries may use together, in bytes.
    pub memory_bytes_max: u64,
    /// A query is stopped after this many seconds.
    pub timeout_seconds: u64,
    /// Rows that one SQL answer may have; a larger one ends with an error.
    pub rows_max: u64,
    /// Attributes of OTLP resources that are labels of all their metrics' series in PromQL. The default is what Prometheus's
    /// guide to OpenTelemetry has in `otlp.promote_resource_attributes`.
    pub promoted_resource_attributes: Vec<String>,
}

impl Default for QuerySection {
    fn default() -> Self {
        QuerySection {
            http: "127.0.0.1:7070".to_owned(),
            flight_sql: "127.0.0.1:7050".to_owned(),
            postgres: "127.0.0.1:7432".to_owned(),
            admin: "127.0.0.1:7072".to_owned(),
            memory_bytes_max: 1024 * 1024 * 1024,
            timeout_seconds: 30,
            rows_max: 100_000,
            promoted_resource_attributes: PROMOTED.map(str::to_owned).to_vec(),
        }
    }
}

/// `[admin]`: health and metrics of this process.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminSection {
    /// Address of `/healthz`, `/readyz` and `/metrics`.
    pub http: String,
}

impl Default for AdminSection {
    fn default() -> Self {
        AdminSection { http: "127.0.0.1:7071".to_owned() }
    }
}

/// `[telemetry]`: what this process says about itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetrySection {
    /// What is logged, in the syntax of `RUST_LOG`: `info`, `debug`, `warn,meshlake_store=debug`. The default
    /// mutes the Delta libraries, which tell every step at info.
    pub log: String,
    /// OTLP/gRPC endpoint that our own traces are sent to, e.g. `http://127.0.0.1:4317`; empty for none.
    pub otlp_endpoint: String,
}

impl Default for TelemetrySection {
    fn default() -> Self {
        TelemetrySection {
            log: "info,buoyant_kernel=warn,deltalake_core=warn".to_owned(),
            otlp_endpoint: String::new(),
        }
    }
}

/// Everything that is wrong with a configuration, one line each.
#[derive(Debug)]
pub struct ConfigProblems(Vec<String>);

impl fmt::Display for ConfigProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration is not valid:")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for ConfigProblems {}

/// Reads the configuration.
///
/// `environment` are all variables of the process; `flags` are (path, text) pairs from the command line.
///
/// # Errors
/// Every problem at once: the file cannot be read or is no TOML, unknown keys, wrong types, addresses that
/// are none, sizes of zero.
pub fn load(
    file: Option<&Path>,
    environment: impl Iterator<Item = (OsString, OsString)>,
    flags: &[(&[&str], String)],
) -> Result<Config, ConfigProblems> {
    let [shape, defaults] = [Config::with_every_key(), Config::default()].map(as_table);
    let mut overlay = Overlay::new(shape, defaults);
    if let Some(path) = file {
        match read_file(path) {
            Ok(given) => overlay.lay(given, &path.display().to_string()),
            Err(problem) => overlay.add_problem(problem),
        }
    }
    lay_environment(&mut overlay, environment);
    for (path, text) in flags {
        let flag = format!("--{}", path.last().unwrap_or(&"").replace('_', "-"));
        overlay.lay_text(path, text, &flag);
    }
    let (config, mut problems) = overlay.finish::<Config>();
    config.check(&mut problems);
    if problems.is_empty() { Ok(config) } else { Err(ConfigProblems(problems)) }
}

fn as_table(config: Config) -> Table {
    Table::try_from(config).expect("sections, lists and scalars")
}

/// `scheme://user:password@host/path` without what stands before the host.
fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    match authority.rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

fn read_file(path: &Path) -> Result<Table, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("read {}: {error}", path.display()))?;
    text.parse::<Table>().map_err(|error| format!("{}: {}", path.display(), error.to_string().trim()))
}

/// In order of their names, so that problems are.
fn lay_environment(overlay: &mut Overlay, environment: impl Iterator<Item = (OsString, OsString)>) {
    let ours = environment.filter_map(|(name, text)| {
        let name = name.into_string().ok()?;
        let keys = name.strip_prefix(VARIABLE_START)?.to_lowercase();
        Some((name, keys, text))
    });
    let mut ours: Vec<_> = ours.collect();
    ours.sort();
    let all = as_table(Config::with_every_key());
    for (name, keys, text) in ours {
        let path: Vec<&str> = keys.split(JOINED_BY).collect();
        if let [key] = path.as_slice() {
            let is_meant = |path: &&Vec<String>| path.len() > 1 && path.join("_") == *key;
            if let Some(path) = key_paths(&all).iter().find(is_meant) {
                let variable = format!("{VARIABLE_START}{}", path.join(JOINED_BY).to_uppercase());
                overlay.add_problem(format!("{name}: no key is meant by this, did you mean {variable}?"));
            }
            continue;
        }
        match text.to_str() {
            Some(text) => overlay.lay_text(&path, text, &name),
            None => overlay.add_problem(format!("{name}: {text:?} is not UTF-8")),
        }
    }
}

impl Config {
    /// The defaults with each optional key set and each list with one element: what keys there are and of which
    /// type. An empty list takes text.
    fn with_every_key() -> Config {
        let mut config = Config::default();
        config.collector.tail.push(TailConfig::default());
        config.collector.syslog_apps.push(SyslogAppConfig::default());
        config
    }

    /// The keys, as `section.key`, in which `new` differs and that take a restart to change.
    pub fn keys_to_restart_for(&self, new: &Config) -> Vec<String> {
        let [old, new] = [self, new].map(|config| as_table(config.clone()));
        // The other way round are those that are no longer set.
        let changed = differences(&old, &new).into_iter().chain(differences(&new, &old));
        let is_live = |path: &[String]| matches!(path, [section, key] if section == LIVE_SECTION && LIVE_KEYS.contains(&key.as_str()));
        let keys = changed.filter(|(path, _)| !is_live(path)).map(|(path, _)| path.join("."));
        keys.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// This configuration with those keys of `new` that take no restart.
    #[must_use]
    pub fn with_live_keys_of(&self, new: &Config) -> Config {
        let [mut merged, new] = [self, new].map(|config| as_table(config.clone()));
        let sections = merged.get_mut(LIVE_SECTION).and_then(toml::Value::as_table_mut);
        if let (Some(old), Some(new)) = (sections, new.get(LIVE_SECTION)) {
            for key in LIVE_KEYS {
                new.get(key).map(|value| old.insert(key.to_owned(), value.clone()));
            }
        }
        merged.try_into().expect("each key has a value of its type")
    }

    /// Every key and its value, as TOML, for people; credentials in addresses are left out.
    pub fn shown(&self) -> String {
        let mut shown = self.clone();
        shown.telemetry.otlp_endpoint = without_credentials(&self.telemetry.otlp_endpoint);
        toml::to_string(&shown).expect("sections, lists and scalars")
    }

    /// Problems that types cannot tell.
    fn check(&self, problems: &mut Vec<String>) {
        problems.extend(self.collector.problems());
        problems.extend(self.maintain.problems());
        let addresses = [("query.http", &self.query.http), ("admin.http", &self.admin.http)];
        let QuerySection { flight_sql, postgres, admin, .. } = &self.query;
        let optional =
            [("query.flight_sql", flight_sql), ("query.postgres", postgres), ("query.admin", admin)];
        let optional = optional.into_iter().filter(|(_, address)| !address.is_empty());
        for (key, address) in addresses.into_iter().chain(optional) {
            if let Err(error) = check_address(address) {
                problems.push(format!("{key}: {address:?} is not an address to listen on: {error}"));
            }
        }
        self.check_ports(problems);
        let sizes = [
            ("store.buffer_bytes_max", self.store.buffer_bytes_max),
            ("store.flush_age_max_seconds", self.store.flush_age_max_seconds),
            ("store.free_bytes_min", self.store.free_bytes_min),
            ("query.memory_bytes_max", self.query.memory_bytes_max),
            ("query.timeout_seconds", self.query.timeout_seconds),
            ("query.rows_max", self.query.rows_max),
        ];
        for (key, _) in sizes.iter().filter(|(_, size)| *size == 0) {
            problems.push(format!("{key}: 0 is too small"));
        }
        for (place, attribute) in self.query.promoted_resource_attributes.iter().enumerate() {
            if !can_be_label(attribute) {
                let key = format!("query.promoted_resource_attributes[{place}]");
                problems.push(format!(
                    "{key}: {attribute:?} has no letter or digit, so that it cannot be a label"
                ));
            }
        }
        if self.telemetry.log.parse::<tracing_subscriber::EnvFilter>().is_err() {
            problems.push(format!(
                "telemetry.log: {:?} is no log filter like info or warn,meshlake_store=debug",
                self.telemetry.log
            ));
        }
    }

    /// One process listens at all of these; the system would only say that the second is taken. `query.admin` is of a process
    /// of its own.
    fn check_ports(&self, problems: &mut Vec<String>) {
        let mut taken: Vec<(&str, &str)> = Vec::new();
        for (key, address) in [
            ("collector.otlp_grpc", &self.collector.otlp_grpc),
            ("collector.otlp_http", &self.collector.otlp_http),
            ("collector.syslog", &self.collector.syslog),
            ("query.http", &self.query.http),
            ("query.flight_sql", &self.query.flight_sql),
            ("query.postgres", &self.query.postgres),
            ("admin.http", &self.admin.http),
        ] {
            if address.is_empty() || address.ends_with(":0") {
                continue;
            }
            if let Some((other, _)) = taken.iter().find(|(_, taken)| taken == address) {
                problems.push(format!("{key}: {address:?} is also {other}; each needs a port of its own"));
            }
            taken.push((key, address));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_text(file: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("meshlake.toml");
        std::fs::write(&path, file).expect("write the file");
        let environment = environment.iter().map(|(name, text)| ((*name).into(), (*text).into()));
        load(Some(&path), environment, &[]).map_err(|problems| problems.to_string())
    }

    #[test]
    fn the_defaults_alone_are_valid() {
        let config = load(None, std::iter::empty(), &[]).expect("defaults are valid");
        assert_eq!(config.query.http, "127.0.0.1:7070");
        assert_eq!(config.collector.otlp_grpc, "127.0.0.1:4317");
    }

    #[test]
    fn the_environment_beats_the_file_and_flags_beat_both() {
        let config = load_text("[admin]\nhttp = \"127.0.0.1:1\"", &[("MESHLAKE_ADMIN__HTTP", "127.0.0.1:2")]);
        assert_eq!(config.expect("valid").admin.http, "127.0.0.1:2");
        let flags: [(&[&str], String); 1] = [(&["store", "data_dir"], "/d".to_owned())];
        let environment = [("MESHLAKE_STORE__DATA_DIR".into(), "/e".into())];
        let config = load(None, environment.into_iter(), &flags).expect("valid");
        assert_eq!(config.store.data_dir, PathBuf::from("/d"));
    }

    #[test]
    fn a_promoted_attribute_that_cannot_be_a_label_is_named() {
        let file = "[query]\npromoted_resource_attributes = [\"host.name\", \"..\", 7]\n";
        let problems = load_text(file, &[]).expect_err("not valid");
        assert!(problems.contains("query.promoted_resource_attributes[2]"), "{problems}");
        let file = "[query]\npromoted_resource_attributes = [\"host.name\", \"..\"]\n";
        let problems = load_text(file, &[]).expect_err("not valid");
        assert!(problems.contains("query.promoted_resource_attributes[1]: \"..\""), "{problems}");
        let none = load_text("[query]\npromoted_resource_attributes = []\n", &[]).expect("valid");
        assert!(none.query.promoted_resource_attributes.is_empty());
    }

    #[test]
    fn all_problems_come_at_once() {
        let file = "[admin]\nhttp = \"nowhere\"\n[query]\nrows_max = 0\n[stores]\n";
        let problems =
            load_text(file, &[("MESHLAKE_QUERY__TIMEOUT_SECONDS", "soon")]).expect_err("not valid");
        for part in ["admin.http", "rows_max: 0", "unknown key stores, did you mean store?", "\"soon\""] {
            assert!(problems.contains(part), "{part} is missing in {problems}");
        }
    }

    #[test]
    fn one_port_for_two_is_told_by_both_names() {
        let problems = load_text("[query]\nhttp = \"127.0.0.1:4318\"", &[]).expect_err("not valid");
        let want = "query.http: \"127.0.0.1:4318\" is also collector.otlp_http";
        assert!(problems.contains(want), "{problems}");
        let any_port = "[query]\nhttp = \"127.0.0.1:0\"\npostgres = \"127.0.0.1:0\"\nflight_sql = \"\"\n\
                        [collector]\nsyslog = \"\"";
        assert!(load_text(any_port, &[]).is_ok());
        assert!(load_text("[query]\nadmin = \"127.0.0.1:7071\"", &[]).is_ok(), "of another process");
    }

    #[test]
    fn limits_of_the_collector_change_without_a_restart() {
        let old = Config::default();
        let mut new = old.clone();
        new.collector.export_bytes_max = 1000;
        new.collector.tenant_bytes_per_second_max = 1;
        assert_eq!(old.keys_to_restart_for(&new), Vec::<String>::new());
        new.collector.otlp_grpc = "127.0.0.1:1".to_owned();
        new.query.rows_max = 1;
        assert_eq!(old.keys_to_restart_for(&new), ["collector.otlp_grpc", "query.rows_max"]);
        let collector = Table::try_from(&old).expect("a table")["collector"].clone();
        assert!(LIVE_KEYS.iter().all(|key| collector.get(key).is_some()), "every live key is a key");
    }

    #[test]
    fn the_configuration_in_use_has_live_keys_of_the_new_one_alone() {
        let old = Config::default();
        let mut new = old.clone();
        new.collector.export_bytes_max = 1000;
        new.query.rows_max = 1;
        let shown = old.with_live_keys_of(&new).shown();
        assert!(
            shown.contains("export_bytes_max = 1000\n") && shown.contains("rows_max = 100000\n"),
            "{shown}"
        );
        let shown: Table = old.shown().parse().expect("TOML");
        assert_eq!(shown, as_table(old));
    }

    #[test]
    fn credentials_are_not_shown() {
        let mut config = Config::default();
        for (given, want) in [
            ("http://me:secret@c:4317/x@y", "http://c:4317/x@y"),
            ("http://a@b:secret@c", "http://c"),
            ("http://c/?user=a@b", "http://c/?user=a@b"),
            ("", ""),
        ] {
            given.clone_into(&mut config.telemetry.otlp_endpoint);
            let shown: Table = config.shown().parse().expect("TOML");
            assert_eq!(shown["telemetry"]["otlp_endpoint"].as_str(), Some(want), "{given}");
        }
    }

    #[test]
    fn foreign_variables_are_left_alone() {
        let foreign =
            [("MESHLAKE_SERVICE_HOST", "10.0.0.1"), ("MESHLAKE_PORT", "tcp://10.0.0.1:80"), ("PATH", "/bin")];
        assert!(load_text("", &foreign).is_ok());
    }

    #[test]
    fn a_variable_with_too_few_underscores_is_a_mistake() {
        let problems = load_text("", &[("MESHLAKE_QUERY_HTTP", ":7070")]).expect_err("not valid");
        assert!(
            problems.contains("MESHLAKE_QUERY_HTTP: ") && problems.contains("MESHLAKE_QUERY__HTTP?"),
            "{problems}"
        );
    }

    #[test]
    fn a_variable_that_is_no_text_is_a_problem() {
        use std::os::unix::ffi::OsStringExt as _;
        let variable = |name: &str| (OsString::from(name), OsString::from_vec(vec![0xff]));
        let load =
            |name: &str| load(None, std::iter::once(variable(name)), &[]).map_err(|told| told.to_string());
        assert!(load("LANG").is_ok());
        let problems = load("MESHLAKE_QUERY__HTTP").expect_err("not valid");
        assert!(problems.contains(r#"MESHLAKE_QUERY__HTTP: "\xFF" is not UTF-8"#), "{problems}");
    }

    #[test]
    fn the_file_that_shows_every_key_is_the_defaults() {
        let shown = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/meshlake.toml");
        let shown = read_file(&shown).expect("deploy/meshlake.toml is TOML");
        let defaults = Table::try_from(Config::default()).expect("the defaults are a table");
        assert_eq!(shown, defaults);
    }
}
