//! Where the numbers of tiles lie.

use crate::kernels::conv::geometry::Geometry;
use crate::kernels::shared::Shared;

/// Numbers at the points of tiles: element `(point, tile, channel)` is at `point · p + tile · t + channel`.
#[derive(Clone, Copy)]
pub struct Points<T> {
    pub at: Shared<T>,
    pub point: usize,
    pub tile: usize,
    pub channels: usize,
}

/// What keeps rows apart that would else lie a power of two apart, and share the same few lines of a cache.
const GAP: usize = 16;

impl<T> Points<T> {
    /// Elements of so many tiles at `points` points.
    pub fn size(points: usize, tiles: usize, channels: usize) -> usize {
        points * tiles * channels + GAP * points.max(tiles)
    }

    /// Point by point: each a matrix of `[tiles, channels]`.
    pub fn by_point(at: Shared<T>, tiles: usize, channels: usize) -> Self {
        Self { at, point: tiles * channels + GAP, tile: channels, channels }
    }

    /// Tile by tile, as maps of tiles write them: all lines of one behind each other, in few pages.
    pub fn by_tile(at: Shared<T>, points: usize, channels: usize) -> Self {
        Self { at, point: channels, tile: points * channels + GAP, channels }
    }
}

/// Rows and columns of tiles of M x M outputs of one picture.
pub fn tiles<const M: usize>(g: &Geometry) -> [usize; 2] {
    g.output.map(|n| n.div_ceil(M))
}
