//! Brightness, contrast, saturation and hue.
//!
//! All formulas are torchvision's for values from 0 to 1: the result is `factor x + (1 - factor) y`, cut to 0..1, where
//! `y` is black for brightness, the picture's mean grey for contrast, and each pixel's grey for saturation.

use super::{Transform, between, rgb, sizes};
use crate::error::DataError;
use gradus_tensor::{Rng, Tensor};

/// The shares of red, green and blue in grey (ITU-R BT.601).
const GREY: [f32; 3] = [0.2989, 0.587, 0.114];

fn blend(x: f32, y: f32, factor: f32) -> f32 {
    (factor * x + (1.0 - factor) * y).clamp(0.0, 1.0)
}

/// Calls `f` with the red, green and blue of every pixel of `picture`, to be changed.
fn each_pixel(picture: &mut Tensor<f32>, [_, h, w]: [usize; 3], f: impl Fn([f32; 3]) -> [f32; 3]) {
    let (red, rest) = picture.as_mut_slice().split_at_mut(h * w);
    let (green, blue) = rest.split_at_mut(h * w);
    for ((r, g), b) in red.iter_mut().zip(green).zip(blue) {
        [*r, *g, *b] = f([*r, *g, *b]);
    }
}

fn grey([r, g, b]: [f32; 3]) -> f32 {
    GREY[0] * r + GREY[1] * g + GREY[2] * b
}

/// Makes a picture darker (factor below 1) or brighter (above 1); 0 gives black.
///
/// ```
/// use gradus_data::transforms::adjust_brightness;
/// use gradus_tensor::Tensor;
/// assert_eq!(adjust_brightness(Tensor::from([[[0.25f32, 0.75]]]), 2.0)?.to_vec(), [0.5, 1.0]);
/// # Ok::<(), gradus_data::DataError>(())
/// ```
///
/// # Errors
/// When the picture is not `[C, H, W]`.
pub fn adjust_brightness(picture: Tensor<f32>, factor: f64) -> Result<Tensor<f32>, DataError> {
    sizes("brightness", &picture)?;
    Ok(picture.map(move |v| blend(v, 0.0, factor as f32)))
}

/// Brings values nearer to the mean grey (factor below 1) or away from it (above 1); 0 gives plain grey.
///
/// ```
/// use gradus_data::transforms::adjust_contrast;
/// use gradus_tensor::Tensor;
/// assert_eq!(adjust_contrast(Tensor::from([[[0.25f32, 0.75]]]), 1.5)?.to_vec(), [0.125, 0.875]);
/// # Ok::<(), gradus_data::DataError>(())
/// ```
///
/// # Errors
/// When the picture has neither one channel nor three.
pub fn adjust_contrast(picture: Tensor<f32>, factor: f64) -> Result<Tensor<f32>, DataError> {
    let values = to_grayscale(&picture)?.to_vec();
    let mean = (values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64) as f32;
    Ok(picture.map(move |v| blend(v, mean, factor as f32)))
}

/// Makes colours paler (factor below 1) or stronger (above 1); 0 gives grey. A picture of one channel stays as it is.
///
/// ```
/// use gradus_data::transforms::adjust_saturation;
/// use gradus_tensor::Tensor;
/// let red = Tensor::from([[[1.0f32]], [[0.0]], [[0.0]]]);
/// assert_eq!(adjust_saturation(red, 0.0)?.to_vec(), [0.2989; 3]);
/// # Ok::<(), gradus_data::DataError>(())
/// ```
///
/// # Errors
/// When the picture has neither one channel nor three.
pub fn adjust_saturation(mut picture: Tensor<f32>, factor: f64) -> Result<Tensor<f32>, DataError> {
    if sizes("saturation", &picture)?[0] == 1 {
        return Ok(picture);
    }
    let shape = rgb("saturation", &picture)?;
    each_pixel(&mut picture, shape, |pixel| pixel.map(|v| blend(v, grey(pixel), factor as f32)));
    Ok(picture)
}

