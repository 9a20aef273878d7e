"""`make soak`: mixed load with reloads, restarts and outages, and whether anything grows."""
