//! Whose the bytes are: an account of live bytes by owner, and what it was at its highest.

/// Live bytes by the numbers of their owners.
#[derive(Default)]
pub(super) struct Account {
    live: usize,
    by_owner: Vec<usize>,
    peak: usize,
    at_peak: Vec<usize>,
    /// `live` is at its highest, and `at_peak` not yet copied.
    rising: bool,
}

fn entry(list: &mut Vec<usize>, i: usize) -> &mut usize {
    if list.len() <= i {
        list.resize(i + 1, 0);
    }
    &mut list[i]
}

impl Account {
    pub fn made(&mut self, owner: usize, bytes: usize) {
        *entry(&mut self.by_owner, owner) += bytes;
        self.live += bytes;
        if self.live > self.peak {
            self.peak = self.live;
            self.rising = true;
        }
    }

    /// Bytes that were made before.
    pub fn freed(&mut self, owner: usize, bytes: usize) {
        self.settle();
        *entry(&mut self.by_owner, owner) -= bytes;
        self.live -= bytes;
    }

    /// Live bytes change hands.
    pub fn moved(&mut self, from: usize, to: usize, bytes: usize) {
        *entry(&mut self.by_owner, from) -= bytes;
        *entry(&mut self.by_owner, to) += bytes;
    }

    /// What `from` had at the peak was in truth `to`'s.
    pub fn attribute_peak(&mut self, from: usize, to: usize) {
        let bytes = std::mem::take(entry(&mut self.at_peak, from));
        *entry(&mut self.at_peak, to) += bytes;
    }

    fn settle(&mut self) {
        if std::mem::take(&mut self.rising) {
            self.at_peak.clone_from(&self.by_owner);
        }
    }

    pub fn live(&self) -> usize {
        self.live
    }

    /// The most that was live at once, and how much of it was whose.
    pub fn peak(mut self) -> (usize, Vec<usize>) {
        self.settle();
        (self.peak, self.at_peak)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_told_by_owner() {
        let mut account = Account::default();
        account.made(2, 100);
        account.made(0, 50);
        account.freed(2, 100);
        account.attribute_peak(0, 3);
        account.moved(0, 3, 50);
        account.made(4, 90);
        assert_eq!(account.live(), 140);
        let (peak, at_peak) = account.peak();
        assert_eq!((peak, at_peak), (150, vec![0, 0, 100, 50]));
    }
}
