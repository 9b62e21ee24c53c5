//! From stored events to what a reader reads: step by step, many events at once.

use std::collections::BTreeMap;

use annals_core::event::RecordedEvent;

use super::cache::Made;
use super::set::{Reader, UpcastSet};
use super::upcaster::Upcaster;
use super::{Shape, UpcastError, UpcastFault};

/// Most stored events that are upcast at once, and most events given in one call.
const BULK_EVENTS_MAX: usize = 256;

/// Most data given in one call, in bytes; one event always fits.
const BULK_BYTES_MAX: usize = 2 << 20;

/// Most data that one stored event may become, in bytes (inclusive): what fits one call of a reader.
const EVENT_BYTES_MAX: usize = 4 << 20;

/// A stretch ends before the event with which what is made reaches this many bytes.
const STRETCH_BYTES_MAX: usize = 16 << 20;

/// The first of some events, as their reader sees them.
#[derive(Debug)]
pub(crate) struct Stretch<'a> {
    events: &'a [RecordedEvent],
    // Per event what became of it, `None` when it is as stored. Shorter than `events`: the rest is.
    changed: Vec<Option<Vec<Shape>>>,
}

impl<'a> Stretch<'a> {
    /// How many of the events are in here.
    pub(crate) const fn taken(&self) -> usize {
        self.events.len()
    }

    /// Each event, with what became of it; `None` when it is as it is stored.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'a RecordedEvent, Option<&[Shape]>)> {
        self.events
            .iter()
            .enumerate()
            .map(|(index, event)| (event, self.changed.get(index).and_then(Option::as_deref)))
    }
}

/// A stored event on its way.
struct Way<'a> {
    index: usize,
    stored: &'a RecordedEvent,
    nodes: Vec<Node>,
}

/// What became of a stored event so far.
enum Node {
    /// The reader reads it, or nobody takes it.
    Done(Shape),
    /// The upcaster with this index takes it.
    Next(Shape, usize),
    /// What the upcaster with this index made.
    Made(Made, usize),
}

