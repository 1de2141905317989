//! The instruments of `models/`, embedded in the library.

use std::path::Path;

use super::model::{Model, ModelError};

macro_rules! shipped {
    ($($name:literal),*) => {
        [$(($name, include_bytes!(concat!("../../models/", $name, ".onnx")) as &[u8])),*]
    };
}

/// Name and file of each instrument, sorted by name.
static INSTRUMENTS: [(&str, &[u8]); 7] =
    shipped!["cello", "clarinet", "flute", "oboe", "saxophone", "trombone", "violin"];

/// Returns the names of the embedded instruments, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    INSTRUMENTS.iter().map(|(name, _)| *name)
}

/// Opens an embedded instrument by its name, in upper or lower case; `None` if there is none of that name.
///
/// # Errors
/// As [`Model::read`].
pub fn open(name: &str) -> Option<Result<Model, ModelError>> {
    let (name, bytes) = INSTRUMENTS.iter().find(|(own, _)| own.eq_ignore_ascii_case(name))?;
    Some(Model::read(bytes, Path::new(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instrument_of_the_folder_is_embedded() {
        let mut files: Vec<String> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/models"))
            .unwrap()
            .filter_map(|entry| Some(entry.ok()?.file_name().to_str()?.strip_suffix(".onnx")?.to_string()))
            .collect();
        files.sort();
        assert_eq!(files, names().collect::<Vec<_>>());
        for name in files {
            assert_eq!(open(&name.to_uppercase()).unwrap().unwrap().contract().instrument, name);
        }
        assert!(open("kazoo").is_none());
    }
}
