# The CUDA module, built where nvcc is found.
