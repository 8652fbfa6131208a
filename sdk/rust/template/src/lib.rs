//! Adds the domain of an e-mail address, and drops what comes from some of them.

use flitch_sdk::{Fields, Record, RecordFilter, Result, err};
use serde::Deserialize;

/// What stands under `settings` in the configuration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The field that holds the address.
    field: String,
    /// Domains whose records are dropped.
    #[serde(default)]
    drop: Vec<String>,
}

pub struct EmailDomain(Settings);

impl RecordFilter for EmailDomain {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self> {
        Ok(Self(settings))
    }

    fn fields(&self) -> Fields {
        Fields::only([&self.0.field])
    }

    fn apply(&mut self, record: &mut Record<'_>) -> Result<()> {
        let address = record.need_text(&self.0.field)?;
        let (_, domain) = address.rsplit_once('@').ok_or_else(|| err!("{address:?} is no address"))?;
        let domain = domain.to_lowercase();
        if self.0.drop.contains(&domain) {
            record.discard();
            return Ok(());
        }
        record.set("user_email_domain", &domain);
        Ok(())
    }
}

flitch_sdk::export!(EmailDomain);

#[cfg(test)]
mod tests {
    use super::*;
    use flitch_sdk::testing::Tester;
    use serde_json::json;

    #[test]
    fn the_domain_is_added_and_some_are_dropped() {
        let settings = json!({"field": "email", "drop": ["spam.example"]});
        let mut filter = Tester::new::<EmailDomain, _>(settings).unwrap();
        let outcome = filter.run([
            json!({"email": "someone@Hotmail.com", "n": 1}),
            json!({"email": "x@spam.example"}),
            json!({"email": "nobody"}),
        ]);
        assert_eq!(
            outcome.records,
            [json!({"email": "someone@Hotmail.com", "n": 1, "user_email_domain": "hotmail.com"})]
        );
        assert_eq!(outcome.rejected, [(2, "\"nobody\" is no address".to_owned())]);
    }
}
