//! What a thread's profiles note down while they run.
//!
//! A thread has one clock for all its profiles, of which each may be inside another. An event ends a stretch of time and
//! says whose it was; what buffers the stretch made are the same owner's, as long as they live.

use super::memory::Account;
use crate::observe::{Cost, Observer, Seen, Site};
use gradus_tensor::{BufferEvent, BufferObserver, observe_buffers};
use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::Location;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// The owner of buffers of a stretch that has not ended.
const PENDING: usize = 0;
/// The owner of what belongs to no op.
pub(super) const OUTSIDE: usize = 1;

/// What an op at a line came to.
#[derive(Clone, Copy, Default)]
pub(super) struct Sums {
    pub calls: usize,
    pub forward: Duration,
    pub rules: usize,
    pub backward: Duration,
}

/// What a stretch of time was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stretch {
    Op,
    Rule,
    /// What follows a rule: adding its gradients up, freeing what the node kept.
    AfterRule,
    Outside,
}

/// A stretch, for the trace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub owner: usize,
    pub stretch: Stretch,
    /// Since the profile began.
    pub start: Duration,
    pub time: Duration,
    /// Bytes alive at its end, of those made inside the profile.
    pub live: usize,
}

/// So many stretches are kept for the trace; the sums go on.
pub(super) const MOST_EVENTS: usize = 1 << 20;

/// One profile.
pub(super) struct Run {
    pub start: Instant,
    /// Buffers are numbered; those before this one are not of this run.
    first_buffer: u64,
    pub sums: Vec<Sums>,
    pub account: Account,
    pub events: Vec<Event>,
    pub left_out: usize,
}

struct Owned {
    bytes: usize,
    owner: usize,
    number: u64,
    /// That of the op that made it, if it did.
    cost: Option<Arc<Cost>>,
}

struct Recorder {
    runs: Vec<Run>,
    /// The end of the last stretch.
    last: Instant,
    /// The owner of the rule that ran last, as long as the walk is not over.
    walking: Option<usize>,
    /// Owners by name and the location's address, which is one per line and column.
    owners: HashMap<(&'static str, usize), usize>,
    sites: Vec<Site>,
    /// Live buffers, by address.
    buffers: HashMap<usize, Owned>,
    /// Those of the stretch that has not ended.
    pending: Vec<usize>,
    next_buffer: u64,
    cost: Option<Arc<Cost>>,
    observer_before: Option<BufferObserver>,
}

thread_local! {
    static RECORDER: RefCell<Option<Recorder>> = const { RefCell::new(None) };
}

/// Calls `f` with this thread's recorder, if it has one.
fn with<R>(f: impl FnOnce(&mut Recorder) -> R) -> Option<R> {
    RECORDER.try_with(|r| r.borrow_mut().as_mut().map(f)).ok().flatten()
}

/// Begins a profile, inside those that run.
pub(super) fn begin() {
    let first = RECORDER.with_borrow(Option::is_none);
    if first {
        let observer_before = observe_buffers(Some(buffer_event));
        RECORDER.set(Some(Recorder::new(observer_before)));
    }
    with(|r| {
        r.end_of_unknown();
        let first_buffer = r.next_buffer;
        let start = Instant::now();
        r.runs.push(Run { start, first_buffer, sums: vec![], account: Account::default(), events: vec![], left_out: 0 });
        r.last = start;
    });
}

/// Ends the innermost profile: what it noted, and which op and line each owner from 2 on is.
pub(super) fn end() -> Option<(Run, Vec<Site>)> {
    let ended = with(|r| {
        r.end_of_unknown();
        r.cost = None;
        Some((r.runs.pop()?, r.sites.clone(), r.runs.is_empty(), r.observer_before))
    });
    let (run, sites, last, observer_before) = ended.flatten()?;
    if last {
        observe_buffers(observer_before);
        RECORDER.set(None);
    }
    Some((run, sites))
}

/// Notes for the profiles of a thread.
pub(super) struct Profiler;

impl Observer for Profiler {
    fn op_ran(&self, site: Site, _: &[&dyn Seen], _: &dyn Seen) {
        with(|r| {
            let owner = r.owner(site);
            let time = r.last.elapsed();
            let cost = Arc::new(Cost { time, kept: AtomicUsize::new(0) });
            r.end_of(owner, Stretch::Op, time, Some(&cost));
            r.walking = None;
            r.cost = Some(cost);
            r.last = Instant::now();
        });
    }

    fn op_recorded(&self, _: &dyn Fn() -> Box<dyn Any>, cost: &OnceLock<Arc<Cost>>) {
        if let Some(new) = with(|r| r.cost.take()).flatten() {
            // A new node has none yet.
            let _ = cost.set(new);
        }
    }

    fn rule_begins(&self, site: Site) {
        with(|r| {
            r.end_of_unknown();
            r.walking = Some(r.owner(site));
            r.last = Instant::now();
        });
    }

