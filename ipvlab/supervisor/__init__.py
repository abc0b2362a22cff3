"""Labs that stay up: one process for each, and the socket that later commands talk to."""
