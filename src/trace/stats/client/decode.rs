//! Reads the body of a stats request, group by group. Liberal in the widths and kinds of numbers and texts, as different tracers write
//! different ones; a sketch that is nil is refused, as the agent does.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor,
};

use crate::limits;
use crate::trace::normalise;

/// Buckets in one body. Tracers send one or two.
const BUCKETS_MAX: usize = 10_000;
/// Tags of one group, of each kind.
const TAGS_MAX: usize = 1000;
/// Bytes of an error's text, which may quote the body.
const ERROR_BYTES_MAX: usize = 200;

/// A stats body that can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError(String);

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DecodeError {}

/// What a body says of the tracer.
#[derive(Debug, Default)]
pub(super) struct Header<'a> {
    pub(super) hostname: Text<'a>,
    pub(super) env: Text<'a>,
    pub(super) version: Text<'a>,
    pub(super) lang: Text<'a>,
    pub(super) service: Text<'a>,
    pub(super) container_id: Text<'a>,
    pub(super) git_commit_sha: Text<'a>,
    pub(super) image_tag: Text<'a>,
    pub(super) process_tags: Text<'a>,
}

/// A group as it was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct SentGroup<'a> {
    #[serde(borrow)]
    pub(super) service: Text<'a>,
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    #[serde(borrow)]
    pub(super) resource: Text<'a>,
    #[serde(rename = "HTTPStatusCode")]
    pub(super) http_status_code: Number,
    #[serde(borrow, rename = "Type")]
    pub(super) kind: Text<'a>,
    #[serde(borrow, rename = "DBType")]
    pub(super) db_type: Text<'a>,
    pub(super) hits: Number,
    pub(super) errors: Number,
    pub(super) duration: Number,
    #[serde(borrow)]
    pub(super) ok_summary: Sketch<'a>,
    #[serde(borrow)]
    pub(super) error_summary: Sketch<'a>,
    pub(super) synthetics: Flag,
    pub(super) top_level_hits: Number,
    #[serde(borrow)]
    pub(super) span_kind: Text<'a>,
    #[serde(borrow)]
    pub(super) peer_tags: Tags<'a>,
    pub(super) is_trace_root: Number,
    #[serde(borrow, rename = "GRPCStatusCode")]
    pub(super) grpc_status_code: Text<'a>,
    #[serde(borrow, rename = "HTTPMethod")]
    pub(super) http_method: Text<'a>,
    #[serde(borrow, rename = "HTTPEndpoint")]
    pub(super) http_endpoint: Text<'a>,
    #[serde(borrow, rename = "srv_src")]
    pub(super) service_source: Text<'a>,
    #[serde(borrow)]
    pub(super) additional_metric_tags: Tags<'a>,
}

/// Reads a body: its buckets' starts in order, every group with the place of its bucket, and the rest.
pub(super) fn read<'a>(
    body: &'a [u8],
    starts: &mut Vec<u64>,
    see: &mut dyn FnMut(usize, SentGroup<'a>),
) -> Result<Header<'a>, DecodeError> {
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(body);
    deserializer.set_max_depth(limits::DECODE_DEPTH_MAX);
    deserializer.deserialize_map(PayloadVisitor { starts, see }).map_err(|error| {
        DecodeError(normalise::truncate(&format!("stats: {error}"), ERROR_BYTES_MAX).to_owned())
    })
}

struct PayloadVisitor<'s, 'a> {
    starts: &'s mut Vec<u64>,
    see: &'s mut dyn FnMut(usize, SentGroup<'a>),
}

impl<'a> Visitor<'a> for PayloadVisitor<'_, 'a> {
    type Value = Header<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map with stats")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut header = Header::default();
        while let Some(key) = map.next_key::<Text<'a>>()? {
            let field = match &*key {
                "Hostname" => &mut header.hostname,
                "Env" => &mut header.env,
                "Version" => &mut header.version,
                "Lang" => &mut header.lang,
                "Service" => &mut header.service,
                "ContainerID" => &mut header.container_id,
                "GitCommitSha" => &mut header.git_commit_sha,
                "ImageTag" => &mut header.image_tag,
                "ProcessTags" => &mut header.process_tags,
                "Stats" => {
                    map.next_value_seed(Buckets { starts: self.starts, see: self.see })?;
                    continue;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *field = map.next_value()?;
        }
        Ok(header)
    }
}

/// A list of buckets, or nil.
struct Buckets<'s, 'a> {
    starts: &'s mut Vec<u64>,
    see: &'s mut dyn FnMut(usize, SentGroup<'a>),
}

