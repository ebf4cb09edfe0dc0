"""The fault campaign: what is done to a running cloud, how long it takes to be back, what is lost.

`plan`, `results`, `accounting`, `plots` and `report` are functions of data; `runner` and what it
imports (`faults`, `members`, `health`, `workloads`) act on a cluster.
"""
