"""What carries the packets of a lab: one port, and the implementations of it."""
