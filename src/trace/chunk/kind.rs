//! The kinds of spans.

/// The OpenTelemetry kind of a span, by its number in the payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SpanKind {
    /// Nothing said (v0.5 and v1.0 only).
    #[default]
    Unspecified,
    /// `internal`, and whatever is not one of the others.
    Internal,
    /// `server`.
    Server,
    /// `client`.
    Client,
    /// `producer`.
    Producer,
    /// `consumer`.
    Consumer,
    /// A number that stands for no kind, as it came (v1.0 only).
    Other(i32),
}

impl SpanKind {
    /// Of the text of `span.kind`.
    pub fn parse(text: &[u8]) -> Self {
        match text {
            b"server" => Self::Server,
            b"client" => Self::Client,
            b"producer" => Self::Producer,
            b"consumer" => Self::Consumer,
            _ => Self::Internal,
        }
    }

    /// Of its number in the payload.
    pub fn of_number(number: i32) -> Self {
        match number {
            0 => Self::Unspecified,
            1 => Self::Internal,
            2 => Self::Server,
            3 => Self::Client,
            4 => Self::Producer,
            5 => Self::Consumer,
            other => Self::Other(other),
        }
    }

    /// Its number in the payload.
    pub fn number(self) -> i32 {
        match self {
            Self::Unspecified => 0,
            Self::Internal => 1,
            Self::Server => 2,
            Self::Client => 3,
            Self::Producer => 4,
            Self::Consumer => 5,
            Self::Other(number) => number,
        }
    }

    /// The kind as stats name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unspecified | Self::Other(_) => "unknown",
            Self::Internal => "internal",
            Self::Server => "server",
            Self::Client => "client",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }
}
