//! Templates and what they make, by the documentation of Loki and of Go.

use std::collections::BTreeMap;

use meshlake_schema::UnixNanos;

use super::{Scope, Template};

struct Line;

const LABELS: [(&str, &str); 7] = [
    ("app", "checkout"),
    ("status", "503"),
    ("latency", "1.5s"),
    ("size", "2KB"),
    ("json", r#"{"user":{"name":"ann"},"items":[{"n":1},{"n":2}],"f":1.5}"#),
    ("path", "/a b?c=é"),
    ("when", "2024-02-29T13:04:05.5Z"),
];

impl Scope for Line {
    fn label(&self, name: &str) -> String {
        LABELS
            .into_iter()
            .find(|(known, _)| *known == name)
            .map_or(String::new(), |(_, value)| value.to_owned())
    }

    fn labels(&self) -> BTreeMap<String, String> {
        LABELS.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn line(&self) -> &str {
        "the line"
    }

    /// 2024-02-29T13:04:05.5Z, a Thursday.
    fn time(&self) -> UnixNanos {
        UnixNanos(1_709_211_845_500_000_000)
    }

    fn now(&self) -> UnixNanos {
        UnixNanos(1_709_211_846_000_000_000)
    }
}

fn check(template: &str, want: &str) {
    let read = Template::new(template.to_owned()).unwrap_or_else(|error| panic!("{template}: {error}"));
    assert_eq!(read.render(&Line).as_deref(), Ok(want), "{template}");
}

/// By the documentation of Go's `text/template`, "Functions".
#[test]
fn functions_of_go_cut_and_escape() {
    check("{{ slice .app 1 3 }}|{{ slice .app 5 }}|{{ slice .app }}", "he|out|checkout");
    check("{{ len (slice (index (fromJson .json) \"items\") 1 2) }}", "1");
    check("{{ html \"<a href='x'>\" .app \"&\" }}", "&lt;a href=&#39;x&#39;&gt;checkout&amp;");
    check("{{ js \"<'=\\n\" }}", "\\u003C\\'\\u003D\\u000A");
    for wrong in ["{{ slice .app 3 1 }}", "{{ slice .app 0 9 }}", "{{ slice .app 1 2 3 }}", "{{ slice 1 }}"] {
        let read = Template::new(wrong.to_owned()).expect("it reads");
        assert!(read.render(&Line).is_err(), "{wrong}");
    }
}

/// What Loki 3.7's own `logcli` makes of the same.
#[test]
fn numbers_are_written_and_read_as_go_does() {
    check(
        "{{ 1000000.0 }} {{ 123456789.5 }} {{ 100000.5 }} {{ 0.0001 }} {{ 0.00001 }} {{ 2.0 }}",
        "1e+06 1.234567895e+08 100000.5 0.0001 1e-05 2",
    );
    check(
        "{{ 0b101 }} {{ 0o17 }} {{ 017 }} {{ 0x1F }} {{ 1_000 }} {{ -0x10 }} {{ .5 }} {{ 5. }}",
        "5 15 15 31 1000 -16 0.5 5",
    );
    check("{{ 'a' }} {{ '\\n' }} {{ 'é' }} {{ '\\'' }}", "97 10 233 39");
    check("{{ bytes \"1GB\" }} {{ mulf 1000 1000 }}", "1e+09 1e+06");
    check(
        "{{ printf \"%e|%.2e|%E|%+e|%8.3e\" 1234.5 12345.678 12345.678 1.5 1.5 }}",
        "1.234500e+03|1.23e+04|1.234568E+04|+1.500000e+00|1.500e+00",
    );
    check("{{ printf \"%g|%g|%.3g|%G|%.3g\" 1e6 0.5 12345.678 1e-7 2.5 }}", "1e+06|0.5|1.23e+04|1E-07|2.5");
    check(
        "{{ printf \"%d|%s|%f|%t|%v|%q|%U|%T\" 1.5 true 5 \"x\" nil 65 65 1 }}",
        "%!d(float64=1.5)|%!s(bool=true)|%!f(int=5)|%!t(string=x)|<nil>|'A'|U+0041|int",
    );
    check(
        "{{ print nil }} {{ fromJson \"null\" }} {{ fromJson \"[1,null]\" }}",
        "<nil> <no value> [1 <nil>]",
    );
    check("{{ title \"hello world's a-b c_d\" }}", "Hello World'S A-B C_d");
    for wrong in ["{{ '' }}", "{{ 'ab' }}", "{{ 'a }}", "{{ 0xG }}"] {
        assert!(Template::new(wrong.to_owned()).is_err(), "{wrong}");
    }
}

#[test]
fn a_range_is_gone_on_with_or_ended() {
    let each = |word: &str| {
        format!(
            "{{{{ range $i := fromJson \"[1,2,3]\" }}}}{{{{ if eq $i 2.0 }}}}{{{{ {word} }}}}{{{{ end }}}}{{{{ $i }}}}{{{{ end }}}}."
        )
    };
    check(&each("continue"), "13.");
    check(&each("break"), "1.");
    let error = Template::new("{{ if 1 }}{{ break }}{{ end }}".to_owned()).expect_err("no range");
    assert!(error.ends_with("{{break}} outside {{range}}"), "{error}");
}

#[test]
fn labels_and_pipes() {
    check("plain", "plain");
    check("{{.app}}-{{ .none }}.", "checkout-.");
    check("{{ .app | ToUpper | printf \"%s!\" }}", "CHECKOUT!");
    check("a {{- .status -}} b", "a503b");
    check("{{/* nothing }} */}}x", "x");
    check("{{ __line__ }}|{{ printf \"%q\" __line__ }}", "the line|\"the line\"");
    check("{{ (printf \"%s-%s\" .app .status) | upper }}", "CHECKOUT-503");
    check("{{ \"}}\" }}", "}}");
}

#[test]
fn conditions_loops_and_variables() {
    check("{{ if eq .status \"503\" }}bad{{ else }}ok{{ end }}", "bad");
    check("{{ if .none }}a{{ else if hasPrefix \"check\" .app }}b{{ else }}c{{ end }}", "b");
    check("{{ if and .app (not .none) }}x{{ end }}", "x");
    check("{{ with .app }}{{ . }}{{ end }}{{ with .none }}y{{ else }}z{{ end }}", "checkoutz");
    check(
        "{{ $j := fromJson .json }}{{ $j.user.name }} {{ range $i, $e := $j.items }}{{ $i }}={{ $e.n }};{{ end }}",
        "ann 0=1;1=2;",
    );
    check("{{ range fromJson \"[]\" }}a{{ else }}empty{{ end }}", "empty");
    check("{{ index (fromJson .json).items 1 }} {{ len .app }}", "map[n:2] 8");
    check("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}", "2");
}

/// What Loki 3.7's own `logcli` makes of the same.
#[test]
fn templates_are_defined_and_called() {
    check(
        "{{define \"x\"}}<{{.}}>{{end}}{{template \"x\" .app}}{{template \"x\"}}",
        "<checkout><<no value>>",
    );
    check("{{template \"x\" .status}}{{define \"x\"}}late {{.}}{{end}}", "late 503");
    check("{{define \"x\"}}{{.app}}|{{.nope}}|{{$.status}}{{end}}{{template \"x\" .}}", "checkout||503");
    check("{{with .}}{{.app}}|{{.nope}}|{{index . \"nope\"}}{{end}}", "checkout||");
    check("{{block \"b\" .app}}[{{.}}]{{end}}{{template \"b\" \"q\"}}", "[checkout][q]");
    check("{{if false}}{{template \"none\"}}{{end}}ok", "ok");
    check("{{define \"x\"}}{{.app}}{{end}}{{template \"x\"}}", "<no value>");
    check("{{define \"x\"}}1{{end}}{{define \"x\"}} {{end}}{{template \"x\"}}", "1");
    check("{{define \"x\"}}{{/* c */}} {{end}}{{define \"x\"}}2{{end}}{{template \"x\"}}", "2");
    check(
        "{{define \"r\"}}{{if gt . 0}}{{.}}{{template \"r\" (sub . 1)}}{{end}}{{end}}{{template \"r\" 5}}",
        "54321",
    );
    check("{{$v := 1}}{{template \"x\" $v}}{{define \"x\"}}{{$v := 7}}{{$}}{{end}}{{$v}}", "11");
    check(
        "{{template \"x\" .app}}{{define \"x\"}}{{with .}}{{template \"y\" $}}{{end}}{{end}}{{define \"y\"}}y{{.}}{{end}}",
        "ycheckout",
    );
    check("{{template \"x\" .app | upper}}{{define \"x\"}}{{.}}{{end}}", "CHECKOUT");
    check("{{- define \"x\" -}} a {{- end -}} b {{- template \"x\" -}} c", "bac");
    check("{{define \"\"}}{{__line__}}{{end}}{{template \"\"}}", "the line");
    for (wrong, why) in [
        ("{{define \"x\"}}1{{end}}{{define \"x\"}}2{{end}}", "multiple definition of template \"x\""),
        ("{{if true}}{{define \"x\"}}1{{end}}{{end}}", "unexpected <define> in command"),
        ("{{define \"x\"}}{{define \"y\"}}{{end}}{{end}}", "unexpected <define> in command"),
        ("{{define x}}1{{end}}", "unexpected \"x\" in define clause"),
        ("{{define \"x\" .}}1{{end}}", "unexpected \".\""),
        ("{{define \"x\"}}1{{else}}2{{end}}", "unexpected {{else}} in define clause"),
        ("{{define \"x\"}}1", "unexpected EOF"),
        ("{{block \"b\"}}x{{end}}", "missing value for block clause"),
        ("{{template .app}}", "unexpected \".app\" in template clause"),
        ("{{$v := 1}}{{define \"x\"}}{{$v}}{{end}}", "undefined variable \"$v\""),
        ("{{range .}}{{block \"x\" .}}{{break}}{{end}}{{end}}", "{{break}} outside {{range}}"),
        ("{{if true}}a{{end foo}}", "unexpected \"foo\" in end"),
    ] {
        let error = Template::new(wrong.to_owned()).expect_err(wrong);
        assert!(error.ends_with(why), "{wrong}: {error}");
    }
    let rendered = |text: &str| Template::new(text.to_owned()).expect("it reads").render(&Line);
    assert_eq!(rendered("{{template \"none\"}}"), Err("template \"none\" not defined".to_owned()));
    let (deepest, deeper) = (199, 200);
    let down = |levels: usize| {
        format!(
            "{{{{define \"r\"}}}}{{{{if lt . {levels}}}}}{{{{template \"r\" (add . 1)}}}}{{{{end}}}}{{{{end}}}}{{{{template \"r\" 1}}}}"
        )
    };
    // A list of nodes for the whole, and two for each call but the last, whose condition does not hold: an empty one.
    assert_eq!(rendered(&down((deepest - 1) / 2)), Ok(String::new()));
    assert_eq!(rendered(&down(deeper / 2)), Err("it goes deeper than 200 levels".to_owned()));
}

/// What Loki 3.7's own `logcli` makes of the same.
#[test]
fn variables_are_where_they_were_set() {
    check("{{with $x := .app}}{{$x}}{{end}}", "checkout");
    check("{{if $x := .none}}a{{else if $y := .app}}{{$x}}{{$y}}{{else}}{{$x}}{{end}}", "checkout");
    check("{{$x := 1}}{{if true}}{{$x := 2}}{{$x}}{{end}}{{$x}}", "21");
    check("{{if(eq 1 1)}}yes{{end}}{{if.app}}yes{{end}}", "yesyes");
    for wrong in
        ["{{$x}}", "{{$x = 1}}", "{{if true}}{{$x := 1}}{{end}}{{$x}}", "{{with $x := 1}}{{end}}{{$x}}"]
    {
        let error = Template::new(wrong.to_owned()).expect_err(wrong);
        assert!(error.ends_with("undefined variable \"$x\""), "{wrong}: {error}");
    }
}

#[test]
fn texts() {
    check(
        "{{ Replace .app \"c\" \"k\" 1 }} {{ .app | replace \"c\" \"k\" }}",
        "kheckout kheckout".replace("kheckout kheckout", "kheckout khekkout").as_str(),
    );
    check(
        "{{ Trim \"xxaxx\" \"x\" }} {{ trimPrefix \"che\" .app }} {{ TrimSuffix .app \"out\" }}",
        "a ckout check",
    );
    check("{{ trunc 3 .app }} {{ trunc -3 .app }} {{ substr 1 3 .app }}", "che out he");
    check("{{ repeat 2 \"ab\" }}|{{ indent 2 \"a\" }}|{{ title \"ab cd\" }}", "abab|  a|Ab Cd");
    check(
        "{{ alignLeft 5 \"ab\" }}|{{ alignRight 5 \"ab\" }}|{{ alignLeft 1 \"ab\" }}|{{ alignRight 1 \"ab\" }}",
        "ab   |   ab|a|b",
    );
    check("{{ contains \"eck\" .app }} {{ count \"[0-9]\" .status }}", "true 3");
    check(
        "{{ regexReplaceAll \"(a*)bc\" \"aabc\" \"${1}a\" }} {{ regexReplaceAllLiteral \"a\" \"ba\" \"$1\" }}",
        "aaa b$1",
    );
    check("{{ urlencode .path }} {{ urldecode \"a%20b+c\" }}", "%2Fa+b%3Fc%3D%C3%A9 a b c");
    check("{{ b64enc \"hé\" }} {{ b64dec \"aMOp\" }}", "aMOp hé");
    check("{{ .none | default \"-\" }} {{ default \"-\" .app }}", "- checkout");
    check(
        "{{ printf \"%5d|%-5s|%05d|%.2f|%x|%v%%\" 42 \"ab\" 42 1.005 255 true }}",
        "   42|ab   |00042|1.00|ff|true%",
    );
}

#[test]
fn numbers_times_and_sizes() {
    check("{{ add 1 2 3 }} {{ sub 5 2 }} {{ mul .status 2 }} {{ div 7 2 }} {{ mod 7 2 }}", "6 3 1006 3 1");
    check("{{ addf 1.5 2 }} {{ divf 1 4 }} {{ max 1 3 2 }} {{ minf 1.5 0.5 }}", "3.5 0.25 3 0.5");
    check("{{ ceil 1.2 }} {{ floor 1.8 }} {{ round 123.5555 3 }}", "2 1 123.556");
    check("{{ int \"7.9\" }} {{ float64 \"2.5\" }}", "7 2.5");
    check("{{ duration .latency }} {{ bytes .size }}", "1.5 2000");
    check(
        "{{ __timestamp__ | date \"2006-01-02T15:04:05.000Z07:00 Mon Jan _2 3PM\" }}",
        "2024-02-29T13:04:05.500Z Thu Feb 29 1PM",
    );
    check(
        "{{ .when | toDate \"2006-01-02T15:04:05Z07:00\" | unixEpoch }} {{ unixEpochMillis __timestamp__ }}",
        "1709211845 1709211845500",
    );
    check(
        "{{ unixToTime \"1709211845\" | date \"Monday, 02-Jan-06 15:04:05 MST\" }}",
        "Thursday, 29-Feb-24 13:04:05 UTC",
    );
    check(
        "{{ toDate \"Jan 2, 2006 at 3:04pm -0700\" \"Feb 3, 2013 at 7:54pm +0200\" | date \"2006-01-02 15:04\" }}",
        "2013-02-03 17:54",
    );
    check("{{ now | unixEpoch }}", "1709211846");
}

#[test]
fn mistakes_are_refused_when_they_are_read_or_when_they_are_made() {
    for wrong in [
        "{{",
        "{{ }}",
        "{{ end }}",
        "{{ if .a }}",
        "{{ nope 1 }}",
        "{{ .a .b }}",
        "{{ \"a }}",
        "{{ (1 }}",
        "{{ else }}",
        "{{ range }}{{ end }}",
        "{{ .a. }}",
    ] {
        let error = Template::new(wrong.to_owned()).expect_err(wrong);
        assert!(error.starts_with("invalid template: "), "{error}");
    }
    for wrong in [
        "{{ div 1 0 }}",
        "{{ ToLower }}",
        "{{ .app.x }}",
        "{{ repeat 99999999 \"abc\" }}",
        "{{ lt 1 \"a\" }}",
        "{{ duration .app }}",
    ] {
        let template = Template::new(wrong.to_owned()).expect(wrong);
        assert!(template.render(&Line).is_err(), "{wrong}");
    }
    let nested = |levels: usize| format!("{}x{}", "{{ if true }}".repeat(levels), "{{ end }}".repeat(levels));
    assert!(Template::new(nested(31)).is_ok());
    assert!(Template::new(nested(32)).is_err());
    let list = format!("[{}1]", "1,".repeat(999));
    let loops = format!(
        "{{{{ $l := fromJson `{list}` }}}}{{{{ range $l }}}}{{{{ range $l }}}}{{{{ end }}}}{{{{ end }}}}"
    );
    let error = Template::new(loops).expect("it reads").render(&Line).expect_err("a million steps");
    assert_eq!(error, "it takes more than 100000 steps");
}
