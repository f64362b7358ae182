"""Operations on tensors, with the names and semantics of keras.ops.

They take tensors, variables, NumPy arrays, Python numbers and functional placeholders, and give tensors (or
placeholders). On concrete operands they run at once.
"""

from berrante.ops import numpy  # noqa: F401
from berrante.ops import operators as _operators  # noqa: F401
from berrante.ops.adaptive import *  # noqa: F403
from berrante.ops.arithmetic import *  # noqa: F403
from berrante.ops.control import *  # noqa: F403
from berrante.ops.conv import conv, conv_transpose, depthwise_conv, separable_conv
from berrante.ops.core import (
    allclose,
    array,
    cast,
    cond,
    convert_to_numpy,
    convert_to_tensor,
    copy,
    dtype,
    fori_loop,
    get_item,
    is_tensor,
    ndim,
    shape,
    size,
    stop_gradient,
    vectorized_map,
    while_loop,
)
from berrante.ops.creation import (
    arange,
    empty,
    empty_like,
    eye,
    full,
    full_like,
    identity,
    linspace,
    logspace,
    meshgrid,
    ones,
    ones_like,
    tri,
    zeros,
    zeros_like,
)
from berrante.ops.elementwise import *  # noqa: F403
from berrante.ops.gates import *  # noqa: F403
from berrante.ops.image import resize, upsample
from berrante.ops.joining import *  # noqa: F403
from berrante.ops.linalg import cdist, dot, einsum, inner, matmul, outer, tensordot, vdot
from berrante.ops.nn import (
    batch_normalization,
    binary_crossentropy,
    categorical_crossentropy,
    celu,
    elu,
    exponential,
    gelu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_swish,
    hard_tanh,
    layer_normalization,
    leaky_relu,
    linear,
    log_sigmoid,
    log_softmax,
    mish,
    normalize,
    relu,
    relu6,
    rms_normalization,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softmax,
    softplus,
    softsign,
    sparse_categorical_crossentropy,
    step,
    swish,
    tanh,
    tanh_shrink,
    threshold,
)
from berrante.ops.pooling import average_pool, max_pool, median_pool
from berrante.ops.reduction import (
    all,
    amax,
    amin,
    any,
    argmax,
    argmin,
    argsort,
    average,
    count_nonzero,
    cumprod,
    cumsum,
    in_top_k,
    logsumexp,
    max,
    mean,
    median,
    min,
    moments,
    norm,
    prod,
    sort,
    std,
    sum,
    top_k,
    var,
)
from berrante.ops.segments import *  # noqa: F403
from berrante.ops.shape import (
    broadcast_to,
    concatenate,
    diag,
    diagonal,
    expand_dims,
    flip,
    moveaxis,
    multi_hot,
    one_hot,
    pad,
    ravel,
    repeat,
    reshape,
    roll,
    slice,
    slice_update,
    split,
    squeeze,
    stack,
    swapaxes,
    take,
    take_along_axis,
    tile,
    trace,
    transpose,
    tril,
    triu,
    unstack,
)
from berrante.ops.solving import *  # noqa: F403
from berrante.ops.statistics import *  # noqa: F403
