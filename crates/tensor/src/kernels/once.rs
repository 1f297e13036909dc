//! Kernels that are much code, as functions of the element type: compiled once, in this crate. What is generic is compiled
//! anew in every crate that uses it, each instruction set of it.

use super::conv::{self, Geometry};
use super::epilogue::Epilogue;
use super::gemm::{self, Gemm};
use super::pool;
use super::recurrent::{self, Given, LstmKept};

macro_rules! kernels {
    ($($name:ident = $kernel:path, ($($arg:ident: $t:ty),*);)*) => {
        /// The kernels of an element type.
        pub trait Kernels: Sized {
            $(#[doc(hidden)] fn $name($($arg: $t),*);)*
        }
        kernels!(@impl f32 $($name = $kernel, ($($arg: $t),*);)*);
        kernels!(@impl f64 $($name = $kernel, ($($arg: $t),*);)*);
    };
    (@impl $float:ident $($name:ident = $kernel:path, ($($arg:ident: $t:ty),*);)*) => {
        impl Kernels for $float {
            $(fn $name($($arg: $t),*) { $kernel($($arg),*) })*
        }
    };
}

kernels! {
    product = gemm::product, (g: Gemm<'_, Self>, threads: bool);
    conv_forward = conv::forward, (g: &Geometry, x: &[Self], w: &[Self], end: Epilogue<'_, Self>, y: &mut [Self]);
    conv_input_grad = conv::input_grad, (g: &Geometry, gy: &[Self], w: &[Self], gx: &mut [Self]);
    conv_weight_grad = conv::weight_grad, (g: &Geometry, x: &[Self], gy: &[Self], gw: &mut [Self]);
    conv_grads = conv::grads, (g: &Geometry, given: [&[Self]; 3], gx: &mut [Self], gw: &mut [Self]);
    max_pool = pool::max, (g: &pool::Geometry, x: &[Self], y: &mut [Self], index: &mut [i32]);
    average_pool = pool::average, (g: &pool::Geometry, x: &[Self], y: &mut [Self]);
    average_pool_grad = pool::average_grad, (g: &pool::Geometry, gy: &[Self], gx: &mut [Self]);
    elman_forward = recurrent::elman_forward, (given: Given<'_, Self>, relu: bool, states: &mut [Self]);
    elman_backward = recurrent::elman_backward,
        (given: Given<'_, Self>, relu: bool, states: &[Self], gy: &[Self], out: [&mut [Self]; 3]);
    lstm_forward = recurrent::lstm_forward,
        (given: Given<'_, Self>, states: &mut [Self], memories: &mut [Self], gates: &mut [Self]);
    lstm_backward = recurrent::lstm_backward,
        (given: Given<'_, Self>, kept: LstmKept<'_, Self>, gy: &[Self], out: [&mut [Self]; 4]);
    gru_forward = recurrent::gru_forward, (given: Given<'_, Self>, bias: &[Self], states: &mut [Self], gates: &mut [Self]);
    gru_backward = recurrent::gru_backward, (given: Given<'_, Self>, kept: [&[Self]; 2], gy: &[Self], out: [&mut [Self]; 4]);
    gru_gates = recurrent::gru_gates, (hidden: usize, given: [&[Self]; 3], h: &mut [Self]);
    gru_gates_backward = recurrent::gru_gates_backward, (hidden: usize, given: [&[Self]; 3], out: [&mut [Self]; 3]);
}
