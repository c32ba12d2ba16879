//! The operator on a real API server, with real databases. Every operator here has the rights that its role gives, and no
//! others.

mod bed;
mod crash;
mod deletion;
mod election;
mod entrance;
mod mariadb;
mod namespaces;
mod objects;
mod plans;
mod pods;
mod refusals;
mod rights;
mod several;
mod stores;
