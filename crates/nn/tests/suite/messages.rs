//! What every layer says of an input that it cannot take: its name, its path, what it expected and got, and the user's line.

use gradus_autograd::{Param, Var, functional_call};
use gradus_nn::*;
use gradus_tensor::{Rng, Tensor};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

#[track_caller]
fn message<R>(f: impl FnOnce() -> R) -> String {
    *catch_unwind(AssertUnwindSafe(f)).err().expect("it should have panicked").downcast::<String>().unwrap()
}

fn input(shape: &[usize]) -> Var {
    Var::constant(Tensor::zeros(shape))
}

/// That each layer refuses an input of this shape, alone and three lists deep: by name, path, shapes and line.
macro_rules! refusals {
    ($($name:ident: $layer:expr, $shape:expr, $expected:expr;)*) => {{
        let mut names = BTreeSet::new();
        $({
            let (x, name) = (input(&$shape), stringify!($name));
            names.insert(name);
            let layer = $layer;
            let alone = message(|| layer.forward(&x, &mut Mode::Train(&mut Rng::seed(0)))); let line = line!();
            assert_eq!(alone, format!("{name} at {}:{line}: {}", file!(), $expected));
            // Boxed, as a list of layers of one's own holds them.
            let layer: Box<dyn Layer> = Box::new(layer);
            let boxed = message(|| layer.forward(&x, &mut Mode::Train(&mut Rng::seed(0)))); let line = line!();
            assert_eq!(boxed, format!("{name} at {}:{line}: {}", file!(), $expected));
            let inner: Sequential = Sequential::new().add(Identity).push("here", layer);
            let net: Sequential = Sequential::new().add(Identity).add(Sequential::new().add(inner));
            let deep = message(|| net.forward(&x, &mut Mode::Train(&mut Rng::seed(0)))); let line = line!();
            assert_eq!(deep, format!("{name} `1.0.here` at {}:{line}: {}", file!(), $expected));
        })*
        names
    }};
}

/// Layers that take what has any shape.
const TAKE_ALL: [&str; 29] = [
    "Celu",
    "Elu",
    "Gelu",
    "GeluTanh",
    "LeakyRelu",
    "Relu",
    "Relu6",
    "Selu",
    "Silu",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LogSigmoid",
    "Mish",
    "Sigmoid",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
    "Dropout",
    "Identity",
    "Lambda", // a closure: what it refuses, its ops say
    // No layers: how a filter is laid, and a number for each axis.
    "Padding",
    "PerAxis",
    // They refuse as the layer in them does, or as those of `other_refusals` do.
    "Checkpoint",
    "Embedding",
];

