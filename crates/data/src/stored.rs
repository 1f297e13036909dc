//! How the elements of tensors lie in files.

use crate::error::DataError;
use gradus_tensor::{DType, Element, Float, Num, Tensor};
use std::any::Any;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

/// Runs the same expression on the tensor inside, whatever its type.
macro_rules! each {
    ($array:expr, $t:ident => $e:expr) => {
        match $array {
            $crate::stored::Array::F32($t) => $e,
            $crate::stored::Array::F64($t) => $e,
            $crate::stored::Array::I32($t) => $e,
            $crate::stored::Array::I64($t) => $e,
            $crate::stored::Array::U8($t) => $e,
            $crate::stored::Array::Bool($t) => $e,
        }
    };
}
pub(crate) use each;

/// The order of the bytes of a number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Endian {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

/// An [`Element`] as files store it. Implemented for every element type.
pub trait Stored: Element {
    /// Bytes an element takes in a file.
    #[doc(hidden)]
    const BYTES: usize;
    /// The elements in `bytes`, whose length is a multiple of [`Self::BYTES`].
    #[doc(hidden)]
    fn decode(bytes: Vec<u8>, order: Endian) -> Vec<Self>;
    /// Writes `values`.
    #[doc(hidden)]
    fn encode(values: &[Self], order: Endian, out: &mut dyn Write) -> io::Result<()>;
    #[doc(hidden)]
    fn wrap(tensor: Tensor<Self>) -> Array;
    #[doc(hidden)]
    fn unwrap(array: &Array) -> Option<&Tensor<Self>>;
}

/// A tensor of whatever element type a file turned out to hold.
///
/// ```
/// use gradus_data::Array;
/// use gradus_tensor::{DType, Tensor};
/// let array = Array::from(Tensor::from([1.0f32, 2.0]));
/// assert_eq!(array.dtype(), DType::F32);
/// assert_eq!(array.get::<f32>(), Some(Tensor::from([1.0, 2.0])));
/// assert_eq!(array.get::<i64>(), None);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Array {
    /// 32-bit floating point.
    F32(Tensor<f32>),
    /// 64-bit floating point.
    F64(Tensor<f64>),
    /// 32-bit signed integers.
    I32(Tensor<i32>),
    /// 64-bit signed integers.
    I64(Tensor<i64>),
    /// 8-bit unsigned integers.
    U8(Tensor<u8>),
    /// Truth values.
    Bool(Tensor<bool>),
}

impl Array {
    /// The type of the elements.
    pub fn dtype(&self) -> DType {
        each!(self, t => dtype_of(t))
    }

    /// The sizes of the axes.
    pub fn shape(&self) -> &gradus_tensor::Shape {
        each!(self, t => t.shape())
    }

    /// The tensor, if its elements are of type `T`; shares the buffer.
    pub fn get<T: Stored>(&self) -> Option<Tensor<T>> {
        T::unwrap(self).cloned()
    }

    /// A tensor of floats, by its own element type.
    ///
    /// ```
    /// # use gradus_data::Array;
    /// # use gradus_tensor::{DType, Tensor};
    /// assert_eq!(Array::of(&Tensor::from([1.0f64])).dtype(), DType::F64);
    /// ```
    pub fn of<T: Float>(tensor: &Tensor<T>) -> Self {
        let any: &dyn Any = tensor;
        match (any.downcast_ref::<Tensor<f32>>(), any.downcast_ref::<Tensor<f64>>()) {
            (Some(t), _) => Self::F32(t.clone()),
            (_, Some(t)) => Self::F64(t.clone()),
            _ => Self::F64(converted(tensor, Num::to_f64)),
        }
    }

    /// The numbers as floats of type `T`, rounded where `T` is coarser; truth values are 0 and 1. Shares the buffer when
    /// they are of type `T`. [`exact`](Self::exact) does not round.
    ///
    /// ```
    /// # use gradus_data::Array;
    /// # use gradus_tensor::Tensor;
    /// assert_eq!(Array::from(Tensor::from([3i64, -1])).cast::<f32>(), Tensor::from([3.0, -1.0]));
    /// ```
    pub fn cast<T: Float>(&self) -> Tensor<T> {
        let any: &dyn Any = each!(self, t => t);
        if let Some(same) = any.downcast_ref::<Tensor<T>>() {
            return same.clone();
        }
        match self {
            Self::F32(t) => converted(t, |v| T::from_f64(v.into())),
            Self::F64(t) => converted(t, T::from_f64),
            Self::I32(t) => converted(t, |v| T::from_f64(v.into())),
            Self::I64(t) => converted(t, |v| T::from_f64(v as f64)),
            Self::U8(t) => converted(t, |v| T::from_f64(v.into())),
            Self::Bool(t) => converted(t, |v| T::from_f64(u8::from(v).into())),
        }
    }
}

impl Array {
    /// The floats as floats of type `T`, if all of them keep their values. Shares the buffer when they are of type `T`.
    ///
    /// # Errors
    /// When the elements are integers or truth values, or some would be rounded: the message says which and how to convert
    /// them nevertheless.
    ///
    /// ```
    /// # use gradus_data::Array;
    /// # use gradus_tensor::Tensor;
    /// assert_eq!(Array::from(Tensor::from([0.5f64])).exact::<f32>(), Ok(Tensor::from([0.5])));
    /// assert!(Array::from(Tensor::from([0.1f64])).exact::<f32>().unwrap_err().contains("0.1 would become 0.10000000149"));
    /// assert!(Array::from(Tensor::from([3i64])).exact::<f32>().unwrap_err().contains("is i64"));
    /// ```
    pub fn exact<T: Float>(&self) -> Result<Tensor<T>, String> {
        let (is, wanted) = (type_name(self.dtype()), type_name(T::DTYPE));
        if !matches!(self, Self::F32(_) | Self::F64(_)) {
            return Err(format!("is {is}; expected {wanted} or another type of floats"));
        }
        let cast = self.cast::<T>();
        if let Self::F64(wide) = self {
            let differs = |(a, b): &(f64, f64)| a != b && !(a.is_nan() && b.is_nan());
            let pairs = wide.to_vec().into_iter().zip(cast.to_vec()).map(|(a, b)| (a, b.to_f64()));
            if let Some((value, rounded)) = pairs.into_iter().find(differs) {
                return Err(format!("is {is} and would lose digits as {wanted}: {value} would become {rounded}"));
            }
        }
        Ok(cast)
    }
}

