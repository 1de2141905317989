//! Temperature and throttling of the machine, where the kernel exposes them.

use std::path::PathBuf;

/// File in which the firmware of a Pi reports throttling, as bits.
const PI_THROTTLED: &str = "/sys/devices/platform/soc/soc:firmware/get_throttled";

/// Throttling of the processor, and whether under-voltage is the cause; `None` where the kernel does not report it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throttling {
    /// Whether the processor is throttled, for any reason.
    pub throttled: Option<bool>,
    /// Whether the supply voltage is too low.
    pub under_voltage: Option<bool>,
}

fn read(path: impl Into<PathBuf>) -> Option<String> {
    Some(std::fs::read_to_string(path.into()).ok()?.trim().to_string())
}

/// Temperature of the processor in degrees Celsius.
pub fn temperature_celsius() -> Option<f64> {
    let milli: f64 = read("/sys/class/thermal/thermal_zone0/temp")?.parse().ok()?;
    Some(milli / 1000.0)
}

/// Current throttling and under-voltage.
pub fn throttling() -> Throttling {
    if let Some(bits) = read(PI_THROTTLED).and_then(|t| u32::from_str_radix(t.trim_start_matches("0x"), 16).ok()) {
        return of_bits(bits);
    }
    // Newer kernels report under-voltage as an alarm of a sensor named rpi_volt.
    let sensors = std::fs::read_dir("/sys/class/hwmon").into_iter().flatten().flatten();
    let volt = sensors.map(|e| e.path()).find(|p| read(p.join("name")).as_deref() == Some("rpi_volt"));
    let alarm = volt.and_then(|p| read(p.join("in0_lcrit_alarm"))).map(|a| a != "0");
    Throttling { throttled: None, under_voltage: alarm }
}

/// Decodes the firmware's bits: 0 under-voltage, 1 frequency capped, 2 throttled, 3 temperature limit.
fn of_bits(bits: u32) -> Throttling {
    Throttling { throttled: Some(bits & 0b1110 != 0), under_voltage: Some(bits & 1 != 0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_firmwares_bits_are_told_apart() {
        let told =
            |throttled, under_voltage| Throttling { throttled: Some(throttled), under_voltage: Some(under_voltage) };
        // The upper half reports what has occurred since boot, not the current state.
        assert_eq!(of_bits(0x50000), told(false, false));
        assert_eq!(of_bits(0x50005), told(true, true));
        assert_eq!(of_bits(0x8), told(true, false));
    }
}
