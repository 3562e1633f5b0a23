//! The pieces that the legacy mode sees a query as, and the words that mean something to it.

/// What a piece is, or what a filter made of it. The filters look at the kind of the last piece as they left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The end of the query.
    End,
    /// A name: a word without meaning, or text in backticks.
    Word,
    /// Text in double quotes: a name or a literal.
    DoubleQuoted,
    /// A value of any form, which is hidden.
    Literal,
    /// Any comment.
    Comment,
    As,
    Delete,
    From,
    Into,
    Join,
    Savepoint,
    Select,
    Update,
    /// `=`
    Equals,
    /// `:` alone
    Colon,
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `[`
    OpenBracket,
    /// `]`
    CloseBracket,
    /// Operators, other keywords, and what else stays as it is.
    Other,
    /// Made by a filter: the name of a table.
    Table,
    /// Made by a filter: hidden, and one with its neighbours of the same kind.
    Group,
    /// Made by a filter: as `Group`, but a parenthesis, behind which a query can start.
    GroupOpen,
    /// Made by a filter: left out.
    Discarded,
    /// Made by a filter: left out, inside of an alias in brackets.
    BracketedAlias,
}

impl Kind {
    /// Of a word: it stays as it is, unless what is before it has an effect on it.
    #[inline]
    pub(super) fn is_plain(self) -> bool {
        !matches!(self, Self::As | Self::Literal | Self::Savepoint)
    }

    /// What follows the piece may be left out, hidden or written differently.
    #[inline]
    pub(super) fn has_effect(self) -> bool {
        matches!(self, Self::As | Self::BracketedAlias | Self::Savepoint | Self::GroupOpen)
    }

    /// A hidden value or what was merged into one.
    pub(super) fn is_group(self) -> bool {
        matches!(self, Self::Group | Self::GroupOpen)
    }

    /// What a piece becomes that is merged into a group.
    pub(super) fn into_group(self) -> Self {
        if self == Self::Open { Self::GroupOpen } else { Self::Group }
    }
}

/// Where the text of a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text {
    /// The piece has no text, and leaves no trace in the result.
    Nothing,
    /// From and to which byte of the query.
    Query(usize, usize),
    /// In the scanner's buffer.
    Built,
    /// A text of our own.
    Fixed(&'static str),
}

/// A piece of a query.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) text: Text,
}

/// Bytes of the longest keyword.
const KEYWORD_BYTES_MAX: usize = 9;

/// The kind of an ASCII word.
pub(super) fn word_kind(word: &[u8]) -> Kind {
    let is = |keyword: &str| word.eq_ignore_ascii_case(keyword.as_bytes());
    let first = word.first().map_or(0, u8::to_ascii_lowercase);
    match (word.len(), first) {
        (2, b'a') if is("as") => Kind::As,
        (4, b'f') if is("from") => Kind::From,
        (4, b'i') if is("into") => Kind::Into,
        (4, b'j') if is("join") => Kind::Join,
        (4, b'n') if is("null") => Kind::Literal,
        (4, b't') if is("true") => Kind::Literal,
        (4, b'd') if is("drop") => Kind::Other,
        (5, b'f') if is("false") => Kind::Literal,
        (5, b'l') if is("limit") => Kind::Other,
        (5, b'a') if is("alter") => Kind::Other,
        (5, b'b') if is("begin") => Kind::Other,
        (5, b'g') if is("grant") => Kind::Other,
        (6, b's') if is("select") => Kind::Select,
        (6, b'u') if is("update") => Kind::Update,
        (6, b'd') if is("delete") => Kind::Delete,
        (6, b'i') if is("insert") => Kind::Other,
        (6, b'c') if is("create") || is("commit") => Kind::Other,
        (6, b'r') if is("revoke") => Kind::Other,
        (8, b't') if is("truncate") => Kind::Other,
        (9, b's') if is("savepoint") => Kind::Savepoint,
        _ => Kind::Word,
    }
}

/// The kind of a word with characters beyond ASCII: two of them have an ASCII letter as their capital, and are taken for it.
pub(super) fn wide_word_kind(word: &[u8]) -> Kind {
    let (mut folded, mut bytes) = ([0; KEYWORD_BYTES_MAX], 0);
    let mut left = word;
    while let [first, rest @ ..] = left {
        let (byte, rest) = match left {
            [0xc4, 0xb1, rest @ ..] => (b'i', rest),
            [0xc5, 0xbf, rest @ ..] => (b's', rest),
            _ => (*first, rest),
        };
        let Some(place) = folded.get_mut(bytes).filter(|_| byte.is_ascii()) else {
            return Kind::Word;
        };
        *place = byte;
        bytes += 1;
        left = rest;
    }
    word_kind(&folded[..bytes])
}
