"""Why the installed package is not asked for conversions of formats."""

NO_CALL = dict.fromkeys(
    ("to_channel", "from_channel", "canvas"),
    "it converts formats inside its other calls; none of those known here returns them alone",
)
