//! How a receiver knows that a request is ours, and when it was made.
//!
//! `X-Muster-Signature: t=<seconds since 1970>,v1=<hex>`, where `v1` is HMAC-SHA256 with the secret over `<t>.<body>`. The time is
//! signed, too, so that a receiver may refuse what was recorded and played again.

use hmac::{Hmac, KeyInit, Mac};
use muster_core::time::Timestamp;
use sha2::Sha256;

/// The header that carries a signature.
pub(crate) const HEADER: &str = "x-muster-signature";

/// The header's value for `body`, sent at `now`.
pub(crate) fn signature(secret: &str, now: Timestamp, body: &[u8]) -> String {
    let seconds = now.as_millis() / 1_000;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body);
    let digest: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={seconds},v1={digest}")
}

#[cfg(test)]
mod tests {
    use sha2::Digest;

    use super::*;

    /// HMAC by its definition (RFC 2104), for keys of at most one block.
    fn by_definition(key: &[u8], message: &[u8]) -> String {
        let padded = |pad: u8| (0..64).map(|at| key.get(at).unwrap_or(&0) ^ pad).collect::<Vec<u8>>();
        let inner = Sha256::digest([&padded(0x36), message].concat());
        let outer = Sha256::digest([&padded(0x5c), inner.as_slice()].concat());
        outer.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn a_signature_is_what_anybody_computes_who_knows_the_secret() {
        let now = Timestamp::from_millis(1_795_341_600_999);
        let signed = signature("key", now, b"{\"version\":1}");
        let expected = by_definition(b"key", b"1795341600.{\"version\":1}");
        assert_eq!(signed, format!("t=1795341600,v1={expected}"));
    }

    #[test]
    fn the_computation_of_the_test_is_the_one_of_the_standard() {
        // RFC 4231, test case 2.
        let known = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(by_definition(b"Jefe", b"what do ya want for nothing?"), known);
    }

    #[test]
    fn another_time_another_body_and_another_secret_have_another_signature() {
        let at = Timestamp::from_millis;
        let one = signature("key", at(1_000), b"body");
        let others = [
            signature("key", at(2_000), b"body"),
            signature("key", at(1_000), b"bodY"),
            signature("kez", at(1_000), b"body"),
        ];
        assert!(others.iter().all(|other| *other != one), "{one} {others:?}");
    }
}
