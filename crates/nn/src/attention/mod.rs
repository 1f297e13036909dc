//! Attention: reading from a memory what a query asks for.

mod multi_head;
mod scores;
mod softmax;

pub use multi_head::MultiHeadAttention;
pub use scores::{AdditiveAttention, Attention, BilinearAttention, DotAttention};
pub use softmax::{causal_mask, scaled_dot_product_attention};
