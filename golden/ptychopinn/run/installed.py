"""Why the installed package is not asked for a whole run."""

NO_CALL = dict.fromkeys(
    ("training", "reconstruction", "long_reconstruction"),
    "its training draws weights and batches that no call takes",
)
