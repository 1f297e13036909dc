//! A loop that is open to helpers.
//!
//! The caller puts the loop on a desk, invites helpers as jobs of its pool, and takes tasks from the front; helpers take them
//! from the back, so that neighbouring tasks, and with them neighbouring memory, stay on one core. When no task is left, the
//! caller closes the desk and waits for the helpers who are still at it. An invitation that comes late finds the desk closed,
//! or open with a later loop of the same thread, where it is as welcome; so there are never more of them than the pool has
//! threads, however long they wait in a queue.
//!
//! A helper stays for a moment when a loop is done, as if invited to the next one: to wake a thread takes tens of microseconds, and
//! layers follow one another faster than that.

use std::any::Any;
use std::cell::{RefCell, UnsafeCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// Tasks of a loop, at most: both ends of what is left fit into one atomic number.
const MOST_TASKS: usize = u32::MAX as usize;

/// Helpers may come in.
const OPEN: usize = 1;
/// The caller sleeps until the last helper has left.
const ASLEEP: usize = 2;
/// One helper.
const HELPER: usize = 4;

/// How long a helper waits at a closed desk for the next loop.
const LINGER: Duration = Duration::from_micros(20);

type Task = dyn Fn(usize) + Sync;

struct Desk {
    /// `OPEN`, `ASLEEP`, and the number of helpers.
    state: AtomicUsize,
    /// What is left of the loop: the first task in the upper half, one past the last in the lower.
    left: AtomicU64,
    /// Written by the owner while the desk is closed and no helper is there.
    task: UnsafeCell<*const Task>,
    /// Invitations that nobody has read yet, and helpers who wait for the next loop.
    invitations: AtomicUsize,
    /// A helper's panic.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    owner: Thread,
}

// SAFETY: `task` is written only when no other thread reads it, as said there, and points to what threads may share.
unsafe impl Send for Desk {}
// SAFETY: as above.
unsafe impl Sync for Desk {}

thread_local! {
    /// This thread's desks that are not in use; nested loops have one each.
    static DESKS: RefCell<Vec<Arc<Desk>>> = const { RefCell::new(Vec::new()) };
}

/// Calls `task(i)` once for each `i` below `tasks`, on the threads of the current pool, in no particular order. Returns
/// when all calls have.
///
/// # Panics
/// When a task does; tasks that have not begun by then are left out.
pub fn run(tasks: usize, task: &(dyn Fn(usize) + Sync)) {
    let threads = if tasks > 1 { rayon::current_num_threads() } else { 1 };
    if threads == 1 {
        return (0..tasks).for_each(task);
    }
    if tasks > MOST_TASKS {
        let each = tasks.div_ceil(MOST_TASKS);
        return run(tasks.div_ceil(each), &|i| (i * each..tasks.min((i + 1) * each)).for_each(task));
    }
    share(tasks, threads, task);
}

/// Calls `task` for every number below `tasks`, with the help of the current pool, which has `threads` threads.
fn share(tasks: usize, threads: usize, task: &(dyn Fn(usize) + Sync)) {
    debug_assert!(tasks <= MOST_TASKS && threads > 1);
    let desk = DESKS.try_with(|desks| desks.borrow_mut().pop()).ok().flatten().unwrap_or_else(Desk::new);
    // SAFETY: the desk is closed, and nobody else is at it. The pointer is read by helpers only, whom `close` waits for.
    unsafe { *desk.task.get() = std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), *const Task>(task) };
    desk.left.store(tasks as u64, Ordering::Relaxed);
    desk.state.store(OPEN, Ordering::Release);
    let own = catch_unwind(AssertUnwindSafe(|| {
        desk.invite((threads - 1).min(tasks - 1));
        while let Some(i) = desk.first() {
            task(i);
        }
    }));
    if own.is_err() {
        desk.give_up();
    }
    desk.close();
    let panic = own.err().or_else(|| desk.panic.lock().unwrap_or_else(|e| e.into_inner()).take());
    // At the end of a thread there is nowhere to keep it.
    let _ = DESKS.try_with(|desks| desks.borrow_mut().push(desk));
    if let Some(panic) = panic {
        resume_unwind(panic);
    }
}