impl<'a> DeserializeSeed<'a> for Buckets<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Buckets<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of buckets")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(BucketSeed { starts: self.starts, see: self.see })?.is_some() {
            if self.starts.len() > BUCKETS_MAX {
                return Err(A::Error::custom(format_args!("more than {BUCKETS_MAX} buckets")));
            }
        }
        Ok(())
    }
}

struct BucketSeed<'s, 'a> {
    starts: &'s mut Vec<u64>,
    see: &'s mut dyn FnMut(usize, SentGroup<'a>),
}

impl<'a> DeserializeSeed<'a> for BucketSeed<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for BucketSeed<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a bucket, which is a map")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let mut start = 0;
        let bucket = self.starts.len();
        while let Some(key) = map.next_key::<Text<'a>>()? {
            match &*key {
                "Start" => start = map.next_value::<Number>()?.0,
                "Stats" => map.next_value_seed(Groups { bucket, see: self.see })?,
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        self.starts.push(start);
        Ok(())
    }
}

/// A list of groups, or nil.
struct Groups<'s, 'a> {
    bucket: usize,
    see: &'s mut dyn FnMut(usize, SentGroup<'a>),
}

impl<'a> DeserializeSeed<'a> for Groups<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Groups<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of groups")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(group) = list.next_element_seed(MapOnly(PhantomData))? {
            (self.see)(self.bucket, group);
        }
        Ok(())
    }
}

/// A group written as a map. Left to itself, serde would take an array for it too.
struct MapOnly<'a>(PhantomData<SentGroup<'a>>);

impl<'a> DeserializeSeed<'a> for MapOnly<'a> {
    type Value = SentGroup<'a>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for MapOnly<'a> {
    type Value = SentGroup<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a group, which is a map")
    }

    fn visit_map<A: MapAccess<'a>>(self, map: A) -> Result<Self::Value, A::Error> {
        SentGroup::deserialize(MapAccessDeserializer::new(map))
    }
}

/// A text: str, bin or nil; what is not UTF-8 is repaired.
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text<'a>(Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Text<'_> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }

            fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
                Ok(Text(String::from_utf8_lossy(bytes)))
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(String::from_utf8_lossy(bytes).into_owned())))
            }

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(Text::default())
            }
        }
        deserializer.deserialize_any(TextVisitor)
    }
}

/// A number that is not negative: any integer or float, or nil.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Number(pub(super) u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberVisitor;
        impl Visitor<'_> for NumberVisitor {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number that is not negative")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Number, E> {
                Ok(Number(number))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Number, E> {
                u64::try_from(number)
                    .map(Number)
                    .map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Number, E> {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "the cast saturates"
                )]
                let whole = number as u64;
                if number >= 0.0 {
                    Ok(Number(whole))
                } else {
                    Err(E::invalid_value(Unexpected::Float(number), &self))
                }
            }

            fn visit_unit<E: Error>(self) -> Result<Number, E> {
                Ok(Number(0))
            }
        }
        deserializer.deserialize_any(NumberVisitor)
    }
}

/// Yes, no, or nil for no.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flag(pub(super) bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Option::<bool>::deserialize(deserializer)?.unwrap_or(false)))
    }
}

/// An encoded sketch, not looked into.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sketch<'a>(pub(super) &'a [u8]);

impl<'de: 'a, 'a> Deserialize<'de> for Sketch<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SketchVisitor;
        impl<'de> Visitor<'de> for SketchVisitor {
            type Value = Sketch<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the bytes of a sketch")
            }

            fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
                Ok(Sketch(bytes))
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Sketch(text.as_bytes()))
            }
        }
        deserializer.deserialize_any(SketchVisitor)
    }
}

/// A list of tags, or nil.
#[derive(Debug, Default)]
pub(super) struct Tags<'a>(Vec<Text<'a>>);

impl<'a> Deref for Tags<'a> {
    type Target = [Text<'a>];

    fn deref(&self) -> &[Text<'a>] {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Tags<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TagsVisitor;
        impl<'de> Visitor<'de> for TagsVisitor {
            type Value = Tags<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of tags")
            }

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(Tags::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut tags = Vec::new();
                while let Some(tag) = list.next_element()? {
                    if tags.len() == TAGS_MAX {
                        return Err(A::Error::custom(format_args!(
                            "more than {TAGS_MAX} tags in one group"
                        )));
                    }
                    tags.push(tag);
                }
                Ok(Tags(tags))
            }
        }
        deserializer.deserialize_any(TagsVisitor)
    }
}