/// Turns every colour's hue by `shift` of the whole circle, from -0.5 to 0.5. A picture of one channel stays as it is.
///
/// ```
/// use gradus_data::transforms::adjust_hue;
/// use gradus_tensor::Tensor;
/// let red = Tensor::from([[[1.0f32]], [[0.0]], [[0.0]]]);
/// let cyan = adjust_hue(red, 0.5)?;
/// assert!((cyan - Tensor::from([[[0.0]], [[1.0]], [[1.0]]])).abs().max(..).item() < 1e-6);
/// # Ok::<(), gradus_data::DataError>(())
/// ```
///
/// # Errors
/// When the picture has neither one channel nor three, or the shift is outside its range.
pub fn adjust_hue(mut picture: Tensor<f32>, shift: f64) -> Result<Tensor<f32>, DataError> {
    if !(-0.5..=0.5).contains(&shift) {
        return Err(DataError::new(format!("hue: a shift of {shift}; wanted -0.5 to 0.5")));
    }
    if sizes("hue", &picture)?[0] == 1 {
        return Ok(picture);
    }
    let shape = rgb("hue", &picture)?;
    each_pixel(&mut picture, shape, |pixel| {
        let [h, s, v] = to_hsv(pixel);
        to_rgb([(h + shift as f32).rem_euclid(1.0), s, v])
    });
    Ok(picture)
}

/// Hue, saturation and value, each from 0 to 1.
fn to_hsv([r, g, b]: [f32; 3]) -> [f32; 3] {
    let (high, low) = (r.max(g).max(b), r.min(g).min(b));
    let range = high - low;
    if range == 0.0 {
        return [0.0, 0.0, high];
    }
    let [from_r, from_g, from_b] = [r, g, b].map(|v| (high - v) / range);
    let sixths = match high {
        m if m == r => from_b - from_g,
        m if m == g => 2.0 + from_r - from_b,
        _ => 4.0 + from_g - from_r,
    };
    [(sixths / 6.0 + 1.0) % 1.0, range / high, high]
}

fn to_rgb([h, s, v]: [f32; 3]) -> [f32; 3] {
    let sixth = (h * 6.0).floor();
    let f = h * 6.0 - sixth;
    let [p, q, t] = [v * (1.0 - s), v * (1.0 - s * f), v * (1.0 - s * (1.0 - f))].map(|v| v.clamp(0.0, 1.0));
    match sixth as i32 % 6 {
        0 => [v, t, p],
        1 => [q, v, p],
        2 => [p, v, t],
        3 => [p, q, v],
        4 => [t, p, v],
        _ => [v, p, q],
    }
}

/// The grey values `0.2989 R + 0.587 G + 0.114 B`, `[1, H, W]`.
///
/// ```
/// use gradus_data::transforms::to_grayscale;
/// use gradus_tensor::Tensor;
/// let green = Tensor::from([[[0.0f32]], [[1.0]], [[0.0]]]);
/// assert_eq!(to_grayscale(&green)?, Tensor::from([[[0.587]]]));
/// # Ok::<(), gradus_data::DataError>(())
/// ```
///
/// # Errors
/// When the picture has neither one channel nor three.
pub fn to_grayscale(picture: &Tensor<f32>) -> Result<Tensor<f32>, DataError> {
    if sizes("grayscale", picture)?[0] == 1 {
        return Ok(picture.clone());
    }
    let [_, h, w] = rgb("grayscale", picture)?;
    let whole = picture.contiguous();
    let from = whole.as_slice().expect("contiguous");
    let (red, rest) = from.split_at(h * w);
    let (green, blue) = rest.split_at(h * w);
    Ok(Tensor::build([1, h, w], |out| {
        for (to, ((&r, &g), &b)) in out.iter_mut().zip(red.iter().zip(green).zip(blue)) {
            *to = grey([r, g, b]);
        }
    }))
}

