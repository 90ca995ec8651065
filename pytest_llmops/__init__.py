"""pytest plugin and CI regression harness for applications built on LLMs."""
