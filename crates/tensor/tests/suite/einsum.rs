//! Sums of products against the sum over every assignment of indices to labels.

use crate::common::{indices, on_threads};
use crate::layouts::{at, reals};
use gradus_tensor::{Label, Rng, Tensor, einsum_plan};
use proptest::prelude::*;

/// The definition: for every assignment of an index to each label, the product of the operands' elements.
fn naive(spec: &str, operands: &[&Tensor<f64>]) -> Tensor<f64> {
    let shapes: Vec<&[usize]> = operands.iter().map(|x| &x.shape()[..]).collect();
    let plan = einsum_plan(spec, &shapes).unwrap();
    let mut labels: Vec<Label> = plan.operands().iter().flatten().copied().collect();
    labels.sort();
    labels.dedup();
    let mut out = vec![0.0; plan.shape(plan.output()).numel()];
    for index in indices(&plan.shape(&labels)) {
        let of = |l: &Label| index[labels.binary_search(l).unwrap()];
        let element = |(x, ls): (&&Tensor<f64>, &gradus_tensor::Labels)| {
            let place: Vec<usize> = ls.iter().zip(x.shape().iter()).map(|(l, &n)| if n == 1 { 0 } else { of(l) }).collect();
            at(x, &place)
        };
        let product: f64 = operands.iter().zip(plan.operands()).map(element).product();
        let place = plan.output().iter().fold(0, |p, l| p * plan.size(*l) + of(l));
        out[place] += product;
    }
    Tensor::from_vec(out, plan.shape(plan.output()))
}

fn check(spec: &str, operands: &[&Tensor<f64>]) {
    let (y, wanted) = (Tensor::einsum(spec, operands), naive(spec, operands));
    assert_eq!(y.shape(), wanted.shape(), "{spec}");
    for (a, b) in y.to_vec().into_iter().zip(wanted.to_vec()) {
        assert!((a - b).abs() < 1e-9, "{spec}: {a} for {b}");
    }
}

