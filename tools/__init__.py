"""Programs that people run: the simulated game server, benchmarks, thin wrappers of the command line."""
