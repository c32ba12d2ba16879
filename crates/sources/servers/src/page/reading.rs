use polylog_log::{Failure, Head};

use super::Page;
use crate::entries::StoredEvent;

/// How many times a page is begun again because a truncation came between its parts.
const TRIES: usize = 10;

/// A page with what came in its first rows.
pub struct Read<P> {
    /// What was taken.
    pub page: P,
    /// The head that it belongs to: that of the first part.
    pub head: Head,
    /// The text that came with the head.
    pub note: Option<String>,
    /// Whether there was nothing more to take.
    pub is_complete: bool,
}

/// The reading of a page: for each part [`next_part`](Self::next_part), [`begin`](Self::begin), and
/// [`take`](Self::take) until it wants no more or the rows end; then [`finish`](Self::finish).
pub struct Reading<P, N> {
    new: N,
    page: P,
    first: Option<(Head, Option<String>)>,
    /// Rows that were asked for, and that came, in this part.
    asked: usize,
    came: usize,
    end: End,
    tries: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Another part may follow.
    Open,
    EnoughIsRead,
    NothingIsLeft,
}

impl<P: Page, N: Fn() -> P> Reading<P, N> {
    /// Nothing is read yet; `new` makes the empty page, again where a truncation came between two parts.
    pub fn new(new: N) -> Self {
        Self { page: new(), new, first: None, asked: 0, came: 0, end: End::Open, tries: 1 }
    }

    /// The page so far, and how many rows the next part should have at most.
    pub fn next_part(&mut self) -> (&P, usize) {
        (self.asked, self.came) = (self.page.room().rows(), 0);
        (&self.page, self.asked)
    }

    /// Takes the head of a part and its note; `false` = a truncation came between, and the page begins again.
    ///
    /// # Errors
    /// `Unreachable`: it begins again and again.
    pub fn begin(&mut self, head: Head, note: Option<String>) -> Result<bool, Failure> {
        let (known, _) = self.first.get_or_insert_with(|| (head.clone(), note));
        // without a truncation between, what stood in the log up to the tail of the first part still stands there
        if known.cuts() == head.cuts() && known.identity == head.identity {
            return Ok(true);
        }
        if self.tries == TRIES {
            let message = "the log was truncated again and again while it was read";
            return Err(Failure::Unreachable(message.into()));
        }
        (self.page, self.first, self.tries) = ((self.new)(), None, self.tries + 1);
        Ok(false)
    }

    /// Takes an event of the part that has begun; `false` = no further one is wanted.
    ///
    /// # Errors
    /// `Damaged`: what the rows say of the log cannot be.
    pub fn take(&mut self, stored: StoredEvent) -> Result<bool, Failure> {
        self.came += 1;
        if self.first.as_ref().is_none_or(|(head, _)| stored.event.position > head.tail.position) {
            self.end = End::NothingIsLeft;
        } else if !self.page.take(stored)? {
            self.end = End::EnoughIsRead;
        }
        Ok(self.end == End::Open)
    }

    /// The part ended before its rows did, because they are large: another follows.
    pub fn cut_short(&mut self) {
        self.asked = self.came;
    }

    /// A part has ended after [`begin`](Self::begin) said `true`; gives the page when it was the last one.
    pub fn finish(mut self) -> Result<Read<P>, Self> {
        if self.end == End::Open && self.came < self.asked {
            self.end = End::NothingIsLeft;
        }
        match self.first.take() {
            Some((head, note)) if self.end != End::Open => {
                Ok(Read { page: self.page, head, note, is_complete: self.end == End::NothingIsLeft })
            }
            first => Err(Self { first, ..self }),
        }
    }
}
