"""Docker's ipvlan driver as rules without effects: what it decides, it asks a :class:`HostPort` to do."""
