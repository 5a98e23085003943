"""The port as a subject: one module per topic, one function per operation, with ``_`` in place of the dot in its name.

``golden check tests.torch.subject`` checks it against the goldens, and so does the suite (``golden_subject``). Each
function takes the operation's inputs and parameters by name, and returns its outputs by name, in TensorFlow's layout.
"""
