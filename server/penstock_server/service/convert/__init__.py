"""Messages of the contract ↔ records of the model, both ways, and nowhere else."""
