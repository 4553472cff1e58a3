"""Eager execution keeps to its budget: a doubling of what Python costs fails here."""

from tercet.bench.budget import load, measure

ATTEMPTS = 4


def test_eager_overhead_is_within_its_budget() -> None:
    """Other work on the machine only adds: the least of some attempts counts."""
    budget = load()
    least: dict[str, float] = {}
    for _ in range(ATTEMPTS):
        for name, units in measure().items():
            least[name] = min(units, least.get(name, units))
        over = {n: (u, budget[n]) for n, u in least.items() if n in budget and u > budget[n]}
        if not over:
            break
    assert len(set(budget) & set(least)) >= 5
    assert not over, f"(found, allowed) in units: {over}"
