"""The nouns: states, ids, tokens, records and errors.

Imports nothing of ours, knows neither gRPC nor Redis.
"""
