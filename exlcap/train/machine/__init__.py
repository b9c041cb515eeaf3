"""The machine that a run uses: its cores, its device, and the processes that share a training."""
