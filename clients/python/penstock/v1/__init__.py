"""The contract as generated code: messages, stubs and servicers of `penstock.v1`."""
