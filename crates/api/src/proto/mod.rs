//! The messages of the gRPC interface, generated from `proto/`, and clients with the feature `grpc-client`.
#![allow(missing_docs, clippy::all, reason = "generated; each field is described in the protos")]

/// Package `polylog`.
pub mod polylog {
    /// Package `polylog.v1`.
    pub mod v1 {
        include!("polylog.v1.rs");
    }
    /// Package `polylog.admin`.
    pub mod admin {
        /// Package `polylog.admin.v1`.
        pub mod v1 {
            include!("polylog.admin.v1.rs");
        }
    }
}

/// Package `google`.
pub mod google {
    /// Package `google.rpc`.
    pub mod rpc {
        include!("google.rpc.rs");
    }
}

/// Package `grpc`.
pub mod grpc {
    /// Package `grpc.health`.
    pub mod health {
        /// Package `grpc.health.v1`.
        pub mod v1 {
            include!("grpc.health.v1.rs");
        }
    }
    /// Package `grpc.reflection`.
    pub mod reflection {
        /// Package `grpc.reflection.v1`; `v1alpha` has the same messages.
        pub mod v1 {
            include!("grpc.reflection.v1.rs");
        }
    }
}

/// Every served file, as a serialised `google.protobuf.FileDescriptorSet` without comments.
pub const DESCRIPTORS: &[u8] = include_bytes!("descriptors.bin");
