//! Tokens as numbers.

use crate::error::DataError;
use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt::Debug;

/// Which number stands for which token: a character, a word, or anything that has an order.
///
/// ```
/// use gradus_data::Vocabulary;
/// let letters = Vocabulary::new("hello".chars());
/// assert_eq!(letters.tokens(), ['e', 'h', 'l', 'o']);
/// assert_eq!(letters.encode("hole".chars())?, [1, 3, 2, 0]);
/// assert_eq!(letters.decode([1, 0, 2]).into_iter().collect::<String>(), "hel");
/// assert_eq!(letters.encode(['x']).unwrap_err().to_string(), "token 0 is 'x', which is none of the vocabulary's 4");
///
/// let words = Vocabulary::most_common("a rose is a rose".split(' '), 2);
/// assert_eq!((words.get("rose"), words.get("is")), (Some(1), None));
/// # Ok::<(), gradus_data::DataError>(())
/// ```
#[doc(alias("TextVectorization", "StringLookup", "Tokenizer"))]
#[derive(Clone, Debug)]
pub struct Vocabulary<K> {
    tokens: Vec<K>,
    numbers: BTreeMap<K, usize>,
}

impl<K: Ord + Clone + Debug> Vocabulary<K> {
    /// Of all tokens, in their order.
    pub fn new(tokens: impl IntoIterator<Item = K>) -> Self {
        let numbers: BTreeMap<K, usize> = tokens.into_iter().map(|t| (t, 0)).collect();
        Self::of(numbers.into_keys().collect())
    }

    /// Of the `most` commonest tokens, the commonest first, and of equally common ones the first in their order.
    pub fn most_common(tokens: impl IntoIterator<Item = K>, most: usize) -> Self {
        let mut counts = BTreeMap::<K, usize>::new();
        tokens.into_iter().for_each(|t| *counts.entry(t).or_default() += 1);
        let mut counts: Vec<(K, usize)> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Self::of(counts.into_iter().take(most).map(|(t, _)| t).collect())
    }

    fn of(tokens: Vec<K>) -> Self {
        let numbers = tokens.iter().cloned().zip(0..).collect();
        Self { tokens, numbers }
    }

    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The tokens, each at its number.
    pub fn tokens(&self) -> &[K] {
        &self.tokens
    }

    /// A token's number, if it has one.
    pub fn get<Q: Ord + ?Sized>(&self, token: &Q) -> Option<usize>
    where
        K: Borrow<Q>,
    {
        self.numbers.get(token).copied()
    }

    /// The numbers of tokens.
    ///
    /// # Errors
    /// When one is unknown.
    pub fn encode(&self, tokens: impl IntoIterator<Item = K>) -> Result<Vec<i64>, DataError> {
        let number = |(at, token): (usize, K)| match self.numbers.get(&token) {
            Some(&number) => Ok(number as i64),
            None => Err(DataError::new(format!("token {at} is {token:?}, which is none of the vocabulary's {}", self.len()))),
        };
        tokens.into_iter().enumerate().map(number).collect()
    }

    /// The tokens of numbers.
    ///
    /// # Panics
    /// When there is no such number.
    #[track_caller]
    pub fn decode(&self, numbers: impl IntoIterator<Item = usize>) -> Vec<K> {
        let token = |number: usize| match self.tokens.get(number) {
            Some(token) => token.clone(),
            None => panic!("vocabulary: number {number} of {} tokens", self.len()),
        };
        numbers.into_iter().map(token).collect()
    }
}
