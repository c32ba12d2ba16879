//! The Rust code and the descriptors of the protos are those that are checked in. To write them anew:
//! `POLYLOG_GENERATE=1 cargo test -p polylog-api --test protos`.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{fs, path::Path};

use protox::prost::Message;

/// Everything that is served; the second version of reflection, which older tools ask for, is only described.
const FILES: &[&str] = &[
    "polylog/v1/events.proto",
    "polylog/v1/consumers.proto",
    "polylog/v1/queries.proto",
    "polylog/v1/stores.proto",
    "polylog/v1/errors.proto",
    "polylog/admin/v1/admin.proto",
    "google/rpc/status.proto",
    "grpc/health/v1/health.proto",
    "grpc/reflection/v1/reflection.proto",
    "grpc/reflection/v1alpha/reflection.proto",
];

/// Written to `src/proto`.
const PACKAGES: &[&str] =
    &["polylog.v1", "polylog.admin.v1", "google.rpc", "grpc.health.v1", "grpc.reflection.v1"];

#[test]
fn what_is_checked_in_is_what_the_protos_say() {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = crate_folder.join("src/proto");
    let mut compiler = protox::Compiler::new([crate_folder.join("proto")]).unwrap();
    compiler.include_imports(true).include_source_info(true).open_files(FILES).unwrap();
    let mut described = compiler.file_descriptor_set();

    let generated = tempfile::tempdir().unwrap();
    let mut builder = tonic_prost_build::configure()
        .build_server(false)
        .build_transport(false)
        .bytes(".")
        .btree_map(".")
        .out_dir(generated.path())
        .emit_rerun_if_changed(false);
    for package in PACKAGES {
        builder = builder.client_mod_attribute(*package, "#[cfg(feature = \"grpc-client\")]");
    }
    builder.compile_fds(described.clone()).unwrap();

    let is_generating = std::env::var_os("POLYLOG_GENERATE").is_some();
    let check = |name: &str, wanted: Vec<u8>| {
        let path = folder.join(name);
        if is_generating {
            fs::write(&path, wanted).unwrap();
        } else {
            let found = fs::read(&path).unwrap_or_default();
            assert!(found == wanted, "{} is old: see the top of this file", path.display());
        }
    };
    for package in PACKAGES {
        let name = format!("{package}.rs");
        check(&name, fs::read(generated.path().join(&name)).unwrap());
    }
    // without comments: it is part of the binary
    described.file.iter_mut().for_each(|file| file.source_code_info = None);
    check("descriptors.bin", described.encode_to_vec());
}
