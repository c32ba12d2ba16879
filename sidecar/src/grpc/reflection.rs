//! Server reflection. The descriptors stay encoded in the binary; each question takes apart what it needs, and keeps
//! nothing.

use std::collections::BTreeSet;

use axum::response::Response;
use bytes::Bytes;
use polylog_api::{
    GrpcStatus, Problem,
    proto::{
        DESCRIPTORS,
        grpc::reflection::v1::{
            ErrorResponse, FileDescriptorResponse, ListServiceResponse, ServerReflectionRequest,
            ServerReflectionResponse, ServiceResponse, server_reflection_request::MessageRequest,
            server_reflection_response::MessageResponse,
        },
    },
};
use prost::Message;
use prost_types::{DescriptorProto, FileDescriptorProto, FileDescriptorSet};

use super::{
    answer::{self, Messages},
    message::Incoming,
};
use crate::http::Place;

/// Longest question, in bytes.
const LONGEST: usize = 4 << 10;

/// `ServerReflectionInfo`
pub(super) fn answer(incoming: Incoming) -> Result<Response, Problem> {
    let place = incoming.server.room().stream()?;
    Ok(answer::many(Asked { incoming, _place: place }))
}

struct Asked {
    incoming: Incoming,
    _place: Place,
}

impl Messages for Asked {
    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let drain = self.incoming.server.drain.clone();
        let received = tokio::select! {
            received = self.incoming.next::<ServerReflectionRequest>(LONGEST) => received?,
            () = drain.begun() => return Err(crate::operations::errors::draining()),
        };
        let Some(received) = received else { return Ok(None) };
        let request = received.message;
        let response = ServerReflectionResponse {
            valid_host: request.host.clone(),
            message_response: Some(respond(request.message_request.as_ref())),
            original_request: Some(request),
        };
        let mut framed = Vec::new();
        answer::write(&mut framed, &response);
        Ok(Some(framed.into()))
    }
}

fn respond(asked: Option<&MessageRequest>) -> MessageResponse {
    let files = files(DESCRIPTORS);
    match asked {
        Some(MessageRequest::ListServices(_)) => {
            let service = services(&files).map(|name| ServiceResponse { name }).collect();
            MessageResponse::ListServicesResponse(ListServiceResponse { service })
        }
        Some(MessageRequest::FileByFilename(name)) => {
            let file = files.iter().find(|file| file.name() == name);
            file.map_or_else(|| not_found(name), |file| with_imports(&files, file))
        }
        Some(MessageRequest::FileContainingSymbol(symbol)) => {
            let file = files.iter().find(|file| declares(file, symbol));
            file.map_or_else(|| not_found(symbol), |file| with_imports(&files, file))
        }
        Some(MessageRequest::FileContainingExtension(_) | MessageRequest::AllExtensionNumbersOfType(_)) => {
            not_found("there are no extensions")
        }
        None => not_found("nothing was asked for"),
    }
}

/// Whether there is a service of this full name.
pub(super) fn has_service(descriptors: &[u8], name: &str) -> bool {
    services(&files(descriptors)).any(|service| service == name)
}

fn files(descriptors: &[u8]) -> Vec<FileDescriptorProto> {
    FileDescriptorSet::decode(descriptors).expect("a test decodes what is checked in").file
}

fn services(files: &[FileDescriptorProto]) -> impl Iterator<Item = String> {
    files
        .iter()
        .flat_map(|file| file.service.iter().map(|service| format!("{}.{}", file.package(), service.name())))
}

/// A file after all that it imports.
fn with_imports(files: &[FileDescriptorProto], file: &FileDescriptorProto) -> MessageResponse {
    let (mut waiting, mut seen, mut found) = (vec![file], BTreeSet::new(), Vec::new());
    while let Some(file) = waiting.pop() {
        if seen.insert(file.name()) {
            found.push(Bytes::from(file.encode_to_vec()));
            let imported = |name: &String| files.iter().find(|file| file.name() == name);
            waiting.extend(file.dependency.iter().filter_map(imported));
        }
    }
    MessageResponse::FileDescriptorResponse(FileDescriptorResponse { file_descriptor_proto: found })
}

fn not_found(what: &str) -> MessageResponse {
    let error_message = format!("not found: {}", what.chars().take(200).collect::<String>());
    MessageResponse::ErrorResponse(ErrorResponse { error_code: GrpcStatus::NotFound as i32, error_message })
}

/// Whether a file declares a message, field, enumeration, service or method of this full name.
fn declares(file: &FileDescriptorProto, symbol: &str) -> bool {
    let Some(name) = symbol.strip_prefix(file.package()).and_then(|rest| rest.strip_prefix('.')) else {
        return false;
    };
    let (first, rest) = name.split_once('.').map_or((name, None), |(first, rest)| (first, Some(rest)));
    let is_method = |service: &prost_types::ServiceDescriptorProto| {
        service.name() == first
            && rest.is_none_or(|rest| service.method.iter().any(|method| method.name() == rest))
    };
    file.service.iter().any(is_method)
        || file.message_type.iter().any(|message| in_message(message, name))
        || file.enum_type.iter().any(|declared| declared.name() == first && rest.is_none())
}

fn in_message(message: &DescriptorProto, name: &str) -> bool {
    let (first, rest) = name.split_once('.').map_or((name, None), |(first, rest)| (first, Some(rest)));
    message.name() == first
        && rest.is_none_or(|rest| {
            message.field.iter().any(|field| field.name() == rest)
                || message.enum_type.iter().any(|declared| declared.name() == rest)
                || message.nested_type.iter().any(|nested| in_message(nested, rest))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files_of(asked: MessageRequest) -> Vec<String> {
        match respond(Some(&asked)) {
            MessageResponse::FileDescriptorResponse(found) => {
                let name =
                    |file: &Bytes| FileDescriptorProto::decode(&file[..]).expect("a file").name().to_owned();
                found.file_descriptor_proto.iter().map(name).collect()
            }
            _ => Vec::new(),
        }
    }

    #[test]
    fn symbols_lead_to_their_file_and_its_imports() {
        for symbol in [
            "polylog.v1.Events",
            "polylog.v1.Events.Append",
            "polylog.v1.AppendRequest",
            "polylog.v1.AppendRequest.store",
            "polylog.v1.ReadFrame",
        ] {
            let mut files = files_of(MessageRequest::FileContainingSymbol(symbol.into()));
            assert_eq!(files.first().map(String::as_str), Some("polylog/v1/events.proto"), "{symbol}");
            files.sort();
            let imports = [
                "google/protobuf/duration.proto",
                "google/protobuf/timestamp.proto",
                "polylog/v1/event.proto",
            ];
            assert_eq!(files[..3], imports, "{symbol}");
        }
        let health = "grpc.health.v1.HealthCheckResponse.ServingStatus";
        assert_eq!(files_of(MessageRequest::FileContainingSymbol(health.into())).len(), 1);
        for unknown in ["", "polylog.v1", "polylog.v1.Event.Append", "polylog.v1.Events.append", "Events"] {
            assert_eq!(files_of(MessageRequest::FileContainingSymbol(unknown.into())), [""; 0], "{unknown}");
        }
        assert_eq!(files_of(MessageRequest::FileByFilename("polylog/v1/stores.proto".into())).len(), 3);
    }
}