fn converted<A: Element, B: Element>(from: &Tensor<A>, f: impl Fn(A) -> B) -> Tensor<B> {
    Tensor::from_vec(from.to_vec().into_iter().map(f).collect(), from.shape().clone())
}

fn dtype_of<T: Element>(_: &Tensor<T>) -> DType {
    T::DTYPE
}

impl<T: Stored> From<Tensor<T>> for Array {
    fn from(tensor: Tensor<T>) -> Self {
        T::wrap(tensor)
    }
}

impl<T: Stored> From<&Tensor<T>> for Array {
    fn from(tensor: &Tensor<T>) -> Self {
        T::wrap(tensor.clone())
    }
}

macro_rules! wrapping {
    ($variant:ident) => {
        fn wrap(tensor: Tensor<Self>) -> Array {
            Array::$variant(tensor)
        }
        fn unwrap(array: &Array) -> Option<&Tensor<Self>> {
            match array {
                Array::$variant(t) => Some(t),
                _ => None,
            }
        }
    };
}

macro_rules! numbers {
    ($($t:ty, $variant:ident);*) => {$(
        impl Stored for $t {
            const BYTES: usize = size_of::<$t>();

            fn decode(bytes: Vec<u8>, order: Endian) -> Vec<Self> {
                let (chunks, _) = bytes.as_chunks();
                match order {
                    Endian::Little => chunks.iter().map(|&b| <$t>::from_le_bytes(b)).collect(),
                    Endian::Big => chunks.iter().map(|&b| <$t>::from_be_bytes(b)).collect(),
                }
            }

            fn encode(values: &[Self], order: Endian, out: &mut dyn Write) -> io::Result<()> {
                values.iter().try_for_each(|v| match order {
                    Endian::Little => out.write_all(&v.to_le_bytes()),
                    Endian::Big => out.write_all(&v.to_be_bytes()),
                })
            }

            wrapping!($variant);
        }
    )*};
}
numbers!(f32, F32; f64, F64; i32, I32; i64, I64);

impl Stored for u8 {
    const BYTES: usize = 1;

    fn decode(bytes: Vec<u8>, _: Endian) -> Vec<Self> {
        bytes
    }

    fn encode(values: &[Self], _: Endian, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(values)
    }

    wrapping!(U8);
}

impl Stored for bool {
    const BYTES: usize = 1;

    fn decode(bytes: Vec<u8>, _: Endian) -> Vec<Self> {
        bytes.iter().map(|&b| b != 0).collect()
    }

    fn encode(values: &[Self], _: Endian, out: &mut dyn Write) -> io::Result<()> {
        values.iter().try_for_each(|&v| out.write_all(&[u8::from(v)]))
    }

    wrapping!(Bool);
}

/// An element type's name in Rust, for messages.
pub(crate) fn type_name(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "f32",
        DType::F64 => "f64",
        DType::I32 => "i32",
        DType::I64 => "i64",
        DType::U8 => "u8",
        DType::Bool => "bool",
    }
}

/// The entries of a file of weights as floats of type `T`, for a network that has a place for the names that `has` accepts.
///
/// Values keep their bits or are widened. Integers and truth values that the network has no place for are left out: they
/// count or index something, as PyTorch's `num_batches_tracked` does.
///
/// # Errors
/// When, without `rounding`, values would be rounded, or are integers where floats are expected: the message names the
/// entry and says how to convert it nevertheless.
///
/// ```
/// use gradus_data::{Array, state_for};
/// use gradus_tensor::Tensor;
/// use std::collections::BTreeMap;
/// let file = BTreeMap::from([
///     ("0.weight".to_string(), Array::from(Tensor::from([1.5f32]))),
///     ("1.num_batches_tracked".to_string(), Array::from(Tensor::from([7i64]))),
/// ]);
/// let state = state_for::<f64>("net.pth", &file, |name| name == "0.weight", false)?;
/// assert_eq!(state, BTreeMap::from([("0.weight".to_string(), Tensor::from([1.5]))]));
/// # Ok::<(), gradus_data::DataError>(())
/// ```
pub fn state_for<T: Float>(
    path: impl AsRef<Path>,
    arrays: &BTreeMap<String, Array>,
    has: impl Fn(&str) -> bool,
    rounding: bool,
) -> Result<BTreeMap<String, Tensor<T>>, DataError> {
    let counts =
        |name: &str, array: &Array| !matches!(array, Array::F32(_) | Array::F64(_)) || name.ends_with("num_batches_tracked");
    let kept = arrays.iter().filter(|(name, array)| has(name) || !counts(name, array));
    kept.map(|(name, array)| {
        let tensor = if rounding { Ok(array.cast()) } else { array.exact() };
        let wrong = |reason| {
            let how = "`models::Weights::allow_rounding` lets it be converted";
            DataError::in_file(&path, format!("tensor `{name}`"), format!("{reason}; {how}"))
        };
        Ok((name.clone(), tensor.map_err(wrong)?))
    })
    .collect()
}
