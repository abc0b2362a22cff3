"""Tests of the ``kernel`` datapath: they need real ipvlan and run in the guest of ``ci/vm.py``.

``ci/vm.py -- python -m pytest`` runs them with all others. Elsewhere they are not
collected: without ipvlan there is nothing that they could say. ``test_native_verdicts.py`` also needs
the verdicts from outside of the guest, which ``ci/guest_step.py`` brings.
"""

from __future__ import annotations

import os

collect_ignore_glob = [] if "IPVLAB_GUEST" in os.environ else ["test_*.py"]
if "IPVLAB_NATIVE_VERDICTS" not in os.environ:
    collect_ignore_glob.append("test_native_verdicts.py")
