//! Lists cards and their capabilities, and selects the card to use.

use std::fmt::Write;

use alsa::card;
use alsa::ctl::Ctl;
use alsa::pcm::{HwParams, Info, PCM};

use super::alsa::{RATES, alsa_format, explain};
use super::convert::SampleFormat;

/// Kinds of card, in order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A USB sound card.
    Usb,
    /// A sound card on the expansion header, or any other built-in one.
    Hat,
    /// A display's audio.
    Hdmi,
    /// A Pi's headphone socket.
    Headphones,
    /// A virtual card (loopback, dummy): only used on request.
    Virtual,
}

impl Kind {
    /// Derives the kind from the driver's and the card's names.
    fn of(driver: &str, name: &str) -> Kind {
        let (driver, name) = (driver.to_lowercase(), name.to_lowercase());
        let either = |word: &str| driver.contains(word) || name.contains(word);
        if either("loopback") || either("dummy") {
            Kind::Virtual
        } else if either("usb") {
            Kind::Usb
        } else if either("hdmi") {
            Kind::Hdmi
        } else if either("headphones") || either("bcm2835") {
            Kind::Headphones
        } else {
            Kind::Hat
        }
    }

    /// Returns a description of the kind.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Usb => "USB",
            Kind::Hat => "HAT or built-in",
            Kind::Hdmi => "HDMI",
            Kind::Headphones => "headphones",
            Kind::Virtual => "virtual",
        }
    }
}

/// A playback device of a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The name to open it by: contains the card's id, which is stable, not its number, which is not.
    pub name: String,
    /// The card's own name.
    pub title: String,
    /// The port it is attached to, as far as the kernel reports it: distinguishes identical cards.
    pub path: String,
    /// The kind of card.
    pub kind: Kind,
}

/// Returns all playback devices, in order of preference.
pub fn list() -> Vec<Device> {
    crate::system::guard::may_block();
    let mut devices = Vec::new();
    for card in card::Iter::new().flatten() {
        let Ok(ctl) = Ctl::from_card(&card, true) else { continue };
        let Ok(info) = ctl.card_info() else { continue };
        let id = info.get_id().unwrap_or_default().to_string();
        let driver = info.get_driver().unwrap_or_default().to_string();
        let title = info.get_longname().unwrap_or_default().to_string();
        let kind = Kind::of(&driver, &title);
        let path = std::fs::canonicalize(format!("/sys/class/sound/card{}/device", card.get_index()))
            .map(|p| p.display().to_string())
            .unwrap_or_default();
        for number in alsa::ctl::DeviceIter::new(&ctl) {
            if number < 0 || ctl.pcm_info(number as u32, 0, alsa::Direction::Playback).is_err() {
                continue;
            }
            // A Pi's HDMI accepts only IEC958 frames on hw:, and ordinary samples through ALSA's hdmi: definition.
            let name = if kind == Kind::Hdmi {
                format!("hdmi:CARD={id},DEV={number}")
            } else {
                format!("hw:CARD={id},DEV={number}")
            };
            devices.push(Device { name, title: title.clone(), path: path.clone(), kind });
        }
    }
    devices.sort_by_key(|d| d.kind);
    devices
}

/// Returns the devices to try for a value of `--device`, best first.
///
/// A number is an index into [`list`] (from 0), any other text an ALSA name; without a value it is every real card in
/// order of preference, then ALSA's `default`.
pub fn resolve(wanted: Option<&str>) -> Vec<String> {
    match wanted {
        None | Some("") => {
            let mut names: Vec<String> =
                list().into_iter().filter(|d| d.kind != Kind::Virtual).map(|d| d.name).collect();
            names.push("default".into());
            names
        }
        Some(text) => match text.parse::<usize>() {
            Ok(number) => list().get(number).map(|d| vec![d.name.clone()]).unwrap_or_default(),
            Err(_) => vec![text.into()],
        },
    }
}

/// Returns the text printed by `grooved devices`.
pub fn table() -> String {
    let devices = list();
    let mut out = String::new();
    if devices.is_empty() {
        out.push_str("no sound cards (see /proc/asound/cards)\n");
    }
    for (number, device) in devices.iter().enumerate() {
        let _ = writeln!(out, "{number}  {}  ({})\n   {}", device.name, device.kind.name(), device.title);
        let _ = writeln!(out, "   {}", abilities(&device.name));
    }
    out.push_str(
        "\nUse --device with a number or a name from above, or any other ALSA name (default, plughw:…, null).\n",
    );
    out
}

fn abilities(name: &str) -> String {
    let pcm = match PCM::new(name, alsa::Direction::Playback, true) {
        Ok(pcm) => pcm,
        Err(error) => return explain(error.errno()),
    };
    let busy = pcm.info().as_ref().map(Info::get_subdevices_avail).unwrap_or(1) == 0;
    let Ok(params) = HwParams::any(&pcm) else { return "accepts no parameters".into() };
    let formats: Vec<&str> =
        SampleFormat::ALL.iter().filter(|f| params.test_format(alsa_format(**f)).is_ok()).map(|f| f.name()).collect();
    let rates: Vec<String> = RATES.iter().filter(|r| params.test_rate(**r).is_ok()).map(u32::to_string).collect();
    format!(
        "{}; {} Hz; {}–{} channels; periods of {}–{} frames, buffer up to {}{}",
        formats.join(" "),
        rates.join(" "),
        params.get_channels_min().unwrap_or(0),
        params.get_channels_max().unwrap_or(0),
        params.get_period_size_min().unwrap_or(0),
        params.get_period_size_max().unwrap_or(0),
        params.get_buffer_size_max().unwrap_or(0),
        if busy { "; in use" } else { "" }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_driver_and_name() {
        assert_eq!(Kind::of("USB-Audio", "Focusrite Scarlett"), Kind::Usb);
        assert_eq!(Kind::of("RPi-simple", "snd_rpi_hifiberry_dac"), Kind::Hat);
        assert_eq!(Kind::of("vc4-hdmi", "vc4-hdmi-0"), Kind::Hdmi);
        assert_eq!(Kind::of("bcm2835_headpho", "bcm2835 Headphones"), Kind::Headphones);
        assert_eq!(Kind::of("Loopback", "Loopback 1"), Kind::Virtual);
        assert!(Kind::Usb < Kind::Hat && Kind::Hat < Kind::Hdmi && Kind::Hdmi < Kind::Headphones);
    }

    #[test]
    fn a_name_is_taken_as_it_is() {
        assert_eq!(resolve(Some("plughw:CARD=x")), ["plughw:CARD=x"]);
        assert_eq!(resolve(None).last().map(String::as_str), Some("default"));
    }
}
