use super::{check_all, read};
use gradus_autograd::Var;
use gradus_nn::*;
use gradus_tensor::{Rng, Tensor};

type Found = (Var<f64>, Tensor<i32>);

/// Maxima plus a share of their places.
fn with_places(pool: impl Fn(&Var<f64>) -> Found + Send + Sync + 'static) -> Box<dyn Layer<f64>> {
    Box::new(Lambda(move |x: &Var<f64>| {
        let (y, at) = pool(x);
        y + Var::constant(at.cast::<f64>() / 100.0)
    }))
}

fn of_sequences(name: &str) -> Option<Box<dyn Layer<f64>>> {
    Some(match name {
        "max_pool1d" => Box::new(MaxPool1d::new(2)),
        "max_pool1d_options" => with_places(|x| MaxPool1d::new(3).stride(2).padding(1).ceil_mode(true).forward_with_indices(x)),
        "max_pool1d_dilated" => with_places(|x| MaxPool1d::new(2).stride(3).padding(1).dilation(2).forward_with_indices(x)),
        "avg_pool1d" => Box::new(AvgPool1d::new(3)),
        "avg_pool1d_options" => Box::new(AvgPool1d::new(3).stride(2).padding(1).ceil_mode(true)),
        "avg_pool1d_without_pad" => Box::new(AvgPool1d::new(4).stride(3).padding(2).ceil_mode(true).count_include_pad(false)),
        "adaptive_avg_pool1d" => Box::new(AdaptiveAvgPool1d::new(3)),
        "adaptive_avg_pool1d_larger" => Box::new(AdaptiveAvgPool1d::new(9)),
        "adaptive_max_pool1d" => with_places(|x| AdaptiveMaxPool1d::new(3).forward_with_indices(x)),
        "max_unpool1d" => Box::new(Lambda(|x: &Var<f64>| {
            let (y, at) = MaxPool1d::new(2).forward_with_indices(x);
            MaxUnpool1d::new(2).forward_to(&(y * 3.0), &at, 7)
        })),
        "global_avg_pool1d" => Box::new(GlobalAvgPool1d),
        "global_max_pool1d" => Box::new(GlobalMaxPool1d),
        _ => return None,
    })
}

fn of_volumes(name: &str) -> Option<Box<dyn Layer<f64>>> {
    Some(match name {
        "max_pool3d" => Box::new(MaxPool3d::new(2)),
        "max_pool3d_ties" => with_places(|x| MaxPool3d::new(3).stride(2).padding(1).forward_with_indices(x)),
        "max_pool3d_options" => with_places(|x| {
            let pool = MaxPool3d::new([2, 3, 2]).stride([2, 1, 3]).padding([1, 1, 0]).dilation([2, 1, 2]);
            pool.ceil_mode(true).forward_with_indices(x)
        }),
        "avg_pool3d" => Box::new(AvgPool3d::new([2, 1, 3])),
        "avg_pool3d_options" => Box::new(AvgPool3d::new(3).stride([2, 1, 2]).padding([1, 0, 1]).ceil_mode(true)),
        "avg_pool3d_without_pad" => {
            Box::new(AvgPool3d::new([3, 2, 2]).stride(2).padding(1).ceil_mode(true).count_include_pad(false))
        }
        "adaptive_avg_pool3d" => Box::new(AdaptiveAvgPool3d::new([2, 4, 5])),
        "adaptive_avg_pool3d_even" => Box::new(AdaptiveAvgPool3d::new([5, 2, 3])),
        "adaptive_max_pool3d" => with_places(|x| AdaptiveMaxPool3d::new([2, 3, 4]).forward_with_indices(x)),
        "max_unpool3d" => Box::new(Lambda(|x: &Var<f64>| {
            let (y, at) = MaxPool3d::new([1, 2, 3]).forward_with_indices(x);
            MaxUnpool3d::new([1, 2, 3]).forward(&(y * 3.0), &at)
        })),
        "global_avg_pool3d" => Box::new(GlobalAvgPool3d),
        "global_max_pool3d" => Box::new(GlobalMaxPool3d),
        _ => return None,
    })
}

fn layer(name: &str, _: &mut Rng) -> Box<dyn Layer<f64>> {
    match name {
        "max_pool2d_places" => with_places(|x| MaxPool2d::new([3, 2]).stride([1, 2]).padding([1, 0]).forward_with_indices(x)),
        "adaptive_max_pool2d" => with_places(|x| AdaptiveMaxPool2d::new([3, 2]).forward_with_indices(x)),
        "adaptive_max_pool2d_larger" => with_places(|x| AdaptiveMaxPool2d::new(4).forward_with_indices(x)),
        "max_unpool2d" => Box::new(Lambda(|x: &Var<f64>| {
            let (y, at) = MaxPool2d::new(2).stride(3).padding(1).forward_with_indices(x);
            MaxUnpool2d::new(2).stride(3).padding(1).forward(&(y * 3.0), &at)
        })),
        other => {
            let found = of_sequences(name).or_else(|| of_volumes(name));
            found.unwrap_or_else(|| panic!("a fixture without its layer: {other}"))
        }
    }
}

/// With the maxima's places, also where maxima are equal.
#[test]
fn pooling_agrees() {
    check_all(&read("pooling.json"), 28, layer);
}
