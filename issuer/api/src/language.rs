//! In which language a refusal is told: by `Accept-Language` (RFC 9110, section 12.5.4), Chinese where it asks for neither
//! language. Codes, keys and statuses have no language.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use program_contract::Language;

use crate::problem::Problem;

/// The language that these headers prefer of ours.
pub(crate) fn asked(headers: &HeaderMap) -> Language {
    let ranges = headers
        .get_all(header::ACCEPT_LANGUAGE)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let mut best = (0.0, Language::Chinese);
    for range in ranges {
        let (tag, weight) = range.split_once(';').unwrap_or((range, "q=1"));
        let language = match tag.trim().split('-').next() {
            Some("*") => Language::Chinese,
            Some(tag) if tag.eq_ignore_ascii_case("zh") => Language::Chinese,
            Some(tag) if tag.eq_ignore_ascii_case("en") => Language::English,
            _ => continue,
        };
        let weight = weight.trim().strip_prefix("q=").and_then(|q| q.parse().ok());
        // Of two that are wanted alike the first one; one of weight 0 is not wanted.
        if weight.is_some_and(|weight: f32| weight > best.0) {
            best = (weight.unwrap_or_default(), language);
        }
    }
    best.1
}

/// Tells a refusal in the language that the request asks for.
pub(crate) async fn of_request(request: Request, next: Next) -> Response {
    let language = asked(request.headers());
    let mut response = next.run(request).await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Language"));
        let tag = HeaderValue::from_static(language.one("zh-CN", "en"));
        headers.insert(header::CONTENT_LANGUAGE, tag);
        *response.body_mut() = problem.body(language).into();
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_that_is_wanted_most_is_told_and_chinese_where_neither_is() {
        for (accepted, language) in [
            (&[][..], Language::Chinese),
            (&["en"], Language::English),
            (&["en-GB, en;q=0.9"], Language::English),
            (&["EN-us"], Language::English),
            (&["zh-CN,zh;q=0.9,en;q=0.8"], Language::Chinese),
            (&["zh;q=0.5, en;q=0.8"], Language::English),
            (&["en, zh"], Language::English),
            (&["zh, en"], Language::Chinese),
            (&["zh;q=0, en;q=0.1"], Language::English),
            (&["fr-FR, de"], Language::Chinese),
            (&["fr, en;q=0.2, *;q=0.1"], Language::English),
            (&["*"], Language::Chinese),
            (&["zh;q=0.1", "en;q=0.2"], Language::English),
            (&["en;q=much"], Language::Chinese),
            (&[";;,=,"], Language::Chinese),
        ] {
            let mut headers = HeaderMap::new();
            for value in accepted {
                headers.append(header::ACCEPT_LANGUAGE, HeaderValue::from_static(value));
            }
            assert_eq!(asked(&headers), language, "{accepted:?}");
        }
    }
}
