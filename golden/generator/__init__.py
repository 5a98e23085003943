"""Make and update goldens with a reference. Imports ``report`` and the layers below it."""
