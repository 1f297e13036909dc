//! Weights from files, and how their names and layouts become those of a network here.

use crate::keras;
use gradus_autograd::Module;
use gradus_data::{Array, DataError, MemoryLimit, safetensors, state_for};
#[cfg(feature = "zip")]
use gradus_data::{npz::Npz, pth};
use gradus_tensor::Float;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Named arrays from a file, on their way into a network.
///
/// ```no_run
/// use gradus_models::{ResNet18, Weights};
/// use gradus_tensor::Rng;
/// let mut net = ResNet18::new::<f32>(10, &mut Rng::seed(0));
/// // The base of a network that was trained elsewhere; its classifier is left alone.
/// Weights::open("mine.pth")?.within("features")?.load(&mut net.features)?;
/// # Ok::<(), gradus_data::DataError>(())
/// ```
#[derive(Clone)]
pub struct Weights {
    path: PathBuf,
    arrays: BTreeMap<String, Array>,
    /// Whether values may be rounded to the network's type.
    rounding: bool,
}

impl fmt::Debug for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.path.display())?;
        self.arrays.iter().try_for_each(|(name, array)| writeln!(f, "  {name} {}", array.shape()))
    }
}

impl Weights {
    /// Reads a file by its extension: `.safetensors`; with the feature `zip`, which is on by default, PyTorch's `.pth`, `.pt`
    /// and `.bin` and NumPy's `.npz`; and with the feature `hdf5` Keras' `.h5` and `.keras`.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged, asks for more memory than is plausible, or has another extension.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, DataError> {
        Self::open_with(path, MemoryLimit::default())
    }

    /// [`open`](Self::open) with a custom limit on the memory that it takes.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    #[cfg_attr(not(feature = "zip"), expect(unused_variables, reason = "safetensors files cannot unpack"))]
    pub fn open_with(path: impl AsRef<Path>, limit: MemoryLimit) -> Result<Self, DataError> {
        let path = path.as_ref();
        let extension = path.extension().map(|e| e.to_ascii_lowercase());
        let arrays = match extension.as_ref().and_then(|e| e.to_str()) {
            #[cfg(feature = "zip")]
            Some("pth" | "pt" | "bin") => pth::read_with(path, limit)?,
            Some("safetensors") => safetensors::read(path)?.0,
            #[cfg(feature = "zip")]
            Some("npz") => Npz::open_with(path, limit)?.read_all()?,
            #[cfg(feature = "hdf5")]
            Some("h5" | "hdf5" | "keras") => gradus_data::hdf5::read_with(path, limit)?,
            _ => {
                return Err(DataError::in_file(
                    path,
                    "",
                    "expected .safetensors, .npz, .pth, .pt or .bin (with the feature `zip`), .h5 or .keras (with the feature `hdf5`)",
                ));
            }
        };
        Ok(Self { path: path.to_owned(), arrays, rounding: false })
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.arrays.keys().map(String::as_str)
    }

    /// The array of a name.
    pub fn get(&self, name: &str) -> Option<&Array> {
        self.arrays.get(name)
    }

    /// Under other names; those for which `f` gives none are left out.
    ///
    /// # Errors
    /// When two arrays would have the same name.
    pub fn rename(mut self, mut f: impl FnMut(&str) -> Option<String>) -> Result<Self, DataError> {
        let mut arrays = BTreeMap::new();
        let mut first = BTreeMap::new();
        for (name, array) in std::mem::take(&mut self.arrays) {
            let Some(new) = f(&name) else { continue };
            if let Some(other) = first.insert(new.clone(), name.clone()) {
                return Err(DataError::in_file(&self.path, "", format!("`{other}` and `{name}` would both be `{new}`")));
            }
            arrays.insert(new, array);
        }
        Ok(Self { arrays, ..self })
    }

    /// What lies under `prefix` alone, named from there: `features.0.weight` within `features` is `0.weight`.
    ///
    /// # Errors
    /// When there is nothing.
    pub fn within(self, prefix: &str) -> Result<Self, DataError> {
        let path = self.path.clone();
        let inner = self.rename(|name| Some(name.strip_prefix(prefix)?.strip_prefix('.')?.to_owned()))?;
        if inner.arrays.is_empty() {
            return Err(DataError::in_file(path, "", format!("there are no weights under `{prefix}.`")));
        }
        Ok(inner)
    }

    /// Keras' names and layouts (`conv1/kernel`, `[KH, KW, C, F]`; a dense layer's `[in, out]`) as PyTorch's and ours
    /// (`conv1.weight`, `[F, C, KH, KW]`; `[out, in]`). Batch normalisations' `gamma`, `beta`, `moving_mean` and
    /// `moving_variance` become `weight`, `bias`, `running_mean` and `running_var`. Of longer paths the last two parts count.
    /// Files of Keras 3 number a layer's arrays (`conv1/0`); their kinds are told by their shapes. Integers, such as the seeds
    /// of dropout layers, are no weights and are left out.
    ///
    /// # Errors
    /// When an array is of no known name, or its shape is not that of its kind.
    pub fn from_keras(mut self) -> Result<Self, DataError> {
        let arrays = keras::translated(std::mem::take(&mut self.arrays))
            .map_err(|(name, reason)| DataError::in_file(&self.path, format!("array `{name}`"), reason))?;
        Ok(Self { arrays, ..self })
    }

    /// Reorders the inputs of a dense layer `[out, H · W · C]` that follows a flattened map, from Keras' order, channels
    /// last, to `[out, C · H · W]`. Nothing happens when there is no such array.
    ///
    /// # Errors
    /// When the layer has another number of inputs.
    pub fn unflatten(mut self, name: &str, [channels, height, width]: [usize; 3]) -> Result<Self, DataError> {
        if let Some(array) = self.arrays.get_mut(name) {
            let inputs = channels * height * width;
            let out = match array.shape()[..] {
                [out, found] if found == inputs => out,
                _ => {
                    let reason = format!("has shape {}; wanted [out, {inputs}]", array.shape());
                    return Err(DataError::in_file(&self.path, format!("array `{name}`"), reason));
                }
            };
            *array = keras::relaid(array, &[out, height, width, channels], &[0, 3, 1, 2], &[out, inputs]);
        }
        Ok(self)
    }

    /// Lets [`load`](Self::load) round values to the network's element type: `f64` to `f32`, integers to floats.
    #[must_use]
    pub fn allow_rounding(self) -> Self {
        Self { rounding: true, ..self }
    }

    /// Sets the parameters and buffers of a network, or of a part of one.
    ///
    /// Values keep their bits or are widened. Integers that the network has no place for are passed over, such as the
    /// counters `num_batches_tracked` of PyTorch's batch normalisations.
    ///
    /// # Errors
    /// When entries are missing, left over or mis-shaped: all are named, and the network is left as it was. When values would
    /// be rounded, as those of an `f64` file in a network of `f32`, or are integers where floats are expected, unless
    /// [`allow_rounding`](Self::allow_rounding) was called.
    #[doc(alias = "load_weights")]
    pub fn load<T: Float, M: Module<T>>(&self, module: &mut M) -> Result<(), DataError> {
        let places = module.state_dict();
        let state = state_for(&self.path, &self.arrays, |name| places.contains_key(name), self.rounding)?;
        module.load_state_dict(&state).map_err(|e| DataError::in_file(&self.path, "", e.to_string()))
    }
}
