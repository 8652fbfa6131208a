//! What several sources need of the network.

pub mod tls;
