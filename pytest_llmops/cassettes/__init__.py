"""Recording and replaying the provider's HTTP."""