#[test]
fn every_layer_names_itself_its_path_the_shapes_and_the_users_line() {
    let rng = &mut Rng::seed(0);
    let names = refusals! {
        Linear: Linear::new(3, 2, rng), [4, 5], "expected input [.., 3], got [4, 5]";
        Flatten: Flatten, [4], "expected input [N, ..] of 2 axes or more, got [4]";
        Glu: Glu(-1), [2, 3], "expected input with an even size along axis 1, got [2, 3]";
        PRelu: PRelu::new(4), [2, 3], "expected input [N, 4, ..], got [2, 3]";
        Softmax: Softmax(2), [2, 3], "axis 2 of a tensor with 2 axes; allowed are -2 to 1";
        Softmin: Softmin(2), [2, 3], "axis 2 of a tensor with 2 axes; allowed are -2 to 1";
        LogSoftmax: LogSoftmax(-3), [2, 3], "axis -3 of a tensor with 2 axes; allowed are -2 to 1";
        Dropout1d: Dropout1d::new(0.5), [2, 3], "expected input [N, C, L], got [2, 3]";
        Dropout2d: Dropout2d::new(0.5), [2, 3], "expected input [N, C, H, W], got [2, 3]";
        Dropout3d: Dropout3d::new(0.5), [2, 3], "expected input [N, C, D, H, W], got [2, 3]";
        Conv1d: Conv1d::new(3, 2, 3, rng), [4, 5, 9], "expected input [N, 3, L], got [4, 5, 9]";
        Conv2d: Conv2d::new(3, 2, 3, rng), [4, 1, 9, 9], "expected input [N, 3, H, W], got [4, 1, 9, 9]";
        Conv2d: Conv2d::new(3, 2, 5, rng).padding(1), [1, 3, 9, 2],
            "expected 5 or more, the window's size, along axis 3, got 2 and padding [1, 1] (input [1, 3, 9, 2])";
        Conv3d: Conv3d::new(3, 2, 3, rng), [3, 9, 9, 9], "expected input [N, 3, D, H, W], got [3, 9, 9, 9]";
        ConvTranspose1d: ConvTranspose1d::new(3, 2, 3, rng), [4, 5, 9], "expected input [N, 3, L], got [4, 5, 9]";
        ConvTranspose2d: ConvTranspose2d::new(3, 2, 3, rng), [4, 5], "expected input [N, 3, H, W], got [4, 5]";
        ConvTranspose3d: ConvTranspose3d::new(3, 2, 3, rng), [4, 5], "expected input [N, 3, D, H, W], got [4, 5]";
        BatchNorm1d: BatchNorm1d::new(3), [4, 5], "expected input [N, 3] or [N, 3, L], got [4, 5]";
        BatchNorm1d: BatchNorm1d::new(3), [1, 3],
            "expected 2 values or more a channel in training, got one (input [1, 3]), whose variance is 0";
        BatchNorm2d: BatchNorm2d::new(3), [4, 5, 2, 2], "expected input [N, 3, H, W], got [4, 5, 2, 2]";
        BatchNorm3d: BatchNorm3d::new(3), [4, 5, 2, 2], "expected input [N, 3, D, H, W], got [4, 5, 2, 2]";
        InstanceNorm1d: InstanceNorm1d::new(3), [4, 5], "expected input [N, 3, L], got [4, 5]";
        InstanceNorm2d: InstanceNorm2d::new(3), [4, 5, 2, 2], "expected input [N, 3, H, W], got [4, 5, 2, 2]";
        InstanceNorm3d: InstanceNorm3d::new(3), [4, 5, 2, 2], "expected input [N, 3, D, H, W], got [4, 5, 2, 2]";
        GroupNorm: GroupNorm::new(2, 4), [2, 3], "expected input [N, 4, ..], got [2, 3]";
        LayerNorm: LayerNorm::new([3, 4]), [2, 4, 3], "expected input [.., 3, 4], got [2, 4, 3]";
        RmsNorm: RmsNorm::new([4]), [2, 3], "expected input [.., 4], got [2, 3]";
        CircularPad1d: CircularPad1d::new(1), [3, 3], "expected input [N, C, L], got [3, 3]";
        CircularPad2d: CircularPad2d::new(4), [1, 1, 5, 3],
            "expected padding of at most 3 along axis 3, got [4, 4] (input [1, 1, 5, 3])";
        CircularPad3d: CircularPad3d::new(1), [3, 3], "expected input [N, C, D, H, W], got [3, 3]";
        ReflectionPad1d: ReflectionPad1d::new(1), [3, 3], "expected input [N, C, L], got [3, 3]";
        ReflectionPad2d: ReflectionPad2d::new([1, 2]), [1, 1, 4, 2],
            "expected padding of at most 1 along axis 3, got [2, 2] (input [1, 1, 4, 2])";
        ReflectionPad3d: ReflectionPad3d::new(1), [3, 3], "expected input [N, C, D, H, W], got [3, 3]";
        ReplicationPad1d: ReplicationPad1d::new(1), [3, 3], "expected input [N, C, L], got [3, 3]";
        ReplicationPad2d: ReplicationPad2d::new(1), [3, 3], "expected input [N, C, H, W], got [3, 3]";
        ReplicationPad3d: ReplicationPad3d::new(1), [3, 3], "expected input [N, C, D, H, W], got [3, 3]";
        ZeroPad1d: ZeroPad1d::new(1), [3, 3], "expected input [N, C, L], got [3, 3]";
        ZeroPad2d: ZeroPad2d::new(1), [3, 3], "expected input [N, C, H, W], got [3, 3]";
        ZeroPad3d: ZeroPad3d::new(1), [3, 3], "expected input [N, C, D, H, W], got [3, 3]";
        AdaptiveAvgPool1d: AdaptiveAvgPool1d::new(2), [3, 3], "expected input [N, C, L], got [3, 3]";
        AdaptiveAvgPool2d: AdaptiveAvgPool2d::new(2), [3, 3], "expected input [N, C, H, W], got [3, 3]";
        AdaptiveAvgPool3d: AdaptiveAvgPool3d::new(2), [3, 3], "expected input [N, C, D, H, W], got [3, 3]";
        AdaptiveMaxPool1d: AdaptiveMaxPool1d::new(2), [3, 3], "expected input [N, C, L], got [3, 3]";
        AdaptiveMaxPool2d: AdaptiveMaxPool2d::new(2), [1, 1, 0, 3], "expected input with 1 or more along each axis, got [1, 1, 0, 3]";
        AdaptiveMaxPool3d: AdaptiveMaxPool3d::new(2), [3, 3], "expected input [N, C, D, H, W], got [3, 3]";
        AvgPool1d: AvgPool1d::new(2), [3, 3], "expected input [N, C, L], got [3, 3]";
        AvgPool2d: AvgPool2d::new(2), [3, 3], "expected input [N, C, H, W], got [3, 3]";
        AvgPool3d: AvgPool3d::new(2), [3, 3], "expected input [N, C, D, H, W], got [3, 3]";
        MaxPool1d: MaxPool1d::new(2), [3, 3], "expected input [N, C, L], got [3, 3]";
        MaxPool2d: MaxPool2d::new(2), [3, 3], "expected input [N, C, H, W], got [3, 3]";
        MaxPool3d: MaxPool3d::new(2), [3, 3], "expected input [N, C, D, H, W], got [3, 3]";
        GlobalAvgPool1d: GlobalAvgPool1d, [3, 3], "expected input [N, C, L], got [3, 3]";
        GlobalAvgPool2d: GlobalAvgPool2d, [3, 3], "expected input [N, C, H, W], got [3, 3]";
        GlobalAvgPool3d: GlobalAvgPool3d, [3, 3], "expected input [N, C, D, H, W], got [3, 3]";
        GlobalMaxPool1d: GlobalMaxPool1d, [3, 3], "expected input [N, C, L], got [3, 3]";
        GlobalMaxPool2d: GlobalMaxPool2d, [3, 3], "expected input [N, C, H, W], got [3, 3]";
        GlobalMaxPool3d: GlobalMaxPool3d, [3, 3], "expected input [N, C, D, H, W], got [3, 3]";
        SqueezeExcite: SqueezeExcite::new(8, 2, rng), [1, 4, 3, 3], "expected input [N, 8, H, W], got [1, 4, 3, 3]";
        Upsample: Upsample::new(2.0), [3, 3], "expected input [N, C, L], [N, C, H, W] or [N, C, D, H, W], got [3, 3]";
        Upsample: Upsample::to([2, 2]), [1, 1, 4], "expected input of 4 axes for size [2, 2], got [1, 1, 4]";
        Residual: Residual::new(Linear::new(3, 1, rng)), [2, 3],
            "expected body and shortcut of one shape, got [2, 1] and [2, 3] of input [2, 3]";
        Concat: Concat::new().add(Identity).add(Linear::new(3, 1, rng)), [2, 4, 3],
            "expected outputs that differ along axis 1 only, got [2, 4, 3], [2, 4, 1]";
        TimeDistributed: TimeDistributed::new(Identity), [3], "expected input [N, T, ..] with 1 step or more, got [3]";
        MultiHeadAttention: MultiHeadAttention::new(8, 2, rng), [3, 5, 4],
            "expected input [N, T, 8] with 1 step or more, got [3, 5, 4]";
        Recurrent: Recurrent::new(Lstm::new(3, 5, rng)), [3], "expected input [N, T, ..] with 1 step or more, got [3]";
        Bidirectional: Bidirectional::new(Gru::new(3, 5, rng), Gru::new(3, 5, rng)), [3, 0, 3],
            "expected input [N, T, ..] with 1 step or more, got [3, 0, 3]";
        Stacked: Stacked::new([Recurrent::new(Rnn::new(3, 5, rng))]), [3],
            "expected input [N, T, ..] with 1 step or more, got [3]";
        Stateful: Stateful::new(Recurrent::new(Rnn::new(3, 5, rng))), [3],
            "expected input [N, T, ..] with 1 step or more, got [3]";
        HiddenRecurrence: HiddenRecurrence::rnn(3, 8, 4, rng), [3], "expected input [N, T, ..] with 1 step or more, got [3]";
        SequenceToOne: SequenceToOne::rnn(3, 8, 4, rng), [3], "expected input [N, T, ..] with 1 step or more, got [3]";
    };
    // Every name that the layers' module exports has a refusal above, or none to make.
    let source = include_str!("../../src/layers/mod.rs");
    let exports = source.lines().filter_map(|line| line.trim().strip_prefix("pub use ")?.rsplit("::").next());
    let exported = exports.flat_map(|list| list.trim_matches(['{', '}', ';']).split(", "));
    let others = ["MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d", "SeparableConv2d"]; // see below
    for name in exported {
        let name = name.trim_matches(['{', '}', ';']);
        let known = names.contains(name) || TAKE_ALL.contains(&name) || others.contains(&name);
        assert!(known, "what does {name} say of an input that it cannot take?");
    }
}

