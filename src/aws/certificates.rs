//! A bundle of certificates, looked at before the SDK takes it.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Makes sure that a bundle holds certificates and nothing that isn't one: the SDK's reader would end the program there.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(pem: &[u8]) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    for (number, found) in CertificateDer::pem_slice_iter(pem).enumerate() {
        let certificate = found.map_err(|error| format!("certificate {}: {error}", number + 1))?;
        roots.add(certificate).map_err(|error| format!("certificate {}: {error}", number + 1))?;
    }
    if roots.is_empty() { Err("it holds no certificate".to_owned()) } else { Ok(()) }
}
