//! Attention, alone and in an encoder.

use super::step::{both_passes, layer, train};
use super::{Bench, normal};
use gradus::nn::{MultiHeadAttention, scaled_dot_product_attention};
use gradus::prelude::*;

pub fn bench(b: &Bench) {
    b.run("c_sdpa_T512", |rng| {
        let xs = [(); 3].map(|()| normal([4, 8, 512, 32], rng));
        both_passes(|[q, k, v]| scaled_dot_product_attention(q, k, v, None), xs, rng)
    });
    b.run("c_mha_T512", |rng| layer(MultiHeadAttention::new(256, 8, rng), normal([4, 512, 256], rng), rng));
    b.run("c_encoder", |rng| {
        let (x, y) = (normal([16, 128, 128], rng), Tensor::randint([16], 0, 10, rng));
        let blocks = vec![EncoderBlock::new(128, 4, 512, rng), EncoderBlock::new(128, 4, 512, rng)];
        train(Encoder { blocks, head: Linear::new(128, 10, rng) }, AdamW::new(1e-3), x, y, rng.split())
    });
}

/// Attention and a feed-forward network with GELU, each added to its input and then normalised (Vaswani et al. 2017).
#[derive(Module)]
struct EncoderBlock {
    attention: MultiHeadAttention,
    norm1: LayerNorm,
    linear1: Linear,
    linear2: Linear,
    norm2: LayerNorm,
}

impl EncoderBlock {
    fn new(width: usize, heads: usize, hidden: usize, rng: &mut Rng) -> Self {
        Self {
            attention: MultiHeadAttention::new(width, heads, rng),
            norm1: LayerNorm::new([width]),
            linear1: Linear::new(width, hidden, rng),
            linear2: Linear::new(hidden, width, rng),
            norm2: LayerNorm::new([width]),
        }
    }
}

impl Layer for EncoderBlock {
    fn forward(&self, x: &Var, mode: &mut Mode) -> Var {
        let x = self.norm1.forward(&(x + self.attention.forward(x, mode)), mode);
        let hidden = self.linear1.forward(&x, mode).gelu();
        self.norm2.forward(&(&x + self.linear2.forward(&hidden, mode)), mode)
    }
}

/// Classes of sequences `[N, T, width]`, by the mean over the steps.
#[derive(Module)]
struct Encoder {
    blocks: Vec<EncoderBlock>,
    head: Linear,
}

impl Layer for Encoder {
    fn forward(&self, x: &Var, mode: &mut Mode) -> Var {
        let x = self.blocks.iter().fold(x.clone(), |x, block| block.forward(&x, mode));
        self.head.forward(&x.mean(1), mode)
    }
}
