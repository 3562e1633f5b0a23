//! The HTTP client: TLS by rustls with ring, the built-in roots and those of the user's file, HTTP/1.1, the proxy. Built at the first send.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Proxy, redirect, retry};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
};

use crate::limits::SENDS_IN_FLIGHT_MAX;
use crate::relay::{Settings, TlsMin, proxy};

/// How long a connection may be idle in the pool. Shorter than the idle time-outs of the usual load balancers (60 s and more).
const IDLE_MAX: Duration = Duration::from_secs(30);

/// TLS sessions that are remembered for a faster next handshake.
const SESSIONS_MAX: usize = 4;

/// The TLS settings for all connections, and what is wrong with the user's CA file if something is: the built-in roots are used alone then.
pub(super) fn tls(settings: &Settings) -> Result<(ClientConfig, Option<String>), String> {
    let provider = Arc::new(ring::default_provider());
    let versions: &[&SupportedProtocolVersion] = match settings.connecting.tls_min {
        TlsMin::V12 => &[&TLS13, &TLS12],
        TlsMin::V13 => &[&TLS13],
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|error| format!("TLS can't be set up: {error}"))?;
    let mut problem = None;
    let mut config = if settings.skip_tls_check {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
            .with_no_client_auth()
    } else {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(file) = &settings.ca_file {
            problem = add_roots(&mut roots, file).err();
        }
        builder.with_root_certificates(roots).with_no_client_auth()
    };
    config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
    Ok((config, problem))
}

fn add_roots(roots: &mut RootCertStore, file: &Path) -> Result<(), String> {
    let unusable = |why: &dyn std::fmt::Display| {
        format!(
            "the CA file {} can't be used ({why}): only the built-in roots are trusted",
            file.display()
        )
    };
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| unusable(&error))?;
    let certificates: Vec<_> =
        certificates.collect::<Result<_, _>>().map_err(|error| unusable(&error))?;
    match roots.add_parsable_certificates(certificates) {
        (0, _) => Err(unusable(&"no certificate in it")),
        _ => Ok(()),
    }
}

/// A client with an empty pool of connections.
pub(super) fn build(
    tls: ClientConfig,
    proxy: Option<&proxy::Proxy>,
    connect_timeout: Duration,
    timeout: Option<Duration>,
) -> Result<Client, String> {
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .http1_only()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(IDLE_MAX)
        .pool_max_idle_per_host(SENDS_IN_FLIGHT_MAX);
    if let Some(timeout) = timeout {
        builder = builder.timeout(timeout);
    }
    if let Some(proxy) = proxy {
        let mut via =
            Proxy::all(proxy.url.clone()).map_err(|error| error.without_url().to_string())?;
        if let Some((user, password)) = &proxy.user {
            via = via.basic_auth(user, password);
        }
        builder = builder.proxy(via);
    }
    builder.build().map_err(|error| error.without_url().to_string())
}

/// Accepts every certificate, for `DD_SKIP_SSL_VALIDATION`. The signatures of the handshake are still checked.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
