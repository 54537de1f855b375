//! What is held of a span until its whole trace is there: a record of fixed size, names as numbers.
//!
//! A span can only be counted once its ancestors are seen, and those may arrive minutes later or lie in another
//! file; so the pass over the rows only keeps what pairing needs, 56 bytes a span, in shards by a hash of its trace. Most
//! of what spans say they say thousands of times: that is held once, as a [`Shape`].

use meshlake_schema::Outcome;

use crate::cell_key::DetailId;
use crate::hashing::{NumberMap, mixed_pair};
use crate::held::Weighed;
use crate::measure::Protocol;
use crate::party::PartyId;

/// What a span stands for. In this order where one of several has to be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// A call was received.
    Received,
    /// A message was received.
    Consumed,
    /// A call was made.
    Made,
    /// A message was sent.
    Produced,
    /// Neither.
    Internal,
}

impl Role {
    pub fn is_received(self) -> bool {
        matches!(self, Role::Received | Role::Consumed)
    }

    pub fn is_made(self) -> bool {
        matches!(self, Role::Made | Role::Produced)
    }

    pub fn is_of_message(self) -> bool {
        matches!(self, Role::Consumed | Role::Produced)
    }
}

/// Facts about a span that are either true or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(u16);

impl Flags {
    pub const NONE: Flags = Flags(0);
    /// A proxy made it.
    pub const PROXY: Flags = Flags(1);
    /// A gateway made it, a party of its own.
    pub const GATEWAY: Flags = Flags(2);
    /// It only looked up a name or connected.
    pub const CONNECTING: Flags = Flags(4);
    /// It ended so that trying again makes sense.
    pub const FAILED: Flags = Flags(8);
    /// It ended because somebody stopped waiting.
    pub const CANCELLED: Flags = Flags(16);
    /// It took messages in, which others work on.
    pub const RECEIVE: Flags = Flags(32);
    /// Its far end has a name, not only an address.
    pub const NAMED: Flags = Flags(64);
    /// The caller's proxy, or a waypoint, let nothing pass.
    pub const REFUSED: Flags = Flags(128);
    /// It lasted as long as a connection, which is no latency.
    pub const LASTING: Flags = Flags(256);
    /// A call to a broker that took messages in.
    pub const POLLING: Flags = Flags(512);
    /// It only looked up a name: its addresses are the answer, and none of who was asked.
    pub const LOOKING_UP: Flags = Flags(1024);

    pub fn has(self, flags: Flags) -> bool {
        self.0 & flags.0 == flags.0
    }

    #[must_use]
    pub fn with_if(self, flags: Flags, holds: bool) -> Flags {
        if holds { Flags(self.0 | flags.0) } else { self }
    }
}

/// Everything of a span that many others share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Thousandths of a call.
    pub weight: u64,
    pub party: PartyId,
    /// The far end in the span's own words; nobody where it does not tell.
    pub peer: PartyId,
    pub detail: DetailId,
    pub role: Role,
    pub protocol: Protocol,
    pub outcome: Outcome,
    pub flags: Flags,
    /// How often the call had been sent before.
    pub resends: u8,
}

/// Number of a shape in [`Shapes`]; while a batch is read, among those of the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShapeId(pub(crate) u32);

/// Each shape once.
#[derive(Debug, Default)]
pub struct Shapes {
    shapes: Vec<Shape>,
    numbers: NumberMap<Shape, ShapeId>,
}

impl Shapes {
    pub fn intern(&mut self, shape: Shape) -> ShapeId {
        *self.numbers.entry(shape).or_insert_with(|| {
            let number = u32::try_from(self.shapes.len()).expect("memory ends before 2^32 spans");
            self.shapes.push(shape);
            ShapeId(number)
        })
    }

    /// Bytes taken, each shape twice.
    pub fn bytes(&self) -> usize {
        self.shapes.len() * 2 * size_of::<(Shape, ShapeId)>()
    }

    pub fn get(&self, id: ShapeId) -> &Shape {
        &self.shapes[id.0 as usize]
    }
}

/// A span as it is held.
#[derive(Debug, Clone, Copy, Default)]
pub struct HeldSpan {
    /// Lower half, upper half.
    pub trace: [u64; 2],
    pub id: u64,
    /// 0 for a root: a span id of zeros is invalid by the W3C trace context.
    pub parent: u64,
    pub start: i64,
    pub duration: i64,
    pub shape: ShapeId,
    pub links: LinksAt,
}

impl HeldSpan {
    pub fn has_links(&self) -> bool {
        self.links != LinksAt::default()
    }

