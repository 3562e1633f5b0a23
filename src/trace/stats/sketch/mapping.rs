//! The bins of other sketches: which values a bin of theirs holds.

use super::GAMMA;

/// Bins that are wider or narrower than this can't be of use for latencies, and would take long to go through.
const GAMMA_RANGE: std::ops::RangeInclusive<f64> = 1.0001..=2.0;

/// How the bounds between powers of γ are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interpolation {
    /// By a logarithm.
    None,
    /// The logarithm of 2 of a value is its exponent and, for the rest, its mantissa less 1.
    Linear,
    /// As linear, the mantissa taken by a polynomial of the third degree.
    Cubic,
}

/// The bounds of bins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mapping {
    gamma: f64,
    offset: f64,
    interpolation: Interpolation,
}

impl Mapping {
    /// The mapping that the agent uses.
    pub(super) const OWN: Self =
        Self { gamma: GAMMA, offset: 0.0, interpolation: Interpolation::None };

    /// The mapping with these parameters (`interpolation` is the number of the protobuf enumeration), if it is one that is known and sane.
    pub(super) fn new(gamma: f64, offset: f64, interpolation: u64) -> Option<Self> {
        let interpolation = match interpolation {
            0 => Interpolation::None,
            1 => Interpolation::Linear,
            3 => Interpolation::Cubic,
            _ => return None,
        };
        (GAMMA_RANGE.contains(&gamma) && offset.abs() < 1e9).then_some(Self {
            gamma,
            offset,
            interpolation,
        })
    }

    /// Whether the bins are the agent's own.
    pub(super) fn is_own(&self) -> bool {
        self.interpolation == Interpolation::None
            && (self.gamma - GAMMA).abs() < 1e-12
            && self.offset.abs() < 1e-12
    }

    /// The lowest value of a bin. May be 0 or infinite for bins that no latency falls into.
    pub(super) fn lower_bound(&self, bin: i32) -> f64 {
        let bins = f64::from(bin) - self.offset;
        match self.interpolation {
            Interpolation::None => (bins * self.gamma.ln()).exp(),
            Interpolation::Linear => {
                let log = bins * self.gamma.log2();
                (1.0 + log - log.floor()) * log.floor().exp2()
            }
            Interpolation::Cubic => {
                let log = bins * self.gamma.log2();
                (1.0 + inverse_cubic(log - log.floor())) * log.floor().exp2()
            }
        }
    }

    /// The agent's own bin for a value. Within ±36,000 for every value that is not 0 or infinite.
    pub(super) fn own_bin(value: f64) -> i32 {
        #[expect(clippy::cast_possible_truncation, reason = "the cast saturates")]
        let bin = (value.ln() / GAMMA.ln()).floor() as i32;
        bin
    }
}

/// The mantissa less 1 whose polynomial is `rest`, both in 0..1. The polynomial ascends, so halving finds it.
fn inverse_cubic(rest: f64) -> f64 {
    const A: f64 = 6.0 / 35.0;
    const B: f64 = -3.0 / 5.0;
    const C: f64 = 10.0 / 7.0;
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..52 {
        let middle: f64 = (low + high) / 2.0;
        if ((A * middle + B) * middle + C) * middle < rest {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + high) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_the_values_of_a_bin() {
        // What the Java tracer sends: 1,358,177 ns are in bin 1298.
        let java = Mapping::new(f64::from_bits(0x3ff0_2c9a_3e77_8061), 0.0, 1).unwrap();
        assert!(java.lower_bound(1298) <= 1_358_177.0 && 1_358_177.0 < java.lower_bound(1299));
        // What the Rust library sends: γ 1.015625, offset 1338.5.
        let rust = Mapping::new(1.015_625, 1338.5, 0).unwrap();
        assert!(rust.lower_bound(2231) < 1_034_584.0 && 1_034_584.0 < rust.lower_bound(2232));
        assert!((Mapping::OWN.lower_bound(690) - 985_062.162_797).abs() < 1e-3);
        let cubic = Mapping::new(1.02, 0.0, 3).unwrap();
        for bin in [-100, 0, 1, 700] {
            let ratio = cubic.lower_bound(bin + 1) / cubic.lower_bound(bin);
            assert!((1.01..1.03).contains(&ratio), "{ratio}");
        }
    }

    #[test]
    fn what_is_not_a_mapping_is_refused() {
        for (gamma, offset, interpolation) in [
            (1.0, 0.0, 0),
            (f64::NAN, 0.0, 0),
            (f64::INFINITY, 0.0, 0),
            (3.0, 0.0, 0),
            (1.02, f64::NAN, 0),
            (1.02, 0.0, 2),
            (0.0, 0.0, 0),
        ] {
            assert_eq!(Mapping::new(gamma, offset, interpolation), None);
        }
    }
}
