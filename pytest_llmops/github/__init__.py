"""What the GitHub Action's steps run: recordings, baseline, pytest, comment, gate. ``action.yml`` calls `steps`."""
