//! Tapes as tables, graphs and pictures.

use gradus_autograd::{GradMode, Param, Tape, Var, grad, op};
use gradus_tensor::{Rng, Tensor};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// A random expression of `n` ops over a few leaves: unary, binary and of one operand twice, near and far readers.
fn random_expression(n: usize, seed: u64) -> Var<f64> {
    let rng = &mut Rng::seed(seed);
    let mut vars: Vec<Var<f64>> = (0..1 + rng.below(3)).map(|_| Var::leaf(Tensor::ones([2, 3]))).collect();
    for _ in 0..n {
        let near = vars.len() - 1 - rng.below(vars.len().min(3));
        let (a, b) = (&vars[near], &vars[rng.below(vars.len())]);
        let made = match rng.below(6) {
            0 => a.tanh(),
            1 => a * b,
            2 => a + a,
            3 => a.transpose(0, 1).transpose(0, 1),
            4 => op("a<b> & \"c\"", [a, b], a.value() - b.value(), |p| [Some(p.gy().clone()), Some(-p.gy())]),
            _ => a * 0.5,
        };
        vars.push(made);
    }
    let last = vars.last().unwrap().sum(..);
    vars.iter().skip(1).step_by(3).fold(last, |total, v| total + v.sum(..))
}

/// How many lines the pictures of this tape must have.
fn edges(tape: &Tape) -> usize {
    tape.iter().map(|e| e.inputs.len()).sum()
}

fn check_svg(tape: &Tape) {
    let text = tape.to_svg();
    let doc = roxmltree::Document::parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let number = |node: &roxmltree::Node, name: &str| node.attribute(name).unwrap().parse::<f64>().unwrap();
    let boxes: Vec<_> = doc.descendants().filter(|n| n.attribute("class") == Some("box")).collect();
    let ids: Vec<String> = boxes.iter().map(|b| b.attribute("id").unwrap().to_string()).collect();
    let wanted: BTreeSet<String> = tape.iter().map(|e| format!("n{}", e.id)).collect();
    assert_eq!(ids.len(), tape.len(), "a box for each entry");
    assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), wanted);
    let rects: Vec<[f64; 4]> = boxes.iter().map(|b| ["x", "y", "width", "height"].map(|name| number(b, name))).collect();
    let root = doc.root_element();
    for (i, [x, y, w, h]) in rects.iter().enumerate() {
        assert!(*x >= 0.0 && *y >= 0.0 && x + w <= number(&root, "width") && y + h <= number(&root, "height"));
        for [x2, y2, w2, h2] in &rects[i + 1..] {
            assert!(x + w < *x2 || x2 + w2 < *x || y + h < *y2 || y2 + h2 < *y, "boxes overlap");
        }
    }
    let arrows = doc.descendants().filter(|n| n.attribute("marker-end").is_some()).count();
    assert_eq!(arrows, edges(tape), "an arrow for each input");
    for e in tape {
        let b = boxes.iter().find(|b| b.attribute("id") == Some(&format!("n{}", e.id))).unwrap();
        let texts: Vec<_> = b.parent().unwrap().children().filter(|n| n.has_tag_name("text")).filter_map(|n| n.text()).collect();
        assert_eq!(texts[..2], [e.label(), &e.shape.to_string()]);
        let tip = b.parent().unwrap().children().find(|n| n.has_tag_name("title")).unwrap().text().unwrap();
        assert!(tip.contains(&e.at.to_string()), "{tip}");
    }
}

fn check_dot(tape: &Tape) {
    let dot = tape.to_dot();
    assert!(dot.starts_with("digraph tape {\n") && dot.ends_with("}\n"));
    for e in tape {
        assert_eq!(dot.matches(&format!("\n  n{} [label=", e.id)).count(), 1);
        for input in &e.inputs {
            let same = e.inputs.iter().filter(|i| *i == input).count();
            assert_eq!(dot.matches(&format!("\n  n{input} -> n{};", e.id)).count(), same);
        }
    }
    assert_eq!(dot.matches(" -> ").count(), edges(tape));
    // Quotation marks come in pairs once those of the labels are set aside.
    assert_eq!(dot.replace("\\\\", "").replace("\\\"", "").matches('"').count() % 2, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn pictures_of_random_tapes_are_well_formed(n in 0usize..40, seed: u64) {
        let tape = random_expression(n, seed).tape();
        check_svg(&tape);
        check_dot(&tape);
    }
}

#[test]
fn pictures_of_derivatives_and_of_constants() {
    let x = Var::leaf(Tensor::<f64>::ones([4]));
    let g = grad(&x.gelu().sum(..), &[&x], GradMode::Differentiable).unwrap().remove(0);
    check_svg(&g.tape());
    check_dot(&g.tape());
    let constant = Var::<f32>::constant(Tensor::ones([2])).tape();
    assert!(constant.is_empty());
    check_svg(&constant);
    check_dot(&constant);
    assert!(constant.to_string().contains("constant"));
}

#[test]
fn the_table_has_a_row_for_each_entry() {
    let (w, b) = (Param::<f32>::new(Tensor::ones([2, 3])), Param::new(Tensor::ones([2])));
    let x = Var::constant(Tensor::<f32>::ones([5, 3]));
    let y = x.matmul(&w.t()) + &*b;
    let tape = y.tanh().tape().named(&(w, b));
    let names: Vec<_> = tape.iter().map(|e| (e.name, e.label(), e.bytes)).collect();
    let wanted = [("leaf", "0", 24), ("leaf", "1", 8), ("transpose", "transpose", 24), ("matmul", "matmul", 40)];
    assert_eq!(names[..4], wanted);
    let text = tape.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2 + tape.len() + 1, "{text}");
    for (line, e) in lines[2..].iter().zip(&tape) {
        assert!(line.trim_start().starts_with(&e.id.to_string()), "{line}");
        assert!(line.contains(e.label()) && line.contains(&e.shape.to_string()), "{line}");
        assert!(line.ends_with(&format!("pictures.rs:{}", e.at.line())), "{line}");
    }
    assert_eq!(lines.last().unwrap(), &"4 ops, 2 leaves with 8 numbers; results of 144 B");
    for e in &tape {
        assert_eq!(tape.get(e.id), Some(e));
    }
    assert_eq!(tape.get(u64::MAX), None);
}

#[test]
fn a_long_tape_is_summed_up() {
    let x = Var::leaf(Tensor::<f64>::ones([8]));
    let y = (0..1000).fold(x.clone(), |y, _| (y * 0.5).sin());
    let text = y.tape().to_string();
    assert!(text.lines().count() < 60, "{text}");
    assert!(text.contains("1,969 more"), "{text}");
    let total = text.lines().find(|l| l.starts_with("sin ")).unwrap();
    assert_eq!(total.split_whitespace().collect::<Vec<_>>(), ["sin", "1,000", "62.5", "KiB"]);
    assert!(text.ends_with("2,000 ops, 1 leaf with 8 numbers; results of 125.0 KiB\n"), "{text}");
}
