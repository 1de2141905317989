//! A model file made ready, and at work: one step per hop, under tract.

use std::fmt;
use std::io::Read;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;

use super::contract::{Contract, ContractError, INPUTS, MOST_BYTES, OUTPUTS};

/// The largest tensor that a step may make: the recurrent weights of a GRU of 2048.
const MOST_ELEMENTS: usize = 3 * 2_048 * 2_048;

/// Why a file is no instrument.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// There is no such file, or it can't be read.
    #[error("Model file not found: {path}: {why}", path = path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: std::io::Error,
    },
    /// An older format that can be converted.
    #[error("{path} is a TensorFlow Lite model: python3 models/convert.py {path} makes an instrument of it", path = path.display())]
    TensorFlowLite {
        /// The file.
        path: PathBuf,
    },
    /// Larger than any instrument.
    #[error("{path} has {bytes} bytes, and {MOST_BYTES} at most would be right", path = path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// No ONNX at all.
    #[error("{path} is no ONNX model: a file that 'make model' or models/convert.py wrote would be right", path = path.display())]
    NoModel {
        /// The file.
        path: PathBuf,
    },
    /// It breaks the contract.
    #[error("{path} is no instrument: {why}", path = path.display())]
    Contract {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: ContractError,
    },
    /// The arithmetic in it can't be carried out.
    #[error("{path} can't be run: {why}", path = path.display())]
    Arithmetic {
        /// The file.
        path: PathBuf,
        /// What tract says.
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
    /// Reads and checks a file, and tries a step of it.
    ///
    /// Blocks for tens of milliseconds. Realtime: no.
    ///
    /// # Errors
    /// What is wrong with the file, in a line that names it.
    pub fn open(path: &Path) -> Result<Model, ModelError> {
        Model::read(&bytes_of(path)?, path)
    }

    /// The same for the content of a file; `path` is for messages.
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
        // A file may pass every check and still hold shapes that tract was never tried with.
        let made = std::panic::catch_unwind(AssertUnwindSafe(|| prepare(&onnx, &proto, &contract)));
        match made {
            Ok(Ok(model)) => Ok(model),
            Ok(Err(why)) => Err(arithmetic(first_line(&format!("{why:#}")))),
            Err(_) => Err(arithmetic("its shapes do not fit together".into())),
        }
    }

    /// Whether there is a file that may hold a model; it is read, and no more.
    ///
    /// # Errors
    /// As [`Model::open`] has them for a file that is missing or of another kind.
    pub fn look(path: &Path) -> Result<(), ModelError> {
        bytes_of(path).map(drop)
    }

    /// What the file says of itself.
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    /// A player of this instrument with a state of its own, at rest.
    ///
    /// # Errors
    /// In words, if tract finds no room.
    pub fn player(&self) -> TractResult<Player> {
        Ok(Player {
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
    // Products of what is in the file can be far larger than the file.
    let elements =
        |shape: Option<&[usize]>| shape.map_or(usize::MAX, |s| s.iter().fold(1, |n: usize, d| n.saturating_mul(*d)));
    let sizes = typed.nodes().iter().flat_map(|n| &n.outputs).map(|o| elements(o.fact.shape.as_concrete()));
    if let Some(size) = sizes.max().filter(|size| *size > MOST_ELEMENTS) {
        return Err(TractError::msg(format!(
            "it makes a tensor of {size} elements, and {MOST_ELEMENTS} at most would be right"
        )));
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
            return Err(TractError::msg("a step of it gives no finite numbers"));
        }
    }
    Ok(model)
}

/// One voice's use of a model, with a state of its own.
///
/// A step allocates: call it on a voice worker, never on the audio thread. Realtime: no.
pub struct Player {
    contract: Arc<Contract>,
    run: TypedSimpleState,
    state: TValue,
}

impl Player {
    /// One hop further. `pitch` is a MIDI number / 127, `loudness` is dBFS / 80 + 1; what is not finite counts as 0.
    /// Writes the share of each partial (their sum is 1) and the magnitude of each noise band, and returns the sum of
    /// all partials' amplitudes; all are linear.
    ///
    /// # Errors
    /// What tract says; a model that was opened does not come here.
    ///
    /// # Panics
    /// If the slices are not as long as the contract says.
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

    /// As it was at first.
    ///
    /// # Errors
    /// In words, if tract finds no room.
    pub fn reset(&mut self) -> TractResult<()> {
        self.state = Tensor::zero::<f32>(&[self.contract.state])?.into_tvalue();
        Ok(())
    }

    /// Copies the state out, for comparisons.
    ///
    /// # Errors
    /// What tract says.
    pub fn state(&self) -> TractResult<Vec<f32>> {
        Ok(self.state.try_as_plain_ram()?.as_slice::<f32>()?.to_vec())
    }
}
