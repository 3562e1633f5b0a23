//! Reading from sockets: a burst of datagrams by one system call ([`burst`]), frames of a stream ([`stream`]), and how many datagrams the
//! kernel had no room for ([`drops`]).

mod burst;
mod drops;
mod stream;

pub(super) use burst::Burst;
pub(super) use drops::dropped;
pub(super) use stream::{Broken, Stream, Turn, room_bytes};
