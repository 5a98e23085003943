"""Compare sets of goldens, and find what a change weakens. Imports ``store`` and the layers below it."""
