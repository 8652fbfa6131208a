//! Stage 6: outputs. An output writes a parcel, which is a batch or what it wants gathered of several, and says per record
//! what was refused. It never retries and never sleeps: the delivery loop does that for all of them.

pub mod adx;
mod aws;
pub mod azure_blob;
pub mod blackhole;
mod breaker;
#[cfg(test)]
mod contract;
mod deliver;
pub mod elasticsearch;
pub mod event_hubs;
pub mod file;
pub mod forward;
mod gather;
pub mod gcs;
pub mod http;
pub mod kafka;
pub mod nodes;
mod object;
pub mod opensearch;
mod output;
mod parcel;
mod retry;
pub mod s3;
pub mod settings;
pub mod staging;
pub mod stdout;
pub mod webhdfs;

pub use deliver::deliver;
pub use gather::Wants;
pub use output::{Answer, Fate, Ledgers, Output, OutputContext, OutputKind, Refusal, WriteError, Written};
pub use parcel::Parcel;
pub use retry::RetrySettings;
pub use settings::OutputSettings;