    fn rule_ran(&self, site: Site, _: &dyn Seen, _: &[Option<&dyn Seen>]) {
        with(|r| {
            let owner = r.owner(site);
            r.end_of(owner, Stretch::Rule, r.last.elapsed(), None);
            r.walking = Some(owner);
            r.last = Instant::now();
        });
    }

    fn walk_ended(&self) {
        rules_end();
    }
}

/// What comes now is no rule's: a walk is over, or a [`record_function`](crate::record_function) begins.
pub(super) fn rules_end() {
    with(|r| {
        r.end_of_unknown();
        r.walking = None;
        r.last = Instant::now();
    });
}

/// What was in no op of a [`record_function`](crate::record_function) is the function's.
pub(super) fn function_ran(name: &'static str, at: &'static Location<'static>) {
    with(|r| {
        let owner = r.owner(Site { op: name, at });
        r.end_of(owner, Stretch::Op, r.last.elapsed(), None);
        r.walking = None;
        r.last = Instant::now();
    });
}

fn buffer_event(event: BufferEvent) {
    with(|r| if event.made { r.made(event) } else { r.freed(event) });
}

impl Recorder {
    fn new(observer_before: Option<BufferObserver>) -> Self {
        Self {
            runs: vec![],
            last: Instant::now(),
            walking: None,
            owners: HashMap::new(),
            sites: vec![],
            buffers: HashMap::new(),
            pending: vec![],
            next_buffer: 0,
            cost: None,
            observer_before,
        }
    }

    fn owner(&mut self, site: Site) -> usize {
        let sites = &mut self.sites;
        *self.owners.entry((site.op, std::ptr::from_ref(site.at).addr())).or_insert_with(|| {
            sites.push(site);
            OUTSIDE + sites.len()
        })
    }

    /// The end of a stretch that the last rule owns if a walk goes on, and nobody else.
    fn end_of_unknown(&mut self) {
        let time = self.last.elapsed();
        match self.walking {
            Some(owner) => self.end_of(owner, Stretch::AfterRule, time, None),
            None => self.end_of(OUTSIDE, Stretch::Outside, time, None),
        }
    }

    /// The end of a stretch of `owner`, which took `time`.
    fn end_of(&mut self, owner: usize, stretch: Stretch, time: Duration, cost: Option<&Arc<Cost>>) {
        for address in std::mem::take(&mut self.pending) {
            let Some(buffer) = self.buffers.get_mut(&address).filter(|b| b.owner == PENDING) else { continue };
            buffer.owner = owner;
            buffer.cost = cost.cloned();
            if let Some(cost) = cost {
                cost.kept.fetch_add(buffer.bytes, Ordering::Relaxed);
            }
            for run in self.runs.iter_mut().filter(|run| buffer.number >= run.first_buffer) {
                run.account.moved(PENDING, owner, buffer.bytes);
            }
        }
        for run in &mut self.runs {
            run.account.attribute_peak(PENDING, owner);
            run.note(owner, stretch, self.last, time);
        }
    }

    fn made(&mut self, BufferEvent { address, bytes, .. }: BufferEvent) {
        // What a rule makes is known to be its op's.
        let owner = self.walking.unwrap_or(PENDING);
        for run in &mut self.runs {
            run.account.made(owner, bytes);
        }
        let number = self.next_buffer;
        self.next_buffer += 1;
        if owner == PENDING {
            self.pending.push(address);
        }
        self.buffers.insert(address, Owned { bytes, owner, number, cost: None });
    }

    /// Buffers of before the profiles, or of other threads, are not known.
    fn freed(&mut self, event: BufferEvent) {
        let Some(buffer) = self.buffers.remove(&event.address) else { return };
        if let Some(cost) = &buffer.cost {
            cost.kept.fetch_sub(buffer.bytes, Ordering::Relaxed);
        }
        for run in self.runs.iter_mut().filter(|run| buffer.number >= run.first_buffer) {
            run.account.freed(buffer.owner, buffer.bytes);
        }
    }
}

impl Run {
    fn note(&mut self, owner: usize, stretch: Stretch, start: Instant, time: Duration) {
        if self.sums.len() <= owner {
            self.sums.resize(owner + 1, Sums::default());
        }
        let sums = &mut self.sums[owner];
        match stretch {
            Stretch::Op => (sums.calls, sums.forward) = (sums.calls + 1, sums.forward + time),
            Stretch::Rule => (sums.rules, sums.backward) = (sums.rules + 1, sums.backward + time),
            Stretch::AfterRule => sums.backward += time,
            Stretch::Outside => sums.forward += time,
        }
        if self.events.len() == MOST_EVENTS {
            self.left_out += 1;
            return;
        }
        let start = start.saturating_duration_since(self.start);
        self.events.push(Event { owner, stretch, start, time, live: self.account.live() });
    }
}
