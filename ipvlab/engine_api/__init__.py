"""Docker's Engine API: each host of a lab answers on a unix socket of its own, as dockerd does."""
