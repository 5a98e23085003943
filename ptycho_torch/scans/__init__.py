"""Scan files, arrays that stay in their file, and simulated scans."""
