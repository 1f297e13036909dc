//! What an entry of the tables of optimisers yields.

/// Declares optimisers. An entry reads
///
/// ```text
/// /// What it does, its formula, its source.
/// Name(lr = usual rate, weight_decay = its default, where it is not 0) {
///     /// What the option does.
///     method(option: f64 = default, ...) in range;
///     method(option: bool = default);
/// }
/// state NameState(self, w) {
///     /// What it is.
///     name: Tensor<T> = its value before the first update of `w`,
/// }
/// largest_gradient = largest_square_root(); // where squares of gradients are kept
/// update(self, step, w, g, s) { one update of `w` by its gradient `g`, with the state `s` }
/// samples { optimisers that converge on a quadratic bowl, with most options set }
/// ```
///
/// and yields the type of the rule, its constructor `new`, a method of [`Optimizer`](crate::Optimizer) for each line of options,
/// which checks its arguments, the type of the state, the [`UpdateRule`](crate::UpdateRule), and the
/// [`BuiltIn`](crate::registry::BuiltIn) that the tests run over.
macro_rules! rules {
    ($(
        $(#[$doc:meta])*
        $name:ident(lr = $lr:literal $(, weight_decay = $decay:literal)?) {
            $(
                $(#[$option_doc:meta])*
                $method:ident($($option:ident: $kind:ty = $default:expr),+) $(in $range:expr)?;
            )*
        }
        state $state:ident($init_self:ident, $init_w:ident) {
            $($(#[$part_doc:meta])* $part:ident: $part_type:ty = $init:expr,)*
        }
        $(largest_gradient = $largest:expr;)?
        update($self:ident, $step:ident, $w:ident, $g:ident, $s:ident) $update:block
        samples { $($sample:expr),+ $(,)? }
    )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq)]
            pub struct $name {
                $($($option: $kind,)+)*
            }

            impl Default for $name {
                fn default() -> Self {
                    Self { $($($option: $default,)+)* }
                }
            }

            impl $name {
                #[doc = concat!("Creates the optimiser with learning rate `lr`; ", stringify!($lr), " is usual.")]
                $(#[doc = concat!("Weight decay is ", stringify!($decay), " by default.")])?
                ///
                /// # Panics
                /// When `lr` is negative or not finite.
                #[track_caller]
                pub fn new<T: Float>(lr: f64) -> Optimizer<Self, T> {
                    Optimizer::new(Self::default(), lr)$(.weight_decay($decay))?
                }
            }

            impl<T: Float> Optimizer<$name, T> {$(
                $(#[$option_doc])*
                ///
                #[doc = concat!("Default:" $(, " `", stringify!($option), " = ", stringify!($default), "`")+, ".")]
                $(
                    ///
                    /// # Panics
                    #[doc = concat!("When an argument is not a finite number in `", stringify!($range), "`.")]
                )?
                #[track_caller]
                pub fn $method(mut self $(, $option: $kind)+) -> Self {
                    rules!(@check ($($option),+) $($range)?);
                    $(self.rule.$option = $option;)+
                    self
                }
            )*}

            #[doc = concat!("What [`", stringify!($name), "`] remembers of a weight.")]
            #[derive(Clone, Debug, crate::RuleState)]
            pub struct $state<T: Float> {
                $($(#[$part_doc])* pub $part: $part_type,)*
            }

            #[gradus_tensor::compiled_once::compiled_once]
            impl<T: Float> UpdateRule<T> for $name {
                type State = $state<T>;

                fn name(&self) -> &'static str {
                    stringify!($name)
                }

                fn options(&self) -> Vec<(&'static str, f64)> {
                    vec![$($((stringify!($option), OptionValue::to_f64(self.$option)),)+)*]
                }

                $(fn largest_gradient(&self) -> Option<T> {
                    Some($largest)
                })?

                fn init(&$init_self, $init_w: &Tensor<T>) -> $state<T> {
                    $state { $($part: $init,)* }
                }

                fn update(&$self, $step: &Step, $w: &mut Tensor<T>, $g: &Tensor<T>, $s: &mut $state<T>) $update
            }

            impl BuiltIn for $name {
                const NAME: &'static str = stringify!($name);
                const LR: f64 = $lr;

                fn hyper_parameters() -> Vec<HyperParameter> {
                    let mut list = Vec::new();
                    $(list.extend(rules!(@describe $method ($($option: $kind = $default),+) $($range)?));)*
                    list
                }

                fn with(method: &str, value: f64) -> Optimizer<Self, f64> {
                    match method {
                        $(stringify!($method) => Self::new($lr).$method($(<$kind as OptionValue>::from_f64(value)),+),)*
                        _ => panic!("{} has no option {method} to be {value}", stringify!($name)),
                    }
                }

                fn samples<T: Float>() -> Vec<Sample<Self, T>> {
                    vec![$(Sample { code: stringify!($sample), make: || $sample },)+]
                }
            }
        )*

        /// Shows the rules of this table to `v`.
        pub(super) fn visit(v: &mut impl RuleVisitor) {
            $(v.rule::<$name>();)*
        }
    };
    (@check ($($option:ident),+)) => {};
    (@check ($($option:ident),+) $range:expr) => {
        $(assert_option(stringify!($option), $option, $range);)+
    };
    (@describe $method:ident ($($option:ident: $kind:ty = $default:expr),+)) => {
        [$(HyperParameter {
            name: stringify!($option),
            method: stringify!($method),
            default: OptionValue::to_f64($default),
            range: "true or false",
            accepts: |v| v == 0.0 || v == 1.0,
        }),+]
    };
    (@describe $method:ident ($($option:ident: $kind:ty = $default:expr),+) $range:expr) => {
        [$(HyperParameter {
            name: stringify!($option),
            method: stringify!($method),
            default: OptionValue::to_f64($default),
            range: stringify!($range),
            accepts: |v| v.is_finite() && std::ops::RangeBounds::<f64>::contains(&$range, &v),
        }),+]
    };
}
pub(super) use rules;

/// What an entry's code names.
pub(super) mod names {
    pub(crate) use crate::Optimizer;
    pub(crate) use crate::registry::{BuiltIn, HyperParameter, OptionValue, RuleVisitor, Sample};
    pub(crate) use crate::rule::{Step, UpdateRule, assert_option, ema, largest_square_root, zeros_like};
    pub(crate) use gradus_tensor::{Float, Tensor};
}
