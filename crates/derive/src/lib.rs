//! The derives of Gradus: `Module` for layers and models, `RuleState` for what an optimiser remembers. And `#[compiled_once]`, by which
//! its crates compile what is generic over an element type where it is written.

mod compiled_once;
mod fields;
mod module;
mod rule_state;

use syn::{DeriveInput, Error, parse_macro_input};

/// Implements `gradus::Module` for a struct: every field is visited under its name (a tuple struct's under its
/// number). Fields must be modules themselves: parameters, buffers, layers, lists of those, or plain data.
///
/// - `#[module(skip)]` on a field leaves it out; for types that are no module.
/// - `#[module(flatten)]` on a field adds no name to the path.
/// - `#[module(name = "other")]` on a field gives its path another name.
///
/// The struct is generic over its element type by a parameter bounded by `Float`. Without one it is a module of `f32`, or
/// of `f64` when it says `#[module(f64)]` itself; or of every element type, when it holds nothing but numbers, booleans
/// and strings.
#[proc_macro_derive(Module, attributes(module))]
pub fn derive_module(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    module::expand(&input).unwrap_or_else(Error::into_compile_error).into()
}

/// Implements `gradus::RuleState` for a struct: what an optimiser's rule remembers of each weight.
///
/// Each field is saved under its name. A field is a `Tensor<T>`, an `Option` of one, or another state, whose tensors are
/// then named `field.name`. The element type `T` is the parameter bounded by `Float`; without one it is `f32`.
#[proc_macro_derive(RuleState)]
pub fn derive_rule_state(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    rule_state::expand(&input).unwrap_or_else(Error::into_compile_error).into()
}

/// On an `impl<T: Float> Type<T>` block (or `Num`, `Element`): compiles its methods for `f32` and `f64` in the crate that defines
/// them.
///
/// A generic function is compiled in every crate that uses it. Each method becomes a short one that hands its arguments to
/// [`Float::once`](../gradus_tensor/trait.Float.html), which picks a function that is not generic. The user's line (`#[track_caller]`) goes
/// along. Left alone are methods that say `#[inline]`, give out a borrow, or are generic over more than the element type. Arguments
/// that are `impl Axis`, `Axes`, `Dims`, `Into<_>` or `RangeBounds<usize>` arrive in the body as a type that holds all of these.
#[proc_macro_attribute]
pub fn compiled_once(_: proc_macro::TokenStream, input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = parse_macro_input!(input as syn::ItemImpl);
    compiled_once::expand(input).unwrap_or_else(Error::into_compile_error).into()
}
