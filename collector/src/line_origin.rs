//! What a user says of lines once for all of them: their format and who logs them, in configuration or in a query.
//!
//! A format is a name of a known one, or the text of one in the language of the proxy that writes it, pasted from its
//! configuration. The language of a text shows in it; where it does not, it is named.

use meshlake_schema::tenant::{Tenant, TenantError};
use serde::{Deserialize, Serialize};

use crate::access_log::origin::LineOrigin;
use crate::access_log::{Language, LineFormat};

/// The offset of a zone is less than a day.
const ZONE_HOURS_MAX: i32 = 23;

/// What is said of lines. Empty text says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinesConfig {
    /// A format's name, or its text in the language of the proxy. Default: each line is recognised by itself, among the
    /// known formats.
    pub format: String,
    /// The language of that text: `envoy`, `envoy_json`, `nginx`, `apache` (also for Varnish), `haproxy`, `fields`. Default:
    /// as the text looks.
    pub language: String,
    /// The service whose proxy logs, or that logs itself.
    pub service: String,
    pub namespace: String,
    pub workload: String,
    pub version: String,
    /// The pod, or the host.
    pub instance: String,
    /// The Kubernetes cluster.
    pub cluster: String,
    /// East of UTC, for times that are written without a zone: `+02:00`. Default UTC.
    pub zone: String,
    /// Whose lines they are. Default `default`.
    pub tenant: String,
}

impl LinesConfig {
    /// Every value that cannot work, as one line each that begins with its key.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if let Err(problem) = self.origin() {
            problems.push(problem);
        }
        if let Err(error) = self.tenant() {
            problems.push(format!("tenant: {:?}: {error}", self.tenant));
        }
        problems
    }

    /// # Errors
    /// The name is none that a tenant can have.
    pub(crate) fn tenant(&self) -> Result<Tenant, TenantError> {
        let named = (!self.tenant.is_empty()).then_some(self.tenant.as_bytes());
        Tenant::named_by(named)
    }

    /// Where the lines come from.
    ///
    /// # Errors
    /// What is wrong, behind the key.
    pub(crate) fn origin(&self) -> Result<LineOrigin, String> {
        let format = line_format(&self.format, &self.language)?;
        let offset_seconds = offset_seconds(&self.zone)
            .ok_or_else(|| format!("zone: {:?} is no offset from UTC, want it as +02:00", self.zone))?;
        Ok(LineOrigin {
            format,
            service: self.service.clone(),
            namespace: self.namespace.clone(),
            workload: self.workload.clone(),
            version: self.version.clone(),
            instance: self.instance.clone(),
            cluster: self.cluster.clone(),
            offset_seconds,
            ..LineOrigin::default()
        })
    }
}

fn line_format(format: &str, language: &str) -> Result<Option<LineFormat>, String> {
    if format.is_empty() && language.is_empty() {
        return Ok(None);
    }
    if language.is_empty()
        && let Some(known) = LineFormat::named(format)
    {
        return Ok(Some(known));
    }
    let language = match language {
        "" => Language::of(format).ok_or_else(|| {
            let names = LineFormat::names().collect::<Vec<_>>().join(", ");
            format!("format: {format:?} is neither a text with fields nor one of {names}")
        })?,
        named => Language::named(named).ok_or_else(|| {
            let names = Language::ALL.map(Language::name).join(", ");
            format!("language: {named:?} is none of {names}")
        })?,
    };
    let compiled = LineFormat::compile(language, format);
    compiled.map(Some).map_err(|error| format!("format: as a format of {}: {error}", language.name()))
}

/// Seconds east of UTC: of `+02:00`, `-0330`, `Z`, `UTC` and nothing.
fn offset_seconds(zone: &str) -> Option<i32> {
    if matches!(zone, "" | "Z" | "UTC") {
        return Some(0);
    }
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let digits = digits.replacen(':', "", 1);
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i32, i32) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
    (hours <= ZONE_HOURS_MAX && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_offsets() {
        let cases = [
            ("", Some(0)),
            ("UTC", Some(0)),
            ("+02:00", Some(7200)),
            ("-0330", Some(-12_600)),
            ("+23:59", Some(86_340)),
            ("+24:00", None),
            ("+02:60", None),
            ("02:00", None),
            ("Europe/Berlin", None),
            ("+é1", None),
        ];
        for (zone, want) in cases {
            assert_eq!(offset_seconds(zone), want, "{zone}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_by_its_key() {
        let check = |config: LinesConfig, want: &[&str]| {
            let problems = config.problems();
            let keys: Vec<_> = problems.iter().filter_map(|told| Some(told.split_once(':')?.0)).collect();
            assert_eq!(keys, want, "{problems:?}");
        };
        let text = |text: &str| text.to_owned();
        check(LinesConfig::default(), &[]);
        check(LinesConfig { format: text("%h %l"), ..LinesConfig::default() }, &[]);
        check(LinesConfig { format: text("nginx_combinde"), ..LinesConfig::default() }, &["format"]);
        check(LinesConfig { language: text("perl"), ..LinesConfig::default() }, &["language"]);
        let config = LinesConfig { zone: text("CET"), tenant: text("a b"), ..LinesConfig::default() };
        check(config, &["zone", "tenant"]);
    }
}
