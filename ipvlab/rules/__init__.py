"""What ipvlan does, as pure functions over small values; every rule has an id and a source."""
