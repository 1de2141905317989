//! Sine and cosine as in Sun's fdlibm, which the JavaScript engine of the older service used.
//!
//! The C library and the crate `libm` round about one argument in a hundred differently. Networks amplify that, so the
//! original polynomials and the original argument reduction are written out here (Sun Microsystems, fdlibm 5.3:
//! `k_sin.c`, `k_cos.c`, `e_rem_pio2.c`). Beyond 2^19 * pi/2 the crate `libm` answers, within one unit in the last place.

#[allow(clippy::excessive_precision, clippy::unreadable_literal)]
const S: [f64; 6] = [
    -1.66666666666666324348e-01,
    8.33333333332248946124e-03,
    -1.98412698298579493134e-04,
    2.75573137070700676789e-06,
    -2.50507602534068634195e-08,
    1.58969099521155010221e-10,
];
#[allow(clippy::excessive_precision, clippy::unreadable_literal)]
const C: [f64; 6] = [
    4.16666666666666019037e-02,
    -1.38888888888741095749e-03,
    2.48015872894767294178e-05,
    -2.75573143513906633035e-07,
    2.08757232129817482790e-09,
    -1.13596475577881948265e-11,
];

/// The part of the bits that fdlibm compares: sign, exponent and the first 20 bits of the fraction.
fn high(x: f64) -> u32 {
    (x.to_bits() >> 32) as u32
}

fn kernel_sin(x: f64, y: f64) -> f64 {
    if high(x) & 0x7fff_ffff < 0x3e40_0000 {
        return x;
    }
    let z = x * x;
    let v = z * x;
    let r = S[1] + z * (S[2] + z * (S[3] + z * (S[4] + z * S[5])));
    if y == 0.0 { x + v * (S[0] + z * r) } else { x - ((z * (0.5 * y - v * r) - y) - v * S[0]) }
}

fn kernel_cos(x: f64, y: f64) -> f64 {
    let ix = high(x) & 0x7fff_ffff;
    if ix < 0x3e40_0000 {
        return 1.0;
    }
    let z = x * x;
    let r = z * (C[0] + z * (C[1] + z * (C[2] + z * (C[3] + z * (C[4] + z * C[5])))));
    if ix < 0x3fd3_3333 {
        return 1.0 - (0.5 * z - (z * r - x * y));
    }
    let qx = if ix > 0x3fe9_0000 { 0.28125 } else { f64::from_bits(u64::from(ix - 0x0020_0000) << 32) };
    let iz = 0.5 * z - qx;
    (1.0 - qx) - (iz - (z * r - x * y))
}

const PIO2_1: f64 = f64::from_bits(0x3FF9_21FB_5440_0000);
const PIO2_1T: f64 = f64::from_bits(0x3DD0_B461_1A62_6331);
const PIO2_2: f64 = f64::from_bits(0x3DD0_B461_1A60_0000);
const PIO2_2T: f64 = f64::from_bits(0x3BA3_198A_2E03_7073);
const PIO2_3: f64 = f64::from_bits(0x3BA3_198A_2E00_0000);
const PIO2_3T: f64 = f64::from_bits(0x397B_839A_2520_49C1);

/// The multiple of pi/2 nearest to `x` (modulo 4 it is the quadrant) and the rest in two parts; `None` for arguments
/// beyond 2^19 * pi/2.
fn reduce(x: f64) -> Option<(i32, f64, f64)> {
    let ix = high(x) & 0x7fff_ffff;
    let positive = x > 0.0;
    if ix < 0x4002_d97c {
        // Below 3/4 pi: one subtraction, with more digits close to pi/2.
        let z = if positive { x - PIO2_1 } else { x + PIO2_1 };
        let signed = |v: f64| if positive { v } else { -v };
        let (z, t) = if ix == 0x3ff9_21fb { (z - signed(PIO2_2), PIO2_2T) } else { (z, PIO2_1T) };
        let y0 = z - signed(t);
        return Some((if positive { 1 } else { -1 }, y0, (z - y0) - signed(t)));
    }
    if ix > 0x4139_21fb {
        return None;
    }
    let t = x.abs();
    let n = (t * std::f64::consts::FRAC_2_PI + 0.5) as i32;
    let count = f64::from(n);
    let (mut r, mut w) = (t - count * PIO2_1, count * PIO2_1T);
    let mut y0 = r - w;
    let close = n >= 32 || ix == high(count * std::f64::consts::FRAC_PI_2);
    if close {
        let exponent = (ix >> 20) as i32;
        let lost = |y: f64| exponent - ((high(y) >> 20) & 0x7ff) as i32;
        if lost(y0) > 16 {
            let t = r;
            w = count * PIO2_2;
            r = t - w;
            w = count * PIO2_2T - ((t - r) - w);
            y0 = r - w;
            if lost(y0) > 49 {
                let t = r;
                w = count * PIO2_3;
                r = t - w;
                w = count * PIO2_3T - ((t - r) - w);
                y0 = r - w;
            }
        }
    }
    let y1 = (r - y0) - w;
    Some(if positive { (n, y0, y1) } else { (-n, -y0, -y1) })
}

/// Sine of `x` in radians.
pub fn sin(x: f64) -> f64 {
    if high(x) & 0x7fff_ffff <= 0x3fe9_21fb {
        return kernel_sin(x, 0.0);
    }
    match reduce(x) {
        None => libm::sin(x),
        Some((n, y0, y1)) => match n & 3 {
            0 => kernel_sin(y0, y1),
            1 => kernel_cos(y0, y1),
            2 => -kernel_sin(y0, y1),
            _ => -kernel_cos(y0, y1),
        },
    }
}

/// Cosine of `x` in radians.
pub fn cos(x: f64) -> f64 {
    if high(x) & 0x7fff_ffff <= 0x3fe9_21fb {
        return kernel_cos(x, 0.0);
    }
    match reduce(x) {
        None => libm::cos(x),
        Some((n, y0, y1)) => match n & 3 {
            0 => kernel_cos(y0, y1),
            1 => -kernel_sin(y0, y1),
            2 => -kernel_cos(y0, y1),
            _ => kernel_sin(y0, y1),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sine_and_cosine_agree_with_the_platform_to_one_unit_in_the_last_place() {
        let mut seed = 1u64;
        for turn in 0..200_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let unit = (seed >> 11) as f64 / (1u64 << 53) as f64;
            let x = (unit - 0.5) * 10f64.powi(turn % 14 - 6);
            assert!((sin(x) - x.sin()).abs() <= 2.3e-16, "sin({x})");
            assert!((cos(x) - x.cos()).abs() <= 2.3e-16, "cos({x})");
        }
        for n in 1..64 {
            let x = f64::from(n) * std::f64::consts::FRAC_PI_2;
            assert!((sin(x) - x.sin()).abs() <= 2.3e-16 && (cos(x) - x.cos()).abs() <= 2.3e-16, "{n} * pi/2");
        }
        assert!(sin(f64::INFINITY).is_nan() && cos(f64::NAN).is_nan());
    }
}
