//! Networks as lists of layers: order, names, the summary.

use gradus_autograd::{Module, Var};
use gradus_nn::*;
use gradus_tensor::{Rng, Tensor};

/// LeNet with the sizes of Keras' examples.
fn lenet() -> Sequential {
    let rng = &mut Rng::seed(0);
    Sequential::new()
        .add(Conv2d::new(1, 20, 5, rng).same())
        .add(Relu)
        .add(MaxPool2d::new(2))
        .add(Conv2d::new(20, 50, 5, rng).same())
        .add(Relu)
        .add(MaxPool2d::new(2))
        .add(Flatten)
        .add(Linear::new(7 * 7 * 50, 500, rng))
        .add(Relu)
        .add(Linear::new(500, 10, rng))
}

#[test]
fn the_summary_of_lenet() {
    let summary = lenet().summary([1, 28, 28]);
    assert_eq!(summary.total_parameters(), 1_256_080);
    let expected = "\
_________________________________________________________________
Layer (type)                 Output Shape                 Param #
=================================================================
0 (Conv2d)                   (N, 20, 28, 28)                  520
1 (Relu)                     (N, 20, 28, 28)                    0
2 (MaxPool2d)                (N, 20, 14, 14)                    0
3 (Conv2d)                   (N, 50, 14, 14)               25,050
4 (Relu)                     (N, 50, 14, 14)                    0
5 (MaxPool2d)                (N, 50, 7, 7)                      0
6 (Flatten)                  (N, 2450)                          0
7 (Linear)                   (N, 500)                   1,225,500
8 (Relu)                     (N, 500)                           0
9 (Linear)                   (N, 10)                        5,010
=================================================================
Total params: 1,256,080
Trainable params: 1,256,080
Non-trainable params: 0
_________________________________________________________________";
    assert_eq!(summary.to_string(), expected);
}

#[test]
fn the_summary_counts_frozen_parameters_apart_and_makes_room_for_long_names() {
    let rng = &mut Rng::seed(0);
    let mut head: Linear = Linear::new(6, 2, rng);
    head.set_trainable(false);
    let net: Sequential = Sequential::new().add(Flatten).push("a_head_with_quite_a_long_name", head);
    let expected = "\
____________________________________________________________________________
Layer (type)                            Output Shape                 Param #
============================================================================
0 (Flatten)                             (N, 6)                             0
a_head_with_quite_a_long_name (Linear)  (N, 2)                            14
============================================================================
Total params: 14
Trainable params: 0
Non-trainable params: 14
____________________________________________________________________________";
    assert_eq!(net.summary([2, 3]).to_string(), expected);
}

#[test]
fn parameters_come_in_the_order_of_layers_and_fields() {
    let rng = &mut Rng::seed(0);
    let net: Sequential = Sequential::new()
        .add(Conv2d::new(1, 2, 3, rng))
        .add(BatchNorm2d::new(2))
        .add(Flatten)
        .push("head", Linear::new(8, 3, rng));
    let names: Vec<String> = net.named_parameters().into_iter().map(|(n, _)| n).collect();
    assert_eq!(names, ["0.weight", "0.bias", "1.weight", "1.bias", "head.weight", "head.bias"]);
    let buffers: Vec<String> = net.named_buffers().into_iter().map(|(n, _)| n).collect();
    assert_eq!(buffers, ["1.running_mean", "1.running_var"]);
}

#[test]
fn an_empty_list_is_the_identity_and_lists_nest() {
    let x: Var = Tensor::from([[1.0, -2.0]]).into();
    assert_eq!(Sequential::new().forward(&x, &mut Mode::Eval).value(), x.value());
    let inner: Sequential = Sequential::new().add(Relu).push("double", Lambda(|x: &Var| x * 2.0));
    let outer: Sequential = Sequential::new().push("inner", inner).add(Linear::new(2, 1, &mut Rng::seed(0)));
    assert_eq!(outer.get("inner").unwrap().forward(&x, &mut Mode::Eval).value().to_vec(), [2.0, 0.0]);
    assert_eq!(outer.named_parameters()[0].0, "1.weight");
    assert_eq!((outer.len(), outer.is_empty()), (2, false));
}

#[test]
#[should_panic(expected = "there already is a layer `a`")]
fn names_are_distinct() {
    let _ = Sequential::<f32>::new().push("a", Relu).push("a", Relu);
}

#[test]
#[should_panic(expected = "the layer name `a.b` has a dot in it")]
fn names_have_no_dots() {
    let _ = Sequential::<f32>::new().push("a.b", Relu);
}

#[test]
fn a_state_dict_restores_a_network() {
    let rng = &mut Rng::seed(1);
    let make = |rng: &mut Rng| -> Sequential {
        Sequential::new().add(Conv2d::new(1, 2, 2, rng)).add(BatchNorm2d::new(2)).add(Flatten).add(Linear::new(8, 2, rng))
    };
    let x: Var = Tensor::normal([3, 1, 3, 3], 0.0, 1.0, rng).into();
    let (a, mut b) = (make(rng), make(rng));
    a.forward(&x, &mut Mode::Train(rng));
    assert_ne!(a.forward(&x, &mut Mode::Eval).value(), b.forward(&x, &mut Mode::Eval).value());
    b.load_state_dict(&a.state_dict()).unwrap();
    assert_eq!(a.forward(&x, &mut Mode::Eval).value(), b.forward(&x, &mut Mode::Eval).value());
}

#[test]
fn parts_keep_their_names_and_compute_the_whole() {
    let whole = lenet();
    let x: Var = Tensor::normal([2, 1, 28, 28], 0.0, 1.0, &mut Rng::seed(1)).into();
    let expected = whole.forward(&x, &mut Mode::Eval);
    let paths: Vec<String> = whole.state_dict().into_keys().collect();
    let (base, head) = whole.split_at(6);
    assert_eq!((base.len(), head.len()), (6, 4));
    assert!(head.get("7").is_some() && head.get("5").is_none());
    let y = head.forward(&base.forward(&x, &mut Mode::Eval), &mut Mode::Eval);
    assert_eq!(y.value(), expected.value());
    let whole = base.chain(head);
    assert_eq!(whole.state_dict().into_keys().collect::<Vec<_>>(), paths);
    assert_eq!(whole.forward(&x, &mut Mode::Eval).value(), expected.value());
    let (all, none) = whole.split_at(10);
    assert_eq!((all.len(), none.len()), (10, 0));
}

#[test]
#[should_panic(expected = "split_at(11) of a list of 10 layers")]
fn no_list_is_split_behind_its_end() {
    let _ = lenet().split_at(11);
}

#[test]
#[should_panic(expected = "there is a layer `0` in both lists")]
fn lists_with_a_name_in_common_make_no_chain() {
    let _ = lenet().chain(lenet());
}
