//! The channel: TLS 1.3 (RFC 8446) over any byte stream, both ends known by raw public keys (RFC 7250), P-256.
//!
//! It ends inside the vault's process and inside its client's: whatever carries the bytes sees cipher text. A key proves that
//! its holder is at the other end of this connection and of no other; what the holder may do is the vault's access list's to say.
//! Left out: certificates, resumption, tickets and early data; a name of the server, which its key takes the place of.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ConnectionCommon, DigitallySignedStruct,
    DistinguishedName, ServerConfig, SignatureScheme,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use crate::error::Error;
use crate::key_file::ChannelKey;
use crate::message::Series;
use crate::wire::PointBytes;

/// Before the point in the public key of a P-256 key (`SubjectPublicKeyInfo`, RFC 5480).
const SPKI_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86,
    0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// The vault has no name in the channel; the library wants one, and does not send it.
const NAME: &str = "keyvault";

/// Opens the channel as a client that is known by `own`. The key of who answers comes with it.
///
/// # Errors
/// [`Error::TransportKeyDiffers`] when `pinned` is given and is not the key of who answers: nothing was said to them then.
/// [`Error::NotAVault`], [`Error::OtherUser`], [`Error::HungUp`]; else [`Error::ConnectionLost`].
pub async fn dial<S>(
    stream: S,
    own: &ChannelKey,
    pinned: Option<PointBytes>,
) -> Result<(client::TlsStream<S>, PointBytes), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let provider = provider();
    let verifier = Arc::new(Known::by(&provider, pinned));
    let resolver = AlwaysResolvesClientRawPublicKeys::new(certified(own, &provider)?);
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(Arc::new(resolver));
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    let name = ServerName::try_from(NAME).map_err(|_| Error::Malformed("a name of no server"))?;
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let channel = connecting.await.map_err(of_dialing)?;
    let point =
        point_in(channel.get_ref().1.peer_certificates()).ok_or(Error::Malformed("a vault without a key"))?;
    Ok((channel, point))
}

/// The vault's end of channels.
#[derive(Clone)]
pub struct Acceptor(TlsAcceptor);

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Acceptor(..)")
    }
}

impl Acceptor {
    /// Accepts as the vault with this transport key.
    ///
    /// # Errors
    /// [`Error::Malformed`] when the library takes no such key, which does not happen.
    pub fn new(transport: &ChannelKey) -> Result<Self, Error> {
        let provider = provider();
        let verifier = Arc::new(Known::by(&provider, None));
        let resolver = AlwaysResolvesServerRawPublicKeys::new(certified(transport, &provider)?);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(unusable)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(resolver));
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Takes one connection. The key that its client proved comes with it; whose key it is, nobody has said yet.
    ///
    /// # Errors
    /// [`Error::ConnectionLost`] for whatever is no such client.
    pub async fn accept<S>(&self, stream: S) -> Result<(server::TlsStream<S>, PointBytes), Error>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let channel = self.0.accept(stream).await?;
        let point = point_in(channel.get_ref().1.peer_certificates())
            .ok_or(Error::Malformed("a client without a key"))?;
        Ok((channel, point))
    }
}

/// Label of [`series`] among what a channel's secrets are exported for.
const SERIES: &[u8] = b"EXPORTER-YZT-REQUESTS-1";

/// What this channel's requests are numbered under (TLS exporter, RFC 8446, 7.5): both ends know it, and no other channel has it.
///
/// # Errors
/// [`Error::Malformed`] before the handshake is over.
pub fn series<D>(channel: &ConnectionCommon<D>) -> Result<Series, Error> {
    channel
        .export_keying_material(Series::default(), SERIES, None)
        .map_err(|_| Error::Malformed("a channel that is not open"))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn certified(key: &ChannelKey, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, Error> {
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.der().to_vec()));
    let private = provider.key_provider.load_private_key(der).map_err(unusable)?;
    let public = CertificateDer::from([&SPKI_HEAD[..], &key.public()].concat());
    Ok(Arc::new(CertifiedKey::new(vec![public], private)))
}

fn point_in(shown: Option<&[CertificateDer<'_>]>) -> Option<PointBytes> {
    let [only] = shown? else { return None };
    only.strip_prefix(&SPKI_HEAD)?.try_into().ok()
}

fn unusable(_: rustls::Error) -> Error {
    Error::Malformed("a key that TLS cannot use")
}

/// What a server tells whom it does not serve, in the place of a handshake: the alert `access_denied` (RFC 8446, 6).
pub const TURNED_AWAY: [u8; 7] = [21, 3, 3, 0, 2, 2, 49];

fn of_dialing(error: std::io::Error) -> Error {
    use rustls::Error as Tls;
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Tls>());
    match tls {
        Some(Tls::InvalidCertificate(CertificateError::ApplicationVerificationFailure)) => {
            Error::TransportKeyDiffers
        }
        Some(Tls::AlertReceived(AlertDescription::AccessDenied)) => Error::OtherUser(None),
        Some(_) => Error::NotAVault,
        None => before_asking(Error::ConnectionLost(error)),
    }
}

/// A connection that was lost when nothing was asked yet: there is no outcome that would be unknown.
pub(crate) fn before_asking(error: Error) -> Error {
    use std::io::ErrorKind as Kind;
    match error {
        Error::ConnectionLost(lost)
            if matches!(
                lost.kind(),
                Kind::UnexpectedEof | Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe
            ) =>
        {
            Error::HungUp
        }
        error => error,
    }
}

