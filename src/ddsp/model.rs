//! Model files: loading, checking, and running one step per hop with tract.

use std::fmt;
use std::io::Read;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;

use super::contract::{Contract, ContractError, INPUTS, MOST_BYTES, OUTPUTS};

/// Maximum number of elements of any tensor in a step: the recurrent weights of a GRU of 2048 units.
const MOST_ELEMENTS: usize = 3 * 2_048 * 2_048;

/// Error from opening a model file.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The file does not exist or cannot be read.
    #[error("Model file not found: {path}: {why}", path = path.display())]
    Missing {
        /// Path of the file.
        path: PathBuf,
        /// The system's error.
        why: std::io::Error,
    },
    /// A TensorFlow Lite model; it can be converted.
    #[error("{path} is a TensorFlow Lite model; convert it: python3 models/convert.py {path}", path = path.display())]
    TensorFlowLite {
        /// Path of the file.
        path: PathBuf,
    },
    /// The file is larger than [`MOST_BYTES`].
    #[error("{path} is too large: {bytes} bytes; must be at most {MOST_BYTES}", path = path.display())]
    TooLarge {
        /// Path of the file.
        path: PathBuf,
        /// Size of the file in bytes.
        bytes: u64,
    },
    /// The file is not in ONNX format.
    #[error("{path} is not an ONNX model: expected one from 'make model' or models/convert.py", path = path.display())]
    NoModel {
        /// Path of the file.
        path: PathBuf,
    },
    /// The file violates the contract.
    #[error("{path} is not a valid instrument: {why}", path = path.display())]
    Contract {
        /// Path of the file.
        path: PathBuf,
        /// The violation.
        why: ContractError,
    },
    /// The graph cannot be executed.
    #[error("{path} cannot be run: {why}", path = path.display())]
    Arithmetic {
        /// Path of the file.
        path: PathBuf,
        /// The error from tract.
        why: String,
    },
}

/// An instrument, ready to play. Cheap to clone: the weights are shared.
#[derive(Clone)]
pub struct Model {
    contract: Arc<Contract>,
    plan: Arc<TypedRunnableModel>,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("contract", &self.contract).finish_non_exhaustive()
    }
}

impl Model {
    /// Reads and checks a file, and runs it once at the softest and the loudest level.
    ///
    /// Blocks for tens of milliseconds. Realtime: no.
    ///
    /// # Errors
    /// A one-line message that names the file and what is wrong with it.
    pub fn open(path: &Path) -> Result<Model, ModelError> {
        Model::read(&bytes_of(path)?, path)
    }

    /// Checks a model from the bytes of a file, as [`Model::open`] does; `path` is used in messages only.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn read(bytes: &[u8], path: &Path) -> Result<Model, ModelError> {
        let owned = || path.to_path_buf();
        let onnx = tract_onnx::onnx();
        let proto = onnx
            .proto_model_for_read(&mut &bytes[..])
            .ok()
            .filter(|proto| proto.graph.is_some())
            .ok_or_else(|| ModelError::NoModel { path: owned() })?;
        let contract = Contract::read(&proto).map_err(|why| ModelError::Contract { path: owned(), why })?;
        let arithmetic = |why: String| ModelError::Arithmetic { path: owned(), why };
        // A file may pass every check and still contain shapes that make tract panic.
        let made = std::panic::catch_unwind(AssertUnwindSafe(|| prepare(&onnx, &proto, &contract)));
        match made {
            Ok(Ok(model)) => Ok(model),
            Ok(Err(why)) => Err(arithmetic(first_line(&format!("{why:#}")))),
            Err(_) => Err(arithmetic("its shapes are inconsistent".into())),
        }
    }

    /// Checks that a file can be read and is neither too large nor in TensorFlow Lite format; its content is not
    /// checked.
    ///
    /// # Errors
    /// [`ModelError::Missing`], [`ModelError::TensorFlowLite`] or [`ModelError::TooLarge`].
    pub fn look(path: &Path) -> Result<(), ModelError> {
        bytes_of(path).map(drop)
    }

    /// Returns the metadata of the model.
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    /// Creates a player of this model with its own state, at rest.
    ///
    /// # Errors
    /// The error from tract, if it cannot allocate the state.
    pub fn player(&self) -> TractResult<ModelRunner> {
        Ok(ModelRunner {
            contract: self.contract.clone(),
            run: self.plan.spawn()?,
            state: Tensor::zero::<f32>(&[self.contract.state])?.into_tvalue(),
        })
    }
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, ModelError> {
    let missing = |why| ModelError::Missing { path: path.to_path_buf(), why };
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("tflite")) && path.is_file() {
        return Err(ModelError::TensorFlowLite { path: path.to_path_buf() });
    }
    let file = std::fs::File::open(path).map_err(missing)?;
    let size = file.metadata().map_err(missing)?.len();
    if size > MOST_BYTES {
        return Err(ModelError::TooLarge { path: path.to_path_buf(), bytes: size });
    }
    let mut bytes = Vec::with_capacity(size as usize);
    file.take(MOST_BYTES).read_to_end(&mut bytes).map_err(missing)?;
    Ok(bytes)
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or("").chars().take(200).collect()
}

