"""Why the installed package is not asked for steps of its optimizer."""

NO_CALL = {
    "adam": "its optimizer is Keras's own",
    "schedule": "its callbacks are Keras's own",
}