    /// The span with all that its shape says.
    pub fn whole(&self, shapes: &Shapes) -> Span {
        let HeldSpan { trace: [low, high], id, parent, start, duration, shape, links } = *self;
        let Shape { weight, party, peer, detail, role, protocol, outcome, flags, resends } =
            *shapes.get(shape);
        let trace = u128::from(high) << 64 | u128::from(low);
        Span {
            trace,
            id,
            parent,
            start,
            duration,
            weight,
            party,
            peer,
            detail,
            links,
            role,
            protocol,
            outcome,
            flags,
            resends,
        }
    }
}

/// One span, as far as pairing needs it.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub trace: u128,
    pub id: u64,
    pub parent: u64,
    pub start: i64,
    pub duration: i64,
    pub weight: u64,
    pub party: PartyId,
    pub peer: PartyId,
    pub detail: DetailId,
    pub links: LinksAt,
    pub role: Role,
    pub protocol: Protocol,
    pub outcome: Outcome,
    pub flags: Flags,
    pub resends: u8,
}

impl Span {
    pub fn end(&self) -> i64 {
        self.start.saturating_add(self.duration.max(0))
    }

    pub fn is_proxy(&self) -> bool {
        self.flags.has(Flags::PROXY)
    }
}

/// Where a span's links are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinksAt(u32);

/// What a link points to: trace and span.
pub type Link = (u128, u64);

/// Spans that a shard makes room for at a time, at the least and at the most: a vector that doubled would leave as much
/// memory unused as it uses, and one that grew by less would be copied again and again.
const ROOM_SPANS_MIN: usize = 16;
const ROOM_SPANS_MAX: usize = 256;

/// The spans of the traces of one shard.
#[derive(Debug, Default)]
pub struct Shard {
    /// In the order added; all rooms but the last are full.
    rooms: Vec<Vec<HeldSpan>>,
    room_bytes: usize,
    links: Vec<Vec<Link>>,
    link_bytes: usize,
}

impl Shard {
    pub fn add(&mut self, mut span: HeldSpan, links: Vec<Link>) {
        if !links.is_empty() {
            self.link_bytes += size_of::<Vec<Link>>() + links.capacity() * size_of::<Link>();
            self.links.push(links);
            let place = u32::try_from(self.links.len()).expect("memory ends before 2^32 spans");
            span.links = LinksAt(place);
        }
        self.room().push(span);
    }

    /// Adds spans without links, with the shapes that `shape` says.
    pub fn add_all(&mut self, mut spans: &[HeldSpan], shape: impl Fn(ShapeId) -> ShapeId) {
        while !spans.is_empty() {
            let room = self.room();
            let (now, later) = spans.split_at(spans.len().min(room.capacity() - room.len()));
            room.extend(now.iter().map(|span| HeldSpan { shape: shape(span.shape), ..*span }));
            spans = later;
        }
    }

    /// A room that is not full.
    fn room(&mut self) -> &mut Vec<HeldSpan> {
        let is_full = |room: &Vec<HeldSpan>| room.len() == room.capacity();
        if self.rooms.last().is_none_or(is_full) {
            let last = self.rooms.last().map(|room| (2 * room.capacity()).min(ROOM_SPANS_MAX));
            let room: Vec<HeldSpan> = Vec::with_capacity(last.unwrap_or(ROOM_SPANS_MIN));
            self.room_bytes += room.capacity() * size_of::<HeldSpan>();
            self.rooms.push(room);
        }
        self.rooms.last_mut().expect("one was pushed")
    }

    /// How many spans there are.
    pub fn len(&self) -> usize {
        self.rooms.iter().map(Vec::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.rooms.is_empty()
    }

    /// The spans, as they were added.
    pub fn rooms(&self) -> &[Vec<HeldSpan>] {
        &self.rooms
    }

    pub fn links_of(&self, span: &Span) -> &[Link] {
        self.links_at(span.links)
    }

    /// The links of a span of this shard.
    pub fn links_at(&self, at: LinksAt) -> &[Link] {
        match at {
            LinksAt(0) => &[],
            LinksAt(place) => &self.links[place as usize - 1],
        }
    }

    /// The spans that have links.
    pub fn linked(&self) -> impl Iterator<Item = (&HeldSpan, &[Link])> {
        // Most shards have none.
        let rooms = if self.links.is_empty() { &[][..] } else { &self.rooms[..] };
        let linked = rooms.iter().flatten().filter(|span| span.has_links());
        linked.map(|span| (span, self.links_at(span.links)))
    }
}

impl Weighed for Shard {
    fn bytes(&self) -> usize {
        self.room_bytes + self.link_bytes
    }
}

/// The hash that brings the spans of a trace together.
pub fn hash_of([low, high]: [u64; 2]) -> u64 {
    mixed_pair(low, high)
}

const _: () = assert!(size_of::<HeldSpan>() == 56, "the doc above says how much memory is held");
