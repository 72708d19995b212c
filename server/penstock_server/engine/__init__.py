"""The rules. Knows neither gRPC nor Redis, and never sleeps."""
