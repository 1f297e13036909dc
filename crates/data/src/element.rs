//! The types of elements that files hold, and what becomes of them here.

use crate::stored::{Array, Endian, Stored};
use gradus_tensor::{DType, Tensor};

/// A type of elements in a file. Half precision is widened to `f32`, integers to the next size that holds them all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ElementType {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U32,
    U16,
    U8,
    Bool,
}

impl ElementType {
    /// The type that holds the elements of `dtype` as they are.
    pub fn of(dtype: DType) -> Self {
        match dtype {
            DType::F64 => Self::F64,
            DType::F32 => Self::F32,
            DType::I64 => Self::I64,
            DType::I32 => Self::I32,
            DType::U8 => Self::U8,
            DType::Bool => Self::Bool,
        }
    }

    /// Bytes an element takes in the file.
    pub fn bytes(self) -> u64 {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// The type that the elements have here.
    pub fn dtype(self) -> DType {
        match self {
            Self::F64 => DType::F64,
            Self::F32 | Self::F16 | Self::BF16 => DType::F32,
            Self::I64 | Self::U32 => DType::I64,
            Self::I32 | Self::I16 | Self::I8 | Self::U16 => DType::I32,
            Self::U8 => DType::U8,
            Self::Bool => DType::Bool,
        }
    }

    /// Bytes an element takes here.
    pub fn bytes_here(self) -> u64 {
        match self.dtype() {
            DType::F64 | DType::I64 => 8,
            DType::F32 | DType::I32 => 4,
            DType::U8 | DType::Bool => 1,
        }
    }

    /// The elements in `bytes`, in one row.
    pub fn decode(self, bytes: Vec<u8>, order: Endian) -> Array {
        fn flat<T: Stored>(values: Vec<T>) -> Array {
            let n = values.len();
            Tensor::from_vec(values, [n]).into()
        }
        let words = || {
            let word = if order == Endian::Little { u16::from_le_bytes } else { u16::from_be_bytes };
            bytes.as_chunks().0.iter().map(move |&b| word(b))
        };
        match self {
            Self::F64 => flat(f64::decode(bytes, order)),
            Self::F32 => flat(f32::decode(bytes, order)),
            Self::F16 => flat(words().map(f32_of_f16).collect()),
            Self::BF16 => flat(words().map(f32_of_bf16).collect()),
            Self::I64 => flat(i64::decode(bytes, order)),
            Self::I32 => flat(i32::decode(bytes, order)),
            Self::I16 => flat(words().map(|w| i32::from(w.cast_signed())).collect()),
            Self::I8 => flat(bytes.iter().map(|b| i32::from(b.cast_signed())).collect()),
            Self::U32 => {
                let word = if order == Endian::Little { u32::from_le_bytes } else { u32::from_be_bytes };
                flat(bytes.as_chunks().0.iter().map(|&b| i64::from(word(b))).collect())
            }
            Self::U16 => flat(words().map(i32::from).collect()),
            Self::U8 => flat(bytes),
            Self::Bool => flat(bool::decode(bytes, order)),
        }
    }
}

/// The number of half precision (IEEE 754 binary16) with these bits. A NaN becomes a quiet one.
fn f32_of_f16(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let (exponent, mantissa) = (u32::from(bits >> 10) & 0x1F, u32::from(bits & 0x3FF));
    let magnitude = match (exponent, mantissa) {
        // Zero and subnormal numbers: multiples of 2⁻²⁴.
        (0, _) => (mantissa as f32 / (1u32 << 24) as f32).to_bits(),
        (0x1F, 0) => f32::INFINITY.to_bits(),
        (0x1F, _) => 0x7FC0_0000 | (mantissa << 13),
        _ => ((exponent + (127 - 15)) << 23) | (mantissa << 13),
    };
    f32::from_bits(sign | magnitude)
}

/// The `bfloat16` with these bits, the upper half of an `f32`. A NaN becomes a quiet one.
fn f32_of_bf16(bits: u16) -> f32 {
    let quiet = if bits & 0x7FFF > 0x7F80 { 0x40 } else { 0 };
    f32::from_bits(u32::from(bits | quiet) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_is_widened_as_the_half_library_widens_it() {
        for bits in 0..=u16::MAX {
            assert_eq!(f32_of_f16(bits).to_bits(), half::f16::from_bits(bits).to_f32().to_bits(), "f16 {bits:#06x}");
            assert_eq!(f32_of_bf16(bits).to_bits(), half::bf16::from_bits(bits).to_f32().to_bits(), "bf16 {bits:#06x}");
        }
    }
}