impl UpcastSet {
    /// Shows a reader the first of `events`, at least one unless there are none.
    ///
    /// # Errors
    /// [`UpcastError`] of one of them.
    pub(crate) fn first<'a>(
        &self,
        events: &'a [RecordedEvent],
        reader: &dyn Reader,
    ) -> Result<Stretch<'a>, Box<UpcastError>> {
        let mut ways = Vec::new();
        let mut taken = events.len();
        if !self.is_empty() {
            for (index, stored) in events.iter().enumerate() {
                if reader.reads(&stored.event_type, stored.schema_version) {
                    continue;
                }
                let taker = self.taker_index(&stored.event_type, stored.schema_version);
                let Some(taker) = taker else { continue };
                if ways.len() == BULK_EVENTS_MAX {
                    taken = index;
                    break;
                }
                ways.push(Way { index, stored, nodes: vec![Node::Next(Shape::of(stored), taker)] });
            }
        }
        for _ in 0..self.limits.steps_max {
            if ways.iter().all(Way::is_done) {
                break;
            }
            self.step(&mut ways)?;
            for way in &mut ways {
                self.unfold(way, reader)?;
            }
            taken = taken.min(end_of_stretch(&mut ways).unwrap_or(taken));
        }
        if let Some((given, upcaster)) = ways.iter().find_map(|way| self.next_of(way)) {
            let fault = UpcastFault::Chain { steps_max: self.limits.steps_max };
            return Err(given.fault(upcaster, fault));
        }
        let mut changed = Vec::new();
        for way in ways {
            changed.resize(way.index, None);
            changed.push(Some(way.into_shapes()));
        }
        Ok(Stretch { events: events.get(..taken).unwrap_or(events), changed })
    }

    fn node(&self, shape: Shape, reader: &dyn Reader) -> Node {
        if reader.reads(&shape.event_type, shape.schema_version) {
            return Node::Done(shape);
        }
        match self.taker_index(&shape.event_type, shape.schema_version) {
            Some(taker) => Node::Next(shape, taker),
            None => Node::Done(shape),
        }
    }

    /// Goes one step with all that has a next one.
    fn step(&self, ways: &mut [Way<'_>]) -> Result<(), Box<UpcastError>> {
        let mut by_taker: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
        for (way_index, way) in ways.iter().enumerate() {
            for (node_index, node) in way.nodes.iter().enumerate() {
                if let Node::Next(_, taker) = node {
                    by_taker.entry(*taker).or_default().push((way_index, node_index));
                }
            }
        }
        for (taker, places) in by_taker {
            let Some(upcaster) = self.upcaster(taker) else { continue };
            let shape_at = |(way, node): &(usize, usize)| {
                let Way { index, stored, nodes } = ways.get(*way)?;
                match nodes.get(*node)? {
                    Node::Next(shape, _) => Some(Given { index: *index, stored, shape }),
                    Node::Done(_) | Node::Made(..) => None,
                }
            };
            let given: Vec<_> = places.iter().filter_map(shape_at).collect();
            let made = self.make(upcaster, &given)?;
            for ((way, node), made) in places.iter().zip(made) {
                let node = ways.get_mut(*way).and_then(|way| way.nodes.get_mut(*node));
                if let Some(node) = node {
                    *node = Node::Made(made, taker);
                }
            }
        }
        Ok(())
    }

    /// What an upcaster makes of each event given: what is known already, or what it says.
    fn make(
        &self,
        upcaster: &Upcaster,
        given: &[Given<'_>],
    ) -> Result<Vec<Made>, Box<UpcastError>> {
        let shapes: Vec<_> = given.iter().map(|given| given.shape).collect();
        let mut made = self.cache.get_many(upcaster.digest(), &shapes);
        let missing: Vec<_> = given
            .iter()
            .zip(&mut made)
            .filter_map(|(given, made)| made.is_none().then_some((given, made)))
            .collect();
        let mut missing = missing.into_iter().peekable();
        while missing.peek().is_some() {
            let (mut bulk, mut bytes) = (Vec::new(), 0_usize);
            while let Some((given, _)) = missing.peek() {
                bytes = bytes.saturating_add(given.shape.data.len());
                let is_full = bulk.len() == BULK_EVENTS_MAX || bytes > BULK_BYTES_MAX;
                if is_full && !bulk.is_empty() {
                    break;
                }
                bulk.extend(missing.next());
            }
            let asked: Vec<_> = bulk.iter().map(|(given, _)| *given).collect();
            let answers = self.ask(upcaster, &asked)?;
            let results = asked.iter().map(|given| given.shape).zip(&answers);
            self.cache.put_many(upcaster.digest(), results);
            for ((_, made), answer) in bulk.into_iter().zip(answers) {
                *made = Some(answer);
            }
        }
        Ok(made.into_iter().flatten().collect())
    }

    /// Calls an upcaster with one bulk. What goes wrong with many is done one by one, so that one
    /// event has its limits for itself, and the fault names it.
    fn ask(&self, upcaster: &Upcaster, bulk: &[&Given<'_>]) -> Result<Vec<Made>, Box<UpcastError>> {
        let events_max = self.limits.events_max;
        let shapes: Vec<_> = bulk.iter().map(|given| given.shape).collect();
        match (upcaster.call(&shapes, events_max), bulk) {
            (Ok(made), _) => Ok(made),
            (Err(fault), [only]) => Err(only.fault(upcaster, fault)),
            (Err(_), _) => {
                let one = |given: &&Given<'_>| match upcaster.call(&[given.shape], events_max) {
                    Ok(made) => Ok(made),
                    Err(fault) => Err(given.fault(upcaster, fault)),
                };
                Ok(bulk.iter().map(one).collect::<Result<Vec<_>, _>>()?.concat())
            }
        }
    }

    /// Puts what was made in the place of what it was made of.
    fn unfold(&self, way: &mut Way<'_>, reader: &dyn Reader) -> Result<(), Box<UpcastError>> {
        if !way.nodes.iter().any(|node| matches!(node, Node::Made(..))) {
            return Ok(());
        }
        let mut last = None;
        let mut nodes = Vec::with_capacity(way.nodes.len());
        for node in std::mem::take(&mut way.nodes) {
            match node {
                Node::Made(made, taker) => {
                    nodes.extend(made.iter().map(|shape| self.node(shape.clone(), reader)));
                    last = Some(taker);
                }
                node => nodes.push(node),
            }
        }
        way.nodes = nodes;
        let Some(upcaster) = last.and_then(|taker| self.upcaster(taker)) else { return Ok(()) };
        let (count, bytes, events_max) = (way.nodes.len(), way.bytes(), self.limits.events_max);
        let failure = if count > events_max {
            upcaster.too_many(count, events_max)
        } else if bytes > EVENT_BYTES_MAX {
            upcaster.limit(format!(
                "{bytes} bytes of one stored event, at most {EVENT_BYTES_MAX} are allowed"
            ))
        } else {
            return Ok(());
        };
        let given = Given { index: way.index, stored: way.stored, shape: &Shape::of(way.stored) };
        Err(given.fault(upcaster, failure.into()))
    }

    /// What of an event has a next step, and who takes it.
    fn next_of<'a>(&'a self, way: &'a Way<'_>) -> Option<(Given<'a>, &'a Upcaster)> {
        way.nodes.iter().find_map(|node| match node {
            Node::Next(shape, taker) => {
                let given = Given { index: way.index, stored: way.stored, shape };
                Some((given, &**self.upcaster(*taker)?))
            }
            Node::Done(_) | Node::Made(..) => None,
        })
    }
}

