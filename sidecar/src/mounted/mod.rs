//! The configuration of processes in a cluster: manifests, credentials and a token in mounted folders, watched by content.
//!
//! ```text
//! <root>/store/{eventstore,strategy}.yaml, store/schemas/<type>.json
//! <root>/store/{issuer,jwks.json,tls.crt,tls.key}       how other pods come in
//! <root>/store/{gateway-address,gateway-ca.crt}         where the gateway is, for sidecars
//! <root>/sources/<source>/{url,username,password,ca.crt,tls.crt,tls.key}
//! <root>/stores/<namespace>.<name>/{store,sources}/…    further stores
//! ```

mod declared;
mod files;
mod layout;
mod token;
mod watch;

pub(crate) use declared::{Membership, Mounted, answered, read_all};
pub(crate) use files::Unreadable;
pub(crate) use layout::{EntranceFiles, GatewayFiles, Layout, ManifestFiles, Place, SourceFiles, StoreFiles};
pub(crate) use token::{Bound, Caller, InvalidToken, expiry};
pub(crate) use watch::{Reading, Refresh, Watch};
