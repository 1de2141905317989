//! What a voice can play: a neural model, or a genome.

use super::model::Model;
use super::notes::GenomeInstrument;
use super::order::Card;
use super::sound::{Playable, Sound};

/// An instrument that has been opened. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Instrument {
    /// A model of an acoustic instrument.
    Neural(Model),
    /// An evolved sound.
    Genome(GenomeInstrument),
}

impl From<&Model> for Instrument {
    fn from(model: &Model) -> Instrument {
        Instrument::Neural(model.clone())
    }
}

impl From<&Instrument> for Instrument {
    fn from(instrument: &Instrument) -> Instrument {
        instrument.clone()
    }
}

impl Instrument {
    /// What it is called, without the folder of its file.
    pub fn title(&self) -> &str {
        match self {
            Instrument::Neural(model) => &model.contract().instrument,
            Instrument::Genome(genome) => genome.id(),
        }
    }

    /// Describes it, as it was asked for by `name`.
    pub fn card(&self, name: &str) -> Card {
        match self {
            Instrument::Neural(model) => {
                let c = model.contract();
                Card {
                    name: name.into(),
                    pitch_range: c.pitch_range,
                    loudness_range: c.loudness_range,
                    decibels: c.loudness_map.iter().map(|(played, told)| (*played, (told - 1.0) * 80.0)).collect(),
                    licence: c.licence.clone(),
                }
            }
            // Loudness is the linear gain: halving it is 6 dB.
            Instrument::Genome(_) => Card {
                name: name.into(),
                pitch_range: (0.0, 127.0),
                loudness_range: (-60.0, 0.0),
                decibels: (0..=60)
                    .rev()
                    .map(|below| (10f64.powf(f64::from(-below) / 20.0), f64::from(-below)))
                    .collect(),
                licence: String::new(),
            },
        }
    }
}

impl Playable for Instrument {
    fn sound(&self, sample_rate: u32, seed: u64) -> Result<(Box<dyn Sound>, usize), String> {
        match self {
            Instrument::Neural(model) => model.sound(sample_rate, seed),
            Instrument::Genome(genome) => genome.sound(sample_rate, seed),
        }
    }
}
