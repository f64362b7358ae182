"""Devices and kernels: the only package that imports the compiled modules."""
