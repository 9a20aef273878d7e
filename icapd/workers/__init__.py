"""Several processes that serve the same ports (`icap.workers`).

`supervisor` is a process of one thread that opens no store: it keeps the ports for its own
(`ports`), forks the workers, replaces those that die as `supervision` (pure) says, kills those that
hang (`hearing`, pure), and answers /metrics (`status`) with what they tell it (`link`). `worker` is
a worker's side; `drain` ends what workers left that there are no longer.
"""
