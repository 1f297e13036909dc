//! Keras' names and layouts of weights as PyTorch's, which are ours.

use gradus_data::{Array, Stored};
use gradus_tensor::Tensor;
use std::collections::BTreeMap;

type Arrays = BTreeMap<String, Array>;

/// All arrays under our names; or the one at fault, and what is wrong with it.
pub(crate) fn translated(arrays: Arrays) -> Result<Arrays, (String, String)> {
    // The layers' arrays by their last part, and their path, which may name the layer's class.
    let mut layers: BTreeMap<String, (String, Arrays)> = BTreeMap::new();
    // Integers are no weights: seeds and counters.
    for (name, array) in arrays.into_iter().filter(|(_, array)| matches!(array, Array::F32(_) | Array::F64(_))) {
        let (path, layer, kind) = {
            let mut parts = name.trim_end_matches(":0").rsplitn(3, '/');
            let (Some(kind), Some(layer)) = (parts.next(), parts.next()) else {
                return Err((name, "is not named LAYER/KIND, as Keras names its weights".into()));
            };
            (parts.next().unwrap_or_default().to_owned(), layer.to_owned(), kind.to_owned())
        };
        // The optimiser's state lies beside the weights.
        if path.split('/').next().is_some_and(|first| first == "optimizer" || first == "optimizer_weights")
            || layer == "optimizer"
        {
            continue;
        }
        let entry = layers.entry(layer).or_insert_with(|| (path, Arrays::new()));
        if entry.1.insert(kind, array).is_some() {
            return Err((name, "is a second one of its layer and kind".into()));
        }
    }
    let mut all = Arrays::new();
    for (layer, (path, arrays)) in layers {
        let arrays = named(&path, &layer, arrays).map_err(|reason| (layer.clone(), reason))?;
        let form = Form::of(&path, &layer, &arrays);
        for (kind, array) in arrays {
            let (kind, array) = convert(&kind, array, form).map_err(|reason| (format!("{layer}/{kind}"), reason))?;
            all.insert(format!("{layer}.{kind}"), array);
        }
    }
    Ok(all)
}

/// Numbered arrays under the names that Keras' layers give theirs, in the order in which it numbers them.
fn named(path: &str, layer: &str, arrays: Arrays) -> Result<Arrays, String> {
    if !arrays.keys().all(|kind| kind.parse::<usize>().is_ok()) {
        return Ok(arrays);
    }
    let mut ordered: Vec<(usize, Array)> = arrays.into_iter().filter_map(|(kind, a)| Some((kind.parse().ok()?, a))).collect();
    ordered.sort_by_key(|(number, _)| *number);
    let ranks: Vec<usize> = ordered.iter().map(|(_, array)| array.shape().len()).collect();
    let embedding = path.contains("embedding") || layer.contains("embedding");
    let kinds: &[&str] = match ranks[..] {
        [2] if embedding => &["embeddings"],
        [2..=5] => &["kernel"],
        [2..=5, 1] => &["kernel", "bias"],
        [4, 4] => &["depthwise_kernel", "pointwise_kernel"],
        [4, 4, 1] => &["depthwise_kernel", "pointwise_kernel", "bias"],
        [1, 1] => &["gamma", "beta"],
        [1, 1, 1, 1] => &["gamma", "beta", "moving_mean", "moving_variance"],
        _ => {
            let shapes: Vec<String> = ordered.iter().map(|(_, array)| array.shape().to_string()).collect();
            return Err(format!("has arrays of shapes {}, which no known layer has", shapes.join(", ")));
        }
    };
    Ok(kinds.iter().map(|k| (*k).to_owned()).zip(ordered.into_iter().map(|(_, array)| array)).collect())
}

/// What its arrays say of a layer.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Plain,
    /// Its `kernel` is `[KH, KW, C, multiplier]`.
    Depthwise,
    /// A depthwise convolution and one of 1 x 1.
    Separable,
}

