//! The three patterns of Goodfellow, Bengio and Courville, "Deep Learning", section 10.2, against the book's equations for
//! their gradients (10.18 to 10.28), written out in plain loops.

use gradus_autograd::{Grads, Var};
use gradus_check::check_module;
use gradus_nn::*;
use gradus_tensor::{Rng, Tensor};

const STEPS: usize = 5;
const INPUTS: usize = 3;
const HIDDEN: usize = 4;
const CLASSES: usize = 3;

type Vector = Vec<f64>;
type Matrix = Vec<Vector>;

fn matrix(t: &Tensor<f64>) -> Matrix {
    (0..t.shape()[0]).map(|i| t.select(0, i).to_vec()).collect()
}

fn times(m: &Matrix, x: &[f64]) -> Vector {
    m.iter().map(|row| row.iter().zip(x).map(|(a, b)| a * b).sum()).collect()
}

fn transposed(m: &Matrix) -> Matrix {
    (0..m[0].len()).map(|j| m.iter().map(|row| row[j]).collect()).collect()
}

fn plus(a: &[f64], b: &[f64]) -> Vector {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

fn add_outer(sum: &mut Matrix, a: &[f64], b: &[f64]) {
    for (row, a) in sum.iter_mut().zip(a) {
        row.iter_mut().zip(b).for_each(|(s, b)| *s += a * b);
    }
}

fn softmax(o: &[f64]) -> Vector {
    let total: f64 = o.iter().map(|o| o.exp()).sum();
    o.iter().map(|o| o.exp() / total).collect()
}

fn zeros(rows: usize, cols: usize) -> Matrix {
    vec![vec![0.0; cols]; rows]
}

/// The parameters by the book's letters.
struct Book {
    u: Matrix,
    w: Matrix,
    b: Vector,
    v: Matrix,
    c: Vector,
}

/// What the state of a step is made of, besides the input.
#[derive(Clone, Copy, PartialEq)]
enum Link {
    Hidden,
    Target,
    Output,
}

/// The gradients of the same letters, of `Σ -log ŷ[label]` over the steps that have a label.
fn by_the_book(p: &Book, x: &Matrix, labels: &[Option<usize>], targets: &Matrix, link: Link) -> Book {
    let width = if link == Link::Hidden { HIDDEN } else { CLASSES };
    let (mut before, mut states, mut outputs) = (vec![vec![0.0; width]], Matrix::new(), Matrix::new());
    for (x, target) in x.iter().zip(targets) {
        let a = plus(&plus(&p.b, &times(&p.w, before.last().unwrap())), &times(&p.u, x));
        let h: Vector = a.iter().map(|a| a.tanh()).collect();
        let o = plus(&p.c, &times(&p.v, &h));
        before.push(match link {
            Link::Hidden => h.clone(),
            Link::Target => target.clone(),
            Link::Output => o.clone(),
        });
        states.push(h);
        outputs.push(o);
    }
    let mut g = Book {
        u: zeros(HIDDEN, INPUTS),
        w: zeros(HIDDEN, width),
        b: vec![0.0; HIDDEN],
        v: zeros(CLASSES, HIDDEN),
        c: vec![0.0; CLASSES],
    };
    // The gradient that reaches what a step hands to the next one.
    let mut handed = vec![0.0; width];
    for t in (0..x.len()).rev() {
        let mut go = vec![0.0; CLASSES]; // (10.18)
        if let Some(label) = labels[t] {
            go = softmax(&outputs[t]);
            go[label] -= 1.0;
        }
        if link == Link::Output {
            go = plus(&go, &handed);
        }
        let mut gh = times(&transposed(&p.v), &go); // (10.19)
        if link == Link::Hidden {
            gh = plus(&gh, &handed); // (10.21)
        }
        let ga: Vector = gh.iter().zip(&states[t]).map(|(g, h)| g * (1.0 - h * h)).collect();
        g.c = plus(&g.c, &go); // (10.22)
        g.b = plus(&g.b, &ga); // (10.23)
        add_outer(&mut g.v, &go, &states[t]); // (10.24)
        add_outer(&mut g.w, &ga, &before[t]); // (10.26)
        add_outer(&mut g.u, &ga, &x[t]); // (10.28)
        handed = times(&transposed(&p.w), &ga);
    }
    g
}

fn assert_near(what: &str, found: &Tensor<f64>, book: &[f64]) {
    for (a, b) in found.to_vec().iter().zip(book) {
        assert!((a - b).abs() < 1e-12, "{what}: {found:?}, by the book {book:?}");
    }
}

fn input() -> (Tensor<f64>, Vec<usize>, Tensor<f64>) {
    let labels = vec![2, 0, 1, 1, 2];
    let index = Tensor::from_vec(labels.iter().map(|&l| l as i64).collect(), [1, STEPS]);
    (Tensor::normal([1, STEPS, INPUTS], 0.0, 1.0, &mut Rng::seed(3)), labels, index.one_hot(CLASSES))
}

/// `Σ -log ŷ` of one sequence's outputs `[1, T, classes]`.
fn loss(o: &Var<f64>, labels: &[usize]) -> Var<f64> {
    let index = Tensor::from_vec(labels.iter().map(|&l| l as i64).collect(), [labels.len(), 1]);
    -o.reshape([labels.len(), CLASSES]).log_softmax(1).gather(1, &index).sum(..)
}

fn compare(grads: &Grads<f64>, params: &[(String, &gradus_autograd::Param<f64>)], names: [&str; 5], book: &Book) {
    let of = |name: &str| &grads[params.iter().find(|(path, _)| path == name).unwrap_or_else(|| panic!("no {name}")).1];
    assert_near("U", of(names[0]), &book.u.concat());
    assert_near("W", of(names[1]), &book.w.concat());
    assert_near("b", of(names[2]), &book.b);
    assert_near("V", of(names[3]), &book.v.concat());
    assert_near("c", of(names[4]), &book.c);
}

const RNN: [&str; 5] = ["recurrent.weight_ih", "recurrent.weight_hh", "recurrent.bias_ih", "head.weight", "head.bias"];

/// The book has one bias where the cell has two.
fn rnn_book(module: &impl Module<f64>) -> Book {
    let params = module.named_parameters();
    let of = |name: &str| params.iter().find(|(path, _)| path == name).unwrap().1.value().clone();
    let b = plus(&of("recurrent.bias_ih").to_vec(), &of("recurrent.bias_hh").to_vec());
    Book {
        u: matrix(&of("recurrent.weight_ih")),
        w: matrix(&of("recurrent.weight_hh")),
        b,
        v: matrix(&of("head.weight")),
        c: of("head.bias").to_vec(),
    }
}

#[test]
fn hidden_recurrence_is_the_books() {
    let (x, labels, targets) = input();
    let net = HiddenRecurrence::<_, f64>::rnn(INPUTS, HIDDEN, CLASSES, &mut Rng::seed(1));
    let all: Vec<_> = labels.iter().copied().map(Some).collect();
    let book = by_the_book(&rnn_book(&net), &matrix(&x.select(0, 0)), &all, &matrix(&targets.select(0, 0)), Link::Hidden);
    let grads = loss(&net.forward(&x.into(), &mut Mode::Eval), &labels).backward();
    compare(&grads, &net.named_parameters(), RNN, &book);
}

#[test]
fn sequence_to_one_is_the_books() {
    let (x, labels, targets) = input();
    let net = SequenceToOne::<_, f64>::rnn(INPUTS, HIDDEN, CLASSES, &mut Rng::seed(1));
    let last: Vec<_> = (0..STEPS).map(|t| (t == STEPS - 1).then_some(labels[t])).collect();
    let book = by_the_book(&rnn_book(&net), &matrix(&x.select(0, 0)), &last, &matrix(&targets.select(0, 0)), Link::Hidden);
    let grads = loss(&net.forward(&x.into(), &mut Mode::Eval), &labels[STEPS - 1..]).backward();
    compare(&grads, &net.named_parameters(), RNN, &book);
}

fn output_book(net: &OutputRecurrence<f64>) -> Book {
    Book {
        u: matrix(net.input.weight.value()),
        w: matrix(net.feedback.weight.value()),
        b: net.input.bias.as_ref().unwrap().value().to_vec(),
        v: matrix(net.head.weight.value()),
        c: net.head.bias.as_ref().unwrap().value().to_vec(),
    }
}

#[test]
fn output_recurrence_is_the_books() {
    let (x, labels, targets) = input();
    let net = OutputRecurrence::<f64>::new(INPUTS, HIDDEN, CLASSES, &mut Rng::seed(1));
    let all: Vec<_> = labels.iter().copied().map(Some).collect();
    let book = |link| by_the_book(&output_book(&net), &matrix(&x.select(0, 0)), &all, &matrix(&targets.select(0, 0)), link);
    let names = ["input.weight", "feedback.weight", "input.bias", "head.weight", "head.bias"];
    let sequence = Sequence::new(&x);
    let forced = net.teacher_forced(&sequence, &targets).data();
    compare(&loss(&forced, &labels).backward(), &net.named_parameters(), names, &book(Link::Target));
    let free = net.free_running(&sequence, &mut Rng::seed(0)).data();
    compare(&loss(&free, &labels).backward(), &net.named_parameters(), names, &book(Link::Output));
}

fn output_recurrence(link: Feedback) -> OutputRecurrence<f64> {
    OutputRecurrence::new(INPUTS, HIDDEN, CLASSES, &mut Rng::seed(1)).link(link)
}

#[test]
fn output_recurrence_has_the_right_derivatives() {
    let (x, _, targets) = input();
    for link in [Feedback::Output, Feedback::Softmax] {
        check_module(output_recurrence(link), [x.clone()], |net, v| {
            net.free_running(&Sequence::new(&v[0]), &mut Rng::seed(0)).data()
        })
        .unwrap();
    }
    check_module(output_recurrence(Feedback::Softmax), [x], move |net, v| {
        let half = TeacherForcing::Probability(0.5);
        net.scheduled(&Sequence::new(&v[0]), &targets, half, 0, &mut Rng::seed(4)).data()
    })
    .unwrap();
}

/// A teacher who says what the network says changes nothing; and padding is nothing.
#[test]
fn free_running_is_teacher_forcing_with_its_own_outputs() {
    let x = Tensor::normal([3, STEPS, INPUTS], 0.0, 1.0, &mut Rng::seed(5));
    let lengths = [5, 2, 4];
    let sequence = Sequence::new(&x).with_lengths(&lengths);
    for link in [Feedback::Output, Feedback::Softmax, Feedback::Argmax] {
        let net = output_recurrence(link);
        let rng = Rng::seed(6);
        let free = net.free_running(&sequence, &mut rng.clone()).data().into_value();
        let said = match link {
            Feedback::Output => free.clone(),
            Feedback::Softmax => Var::constant(free.clone()).softmax(2).into_value(),
            _ => free.argmax(2).one_hot(CLASSES),
        };
        let forced = net.teacher_forced(&sequence, &said).data();
        assert!((forced.value() - &free).abs().max(..).item() < 1e-12, "{link:?}");
        for (n, &length) in lengths.iter().enumerate() {
            assert_eq!(free.slice(0, n..=n).slice(1, length..).abs().sum(..).item(), 0.0);
        }
        let never = net.scheduled(&sequence, &said, TeacherForcing::Never, 0, &mut rng.clone()).data();
        assert!((never.value() - &free).abs().max(..).item() < 1e-12);
    }
}

/// With no weights but the bias of the output, samples follow its softmax.
#[test]
fn sampled_feedback_follows_the_softmax() {
    let mut net = output_recurrence(Feedback::Sample);
    let logits = [1.0, 0.0, -1.0];
    net.for_each_parameter(|path, p| {
        p.set(match path {
            "head.bias" => Tensor::from(logits),
            // The hidden units say which class was read: 1, 2 and 3.
            "feedback.weight" => Tensor::from_fn([HIDDEN, CLASSES], |at| if at[0] == at[1] { 20.0 } else { 0.0 }),
            _ => Tensor::zeros(p.shape().clone()),
        });
    });
    let rows = 4000;
    let x = Sequence::new(Tensor::zeros([rows, 2, INPUTS]));
    net.head.weight.set(Tensor::from_fn([CLASSES, HIDDEN], |at| if at[0] == at[1] { 100.0 } else { 0.0 }));
    let y = net.free_running(&x, &mut Rng::seed(1)).data();
    let counts = y.value().select(1, 1).argmax(1).bincount(CLASSES).to_vec();
    for (count, p) in counts.iter().zip(softmax(&logits)) {
        let spread = (rows as f64 * p * (1.0 - p)).sqrt();
        assert!((*count as f64 - rows as f64 * p).abs() < 4.0 * spread, "{counts:?}");
    }
}

#[test]
fn schedules_fall_as_published() {
    let sigmoid = TeacherForcing::InverseSigmoid { k: 10.0 };
    assert!((sigmoid.probability(0) - 10.0 / 11.0).abs() < 1e-15);
    assert!((sigmoid.probability(23) - 0.5).abs() < 0.02); // k ln k = 23.03
    assert_eq!(TeacherForcing::Exponential { rate: 0.5 }.probability(3), 0.125);
    assert_eq!(TeacherForcing::InverseSigmoid { k: 1.0 }.probability(100_000), 0.0);
}

#[test]
fn the_gap_is_what_free_running_adds() {
    let (x, labels, targets) = input();
    let net = output_recurrence(Feedback::Softmax);
    let gap = net.forcing_gap(&Sequence::new(&x), &targets, &mut Rng::seed(0), |o| loss(&o.data(), &labels));
    let forced = loss(&net.teacher_forced(&Sequence::new(&x), &targets).data(), &labels).item();
    assert_eq!(gap.teacher_forced, forced);
    assert_eq!(gap.gap(), gap.free_running - forced);
    assert!(gap.gap() != 0.0);
}

#[test]
#[should_panic(expected = "targets [1, 4, 3]; wanted [1, 5, 3]")]
fn targets_of_other_steps_are_refused() {
    let (x, _, targets) = input();
    let _ = output_recurrence(Feedback::Output).teacher_forced(&Sequence::new(&x), &targets.slice(1, ..4));
}

/// Reading to one output takes each direction where it has seen all.
#[test]
fn a_reversed_layer_has_read_all_at_the_first_step() {
    let rng = &mut Rng::seed(0);
    let x = Sequence::new(Tensor::normal([2, 4, 3], 0.0, 1.0, rng)).with_lengths(&[4, 2]);
    let both = Bidirectional::new(Gru::<f64>::new(3, 2, rng), Gru::new(3, 2, rng));
    let (_, (a, b)) = both.run(&x, &mut Mode::Eval);
    let states = Tensor::concat(&[a.value(), b.value()], 1);
    assert_eq!(*both.last_output(&x, &mut Mode::Eval).value(), states);
    let stack = Stacked::new([both]);
    assert_eq!(*stack.last_output(&x, &mut Mode::Eval).value(), states);
}
