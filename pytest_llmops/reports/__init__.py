"""Pure renderings of a run and its comparison."""
