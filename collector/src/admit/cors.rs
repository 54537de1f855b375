//! Which pages of other origins may send from a browser, and what their browsers are told.
//!
//! A browser asks before it posts what a form could not (a preflight), and shows a page an answer only when the answer
//! allows the page's origin. Origins that are named one by one are trusted: whatever headers a page wants to send are
//! allowed, and so are its credentials, which a browser's `sendBeacon` always sends along. `*` is every page there is,
//! so it allows no credentials. Without a list nothing here adds a header.
//!
//! Source: the Fetch standard, "HTTP extensions" (3.2 CORS protocol); RFC 6454, 7 (Origin).

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Empty};

use super::ReplyBody;

/// Every origin.
const ANY: &str = "*";

/// How long a browser need not ask again, in seconds: the most that Chrome keeps to.
const MAX_AGE_SECONDS: HeaderValue = HeaderValue::from_static("7200");

/// What an answer depends on; kept from caches in between.
const VARY: HeaderValue =
    HeaderValue::from_static("origin, access-control-request-method, access-control-request-headers");

/// The origins that may send.
#[derive(Debug, Default)]
pub struct Origins {
    any: bool,
    listed: Vec<String>,
}

/// What an allowed page's browser is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// The page's origin, or `*`.
    origin: HeaderValue,
    credentials: bool,
}

impl Origins {
    /// `listed` are origins, each of which [`is_origin`], as a browser sends them.
    pub fn new(listed: &[String]) -> Origins {
        let any = listed.iter().any(|origin| origin == ANY);
        Origins { any, listed: listed.iter().filter(|origin| *origin != ANY).cloned().collect() }
    }

    /// What to tell the browser that sends `headers`; `None` when it is none or its page is not allowed.
    pub fn allow(&self, headers: &HeaderMap) -> Option<Allowed> {
        let origin = headers.get(header::ORIGIN)?;
        if self.listed.iter().any(|listed| listed.as_bytes() == origin.as_bytes()) {
            return Some(Allowed { origin: origin.clone(), credentials: true });
        }
        self.any.then(|| Allowed { origin: HeaderValue::from_static(ANY), credentials: false })
    }
}

impl Allowed {
    /// Adds to an answer what lets the page read it, and how long it is to wait.
    pub fn mark(&self, headers: &mut HeaderMap) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, self.origin.clone());
        if self.credentials {
            let yes = HeaderValue::from_static("true");
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
        }
        let exposed = HeaderValue::from_static("retry-after");
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        headers.append(header::VARY, VARY);
    }

    /// The answer to a preflight; `None` when `request` is none. All that is asked for is allowed, of methods POST.
    pub fn preflight<B>(&self, request: &Request<B>) -> Option<Response<ReplyBody>> {
        let asked = request.headers();
        if request.method() != Method::OPTIONS || !asked.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        let mut response = Response::new(Empty::new().boxed());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        self.mark(headers);
        headers.remove(header::ACCESS_CONTROL_EXPOSE_HEADERS);
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
        if let Some(names) = asked.get(HeaderName::from_static("access-control-request-headers")) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
        }
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS);
        Some(response)
    }
}

/// Whether `text` is `*` or an origin as browsers write it: scheme, host, and a port that is not the scheme's own,
/// in lower case.
pub fn is_origin(text: &str) -> bool {
    if text == ANY {
        return true;
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return false;
    };
    let own_port = match scheme {
        "http" => ":80",
        "https" => ":443",
        // Pages of extensions and apps have schemes of their own, without ports.
        _ => "/",
    };
    let is_word = |text: &str, more: &[u8]| {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || more.contains(&byte);
        !text.is_empty() && text.bytes().all(allowed)
    };
    is_word(scheme, b"+-.") && is_word(rest, b"-._:[]") && !rest.ends_with(own_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(listed: &[&str], origin: &str) -> Option<(String, bool)> {
        let listed: Vec<String> = listed.iter().map(|origin| (*origin).to_owned()).collect();
        let headers = HeaderMap::from_iter([(header::ORIGIN, HeaderValue::from_str(origin).expect("text"))]);
        let allowed = Origins::new(&listed).allow(&headers)?;
        Some((allowed.origin.to_str().expect("text").to_owned(), allowed.credentials))
    }

    #[test]
    fn a_listed_origin_is_named_and_any_other_is_any() {
        const SHOP: &str = "https://shop.example";
        let yes = |origin: &str, credentials| Some((origin.to_owned(), credentials));
        let cases = [
            (&[][..], SHOP, None),
            (&[SHOP], SHOP, yes(SHOP, true)),
            (&[SHOP], "https://shop.example:8443", None),
            (&[SHOP], "http://shop.example", None),
            (&[SHOP], "https://shop.example.evil.test", None),
            (&[SHOP], "null", None),
            (&["*"], SHOP, yes("*", false)),
            (&["*", SHOP], SHOP, yes(SHOP, true)),
        ];
        for (listed, origin, want) in cases {
            assert_eq!(told(listed, origin), want, "{listed:?} {origin}");
        }
        assert_eq!(Origins::new(&["*".to_owned()]).allow(&HeaderMap::new()), None, "no browser");
    }

    #[test]
    fn an_origin_is_written_as_browsers_do() {
        for good in ["*", "https://shop.example", "http://localhost:8080", "http://[::1]:3000", "app://shop"]
        {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "",
            "shop.example",
            "https://",
            "https://shop.example/",
            "https://Shop.example",
            "https://shop.example:443",
            "http://shop.example:80",
            "https://*.example",
            "null",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }
}
