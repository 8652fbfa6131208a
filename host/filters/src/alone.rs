//! A filter by itself, for `flitch plugin run` and for tests.

use std::sync::Arc;

use super::chain::{Chain, Program, try_out};
use super::filter::{Filter, FilterContext};
use super::guest::{Component, Wanted};
use super::judgement::Judgement;
use super::settings::FilterSettings;
use super::settle::Rejected;
use flitch_core::batch::{Batch, Records, StreamId};
use flitch_core::receipt::{self, Ledger};

/// One filter by itself, outside of any pipeline: `flitch plugin run` and `inspect`, and tests.
#[derive(Debug)]
pub struct Alone {
    program: Arc<Program>,
    chain: Chain,
    ledger: Arc<Ledger>,
}

impl Alone {
    /// Loads the filter. What it rejects comes back from [`Alone::run`] where `cx` has no dead letters.
    pub fn load(name: &str, settings: &FilterSettings, cx: &FilterContext) -> anyhow::Result<Alone> {
        Ok(Alone::of(Program::load(&[(name, settings)], cx)?))
    }

    /// The same of code that is loaded already.
    pub(super) fn of_code(
        name: &str,
        settings: &FilterSettings,
        code: Component,
        cx: &FilterContext,
    ) -> anyhow::Result<Alone> {
        Ok(Alone::of(Program::of(vec![try_out(name, settings, code, cx)?])))
    }

    fn of(program: Program) -> Alone {
        let program = Arc::new(program);
        Alone { chain: program.chain(), program, ledger: Arc::default() }
    }

    /// The records that go on, and those that were rejected.
    pub fn run(&mut self, records: Arc<Records>) -> (Arc<Records>, Vec<Rejected>) {
        let receipt = receipt::issue(&self.ledger, records.rows(), 0, |_| {});
        let batch = self.chain.apply(Batch { records, receipt, stream: StreamId::UNORDERED });
        batch.receipt.delivered();
        (batch.records, self.chain.take_rejected())
    }

    /// What the filter says becomes of `records`. Nothing is settled and no record is counted, so that a trial may ask as
    /// often as it likes.
    pub fn judge(&mut self, records: &Records) -> Judgement {
        self.chain.steps[0].judge(records)
    }

    /// What became of the records so far.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// The filter, its plugin loaded.
    pub fn filter(&self) -> &Filter {
        &self.program.filters()[0]
    }

    /// The columns that the plugin asked for.
    pub fn wanted(&self) -> Option<Wanted> {
        self.chain.wanted().next()
    }

    /// Bytes of memory that its instance takes.
    pub fn memory(&self) -> usize {
        self.chain.memory()
    }
}
