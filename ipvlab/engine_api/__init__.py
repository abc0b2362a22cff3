"""Docker's Engine API for each host of a running lab, on a unix socket of its own."""
