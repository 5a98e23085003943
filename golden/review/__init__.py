"""Compare sets of goldens, and say what a change weakens. Imports ``store`` and what lies below."""