impl Form {
    /// A depthwise kernel shows in the bias, which has a number for each of `C · multiplier` filters, or where that says
    /// nothing in the layer's name.
    fn of(path: &str, layer: &str, arrays: &Arrays) -> Self {
        if arrays.contains_key("pointwise_kernel") {
            return Self::Separable;
        }
        let Some([_, _, channels, last]) = arrays.get("kernel").map(|k| &k.shape()[..]) else { return Self::Plain };
        let depthwise = match arrays.get("bias").map(|b| b.shape().numel()) {
            Some(filters) if filters != *last => filters == channels * last,
            Some(_) if *channels != 1 => false,
            _ => path.contains("depthwise") || layer.contains("depthwise"),
        };
        if depthwise { Self::Depthwise } else { Self::Plain }
    }
}

/// What Keras calls `kind`, in our words and layout.
fn convert(kind: &str, array: Array, form: Form) -> Result<(&'static str, Array), String> {
    let shape = array.shape().to_vec();
    Ok(match kind {
        "kernel" if form == Form::Depthwise => ("weight", each_channel(&array)?),
        "kernel" => ("weight", kernel(&array)?),
        "depthwise_kernel" if form == Form::Separable => ("depthwise.weight", each_channel(&array)?),
        "depthwise_kernel" => ("weight", each_channel(&array)?),
        "pointwise_kernel" => ("pointwise.weight", kernel(&array)?),
        "bias" if form == Form::Separable => ("pointwise.bias", array),
        "bias" | "beta" => ("bias", array),
        "gamma" | "embeddings" => ("weight", array),
        "moving_mean" => ("running_mean", array),
        "moving_variance" => ("running_var", array),
        _ => {
            let known =
                "kernel, depthwise_kernel, pointwise_kernel, bias, gamma, beta, moving_mean, moving_variance or embeddings";
            return Err(format!("is a `{kind}` of shape {shape:?}; wanted {known}"));
        }
    })
}

/// `[.., in, out]` as `[out, in, ..]`.
fn kernel(array: &Array) -> Result<Array, String> {
    let shape = array.shape().to_vec();
    let order: &[usize] = match shape.len() {
        2 => &[1, 0],
        3 => &[2, 1, 0],
        4 => &[3, 2, 0, 1],
        5 => &[4, 3, 0, 1, 2],
        _ => return Err(format!("is a kernel of shape {shape:?}; wanted 2 to 5 axes")),
    };
    let new: Vec<usize> = order.iter().map(|&axis| shape[axis]).collect();
    Ok(relaid(array, &shape, order, &new))
}

/// `[KH, KW, C, multiplier]` as `[C · multiplier, 1, KH, KW]`.
fn each_channel(array: &Array) -> Result<Array, String> {
    let &[height, width, channels, multiplier] = &array.shape()[..] else {
        return Err(format!("is of shape {}; wanted [KH, KW, C, multiplier]", array.shape()));
    };
    Ok(relaid(array, array.shape(), &[2, 3, 0, 1], &[channels * multiplier, 1, height, width]))
}

/// The numbers seen as `from`, their axes in another order, then seen as `to`; of the type that they have.
pub(crate) fn relaid(array: &Array, from: &[usize], order: &[usize], to: &[usize]) -> Array {
    fn of<T: Stored>(tensor: &Tensor<T>, from: &[usize], order: &[usize], to: &[usize]) -> Array {
        tensor.reshape(from).permute(order).reshape(to).into()
    }
    match array {
        Array::F32(tensor) => of(tensor, from, order, to),
        Array::F64(tensor) => of(tensor, from, order, to),
        Array::I32(tensor) => of(tensor, from, order, to),
        Array::I64(tensor) => of(tensor, from, order, to),
        Array::U8(tensor) => of(tensor, from, order, to),
        Array::Bool(tensor) => of(tensor, from, order, to),
    }
}
