//! The spans of a trace as rows of a tree. Whatever comes is shown or counted: spans whose parent is missing, spans that are each other's
//! parents, ids that are there twice.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use super::Span;

/// Rows of spans of one trace. Enough to see the shape of a request, and it fits a screen.
const SPANS_SHOWN_MAX: usize = 48;

/// Spans shown under one parent.
const CHILDREN_SHOWN_MAX: usize = 12;

/// One row.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) what: What<'a>,
    /// The lines of the tree before it.
    pub(super) guide: String,
    /// The same for further lines of this row.
    pub(super) guide_below: String,
    /// The span that the row hangs from.
    pub(super) parent: Option<&'a Span>,
}

/// What a row shows.
#[derive(Clone, Copy, Debug)]
pub(super) enum What<'a> {
    /// A span; its error is told here, and not by another span that has the very same.
    Span { span: &'a Span, tells_error: bool },
    /// A parent that others name and that was not received.
    Missing(u64),
    /// So many spans that are not shown.
    More(usize),
}

/// What stands at a place of the forest.
#[derive(Clone, Copy)]
enum Node<'a> {
    Span(&'a Span),
    Missing(u64),
}

/// The forest under construction. Place `i` below `spans.len()` is span `i`, further ones are missing parents; the last is the ground on which
/// the trees stand.
struct Forest<'a> {
    nodes: Vec<Node<'a>>,
    parents: Vec<usize>,
    children: Vec<Vec<usize>>,
    /// Spans in the tree from here down.
    sizes: Vec<usize>,
    has_error: Vec<bool>,
    shown: Vec<bool>,
    ground: usize,
}

/// The rows of `spans`; trees are at most `depth_max` deep.
pub(super) fn rows(spans: &[Span], depth_max: usize) -> Vec<Row<'_>> {
    let mut forest = Forest::plant(spans);
    forest.measure();
    forest.choose(depth_max);
    let mut rows = Vec::new();
    forest.emit(forest.ground, &mut Guide::default(), &mut rows);
    tell_errors(&mut rows);
    rows
}

