"""Draw scans, losses, reconstructions and diagnoses as PNG files."""
