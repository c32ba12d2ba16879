//! What callers can do with a store, whatever surface they come by: HTTP and gRPC read a request into these terms, and
//! write what comes back.

pub(crate) mod admin;
mod append;
mod call;
pub(crate) mod conflicts;
pub(crate) mod errors;
mod events;
mod indexed;
mod options;
mod pages;
mod planning;
mod scan;
mod search;
mod statistics;
mod stores;
mod stream;
mod subscription;
mod view;

pub(crate) use append::{MOST_MISSED, answer, append, new_id};
pub(crate) use call::{Call, LARGEST, LONGEST};
pub(crate) use events::{By, Found, find, locations, stream_head, unreadable};
pub(crate) use options::AskedOptions;
pub(crate) use pages::Pages;
pub(crate) use planning::plans;
pub(crate) use scan::{PAGE_BYTES, Page, Scan, Target};
pub(crate) use search::{AskedSearch, Fingerprint, LARGEST_PAGE, MOST_METADATA, Sort, search};
pub(crate) use statistics::{
    AskedStatistics, GroupBy, Groups, Interval, MOST_GROUPS, Statistics, TOP, statistics, zone,
};
pub(crate) use stores::{any_store, one_store, visible_stores};
pub(crate) use stream::{check_stream, readable_name};
pub(crate) use subscription::{CATCH_UP, Frames, Subscription, Until};
pub(crate) use view::View;
