"""What exists now: live nodes, wires, links, processes, the resolver."""
