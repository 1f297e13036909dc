//! What the checker knows of what it checks.

use crate::array::Array;

/// A function of arrays, and what its author claims its derivatives are. The checker sees any framework's code
/// through this trait.
///
/// A method gives `Err`, with the message, where the framework refused or panicked.
///
/// ```
/// use gradus_check::{Array, Checker, Function};
/// /// x³, with the wrong derivative 2x².
/// struct Cube;
/// impl Function for Cube {
///     fn value(&self, x: &[Array]) -> Result<Array, String> {
///         Ok(Array::new(x[0].shape(), x[0].data().iter().map(|v| v.powi(3)).collect()))
///     }
///     fn vjp(&self, x: &[Array], gy: &Array) -> Result<Vec<Array>, String> {
///         let gx = x[0].data().iter().zip(gy.data()).map(|(v, g)| 2.0 * v * v * g).collect();
///         Ok(vec![Array::new(x[0].shape(), gx)])
///     }
/// }
/// let failure = Checker::new().check(&Cube, &[Array::new([2], vec![1.0, 0.5])]).unwrap_err();
/// assert_eq!(failure.report().failures()[0].input, 0);
/// ```
pub trait Function {
    /// The result.
    ///
    /// # Errors
    /// Where the function does not take these inputs.
    fn value(&self, inputs: &[Array]) -> Result<Array, String>;

    /// The claimed vector-Jacobian product: for each input, `Σ gyᵢ ∂yᵢ/∂x`, of the input's shape.
    ///
    /// # Errors
    /// Where the function does not take these inputs, or its derivative is not to be had.
    fn vjp(&self, inputs: &[Array], gy: &Array) -> Result<Vec<Array>, String>;

    /// The claimed Jacobian-vector product `Σ ∂y/∂xᵢ tᵢ`, of the result's shape; `None` without forward mode.
    fn jvp(&self, _inputs: &[Array], _tangents: &[Array]) -> Option<Result<Array, String>> {
        None
    }

    /// The claimed vector-Jacobian product of the map `(inputs, gy) -> vjp(inputs, gy)`, for a gradient with respect to
    /// each of the arrays that it gives: those of the inputs, then that of `gy`. `None` without second derivatives.
    fn vjp_of_vjp(&self, _inputs: &[Array], _gy: &Array, _w: &[Array]) -> Option<Result<Vec<Array>, String>> {
        None
    }

    /// The claimed Jacobian-vector product of the map `(inputs, gy) -> vjp(inputs, gy)`: forward over reverse. The last
    /// tangent is that of `gy`. `None` without forward mode over reverse mode.
    fn jvp_of_vjp(&self, _inputs: &[Array], _gy: &Array, _tangents: &[Array]) -> Option<Result<Vec<Array>, String>> {
        None
    }

    /// For a function of one element at a time: its value and derivative at one number by dual numbers through the
    /// forward formula, which know nothing of the claimed derivative. `None` for any other function.
    fn dual(&self, _x: f64) -> Option<(f64, f64)> {
        None
    }

    /// What to call it in the report.
    fn name(&self) -> String {
        "function".into()
    }

    /// The user's line, as `file:line:column`.
    fn location(&self) -> Option<String> {
        None
    }

    /// The name of an input in the report, such as a parameter's path.
    fn input_name(&self, input: usize) -> String {
        format!("input {input}")
    }

    /// Which step of the function has the wrong derivative of this order, when that can be told: `` `cube` at src/f.rs:10 ``. Asked of
    /// a function whose derivatives are wrong at these inputs.
    fn culprit(&self, _inputs: &[Array], _order: usize) -> Option<String> {
        None
    }

    /// A test, ready to paste, that fails as this function fails at these inputs.
    fn test(&self, _inputs: &[Array], _seed: u64) -> Option<String> {
        None
    }
}

/// The map `(inputs, gy) -> vjp(inputs, gy)` as a function of its own: its first derivatives are the second derivatives
/// of `f`. Its result is all gradients, one after the other.
pub(crate) struct Pullback<'a> {
    pub f: &'a dyn Function,
}

/// All elements, one array after the other, as one array of rank 1.
pub(crate) fn joined(arrays: &[Array]) -> Array {
    let data: Vec<f64> = arrays.iter().flat_map(|a| a.data().iter().copied()).collect();
    Array::new([data.len()], data)
}

impl Function for Pullback<'_> {
    fn value(&self, inputs: &[Array]) -> Result<Array, String> {
        let (gy, xs) = inputs.split_last().expect("the inputs and gy");
        Ok(joined(&self.f.vjp(xs, gy)?))
    }

    fn vjp(&self, inputs: &[Array], w: &Array) -> Result<Vec<Array>, String> {
        let (gy, xs) = inputs.split_last().expect("the inputs and gy");
        let mut rest = w.data();
        let parts = xs.iter().map(|x| {
            let (part, after) = rest.split_at(x.len());
            rest = after;
            x.with_data(part.to_vec())
        });
        let parts: Vec<Array> = parts.collect();
        self.f.vjp_of_vjp(xs, gy, &parts).unwrap_or_else(|| Err("no second derivatives".into()))
    }

    fn jvp(&self, inputs: &[Array], tangents: &[Array]) -> Option<Result<Array, String>> {
        let (gy, xs) = inputs.split_last().expect("the inputs and gy");
        let forward_over_reverse = self.f.jvp_of_vjp(xs, gy, tangents)?;
        Some(forward_over_reverse.map(|parts| joined(&parts)))
    }

    fn name(&self) -> String {
        format!("the gradient of {}", self.f.name())
    }

    fn location(&self) -> Option<String> {
        self.f.location()
    }

    fn input_name(&self, input: usize) -> String {
        self.f.input_name(input)
    }
}
