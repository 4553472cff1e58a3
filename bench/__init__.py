"""The benchmark suite: which backend is fastest here, and how it compares.

`tercet bench` runs it. Every framework works in a process of its own, and the processes take turns,
so that a change of the machine's speed meets all alike.
"""