/// Takes any P-256 key that signs the handshake, or one alone.
#[derive(Debug)]
struct Known {
    only: Option<PointBytes>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Known {
    fn by(provider: &CryptoProvider, only: Option<PointBytes>) -> Self {
        Self {
            only,
            algorithms: provider.signature_verification_algorithms,
        }
    }

    fn look(&self, shown: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        let point = point_in(Some(std::slice::from_ref(shown)))
            .ok_or(rustls::Error::InvalidCertificate(CertificateError::BadEncoding))?;
        match &self.only {
            Some(only) if *only != point => Err(rustls::Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            )),
            _ => Ok(()),
        }
    }

    fn signed(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let key = SubjectPublicKeyInfoDer::from(shown.as_ref());
        verify_tls13_signature_with_raw_key(message, &key, signature, &self.algorithms)
    }
}

const NO_TLS12: rustls::Error = rustls::Error::PeerIncompatible(rustls::PeerIncompatible::Tls12NotOffered);

impl ServerCertVerifier for Known {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.look(shown).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _shown: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(NO_TLS12)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signed(message, shown, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Known {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        shown: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.look(shown).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _shown: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(NO_TLS12)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signed(message, shown, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn pair(
        client: &ChannelKey,
        vault: &ChannelKey,
        pinned: Option<PointBytes>,
    ) -> (
        Result<(client::TlsStream<tokio::io::DuplexStream>, PointBytes), Error>,
        Result<(server::TlsStream<tokio::io::DuplexStream>, PointBytes), Error>,
    ) {
        let (near, far) = tokio::io::duplex(1 << 14);
        let acceptor = Acceptor::new(vault).unwrap();
        tokio::join!(dial(near, client, pinned), acceptor.accept(far))
    }

    #[tokio::test]
    async fn both_ends_know_each_other_by_the_keys_that_they_proved() {
        let (client, vault, other) = (ChannelKey::fresh(), ChannelKey::fresh(), ChannelKey::fresh());
        let (near, far) = pair(&client, &vault, Some(vault.public())).await;
        let ((mut near, theirs), (mut far, ours)) = (near.unwrap(), far.unwrap());
        assert_eq!((theirs, ours), (vault.public(), client.public()));
        near.write_all(b"asked").await.unwrap();
        near.flush().await.unwrap();
        let mut asked = [0; 5];
        far.read_exact(&mut asked).await.unwrap();
        assert_eq!(&asked, b"asked");
        let (near, far) = pair(&client, &vault, Some(other.public())).await;
        assert_eq!(near.unwrap_err().code(), "TRANSPORT_KEY_DIFFERS");
        assert!(far.is_err());
    }

    /// A key that shows the public half of another.
    fn posing(as_other: &ChannelKey, own: &ChannelKey) -> Arc<CertifiedKey> {
        let provider = provider();
        let shown = certified(as_other, &provider).unwrap().cert.clone();
        let private = certified(own, &provider).unwrap().key.clone();
        Arc::new(CertifiedKey::new(shown, private))
    }

    /// A client that would resume a session, and takes any vault.
    fn client_of(key: Arc<CertifiedKey>) -> TlsConnector {
        let provider = provider();
        let verifier = Arc::new(Known::by(&provider, None));
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(key)));
        TlsConnector::from(Arc::new(config))
    }

    #[tokio::test]
    async fn who_shows_the_key_of_another_is_turned_away_by_either_side_and_no_session_is_resumed() {
        let (client, vault, thief) = (ChannelKey::fresh(), ChannelKey::fresh(), ChannelKey::fresh());
        let name = || ServerName::try_from(NAME).unwrap();
        let acceptor = Acceptor::new(&vault).unwrap();
        let (near, far) = tokio::io::duplex(1 << 14);
        let connector = client_of(posing(&client, &thief));
        let (_, taken) = tokio::join!(connector.connect(name(), near), acceptor.accept(far));
        assert!(taken.is_err());
        // The other side poses, with the vault's public half before a key of its own.
        let provider = provider();
        let resolver = AlwaysResolvesServerRawPublicKeys::new(posing(&vault, &thief));
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_client_cert_verifier(Arc::new(Known::by(&provider, None)))
            .with_cert_resolver(Arc::new(resolver));
        let poser = TlsAcceptor::from(Arc::new(config));
        for pinned in [None, Some(vault.public())] {
            let (near, far) = tokio::io::duplex(1 << 14);
            let (dialed, _) = tokio::join!(dial(near, &client, pinned), poser.accept(far));
            assert!(dialed.is_err());
        }
        // An honest key, again and again: it proves itself each time.
        let connector = client_of(certified(&client, &provider).unwrap());
        for _ in 0..3 {
            let (near, far) = tokio::io::duplex(1 << 14);
            let (near, far) = tokio::join!(connector.connect(name(), near), acceptor.accept(far));
            let (mut near, (mut far, shown)) = (near.unwrap(), far.unwrap());
            assert_eq!(shown, client.public());
            let kind = near.get_ref().1.handshake_kind();
            assert_eq!(kind, Some(rustls::HandshakeKind::Full));
            // Whatever the vault sends behind a handshake has come with its answer.
            far.write_all(b"answer").await.unwrap();
            far.flush().await.unwrap();
            near.read_exact(&mut [0; 6]).await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_is_no_client_of_the_channel_is_turned_away() {
        let acceptor = Acceptor::new(&ChannelKey::fresh()).unwrap();
        for garbage in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            &[0; 64],
            &[0x16, 3, 1, 0xFF, 0xFF],
            b"",
        ] {
            let (mut near, far) = tokio::io::duplex(1 << 14);
            near.write_all(garbage).await.unwrap();
            near.shutdown().await.unwrap();
            assert!(acceptor.accept(far).await.is_err());
        }
    }
}
