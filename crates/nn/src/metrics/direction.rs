//! Which way a quantity is better.

/// Whether a quantity is better when smaller, as a loss is, or when larger, as an accuracy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Smaller is better.
    Minimize,
    /// Larger is better.
    Maximize,
}

/// Words of quantities that are better when larger.
const LARGER: [&str; 34] = [
    "acc",
    "accuracy",
    "precision",
    "recall",
    "sensitivity",
    "specificity",
    "f1",
    "f2",
    "fbeta",
    "auc",
    "auroc",
    "auprc",
    "ap",
    "map",
    "iou",
    "miou",
    "jaccard",
    "dice",
    "r2",
    "bleu",
    "rouge",
    "meteor",
    "chrf",
    "psnr",
    "ssim",
    "mcc",
    "kappa",
    "ndcg",
    "mrr",
    "likelihood",
    "correlation",
    "pearson",
    "spearman",
    "reward",
];

/// Words of quantities that are better when smaller.
const SMALLER: [&str; 24] = [
    "loss",
    "losses",
    "error",
    "errors",
    "err",
    "inaccuracy",
    "mae",
    "mse",
    "rmse",
    "msle",
    "rmsle",
    "mape",
    "smape",
    "nll",
    "bce",
    "crossentropy",
    "perplexity",
    "ppl",
    "cer",
    "wer",
    "fid",
    "divergence",
    "kl",
    "brier",
];

/// Words that make another quantity of the one beside them.
const TURNS: [&str; 19] = [
    "neg",
    "negative",
    "minus",
    "non",
    "not",
    "inverse",
    "inv",
    "gap",
    "drop",
    "diff",
    "difference",
    "delta",
    "change",
    "std",
    "var",
    "variance",
    "ratio",
    "weight",
    "threshold",
];

impl Direction {
    /// What a quantity's name says, by whole words: `val_loss` is better when smaller, `top5_acc` when larger. `None` where no
    /// word is known (`score`), where words disagree (`accuracy_loss`), and where one makes another quantity of it
    /// (`acc_gap`).
    ///
    /// ```
    /// use gradus_nn::metrics::Direction;
    /// assert_eq!(Direction::of_name("val_accumulated_loss"), Some(Direction::Minimize));
    /// assert_eq!(Direction::of_name("iou"), Some(Direction::Maximize));
    /// assert_eq!(Direction::of_name("score"), None);
    /// ```
    pub fn of_name(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        let words: Vec<&str> = name.split(|c: char| !c.is_alphanumeric()).collect();
        let any = |list: &[&str]| words.iter().any(|word| list.contains(word));
        match (any(&SMALLER), any(&LARGER), any(&TURNS)) {
            (true, false, false) => Some(Self::Minimize),
            (false, true, false) => Some(Self::Maximize),
            _ => None,
        }
    }

    /// By how much `to` is better than `from`; negative where it is worse.
    pub fn gain(self, from: f64, to: f64) -> f64 {
        match self {
            Self::Minimize => from - to,
            Self::Maximize => to - from,
        }
    }
}
