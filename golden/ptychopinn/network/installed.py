"""Why the installed package is not asked for what its network computes."""

NO_CALL = dict.fromkeys(
    ("forward", "gradients", "training"),
    "its models return objects and predictions, not what their blocks give; their layers have no names to rely on",
)
