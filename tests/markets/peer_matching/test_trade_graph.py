"""Trade graphs: what is refused is named and isolated; distances and classes make fees."""

from __future__ import annotations

import numpy as np
import pytest

from multiscale.markets.peer_matching.trade_graph import class_fee, distance_fee, random_graph, read_graph

NAMES = ["a", "b", "c", "d"]


def test_edges_that_cannot_be_taken_are_named_and_the_peers_stay():
    pairs = [("b", "a"), ("a", "x"), ("c", "c"), ("a", "b"), ("c", "d"), ("a", "c")]
    graph, refused = read_graph(NAMES, pairs, [0.01, 0.0, 0.0, 0.02, np.nan, -0.01])
    assert graph.peers.tolist() == NAMES
    assert list(zip(graph.first, graph.second, graph.fee, strict=True)) == [(0, 1, 0.01)]
    assert graph.degree().tolist() == [1, 1, 0, 0]
    assert [r.peers for r in refused] == [("a", "x"), ("c", "c"), ("a", "b"), ("c", "d"), ("a", "c")]
    texts = [r.reason for r in refused]
    assert texts[0] == "trade graph, edge 1 between 'a' and 'x': peer 'x' does not exist; name one of the 4 peers"
    for text, part in zip(texts[1:], ("cannot trade with itself", "occurs more than once", "fee nan EUR/kWh", "fee -0.01 EUR/kWh"), strict=True):
        assert part in text
    with pytest.raises(ValueError, match="peer 'a' occurs more than once"):
        read_graph(["a", "b", "a"], [])


@pytest.mark.parametrize(("peers", "degree"), [(50, 6), (50, 2), (6, 10), (2, 3), (1, 4)])
def test_a_random_graph_is_connected_and_has_the_degree(peers: int, degree: int):
    graph = random_graph([f"p{i}" for i in range(peers)], degree, 3)
    reached = {0}
    for _ in range(peers):
        reached |= {int(b) for a, b in zip(graph.first, graph.second, strict=True) if a in reached}
        reached |= {int(a) for a, b in zip(graph.first, graph.second, strict=True) if b in reached}
    assert len(reached) == peers
    assert (graph.first < graph.second).all()
    assert graph.degree().max(initial=0) <= min(max(degree, 2), peers - 1)
    assert graph.degree().mean() >= 0.8 * min(degree, peers - 1)


def test_fees_by_distance_and_class_add_up_and_a_peer_without_a_bus_is_named():
    graph, _ = read_graph(NAMES, [("a", "b"), ("b", "c"), ("c", "d")], 0.001)
    distance = np.abs(np.subtract.outer(np.arange(4.0), np.arange(4.0) ** 2))
    assert distance_fee(graph, distance, 0.01).fee == pytest.approx([0.011, 0.031, 0.071])
    assert class_fee(graph, ["home", "home", "firm", "firm"], 0.02).fee == pytest.approx([0.001, 0.021, 0.001])
    distance[2, 3] = np.nan
    with pytest.raises(ValueError, match="distance between c and d is nan; give both a bus of one network, or remove their 1 edges"):
        distance_fee(graph, distance, 0.01)