impl Desk {
    fn new() -> Arc<Self> {
        let nothing: &Task = &|_| {};
        Arc::new(Self {
            state: AtomicUsize::new(0),
            left: AtomicU64::new(0),
            task: UnsafeCell::new(nothing),
            invitations: AtomicUsize::new(0),
            panic: Mutex::new(None),
            owner: thread::current(),
        })
    }

    /// Has so many helpers on the way.
    fn invite(self: &Arc<Self>, helpers: usize) {
        // Either this sees that a helper is about to go, or the helper sees that the desk is open.
        fence(Ordering::SeqCst);
        for _ in self.invitations.load(Ordering::Relaxed)..helpers {
            self.invitations.fetch_add(1, Ordering::Relaxed);
            let desk = self.clone();
            rayon::spawn(move || desk.help());
        }
    }

    fn help(&self) {
        self.invitations.fetch_sub(1, Ordering::Relaxed);
        while self.enter() {
            self.work();
            self.invitations.fetch_add(1, Ordering::Relaxed);
            self.leave();
            self.linger();
            self.invitations.fetch_sub(1, Ordering::Relaxed);
            fence(Ordering::SeqCst);
        }
    }

    /// Takes tasks until none is left.
    fn work(&self) {
        let helped = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: while a helper is at the desk, its owner neither writes the pointer nor lets go of what it points to.
            let task = unsafe { &**self.task.get() };
            while let Some(i) = self.last() {
                task(i);
            }
        }));
        if let Err(panic) = helped {
            self.give_up();
            self.panic.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(panic);
        }
    }

    /// Waits for the desk to be opened again, for a moment.
    fn linger(&self) {
        const SPINS: usize = 64;
        let start = Instant::now();
        while start.elapsed() < LINGER {
            for _ in 0..SPINS {
                if self.state.load(Ordering::Relaxed) & OPEN != 0 {
                    return;
                }
                std::hint::spin_loop();
            }
        }
    }

    fn enter(&self) -> bool {
        let mut state = self.state.load(Ordering::Relaxed);
        while state & OPEN != 0 {
            match self.state.compare_exchange_weak(state, state + HELPER, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
        false
    }

    fn leave(&self) {
        if self.state.fetch_sub(HELPER, Ordering::AcqRel) == HELPER | ASLEEP {
            self.owner.unpark();
        }
    }

    /// Lets nobody in any more, and waits for those who are in.
    fn close(&self) {
        /// Rounds of waiting in which the owner keeps its core, and in which it offers it to others.
        const SPINS: usize = 128;
        const YIELDS: usize = 32;
        let helpers = |state: usize| state / HELPER > 0;
        let mut state = self.state.fetch_and(!OPEN, Ordering::AcqRel);
        let mut round = 0;
        while helpers(state) && round < SPINS + YIELDS {
            if round < SPINS {
                std::hint::spin_loop()
            } else {
                thread::yield_now()
            }
            round += 1;
            state = self.state.load(Ordering::Acquire);
        }
        if helpers(state) {
            state = self.state.fetch_or(ASLEEP, Ordering::AcqRel);
            while helpers(state) {
                thread::park();
                state = self.state.load(Ordering::Acquire);
            }
        }
        self.state.store(0, Ordering::Relaxed);
    }

    /// Takes the first task that is left.
    fn first(&self) -> Option<usize> {
        self.take(|first, end| (first, (first + 1, end)))
    }

    /// Takes the last task that is left.
    fn last(&self) -> Option<usize> {
        self.take(|first, end| (end - 1, (first, end - 1)))
    }

    fn take(&self, choose: impl Fn(u32, u32) -> (u32, (u32, u32))) -> Option<usize> {
        let mut left = self.left.load(Ordering::Relaxed);
        loop {
            let (first, end) = ((left >> 32) as u32, left as u32);
            if first == end {
                return None;
            }
            let (task, (first, end)) = choose(first, end);
            let rest = u64::from(first) << 32 | u64::from(end);
            match self.left.compare_exchange_weak(left, rest, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(task as usize),
                Err(now) => left = now,
            }
        }
    }

    /// Leaves the tasks that have not begun.
    fn give_up(&self) {
        self.left.store(0, Ordering::Relaxed);
    }
}
