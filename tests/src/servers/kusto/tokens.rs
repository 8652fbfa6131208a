//! Who gives out tokens for a cluster, and which it takes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::answers::{reply, wrong};
use super::{BEARER, FEDERATED, SECRET, State};
use crate::http_server::{Reply, Request};

impl State {
    /// Answers an application, by its secret, by what its certificate has signed, or by what Kubernetes has written.
    pub(super) fn give_token(&self, request: &Request) -> Reply {
        let form = String::from_utf8_lossy(&request.body);
        let value = |name: &str| form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let is_signed = |assertion: &str| {
            let head = assertion.split('.').next().and_then(|head| URL_SAFE_NO_PAD.decode(head).ok());
            let head: Option<Value> = head.and_then(|head| serde_json::from_slice(&head).ok());
            head.is_some_and(|head| head["alg"] == "PS256" && head["x5t#S256"].is_string())
        };
        let is_assertion = value("client_assertion_type")
            == Some("urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer");
        let is_good = value("client_secret") == Some(SECRET)
            || is_assertion
                && value("client_assertion").is_some_and(|text| text == FEDERATED || is_signed(text));
        if !is_good {
            return reply(
                401,
                &json!({ "error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret." }),
            );
        }
        if value("scope") != Some("https%3A%2F%2Fkusto.kusto.windows.net%2F.default") {
            return reply(
                400,
                &json!({ "error": "invalid_scope", "error_description": "AADSTS70011: not this scope." }),
            );
        }
        reply(200, &json!({ "token_type": "Bearer", "expires_in": 3600, "access_token": self.token() }))
    }

    /// Answers a machine, as the metadata service of Azure does.
    pub(super) fn tell_machine(&self, request: &Request) -> Reply {
        let is_good = request.header("metadata") == Some("true")
            && request.query("api-version") == Some("2018-02-01")
            && request.query("resource") == Some("https%3A%2F%2Fkusto.kusto.windows.net");
        match is_good {
            true => reply(200, &json!({ "expires_in": "3600", "access_token": self.token() })),
            false => reply(400, &json!({ "error": "invalid_request" })),
        }
    }

    /// The token that is good now.
    pub fn token(&self) -> String {
        format!("token-{}", self.token)
    }

    pub(super) fn denied(&self, request: &Request) -> Option<Reply> {
        let token = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let is_another = |token: &str| self.another_token.as_deref() == Some(token);
        let is_good =
            token.is_some_and(|token| token == BEARER || token == self.token() || is_another(token));
        match (is_good, self.forbids) {
            (false, _) => Some(wrong(401, "Unauthorized", "the token has expired", true)),
            (true, true) => Some(wrong(403, "Forbidden", "Principal 'aadapp=c' is not authorized", true)),
            (true, false) => None,
        }
    }
}
