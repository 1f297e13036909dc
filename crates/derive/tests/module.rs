//! What `#[derive(Module)]` makes of structs of every form.

use gradus_autograd::{Buffer, Module, Param, Path, Var, Visitor};
use gradus_derive::Module;
use gradus_tensor::{Float, Tensor};
use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;

// What the derive writes names the crate `gradus`.
extern crate gradus_autograd as gradus;

fn param<T: Float>(v: f64) -> Param<T> {
    Param::new(Tensor::full([2], T::lit(v)).copy())
}

fn paths<T: Float>(module: &impl Module<T>) -> Vec<String> {
    module.named_parameters().into_iter().map(|(path, _)| path).collect()
}

/// The paths that `visit_mut` goes through.
fn paths_mut<T: Float>(module: &mut impl Module<T>) -> Vec<String> {
    let mut paths = Vec::new();
    module.for_each_parameter(|path, _| paths.push(path.to_string()));
    paths
}

#[derive(Clone, Module)]
struct Dense<T: Float = f32> {
    weight: Param<T>,
    bias: Option<Param<T>>,
    running: Buffer<T>,
    scale: f64,
}

fn dense<T: Float>(v: f64, bias: bool) -> Dense<T> {
    Dense { weight: param(v), bias: bias.then(|| param(v + 0.5)), running: Buffer::new(Tensor::zeros([1])), scale: 2.0 }
}

#[derive(Clone, Module)]
struct Nested<T: Float = f32> {
    z_first: Dense<T>,
    layers: Vec<Dense<T>>,
    pair: [Dense<T>; 2],
    tuple: (Dense<T>, Param<T>),
    boxed: Box<Dense<T>>,
    name: String,
    kernel: [usize; 2],
    r#type: Param<T>,
    _marker: PhantomData<T>,
}

fn nested<T: Float>() -> Nested<T> {
    Nested {
        z_first: dense(1.0, true),
        layers: vec![dense(2.0, false), dense(3.0, true)],
        pair: [dense(4.0, false), dense(5.0, false)],
        tuple: (dense(6.0, false), param(7.0)),
        boxed: Box::new(dense(8.0, false)),
        name: "net".into(),
        kernel: [3, 3],
        r#type: param(9.0),
        _marker: PhantomData,
    }
}

const NESTED: [&str; 11] = [
    "z_first.weight",
    "z_first.bias",
    "layers.0.weight",
    "layers.1.weight",
    "layers.1.bias",
    "pair.0.weight",
    "pair.1.weight",
    "tuple.0.weight",
    "tuple.1",
    "boxed.weight",
    "type",
];