fn prepare(onnx: &tract_onnx::Onnx, proto: &ModelProto, contract: &Contract) -> TractResult<Model> {
    let mut inference = onnx.model_for_proto_model(proto)?;
    inference.set_input_names(INPUTS)?;
    inference.select_outputs_by_name(OUTPUTS)?;
    let typed = inference.into_typed()?;
    // Products of tensors in the file can be far larger than the file itself.
    let elements =
        |shape: Option<&[usize]>| shape.map_or(usize::MAX, |s| s.iter().fold(1, |n: usize, d| n.saturating_mul(*d)));
    let sizes = typed.nodes().iter().flat_map(|n| &n.outputs).map(|o| elements(o.fact.shape.as_concrete()));
    if let Some(size) = sizes.max().filter(|size| *size > MOST_ELEMENTS) {
        return Err(TractError::msg(format!("a tensor has {size} elements; must be at most {MOST_ELEMENTS}")));
    }
    let plan = typed.into_optimized()?.into_runnable()?;
    let model = Model { contract: Arc::new(contract.clone()), plan };
    let mut player = model.player()?;
    let (mut partials, mut noise) = (vec![0.0; contract.harmonics], vec![0.0; contract.noise_bands]);
    let middle = (contract.pitch_range.0 + contract.pitch_range.1) / 2.0;
    for loudness in [0.0, 1.0] {
        let amplitude =
            player.step((middle / 127.0) as f32, contract.loudness(loudness) as f32, &mut partials, &mut noise)?;
        if !amplitude.is_finite() || partials.iter().chain(&noise).any(|v| !v.is_finite()) {
            return Err(TractError::msg("a step yields values that are not finite"));
        }
    }
    Ok(model)
}

/// Running instance of a model for one voice, with its own state.
///
/// A step allocates: call it on a voice worker, never on the audio thread. Realtime: no.
pub struct ModelRunner {
    contract: Arc<Contract>,
    run: TypedSimpleState,
    state: TValue,
}

impl ModelRunner {
    /// Runs one hop. `pitch` is MIDI number / 127, `loudness` is dBFS / 80 + 1; non-finite values count as 0.
    ///
    /// Writes the share of each partial (their sum is 1) to `distribution` and the magnitude of each noise band to
    /// `noise`, and returns the sum of the amplitudes of all partials; all are linear.
    ///
    /// # Errors
    /// The error from tract; not expected for a model that was opened successfully.
    ///
    /// # Panics
    /// If the slices do not have the lengths given by the contract.
    pub fn step(&mut self, pitch: f32, loudness: f32, distribution: &mut [f32], noise: &mut [f32]) -> TractResult<f32> {
        let finite = |value: f32| if value.is_finite() { value } else { 0.0 };
        let inputs = tvec![
            tensor1(&[finite(pitch)]).into_tvalue(),
            tensor1(&[finite(loudness)]).into_tvalue(),
            self.state.clone()
        ];
        let mut outputs = self.run.run(inputs)?;
        let numbers = |value: &TValue, into: &mut [f32]| -> TractResult<()> {
            into.copy_from_slice(value.try_as_plain_ram()?.as_slice::<f32>()?);
            Ok(())
        };
        let mut amplitude = [0.0];
        numbers(&outputs[0], &mut amplitude)?;
        numbers(&outputs[1], distribution)?;
        numbers(&outputs[2], noise)?;
        self.state = outputs.remove(3);
        Ok(amplitude[0])
    }

    /// Resets the state to that of a new player.
    ///
    /// # Errors
    /// The error from tract, if it cannot allocate the state.
    pub fn reset(&mut self) -> TractResult<()> {
        self.state = Tensor::zero::<f32>(&[self.contract.state])?.into_tvalue();
        Ok(())
    }

    /// Returns a copy of the state, for comparisons.
    ///
    /// # Errors
    /// The error from tract.
    pub fn state(&self) -> TractResult<Vec<f32>> {
        Ok(self.state.try_as_plain_ram()?.as_slice::<f32>()?.to_vec())
    }
}
