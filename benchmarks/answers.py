"""Wrong answers to exercises 3.4 and 3.5 as learners write them, for `make bench`.

Each is called as the mistake of course_lib/checks/autograd.py that it makes; a test compares them.
"""

UNBROADCAST = {
    "averages": """\
def unbroadcast(grad, shape):
    while grad.ndim > len(shape):
        grad = grad.mean(0)
    for axis, length in enumerate(shape):
        if length == 1:
            grad = grad.mean(axis, keepdim=True)
    return grad""",
    "forgets the stretched axes": """\
def unbroadcast(grad, shape):
    while len(grad.shape) > len(shape):
        grad = grad.sum(dim=0)
    return grad""",
    "sums over one added axis": """\
def unbroadcast(grad, shape):
    if grad.ndim > len(shape):
        grad = grad.sum(0)
    for axis, length in enumerate(shape):
        if length == 1:
            grad = grad.sum(axis, keepdim=True)
    return grad""",
}

# The first two call unbroadcast, as the statement suggests.
MATMUL_GRADIENTS = {
    "does not transpose B": """\
def matmul_gradients(A, B, G):
    grad_A = unbroadcast(G @ B, tuple(A.shape))
    grad_B = unbroadcast(A.mT @ G, tuple(B.shape))
    return grad_A, grad_B""",
    "leaves out G": """\
def matmul_gradients(A, B, G):
    ones = torch.ones(G.shape)
    grad_A, grad_B = ones @ B.mT, A.mT @ ones
    return unbroadcast(grad_A, tuple(A.shape)), unbroadcast(grad_B, tuple(B.shape))""",
    "keeps the stack": """\
def matmul_gradients(A, B, G):
    grad_A = torch.matmul(G, B.transpose(-2, -1))
    grad_B = torch.matmul(A.transpose(-2, -1), G)
    return grad_A, grad_B""",
    "has single matrices in mind": """\
def matmul_gradients(A, B, G):
    return G @ B.permute(*reversed(range(B.ndim))), A.permute(*reversed(range(A.ndim))) @ G""",
    "sums over every stack": """\
def matmul_gradients(A, B, G):
    grad_A = G @ B.mT
    grad_B = A.mT @ G
    if grad_A.ndim == 3:
        grad_A = grad_A.sum(0)
    if grad_B.ndim == 3:
        grad_B = grad_B.sum(0)
    return grad_A, grad_B""",
}
