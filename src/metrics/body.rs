//! Request bodies: what leaves, and bodies under construction that stay within the limits of the intake (spec: metrics-logs 3.4).

use std::ops::Range;

use crate::ledger::Counts;
use crate::limits::{
    METRIC_PART_BYTES, SERIES_BODY_BYTES_MAX, SERIES_COMPRESSED_BYTES_MAX, SERIES_POINTS_MAX,
    SKETCHES_BODY_BYTES_MAX,
};

/// Which endpoint of the intake a body is for (spec: metrics-logs 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// A protobuf `MetricPayload` for `/api/v2/series`.
    Series,
    /// A protobuf `SketchPayload` for `/api/beta/sketches`.
    Sketches,
    /// A JSON array for `/api/v1/check_run`.
    Checks,
    /// A JSON object for `/intake/`.
    Events,
}

/// A body that is ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Where it goes.
    pub kind: BodyKind,
    /// The body, not compressed.
    pub body: Vec<u8>,
    /// What is in it: points of series, one for each bucket of a sketch, service checks, events.
    pub counts: Counts,
    /// Where it may be cut if the intake says that it is too large, in ascending order: runs of whole series or sketches, or single service
    /// checks, events, or lists of events, with a comma alone between two. What is outside of all parts is repeated. Empty: it can't be cut.
    pub parts: Vec<OutputPart>,
}

/// A run of bytes that may also be sent in another body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputPart {
    /// Its place in the body.
    pub bytes: Range<usize>,
    /// What is in it.
    pub counts: Counts,
}

/// Something that no body has room for, even alone.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

/// Bodies of one kind of protobuf message, whose items are one repeated field.
#[derive(Debug)]
pub(super) struct Bodies {
    kind: BodyKind,
    bytes_max: usize,
    points_max: u64,
    /// What follows the items.
    end: &'static [u8],
    body: Vec<u8>,
    points: u64,
    parts: Vec<OutputPart>,
    /// Where the part that is being filled begins, and what is in it.
    part: (usize, u64),
    full: Vec<Output>,
}

impl Bodies {
    /// Bodies of series, which will be compressed or not: the intake has a limit for either. What can be compressed at all shrinks to a
    /// quarter or less.
    pub(super) fn of_series(are_compressed: bool) -> Self {
        let bytes_max =
            if are_compressed { SERIES_BODY_BYTES_MAX } else { SERIES_COMPRESSED_BYTES_MAX };
        Self::new(BodyKind::Series, bytes_max, SERIES_POINTS_MAX, &[])
    }

    /// Bodies of sketches. The limit is that of compressed ones, so they keep it in any case.
    pub(super) fn of_sketches() -> Self {
        // The metadata that belongs to each is empty, as the agent's.
        Self::new(BodyKind::Sketches, SKETCHES_BODY_BYTES_MAX, u64::MAX, &[0x12, 0])
    }

    fn new(kind: BodyKind, bytes_max: usize, points_max: u64, end: &'static [u8]) -> Self {
        Self {
            kind,
            bytes_max: bytes_max - end.len(),
            points_max,
            end,
            body: Vec::new(),
            points: 0,
            parts: Vec::new(),
            part: (0, 0),
            full: Vec::new(),
        }
    }

    /// Adds an item with so many points, which `write` appends as a whole field.
    pub(super) fn push(
        &mut self,
        points: u64,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), TooLarge> {
        let at = self.body.len();
        write(&mut self.body);
        if self.body.len() - at > self.bytes_max {
            self.body.truncate(at);
            return Err(TooLarge);
        }
        if at > 0 && (self.body.len() > self.bytes_max || self.points + points > self.points_max) {
            let item = self.body.split_off(at);
            self.close();
            self.body = item;
        }
        self.points += points;
        self.part.1 += points;
        if self.body.len() - self.part.0 >= METRIC_PART_BYTES {
            self.close_part();
        }
        Ok(())
    }

    fn close_part(&mut self) {
        let bytes = self.part.0..self.body.len();
        if !bytes.is_empty() {
            self.parts.push(OutputPart {
                bytes,
                counts: Counts { points: self.part.1, ..Counts::default() },
            });
        }
        self.part = (self.body.len(), 0);
    }

    fn close(&mut self) {
        if self.body.is_empty() {
            return;
        }
        self.close_part();
        let mut body = std::mem::take(&mut self.body);
        body.extend_from_slice(self.end);
        let counts = Counts { points: self.points, ..Counts::default() };
        self.full.push(Output {
            kind: self.kind,
            body,
            counts,
            parts: std::mem::take(&mut self.parts),
        });
        (self.points, self.part) = (0, (0, 0));
    }

    /// Hands out everything.
    pub(super) fn take(&mut self, out: &mut dyn FnMut(Output)) {
        self.close();
        std::mem::take(&mut self.full).into_iter().for_each(out);
    }

    /// Bytes of what is held.
    pub(super) fn bytes(&self) -> usize {
        self.body.len() + self.full.iter().map(|output| output.body.len()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::{Bodies, BodyKind, Output, TooLarge};

    fn bodies() -> Bodies {
        Bodies::new(BodyKind::Sketches, 102, 10, b"\x12\x00")
    }

    fn push(bodies: &mut Bodies, points: u64, bytes: usize) -> Result<(), TooLarge> {
        bodies.push(points, |out| out.resize(out.len() + bytes, b'x'))
    }

    fn taken(bodies: &mut Bodies) -> Vec<Output> {
        let mut taken = Vec::new();
        bodies.take(&mut |output| taken.push(output));
        taken
    }

    fn sizes(outputs: &[Output]) -> Vec<(usize, u64)> {
        outputs.iter().map(|output| (output.body.len(), output.counts.points)).collect()
    }

    #[test]
    fn a_body_has_at_most_so_many_bytes_and_points() {
        let mut bodies = bodies();
        for bytes in [50, 50, 1, 99, 1, 1] {
            assert_eq!(push(&mut bodies, 1, bytes), Ok(()));
        }
        assert_eq!(sizes(&taken(&mut bodies)), [(102, 2), (102, 2), (4, 2)]);
        for points in [9, 1, 1, 10, 11] {
            assert_eq!(push(&mut bodies, points, 5), Ok(()));
        }
        assert_eq!(sizes(&taken(&mut bodies)), [(12, 10), (7, 1), (7, 10), (7, 11)]);
        assert_eq!(taken(&mut bodies), []);
    }

    #[test]
    fn what_is_too_large_alone_is_refused_and_changes_nothing() {
        let mut bodies = bodies();
        assert_eq!(push(&mut bodies, 1, 60), Ok(()));
        assert_eq!(push(&mut bodies, 1, 101), Err(TooLarge));
        assert_eq!(push(&mut bodies, 1, 40), Ok(()));
        assert_eq!(sizes(&taken(&mut bodies)), [(102, 2)]);
    }

    #[test]
    fn parts_cover_all_items_and_not_the_end() {
        let mut bodies = Bodies::of_sketches();
        for _ in 0..500 {
            assert_eq!(push(&mut bodies, 2, 100), Ok(()));
        }
        let [output] = taken(&mut bodies).try_into().unwrap();
        assert_eq!((output.body.len(), output.counts.points), (50_002, 1000));
        assert!(output.parts.len() > 2, "{:?}", output.parts);
        let mut at = 0;
        for part in &output.parts {
            assert_eq!((part.bytes.start, part.bytes.len() % 100), (at, 0));
            assert_eq!(part.counts.points as usize, part.bytes.len() / 50);
            at = part.bytes.end;
        }
        assert_eq!(at, 50_000);
    }
}