/// The op or layer, its path, and its line in this file.
#[track_caller]
fn starts(message: &str, place: &str, line: u32) {
    let wanted = format!("{place} at {}:{line}: ", file!());
    assert!(message.starts_with(&wanted), "`{message}` does not start with `{wanted}`");
}

#[test]
fn layers_within_layers_have_paths_from_the_line_that_runs_them() {
    let rng = &mut Rng::seed(0);
    let x = input(&[2, 4, 3]);
    let lstm = Recurrent::new(Lstm::new(5, 4, rng));
    starts(&message(|| lstm.forward(&x, &mut Mode::Eval)), "Lstm", line!());
    let net: Sequential = Sequential::new().add(Recurrent::new(Lstm::new(5, 4, &mut Rng::seed(0))));
    starts(&message(|| net.forward(&x, &mut Mode::Eval)), "Lstm in `0` (Recurrent)", line!());
    let stack = Stacked::new([3, 5].map(|inputs| Recurrent::new(Gru::new(inputs, 4, rng))));
    starts(&message(|| stack.forward(&x, &mut Mode::Eval)), "Gru `1`", line!());
    let both = Bidirectional::new(Rnn::new(3, 4, rng), Rnn::new(5, 4, rng));
    starts(&message(|| both.forward(&x, &mut Mode::Eval)), "Rnn `backward`", line!());
    let head = SequenceToOne::new(Recurrent::new(Gru::new(3, 4, rng)), Linear::new(5, 2, rng));
    starts(&message(|| head.forward(&x, &mut Mode::Eval)), "Linear `head`", line!());
    let frames: TimeDistributed = TimeDistributed::new(Linear::new(5, 2, rng));
    starts(&message(|| frames.forward(&x, &mut Mode::Eval)), "Linear `layer`", line!());
    let deep = Residual::new(Sequential::new().add(Linear::new(3, 3, rng)).add(Linear::new(5, 3, rng)));
    let net: Sequential = Sequential::new().push("block", deep);
    starts(&message(|| net.forward(&x, &mut Mode::Eval)), "Linear `block.body.1`", line!());
    let net: Residual = Residual::new(Linear::new(3, 3, rng)).shortcut(Linear::new(5, 3, rng));
    starts(&message(|| net.forward(&x, &mut Mode::Eval)), "Linear `shortcut`", line!());
    let net: Concat = Concat::new().add(Identity).push("wide", Linear::new(5, 3, rng));
    starts(&message(|| net.forward(&x, &mut Mode::Eval)), "Linear `wide`", line!());
    let mut separable: SeparableConv2d = SeparableConv2d::new(2, 3, 1, rng);
    separable.pointwise = Conv2d::new(5, 3, 1, rng);
    let pixels = input(&[1, 2, 4, 4]);
    starts(&message(|| separable.forward(&pixels, &mut Mode::Eval)), "Conv2d `pointwise`", line!());
    let mut squeeze: SqueezeExcite = SqueezeExcite::new(2, 3, rng);
    squeeze.fc2 = Conv2d::new(4, 2, 1, rng);
    starts(&message(|| squeeze.forward(&pixels, &mut Mode::Eval)), "Conv2d `fc2`", line!());
    let net: Sequential = Sequential::new().add(Checkpoint::new(Linear::new(5, 3, rng)));
    starts(&message(|| net.forward(&x, &mut Mode::Train(rng))), "Linear in `0` (Checkpoint<Linear>)", line!());
    let many = (0..9).fold(Sequential::new(), |net: Sequential, i| net.add(Linear::new(if i == 2 { 5 } else { 3 }, 3, rng)));
    let many = many.checkpointed();
    starts(&message(|| many.forward(&x, &mut Mode::Train(rng))), "Linear `2`", line!());
    starts(&message(|| many.summary([4, 3])), "Linear `2`", line!());
    let (first, rest) = many.split_at(1);
    starts(&message(|| rest.forward(&x, &mut Mode::Eval)), "Linear `2`", line!());
    starts(&message(|| first.chain(rest).forward(&x, &mut Mode::Eval)), "Linear `2`", line!());
    let penalised: Sequential = Sequential::new().add(ActivityPenalty::new(Linear::new(5, 3, rng), Penalty::l2(0.1)));
    starts(&message(|| penalised.forward(&x, &mut Mode::Eval)), "Linear `0`", line!());
    let pool: Sequential = Sequential::new().add(MaxPool2d::new(9));
    let m = message(|| pool.forward(&pixels, &mut Mode::Eval));
    let line = line!() - 1;
    starts(&m, "MaxPool2d `0`", line);
    assert!(m.contains("got [1, 2, 4, 4]: "), "{m}");
}

