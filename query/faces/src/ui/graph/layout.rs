//! Places the nodes of a graph in layers, left to right along the calls.
//!
//! The steps of Sugiyama, Tagawa and Toda (1981): break cycles, assign layers by longest path, put a bend
//! where an edge crosses a layer, order each layer by the mean place of its neighbours, then straighten. A layer of very many
//! nodes is wrapped into columns (`wrap.rs`), which stay where they are.
//! Everything is ordered by the input and nothing looks at figures, so the same graph is always drawn alike, whatever its
//! rates. Linear in nodes, edges and bends but for sorting layers; an edge is drawn without bends once there are
//! [`BENDS_MAX`].

use super::wrap::Grid;

/// Rounds of ordering and straightening. Guess: meshes of a dozen nodes settle in four.
const ROUNDS: usize = 12;

/// Bends of all edges together. 4,000 edges over 25 layers each are drawn whole; what is longer is a tangle anyway.
pub const BENDS_MAX: usize = 100_000;

/// Heights in drawing units, distances between neighbours included.
pub const NODE_PITCH: f64 = 104.0;
const BEND_PITCH: f64 = 44.0;

/// Sizes in drawing units, which are pixels when the drawing is not scaled: of a box, between layers, and between columns of one.
pub const NODE_WIDTH: f64 = 170.0;
const LAYER_GAP: f64 = 128.0;
const COLUMN_GAP: f64 = 44.0;

/// Where everything lies, to the right and down from 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// By node.
    pub nodes: Vec<Place>,
    /// By edge, in the order given: where it passes from its source to its target, ends included.
    pub routes: Vec<Vec<Place>>,
    pub width: f64,
    /// The largest `y` plus half a node's pitch.
    pub height: f64,
}

/// The middle of a box, or of a bend.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    pub x: f64,
    pub y: f64,
}

/// An item of a layer: a node, or a bend of an edge that passes through.
struct Item {
    layer: usize,
    pitch: f64,
    y: f64,
    /// In its layer; of a bend the first.
    column: usize,
    /// The channel above its row, where its layer is wrapped.
    channel: f64,
    left: Vec<usize>,
    right: Vec<usize>,
}

/// Lays out `node_count` nodes; `edges` are (source, target).
pub fn layout(node_count: usize, edges: &[(usize, usize)]) -> Layout {
    let reversed = back_edges(node_count, edges);
    let forward: Vec<(usize, usize)> = edges
        .iter()
        .zip(&reversed)
        .map(|((from, to), reversed)| if *reversed { (*to, *from) } else { (*from, *to) })
        .collect();
    let layers = layers(node_count, &forward);
    let mut items: Vec<Item> = layers.iter().map(|layer| Item::new(*layer, NODE_PITCH)).collect();
    let chains: Vec<Vec<usize>> = forward.iter().map(|edge| chain(&mut items, node_count, *edge)).collect();
    let mut order = order(&items);
    for round in 0..ROUNDS {
        sweep(&mut order, &items, round % 2 == 0);
    }
    let grids: Vec<Grid> =
        order.iter().map(|layer| Grid::of(layer.iter().filter(|item| **item < node_count).count())).collect();
    straighten(&order, &grids, &mut items, node_count);
    let drawn = Drawn::of(&items, &grids);
    let routes = chains.iter().zip(&reversed).map(|(chain, reversed)| {
        let mut route = drawn.route(chain, node_count);
        if *reversed {
            route.reverse();
        }
        route
    });
    Layout {
        nodes: (0..node_count).map(|node| drawn.place(node)).collect(),
        routes: routes.collect(),
        width: drawn.lefts[grids.len()] - if grids.is_empty() { 0.0 } else { LAYER_GAP },
        height: items.iter().map(|item| item.y - drawn.top + item.pitch / 2.0).fold(0.0, f64::max),
    }
}

/// Items that are laid out, and where their layers begin.
struct Drawn<'a> {
    items: &'a [Item],
    grids: &'a [Grid],
    /// The left of each layer, and of the one that would follow.
    lefts: Vec<f64>,
    top: f64,
}

