//! Says from what kind of place a visitor came (`source_category`), and the domain of their address
//! (`user_email_domain`).

use flitch_sdk::{Fields, Record, RecordFilter, Result};
use serde::Deserialize;

const SOURCE: &str = "utm_source";
const ADDRESS: &str = "user_custom_id";

/// What stands under `settings` in the configuration.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Sources that are social media, beside those that everybody knows.
    social_media: Vec<String>,
}

/// The filter.
pub struct Campaign(Settings);

impl Campaign {
    /// The kind of place that a source is.
    fn category(&self, source: Option<&str>) -> &'static str {
        let Some(source) = source.map(str::to_ascii_lowercase).filter(|source| !source.is_empty()) else {
            return "direct";
        };
        match &*source {
            "instagram" | "facebook" | "twitter" | "x" | "linkedin" | "pinterest" | "tiktok" | "reddit"
            | "youtube" => "social_media",
            "google" | "bing" | "duckduckgo" | "yahoo" | "baidu" => "search",
            "newsletter" | "mailchimp" | "email" => "email",
            "direct" => "direct",
            own if self.0.social_media.iter().any(|name| name.eq_ignore_ascii_case(own)) => "social_media",
            _ => "other",
        }
    }
}

impl RecordFilter for Campaign {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self> {
        Ok(Self(settings))
    }

    fn fields(&self) -> Fields {
        Fields::only([SOURCE, ADDRESS])
    }

    fn apply(&mut self, record: &mut Record<'_>) -> Result<()> {
        let category = self.category(record.text(SOURCE));
        let domain =
            record.text(ADDRESS).and_then(|address| Some(address.rsplit_once('@')?.1.to_lowercase()));
        record.set("source_category", category);
        if let Some(domain) = domain {
            record.set("user_email_domain", &domain);
        }
        Ok(())
    }
}

flitch_sdk::export!(Campaign);

#[cfg(test)]
mod tests;
