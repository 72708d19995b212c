"""Coverage-guided fuzzing of whatever reads bytes or texts from outside."""
