"""Training toolbox: configuration, data, optimisation, evaluation and trainer base classes.

An independent implementation of the interface that CoOp-style code expects from Dassl. Importing this
package loads no sub-package, so that it costs nothing until something is used.
"""

__version__ = "1.0.0"