impl Drawn<'_> {
    fn of<'a>(items: &'a [Item], grids: &'a [Grid]) -> Drawn<'a> {
        let mut lefts = vec![0.0];
        for (at, grid) in grids.iter().enumerate() {
            let columns = grid.columns as f64;
            lefts.push(lefts[at] + columns * NODE_WIDTH + (columns - 1.0) * COLUMN_GAP + LAYER_GAP);
        }
        let top = items.iter().map(|item| item.y - item.pitch / 2.0).fold(f64::INFINITY, f64::min);
        Drawn { items, grids, lefts, top }
    }

    fn place(&self, item: usize) -> Place {
        let Item { layer, column, y, .. } = self.items[item];
        self.at(layer, column, y)
    }

    fn at(&self, layer: usize, column: usize, y: f64) -> Place {
        let x = self.lefts[layer] + column as f64 * (NODE_WIDTH + COLUMN_GAP) + NODE_WIDTH / 2.0;
        Place { x, y: y - self.top }
    }

    /// Where an edge passes from left to right: past columns of wrapped layers it runs in channels between rows.
    fn route(&self, chain: &[usize], node_count: usize) -> Vec<Place> {
        let last = chain.len() - 1;
        let mut route = Vec::new();
        for (at, item) in chain.iter().enumerate() {
            let Item { layer, column, channel, .. } = self.items[*item];
            let grid = self.grids[layer];
            let bends =
                |columns: Vec<usize>| columns.into_iter().map(|column| self.at(layer, column, channel));
            if at == last && chain[0] != *item {
                route.extend(bends(grid.bends_before(column)));
            }
            if grid.is_wrapped() && *item >= node_count {
                route.extend(bends(grid.bends_before(grid.columns)));
            } else {
                route.push(self.place(*item));
            }
            if at == 0 && chain[last] != *item {
                route.extend(bends(grid.bends_after(column)));
            }
        }
        route
    }
}

impl Item {
    fn new(layer: usize, pitch: f64) -> Item {
        Item { layer, pitch, y: 0.0, column: 0, channel: 0.0, left: Vec::new(), right: Vec::new() }
    }
}

/// The edges that leave each node, loops apart, in the order given.
fn leaving(node_count: usize, edges: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let mut leaving = vec![Vec::new(); node_count];
    let of_two = edges.iter().enumerate().filter(|(_, (from, to))| from != to);
    of_two.for_each(|(at, (from, _))| leaving[*from].push(at));
    leaving
}

/// Which edges point back to a node that they can be reached from. Nodes that nobody calls come first, so
/// that calls run from them to the right.
fn back_edges(node_count: usize, edges: &[(usize, usize)]) -> Vec<bool> {
    let leaving = leaving(node_count, edges);
    let mut called = vec![false; node_count];
    edges.iter().filter(|(from, to)| from != to).for_each(|(_, to)| called[*to] = true);
    let starts = (0..node_count).filter(|node| !called[*node]).chain((0..node_count).filter(|n| called[*n]));
    let mut state = vec![Visit::New; node_count];
    let mut reversed = vec![false; edges.len()];
    for start in starts {
        if state[start] != Visit::New {
            continue;
        }
        state[start] = Visit::Open;
        // Depth first with a stack of our own: (node, which of its edges comes next).
        let mut stack = vec![(start, 0)];
        while let Some((node, next)) = stack.pop() {
            let Some(edge) = leaving[node].get(next).copied() else {
                state[node] = Visit::Done;
                continue;
            };
            stack.push((node, next + 1));
            let target = edges[edge].1;
            match state[target] {
                Visit::Open => reversed[edge] = true,
                Visit::New => {
                    state[target] = Visit::Open;
                    stack.push((target, 0));
                }
                Visit::Done => {}
            }
        }
    }
    reversed
}

#[derive(Clone, Copy, PartialEq)]
enum Visit {
    New,
    Open,
    Done,
}

