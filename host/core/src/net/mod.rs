//! What several parts need of the network.

pub mod address;
pub mod budget;
pub mod confided;
pub mod connections;
pub mod descriptors;
pub mod dial;
pub mod entra;
pub mod expand;
pub mod fetch;
pub mod forward;
pub mod helper;
pub mod http_client;
pub mod http_head;
pub mod lent;
pub mod listen;
pub mod serve;
pub mod short;
pub mod tls;
pub mod upload;
pub mod words;

mod linger;
