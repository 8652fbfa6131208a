//! Says what program a User-Agent is of.

mod agent;
mod rules;
mod words;

use agent::Agent;
use flitch_sdk::parse::{Found, Policy, Reader, below, check_prefix, set_present};
use flitch_sdk::{Batch, Changes, ColumnFilter, Fields, Int64Builder, Result, TextBuilder, bail, path};

flitch_sdk::parser_settings! {
    /// The settings of `user_agent`.
    pub struct Settings {
        field: "agent", keep_source: true, on_mismatch: Pass;
        /// The path below which the fields are written; at the top if there is none.
        pub prefix: String = "user_agent".to_owned(),
    }
}

/// The fields that are text, and the one that is a number.
const TEXTS: [&str; 5] = ["family", "version", "os", "os_version", "device"];
const MAJOR: &str = "major";

/// The filter.
#[derive(Debug)]
pub struct UserAgent {
    prefix: String,
    policy: Policy,
}

impl ColumnFilter for UserAgent {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self> {
        check_prefix(&settings.prefix)?;
        let policy = settings.policy();
        let names = TEXTS.into_iter().chain([MAJOR]).map(|name| below(&settings.prefix, name));
        let names: Vec<String> = names.collect();
        policy.check(names.iter().map(String::as_str))?;
        if policy.keep_source
            && let Some(name) = names.iter().find(|name| path::overlap(name, &policy.field))
        {
            bail!("settings.keep_source: `{name}` would replace `{}`; write another `prefix`", policy.field);
        }
        Ok(Self { prefix: settings.prefix, policy })
    }

    fn fields(&self) -> Fields {
        Fields::only([&self.policy.field])
    }

    fn apply(&mut self, batch: &Batch, changes: &mut Changes) -> Result<()> {
        let mut texts = Texts::default();
        self.policy.run(batch, changes, &mut texts);
        let columns = TEXTS
            .into_iter()
            .zip(texts.texts)
            .map(|(name, builder)| builder.finish(below(&self.prefix, name)));
        set_present(changes, columns.chain([texts.majors.finish(below(&self.prefix, MAJOR))]));
        Ok(())
    }
}

/// The texts of one batch.
#[derive(Default)]
struct Texts {
    texts: [TextBuilder; 5],
    majors: Int64Builder,
}

impl Reader for Texts {
    fn read(&mut self, _row: usize, data: &str, from: usize, to: usize) -> Result<Found, String> {
        let agent = Agent::of(&data[from..to]);
        let device = agent.device.map(rules::Device::name);
        let found = [agent.family, agent.version, agent.os, agent.os_version.as_deref(), device];
        for (builder, text) in self.texts.iter_mut().zip(found) {
            builder.push_option(text);
        }
        self.majors.push_option(agent.major());
        let knows = found.iter().any(Option::is_some);
        Ok(if knows { Found::Something } else { Found::Nothing })
    }

    fn skip(&mut self) {
        self.texts.iter_mut().for_each(TextBuilder::push_absent);
        self.majors.push_absent();
    }
}

flitch_sdk::export!(UserAgent);

#[cfg(test)]
mod tests;
