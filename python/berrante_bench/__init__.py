"""Benchmarks of berrante beside its peers. Apart from berrante, so that a peer's process never loads berrante."""
