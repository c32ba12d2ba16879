use std::ops::ControlFlow;

use unicode_segmentation::UnicodeSegmentation;

use super::text;
use crate::Event;

/// Longest word that is searched, in bytes of lower case; longer ones (keys, encoded files) are left out.
pub const LONGEST_WORD: usize = 200;
/// Most different words of one search.
pub const MOST_WORDS: usize = 32;
/// Longest text of a search, in bytes.
const LONGEST: usize = 1_024;

/// The words of a text in lower case, in their order.
///
/// Words are those of Unicode (UAX #29) that hold a letter or a digit: `100.00`, `it's` and `o1` are one word each,
/// `order-7` and `a@b.example` two. Lower case goes character by character.
pub(super) fn each_word(text: &str, mut take: impl FnMut(&str) -> ControlFlow<()>) -> ControlFlow<()> {
    let mut lower = String::new();
    // a mark can tie a space to a word, which an index that is taken apart at spaces could not hold
    let pieces = text.unicode_words().flat_map(|word| word.split(char::is_whitespace));
    for word in pieces.filter(|piece| piece.contains(char::is_alphanumeric)) {
        let word = match word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
            true => word,
            false => {
                lower.clear();
                lower.extend(word.chars().flat_map(char::to_lowercase));
                &lower
            }
        };
        if word.len() <= LONGEST_WORD {
            take(word)?;
        }
    }
    ControlFlow::Continue(())
}

/// What is looked for in the text of events: all of these words, wherever they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words(Vec<String>);

/// Why a text cannot be looked for. Correct it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWords {
    /// It holds no letter and no digit, or only words that are too long.
    #[error("it holds no word; a word has a letter or a digit and at most {LONGEST_WORD} bytes")]
    None,
    /// It holds too many.
    #[error("it may hold {MOST_WORDS} different words and {LONGEST} bytes")]
    TooMany,
}

impl Words {
    /// Reads what somebody looks for.
    ///
    /// # Errors
    /// See [`InvalidWords`].
    pub fn parse(text: &str) -> Result<Self, InvalidWords> {
        if text.len() > LONGEST {
            return Err(InvalidWords::TooMany);
        }
        let mut words: Vec<String> = Vec::new();
        let _ = each_word(text, |word| {
            if !words.iter().any(|seen| seen == word) {
                words.push(word.to_owned());
            }
            ControlFlow::Continue(())
        });
        match words.len() {
            0 => Err(InvalidWords::None),
            1..=MOST_WORDS => Ok(Self(words)),
            _ => Err(InvalidWords::TooMany),
        }
    }

    /// The words, in lower case, each once.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// How well an event fits: `None` = a word is missing. Above zero, and higher the more often the words stand there,
    /// each further time counting less. Only good for comparing events of one search in one engine.
    pub fn score(&self, event: &Event) -> Option<f64> {
        let mut counts = vec![0_u32; self.0.len()];
        text::each_word(event, |word| {
            if let Some(index) = self.0.iter().position(|wanted| wanted == word) {
                counts[index] += 1;
            }
        });
        // how often a word counts, as in BM25 (Robertson and Zaragoza, 2009) with its usual k1, without regard to length
        let part = |count: u32| f64::from(count) * 2.2 / (f64::from(count) + 1.2);
        counts.iter().all(|count| *count > 0).then(|| counts.into_iter().map(part).sum())
    }
}
