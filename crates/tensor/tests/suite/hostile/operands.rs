//! Operands that mostly belong together, so that a call gets beyond its first check.

use super::draw::Draw;
use gradus_tensor::shape::checked_numel;
use gradus_tensor::*;

impl Draw {
    /// A list of one axis, as arrays of numbers are given.
    pub fn axis_list(&mut self) -> [usize; 1] {
        [self.number()]
    }

    /// Two factors of a product, whose inner sizes mostly agree: small ones, empty ones, or broadcast over more than memory holds.
    pub fn factors<T: Float>(&mut self, product: impl Fn(&Tensor<T>, &Tensor<T>) -> Tensor<T>) -> Tensor<T> {
        let [m, k, n] = [self.count(), self.count(), self.count()];
        let other = if self.once_in(6) { self.small() } else { k };
        let mut factor = |shape: [usize; 2]| match shape.iter().all(|&n| n < 100) {
            true => self.tensor_of(&shape),
            false if checked_numel(&shape).is_some() => Tensor::full(shape, self.value()),
            false => Tensor::full([1 << 29; 2], self.value()),
        };
        product(&factor([m, k]), &factor([other, n]))
    }

    /// A vector that may be longer than memory.
    pub fn vector(&mut self) -> Tensor<f32> {
        Tensor::full([self.count().min(Shape::MAX_NUMEL)], 1.0)
    }

    pub fn conv(&mut self) -> (Tensor<f32>, Tensor<f32>, Conv2dOptions) {
        let groups = if self.once_in(10) { self.number() } else { 1 + self.below(2) };
        let channels = if self.once_in(4) { self.small() } else { 2 };
        let (rows, cols) = (self.small() + 2, self.small() + 2);
        let x = [self.below(3), channels, rows, cols];
        let within = if self.once_in(10) { self.small() } else { channels.checked_div(groups).unwrap_or(0) };
        let w = [self.below(3) * groups.min(2), within, self.small(), self.small()];
        let rare = |d: &mut Self, rarely: fn(&mut Self) -> usize, usual: usize| if d.once_in(5) { rarely(d) } else { usual };
        let o = Conv2dOptions {
            stride: [rare(self, Self::number, 1), rare(self, Self::number, 2)],
            padding: [[rare(self, Self::count, 1), rare(self, Self::count, 1)], [rare(self, Self::count, 0), 0]],
            dilation: [rare(self, Self::number, 1), rare(self, Self::number, 1)],
            groups,
            algorithm: self.of(&[ConvAlgorithm::Fastest, ConvAlgorithm::Direct]),
        };
        let x = if self.once_in(8) { self.tensor() } else { self.tensor_of(&x) };
        (x, if self.once_in(8) { self.beside(&w) } else { self.tensor_of(&w) }, o)
    }

    /// A gradient of the shape that the result has, if there is one.
    pub fn gradient_of_conv(&mut self, x: &Tensor<f32>, w: &Tensor<f32>, o: &Conv2dOptions) -> Tensor<f32> {
        match conv2d_shape(x.shape(), w.shape(), o) {
            Ok(shape) => self.beside(&shape),
            Err(_) => self.tensor(),
        }
    }

    pub fn pool(&mut self) -> (Tensor<f32>, Pool2dOptions) {
        let x = [self.below(3), self.below(3), self.small() + 1, self.small() + 1];
        let rare = |d: &mut Self, usual: usize| if d.once_in(4) { d.number() } else { usual };
        let kernel = [rare(self, 2), rare(self, 3)];
        let half = |d: &mut Self, kernel: usize| {
            if d.once_in(2) { [0, 0] } else { [kernel / 2, if d.once_in(2) { kernel / 2 } else { 0 }] }
        };
        let o = Pool2dOptions {
            kernel,
            stride: [rare(self, 1), rare(self, 2)],
            padding: [half(self, kernel[0]), half(self, kernel[1])],
            dilation: [if self.once_in(6) { self.number() } else { 1 }, 1],
            ceil_mode: self.once_in(2),
            count_include_pad: self.once_in(2),
        };
        (if self.once_in(8) { self.beside(&x) } else { self.tensor_of(&x) }, o)
    }

    pub fn gradient_of_pool(&mut self, x: &Tensor<f32>, o: &Pool2dOptions) -> Tensor<f32> {
        match pool2d_shape(x.shape(), o) {
            Ok(shape) => self.beside(&shape),
            Err(_) => self.tensor(),
        }
    }

    pub fn gates(&mut self, usual: usize) -> usize {
        if self.once_in(4) { self.small() } else { usual }
    }

    /// A sequence of small sizes, and the shape of its states.
    pub fn sequence(&mut self, gates: usize) -> Result<(FusedSequence<f32>, [usize; 2]), ShapeError> {
        let (steps, batch, hidden) = (self.small(), self.small(), self.small());
        let (share, weight) = (self.tensor_of(&[steps, batch, gates * hidden]), self.tensor_of(&[gates * hidden, hidden]));
        let (share, weight) = (self.either(&share), self.either(&weight));
        let mask = self.once_in(2).then(|| self.mask(&share));
        Ok((FusedSequence::new("cell", &share, &weight, mask.as_ref(), gates)?, [batch, hidden]))
    }

    /// This tensor, or rarely another.
    pub fn either(&mut self, x: &Tensor<f32>) -> Tensor<f32> {
        if self.once_in(10) { self.tensor() } else { x.clone() }
    }

    pub fn rng(&mut self) -> Rng {
        let key = [self.below(256) as u8; 32];
        Rng::from_state(&RngState { key, words: self.number() as u64, tensors: self.number() as u64 })
    }
}
