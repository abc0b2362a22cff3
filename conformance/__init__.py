"""The conformance suite: what any ipvlan implementation can be held against."""