/// Longest path from the left, by edges that have no cycle; a node that nobody calls moves right to just before what it
/// calls.
fn layers(node_count: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let leaving = leaving(node_count, edges);
    let mut callers = vec![0usize; node_count];
    leaving.iter().flatten().for_each(|edge| callers[edges[*edge].1] += 1);
    let is_called: Vec<bool> = callers.iter().map(|callers| *callers > 0).collect();
    let mut layers = vec![0usize; node_count];
    // Kahn (1962): a node is placed once all of its callers are.
    let mut ready: Vec<usize> = (0..node_count).filter(|node| !is_called[*node]).collect();
    while let Some(node) = ready.pop() {
        for edge in &leaving[node] {
            let target = edges[*edge].1;
            layers[target] = layers[target].max(layers[node] + 1);
            callers[target] -= 1;
            if callers[target] == 0 {
                ready.push(target);
            }
        }
    }
    for node in (0..node_count).filter(|node| !is_called[*node]) {
        let next = leaving[node].iter().map(|edge| layers[edges[*edge].1]).min();
        layers[node] = next.map_or(0, |next| next - 1);
    }
    layers
}

/// The items that an edge runs through, bends added.
fn chain(items: &mut Vec<Item>, node_count: usize, (from, to): (usize, usize)) -> Vec<usize> {
    let mut chain = vec![from];
    let crossed = items[from].layer + 1..items[to].layer;
    if items.len() - node_count + crossed.len() <= BENDS_MAX {
        for layer in crossed {
            items.push(Item::new(layer, BEND_PITCH));
            chain.push(items.len() - 1);
        }
    }
    chain.push(to);
    if from != to {
        for pair in chain.windows(2) {
            items[pair[0]].right.push(pair[1]);
            items[pair[1]].left.push(pair[0]);
        }
    }
    chain
}

fn order(items: &[Item]) -> Vec<Vec<usize>> {
    let count = items.iter().map(|item| item.layer + 1).max().unwrap_or(0);
    let mut order = vec![Vec::new(); count];
    items.iter().enumerate().for_each(|(at, item)| order[item.layer].push(at));
    order
}

/// Orders every layer by the mean place of its neighbours on one side.
fn sweep(order: &mut [Vec<usize>], items: &[Item], rightwards: bool) {
    let mut place = vec![0.0; items.len()];
    let number = |layer: &[usize], place: &mut [f64]| {
        let middle = layer.len() as f64 / 2.0;
        layer.iter().enumerate().for_each(|(at, item)| place[*item] = at as f64 - middle);
    };
    order.iter().for_each(|layer| number(layer, &mut place));
    let count = order.len();
    for step in 1..count {
        let at = if rightwards { step } else { count - 1 - step };
        let mean = |item: usize| {
            let neighbours = if rightwards { &items[item].left } else { &items[item].right };
            mean_of(neighbours.iter().map(|other| place[*other])).unwrap_or(place[item])
        };
        let mut keyed: Vec<(f64, usize)> = order[at].iter().map(|item| (mean(*item), *item)).collect();
        keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
        order[at] = keyed.into_iter().map(|(_, item)| item).collect();
        number(&order[at], &mut place);
    }
}

/// Moves items towards their neighbours, in their order and without overlap; those of wrapped layers into their rows.
fn straighten(order: &[Vec<usize>], grids: &[Grid], items: &mut [Item], node_count: usize) {
    for (layer, grid) in order.iter().zip(grids) {
        if grid.is_wrapped() {
            deal(layer, *grid, items, node_count);
            continue;
        }
        let height: f64 = layer.iter().map(|item| items[*item].pitch).sum();
        let mut top = -height / 2.0;
        for item in layer {
            items[*item].y = top + items[*item].pitch / 2.0;
            top += items[*item].pitch;
        }
    }
    for round in 0..ROUNDS {
        for at in 0..order.len() {
            let at = if round % 2 == 0 { at } else { order.len() - 1 - at };
            let layer = &order[at];
            if grids[at].is_wrapped() {
                continue;
            }
            let wanted: Vec<f64> = layer.iter().map(|item| wish(*item, items)).collect();
            settle(layer, &wanted, items);
        }
    }
}