#[test]
fn what_is_no_layer_of_a_list_names_itself_too() {
    let rng = &mut Rng::seed(0);
    let table: Embedding = Embedding::new(3, 2, rng);
    for wrong in [3, -1] {
        let m = message(|| table.embed(&Tensor::from([0i64, wrong])));
        let line = line!() - 1;
        assert_eq!(m, format!("Embedding at {}:{line}: expected indices from 0 to 2, got {wrong} at position 1", file!()));
    }
    let x = input(&[1, 1, 2]);
    starts(&message(|| MaxUnpool1d::new(2).forward(&x, &Tensor::from([[[0i32, 4]]]))), "MaxUnpool1d", line!());
    starts(&message(|| MaxUnpool2d::new(2).forward(&x, &Tensor::from([[[0i32, 4]]]))), "MaxUnpool2d", line!());
    starts(&message(|| MaxUnpool3d::new(2).forward(&x, &Tensor::from([[[0i32, 4]]]))), "MaxUnpool3d", line!());
    let attention: AdditiveAttention = AdditiveAttention::new(3, 5, 8, rng);
    let (q, k) = (input(&[2, 4, 3]), input(&[2, 7, 3]));
    starts(&message(|| attention.scores(&q, &k)), "Linear `key`", line!());
    starts(&message(|| attention.scores(&k.select(2, 0), &k)), "Linear `query`", line!());
    let cell: Gru = Gru::new(3, 5, rng);
    starts(&message(|| cell.step(&input(&[2, 4]), &cell.initial_state(2))), "Gru", line!());
    let decoder = |rng: &mut Rng| {
        let recurrent = Recurrent::new(Gru::new(7, 8, rng));
        let (combine, head) = (Linear::<f32>::new(16, 8, rng), Linear::new(8, 5, rng));
        Decoder::new(Embedding::new(5, 6, rng), recurrent, DotAttention::new(), combine, head, 4)
    };
    let net = EncoderDecoder::new(Recurrent::new(Gru::new(3, 8, rng)), decoder(rng));
    let (source, targets) = (Sequence::new(Tensor::ones([2, 7, 3])), Tensor::zeros([2, 4]));
    starts(&message(|| net.teacher_forced(&source, &targets, &mut Mode::Train(rng))), "Gru `decoder.recurrent`", line!());
}