/// Where what is made becomes too much at once: drops the ways from there on, and says which event
/// comes next. Its part of the work is done again, which the cache makes cheap.
fn end_of_stretch(ways: &mut Vec<Way<'_>>) -> Option<usize> {
    let mut bytes = 0_usize;
    let surplus = ways.iter().position(|way| {
        bytes = bytes.saturating_add(way.bytes());
        bytes > STRETCH_BYTES_MAX
    });
    let end = surplus.filter(|surplus| *surplus > 0)?;
    let next = ways.get(end).map(|way| way.index);
    ways.truncate(end);
    next
}

impl Way<'_> {
    fn is_done(&self) -> bool {
        self.nodes.iter().all(|node| matches!(node, Node::Done(_)))
    }

    fn bytes(&self) -> usize {
        let bytes = |node: &Node| match node {
            Node::Done(shape) | Node::Next(shape, _) => shape.data.len(),
            Node::Made(made, _) => made.iter().map(|shape| shape.data.len()).sum(),
        };
        self.nodes.iter().map(bytes).fold(0, usize::saturating_add)
    }

    fn into_shapes(self) -> Vec<Shape> {
        let done = |node| match node {
            Node::Done(shape) => Some(shape),
            Node::Next(..) | Node::Made(..) => None,
        };
        self.nodes.into_iter().filter_map(done).collect()
    }
}

/// What an upcaster is given, and which stored event it comes from.
struct Given<'a> {
    index: usize,
    stored: &'a RecordedEvent,
    shape: &'a Shape,
}

impl Given<'_> {
    fn fault(&self, upcaster: &Upcaster, fault: UpcastFault) -> Box<UpcastError> {
        Box::new(UpcastError {
            upcaster: upcaster.name().clone(),
            event_type: self.shape.event_type.clone(),
            schema_version: self.shape.schema_version,
            stream: self.stored.stream.clone(),
            revision: self.stored.revision,
            position: self.stored.position,
            index: self.index,
            fault,
        })
    }
}
