//! What brokers refuse, and what an operator can do about it.

use rdkafka::types::RDKafkaErrorCode as Code;

use crate::settings::{Connection, SaslSettings};

/// Whether rights are missing, or credentials are refused.
pub fn is_denial(code: Code) -> bool {
    matches!(
        code,
        Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism
            | Code::IllegalSASLState
            | Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
            | Code::SSL
    )
}

/// What an operator can do about a refusal.
pub(crate) fn advice(code: Code, reason: &str, connection: &Connection<'_>) -> String {
    match (code, connection.sasl) {
        (Code::SSL, _) if is_alert(reason) => {
            "check `tls`: the brokers want a certificate (`cert` and `key`) that they trust".to_owned()
        }
        (Code::SSL, _) => {
            "check `tls`: `ca` must hold the authority that signed the brokers' certificates, and \
                           `brokers` the names that the certificates are for"
                .to_owned()
        }
        _ if connection.preset.check.is_some() => connection.preset.check.unwrap_or_default().to_owned(),
        (_, Some(SaslSettings { token_file: Some(file), .. })) => {
            format!("check `sasl`: the token in {} must be one that the brokers accept", file.display())
        }
        _ => "check `sasl`: mechanism, user name and password".to_owned(),
    }
}

/// Whether a failure of the transport is one of TLS. In TLS 1.3 a client's certificate is refused when the handshake is over
/// for the client, so that librdkafka calls it such a failure; and so it does now and then with a broker that is not trusted.
pub fn is_of_tls(reason: &str) -> bool {
    is_alert(reason) || reason.contains("certificate verify failed")
}

/// Whether a broker ended the TLS session.
fn is_alert(reason: &str) -> bool {
    reason.contains("SSL alert number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tls_refuses_is_told_from_a_connection_that_breaks() {
        let of_tls = [
            "sasl_ssl://localhost:1/bootstrap: error:0A000086:SSL routines::certificate verify failed (after 2ms in state SSL_HANDSHAKE)",
            "ssl://localhost:1/1: error:0A000412:SSL routines::sslv3 alert bad certificate: SSL alert number 42",
        ];
        assert!(of_tls.into_iter().all(is_of_tls));
        let broken = [
            "ssl://localhost:1/1: Disconnected while requesting ApiVersion",
            "ssl://localhost:1/1: SSL transport error: error:0A000126:SSL routines::unexpected eof while reading",
        ];
        assert!(!broken.into_iter().any(is_of_tls));
    }
}
