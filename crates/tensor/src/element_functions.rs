//! What `once` is made of: the declarations of functions per element type, and the methods of the elements' traits that pick one.
//! Macros alone, so that the traits need nothing that stands above them.

macro_rules! functions {
    ($(#[$doc:meta])* $name:ident for $bound:ident $(, $other:ident)?) => {
        $(#[$doc])*
        #[doc(hidden)]
        pub trait $name {
            type A0<'a, 'b: 'a, T: $bound>;
            type A1<'a, 'b: 'a, T: $bound>;
            type A2<'a, 'b: 'a, T: $bound>;
            type A3<'a, 'b: 'a, T: $bound>;
            type A4<'a, 'b: 'a, T: $bound>;
            type A5<'a, 'b: 'a, T: $bound>;
            type A6<'a, 'b: 'a, T: $bound>;
            type A7<'a, 'b: 'a, T: $bound>;
            type Out<T: $bound>;
            functions!(@method f32, f32);
            functions!(@method f64, f64);
            $(
                #[allow(clippy::too_many_arguments)] // a method has so many, and this stands for all methods
                #[track_caller]
                fn $other<'a, 'b: 'a, T: $bound>(
                    a0: Self::A0<'a, 'b, T>, a1: Self::A1<'a, 'b, T>, a2: Self::A2<'a, 'b, T>, a3: Self::A3<'a, 'b, T>,
                    a4: Self::A4<'a, 'b, T>, a5: Self::A5<'a, 'b, T>, a6: Self::A6<'a, 'b, T>, a7: Self::A7<'a, 'b, T>,
                ) -> Self::Out<T>;
            )?
        }
    };
    (@method $f:ident, $t:ty) => {
        #[allow(clippy::too_many_arguments)] // a method has so many, and this stands for all methods
        #[track_caller]
        fn $f<'a, 'b: 'a>(
            a0: Self::A0<'a, 'b, $t>, a1: Self::A1<'a, 'b, $t>, a2: Self::A2<'a, 'b, $t>, a3: Self::A3<'a, 'b, $t>,
            a4: Self::A4<'a, 'b, $t>, a5: Self::A5<'a, 'b, $t>, a6: Self::A6<'a, 'b, $t>, a7: Self::A7<'a, 'b, $t>,
        ) -> Self::Out<$t>;
    };
}
pub(crate) use functions;

/// The method of an element's trait that picks the function for that element: declared without arguments, or defined by the name of
/// the function.
macro_rules! picks {
    ($functions:ident) => {
        /// The function for this type; see `gradus_tensor::compiled_once`.
        #[doc(hidden)]
        #[allow(clippy::too_many_arguments)] // a method has so many, and this stands for all methods
        #[track_caller]
        fn once<'a, 'b: 'a, F: $functions>(
            a0: F::A0<'a, 'b, Self>,
            a1: F::A1<'a, 'b, Self>,
            a2: F::A2<'a, 'b, Self>,
            a3: F::A3<'a, 'b, Self>,
            a4: F::A4<'a, 'b, Self>,
            a5: F::A5<'a, 'b, Self>,
            a6: F::A6<'a, 'b, Self>,
            a7: F::A7<'a, 'b, Self>,
        ) -> F::Out<Self>;
    };
    ($functions:ident, $f:ident) => {
        #[inline(always)]
        #[track_caller]
        fn once<'a, 'b: 'a, F: $functions>(
            a0: F::A0<'a, 'b, Self>,
            a1: F::A1<'a, 'b, Self>,
            a2: F::A2<'a, 'b, Self>,
            a3: F::A3<'a, 'b, Self>,
            a4: F::A4<'a, 'b, Self>,
            a5: F::A5<'a, 'b, Self>,
            a6: F::A6<'a, 'b, Self>,
            a7: F::A7<'a, 'b, Self>,
        ) -> F::Out<Self> {
            F::$f(a0, a1, a2, a3, a4, a5, a6, a7)
        }
    };
}
pub(crate) use picks;
