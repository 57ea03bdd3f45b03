from . import backends
from .tensor import Tensor
from .ops import methods
from . import autograd
from .modes import no_grad

backends.start()
