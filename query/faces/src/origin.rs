//! Whether a request comes from a page of another origin, in somebody's browser.
//!
//! Such a page cannot read our answers, for there is no CORS; but it could make a browser send a statement, with
//! whatever access that browser has, and let it burn our cores. Browsers say where a POST comes from, and no script
//! can change or leave out what they say; programs say nothing. Demanding a content type that needs a preflight
//! would do as well, and would shut out `curl -d`.
//!
//! Sources: Fetch Metadata Request Headers (W3C), `Sec-Fetch-Site`, which comes to https and to loopback only; Fetch
//! (WHATWG) 3.2, `Origin`, which every POST has; Referrer Policy (W3C), `same-origin`. Limits: an old browser behind a proxy that rewrites `Host` is
//! taken for another origin.

use axum::http::{HeaderMap, Uri, header};

/// Whether a browser says that it was told to send this by a page that is not ours.
pub fn is_of_another_page(headers: &HeaderMap, uri: &Uri) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site != "same-origin" && site != "none";
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let theirs =
        origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host.as_bytes());
    // `null` is the origin of a sandboxed frame and of a file.
    theirs.is_none() || theirs != own_host(headers, uri)
}

/// Whether a browser says that a person sent this from a page of ours, or typed it. For what is asked by GET, which has no `Origin`:
/// where browsers do not send `Sec-Fetch-Site`, over plain http between machines, our pages tell of themselves by `Referer`, and no
/// page of another origin can.
pub fn is_of_our_page(headers: &HeaderMap, uri: &Uri) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    let told = headers.get(header::REFERER).and_then(|told| told.to_str().ok());
    let host = told.and_then(|told| Some(told.split_once("://")?.1.split('/').next().unwrap_or_default()));
    host.is_some_and(|host| Some(host.as_bytes()) == own_host(headers, uri))
}

/// What we are called, as the browser told.
fn own_host<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a [u8]> {
    let host = headers.get(header::HOST).map(axum::http::HeaderValue::as_bytes);
    host.or_else(|| uri.authority().map(|authority| authority.as_str().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&'static str, &str)], want: bool) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().expect("a header"));
        }
        let uri = Uri::from_static("http://in.http2:7070/api/v1/sql");
        assert_eq!(is_of_another_page(&map, &uri), want, "{headers:?}");
    }

    #[test]
    fn programs_and_our_own_page_may_ask() {
        check(&[("host", "mesh:7070")], false);
        check(&[("host", "mesh:7070"), ("origin", "http://mesh:7070")], false);
        check(&[("origin", "http://in.http2:7070")], false);
        check(&[("sec-fetch-site", "same-origin")], false);
        // What a person typed.
        check(&[("sec-fetch-site", "none")], false);
        // A proxy in front of us took another name; the browser knows better.
        check(
            &[("host", "127.0.0.1:7070"), ("origin", "https://mesh"), ("sec-fetch-site", "same-origin")],
            false,
        );
    }

    #[test]
    fn a_link_is_ours_where_the_browser_says_so() {
        let check = |headers: &[(&'static str, &str)], want: bool| {
            let headers = headers
                .iter()
                .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a header")));
            let headers: HeaderMap = headers.collect();
            let uri = Uri::from_static("/sql?q=SELECT+1");
            assert_eq!(is_of_our_page(&headers, &uri), want, "{headers:?}");
        };
        check(&[("sec-fetch-site", "same-origin")], true);
        check(&[("sec-fetch-site", "none")], true);
        check(
            &[("sec-fetch-site", "cross-site"), ("host", "mesh:7070"), ("referer", "http://mesh:7070/")],
            false,
        );
        check(&[("host", "mesh:7070"), ("referer", "http://mesh:7070/sql?q=SELECT+1")], true);
        check(&[("host", "mesh:7070"), ("referer", "http://mesh:7070")], true);
        check(&[("host", "mesh:7070"), ("referer", "http://mesh:7070.evil.example/")], false);
        check(&[("host", "mesh:7070"), ("referer", "http://evil.example/http://mesh:7070/")], false);
        check(&[("host", "mesh:7070"), ("referer", "http://mesh:7070@evil.example/")], false);
        // A link in a message, or on a page that hides itself.
        check(&[("host", "mesh:7070")], false);
        check(&[("host", "mesh:7070"), ("referer", "")], false);
    }

    #[test]
    fn pages_of_other_origins_may_not() {
        check(&[("sec-fetch-site", "cross-site")], true);
        check(&[("sec-fetch-site", "same-site")], true);
        check(&[("host", "mesh:7070"), ("origin", "http://evil.example")], true);
        check(&[("host", "mesh:7070"), ("origin", "http://mesh:8080")], true);
        check(&[("host", "mesh:7070"), ("origin", "null")], true);
        check(
            &[("host", "mesh:7070"), ("origin", "http://mesh:7070"), ("sec-fetch-site", "cross-site")],
            true,
        );
    }
}
