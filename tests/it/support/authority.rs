//! A certificate authority for tests, with one server certificate; its own certificate lies in a temporary PEM file.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, SupportedProtocolVersion};
use tempfile::NamedTempFile;

/// The authority and the server certificate that it has issued.
pub struct Authority {
    file: NamedTempFile,
    config: Arc<ServerConfig>,
}

impl Authority {
    /// A new authority that has issued a certificate for these host names and addresses.
    pub fn new(names: &[&str]) -> Self {
        Self::speaking(names, rustls::DEFAULT_VERSIONS)
    }

    /// The same for a server that speaks these versions of TLS alone.
    pub fn speaking(names: &[&str], versions: &[&'static SupportedProtocolVersion]) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let own = params.self_signed(&key).expect("a certificate");
        let issuer = Issuer::new(params, key);

        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let server_key = KeyPair::generate().expect("a key");
        let server = CertificateParams::new(names)
            .expect("parameters")
            .signed_by(&server_key, &issuer)
            .expect("a certificate");

        let mut file = NamedTempFile::new().expect("a temporary file");
        file.write_all(own.pem().as_bytes()).expect("room on the disk");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .expect("versions that there are")
            .with_no_client_auth()
            .with_single_cert(vec![server.der().clone()], key)
            .expect("a key that fits");
        Self { file, config: Arc::new(config) }
    }

    /// The PEM file that a client trusts.
    pub fn file(&self) -> &Path {
        self.file.path()
    }

    /// How a server shows the certificate.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}
