//! TLS of those who are connected to, and of those who connect.

pub mod client;
pub mod server;
pub mod towards;

pub use server::{Acceptor, TlsSettings};
pub use towards::{ClientTls, Renewed};
