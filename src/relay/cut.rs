//! The cutting of a body that the intake finds too large.

use std::io;
use std::ops::Range;

use crate::ledger::Counts;
use crate::relay::held::Item;
use crate::relay::kind::Cut;
use crate::relay::pack::Packer;
use crate::relay::{Part, Payload};

/// Cuts a payload in two of about the same size, each of which has the bytes that belong to no part.
///
/// # Errors
/// Its parts don't fit its body, or the compressor fails.
pub(super) fn cut(packer: &mut Packer, item: &Item) -> io::Result<Vec<Item>> {
    let body = item.encoding.decoded(&item.body, item.raw_len)?;
    if !fits(&item.parts, body.len()) {
        let misfit = "the parts of a payload don't fit its body";
        return Err(io::Error::new(io::ErrorKind::InvalidData, misfit));
    }
    let half = item.parts.iter().map(|part| part.bytes.len()).sum::<usize>() / 2;
    let mut before = 0;
    let at = item.parts.iter().take_while(|part| {
        before += part.bytes.len();
        before <= half
    });
    let at = at.count().clamp(1, item.parts.len().saturating_sub(1).max(1));
    [0..at, at..item.parts.len()]
        .into_iter()
        .map(|keep| {
            let mut piece = piece(item, &body, &keep);
            let mut packed = packer.pack(&mut piece)?;
            packed.made_at = item.made_at;
            Ok(packed)
        })
        .collect()
}

/// Whether the parts stand in a body of `len` bytes, in their order and without overlap.
fn fits(parts: &[Part], len: usize) -> bool {
    let mut covered = 0;
    parts.iter().all(|part| {
        let follows = covered <= part.bytes.start && part.bytes.start <= part.bytes.end;
        covered = part.bytes.end;
        follows && covered <= len
    })
}

/// The payload of `body` with the parts of the numbers `keep`, without the others.
fn piece(item: &Item, body: &[u8], keep: &Range<usize>) -> Payload {
    let mut piece = Vec::with_capacity(body.len() / 2);
    let (mut counts, mut parts) = (Counts::default(), Vec::with_capacity(keep.len()));
    let copy = |piece: &mut Vec<u8>, bytes: Range<usize>| {
        piece.extend_from_slice(body.get(bytes).unwrap_or_default())
    };
    let mut at = 0;
    for (number, part) in item.parts.iter().enumerate() {
        // Where the parts are members, there is a comma between two, which stays where both do.
        let is_comma = number > 0 && item.kind.traits().cut == Cut::Members;
        if !is_comma || (keep.contains(&number) && number > keep.start) {
            copy(&mut piece, at..part.bytes.start);
        }
        if keep.contains(&number) {
            let start = piece.len();
            copy(&mut piece, part.bytes.clone());
            parts.push(Part { bytes: start..piece.len(), counts: part.counts });
            counts.add(part.counts);
        }
        at = part.bytes.end;
    }
    copy(&mut piece, at..body.len());
    let (kind, languages) = (item.kind, item.languages.to_string());
    Payload { kind, body: piece, counts, languages, parts }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    use super::cut;
    use crate::ledger::Counts;
    use crate::relay::pack::Packer;
    use crate::relay::{Compression, Kind, Part, Payload};

    fn payload(kind: Kind, body: Vec<u8>) -> Payload {
        Payload {
            kind,
            body,
            counts: Counts::default(),
            languages: String::new(),
            parts: Vec::new(),
        }
    }

    /// An object around an array of strings of these lengths, in which a part is one string.
    fn array(lengths: &[usize]) -> Payload {
        let mut whole = payload(Kind::Logs, br#"{"head":1,"all":["#.to_vec());
        for (number, len) in lengths.iter().enumerate() {
            if number > 0 {
                whole.body.push(b',');
            }
            let start = whole.body.len();
            whole.body.extend(format!("\"{number}{}\"", "x".repeat(*len)).into_bytes());
            let counts = Counts { log_lines: 1, ..Counts::default() };
            whole.counts.add(counts);
            whole.parts.push(Part { bytes: start..whole.body.len(), counts });
        }
        whole.body.extend(br#"],"tail":2}"#);
        whole
    }

    proptest! {
        #[test]
        fn a_cut_loses_nothing(bodies in prop::collection::vec((any::<u8>(), 0_usize..60), 2..20), gaps in prop::collection::vec(0_usize..4, 21)) {
            let (mut body, mut parts, mut counts) = (Vec::new(), Vec::new(), Counts::default());
            for ((fill, len), gap) in bodies.iter().zip(&gaps) {
                body.extend(vec![b'h'; *gap]);
                let start = body.len();
                body.extend(vec![*fill; *len]);
                let part = Counts { spans: *len as u64, chunks: 1, ..Counts::default() };
                counts.add(part);
                parts.push(Part { bytes: start..body.len(), counts: part });
            }
            body.extend(vec![b't'; gaps[20]]);
            let header = gaps[..bodies.len()].iter().sum::<usize>() + gaps[20];
            let mut whole = payload(Kind::Traces, body.clone());
            (whole.parts, whole.counts) = (parts.clone(), counts);
            let mut packer = Packer::new([Compression::Zstd(1); 3]);
            let item = packer.pack(&mut whole).unwrap();
            let pieces = cut(&mut packer, &item).unwrap();
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
        fn pieces_of_json_are_json_with_the_members_in_their_order(lengths in prop::collection::vec(0_usize..60, 2..20)) {
            let mut packer = Packer::new([Compression::Gzip(6); 3]);
            let whole = packer.pack(&mut array(&lengths)).unwrap();
            let (mut waiting, mut members) = (vec![whole], Vec::new());
            while let Some(item) = waiting.pop() {
                if item.parts.len() > 1 {
                    waiting.extend(cut(&mut packer, &item).unwrap().into_iter().rev());
                    continue;
                }
                let raw = item.encoding.decoded(&item.body, item.raw_len).unwrap();
                let read: serde_json::Value = serde_json::from_slice(&raw).unwrap();
                prop_assert_eq!((read["head"].as_u64(), read["tail"].as_u64()), (Some(1), Some(2)));
                prop_assert_eq!((read["all"].as_array().unwrap().len(), item.counts.log_lines), (1, 1));
                members.push(read["all"][0].as_str().unwrap().to_owned());
            }
            let expect: Vec<_> = lengths.iter().enumerate().map(|(number, len)| format!("{number}{}", "x".repeat(*len))).collect();
            prop_assert_eq!(members, expect);
        }

        #[test]
        fn parts_that_do_not_fit_are_an_error(bounds in prop::collection::vec(0_usize..30, 4)) {
            let mut whole = payload(Kind::Traces, vec![7; 20]);
            let part = |start: usize, end: usize| Part { bytes: start..end, counts: Counts::default() };
            whole.parts = vec![part(bounds[0], bounds[1]), part(bounds[2], bounds[3])];
            let fits = bounds.is_sorted() && bounds[3] <= 20;
            let mut packer = Packer::new([Compression::None; 3]);
            let item = packer.pack(&mut whole).unwrap();
            prop_assert_eq!(cut(&mut packer, &item).is_ok(), fits);
        }
    }
}
