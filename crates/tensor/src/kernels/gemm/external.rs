//! Matrix products by the `matrixmultiply` crate, for targets that have no kernel here: it has kernels for NEON and WebAssembly.
//!
//! C is cut into a grid of blocks by its sizes alone, one block a task. The crate computes a block on one thread.

use super::operands::Gemm;
use crate::element::DType;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::parallel;
use crate::kernels::shared::Shared;
use crate::kernels::simd::Lanes;

/// Tasks of a product, at most.
const TASKS: usize = 16;
/// Below this many multiply-adds a task does not pay.
const TASK: usize = 1 << 18;
/// Rows and columns of a task, at least, where there are as many: fewer cost more in packing than a task brings.
const NARROW: usize = 64;
/// Rows and columns of a block are multiples of this, as are the crate's micro-tiles, but for the last.
const TILE: usize = 8;

/// The product, which is not empty, on this thread or all.
pub fn product<T: Lanes>(g: Gemm<'_, T>, threads: bool) {
    g.check();
    let Gemm { m, k, n, a, b, beta, end, c, ldc } = g;
    let (grid, c) = (Grid::of([m, k, n], threads), Shared::of(c));
    parallel::run(grid.rows * grid.cols, &|task| {
        let (i, j) = (task % grid.rows * grid.height, task / grid.rows * grid.width);
        let (m, n) = (grid.height.min(m - i), grid.width.min(n - j));
        let (from_a, from_b) = (a.pointer_to(i, 0), b.pointer_to(0, j));
        let to = c.at(i * ldc + j, (m - 1) * ldc + n);
        // SAFETY: all elements of A, B and C exist, as `check` asserts; no two blocks of the grid have an element of C in common.
        unsafe { block([m, k, n], (from_a, a.row, a.col), (from_b, b.row, b.col), beta, (to, ldc as isize)) };
        let end = Epilogue { bias: end.bias.map(|bias| &bias[j..j + n]), ..end };
        if !end.is_none() {
            // SAFETY: as above; the block is written now.
            (i..i + m).for_each(|i| end.finish_row(unsafe { c.part(i * ldc + j, n) }));
        }
    });
}

/// `C <- A B + beta C` on this thread, of sizes `m k n`; each matrix with its steps from row to row and from column to column, the
/// latter 1 for C.
///
/// # Safety
/// All elements must exist, and nobody else have those of C.
unsafe fn block<T: Lanes>(
    [m, k, n]: [usize; 3],
    (a, row_a, col_a): (*const T, isize, isize),
    (b, row_b, col_b): (*const T, isize, isize),
    beta: T,
    (c, row_c): (*mut T, isize),
) {
    macro_rules! by {
        ($t:ty, $gemm:path) => {{
            let (a, b, c, beta) = (a.cast::<$t>(), b.cast::<$t>(), c.cast::<$t>(), beta.to_f64() as $t);
            // SAFETY: the caller's promise; T is this type.
            unsafe { $gemm(m, k, n, 1.0, a, row_a, col_a, b, row_b, col_b, beta, c, row_c, 1) }
        }};
    }
    match T::DTYPE {
        DType::F32 => by!(f32, matrixmultiply::sgemm),
        DType::F64 => by!(f64, matrixmultiply::dgemm),
        other => unreachable!("{other:?} is no type of floats"),
    }
}

/// How C is cut into blocks.
struct Grid {
    rows: usize,
    cols: usize,
    /// Rows and columns of a block.
    height: usize,
    width: usize,
}

impl Grid {
    /// The grid of as many tasks as pay that packs least: each of its columns packs all of A, and each of its rows all of B.
    fn of([m, k, n]: [usize; 3], threads: bool) -> Self {
        let work = m.saturating_mul(n).saturating_mul(k);
        let wanted = if threads { (work / TASK).clamp(1, TASKS) } else { 1 };
        let (most_rows, most_cols) = (m.div_ceil(NARROW), n.div_ceil(NARROW));
        let cols = |rows: usize| wanted.div_ceil(rows).min(most_cols);
        let most_rows = most_rows.min(wanted);
        let least_rows = wanted.div_ceil(most_cols).min(most_rows);
        let rows = (least_rows..=most_rows).min_by_key(|&rows| m * cols(rows) + n * rows).unwrap_or(1);
        let height = m.div_ceil(rows).next_multiple_of(TILE);
        let width = n.div_ceil(cols(rows)).next_multiple_of(TILE);
        Self { rows: m.div_ceil(height), cols: n.div_ceil(width), height, width }
    }
}

