//! The oracles beside differences: Taylor's rate, the adjoint identity, dual numbers.

use super::{Claim, Engine, dot, misshapen};
use crate::array::Array;
use crate::oracle::{Opinion, Oracle, taylor};
use crate::report::{Fault, Finding, Report};

impl Engine<'_> {
    pub(super) fn other_oracles(
        mut self,
        y: &Array,
        claims: &[Claim],
        undecided: bool,
        scale: f64,
        report: &mut Report,
    ) -> Result<(), String> {
        let Some(claim) = claims.first() else { return Ok(()) };
        if self.inputs.iter().all(Array::is_empty) {
            return Ok(());
        }
        let gy = self.random.probe(y, 0);
        let grads = self.f.vjp(self.inputs, &gy)?;
        let claim = Claim { gy, grads: if misshapen(self.inputs, &grads).is_none() { grads } else { claim.grads.clone() } };
        let along: Vec<Array> = self.inputs.iter().map(|x| self.random.probe(x, 0)).collect();
        let taylor = self.taylor(y, &claim, &along, undecided)?;
        self.hear(Oracle::Taylor, taylor, report);
        if let Some(ju) = self.f.jvp(self.inputs, &along) {
            let opinion = self.adjoint(&ju?, &claim, &along, scale);
            self.hear(Oracle::Adjoint, opinion, report);
        }
        if let Some(opinion) = self.dual(y, undecided)? {
            self.hear(Oracle::Dual, opinion, report);
        }
        Ok(())
    }

    fn hear(&self, oracle: Oracle, opinion: Opinion, report: &mut Report) {
        report.opinions.insert((self.order, oracle), opinion);
        if opinion == Opinion::Disagrees && report.failures.is_empty() {
            let what = format!("the oracle `{oracle}` disagrees where differences saw nothing wrong");
            report.failures.push(Finding { fault: Fault::Broken(what), ..Finding::nowhere(self.order) });
        }
    }

    fn taylor(&self, y: &Array, claim: &Claim, along: &[Array], undecided: bool) -> Result<Opinion, String> {
        // Neither a kink nor noise has a rate.
        if undecided {
            return Ok(Opinion::Unresolved);
        }
        let slope: f64 = claim.grads.iter().zip(along).map(|(g, u)| dot(g.data(), u.data())).sum();
        let size = y.data().iter().zip(claim.gy.data()).map(|(y, g)| (y * g).abs()).sum();
        let directions: Vec<(usize, Vec<f64>)> = along.iter().map(|u| u.data().to_vec()).enumerate().collect();
        let mut phi = |t: f64| Ok(dot(&self.moved(&directions, t)?, claim.gy.data()));
        taylor::opinion(&mut phi, dot(y.data(), claim.gy.data()), slope, size)
    }

    /// `scale` is the size of derivatives to expect, where those at hand cancel to round-off.
    fn adjoint(&self, ju: &Array, claim: &Claim, along: &[Array], scale: f64) -> Opinion {
        if ju.len() != claim.gy.len() {
            return Opinion::Disagrees;
        }
        let forward = dot(ju.data(), claim.gy.data());
        let reverse: f64 = claim.grads.iter().zip(along).map(|(g, u)| dot(g.data(), u.data())).sum();
        let terms = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a * b).abs()).sum::<f64>();
        let size = terms(ju.data(), claim.gy.data())
            + claim.grads.iter().zip(along).map(|(g, u)| terms(g.data(), u.data())).sum::<f64>();
        match (forward - reverse).abs() {
            off if !off.is_finite() => Opinion::Unresolved,
            off if off <= 1e-10 * size + 1e-12 * scale => Opinion::Agrees,
            _ => Opinion::Disagrees,
        }
    }

    /// Dual numbers through the forward formula of a function of one element.
    fn dual(&self, y: &Array, undecided: bool) -> Result<Option<Opinion>, String> {
        let [x] = self.inputs else { return Ok(None) };
        let Some(slopes) = x.data().iter().map(|&v| self.f.dual(v)).collect::<Option<Vec<_>>>() else { return Ok(None) };
        if undecided || y.len() != x.len() {
            return Ok(Some(Opinion::Unresolved));
        }
        let claimed = &self.f.vjp(self.inputs, &Array::full(y.shape(), 1.0))?[0];
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(b.abs()) || !(a.is_finite() || b.is_finite());
        let right = slopes.iter().zip(claimed.data()).zip(y.data()).all(|((&(v, d), &g), &y)| near(d, g) && near(v, y));
        Ok(Some(if right { Opinion::Agrees } else { Opinion::Disagrees }))
    }
}