#[test]
fn the_common_forms() {
    let forms: [(&str, &[&[usize]]); 30] = [
        ("ij->ji", &[&[2, 3]]),
        ("ij->", &[&[2, 3]]),
        ("ij->j", &[&[2, 3]]),
        ("ii", &[&[3, 3]]),
        ("ii->i", &[&[3, 3]]),
        ("iij->ij", &[&[3, 3, 2]]),
        ("iji->j", &[&[3, 2, 3]]),
        ("iii", &[&[2, 2, 2]]),
        ("ijij->ji", &[&[2, 3, 2, 3]]),
        ("i,i", &[&[4], &[4]]),
        ("i,j->ij", &[&[4], &[3]]),
        ("i,j->ji", &[&[4], &[3]]),
        ("i,j", &[&[4], &[3]]),
        ("ij,ij->ij", &[&[2, 3], &[2, 3]]),
        ("ij,jk", &[&[2, 3], &[3, 4]]),
        ("ij,kj->ki", &[&[2, 3], &[4, 3]]),
        ("ij,jk->", &[&[2, 3], &[3, 4]]),
        ("ba,ac", &[&[2, 3], &[3, 4]]),
        ("bij,bjk->bik", &[&[2, 3, 4], &[2, 4, 3]]),
        ("bhid,bhjd->bhij", &[&[2, 2, 3, 4], &[2, 2, 5, 4]]),
        ("bij,bjk->ik", &[&[2, 3, 4], &[2, 4, 3]]),
        ("...ij,...jk", &[&[2, 3, 4], &[4, 3]]),
        ("...ij,...jk->...ik", &[&[2, 1, 3, 4], &[5, 4, 3]]),
        ("...i->i...", &[&[2, 3, 4]]),
        ("i...,i...->...", &[&[2, 3], &[2, 1]]),
        ("b...i,ji->b...j", &[&[2, 3, 4, 5], &[2, 5]]),
        ("ij,jk,kl->il", &[&[2, 3], &[3, 4], &[4, 2]]),
        ("a,b,c->cab", &[&[2], &[3], &[2]]),
        (" i j , j -> i ", &[&[2, 0], &[0]]),
        (",i->i", &[&[], &[3]]),
    ];
    let mut rng = Rng::seed(1);
    for (spec, shapes) in forms {
        let operands: Vec<Tensor<f64>> = shapes.iter().map(|s| reals(&mut rng, s)).collect();
        check(spec, &operands.iter().collect::<Vec<_>>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// Any labels, also repeated, on one to three operands; any of them in the output, in any order.
    #[test]
    fn any_spec(terms in prop::collection::vec("[a-d]{0,3}", 1..4), keep in 0usize..16, turn in 0usize..4, seed in 0u64..1 << 32) {
        let mut rng = Rng::seed(seed);
        let sizes: Vec<usize> = (0..4).map(|_| [0, 1, 2, 2, 3, 3, 4][rng.below(7)]).collect();
        let mut output: Vec<char> = "abcd".chars().collect();
        output.retain(|c| terms.iter().any(|t| t.contains(*c)) && keep >> (*c as usize - 97) & 1 == 1);
        if !output.is_empty() {
            let turn = turn % output.len();
            output.rotate_left(turn);
        }
        let inputs = terms.join(",");
        let operands: Vec<Tensor<f64>> = terms
            .iter()
            .map(|t| reals(&mut rng, &t.bytes().map(|c| sizes[c as usize - 97]).collect::<Vec<_>>()))
            .collect();
        let operands: Vec<_> = operands.iter().collect();
        check(&inputs, &operands);
        check(&format!("{inputs}->{}", output.iter().collect::<String>()), &operands);
    }
}

/// An einsum is linear in each operand: `<gy, f(.., x, ..)> = <adjoint(gy, ..), x>`.
#[test]
fn adjoints() {
    let forms: [(&str, &[&[usize]]); 8] = [
        ("ij->i", &[&[2, 3]]),
        ("ij,jk->ik", &[&[2, 3], &[3, 4]]),
        ("ij,jk->", &[&[2, 3], &[3, 4]]),
        ("bij,bjk->ik", &[&[2, 3, 4], &[2, 4, 3]]),
        ("...ij,...jk->...ki", &[&[2, 1, 3, 4], &[5, 4, 3]]),
        ("i,j->ji", &[&[4], &[3]]),
        ("ab,bc,cd->ad", &[&[2, 3], &[3, 4], &[4, 2]]),
        ("a,ab,b->b", &[&[2], &[2, 3], &[3]]),
    ];
    let mut rng = Rng::seed(3);
    for (spec, shapes) in forms {
        let xs: Vec<Tensor<f64>> = shapes.iter().map(|s| reals(&mut rng, s)).collect();
        let xs: Vec<&Tensor<f64>> = xs.iter().collect();
        let plan = einsum_plan(spec, shapes).unwrap();
        let gy = reals(&mut rng, &plan.shape(plan.output()));
        let wanted = (&gy * &plan.run(&xs)).sum(..).item();
        for (i, x) in xs.iter().enumerate() {
            let others = xs.iter().enumerate().filter(|o| o.0 != i).map(|o| *o.1);
            let gx = plan.adjoint(i).run(&[&gy].into_iter().chain(others).collect::<Vec<_>>()).sum_to(x.shape());
            assert!(((&gx * *x).sum(..).item() - wanted).abs() < 1e-12, "{spec}, operand {i}");
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let mut rng = Rng::seed(2);
    let (a, b) = (reals(&mut rng, &[6, 70, 50]), reals(&mut rng, &[6, 50, 60]));
    let run = || Tensor::einsum("bij,bjk->ik", &[&a, &b]).to_vec();
    assert_eq!(on_threads(1, run), on_threads(3, run));
}

#[test]
fn errors_name_what_does_not_fit() {
    let text = |spec: &str, shapes: &[&[usize]]| einsum_plan(spec, shapes).unwrap_err().to_string();
    assert_eq!(text("ij,jk", &[&[2, 3]]), "einsum: \"ij,jk\": names 2 operands, 1 are given");
    assert_eq!(text("ij", &[&[2]]), "einsum: \"ij\": operand 0 of shape [2]: 2 letters for 1 axes");
    assert_eq!(text("i...j", &[&[2]]), "einsum: \"i...j\": operand 0 of shape [2]: 2 letters for 1 axes");
    assert_eq!(text("ij,jk", &[&[2, 3], &[4, 5]]), "einsum: \"ij,jk\": axis 'j' has size 3, but 4 in operand 1 of shape [4, 5]");
    assert_eq!(text("ii", &[&[2, 3]]), "einsum: \"ii\": axis 'i' has size 2, but 3 in operand 0 of shape [2, 3]");
    assert_eq!(text("ij->ijj", &[&[2, 3]]), "einsum: \"ij->ijj\": axis 'j' is twice in the output");
    assert_eq!(text("ij->ik", &[&[2, 3]]), "einsum: \"ij->ik\": axis 'k' of the output is in no operand");
    assert_eq!(text("i1", &[&[2, 3]]), "einsum: \"i1\": operand 0 of shape [2, 3]: '1' is no letter");
    assert_eq!(
        text("...,...", &[&[2], &[3]]),
        "einsum: \"...,...\": axis -1 of \"...\" has size 2, but 3 in operand 1 of shape [3]"
    );
}