#[cfg(test)]
mod tests {
    use super::super::five_loops;
    use super::super::operands::Mat;
    use super::*;
    use crate::rng::Rng;

    /// Sizes of one block and of several, in rows, in columns and in both; long sums; single rows and columns.
    const SIZES: [[usize; 3]; 10] = [
        [1, 1, 1],
        [3, 5, 7],
        [13, 300, 65],
        [1, 700, 900],
        [900, 700, 1],
        [200, 64, 200],
        [70, 40, 3000],
        [3000, 40, 70],
        [140, 600, 130],
        [257, 129, 193],
    ];

    fn drawn<T: Lanes>(rng: &mut Rng, n: usize) -> Vec<T> {
        (0..n).map(|_| T::lit(rng.below(2001) as f64 / 1000.0 - 1.0)).collect()
    }

    /// A matrix that fills its slice in either order of its axes.
    fn matrix<T>(data: &[T], [rows, cols]: [usize; 2], transposed: bool) -> Mat<'_, T> {
        if transposed { Mat::row_major(data, rows).t() } else { Mat::row_major(data, cols) }
    }

    fn on_threads<R: Send>(threads: usize, f: impl FnOnce() -> R + Send) -> R {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool").install(f)
    }

    /// Both kernels agree, whatever the order of the operands, what is there already and what follows; neither writes between the
    /// rows of C; and no number of threads changes a bit.
    fn check<T: Lanes>() {
        let mut rng = Rng::seed(3);
        for (i, [m, k, n]) in SIZES.into_iter().enumerate() {
            let (a, b, ldc) = (drawn::<T>(&mut rng, m * k), drawn::<T>(&mut rng, k * n), n + i % 3);
            let (before, bias) = (drawn::<T>(&mut rng, m * ldc), drawn::<T>(&mut rng, n));
            for choice in 0..16 {
                let bit = |i: usize| choice >> i & 1 == 1;
                let (a, b) = (matrix(&a, [m, k], bit(0)), matrix(&b, [k, n], bit(1)));
                let (beta, end) = match (bit(2), bit(3)) {
                    (false, false) => (T::zero(), Epilogue::NONE),
                    (false, true) => (T::lit(0.5), Epilogue::NONE),
                    (true, relu) => (T::zero(), Epilogue { bias: Some(&bias[..]), relu }),
                };
                let run = |kernel: fn(Gemm<'_, T>, bool), threads: bool| {
                    let mut c = before.clone();
                    kernel(Gemm { m, k, n, a, b, beta, end, c: &mut c, ldc }, threads);
                    c
                };
                let (ours, theirs) = (run(five_loops::product, true), run(product, true));
                let bound = T::EPSILON * T::lit(4.0 * (4.0 + k as f64));
                for (at, (&x, &y)) in ours.iter().zip(&theirs).enumerate() {
                    let written = at % ldc < n;
                    assert!(written || (x == before[at] && y == before[at]), "{m} {k} {n}: element {at} behind a row");
                    assert!((x - y).abs() <= bound, "{m} {k} {n} {choice}: {x} and {y} at {at}");
                }
                for threads in [1, 3] {
                    assert!(on_threads(threads, || run(product, true)) == theirs, "{m} {k} {n} on {threads} threads");
                }
            }
        }
    }

    #[test]
    fn both_kernels_agree_on_any_number_of_threads() {
        check::<f32>();
        check::<f64>();
    }

    #[test]
    fn a_grid_covers_c_and_leaves_blocks_that_pay() {
        for [m, k, n] in SIZES.into_iter().chain([[4096, 4096, 64], [64, 4096, 4096], [1024, 1024, 1024], [1, 1 << 20, 9]]) {
            let Grid { rows, cols, height, width } = Grid::of([m, k, n], true);
            assert!((rows - 1) * height < m && m <= rows * height && (cols - 1) * width < n && n <= cols * width);
            assert!(rows * cols <= 2 * TASKS && (rows * cols == 1 || m * n * k >= 2 * TASK), "{m} {k} {n}");
            let one = Grid::of([m, k, n], false);
            assert_eq!((one.rows, one.cols), (1, 1));
        }
        // Square blocks of a square; strips of what is narrow.
        let parts = |sizes| Some(Grid::of(sizes, true)).map(|g| (g.rows, g.cols));
        assert_eq!(parts([1024, 1024, 1024]), Some((4, 4)));
        assert_eq!(parts([4096, 4096, 64]), Some((16, 1)));
        assert_eq!(parts([64, 4096, 4096]), Some((1, 16)));
    }
}