/// Errors come up from where they arose through all that called it: each is told once, by the deepest span that has it.
fn tell_errors(rows: &mut [Row<'_>]) {
    let mut deepest: HashMap<(&str, &str), (usize, Reverse<usize>)> = HashMap::new();
    for (at, row) in rows.iter().enumerate() {
        if let What::Span { span, .. } = row.what
            && span.error
        {
            let depth = (row.guide.chars().count(), Reverse(at));
            let known = deepest.entry((&span.error_type, &span.error_message)).or_insert(depth);
            *known = depth.max(*known);
        }
    }
    for (_, Reverse(at)) in deepest.into_values() {
        if let What::Span { tells_error, .. } = &mut rows[at].what {
            *tells_error = true;
        }
    }
}

impl<'a> Forest<'a> {
    fn plant(spans: &'a [Span]) -> Self {
        let mut nodes: Vec<Node<'a>> = spans.iter().map(Node::Span).collect();
        let mut places: HashMap<u64, usize> = HashMap::with_capacity(spans.len());
        for (place, span) in spans.iter().enumerate() {
            places.entry(span.span_id).or_insert(place);
        }
        let is_root = |span: &Span| span.parent_id == 0 || span.parent_id == span.span_id;
        // Without a root of its own a trace is the continuation of another service's, whose span is rightly not here.
        let has_root = spans.iter().any(is_root);
        let is_missing = |span: &&Span| !is_root(span) && !places.contains_key(&span.parent_id);
        let mut missing: HashMap<u64, usize> = HashMap::new();
        for span in spans.iter().filter(is_missing).filter(|_| has_root) {
            missing.entry(span.parent_id).or_insert_with(|| {
                nodes.push(Node::Missing(span.parent_id));
                nodes.len() - 1
            });
        }
        let ground = nodes.len();
        let above = |(place, span): (usize, &Span)| {
            let parent =
                places.get(&span.parent_id).or_else(|| missing.get(&span.parent_id)).copied();
            parent.filter(|&parent| !is_root(span) && parent != place).unwrap_or(ground)
        };
        let mut parents: Vec<usize> = spans.iter().enumerate().map(above).collect();
        parents.resize(ground, ground);
        let count = ground + 1;
        let mut forest = Self {
            nodes,
            parents,
            children: vec![Vec::new(); count],
            sizes: vec![0; count],
            has_error: vec![false; count],
            shown: vec![false; count],
            ground,
        };
        forest.cut_cycles();
        forest.grow();
        forest
    }

    fn start(&self, place: usize) -> i64 {
        match self.nodes.get(place) {
            Some(Node::Span(span)) => span.start_ns,
            _ => i64::MAX,
        }
    }

    fn duration(&self, place: usize) -> u64 {
        match self.nodes.get(place) {
            Some(Node::Span(span)) => span.duration_ns,
            // A missing parent stands as high as what it explains.
            _ => self.children[place].iter().map(|&child| self.duration(child)).max().unwrap_or(0),
        }
    }

    /// Plants on the ground the earliest span of every circle of parents.
    fn cut_cycles(&mut self) {
        // 0: not yet walked, 1: on the present walk, 2: leads to the ground.
        let mut state = vec![0_u8; self.ground + 1];
        state[self.ground] = 2;
        for from in 0..self.ground {
            let (mut walk, mut place) = (Vec::new(), from);
            while state[place] == 0 {
                state[place] = 1;
                walk.push(place);
                place = self.parents[place];
            }
            if state[place] == 1 {
                let circle = walk.iter().copied().skip_while(|&step| step != place);
                if let Some(first) = circle.min_by_key(|&step| (self.start(step), step)) {
                    self.parents[first] = self.ground;
                }
            }
            walk.into_iter().for_each(|step| state[step] = 2);
        }
    }

    /// Fills in the children, in the order of their start; missing parents last.
    fn grow(&mut self) {
        let mut order: Vec<usize> = (0..self.ground).collect();
        order.sort_by_key(|&place| (self.start(place), place));
        for place in order {
            self.children[self.parents[place]].push(place);
        }
    }

    /// Counts every tree, from the leaves down. Without recursion, for a trace may be as deep as it has spans.
    fn measure(&mut self) {
        let mut order = Vec::with_capacity(self.ground + 1);
        let mut queue = VecDeque::from([self.ground]);
        while let Some(place) = queue.pop_front() {
            order.push(place);
            queue.extend(&self.children[place]);
        }
        for &place in order.iter().rev() {
            let below = &self.children[place];
            let size: usize = below.iter().map(|&child| self.sizes[child]).sum();
            let below_has_error = below.iter().any(|&child| self.has_error[child]);
            let own = match self.nodes.get(place) {
                Some(Node::Span(span)) => (1, span.error),
                _ => (0, false),
            };
            self.sizes[place] = size + own.0;
            self.has_error[place] = below_has_error || own.1;
        }
    }

    /// Marks what is shown: what leads to errors first, then what took longest, parents always before their children.
    fn choose(&mut self, depth_max: usize) {
        let mut left = SPANS_SHOWN_MAX;
        let mut shown_under = vec![0; self.ground + 1];
        let mut heap = BinaryHeap::new();
        let offer = |forest: &Self, heap: &mut BinaryHeap<_>, place: usize, depth: usize| {
            for &child in &forest.children[place] {
                heap.push((forest.has_error[child], forest.duration(child), Reverse(child), depth));
            }
        };
        offer(self, &mut heap, self.ground, 0);
        while let Some((_, _, Reverse(place), depth)) = heap.pop() {
            let under = &mut shown_under[self.parents[place]];
            if left == 0 {
                break;
            }
            if *under == CHILDREN_SHOWN_MAX {
                continue;
            }
            *under += 1;
            left -= 1;
            self.shown[place] = true;
            if depth < depth_max {
                offer(self, &mut heap, place, depth + 1);
            }
        }
    }

    /// Writes the rows under `place`. As deep as what is shown, which is bounded.
    fn emit(&self, place: usize, guide: &mut Guide, rows: &mut Vec<Row<'a>>) {
        let parent = match self.nodes.get(place) {
            Some(Node::Span(span)) => Some(*span),
            _ => None,
        };
        let shown: Vec<usize> =
            self.children[place].iter().copied().filter(|&child| self.shown[child]).collect();
        let hidden: usize = self.children[place]
            .iter()
            .filter(|&&child| !self.shown[child])
            .map(|&child| self.sizes[child])
            .sum();
        for (at, &child) in shown.iter().enumerate() {
            let what = match self.nodes[child] {
                Node::Span(span) => What::Span { span, tells_error: false },
                Node::Missing(id) => What::Missing(id),
            };
            let is_last = at + 1 == shown.len() && hidden == 0;
            let before = guide.enter(is_last);
            let below = if self.sizes[child] > 1 || matches!(what, What::Missing(_)) {
                "│ "
            } else {
                "  "
            };
            rows.push(Row {
                what,
                guide: before,
                guide_below: format!("{}{below}", guide.below()),
                parent,
            });
            self.emit(child, guide, rows);
            guide.leave();
        }
        if hidden > 0 {
            let before = guide.enter(true);
            rows.push(Row {
                what: What::More(hidden),
                guide: before,
                guide_below: String::new(),
                parent,
            });
            guide.leave();
        }
    }
}

/// The lines that lead to a row: for every level above whether its branch goes on.
#[derive(Default)]
struct Guide {
    goes_on: Vec<bool>,
}

impl Guide {
    /// Goes down one level and gives what stands before the row there. The trees of the forest stand side by side, without lines.
    fn enter(&mut self, is_last: bool) -> String {
        let above = self.below();
        let branch = match (self.goes_on.is_empty(), is_last) {
            (true, _) => "",
            (false, true) => "└ ",
            (false, false) => "├ ",
        };
        self.goes_on.push(!is_last);
        format!("{above}{branch}")
    }

    fn leave(&mut self) {
        self.goes_on.pop();
    }

    /// What stands before lines below the present row.
    fn below(&self) -> String {
        self.goes_on.iter().skip(1).map(|&goes_on| if goes_on { "│ " } else { "  " }).collect()
    }
}
