//! From where a request comes, for counting wrong attempts.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::request::Parts;

/// An address, as text. From this very machine comes the proxy that ends TLS: its word on whom it serves is taken, the last one of
/// `X-Forwarded-For`, which is the proxy's own.
pub(crate) struct Whence(pub(crate) String);

impl<S: Sync> FromRequestParts<S> for Whence {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self(whence(peer.map(|ConnectInfo(peer)| *peer), &parts.headers)))
    }
}

fn whence(peer: Option<SocketAddr>, headers: &HeaderMap) -> String {
    let Some(peer) = peer.filter(|peer| !peer.ip().is_loopback()) else {
        let forwarded = headers.get_all("x-forwarded-for").iter().next_back();
        let last = forwarded
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.rsplit(',').next())
            .map(str::trim);
        return last.unwrap_or("this machine").to_owned();
    };
    peer.ip().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_proxy_on_this_machine_says_whom_it_serves() {
        let mut headers = HeaderMap::new();
        let peer = |text: &str| Some(text.parse().unwrap());
        assert_eq!(whence(peer("127.0.0.1:4000"), &headers), "this machine");
        headers.insert("x-forwarded-for", "198.51.100.7, 203.0.113.9".parse().unwrap());
        assert_eq!(whence(peer("127.0.0.1:4000"), &headers), "203.0.113.9");
        assert_eq!(whence(peer("[::1]:4000"), &headers), "203.0.113.9");
        assert_eq!(whence(peer("192.0.2.1:4000"), &headers), "192.0.2.1");
    }
}
