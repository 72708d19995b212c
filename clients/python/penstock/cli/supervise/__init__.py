"""What `penstock up` does: starts store, server and workers, watches and ends them."""
