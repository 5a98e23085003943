"""Make and renew goldens with a reference. Imports ``report`` and what lies below."""
