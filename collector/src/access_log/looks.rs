//! The language that a format is written in, told by its looks.
//!
//! Whoever pastes a format from a proxy's configuration seldom thinks of saying which proxy it was, and the text shows it.
//! Limits: of a format of nothing but directives that Apache and HAProxy both have, Apache's is taken.

use super::Language;
use super::haproxy::is_own_alias;
use super::mapping;

/// The language that a text looks like. A directive says it; else nginx has `$name`, Envoy `%NAME(...)%`, alone or as
/// values of a JSON object, HAProxy `%[...]`, `%{+Q}...` and names of two letters, Apache `%>s` and `%{...}i`. Names in
/// braces and nothing else are those of `fields`.
pub(super) fn language_of(format: &str) -> Option<Language> {
    let format = format.trim();
    if format.starts_with("LogFormat") || format.starts_with("CustomLog") {
        return Some(Language::Apache);
    }
    if format.starts_with("log-format") {
        return Some(Language::Haproxy);
    }
    if format.contains('$') {
        return Some(Language::Nginx);
    }
    // What follows each `%`.
    let mut directives = format.split('%').skip(1);
    if directives.clone().next().is_none() {
        return names_in_braces(format).then_some(Language::Fields);
    }
    if directives.clone().any(is_of_envoy) {
        let is_mapping = || format.contains('\n') && mapping::read(format).is_some();
        let is_object = serde_json::from_str::<serde_json::Map<_, _>>(format).is_ok() || is_mapping();
        return Some(if is_object { Language::EnvoyJson } else { Language::Envoy });
    }
    Some(if directives.any(is_of_haproxy) { Language::Haproxy } else { Language::Apache })
}

/// `NAME(...)`, `NAME:10` or `NAME` up to the closing `%`: words of capitals.
fn is_of_envoy(directive: &str) -> bool {
    let name_bytes = directive.bytes().take_while(|byte| byte.is_ascii_uppercase() || *byte == b'_').count();
    let name = &directive[..name_bytes];
    name.len() > 2
        && !is_own_alias(name)
        && matches!(directive.as_bytes().get(name_bytes), None | Some(b'(' | b':'))
}

fn is_of_haproxy(directive: &str) -> bool {
    let name = directive.split(|char: char| !char.is_ascii_alphanumeric()).next().unwrap_or_default();
    directive.starts_with(['[', '(']) || directive.starts_with("{+") || is_own_alias(name)
}

fn names_in_braces(format: &str) -> bool {
    let mut names = format.split('{').skip(1).map(|rest| rest.split_once('}')).peekable();
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:".contains(&byte))
    };
    names.peek().is_some() && names.all(|name| name.is_some_and(|(name, _)| is_name(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_shows_its_language() {
        let cases = [
            (r#"$remote_addr - $remote_user [$time_local] "$request" $status"#, Some(Language::Nginx)),
            (r#"[%START_TIME%] "%REQ(:METHOD)%" %RESPONSE_CODE%"#, Some(Language::Envoy)),
            (r#"%h %l %u %t "%r" %>s %b"#, Some(Language::Apache)),
            (r"%V:%p %D", Some(Language::Apache)),
            (r"%{Host}i %>s", Some(Language::Apache)),
            (r#"LogFormat "%h %U%q" short"#, Some(Language::Apache)),
            (r#"{"t":"%START_TIME%","c":"%RESPONSE_CODE%"}"#, Some(Language::EnvoyJson)),
            (r#"{"t":"%START_TIME%","c":%RESPONSE_CODE%}"#, Some(Language::Envoy)),
            ("json_format:\n  t: \"%START_TIME%\"\n", Some(Language::EnvoyJson)),
            ("at: %START_TIME% code: %RESPONSE_CODE%", Some(Language::Envoy)),
            ("%START_TIME(%s)% %REQ(:METHOD)%", Some(Language::Envoy)),
            (r#"{"a":"$remote_addr","s":$status}"#, Some(Language::Nginx)),
            ("%ci %HM %{+Q}HU %ST %Ta %b/%s", Some(Language::Haproxy)),
            ("%r %ST", Some(Language::Haproxy)),
            ("%ft %HM %HPO%HQ", Some(Language::Haproxy)),
            ("%f %b %[req.hdr(host)]", Some(Language::Haproxy)),
            ("log-format \"%f %b\"", Some(Language::Haproxy)),
            ("%h %U%q %Dus", Some(Language::Apache)),
            (r#"{remote} [{start}] "{request_line}" {status} {duration:ms}"#, Some(Language::Fields)),
            ("nginx_combinde", None),
            ("{not a name}", None),
        ];
        for (text, want) in cases {
            assert_eq!(language_of(text), want, "{text}");
        }
    }
}
