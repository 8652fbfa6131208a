//! TLS of those who are connected to, and of those who connect.

pub mod client;
mod named;
pub(crate) mod pem;
pub mod server;
pub mod towards;

pub use server::{Acceptor, TlsSettings};
pub use towards::{ClientTls, Renewed};
