//! Writes the checked-in definitions of our kinds, as they are and as the chart's templates:
//! `cargo run -p polylog-crds --bin generate-crds [FOLDER]`, where FOLDER is the repository's.

use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let repository = match std::env::args_os().nth(1) {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no repository")?.to_owned(),
    };
    for definition in polylog_crds::definitions() {
        let name = format!("{}.yaml", definition.spec.names.plural);
        let files = [
            ("crds/yaml", polylog_crds::to_yaml(&definition)?),
            ("charts/polylog/templates/crds", polylog_crds::to_template(&definition)?),
        ];
        for (folder, text) in files {
            let folder = repository.join(folder);
            std::fs::create_dir_all(&folder)?;
            let path = folder.join(&name);
            std::fs::write(&path, text)?;
            println!("{}", path.display());
        }
    }
    Ok(())
}
