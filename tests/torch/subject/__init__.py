"""The port as a subject: a module per topic, with a function per operation, named like it with ``_`` for the dot.

``golden check tests.torch.subject`` checks it against the goldens, and so does the suite (``golden_subject``). Each
function takes the operation's inputs and parameters by name, and returns its outputs by name, in TensorFlow's layout.
"""
