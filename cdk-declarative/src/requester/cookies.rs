//! Cookies, kept per requester.

use std::sync::{Mutex, MutexGuard, PoisonError};

use cdk_http::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use cdk_http::{Request, Url};
use cookie_store::CookieStore;

/// What the API has set, for as long as the requester lives.
#[derive(Debug, Default)]
pub(super) struct Cookies(Mutex<CookieStore>);

impl Cookies {
    fn lock(&self) -> MutexGuard<'_, CookieStore> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts the cookies for its URL into a request that brings none of its own.
    pub(super) fn add_to(&self, request: &mut Request) {
        if request.headers.contains_key(COOKIE) {
            return;
        }
        let pairs = {
            let store = self.lock();
            let mut cookies = store.matches(&request.url);
            // Longer paths first, by RFC 6265; the names make the order the same in every run.
            cookies.sort_by_key(|cookie| {
                let path: &str = cookie.path.as_ref();
                (std::cmp::Reverse(path.len()), cookie.name().to_owned())
            });
            let pairs = cookies
                .iter()
                .map(|cookie| format!("{}={}", cookie.name(), cookie.value()));
            pairs.collect::<Vec<_>>()
        };
        if pairs.is_empty() {
            return;
        }
        if let Ok(mut value) = HeaderValue::from_str(&pairs.join("; ")) {
            value.set_sensitive(true);
            request.headers.insert(COOKIE, value);
        }
    }

    /// Keeps what a response from `url` sets; what isn't a cookie is passed over.
    pub(super) fn learn(&self, headers: &HeaderMap, url: &Url) {
        for set in headers.get_all(SET_COOKIE) {
            let Ok(set) = set.to_str() else { continue };
            if let Err(error) = self.lock().parse(set, url) {
                tracing::debug!("A cookie is not kept: {error}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a constant URL")
    }

    fn sent(cookies: &Cookies, to: &str) -> Option<String> {
        let mut request = Request::get(url(to));
        cookies.add_to(&mut request);
        let value = request.headers.get(COOKIE)?;
        Some(value.to_str().expect("plain text").to_owned())
    }

    fn set(cookies: &Cookies, from: &str, line: &'static str) {
        let mut headers = HeaderMap::new();
        headers.append(SET_COOKIE, HeaderValue::from_static(line));
        cookies.learn(&headers, &url(from));
    }

    #[test]
    fn cookies_go_back_to_their_own_host_and_path() {
        let cookies = Cookies::default();
        set(&cookies, "https://a.example/v1/x", "s=1; Path=/");
        set(&cookies, "https://a.example/v1/x", "deep=2; Path=/v1");
        set(&cookies, "https://a.example/v1/x", "other=3; Path=/v2");
        assert_eq!(
            sent(&cookies, "https://a.example/v1/y").as_deref(),
            Some("deep=2; s=1")
        );
        assert_eq!(sent(&cookies, "https://b.example/v1/y"), None);
    }

    #[test]
    fn a_request_with_its_own_cookies_is_left_alone() {
        let cookies = Cookies::default();
        set(&cookies, "https://a.example/", "s=1");
        let mut request = Request::get(url("https://a.example/"));
        request
            .headers
            .insert(COOKIE, HeaderValue::from_static("mine=1"));
        cookies.add_to(&mut request);
        assert_eq!(
            request.headers.get(COOKIE),
            Some(&HeaderValue::from_static("mine=1"))
        );
    }

    #[test]
    fn a_new_value_takes_the_place_of_the_old_and_an_expired_one_goes() {
        let cookies = Cookies::default();
        set(&cookies, "https://a.example/", "s=1");
        set(&cookies, "https://a.example/", "s=2");
        assert_eq!(sent(&cookies, "https://a.example/").as_deref(), Some("s=2"));
        set(&cookies, "https://a.example/", "s=; Max-Age=0");
        assert_eq!(sent(&cookies, "https://a.example/"), None);
    }
}
