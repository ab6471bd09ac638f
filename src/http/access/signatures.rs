//! Verifies the signatures of tokens with ring, which TLS uses already.

use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind,
    crypto::{CryptoProvider, JwtVerifier, KeyUtils},
    errors::{Error, ErrorKind},
};
use ring::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey};
use signature_trait::Verifier;

use ::signature as signature_trait;

/// Only verifies: this server signs nothing and reads no private key of the issuer.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
    verifier_factory: |algorithm, key| Ok(Box::new(RingVerifier::new(*algorithm, key)?)),
    key_utils: KeyUtils::new_unimplemented(),
};

/// Installs ring as the verifier, unless a program that uses this library installed another.
pub(super) fn install() {
    let _ = PROVIDER.install_default();
}

struct RingVerifier {
    algorithm: Algorithm,
    key: DecodingKey,
    method: Method,
}

enum Method {
    Rsa(&'static RsaParameters),
    Curve(&'static dyn signature::VerificationAlgorithm),
}

impl RingVerifier {
    fn new(algorithm: Algorithm, key: &DecodingKey) -> Result<Self, Error> {
        let method = match algorithm {
            Algorithm::RS256 => Method::Rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
            Algorithm::RS384 => Method::Rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
            Algorithm::RS512 => Method::Rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
            Algorithm::PS256 => Method::Rsa(&signature::RSA_PSS_2048_8192_SHA256),
            Algorithm::PS384 => Method::Rsa(&signature::RSA_PSS_2048_8192_SHA384),
            Algorithm::PS512 => Method::Rsa(&signature::RSA_PSS_2048_8192_SHA512),
            Algorithm::ES256 => Method::Curve(&signature::ECDSA_P256_SHA256_FIXED),
            Algorithm::ES384 => Method::Curve(&signature::ECDSA_P384_SHA384_FIXED),
            Algorithm::EdDSA => Method::Curve(&signature::ED25519),
            // Algorithms with shared secrets.
            _ => return Err(ErrorKind::UnsupportedAlgorithm.into()),
        };
        if key.family() != algorithm.family() {
            return Err(ErrorKind::InvalidKeyFormat.into());
        }
        Ok(Self {
            algorithm,
            key: key.clone(),
            method,
        })
    }
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature_trait::Error> {
        let verified = match (&self.method, self.key.kind()) {
            (Method::Rsa(parameters), DecodingKeyKind::RsaModulusExponent { n, e }) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)
            }
            (Method::Curve(algorithm), DecodingKeyKind::SecretOrDer(key)) => {
                UnparsedPublicKey::new(*algorithm, key).verify(message, signature)
            }
            _ => return Err(signature_trait::Error::new()),
        };
        verified.map_err(|_| signature_trait::Error::new())
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
