"""What ``import exlcap`` offers to notebooks and scripts: read a workspace, its takes, data sets and trained runs.

These modules only put together what the stages provide; no stage imports them.
"""
