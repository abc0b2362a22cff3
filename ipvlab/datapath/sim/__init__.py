"""The ``sim`` datapath: a whole lab in process, where frames are values walked through the rules."""
