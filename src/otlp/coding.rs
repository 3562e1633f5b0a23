//! Compressed bodies: unpacked whole, and never to more than a body may have.

use std::borrow::Cow;
use std::io::{self, Read};

use flate2::read::{MultiGzDecoder, ZlibDecoder};

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// It is not.
    Identity,
    /// Gzip.
    Gzip,
    /// Zlib, which HTTP calls `deflate`.
    Deflate,
    /// Zstandard.
    Zstd,
}

/// Why a body can't be unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It is not packed in this way.
    Malformed,
    /// It would be larger than a body may be.
    TooLarge,
}

impl Coding {
    /// From the header that names it; nothing for one that is not known here.
    pub(super) fn named(name: &str) -> Option<Self> {
        let is = |word: &str| name.trim().eq_ignore_ascii_case(word);
        if is("") || is("identity") {
            Some(Self::Identity)
        } else if is("gzip") || is("x-gzip") {
            Some(Self::Gzip)
        } else if is("deflate") {
            Some(Self::Deflate)
        } else {
            is("zstd").then_some(Self::Zstd)
        }
    }

    /// Unpacks `body`.
    pub(super) fn unpack(self, body: &[u8], bytes_max: usize) -> Result<Cow<'_, [u8]>, Failure> {
        let unpacked = match self {
            Self::Identity => return Ok(Cow::Borrowed(body)),
            Self::Gzip => read(MultiGzDecoder::new(body), bytes_max),
            Self::Deflate => read(ZlibDecoder::new(body), bytes_max),
            Self::Zstd => {
                zstd::Decoder::with_buffer(body).and_then(|unpacked| read(unpacked, bytes_max))
            }
        };
        match unpacked {
            Ok(bytes) if bytes.len() > bytes_max => Err(Failure::TooLarge),
            Ok(bytes) => Ok(Cow::Owned(bytes)),
            Err(_) => Err(Failure::Malformed),
        }
    }
}

/// Everything, or one byte more than is allowed.
fn read(unpacked: impl Read, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    unpacked.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    use super::{Coding, Failure};

    const TEXT: &[u8] = b"the same again, the same again, the same again";

    fn packed(coding: Coding) -> Vec<u8> {
        match coding {
            Coding::Identity => TEXT.to_vec(),
            Coding::Gzip => {
                let mut packer = GzEncoder::new(Vec::new(), Compression::default());
                packer.write_all(TEXT).unwrap();
                packer.finish().unwrap()
            }
            Coding::Deflate => {
                let mut packer = ZlibEncoder::new(Vec::new(), Compression::default());
                packer.write_all(TEXT).unwrap();
                packer.finish().unwrap()
            }
            Coding::Zstd => zstd::encode_all(TEXT, 1).unwrap(),
        }
    }

    #[test]
    fn every_coding_is_unpacked_up_to_the_limit() {
        for (name, coding) in [
            ("", Coding::Identity),
            ("GZIP", Coding::Gzip),
            (" deflate ", Coding::Deflate),
            ("zstd", Coding::Zstd),
        ] {
            assert_eq!(Coding::named(name), Some(coding));
            let body = packed(coding);
            assert_eq!(coding.unpack(&body, TEXT.len()).unwrap(), TEXT, "{coding:?}");
            if coding != Coding::Identity {
                assert_eq!(coding.unpack(&body, TEXT.len() - 1), Err(Failure::TooLarge));
                assert_eq!(coding.unpack(&body[..body.len() / 2], 1000), Err(Failure::Malformed));
                assert_eq!(coding.unpack(TEXT, 1000), Err(Failure::Malformed));
            }
        }
        assert_eq!(Coding::named("br"), None);
    }

    #[test]
    fn a_small_body_that_unpacks_to_a_huge_one_takes_no_memory() {
        let zeros = zstd::encode_all(&vec![0; 100_000_000][..], 1).unwrap();
        assert!(zeros.len() < 20_000);
        assert_eq!(Coding::Zstd.unpack(&zeros, 1000), Err(Failure::TooLarge));
    }
}
