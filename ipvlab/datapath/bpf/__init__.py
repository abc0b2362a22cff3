"""ipvlab's own ipvlan: tc programs on veth pairs, and the control plane that feeds their maps."""
