//! The fuzz targets: functions that accept arbitrary bytes, with valid examples and a dictionary.
//!
//! `fuzz/fuzz_targets` runs them in libFuzzer, `tests/fuzz.rs` for a bounded number of iterations within `make test`. A
//! target fails by panicking; it returns nothing and keeps no state between runs.

pub mod api;
pub mod bytes;
pub mod conductor;
pub mod config;
pub mod genome;
pub mod grid;
pub mod media;
pub mod midi;
pub mod onnx;
pub mod osc;
pub mod plans;
pub mod protocol;
pub mod sections;
pub mod state;
pub mod stream;

use std::cell::RefCell;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::Once;

/// A function that processes untrusted bytes.
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// Processes the bytes as the daemon does.
    pub run: fn(&[u8]),
    /// Inputs that reach far, mostly valid ones.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Dictionary for the mutators.
    pub words: &'static [&'static str],
}

/// Environment variable that names the folder for seeds and dictionary.
pub const FOLDER: &str = "GROOVED_FUZZ_FOLDER";

/// Called once before libFuzzer starts: writes `seeds/` and `words.dict` to the folder named by [`FOLDER`], if it is
/// set.
///
/// A panic that is caught is not a failure: opening a model file relies on that. A panic that is not caught ends the
/// process all the same.
///
/// # Panics
/// If the folder cannot be written.
pub fn begin(target: &Target) {
    if target.name == "onnx" {
        // There are thousands of caught panics.
        std::panic::set_hook(Box::new(|_| {}));
    } else {
        let _ = std::panic::take_hook();
    }
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let folder = Path::new(&folder);
    let seeds = folder.join("seeds");
    std::fs::create_dir_all(&seeds).expect("the folder can be made");
    for (k, seed) in (target.seeds)().iter().enumerate() {
        std::fs::write(seeds.join(format!("{k:03}")), seed).expect("seeds can be written");
    }
    let mut words = std::fs::File::create(folder.join("words.dict")).expect("the dictionary can be written");
    for word in target.words {
        let escaped: String = word.bytes().map(|b| format!("\\x{b:02x}")).collect();
        writeln!(words, "\"{escaped}\"").expect("the dictionary can be written");
    }
}

thread_local! {
    /// Source file of the last panic on this thread.
    static PANICKED: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs an action as the callers of loaders do: a panic in a library counts as a rejection. Other panics propagate.
pub fn refusing<T>(act: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let file = panic.location().map_or(String::new(), |l| l.file().to_string());
            let ours = !file.contains("/registry/");
            PANICKED.set(file);
            if ours {
                before(panic);
            }
        }));
    });
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(made) => Some(made),
        Err(_) if PANICKED.with_borrow(|file| file.contains("/registry/")) => None,
        Err(panic) => resume_unwind(panic),
    }
}
