"""Wrong conventions, one module per topic: each a mistake that ports of PtychoPINN made or could make.

A fault is an altered input or parameter of the reference, or an altered output, in NumPy. Where the mistake is inside
the computation, the module restates as much of it as it bends; the tests hold the restatement, unbent, to the goldens.
docs/fault-table.md lists them all.
"""
