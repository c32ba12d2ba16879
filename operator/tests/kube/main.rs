//! The operator on a real API server, with real databases. Every operator here has the rights that its role gives, and no
//! others.

mod bed;
mod crash;
mod election;
mod entrance;
mod objects;
mod plans;
mod refusals;
mod rights;
mod stores;
