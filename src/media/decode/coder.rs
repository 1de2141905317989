//! A packet decoder for all supported codecs.

use std::panic::{AssertUnwindSafe, catch_unwind};

use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::packet::PacketRef;
use symphonia::core::units::{Duration, Timestamp};

use super::adpcm;
use super::error::DecodeError;
use super::mix::{Mix, View};
use super::plan::{Codec, Packet, Setup};
use super::vorbis::Lewton;

/// Maximum absolute sample value; float files may exceed full scale up to here.
const MOST_LEVEL: f32 = 64.0;

/// State of a decoder between packets.
enum State {
    /// None: every packet is independent.
    None,
    Ima(Vec<adpcm::Ima>),
    Symphonia(Box<dyn AudioDecoder>),
    Lewton(Box<Lewton>),
}

/// A decoder, with the downmix of its channels.
pub(super) struct Coder {
    setup: Setup,
    view: View,
    state: State,
    mix: Option<Mix>,
}

impl Coder {
    /// Creates the decoder.
    ///
    /// # Errors
    /// If the codec, or the variant of it, is not supported.
    pub fn new(setup: &Setup, view: View) -> Result<Coder, DecodeError> {
        let state = match &setup.codec {
            Codec::Symphonia(parameters) => {
                let options = AudioDecoderOptions::default();
                let made = symphonia::default::get_codecs().make_audio_decoder(parameters, &options);
                State::Symphonia(made.map_err(|error| match error {
                    SymphoniaError::Unsupported(what) => DecodeError::Unsupported(format!("codec: {what}")),
                    other => DecodeError::Damaged(other.to_string()),
                })?)
            }
            Codec::ImaApple => State::Ima(Vec::new()),
            Codec::Vorbis(vorbis) => State::Lewton(Box::new(Lewton::new(vorbis)?)),
            _ => State::None,
        };
        Ok(Coder { setup: setup.clone(), view, state, mix: None })
    }

    /// Resets the state, for a packet that does not follow the last one.
    pub fn reset(&mut self) {
        match &mut self.state {
            State::None => {}
            State::Ima(states) => states.clear(),
            State::Symphonia(decoder) => decoder.reset(),
            State::Lewton(decoder) => decoder.reset(),
        }
    }

    /// The downmix of the planes of the last packet.
    pub fn mix(&mut self) -> &Mix {
        let (setup, view) = (&self.setup, self.view);
        self.mix.get_or_insert_with(|| view.mix(setup.positions.as_ref(), setup.channels))
    }

    /// Decodes a packet into one plane per channel; returns `false`, with empty planes, if it is damaged.
    pub fn decode(&mut self, packet: &Packet, planes: &mut Vec<Vec<f32>>) -> bool {
        let channels = self.setup.channels;
        match &self.setup.codec {
            Codec::Pcm(sample) => sample.decode(&packet.data, channels, planes),
            Codec::ImaWav(frames) => adpcm::ima_wav(&packet.data, channels, *frames, planes),
            Codec::ImaApple => {
                let mut none = Vec::new();
                let states = if let State::Ima(states) = &mut self.state { states } else { &mut none };
                adpcm::ima_apple(&packet.data, channels, states, planes);
            }
            Codec::Ms(frames, table) => adpcm::ms(&packet.data, channels, *frames, table, planes),
            Codec::Vorbis(_) | Codec::Symphonia(_) => {
                // A decoder that panics on damaged data loses the packet, not the file.
                let decoded = catch_unwind(AssertUnwindSafe(|| self.decode_elsewhere(packet, planes)));
                if decoded.is_err()
                    && let Ok(anew) = Coder::new(&self.setup, self.view)
                {
                    self.state = anew.state;
                }
                if !decoded.unwrap_or(false) {
                    planes.iter_mut().for_each(Vec::clear);
                    return false;
                }
            }
        }
        // Float files can contain anything, and a single NaN would silence a filter for good.
        for sample in planes.iter_mut().flatten() {
            *sample = if sample.is_finite() { sample.clamp(-MOST_LEVEL, MOST_LEVEL) } else { 0.0 };
        }
        true
    }

    fn decode_elsewhere(&mut self, packet: &Packet, planes: &mut Vec<Vec<f32>>) -> bool {
        match &mut self.state {
            State::None | State::Ima(_) => false,
            State::Lewton(decoder) => decoder.decode(&packet.data, planes),
            State::Symphonia(decoder) => {
                let reference = PacketRef::new(0, Timestamp::new(0), Duration::new(0), &packet.data);
                let Ok(buffer) = decoder.decode_ref(&reference) else { return false };
                buffer.copy_to_vecs_planar(planes);
                if self.mix.as_ref().is_none_or(|mix| mix.len() != planes.len()) && !planes.is_empty() {
                    self.mix = Some(self.view.mix(Some(buffer.spec().channels()), planes.len()));
                }
                true
            }
        }
    }
}