/// Layers of a user's crate.
mod own {
    use super::*;

    /// An op in it refuses.
    #[derive(Module)]
    pub struct Mixing {
        pub weight: Param,
    }
    impl Layer for Mixing {
        fn forward(&self, x: &Var, _: &mut Mode) -> Var {
            x.matmul(&self.weight)
        }
    }
    pub const OP_LINE: u32 = line!() - 3;

    /// Fields call fields.
    #[derive(Module)]
    pub struct Net {
        pub features: Sequential,
        pub mixing: Mixing,
        pub head: Linear,
    }
    impl Layer for Net {
        fn forward(&self, x: &Var, mode: &mut Mode) -> Var {
            let x = self.features.forward(x, mode);
            self.head.forward(&self.mixing.forward(&x, mode), mode)
        }
    }
    pub const FEATURES_LINE: u32 = line!() - 4;
    pub const HEAD_LINE: u32 = line!() - 4;

    pub fn net(sizes: [usize; 3]) -> Net {
        let [features, mixing, head] = sizes;
        let rng = &mut Rng::seed(0);
        Net {
            features: Sequential::new().add(Tanh).add(Linear::new(features, 3, rng)),
            mixing: Mixing { weight: Param::new(Tensor::ones([mixing, 3])) },
            head: Linear::new(head, 2, rng),
        }
    }
}