/// Nodes into their rows and columns, bends into the channel that is next in their order.
fn deal(layer: &[usize], grid: Grid, items: &mut [Item], node_count: usize) {
    let mut before = 0;
    for item in layer {
        let is_node = *item < node_count;
        items[*item].channel = grid.channel(before);
        items[*item].y = if is_node { grid.y(before) } else { grid.channel(before) };
        if is_node {
            items[*item].column = grid.column(before);
            before += 1;
        }
    }
}

fn wish(item: usize, items: &[Item]) -> f64 {
    let neighbours = items[item].left.iter().chain(&items[item].right);
    mean_of(neighbours.map(|other| items[*other].y)).unwrap_or(items[item].y)
}

/// Gives each item its wish, pushed apart downwards, then the whole layer moved back by the mean push.
fn settle(layer: &[usize], wanted: &[f64], items: &mut [Item]) {
    let mut floor = f64::NEG_INFINITY;
    for (item, wish) in layer.iter().zip(wanted) {
        let half = items[*item].pitch / 2.0;
        items[*item].y = wish.max(floor + half);
        floor = items[*item].y + half;
    }
    let push = mean_of(layer.iter().zip(wanted).map(|(item, wish)| items[*item].y - wish)).unwrap_or(0.0);
    layer.iter().for_each(|item| items[*item].y -= push);
}

