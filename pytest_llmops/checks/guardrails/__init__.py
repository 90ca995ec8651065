"""Guardrails: detectors that need no network."""
