//! How many connections the processes of a store may have, against what its servers take. Pure.

use std::fmt;

use polylog_crds::{
    event_store::{Delivery, EventStoreSpec},
    resolve::ResolvedSource,
};
use polylog_sidecar::{
    config::{GATEWAY_POOL, SIDECAR_POOL, most_connections},
    sources::ConnectionLimit,
};

/// What an author can do.
pub(super) const ADVICE: &str =
    "set delivery: Gateway, lower connection.pool.max or gateway.pool, or have the limit raised";

/// What a manifest says of its processes' connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pools {
    /// Whether sidecars have connections of their own.
    is_direct: bool,
    gateways: u32,
    of_gateway: u32,
}

impl Default for Pools {
    fn default() -> Self {
        Self { is_direct: true, gateways: 1, of_gateway: GATEWAY_POOL }
    }
}

impl Pools {
    pub(crate) fn of(spec: &EventStoreSpec) -> Self {
        let Self { gateways, of_gateway, .. } = Self::default();
        let gateway = spec.gateway.as_ref();
        Self {
            is_direct: spec.delivery != Some(Delivery::Gateway),
            gateways: gateway.and_then(|gateway| gateway.replicas).unwrap_or(gateways),
            of_gateway: gateway.and_then(|gateway| gateway.pool).unwrap_or(of_gateway),
        }
    }

    /// What a source's server has to take, with so many sidecars.
    pub(crate) fn room<'a>(
        &self,
        source: &'a ResolvedSource,
        sidecars: u32,
        limit: ConnectionLimit,
    ) -> Room<'a> {
        let pool = source.connection.pool.as_ref().and_then(|pool| pool.max).unwrap_or(SIDECAR_POOL);
        Room {
            source: source.name.as_str(),
            sidecars: if self.is_direct { sidecars } else { 0 },
            of_sidecar: most_connections(pool),
            gateways: self.gateways,
            of_gateway: most_connections(self.of_gateway),
            limit,
        }
    }
}

/// A source's server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room<'a> {
    source: &'a str,
    sidecars: u32,
    of_sidecar: u32,
    gateways: u32,
    of_gateway: u32,
    limit: ConnectionLimit,
}

impl Room<'_> {
    fn wanted(&self) -> u64 {
        let of = |processes: u32, each: u32| u64::from(processes) * u64::from(each);
        of(self.sidecars, self.of_sidecar) + of(self.gateways, self.of_gateway)
    }

    pub(crate) fn is_enough(&self) -> bool {
        self.wanted() <= u64::from(self.limit.most)
    }
}

impl fmt::Display for Room<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, sidecars, of_sidecar, gateways, of_gateway, limit } = self;
        let (wanted, ConnectionLimit { name, most }) = (self.wanted(), limit);
        write!(
            f,
            "{source} may get {wanted} connections ({sidecars} sidecars, {of_sidecar} each; {gateways} gateways, \
             {of_gateway} each), and {name} is {most}"
        )
    }
}
