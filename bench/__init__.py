"""What the plugin costs, measured: ``python -m bench`` (or ``make bench``)."""
