//! The operator on a real API server, with real databases. Every operator here has the rights that its role gives, and no
//! others.

mod bed;
mod crash;
mod credentials;
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
mod running;
mod several;
mod stores;
mod tls;
