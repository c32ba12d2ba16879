//! Writes the checked-in definitions of our kinds: `cargo run -p polylog-crds --bin generate-crds [FOLDER]`.

use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = match std::env::args_os().nth(1) {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("yaml"),
    };
    std::fs::create_dir_all(&folder)?;
    for definition in polylog_crds::definitions() {
        let path = folder.join(format!("{}.yaml", definition.spec.names.plural));
        std::fs::write(&path, polylog_crds::to_yaml(&definition)?)?;
        println!("{}", path.display());
    }
    Ok(())
}
