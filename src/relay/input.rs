//! A payload on its way into every destination's queue. It is compressed once, by whoever comes first, and its bytes are shared.

use std::io;
use std::mem;
use std::sync::{Mutex, PoisonError};

use crate::ledger::Counts;
use crate::relay::held::{Item, Number};
use crate::relay::pack::Packer;
use crate::relay::{Part, Payload};

/// A payload as it was pushed, until every destination has it compressed.
#[derive(Debug)]
pub(super) struct Input {
    /// What is in it.
    pub(super) counts: Counts,
    /// What each queue counts for it.
    pub(super) bytes: usize,
    stage: Mutex<Stage>,
}

#[derive(Debug)]
enum Stage {
    Raw(Payload),
    Packed(Item),
    /// Compressing it has failed.
    Gone,
}

/// What compression gave.
pub(super) struct Packed {
    pub(super) item: Item,
    /// The body that is no longer needed, for reuse: whoever compressed it gets it.
    pub(super) body: Vec<u8>,
}

impl Input {
    /// A payload that nobody has compressed yet.
    pub(super) fn new(payload: Payload) -> Self {
        let bytes = size_of::<(Number, Payload)>()
            + payload.body.len()
            + payload.languages.len()
            + payload.parts.capacity() * size_of::<Part>();
        Self { counts: payload.counts, bytes, stage: Mutex::new(Stage::Raw(payload)) }
    }

    /// The payload compressed.
    ///
    /// # Errors
    /// The compressor fails, now or when it was first tried.
    pub(super) fn packed(&self, packer: &mut Packer) -> io::Result<Packed> {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        // After a panic of the compressor nobody tries it again.
        match mem::replace(&mut *stage, Stage::Gone) {
            Stage::Raw(mut payload) => {
                let item = packer.pack(&mut payload)?;
                *stage = Stage::Packed(item.clone());
                Ok(Packed { item, body: payload.body })
            }
            Stage::Packed(item) => {
                *stage = Stage::Packed(item.clone());
                Ok(Packed { item, body: Vec::new() })
            }
            Stage::Gone => Err(io::Error::other("it failed before")),
        }
    }

    /// The body, where nobody has compressed it.
    pub(super) fn into_body(self) -> Option<Vec<u8>> {
        match self.stage.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Stage::Raw(payload) => Some(payload.body),
            Stage::Packed(_) | Stage::Gone => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Input, Packer, Payload};
    use crate::ledger::Counts;
    use crate::relay::{Compression, Kind};

    #[test]
    fn it_is_compressed_once_and_its_bytes_are_shared() {
        let input = Input::new(Payload {
            kind: Kind::Traces,
            body: b"a body ".repeat(100),
            counts: Counts::default(),
            languages: String::new(),
            parts: Vec::new(),
        });
        let mut packer = Packer::new([Compression::Zstd(1); 3]);
        let [first, second] = [(); 2].map(|()| input.packed(&mut packer).unwrap());
        assert_eq!(first.item.body.as_ptr(), second.item.body.as_ptr());
        assert_eq!((first.body.len(), second.body.len()), (700, 0));
        assert!(input.into_body().is_none());
    }
}
