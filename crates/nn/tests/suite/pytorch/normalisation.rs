use super::{check_all, read};
use gradus_nn::*;
use gradus_tensor::Rng;

fn layer(name: &str, _: &mut Rng) -> Box<dyn Layer<f64>> {
    match name {
        "batch_norm2d_frozen" => Box::new(BatchNorm2d::new(2).frozen(true)),
        other => panic!("a fixture without its layer: {other}"),
    }
}

#[test]
fn normalisation_agrees() {
    check_all(&read("normalisation.json"), 1, layer);
}
