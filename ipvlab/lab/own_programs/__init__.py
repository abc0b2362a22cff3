"""Programs for machines that lack them: ``ip``, ``ping``, ``nslookup``; Python alone, no library."""
