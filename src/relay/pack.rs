//! Compression, with what is costly to make kept for the next payload, and the cutting of a body that the intake finds too large.

use std::io::{self, Read, Write};
use std::ops::Range;

use bytes::Bytes;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use zstd::bulk::Compressor;
use zstd::zstd_safe::{self, CParameter};

use crate::ledger::Counts;
use crate::relay::held::Item;
use crate::relay::{Compression, Kind, Part, Payload};

/// The zstd level of trace payloads. Level 3 takes twice the time and saves nothing on spans.
const ZSTD_LEVEL: i32 = 1;

/// The binary logarithm of zstd's window. The default of level 1 is slower on payloads of 3 MB and saves nothing.
const ZSTD_WINDOW_LOG: u32 = 17;

/// The output buffer is given back when it is more than this many times as large as the next body.
const SCRATCH_FACTOR_MAX: usize = 64;

/// How a body is encoded on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Zstd,
    Gzip,
    Identity,
}

impl Encoding {
    /// The value of `Content-Encoding`.
    pub(super) fn header(self) -> Option<&'static str> {
        match self {
            Self::Zstd => Some("zstd"),
            Self::Gzip => Some("gzip"),
            Self::Identity => None,
        }
    }

    /// `body` as it was before it was compressed, where it is `raw_len` bytes long.
    fn decoded(self, body: &Bytes, raw_len: usize) -> io::Result<Vec<u8>> {
        match self {
            Self::Zstd => zstd::bulk::decompress(body, raw_len),
            Self::Gzip => {
                let mut raw = Vec::with_capacity(raw_len);
                GzDecoder::new(body.as_ref()).take(raw_len as u64).read_to_end(&mut raw)?;
                Ok(raw)
            }
            Self::Identity => Ok(body.to_vec()),
        }
    }
}

/// Compresses bodies. It holds about 1 MB from its first use until [`Packer::release`].
pub(super) struct Packer {
    compression: Compression,
    zstd: Option<Compressor<'static>>,
    scratch: Vec<u8>,
}

impl Packer {
    /// A packer that holds nothing yet.
    pub(super) fn new(compression: Compression) -> Self {
        Self { compression, zstd: None, scratch: Vec::new() }
    }

    /// Compresses the body of `payload`.
    ///
    /// # Errors
    /// The compressor can't be made or fails, for want of memory.
    pub(super) fn pack(&mut self, payload: &mut Payload) -> io::Result<Item> {
        let encoding = match (payload.kind, self.compression) {
            (Kind::Stats, _) | (_, Compression::Gzip) => Encoding::Gzip,
            (_, Compression::Zstd) => Encoding::Zstd,
            (_, Compression::None) => Encoding::Identity,
        };
        self.scratch.clear();
        // After one large payload, small ones should not go on holding its memory.
        if self.scratch.capacity() / SCRATCH_FACTOR_MAX > payload.body.len() {
            self.scratch = Vec::new();
        }
        match encoding {
            Encoding::Zstd => self.zstd(&payload.body)?,
            Encoding::Gzip => {
                let mut gzip = GzEncoder::new(&mut self.scratch, flate2::Compression::fast());
                gzip.write_all(&payload.body)?;
                gzip.finish()?;
            }
            Encoding::Identity => {
                return Ok(Item::new(payload, Bytes::copy_from_slice(&payload.body), encoding));
            }
        }
        // The copy is exactly as long as what the queue counts.
        Ok(Item::new(payload, Bytes::copy_from_slice(&self.scratch), encoding))
    }

    fn zstd(&mut self, body: &[u8]) -> io::Result<()> {
        let zstd = match &mut self.zstd {
            Some(zstd) => zstd,
            none => {
                let mut zstd = Compressor::new(ZSTD_LEVEL)?;
                zstd.set_parameter(CParameter::WindowLog(ZSTD_WINDOW_LOG))?;
                none.insert(zstd)
            }
        };
        self.scratch.reserve(zstd_safe::compress_bound(body.len()));
        zstd.compress_to_buffer(body, &mut self.scratch)?;
        Ok(())
    }

    /// Lets go of the compressor's memory.
    pub(super) fn release(&mut self) {
        self.zstd = None;
        self.scratch = Vec::new();
    }

    /// Cuts a payload in two of about the same size, each of which has the bytes that belong to no part.
    ///
    /// # Errors
    /// Its parts don't fit its body, or the compressor fails.
    pub(super) fn cut(&mut self, item: &Item) -> io::Result<Vec<Item>> {
        let body = item.encoding.decoded(&item.body, item.raw_len)?;
        let misfit = || {
            io::Error::new(io::ErrorKind::InvalidData, "the parts of a payload don't fit its body")
        };
        let mut covered = 0;
        for part in item.parts.iter() {
            if part.bytes.start < covered
                || part.bytes.end < part.bytes.start
                || part.bytes.end > body.len()
            {
                return Err(misfit());
            }
            covered = part.bytes.end;
        }
        let half = item.parts.iter().map(|part| part.bytes.len()).sum::<usize>() / 2;
        let mut before = 0;
        let at = item.parts.iter().take_while(|part| {
            before += part.bytes.len();
            before <= half
        });
        let at = at.count().clamp(1, item.parts.len() - 1);
        let (left, right) = item.parts.split_at(at);
        [(left, right), (right, left)]
            .into_iter()
            .map(|(keep, leave)| self.piece(item, &body, keep, leave))
            .collect()
    }