#[test]
fn parameters_come_in_the_order_of_the_fields_by_path() {
    let mut net = nested::<f32>();
    assert_eq!(paths(&net), NESTED);
    assert_eq!(paths_mut(&mut net), NESTED);
    let values: Vec<f32> = net.parameters().iter().map(|p| p.value().at([0])).collect();
    assert_eq!(values, [1.0, 1.5, 2.0, 3.0, 3.5, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
    let buffers: Vec<String> = net.named_buffers().into_iter().map(|(path, _)| path).collect();
    assert_eq!(buffers[..3], ["z_first.running", "layers.0.running", "layers.1.running"]);
    assert_eq!((buffers.len(), net.num_parameters()), (7, 22));
    assert_eq!((net.name.as_str(), net.kernel, net.z_first.scale), ("net", [3, 3], 2.0));
}

#[test]
fn the_element_type_is_the_parameter_bounded_by_float() {
    assert_eq!(paths::<f64>(&nested::<f64>()), NESTED);
    #[derive(Module)]
    struct Long<'a, A, F, const N: usize>
    where
        A: Clone,
        F: gradus_tensor::Float,
    {
        weights: [Param<F>; N],
        #[module(skip)]
        _other: &'a A,
    }
    let long = Long::<u8, f64, 2> { weights: [param(0.0), param(1.0)], _other: &3 };
    assert_eq!(paths::<f64>(&long), ["weights.0", "weights.1"]);
}

#[test]
fn without_one_it_is_f32_or_what_the_struct_says() {
    #[derive(Module)]
    struct Single {
        w: Param,
    }
    assert_eq!(paths::<f32>(&Single { w: param(0.0) }), ["w"]);

    #[derive(Module)]
    #[module(f64)]
    struct Double {
        w: Param<f64>,
        eps: f64,
    }
    let double = Double { w: param(0.0), eps: 1e-5 };
    assert_eq!((paths::<f64>(&double), double.eps), (vec!["w".to_string()], 1e-5));

    #[derive(Module)]
    struct Plain {
        slope: f64,
        times: usize,
        on: bool,
    }
    #[derive(Module)]
    struct Unit;
    let plain = Plain { slope: 0.5, times: 2, on: true };
    assert!(paths::<f32>(&plain).is_empty() && paths::<f64>(&plain).is_empty());
    assert!(paths::<f32>(&Unit).is_empty() && paths::<f64>(&Unit).is_empty());
    assert!(plain.on && plain.slope * plain.times as f64 == 1.0);
}

#[test]
fn a_tuple_structs_paths_are_numbers() {
    #[derive(Module)]
    struct Pair<T: Float>(Param<T>, Dense<T>, usize);
    let mut pair = Pair::<f64>(param(0.0), dense(1.0, true), 3);
    assert_eq!(paths(&pair), ["0", "1.weight", "1.bias"]);
    assert_eq!(paths_mut(&mut pair), ["0", "1.weight", "1.bias"]);
    assert_eq!(pair.2, 3);
}

#[test]
fn a_generic_layer_must_be_a_module() {
    #[derive(Module)]
    struct Twice<T: Float, L> {
        first: L,
        second: L,
        _marker: PhantomData<T>,
    }
    let twice = Twice { first: dense::<f64>(0.0, false), second: dense(1.0, false), _marker: PhantomData::<f64> };
    assert_eq!(paths(&twice), ["first.weight", "second.weight"]);
}

/// Not a module.
struct Log;

#[derive(Module)]
struct Attributes<T: Float = f32> {
    #[module(flatten)]
    inner: Dense<T>,
    #[module(name = "out")]
    head: Dense<T>,
    #[module(skip)]
    _log: Log,
    #[module(skip)]
    hidden: Param<T>,
}

#[test]
fn fields_are_skipped_flattened_and_renamed() {
    let mut net = Attributes::<f32> { inner: dense(0.0, true), head: dense(1.0, false), _log: Log, hidden: param(2.0) };
    let expected = ["weight", "bias", "out.weight"];
    assert_eq!(paths(&net), expected);
    assert_eq!(paths_mut(&mut net), expected);
    assert_eq!(net.state_dict().into_keys().collect::<Vec<_>>(), ["bias", "out.running", "out.weight", "running", "weight"]);
    assert_eq!(net.hidden.value().at([0]), 2.0);
}

#[test]
fn visitors_borrow_from_the_module() {
    /// Keeps what it sees.
    struct First<'a>(Option<&'a Param<f32>>);
    impl<'a> Visitor<'a, f32> for First<'a> {
        fn param(&mut self, _: &Path, param: &'a Param<f32>) {
            self.0.get_or_insert(param);
        }
        fn buffer(&mut self, _: &Path, _: &'a Buffer<f32>) {}
    }
    let net = nested::<f32>();
    let mut first = First(None);
    net.visit(&mut Path::default(), &mut first);
    assert_eq!(first.0.unwrap().id(), net.z_first.weight.id());
}

#[test]
fn a_state_dict_goes_from_one_model_to_another() {
    let (a, mut b) = (nested::<f64>(), nested::<f64>());
    a.z_first.running.set(Tensor::from([4.0]));
    b.for_each_parameter(|_, p| p.set(Tensor::zeros([2])));
    b.set_trainable(false);
    assert_ne!(a.state_dict(), b.state_dict());
    b.load_state_dict(&a.state_dict()).unwrap();
    assert_eq!(a.state_dict(), b.state_dict());
    assert_eq!((b.num_trainable(), b.num_parameters()), (0, 22));
}

#[test]
fn what_does_not_fit_is_named_and_nothing_is_changed() {
    let mut net = nested::<f32>();
    let before = net.state_dict();
    let mut state: BTreeMap<String, Tensor<f32>> = before.iter().map(|(k, v)| (k.clone(), v + 1.0)).collect();
    state.remove("tuple.1");
    state.remove("boxed.running");
    state.insert("layers.2.weight".into(), Tensor::zeros([2]));
    state.insert("type".into(), Tensor::zeros([3]));
    let error = net.load_state_dict(&state).unwrap_err();
    assert_eq!(error.missing, ["boxed.running", "tuple.1"]);
    assert_eq!(error.extra, ["layers.2.weight"]);
    assert_eq!(error.mis_shaped, ["type is [3] where [2] is wanted"]);
    let text = error.to_string();
    assert!(["boxed.running", "layers.2.weight", "type is [3]"].iter().all(|part| text.contains(part)), "{text}");
    assert_eq!(net.state_dict(), before);
}

#[test]
fn a_clone_has_identities_of_its_own() {
    let a = nested::<f32>();
    let mut b = a.clone();
    let ids = |net: &Nested| -> BTreeSet<u64> { net.parameters().iter().map(|p| p.id().unwrap()).collect() };
    assert_eq!((ids(&a).len(), ids(&a).intersection(&ids(&b)).count()), (11, 0));
    b.z_first.weight.value_mut().as_mut_slice()[0] = 50.0;
    b.z_first.running.set(Tensor::from([3.0]));
    assert_eq!((a.z_first.weight.value().at([0]), a.z_first.running.get().item()), (1.0, 0.0));
}

#[test]
fn a_frozen_part_gets_no_gradient_and_thaws_with_its_identity() {
    let mut net = dense::<f64>(3.0, true);
    let id = net.weight.id();
    net.for_each_parameter(|path, p| p.set_trainable(path != "weight"));
    assert_eq!((net.num_trainable(), net.weight.id()), (2, None));
    let x = Var::constant(Tensor::from([1.0, 2.0]));
    let loss = (&x * &*net.weight + &**net.bias.as_ref().unwrap()).sum(..);
    assert_eq!(loss.backward().len(), 1);
    net.set_trainable(true);
    assert_eq!((net.num_trainable(), net.weight.id()), (4, id));
}
