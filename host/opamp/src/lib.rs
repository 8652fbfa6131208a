//! The agent by which a fleet of flitches is managed, over OpAMP (the Open Agent Management Protocol,
//! <https://opentelemetry.io/docs/specs/opamp/>).
//!
//! [`Agent`] keeps three things going, each of which goes on without the others: a [link](link) to the server, which comes
//! back by itself; the [desk](desk), which knows what the server has been told and what not; and the [keeper](keeper), which
//! puts configurations into force, watches them for a time ([`probation`]) and goes back to the last good one, which is
//! on disk ([`store`]). Where it takes [packages], they are a fourth thing. What is managed is behind the trait [`Managed`], so that hundreds of agents fit into one test.

mod agent;
mod app;
mod connection;
mod desk;
mod identity;
mod keeper;
mod link;
mod orders;
mod pace;
mod packages;
mod probation;
mod settings;
mod store;
mod turns;
mod wire;

pub use agent::{Agent, Place};
pub use app::{
    Component, Description, Document, Health, InForce, Managed, NotInstalled, Package, Plugin, Vitals,
};
pub use settings::OpampSettings;
pub use store::{Kept, kept};
