//! Where a computation's time and memory go.

use super::recorder::{self, Event, OUTSIDE, Profiler, Sums};
use crate::observe::{Site, is_observed_by, with_observer};
use std::collections::HashMap;
use std::panic::Location;
use std::time::Duration;

/// What [`profile`] measured: time and memory by op and by line.
///
/// It prints as two tables, the dearest first; [`by_op`](Self::by_op) and [`by_line`](Self::by_line) are the figures,
/// [`to_json`](Self::to_json) and [`to_chrome_trace`](Self::to_chrome_trace) are for other programs.
#[derive(Clone, Debug)]
pub struct Profile {
    pub(super) wall: Duration,
    pub(super) outside: Duration,
    pub(super) peak_bytes: usize,
    pub(super) outside_bytes: usize,
    pub(super) entries: Vec<(Site, ProfileRow)>,
    pub(super) trace: Trace,
}

/// Each stretch of time, in order.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    pub events: Vec<Event>,
    pub sites: Vec<Site>,
    /// How many more there were.
    pub left_out: usize,
}

/// What an op, or a line, came to in a [`Profile`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileRow {
    /// The op's name, or `file:line`.
    pub name: String,
    /// How many times it ran forward.
    pub calls: usize,
    /// The time of those.
    pub forward: Duration,
    /// How many times its rule ran.
    pub backward_calls: usize,
    /// The time of those, with adding up the gradients that the rule gave and freeing what the tape kept for it.
    pub backward: Duration,
    /// How much of [`Profile::peak_bytes`] it had made.
    pub bytes_at_peak: usize,
}

impl ProfileRow {
    /// Forward and backward.
    pub fn time(&self) -> Duration {
        self.forward + self.backward
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.forward += other.forward;
        self.backward_calls += other.backward_calls;
        self.backward += other.backward;
        self.bytes_at_peak += other.bytes_at_peak;
    }
}

/// Runs `f` and measures the ops of this thread: how often each ran, how long it took forward and backward, and whose
/// tensors the memory was at its peak.
///
/// **Time.** An op announces itself when it has its value. Its forward time runs from the end of the op, the rule or the
/// [`record_function`] before it, so it includes what the program did in between without ops; wrap what is no small
/// matter, such as the loading of a batch, in [`record_function`]. A rule's time is its op's backward time, with adding up
/// the gradients that it gave, hooks, and freeing what the tape kept. What comes after the last op is outside of
/// all.
///
/// **Memory.** Buffers that this thread makes inside `f` are the op's that announces itself next, or the rule's that makes
/// them. Counted are those that are alive, whoever holds them. Tensors of up to 16 elements have no buffer; views have
/// none of their own; scratch that a kernel's worker threads make is not seen.
///
/// **Threads.** Only what this thread runs is measured: ops of other threads, as of a parallel loop inside `f`, are not. While it
/// waits for such a loop, this thread may run tasks that have nothing to do with `f`, whose ops count; profile inside the loop.
///
/// Ops inside a rule are part of that rule. An op of two constants that are handed over by value is no op: its time goes
/// to the op after it. Inside a profile, [`Var::tape`](crate::Var::tape) knows each op's time and the bytes it keeps, and
/// still does afterwards. A profile may run inside another, which counts its ops too.
///
/// ```
/// use gradus_autograd::{Var, profile};
/// use gradus_tensor::Tensor;
/// let w = Var::leaf(Tensor::<f32>::ones([64, 64]));
/// let (grads, profile) = profile(|| w.matmul(&w).tanh().sum(..).backward());
/// let by_op = profile.by_op();
/// let tanh = by_op.iter().find(|row| row.name == "tanh").unwrap();
/// assert_eq!((tanh.calls, tanh.backward_calls), (1, 1));
/// println!("{profile}");
/// # drop(grads);
/// ```
#[doc(alias = "torch.profiler")]
pub fn profile<R>(f: impl FnOnce() -> R) -> (R, Profile) {
    /// Ends the recording also after a panic.
    struct Running;
    impl Drop for Running {
        fn drop(&mut self) {
            recorder::end();
        }
    }
    recorder::begin();
    let running = Running;
    let result = with_observer(&Profiler, f);
    std::mem::forget(running);
    let profile = recorder::end().map(|(run, sites)| Profile::new(run, sites));
    (result, profile.expect("the recording that was begun above"))
}

/// Runs `f`, whose time and memory a [`profile`] shows under `name` where they are no op's: the loading of a batch, an
/// optimiser's step. Outside of a profile it only runs `f`.
///
/// ```
/// use gradus_autograd::{profile, record_function};
/// let (_, profile) = profile(|| record_function("load batch", || std::thread::sleep(std::time::Duration::from_millis(2))));
/// assert_eq!(profile.by_op()[0].name, "load batch");
/// ```
#[track_caller]
pub fn record_function<R>(name: &'static str, f: impl FnOnce() -> R) -> R {
    let at = Location::caller();
    if !is_observed_by::<Profiler>() {
        return f();
    }
    recorder::rules_end();
    let result = f();
    recorder::function_ran(name, at);
    result
}

impl Profile {
    fn new(run: recorder::Run, sites: Vec<Site>) -> Self {
        let wall = run.start.elapsed();
        let (peak_bytes, at_peak) = run.account.peak();
        let bytes = |owner: usize| at_peak.get(owner).copied().unwrap_or(0);
        let entries = sites.iter().enumerate().filter_map(|(i, &site)| {
            let owner = OUTSIDE + 1 + i;
            let Sums { calls, forward, rules, backward } = *run.sums.get(owner)?;
            let name = site.op.to_string();
            let row = ProfileRow { name, calls, forward, backward_calls: rules, backward, bytes_at_peak: bytes(owner) };
            (calls + rules > 0).then_some((site, row))
        });
        Self {
            wall,
            outside: run.sums.get(OUTSIDE).map_or(Duration::ZERO, |s| s.forward),
            peak_bytes,
            outside_bytes: bytes(OUTSIDE),
            entries: entries.collect(),
            trace: Trace { events: run.events, sites, left_out: run.left_out },
        }
    }

    /// How long it ran, with what was in no op, and with the profile's own work.
    pub fn wall_time(&self) -> Duration {
        self.wall
    }

    /// The time in no op and no rule.
    pub fn outside(&self) -> Duration {
        self.outside
    }

    /// The most bytes of buffers that were alive at once, of those that this thread made while the profile ran.
    pub fn peak_bytes(&self) -> usize {
        self.peak_bytes
    }

    /// By the name of the op, that of the longest time first.
    pub fn by_op(&self) -> Vec<ProfileRow> {
        self.grouped(|site| site.op.to_string())
    }

    /// By the line that called the ops, `file:line`, that of the longest time first.
    pub fn by_line(&self) -> Vec<ProfileRow> {
        self.grouped(|site| format!("{}:{}", site.at.file(), site.at.line()))
    }

    fn grouped(&self, name: impl Fn(&Site) -> String) -> Vec<ProfileRow> {
        let mut rows: HashMap<String, ProfileRow> = HashMap::new();
        for (site, row) in &self.entries {
            rows.entry(name(site)).or_default().add(row);
        }
        let mut rows: Vec<ProfileRow> = rows.into_iter().map(|(name, row)| ProfileRow { name, ..row }).collect();
        rows.sort_by(|a, b| b.time().cmp(&a.time()).then_with(|| a.name.cmp(&b.name)));
        rows
    }
}