    /// The payload of `body` with the parts in `keep`, without those in `leave`.
    fn piece(
        &mut self,
        item: &Item,
        body: &[u8],
        keep: &[Part],
        leave: &[Part],
    ) -> io::Result<Item> {
        let (mut counts, mut parts) = (Counts::default(), Vec::with_capacity(keep.len()));
        let mut piece = Vec::with_capacity(body.len() / 2);
        let mut at = 0;
        let copy = |piece: &mut Vec<u8>, bytes: Range<usize>| {
            piece.extend_from_slice(body.get(bytes).unwrap_or_default())
        };
        let mut all: Vec<(&Part, bool)> = keep
            .iter()
            .map(|part| (part, true))
            .chain(leave.iter().map(|part| (part, false)))
            .collect();
        all.sort_by_key(|(part, _)| (part.bytes.start, part.bytes.end));
        for (part, is_kept) in all {
            copy(&mut piece, at..part.bytes.start);
            if is_kept {
                let start = piece.len();
                copy(&mut piece, part.bytes.clone());
                parts.push(Part { bytes: start..piece.len(), counts: part.counts });
                counts.add(part.counts);
            }
            at = part.bytes.end;
        }
        copy(&mut piece, at..body.len());
        self.pack(&mut Payload {
            kind: item.kind,
            body: piece,
            counts,
            languages: item.languages.to_string(),
            parts,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    use super::{Compression, Encoding, Kind, Packer, Part, Payload};
    use crate::ledger::Counts;

    fn payload(kind: Kind, body: Vec<u8>) -> Payload {
        Payload {
            kind,
            body,
            counts: Counts::default(),
            languages: String::new(),
            parts: Vec::new(),
        }
    }

    #[test]
    fn traces_go_as_set_and_stats_always_as_gzip() {
        for (compression, expect) in [
            (Compression::Zstd, Encoding::Zstd),
            (Compression::Gzip, Encoding::Gzip),
            (Compression::None, Encoding::Identity),
        ] {
            let mut packer = Packer::new(compression);
            for (kind, expect) in [(Kind::Traces, expect), (Kind::Stats, Encoding::Gzip)] {
                let body = b"a body with a body in a body".repeat(50);
                let item = packer.pack(&mut payload(kind, body.clone())).unwrap();
                assert_eq!(item.encoding, expect);
                assert_eq!(item.encoding.decoded(&item.body, body.len()).unwrap(), body);
            }
        }
    }

    proptest! {
        #[test]
        fn a_cut_loses_nothing(bodies in prop::collection::vec((any::<u8>(), 0_usize..60), 2..20), gaps in prop::collection::vec(0_usize..4, 21)) {
            let (mut body, mut parts, mut counts) = (Vec::new(), Vec::new(), Counts::default());
            for ((fill, len), gap) in bodies.iter().zip(&gaps) {
                body.extend(vec![b'h'; *gap]);
                let start = body.len();
                body.extend(vec![*fill; *len]);
                let part = Counts { spans: *len as u64, chunks: 1, stats_groups: 0 };
                counts.add(part);
                parts.push(Part { bytes: start..body.len(), counts: part });
            }
            body.extend(vec![b't'; gaps[20]]);
            let header = gaps[..bodies.len()].iter().sum::<usize>() + gaps[20];
            let mut whole = payload(Kind::Traces, body.clone());
            (whole.parts, whole.counts) = (parts.clone(), counts);
            let mut packer = Packer::new(Compression::Zstd);
            let item = packer.pack(&mut whole).unwrap();
            let pieces = packer.cut(&item).unwrap();
            prop_assert_eq!(pieces.len(), 2);
            let (mut sum, mut kept) = (Counts::default(), Vec::new());
            for piece in &pieces {
                let raw = piece.encoding.decoded(&piece.body, piece.raw_len).unwrap();
                prop_assert!(!piece.parts.is_empty());
                prop_assert_eq!(raw.len(), header + piece.parts.iter().map(|part| part.bytes.len()).sum::<usize>());
                kept.extend(piece.parts.iter().map(|part| raw[part.bytes.clone()].to_vec()));
                sum.add(piece.counts);
            }
            prop_assert_eq!(sum, counts);
            let whole: Vec<_> = parts.iter().map(|part| body[part.bytes.clone()].to_vec()).collect();
            prop_assert_eq!(kept, whole);
        }

        #[test]
        fn parts_that_do_not_fit_are_an_error(bounds in prop::collection::vec(0_usize..30, 4)) {
            let mut whole = payload(Kind::Traces, vec![7; 20]);
            let part = |start: usize, end: usize| Part { bytes: start..end, counts: Counts::default() };
            whole.parts = vec![part(bounds[0], bounds[1]), part(bounds[2], bounds[3])];
            let fits = bounds.is_sorted() && bounds[3] <= 20;
            let mut packer = Packer::new(Compression::None);
            let item = packer.pack(&mut whole).unwrap();
            prop_assert_eq!(packer.cut(&item).is_ok(), fits);
        }
    }
}
