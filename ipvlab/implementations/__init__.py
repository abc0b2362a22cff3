"""Implementations of ipvlan networking that the conformance suite can be held against."""
