"""What the agent step, the storage and the start cost, measured: `python -m benchmarks`.

Every file measures one thing: `measure()` returns rows, `main()` prints them. Ratios are taken within one run, from pairs that
alternate, because times differ from machine to machine and from minute to minute.
"""
