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

/// Whether a broker ended the TLS session. In TLS 1.3 a client's certificate is refused when the handshake is over for
/// the client, so that librdkafka calls it a failure of the transport.
pub fn is_alert(reason: &str) -> bool {
    reason.contains("SSL alert number")
}
