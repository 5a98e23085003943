"""Show results to people: text, pages, pictures. Imports ``review`` and lower layers."""
