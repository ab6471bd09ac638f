//! Checks signatures of tokens with ring, which TLS uses already.

use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind,
    crypto::{CryptoProvider, JwtVerifier, KeyUtils},
    errors::{Error, ErrorKind},
};
use ring::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey};
use signature_trait::Verifier;

use ::signature as signature_trait;

/// Only verifies: nothing is signed here, and no private key is ever read.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
    verifier_factory: |algorithm, key| Ok(Box::new(Signed::new(*algorithm, key)?)),
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes ring the one who checks. A program that uses this library and chose another one keeps it.
pub(super) fn install() {
    let _ = PROVIDER.install_default();
}

struct Signed {
    algorithm: Algorithm,
    key: DecodingKey,
    by: By,
}

enum By {
    Rsa(&'static RsaParameters),
    Curve(&'static dyn signature::VerificationAlgorithm),
}

impl Signed {
    fn new(algorithm: Algorithm, key: &DecodingKey) -> Result<Self, Error> {
        let by = match algorithm {
            Algorithm::RS256 => By::Rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
            Algorithm::RS384 => By::Rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
            Algorithm::RS512 => By::Rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
            Algorithm::PS256 => By::Rsa(&signature::RSA_PSS_2048_8192_SHA256),
            Algorithm::PS384 => By::Rsa(&signature::RSA_PSS_2048_8192_SHA384),
            Algorithm::PS512 => By::Rsa(&signature::RSA_PSS_2048_8192_SHA512),
            Algorithm::ES256 => By::Curve(&signature::ECDSA_P256_SHA256_FIXED),
            Algorithm::ES384 => By::Curve(&signature::ECDSA_P384_SHA384_FIXED),
            Algorithm::EdDSA => By::Curve(&signature::ED25519),
            // Secrets shared with the issuer.
            _ => return Err(ErrorKind::UnsupportedAlgorithm.into()),
        };
        if key.family() != algorithm.family() {
            return Err(ErrorKind::InvalidKeyFormat.into());
        }
        Ok(Self {
            algorithm,
            key: key.clone(),
            by,
        })
    }
}

impl Verifier<Vec<u8>> for Signed {
    fn verify(&self, message: &[u8], signed: &Vec<u8>) -> Result<(), signature_trait::Error> {
        let good = match (&self.by, self.key.kind()) {
            (By::Rsa(parameters), DecodingKeyKind::RsaModulusExponent { n, e }) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signed)
            }
            (By::Curve(algorithm), DecodingKeyKind::SecretOrDer(key)) => {
                UnparsedPublicKey::new(*algorithm, key).verify(message, signed)
            }
            _ => return Err(signature_trait::Error::new()),
        };
        good.map_err(|_| signature_trait::Error::new())
    }
}

impl JwtVerifier for Signed {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
