use axum::response::Response;
use polylog_api::{Code, Problem};

use super::message::Incoming;

pub(super) async fn get_status(_: Incoming) -> Result<Response, Problem> {
    Err(Problem::new(Code::NotSupported, "later"))
}
pub(super) async fn put_config(_: Incoming) -> Result<Response, Problem> {
    Err(Problem::new(Code::NotSupported, "later"))
}
pub(super) async fn put_policy(_: Incoming) -> Result<Response, Problem> {
    Err(Problem::new(Code::NotSupported, "later"))
}