/// Grey values in place of red, green and blue.
///
/// ```
/// use gradus_data::transforms::{Grayscale, Transform};
/// use gradus_tensor::{Rng, Tensor};
/// let grey = Grayscale::new(1).apply(Tensor::zeros([3, 4, 4]), &mut Rng::seed(0))?;
/// assert_eq!(*grey.shape(), [1, 4, 4]);
/// # Ok::<(), gradus_data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Grayscale {
    channels: usize,
}

impl Grayscale {
    /// The grey values so many times over: 1, or 3 for a network that wants three channels.
    pub fn new(channels: usize) -> Self {
        Self { channels }
    }
}

impl Transform for Grayscale {
    fn apply(&self, picture: Tensor<f32>, _: &mut Rng) -> Result<Tensor<f32>, DataError> {
        let grey = to_grayscale(&picture)?;
        Ok(if self.channels == 1 { grey } else { Tensor::concat(&vec![&grey; self.channels], 0) })
    }
}

/// Brightness, contrast, saturation and hue changed at random, in random order.
///
/// ```
/// use gradus_data::transforms::ColorJitter;
/// let jitter = ColorJitter::new().brightness(0.4).contrast(0.4).saturation(0.4).hue(0.1);
/// ```
#[doc(alias("RandomContrast", "RandomBrightness", "RandomHue"))]
#[derive(Clone, Copy, Debug, Default)]
pub struct ColorJitter {
    brightness: f64,
    contrast: f64,
    saturation: f64,
    hue: f64,
}

/// What a jitter of `amount` draws its factor from.
fn factor(amount: f64, rng: &mut Rng) -> f64 {
    between((1.0 - amount).max(0.0), 1.0 + amount, rng)
}

#[track_caller]
fn amount(what: &str, amount: f64) -> f64 {
    assert!(amount >= 0.0 && amount.is_finite(), "color jitter: {what} of {amount}; wanted 0 or more");
    amount
}

impl ColorJitter {
    /// No change yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A factor from `1 - amount`, at least 0, to `1 + amount`.
    ///
    /// # Panics
    /// When the amount is negative or not finite.
    #[must_use]
    #[track_caller]
    pub fn brightness(self, amount: f64) -> Self {
        Self { brightness: self::amount("brightness", amount), ..self }
    }

    /// A factor from `1 - amount`, at least 0, to `1 + amount`.
    ///
    /// # Panics
    /// When the amount is negative or not finite.
    #[must_use]
    #[track_caller]
    pub fn contrast(self, amount: f64) -> Self {
        Self { contrast: self::amount("contrast", amount), ..self }
    }

    /// A factor from `1 - amount`, at least 0, to `1 + amount`.
    ///
    /// # Panics
    /// When the amount is negative or not finite.
    #[must_use]
    #[track_caller]
    pub fn saturation(self, amount: f64) -> Self {
        Self { saturation: self::amount("saturation", amount), ..self }
    }

    /// A shift from `-amount` to `amount` of the whole circle of hues.
    ///
    /// # Panics
    /// When the amount is not from 0 to 0.5.
    #[must_use]
    #[track_caller]
    pub fn hue(self, amount: f64) -> Self {
        assert!((0.0..=0.5).contains(&amount), "color jitter: hue of {amount}; wanted 0 to 0.5");
        Self { hue: amount, ..self }
    }
}

impl Transform for ColorJitter {
    fn apply(&self, mut picture: Tensor<f32>, rng: &mut Rng) -> Result<Tensor<f32>, DataError> {
        for step in rng.permutation(4) {
            picture = match step {
                0 if self.brightness > 0.0 => adjust_brightness(picture, factor(self.brightness, rng))?,
                1 if self.contrast > 0.0 => adjust_contrast(picture, factor(self.contrast, rng))?,
                2 if self.saturation > 0.0 => adjust_saturation(picture, factor(self.saturation, rng))?,
                3 if self.hue > 0.0 => adjust_hue(picture, between(-self.hue, self.hue, rng))?,
                _ => picture,
            };
        }
        Ok(picture)
    }
}
