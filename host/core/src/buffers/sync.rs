//! What [`super::queue`] is made of; its model brings its own.

pub use std::sync::atomic::{AtomicUsize, Ordering};

pub use parking_lot::{Condvar, Mutex};
pub use tokio::sync::Notify;
