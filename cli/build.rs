//! Packs the relocations of the binary: they are read at every start, and 1.4 MB of them would stay resident.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        // needs glibc 2.36 or newer where the binary runs
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
