//! What the exported functions of a component call.

use crate::filter::{Configure, Engine, Stateful};
use crate::{Batch, Changes, Fields, Result, err};
use std::cell::RefCell;

thread_local! {
    /// The one filter of the component.
    static FILTER: RefCell<Option<Box<dyn Engine>>> = const { RefCell::new(None) };
}

/// The contract's `configure`.
///
/// # Errors
/// What is wrong with the settings.
pub fn configure<F: Configure<K>, K>(settings: &str) -> Result<Fields> {
    tell_of_panics();
    let filter = F::configure(settings)?;
    let fields = filter.fields();
    FILTER.set(Some(filter));
    Ok(fields)
}

/// The contract's `apply`.
///
/// # Errors
/// Why the batch is rejected as a whole.
pub fn apply(batch: &Batch) -> Result<Changes> {
    FILTER.with_borrow_mut(|filter| {
        filter.as_mut().ok_or_else(|| err!("the filter is not configured"))?.apply(batch)
    })
}

/// What a filter remembers.
///
/// # Panics
/// It is not configured; the host asks no such filter.
pub fn save<F: Stateful + 'static>() -> Vec<u8> {
    FILTER.with_borrow_mut(|filter| stateful::<F>(filter).expect("a filter that is configured").save())
}

/// Has a filter remember what was saved.
///
/// # Errors
/// It cannot be used.
pub fn restore<F: Stateful + 'static>(saved: &[u8]) -> Result<()> {
    FILTER.with_borrow_mut(|filter| {
        stateful::<F>(filter).ok_or_else(|| err!("the filter is not configured"))?.restore(saved)
    })
}

fn stateful<F: 'static>(filter: &mut Option<Box<dyn Engine>>) -> Option<&mut F> {
    filter.as_mut()?.filter().downcast_mut()
}

/// A panic ends in a trap, which has no text; so the text goes to the host's log before it.
fn tell_of_panics() {
    #[cfg(target_family = "wasm")]
    std::panic::set_hook(Box::new(|panic| crate::host::error(&panic.to_string())));
}

/// Fails to compile, with the trait's name, when `F` is no filter.
pub fn is_a_filter<F: Configure<K>, K>() {}

/// Fails to compile, with the trait's name, when `F` keeps no state.
pub fn is_stateful<F: Stateful>() {}
