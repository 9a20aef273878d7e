"""`make bench`: icapd beside c-icap's echo and pyicap, in one run, on the same core."""