#[test]
fn layers_of_ones_own_are_named_by_the_line_in_them_and_by_their_path_in_a_list() {
    let x = input(&[2, 3]);
    let alone = |sizes| message(|| own::net(sizes).forward(&x, &mut Mode::Eval));
    starts(&alone([4, 3, 3]), "Linear `1`", own::FEATURES_LINE);
    starts(&alone([3, 4, 3]), "matmul", own::OP_LINE);
    starts(&alone([3, 3, 4]), "Linear", own::HEAD_LINE);
    let listed = |sizes| {
        let net: Sequential = Sequential::new().push("net", own::net(sizes));
        message(|| net.forward(&x, &mut Mode::Eval))
    };
    starts(&listed([4, 3, 3]), "Linear `net.1`", own::FEATURES_LINE);
    starts(&listed([3, 4, 3]), "matmul in `net` (Net)", own::OP_LINE);
    starts(&listed([3, 3, 4]), "Linear in `net` (Net)", own::HEAD_LINE);
}

#[test]
fn after_an_error_nothing_of_the_path_is_left() {
    let net: Sequential = Sequential::new().push("a", Sequential::new().push("b", Linear::new(3, 2, &mut Rng::seed(0))));
    let x = input(&[4, 5]);
    starts(&message(|| net.forward(&x, &mut Mode::Eval)), "Linear `a.b`", line!());
    let alone: Linear = Linear::new(3, 2, &mut Rng::seed(0));
    starts(&message(|| alone.forward(&x, &mut Mode::Eval)), "Linear", line!());
    let mut net = net;
    let vars = BTreeMap::from([("a.b.weight".to_string(), input(&[2, 4]))]);
    let m = message(|| functional_call(&mut net, &vars, |net| net.forward(&x, &mut Mode::Eval)));
    assert!(m.ends_with("expected input [.., 4], got [4, 5]"), "{m}");
}
