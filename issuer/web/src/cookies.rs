//! The two cookies of the pages: whose session this browser has, and how it shows pages to nobody.

use axum::http::HeaderMap;
use axum::http::header::COOKIE;

/// Cookie of the session's secret.
pub(crate) const SESSION: &str = "yzt_session";
/// Cookie of how this browser shows pages while nobody is signed in.
pub(crate) const VIEW: &str = "yzt_view";

/// The value of a cookie. Of two with one name, somebody else planted one for some of the pages, and neither is believed.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut found = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='));
    match (found.next(), found.next()) {
        (Some(value), None) if !value.is_empty() => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers.insert(
            COOKIE,
            "xyzt_session=1; yzt_session=2; yzt_sessions=3".parse().unwrap(),
        );
        assert_eq!(cookie(&headers, SESSION), Some("2"));
        assert_eq!(cookie(&headers, "session"), None);
    }

    #[test]
    fn of_two_sessions_neither_is_believed() {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, "yzt_session=planted; yzt_session=2".parse().unwrap());
        assert_eq!(cookie(&headers, SESSION), None);
        headers.insert(COOKIE, "yzt_session=".parse().unwrap());
        assert_eq!(cookie(&headers, SESSION), None);
    }
}
