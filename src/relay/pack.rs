//! Compression, with what is costly to make kept for the next payload.

use std::io::{self, Read, Write};

use bytes::Bytes;
use flate2::read::{GzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use zstd::bulk::Compressor;
use zstd::zstd_safe::{self, CParameter};

use crate::relay::held::Item;
use crate::relay::{Compression, Kind, Payload};

/// The level of gzip for stats, as the agent's.
const STATS_GZIP_LEVEL: u32 = 1;

/// The binary logarithm of zstd's window. The default of level 1 is slower on payloads of 3 MB and saves nothing. It bounds the memory
/// that higher levels take, too.
const ZSTD_WINDOW_LOG: u32 = 17;

/// The output buffer is given back when it is more than this many times as large as the next body.
const SCRATCH_FACTOR_MAX: usize = 64;

/// How a body is encoded on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Zstd,
    Gzip,
    Deflate,
    Identity,
}

impl Encoding {
    /// The value of `Content-Encoding`.
    pub(super) fn header(self) -> Option<&'static str> {
        match self {
            Self::Zstd => Some("zstd"),
            Self::Gzip => Some("gzip"),
            Self::Deflate => Some("deflate"),
            Self::Identity => None,
        }
    }

    /// `body` as it was before it was compressed, where it is `raw_len` bytes long.
    ///
    /// # Errors
    /// It is no such encoding.
    pub(super) fn decoded(self, body: &Bytes, raw_len: usize) -> io::Result<Vec<u8>> {
        let reader: &mut dyn Read = match self {
            Self::Zstd => return zstd::bulk::decompress(body, raw_len),
            Self::Identity => return Ok(body.to_vec()),
            Self::Gzip => &mut GzDecoder::new(body.as_ref()),
            Self::Deflate => &mut ZlibDecoder::new(body.as_ref()),
        };
        let mut raw = Vec::with_capacity(raw_len);
        reader.take(raw_len as u64).read_to_end(&mut raw)?;
        Ok(raw)
    }
}

/// Compresses bodies. It holds about 1 MB from its first use until [`Packer::release`].
pub(super) struct Packer {
    /// By [`crate::relay::Family`].
    compression: [Compression; 3],
    /// With the level that it has.
    zstd: Option<(Compressor<'static>, i32)>,
    scratch: Vec<u8>,
}

impl Packer {
    /// A packer that holds nothing yet, for bodies of each family.
    pub(super) fn new(compression: [Compression; 3]) -> Self {
        Self { compression, zstd: None, scratch: Vec::new() }
    }

    /// Compresses the body of `payload`.
    ///
    /// # Errors
    /// The compressor can't be made or fails, for want of memory.
    pub(super) fn pack(&mut self, payload: &mut Payload) -> io::Result<Item> {
        let compression = match payload.kind {
            Kind::Stats => Compression::Gzip(STATS_GZIP_LEVEL),
            kind => self.compression[kind.family() as usize],
        };
        self.scratch.clear();
        // After one large payload, small ones should not go on holding its memory.
        if self.scratch.capacity() / SCRATCH_FACTOR_MAX > payload.body.len() {
            self.scratch = Vec::new();
        }
        let encoding = match compression {
            Compression::Zstd(level) => {
                self.zstd(&payload.body, level)?;
                Encoding::Zstd
            }
            Compression::Gzip(level) => {
                let mut gzip = GzEncoder::new(&mut self.scratch, flate2::Compression::new(level));
                gzip.write_all(&payload.body)?;
                gzip.finish()?;
                Encoding::Gzip
            }
            Compression::Deflate(level) => {
                let mut zlib = ZlibEncoder::new(&mut self.scratch, flate2::Compression::new(level));
                zlib.write_all(&payload.body)?;
                zlib.finish()?;
                Encoding::Deflate
            }
            Compression::None => {
                let body = Bytes::copy_from_slice(&payload.body);
                return Ok(Item::new(payload, body, Encoding::Identity));
            }
        };
        // The copy is exactly as long as what the queue counts.
        Ok(Item::new(payload, Bytes::copy_from_slice(&self.scratch), encoding))
    }

    fn zstd(&mut self, body: &[u8], level: i32) -> io::Result<()> {
        let (zstd, has_level) = match &mut self.zstd {
            Some(zstd) => zstd,
            none => {
                let mut zstd = Compressor::new(level)?;
                zstd.set_parameter(CParameter::WindowLog(ZSTD_WINDOW_LOG))?;
                none.insert((zstd, level))
            }
        };
        if *has_level != level {
            zstd.set_parameter(CParameter::CompressionLevel(level))?;
            *has_level = level;
        }
        self.scratch.reserve(zstd_safe::compress_bound(body.len()));
        zstd.compress_to_buffer(body, &mut self.scratch)?;
        Ok(())
    }

    /// Lets go of the compressor's memory.
    pub(super) fn release(&mut self) {
        self.zstd = None;
        self.scratch = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::{Compression, Encoding, Kind, Packer, Payload};
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
    fn each_family_goes_as_set_and_stats_always_as_gzip() {
        let all = [
            (Compression::Zstd(1), Encoding::Zstd),
            (Compression::Gzip(6), Encoding::Gzip),
            (Compression::Deflate(9), Encoding::Deflate),
            (Compression::None, Encoding::Identity),
            (Compression::Zstd(19), Encoding::Zstd),
        ];
        for at in 0..all.len() {
            let [traces, metrics, logs] = [0, 1, 2].map(|next| all[(at + next) % all.len()]);
            let mut packer = Packer::new([traces.0, metrics.0, logs.0]);
            for kind in Kind::ALL {
                let expect = match kind {
                    Kind::Traces => traces.1,
                    Kind::Stats => Encoding::Gzip,
                    Kind::Logs => logs.1,
                    _ => metrics.1,
                };
                let body = b"a body with a body in a body".repeat(50);
                let item = packer.pack(&mut payload(kind, body.clone())).unwrap();
                assert_eq!(item.encoding, expect, "{kind:?}");
                assert_eq!(item.encoding.decoded(&item.body, body.len()).unwrap(), body);
            }
        }
    }

    #[test]
    fn a_level_counts_whatever_was_packed_before() {
        let body =
            [include_str!("pack.rs"), include_str!("held.rs"), include_str!("run.rs")].concat();
        let packed = |packer: &mut Packer, kind| {
            packer.pack(&mut payload(kind, body.clone().into_bytes())).unwrap().body
        };
        for (low, high) in [
            (Compression::Zstd(1), Compression::Zstd(19)),
            (Compression::Gzip(1), Compression::Gzip(9)),
            (Compression::Deflate(1), Compression::Deflate(9)),
        ] {
            let mut packer = Packer::new([low, high, low]);
            let all = [Kind::Traces, Kind::Series, Kind::Logs, Kind::Events]
                .map(|kind| packed(&mut packer, kind));
            assert!(all[1].len() < all[0].len(), "{high:?}");
            assert!(all[2] == all[0] && all[3] == all[1], "{low:?}");
        }
    }
}
