"""What Linux gives: namespaces entered, route netlink spoken, bpf(2) called; no ipvlan in here."""
