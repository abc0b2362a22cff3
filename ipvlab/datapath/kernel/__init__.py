"""The ``kernel`` datapath: real ipvlan, 802.1Q and dummy links."""