fn mean_of(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then(|| sum / count)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn layers_of(node_count: usize, edges: &[(usize, usize)]) -> Vec<usize> {
        layout(node_count, edges).nodes.iter().map(layer_of).collect()
    }

    /// Where no layer is wrapped.
    fn layer_of(place: &Place) -> usize {
        (place.x / (NODE_WIDTH + LAYER_GAP)) as usize
    }

    #[test]
    fn calls_run_to_the_right() {
        assert_eq!(layers_of(4, &[(2, 1), (1, 0), (2, 0), (2, 3)]), [2, 1, 0, 1]);
    }

    #[test]
    fn a_caller_that_nobody_calls_stands_beside_what_it_calls() {
        // 0 -> 1 -> 2, and 3 -> 2.
        assert_eq!(layers_of(4, &[(0, 1), (1, 2), (3, 2)]), [0, 1, 2, 1]);
    }

    #[test]
    fn a_cycle_has_one_edge_back() {
        let layout = layout(3, &[(0, 1), (1, 2), (2, 1)]);
        assert_eq!(layout.nodes.iter().map(layer_of).collect::<Vec<_>>(), [0, 1, 2]);
        let back: Vec<_> = layout.routes[2].iter().map(layer_of).collect();
        assert_eq!(back, [2, 1]);
    }

    #[test]
    fn an_edge_over_a_layer_bends_around_its_nodes() {
        let layout = layout(3, &[(0, 1), (1, 2), (0, 2)]);
        let route = &layout.routes[2];
        assert_eq!(route.iter().map(layer_of).collect::<Vec<_>>(), [0, 1, 2]);
        assert!((route[1].y - layout.nodes[1].y).abs() >= (NODE_PITCH + BEND_PITCH) / 2.0 - 1e-9);
    }

    #[test]
    fn nodes_of_a_layer_never_overlap() {
        let edges: Vec<_> = (1..20).map(|node| (0, node)).chain((1..20).map(|n| (n, 20 + n % 3))).collect();
        let layout = layout(23, &edges);
        for (a, first) in layout.nodes.iter().enumerate() {
            for second in &layout.nodes[a + 1..] {
                let apart = (first.y - second.y).abs() >= NODE_PITCH - 1e-6;
                assert!(first.x != second.x || apart, "{first:?} {second:?}");
            }
        }
        assert!(layout.nodes.iter().all(|place| place.y >= 0.0 && place.y <= layout.height));
    }

    #[test]
    fn loops_and_lonely_nodes_have_a_place() {
        assert_eq!(layers_of(2, &[(0, 0)]), [0, 0]);
        assert_eq!(layout(0, &[]).width, 0.0);
    }

    #[test]
    fn two_crossing_edges_are_uncrossed() {
        // 0 -> 3 and 1 -> 2: drawn in the order of their names they would cross.
        let layout = layout(4, &[(0, 3), (1, 2)]);
        let above = |a: usize, b: usize| layout.nodes[a].y < layout.nodes[b].y;
        assert_eq!(above(0, 1), above(3, 2));
    }

    /// No two boxes overlap, every edge runs to the right or back, level past boxes and never behind one.
    fn check(node_count: usize, edges: &[(usize, usize)]) -> Layout {
        let layout = layout(node_count, edges);
        let mut columns: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
        layout.nodes.iter().for_each(|place| columns.entry(place.x as i64).or_default().push(place.y));
        for column in columns.values_mut() {
            column.sort_by(f64::total_cmp);
            assert!(column.windows(2).all(|pair| pair[1] - pair[0] >= NODE_PITCH - 1e-6));
        }
        let lefts: Vec<i64> = columns.keys().copied().collect();
        assert!(lefts.windows(2).all(|pair| pair[1] - pair[0] >= (NODE_WIDTH + COLUMN_GAP) as i64));
        for (route, (from, to)) in layout.routes.iter().zip(edges) {
            assert_eq!((route[0], route[route.len() - 1]), (layout.nodes[*from], layout.nodes[*to]));
            assert!(from == to || layout.nodes[*from].x != layout.nodes[*to].x);
            for bend in &route[1..route.len() - 1] {
                let column = columns.get(&(bend.x as i64)).map_or(&[][..], Vec::as_slice);
                let is_free = column.iter().all(|y| (y - bend.y).abs() >= BEND_PITCH / 2.0 + 30.0 - 1e-6);
                assert!(is_free, "{bend:?} of {from} to {to}");
            }
        }
        assert_eq!(layout, super::layout(node_count, edges), "it is always drawn alike");
        layout
    }

    /// The largest mesh that is promised: 1,500 nodes and 4,000 edges, at random, and the shapes that are worst for it.
    #[test]
    fn large_meshes_of_any_shape_are_laid_out() {
        let mut state = 1_u64;
        let mut below = |limit: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % limit
        };
        let random: Vec<_> = (0..4_000).map(|_| (below(1_500), below(1_500))).collect();
        check(1_500, &random);
        let star = check(1_500, &(1..1_500).map(|leaf| (0, leaf)).collect::<Vec<_>>());
        assert!(star.height < star.width * 1.2 && star.width < star.height * 1.2, "{star:?}");
        // Both ends of a service that a hundred call and that calls a hundred, and an edge past the second hundred.
        let calls = (1..=100).flat_map(|leaf| [(leaf, 0), (0, leaf + 100)]);
        check(202, &calls.chain([(0, 201), (101, 201)]).collect::<Vec<_>>());
        check(1_500, &(1..1_500).map(|next| (next - 1, next)).collect::<Vec<_>>());
        let clique = (0..60).flat_map(|from| (0..60).filter(move |to| *to != from).map(move |to| (from, to)));
        check(60, &clique.collect::<Vec<_>>());
        check(60, &[]);
    }

    /// A chain whose every second edge jumps far ahead: more bends than are drawn.
    #[test]
    fn bends_are_bounded() {
        let chain = (1..1_500).map(|next| (next - 1, next));
        let edges: Vec<_> = chain.chain((0..500).map(|from| (from, from + 900))).collect();
        let layout = layout(1_500, &edges);
        let bends: usize = layout.routes.iter().map(|route| route.len() - 2).sum();
        assert!((BENDS_MAX - 900..=BENDS_MAX).contains(&bends), "{bends}");
    }
}
