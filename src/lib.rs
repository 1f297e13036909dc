//! Automatic differentiation and deep learning on the CPU.
